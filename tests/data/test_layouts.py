import hashlib
import os
from pathlib import Path

import pandas as pd
import pytest

from tests.data.pictures import photo, png, write_all
from tests.data.sample_tables import kinds, labels, table
from trust_core.data.layouts import read_dataset
from trust_core.data.samples import SAMPLE_COLUMNS, sample_id
from trust_core.errors import DataError, LabelsNeeded


def test_the_table_has_its_columns_types_and_order(tmp_path):
    write_all(tmp_path, {"good/1.png": png(1), "crack/1.png": png(2), "crack/2.png": png(3)})
    dataset = read_dataset(tmp_path)
    samples = dataset.samples
    assert tuple(samples) == SAMPLE_COLUMNS
    assert str(samples["label"].dtype) == "int8"
    assert samples["sample_id"].is_monotonic_increasing
    assert samples["sample_id"].tolist() == [sample_id(path) for path in samples["path"]]
    assert samples["group"].tolist() == samples["sample_id"].tolist()
    for row in samples.itertuples():
        content = (tmp_path / row.path).read_bytes()
        assert row.sha256 == hashlib.sha256(content).hexdigest()
    assert (samples["split"] == "").all()
    assert dataset.root == tmp_path
    assert dataset.layout == "class folders"
    assert dataset.good == ("good",)
    assert "Taken as good: good; as defective: crack (2)." in dataset.notes


def test_folder_order_never_decides(tmp_path):
    write_all(tmp_path, ["a_bad/1.png", "ok/1.png", "z_bad/1.png"])
    assert labels(read_dataset(tmp_path)) == {"a_bad/1.png": 1, "ok/1.png": 0, "z_bad/1.png": 1}


def test_the_class_folder_holds_all_that_is_nested_below(tmp_path):
    write_all(tmp_path, ["good/a/b/1.png", "good/2.png", "crack/camera 1/x/3.png"])
    dataset = read_dataset(tmp_path)
    assert labels(dataset) == {"crack/camera 1/x/3.png": 1, "good/2.png": 0, "good/a/b/1.png": 0}
    assert kinds(dataset)["crack/camera 1/x/3.png"] == "crack"


def test_wrapping_folders_are_entered(tmp_path):
    write_all(tmp_path, ["set/v1/good/1.png", "set/v1/hole/1.png"])
    assert kinds(read_dataset(tmp_path)) == {"set/v1/good/1.png": "", "set/v1/hole/1.png": "hole"}


def test_classes_below_lines_or_products(tmp_path):
    write_all(tmp_path, ["line 1/ok/1.png", "line 1/nok/1.png", "line 2/ok/1.png"])
    assert labels(read_dataset(tmp_path)) == {
        "line 1/nok/1.png": 1, "line 1/ok/1.png": 0, "line 2/ok/1.png": 0,
    }  # fmt: skip


def test_class_names_are_compared_without_case(tmp_path):
    write_all(tmp_path, ["train/Good/1.png", "test/good/2.png", "test/Crack/3.png",
                         "train/crack/4.png"])  # fmt: skip
    dataset = read_dataset(tmp_path)
    assert dataset.good == ("Good",)
    assert set(kinds(dataset).values()) == {"", "Crack"}
    assert set(table(dataset, "split")["train/Good/1.png"].values()) == {"train"}


def test_split_folders_above_and_below_the_class(tmp_path):
    write_all(tmp_path / "above", ["Train/good/1.png", "Val/bad/1.png", "Test/good/1.png"])
    write_all(tmp_path / "below", ["good/Train/1.png", "bad/Val/1.png", "good/Test/1.png"])
    for name in ("above", "below"):
        samples = read_dataset(tmp_path / name).samples
        assert sorted(samples["split"]) == ["Test", "Train", "Val"]
        assert samples.set_index("split")["label"].to_dict() == {"Train": 0, "Val": 1, "Test": 0}
        assert samples.set_index("split").loc["Train", "role"] == "train"


def test_folders_that_mix_splits_and_others(tmp_path):
    write_all(tmp_path, ["train/good/1.png", "line_2/bad/1.png"])
    with pytest.raises(DataError, match=r"like splits \(train\) and others .* \(line_2\)"):
        read_dataset(tmp_path)


def test_unknown_names_are_asked_for_and_then_known(tmp_path):
    write_all(tmp_path, ["gut/1.png", "gut/2.png", "riss/1.png"])
    with pytest.raises(LabelsNeeded, match=r"gut \(2\), riss \(1\)") as caught:
        read_dataset(tmp_path)
    assert caught.value.folders == {"gut": 2, "riss": 1}
    dataset = read_dataset(tmp_path, good=["Gut"])
    assert dataset.good == ("gut",)
    assert labels(dataset) == {"gut/1.png": 0, "gut/2.png": 0, "riss/1.png": 1}


def test_a_good_folder_that_is_not_there(tmp_path):
    write_all(tmp_path, ["a/1.png", "b/1.png"])
    with pytest.raises(DataError, match=r"--good c: there is no such folder; found a, b\."):
        read_dataset(tmp_path, good=["c"])
    write_all(tmp_path / "flat", ["1.png"])
    with pytest.raises(DataError, match=r"no such folder; found none\."):
        read_dataset(tmp_path / "flat", good=["c"])


@pytest.mark.parametrize(("name", "word"), [("good", "good"), ("ok", "good")])
def test_one_class_only(tmp_path, name, word):
    write_all(tmp_path, [f"{name}/1.png", f"{name}/2.png"])
    with pytest.raises(DataError, match=f"All 2 images of .* are {word}"):
        read_dataset(tmp_path)


def test_no_images_and_no_folder(tmp_path):
    with pytest.raises(DataError, match="holds no images"):
        read_dataset(tmp_path)
    with pytest.raises(DataError, match="is not there"):
        read_dataset(tmp_path / "none")
    write_all(tmp_path, {"data.zip": b"", "read.me": b""})
    with pytest.raises(DataError, match=r"data\.zip is a file, not a folder"):
        read_dataset(tmp_path / "data.zip")
    with pytest.raises(DataError, match="among its 2 files"):
        read_dataset(tmp_path)


def test_nothing_that_tells_labels(tmp_path):
    write_all(tmp_path, ["1.png", "2.png"])
    with pytest.raises(DataError, match="no class folders and no masks"):
        read_dataset(tmp_path)


def test_what_is_left_out_is_told(tmp_path):
    write_all(tmp_path, ["good/1.png", "bad/1.png", "preview.png", "a.csv", "x.txt", "bad/n.txt"])
    write_all(
        tmp_path, ["good/.DS_Store", "__MACOSX/good/._1.png", "bad/Thumbs.db", ".x/bad/1.png"]
    )
    dataset = read_dataset(tmp_path)
    assert len(dataset.samples) == 2
    notes = " ".join(dataset.notes)
    assert "1 image lies outside of the class folders and was left out (preview.png)." in notes
    assert "Tables beside the images were not read (a.csv)" in notes
    assert "Files that are no images were left out (.txt 2)." in notes


def test_a_loop_of_links_ends(tmp_path):
    write_all(tmp_path, ["good/1.png", "bad/1.png"])
    (tmp_path / "bad" / "again").symlink_to(tmp_path)
    assert len(read_dataset(tmp_path).samples) == 2


def test_a_name_that_is_no_text(tmp_path):
    write_all(tmp_path, ["good/1.png", "bad/1.png"])
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad/\xff.png")).touch()
    with pytest.raises(DataError, match="not valid UTF-8"):
        read_dataset(tmp_path)


def test_names_that_differ_only_in_spelling(tmp_path):
    write_all(tmp_path, ["good/1.png", "bad/\u00e9.png", "bad/e\u0301.png"])
    with pytest.raises(DataError, match="differ only in spelling"):
        read_dataset(tmp_path)


def test_a_file_that_cannot_be_read_stays_a_row(tmp_path, monkeypatch):
    write_all(tmp_path, ["good/1.png", "bad/1.png", "bad/2.png"])
    plain_open = open

    def refuse(path, *args, **options):
        if str(path).endswith("2.png"):
            raise PermissionError(path)
        return plain_open(path, *args, **options)

    monkeypatch.setattr("builtins.open", refuse)
    samples = read_dataset(tmp_path).samples
    assert samples.set_index("path")["sha256"].eq("").to_dict() == {
        "good/1.png": False, "bad/1.png": False, "bad/2.png": True,
    }  # fmt: skip


def test_the_table_depends_on_paths_and_content_only(tmp_path):
    paths = ["good/1.png", "good/2.png", "bad/1.png"]
    write_all(tmp_path / "a", paths)
    write_all(tmp_path / "b", paths[::-1])
    pd.testing.assert_frame_equal(
        read_dataset(tmp_path / "a").samples, read_dataset(tmp_path / "b").samples
    )


@pytest.mark.parametrize("linked", ["file", "folder"])
@pytest.mark.parametrize("by_table", [True, False])
def test_links_stay_inside_of_the_data_folder(tmp_path: Path, linked: str, by_table: bool):
    root, other = tmp_path / "data", tmp_path / "other"
    for folder in (root / "good", root / "bad", other):
        folder.mkdir(parents=True)
        (folder / "1.png").write_bytes(photo(len(folder.name), "PNG"))
    (root / "bad" / "again.png").symlink_to(root / "bad" / "1.png")  # inside: nothing to say
    target = other / "1.png" if linked == "file" else other
    name = "2.png" if linked == "file" else "more"
    (root / "bad" / name).symlink_to(target)
    table = None
    if by_table:
        table = tmp_path / "samples.csv"
        path = "bad/2.png" if linked == "file" else "bad/more/1.png"
        table.write_text(f"path,label\ngood/1.png,0\nbad/1.png,1\n{path},1\n")
    with pytest.raises(DataError, match="link that leads out of the data folder"):
        read_dataset(root, samples=table)
    (root / "bad" / name).unlink()
    if not by_table:
        assert len(read_dataset(root).samples) == 3


def test_pictures_in_formats_that_are_not_read_are_told(tmp_path):
    write_all(tmp_path, [*(f"good/{n}.gif" for n in range(3)), *(f"bad/{n}.png" for n in range(2))])
    with pytest.raises(
        DataError, match=r"Only bad .* 3 pictures in \.gif are not: save them as PNG"
    ):
        read_dataset(tmp_path)
    write_all(tmp_path, ["good/1.png", "bad/7.HEIC"])
    notes = read_dataset(tmp_path).notes
    assert "4 pictures in .gif, .heic are not read and were left out; save them as PNG." in notes


@pytest.mark.parametrize(
    "file", ["annotations/instances.json", "labels/1.txt", "Annotations/1.xml"]
)
def test_annotations_beside_images_are_named(tmp_path, file):
    write_all(tmp_path, ["images/1.jpg", "images/2.jpg", file])
    ending = file[file.index(".") :]
    with pytest.raises(DataError, match=rf"Annotations in \{ending} files .* export them as masks"):
        read_dataset(tmp_path)
