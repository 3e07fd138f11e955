"""Groups and roles of a data set as it is read."""

import pytest

from tests.data.pictures import png, write_all
from tests.data.sample_tables import table
from trust_core.data.layouts import read_dataset
from trust_core.data.samples import sample_id
from trust_core.errors import DataError, SettingsError


def test_groups_by_pattern(tmp_path):
    write_all(tmp_path, ["good/p1_a.png", "good/p1_b.png", "bad/p2_a.png", "bad/x.png"])
    dataset = read_dataset(tmp_path, group_pattern=r"p\d+")
    groups = table(dataset, "group")
    assert groups["good/p1_a.png"] == groups["good/p1_b.png"] == {"group": "p1"}
    assert groups["bad/x.png"] == {"group": sample_id("bad/x.png")}
    assert "The group pattern is not found in 1 of 4 paths" in " ".join(dataset.notes)


def test_identical_images_are_one_group(tmp_path):
    write_all(tmp_path, {"train/good/1.png": png(1), "test/good/2.png": png(1),
                         "test/bad/3.png": png(2), "test/bad/4.png": png(3)})  # fmt: skip
    dataset = read_dataset(tmp_path)
    rows = table(dataset, "group", "role")
    assert rows["train/good/1.png"] == rows["test/good/2.png"]
    assert rows["test/good/2.png"]["role"] == "train"
    notes = " ".join(dataset.notes)
    assert "2 images are byte-identical copies" in notes
    assert "1 image moved (1 from test)" in notes


def test_without_groups_the_user_is_told(tmp_path):
    write_all(tmp_path, ["good/1.png", "bad/1.png"])
    assert "every image counts as a part of its own" in " ".join(read_dataset(tmp_path).notes)


def test_group_settings_that_contradict(tmp_path):
    with pytest.raises(SettingsError, match="either --group-column or --group-pattern"):
        read_dataset(tmp_path, group_column="a", group_pattern="b")
    with pytest.raises(SettingsError, match="add --samples CSV"):
        read_dataset(tmp_path, group_column="a")


def test_roles_file(tmp_path):
    write_all(tmp_path / "set", [f"{split}/{name}/{n}.png" for split in ("train", "val", "test")
                                 for name in ("good", "bad") for n in range(3)])  # fmt: skip
    roles = tmp_path / "roles.csv"
    roles.write_text("path,role\nval/good/0.png,certify\ntrain/bad/1.png,Test\n")
    dataset = read_dataset(tmp_path / "set", roles=roles)
    rows = table(dataset, "split", "role")
    assert rows["val/good/0.png"] == {"split": "val", "role": "certify"}
    assert rows["train/bad/1.png"] == {"split": "train", "role": "test"}
    assert rows["val/bad/0.png"] == {"split": "val", "role": "tune"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("path\ngood/1.png\n", r"roles\.csv has no column role; its columns are path\."),
        ("path,role\ngood/1.png,seen\n", r"roles\.csv: unknown role 'seen'; use train"),
        ("path,role\ngood/9.png,train\n", r"1 of 1 image that roles\.csv names is not in"),
        ("path,role\npreview.png,train\n", "names 1 image not part of the data set"),
        ("path,role\ngood/1.png,train\ngood/1.png,test\n", "more than once"),
    ],
)
def test_roles_files_that_do_not_fit(tmp_path, text, sentence):
    write_all(tmp_path / "set", ["good/1.png", "bad/1.png", "preview.png"])
    (tmp_path / "roles.csv").write_text(text)
    with pytest.raises(DataError, match=sentence):
        read_dataset(tmp_path / "set", roles=tmp_path / "roles.csv")
