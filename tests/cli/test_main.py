"""The command line: what it prints, where, and how it ends."""

import csv
import errno
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torchvision.models import resnet18

from tests.small import write_images
from trust_core.cli.main import main
from trust_core.storage.audit_files import open_audit
from trust_core.storage.manifest import as_json

INPUT = ["--size", "64x64", "--mean", "0.5", "--std", "0.25"]
QUICK = ["--strengths", "0,1"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "detector.safetensors"
    save_network(path)
    return path


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("data") / "images", 24)


@pytest.fixture(scope="module")
def audit(model, images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("audits") / "one"
    assert main(arguments(model, images, folder)) == 0
    return folder


def save_network(path: Path, outputs: int = 2, **changes: torch.Tensor) -> None:
    torch.manual_seed(0)
    state = resnet18(num_classes=outputs).state_dict()
    state["fc.bias"][:] = torch.tensor([0.3, 0.0, 0.0, 0.0])[:outputs]
    save_file(state | changes, path)


def arguments(model, images, out, *more):
    samples = ["--samples", str(images / "samples.csv")]
    return ["audit", str(model), str(images), *samples, *INPUT, *QUICK, "--out", str(out), *more]


def test_audit_prints_one_json_object_and_nothing_else(model, images, tmp_path, capsys):
    assert main(arguments(model, images, tmp_path / "a", "--json")) == 0
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    assert result.keys() >= {
        "audit",
        "counts",
        "counts_by_role",
        "unreadable",
        "unscored",
        "seconds",
        "images_per_second",
        "model_sha256",
        "data_sha256",
    }
    assert sum(result["counts"].values()) == 24
    assert set(result["counts"]) == {"tp", "fn", "tn", "fp"}
    assert "24 of 24 images" in printed.err


def test_the_same_command_again_runs_no_model(audit, model, images, capsys):
    before = (audit / "scores.parquet").stat().st_mtime_ns
    assert main(arguments(model, images, audit, "--json")) == 0
    assert (audit / "scores.parquet").stat().st_mtime_ns == before
    assert "of 24 images" not in capsys.readouterr().err


def test_tradeoff_prints_curves_and_the_rival(audit, capsys):
    assert main(["tradeoff", str(audit), "--role", "all", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [curve["strength"] for curve in result["curves"]] == [0.0, 1.0]
    for curve in [*result["curves"], result["threshold_shift"]]:
        assert set(curve["tn_loss_at"]) == {"0.8", "0.9", "0.95", "1.0"}
        last = curve["points"][-1]
        assert (last["flagged_fn"], last["flagged_tn"]) == tuple(result["counts"].values())
        assert set(last) == {"threshold", "fn_recall", "tn_loss", "flagged_fn", "flagged_tn"}
    seals = [json.loads(line) for line in (audit / "decisions.jsonl").read_text().splitlines()]
    assert {entry["role"] for entry in seals if entry["what"] == "seal_opened"} == {
        "certify",
        "test",
    }


def test_plain_output_is_words(audit, model, images, capsys):
    assert main(arguments(model, images, audit)) == 0
    assert "missed defects" in capsys.readouterr().out
    assert main(["tradeoff", str(audit), "--role", "all"]) == 0
    assert "threshold shift" in capsys.readouterr().out


def test_an_operating_point_is_noted_with_its_reason(audit, capsys):
    point = ["decide", str(audit), "--threshold", "0.2", "--strength", "1"]
    assert main([*point, "--why", "lot 7", "--json"]) == 0
    entry = json.loads(capsys.readouterr().out)
    assert entry["why"] == "lot 7"
    assert json.loads((audit / "decisions.jsonl").read_text().splitlines()[-1]) == entry
    assert main([*point, "--why", " "]) == 2
    point[-1] = "3"
    assert main([*point, "--why", "x"]) == 2
    assert "was not audited; choose from 0, 1" in capsys.readouterr().err


def test_inspect_lists_layers_with_their_grids(model, capsys):
    assert main(["inspect", str(model), *INPUT, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["layer"] == "layer4"
    assert result["layers"]["layer4"] == [512, 2, 2]
    assert result["layers"]["layer1"] == [64, 16, 16]


def test_a_zip_is_audited_like_its_folder(audit, model, images, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TRUST_CORE_WORKSPACE", str(tmp_path / "workspace"))
    archive = tmp_path / "parts.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in images.iterdir():
            packed.write(path, f"parts/{path.name}")
    command = ["audit", str(model), str(archive), "--samples", str(images / "samples.csv")]
    for _ in range(2):
        assert main([*command, *INPUT, *QUICK, "--json"]) == 0
        result = json.loads(capsys.readouterr().out)
    assert main(arguments(model, images, audit, "--json")) == 0
    folder = json.loads(capsys.readouterr().out)
    assert result["counts"] == folder["counts"]
    assert result["data_sha256"] == folder["data_sha256"]


def test_what_is_behind_an_address_is_audited_like_its_folder(
    audit, model, images, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("TRUST_CORE_WORKSPACE", str(tmp_path / "workspace"))
    command = ["audit", str(model), images.as_uri(), "--samples", "samples.csv"]
    assert main([*command, *INPUT, *QUICK, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    data = open_audit(Path(result["audit"])).manifest.data
    assert data.source == images.as_uri()
    assert (Path(data.root) / "samples.csv").is_file()
    assert data.sha256 == open_audit(audit).manifest.data.sha256
    assert result["counts"] == as_json(open_audit(audit).manifest.counts)
    assert main(["audit", str(model), "file:///not/there", *INPUT]) == 2
    assert capsys.readouterr().err == "Nothing is at file:///not/there; check the address.\n"


def test_expected_predictions_are_compared(audit, model, images, tmp_path, capsys):
    import pandas as pd

    samples = pd.read_parquet(audit / "samples.parquet")
    expected = samples[["path"]].assign(p=samples["p_defect"])
    expected.loc[0, "p"] += 0.2
    expected.to_csv(tmp_path / "p.csv", index=False)
    assert main(arguments(model, images, audit, "--expect", str(tmp_path / "p.csv"), "--json")) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["expected"]["compared"] == 24
    assert result["expected"]["reproduced"] == 23
    assert result["expected"]["largest_difference"] == pytest.approx(0.2, abs=1e-6)


def test_stopping_leaves_a_run_that_resumes(model, images, tmp_path):
    """A real process, ended by SIGTERM in mid-run, goes on where it ended."""
    many = write_images(tmp_path / "many", 260)
    command = [
        sys.executable,
        "-m",
        "trust_core",
        *arguments(model, many, tmp_path / "a", "--json"),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not list((tmp_path / "a" / "shards").glob("0*")):
        assert process.poll() is None, process.stderr.read()
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "goes on where this one ended" in said
    kept = len(list((tmp_path / "a" / "shards").glob("0*")))
    assert 0 < kept < 5
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300, check=True
    )
    assert sum(json.loads(done.stdout)["counts"].values()) == 260


class Whole(nn.Module):
    """A module that somebody pickled whole."""


def bad_cases():
    """Name → (what makes the bad input, what the sentence must say). Each gets a folder."""

    def pickled(folder, model, images):
        torch.save(nn.Sequential(nn.Linear(2, 2)), folder / "whole.pt")
        return arguments(folder / "whole.pt", images, folder / "out")

    def torchscript(folder, model, images):
        torch.jit.script(nn.Sequential(nn.Linear(2, 2))).save(str(folder / "script.pt"))
        return arguments(folder / "script.pt", images, folder / "out")

    def exported(folder, model, images):
        program = torch.export.export(nn.Linear(2, 2), (torch.zeros(1, 2),))
        torch.export.save(program, folder / "program.pt2")
        return arguments(folder / "program.pt2", images, folder / "out")

    def lying_header(folder, model, images):
        header = b'{"w":{"dtype":"F32","shape":[9999999,9999999],"data_offsets":[0,8]}}'
        content = len(header).to_bytes(8, "little") + header + b"\0" * 8
        (folder / "lying.safetensors").write_bytes(content)
        return arguments(folder / "lying.safetensors", images, folder / "out")

    def huge_header(folder, model, images):
        (folder / "huge.safetensors").write_bytes((1 << 60).to_bytes(8, "little") + b"{}")
        return arguments(folder / "huge.safetensors", images, folder / "out")

    def wrong_architecture(folder, model, images):
        return arguments(model, images, folder / "out", "--arch", "vgg11")

    def missing_keys(folder, model, images):
        torch.manual_seed(0)
        state = resnet18(num_classes=2).state_dict()
        for key in [k for k in state if k.startswith("layer3.1")]:
            del state[key]
        save_file(state, folder / "missing.safetensors")
        return arguments(folder / "missing.safetensors", images, folder / "out")

    def three_outputs(folder, model, images):
        save_network(folder / "three.safetensors", 3)
        return arguments(folder / "three.safetensors", images, folder / "out")

    def empty_folder(folder, model, images):
        (folder / "empty").mkdir()
        return ["audit", str(model), str(folder / "empty"), "--out", str(folder / "out")]

    def one_class(folder, model, images):
        (folder / "data" / "good").mkdir(parents=True)
        shutil.copy(images / "part000_0.png", folder / "data" / "good")
        return ["audit", str(model), str(folder / "data"), "--out", str(folder / "out")]

    def unreadable(folder, model, images):
        for name in ("good", "bad"):
            (folder / "data" / name).mkdir(parents=True)
            (folder / "data" / name / "x.png").write_bytes(b"nothing" + name.encode())
        out = ["--out", str(folder / "out")]
        return ["audit", str(model), str(folder / "data"), *INPUT, *QUICK, *out]

    def climbing_zip(folder, model, images):
        with zipfile.ZipFile(folder / "climb.zip", "w") as packed:
            packed.writestr("../good/1.png", b"x")
        return ["audit", str(model), str(folder / "climb.zip"), "--out", str(folder / "out")]

    def missing_columns(folder, model, images):
        (folder / "s.csv").write_text("file,camera\na.png,0\n")
        samples = ["--samples", str(folder / "s.csv")]
        return ["audit", str(model), str(images), *samples, "--out", str(folder / "out")]

    def missing_files(folder, model, images):
        (folder / "s.csv").write_text("path,label\npart000_0.png,0\nnowhere.png,1\n")
        samples = ["--samples", str(folder / "s.csv")]
        return ["audit", str(model), str(images), *samples, "--out", str(folder / "out")]

    def unknown_folders(folder, model, images):
        for name in ("alpha", "beta"):
            (folder / "data" / name).mkdir(parents=True)
            shutil.copy(images / "part000_0.png", folder / "data" / name)
        return ["audit", str(model), str(folder / "data"), "--out", str(folder / "out")]

    def out_is_a_file(folder, model, images):
        (folder / "taken").write_text("")
        return arguments(model, images, folder / "taken" / "out")

    def no_model(folder, model, images):
        return arguments(folder / "nowhere.pth", images, folder / "out")

    def bad_mask(folder, model, images):
        return arguments(model, images, folder / "out", "--mask", "top:3")

    def bad_layer(folder, model, images):
        return arguments(model, images, folder / "out", "--layer", "layer9")

    return {
        pickled: "save",
        torchscript: "save",
        exported: "save",
        lying_header: "lying.safetensors",
        huge_header: "huge.safetensors",
        wrong_architecture: "vgg11",
        missing_keys: "resnet18",
        three_outputs: "--good-index",
        empty_folder: "empty",
        one_class: "defective",
        unreadable: "can be read",
        climbing_zip: "climb.zip",
        missing_columns: "label",
        missing_files: "nowhere.png",
        unknown_folders: "--good",
        out_is_a_file: "--out",
        no_model: "nowhere.pth",
        bad_mask: "top:3",
        bad_layer: "layer4",
    }


@pytest.mark.parametrize(
    ("make", "says"), bad_cases().items(), ids=lambda value: getattr(value, "__name__", None)
)
def test_bad_input_is_one_sentence_and_leaves_nothing(
    make, says, model, images, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("TRUST_CORE_WORKSPACE", str(tmp_path / "workspace"))
    command = make(tmp_path, model, images)
    assert main([*command, "--json"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    sentence = printed.err.strip().splitlines()[-3:]
    assert says in " ".join(sentence)
    assert "Traceback" not in printed.err
    assert not (tmp_path / "out").exists()


def test_one_huge_image_is_a_row_and_the_rest_goes_on(model, images, tmp_path, capsys):
    """A PNG that claims 40,000 × 40,000 pixels is never decoded."""
    root = tmp_path / "images"
    shutil.copytree(images, root)
    tall = Image.fromarray(np.zeros((8, 8), dtype=np.uint8))
    tall.save(root / "part000_0.png")
    content = bytearray((root / "part000_0.png").read_bytes())
    content[16:24] = (40_000).to_bytes(4, "big") * 2
    import zlib

    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    (root / "part000_0.png").write_bytes(content)
    assert main(arguments(model, root, tmp_path / "a", "--json")) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["unreadable"] == 1
    assert sum(result["counts"].values()) == 23


def test_a_full_disk_is_one_sentence(model, images, tmp_path, capsys, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "savez", full)
    assert main(arguments(model, images, tmp_path / "a")) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


def test_three_outputs_are_audited_once_the_good_ones_are_named(images, tmp_path, capsys):
    save_network(tmp_path / "three.safetensors", 3)
    more = ["--good-index", "0", "--json"]
    assert main(arguments(tmp_path / "three.safetensors", images, tmp_path / "a", *more)) == 0
    by_p = json.loads(capsys.readouterr().out)["counts"]
    out = tmp_path / "b"
    assert main(arguments(tmp_path / "three.safetensors", images, out, *more, "--argmax")) == 0
    by_argmax = json.loads(capsys.readouterr().out)["counts"]
    assert sum(by_p.values()) == sum(by_argmax.values()) == 24


def test_a_wrong_option_is_one_sentence(capsys):
    for wrong in (["audit", "m", "d", "--size", "big"], ["audit", "m"], ["audti"], []):
        with pytest.raises(SystemExit) as stopped:
            main(wrong)
        assert stopped.value.code == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert "--help" in said


def test_a_damaged_audit_is_one_sentence(tmp_path, capsys):
    assert main(["tradeoff", str(tmp_path)]) == 2
    assert "holds no audit" in capsys.readouterr().err
    (tmp_path / "manifest.json").write_text("{")
    assert main(["tradeoff", str(tmp_path)]) == 2
    assert "damaged" in capsys.readouterr().err


def test_an_unknown_indicator_lists_the_known_ones(audit, capsys):
    assert main(["tradeoff", str(audit), "--indicator", "luck"]) == 2
    assert "iou_difference" in capsys.readouterr().err


def test_train_enters_no_curve(audit, capsys):
    assert main(["tradeoff", str(audit), "--role", "train"]) == 2
    assert "enter no curve" in capsys.readouterr().err


def test_groups_by_pattern_reach_the_table(model, images, tmp_path, capsys):
    with (images / "samples.csv").open() as file:
        rows = [(row["path"], row["label"]) for row in csv.DictReader(file)]
    table = tmp_path / "plain.csv"
    table.write_text("path,label\n" + "\n".join(f"{p},{y}" for p, y in rows))
    command = ["audit", str(model), str(images), "--samples", str(table), *INPUT, *QUICK]
    out = ["--out", str(tmp_path / "a"), "--group-pattern", r"(part\d+)_", "--json"]
    assert main([*command, *out]) == 0
    import pandas as pd

    samples = pd.read_parquet(tmp_path / "a" / "samples.parquet")
    assert samples["group"].nunique() == 12
    assert (samples.groupby("group")["role"].nunique() == 1).all()
