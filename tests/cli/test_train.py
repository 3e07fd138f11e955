"""Training from the command line: what it prints, what it leaves, and each refusal's sentence."""

import json

import pytest
from PIL import Image

from tests.parts import SIDE, write_parts
from trust_core.cli.main import main

SMALL = ["--encoder", "tu-test_efficientnet", "--decoder", "FPN32@4", "--size", "64"]
QUICK = ["--epochs", "2", "--batch", "6", "--channels", "grey"]


@pytest.fixture
def data(tmp_path):
    return write_parts(tmp_path / "data")


def command(data, out, *more, objective="joint", samples=True):
    table = ["--samples", str(data / "samples.csv")] if samples else []
    named = ["--objective", objective, "--out", str(out)]
    return ["train", str(data), *table, *named, *SMALL, *QUICK, *more]


def edit(data, change):
    """Change the rows of samples.csv."""
    path = data / "samples.csv"
    head, *rows = path.read_text().splitlines()
    changed = [",".join(change(*row.split(","))) for row in rows]
    path.write_text("\n".join([head, *changed]) + "\n")


def test_trains_and_says_how_to_audit(data, tmp_path, capsys):
    out = tmp_path / "network.safetensors"
    assert main(command(data, out)) == 0
    printed = capsys.readouterr()
    assert f"Network: {out} (multitask/joint:FPN32@4:tu-test_efficientnet)" in printed.out
    assert "of 2 is the best: on tune it catches" in printed.out
    assert f"audit {out} DATA --roles {out.with_suffix('.roles.csv')}" in printed.out
    assert printed.err.count("Epoch ") == 2
    assert "label loss" in printed.err
    assert "mask loss" in printed.err


def test_json_is_one_object_and_the_audit_of_it_has_masks(data, tmp_path, capsys):
    out = tmp_path / "network.safetensors"
    assert main(command(data, out, "--seed", "3", "--json")) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["model"] == str(out)
    assert result["epochs"] == len(result["history"]) == 2
    assert result["best"] in result["history"]
    table = ["--samples", str(data / "samples.csv"), "--roles", result["roles"]]
    audit = ["audit", str(out), str(data), *table, "--strengths", "0", "--json"]
    assert main([*audit, "--out", str(tmp_path / "audit")]) == 0
    audited = json.loads(capsys.readouterr().out)
    assert set(audited["counts_by_role"]) == {"train", "tune", "certify", "test"}
    manifest = json.loads((tmp_path / "audit" / "manifest.json").read_text())
    assert manifest["mask_head"] == {"grid": [16, 16]}


def test_an_unreadable_image_is_counted_and_the_rest_goes_on(data, tmp_path, capsys):
    (data / "images" / "000.png").write_bytes(b"no picture")
    assert main(command(data, tmp_path / "network.safetensors")) == 0
    assert "1 of 24 images cannot be read and was left out" in capsys.readouterr().err


def no_masks(data):
    edit(data, lambda path, label, mask, group, split: (path, label, "", group, split))


def masks_of_another_size(data):
    for path in (data / "masks").iterdir():
        Image.open(path).resize((SIDE // 2, SIDE // 2)).save(path)


def marked_good(data):
    def mark(path, label, mask, group, split):
        return path, label, mask or "masks/001.png", group, split

    edit(data, mark)


def one_class(data):
    edit(data, lambda path, label, mask, group, split: (path, "1", mask, group, split))


def few_groups(data):
    edit(data, lambda path, label, mask, group, split: (path, label, mask, label, ""))


def no_train(data):
    edit(data, lambda path, label, mask, group, split: (path, label, mask, group, "test"))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (no_masks, "None of the 12 defective images to learn from has a mask; --objective label"),
        (masks_of_another_size, "12 masks have another size than the image"),
        (marked_good, "12 images labelled good have a mask that marks a defect"),
        (one_class, "are defective; an audit needs good and defective ones"),
        (few_groups, "too few parts (2) for its splits"),
        (no_train, "names splits, but none of its images is train"),
    ],
)
def test_data_that_cannot_be_learnt_from(data, tmp_path, capsys, spoil, sentence):
    spoil(data)
    assert main(command(data, tmp_path / "network.safetensors")) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert sentence in printed.err
    assert len(printed.err.strip().splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_without_masks_label_learns(data, tmp_path, capsys):
    no_masks(data)
    assert main(command(data, tmp_path / "network.safetensors", objective="label")) == 0


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--size", "100"], "the nearest is 96x96"),
        (["--encoder", "resnet99"], "There is no encoder"),
        (["--decoder", "PSPNet"], '"PSPNet" is no mask decoder'),
        (["--weights", "none.pth"], "There is no file of weights none.pth"),
        (["--weights", "imagenet"], "EfficientNet-Lite0, which does not fit tu-test_efficientnet"),
        (["--out", "network.pt"], "ends in .safetensors"),
        (["--epochs", "0"], "--epochs is at least 1"),
    ],
)
def test_options_that_mean_nothing(data, tmp_path, capsys, more, sentence):
    assert main(command(data, tmp_path / "network.safetensors", *more)) == 2
    assert sentence in capsys.readouterr().err


def test_an_objective_that_is_none_names_those_there_are(data, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(command(data, tmp_path / "network.safetensors", "--objective", "both"))
    assert ended.value.code == 2
    assert "'both' is none of joint, mask, label" in capsys.readouterr().err


def test_an_interrupted_run_says_that_it_goes_on(data, tmp_path, capsys, monkeypatch):
    from trust_core.cli import train

    def interrupt(*_):
        raise KeyboardInterrupt

    out = tmp_path / "network.safetensors"
    with monkeypatch.context() as patch:
        patch.setattr(train, "epoch_line", interrupt)
        assert main(command(data, out)) == 130
    assert "goes on where this one ended" in capsys.readouterr().err
    assert not out.exists()
    assert main(command(data, out)) == 0


def test_surfaces_are_made_to_train_on(tmp_path, capsys):
    folder = tmp_path / "surfaces"
    assert main(["surfaces", str(folder), "--parts", "3", "--train", "2"]) == 0
    assert f"python -m trust_core train {folder} --samples" in capsys.readouterr().out
    rows = (folder / "samples.csv").read_text().splitlines()[1:]
    assert [",train," in row for row in rows] == [True, True, False]
    assert main(["surfaces", str(folder), "--parts", "0"]) == 2
    assert "--parts is at least 1" in capsys.readouterr().err
