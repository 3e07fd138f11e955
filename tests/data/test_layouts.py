import hashlib
import os
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.data.pictures import encode, mask, photo, png, write_all
from trust_core.data.layouts import read_dataset
from trust_core.data.samples import SAMPLE_COLUMNS, sample_id
from trust_core.errors import DataError, LabelsNeeded, SettingsError


def table(dataset, *columns):
    return dataset.samples.set_index("path")[list(columns)].sort_index().to_dict("index")


def labels(dataset):
    return dataset.samples.set_index("path")["label"].sort_index().to_dict()


def kinds(dataset):
    return dataset.samples.set_index("path")["kind"].sort_index().to_dict()


# class folders


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


# masks


def test_mvtec(tmp_path):
    write_all(
        tmp_path / "bottle",
        ["train/good/000.png", "train/good/001.png", "test/good/000.png", "test/broken/000.png",
         "test/broken/001.png", "test/contamination/000.png", "ground_truth/broken/000_mask.png",
         "ground_truth/broken/001_mask.png", "ground_truth/contamination/000_mask.png"],
    )  # fmt: skip
    for source, prefix in ((tmp_path / "bottle", ""), (tmp_path, "bottle/")):
        dataset = read_dataset(source)
        assert dataset.layout == "MVTec"
        assert dataset.good == ("good",)
        rows = table(dataset, "label", "kind", "split", "mask_path")
        assert len(rows) == 6
        assert rows[f"{prefix}test/broken/001.png"] == {
            "label": 1, "kind": "broken", "split": "test",
            "mask_path": f"{prefix}ground_truth/broken/001_mask.png",
        }  # fmt: skip
        assert rows[f"{prefix}test/good/000.png"]["mask_path"] == ""
        assert rows[f"{prefix}train/good/000.png"]["mask_path"] == ""
        assert set(dataset.samples.query("split == 'train'")["role"]) == {"train"}


def test_mvtec_masks_belong_to_test_images(tmp_path):
    images = [f"{split}/{name}/0.png" for split in ("train", "test") for name in ("good", "hole")]
    write_all(tmp_path, [*images, "ground_truth/hole/0_mask.png"])
    rows = table(read_dataset(tmp_path), "mask_path")
    assert rows["test/hole/0.png"]["mask_path"] == "ground_truth/hole/0_mask.png"
    assert rows["train/hole/0.png"]["mask_path"] == ""


def test_btad_and_visa_folders(tmp_path):
    write_all(tmp_path / "btad", ["train/ok/1.bmp", "test/ok/2.bmp", "test/ko/3.bmp",
                                  "ground_truth/ko/3.png"])  # fmt: skip
    assert table(read_dataset(tmp_path / "btad"), "mask_path")["test/ko/3.bmp"] == {
        "mask_path": "ground_truth/ko/3.png"
    }
    write_all(tmp_path / "visa", ["Data/Images/Normal/0.JPG", "Data/Images/Anomaly/0.JPG",
                                  "Data/Masks/Anomaly/0.png"])  # fmt: skip
    visa = read_dataset(tmp_path / "visa")
    assert labels(visa) == {"Data/Images/Anomaly/0.JPG": 1, "Data/Images/Normal/0.JPG": 0}
    assert table(visa, "mask_path")["Data/Images/Anomaly/0.JPG"]["mask_path"].endswith("0.png")


def test_kolektor(tmp_path):
    """`kosNN/PartM.jpg` beside `PartM_label.bmp`: masks tell the label, the folder is the part."""
    for part in (1, 2):
        for side in (0, 1):
            name = f"kos{part:02}/Part{side}"
            label = mask(part == 1 and side == 1, form="BMP")
            write_all(tmp_path, {f"{name}.jpg": photo(9 * part + side), f"{name}_label.bmp": label})
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "image beside mask"
    assert dataset.good == ()
    assert table(dataset, "label", "kind", "group", "mask_path") == {
        f"kos{part:02}/Part{side}.jpg": {
            "label": int(part == 1 and side == 1), "kind": "", "group": f"kos{part:02}",
            "mask_path": f"kos{part:02}/Part{side}_label.bmp",
        }
        for part in (1, 2) for side in (0, 1)
    }  # fmt: skip


def test_kolektor_2(tmp_path):
    """`train/N.png` beside `N_GT.png`."""
    write_all(
        tmp_path,
        {f"{split}/{number}.png": photo(number, "PNG") for split, number in PLACES}
        | {f"{split}/{number}_GT.png": mask(number % 2 == 1) for split, number in PLACES},
    )
    dataset = read_dataset(tmp_path)
    assert table(dataset, "label", "split", "mask_path") == {
        f"{split}/{number}.png": {
            "label": number % 2, "split": split, "mask_path": f"{split}/{number}_GT.png",
        }
        for split, number in PLACES
    }  # fmt: skip


PLACES = [("train", 10), ("train", 11), ("test", 20), ("test", 21), ("test", 22)]


@pytest.mark.parametrize(("image", "beside"), [
    ("{}.jpg", "{}.png"), ("{}.jpg", "{}_mask.png"), ("images/{}.png", "masks/{}.png"),
    ("images/{}.jpg", "masks/{}_mask.png"), ("{}.png", "{}.bmp"), ("{}.BMP", "{}.PNG"),
])  # fmt: skip
def test_flat_images_with_masks(tmp_path, image, beside):
    forms = {".jpg": "JPEG", ".png": "PNG", ".bmp": "BMP"}
    form, mask_form = (forms[name[-4:].lower()] for name in (image, beside))
    write_all(
        tmp_path,
        {image.format(n): photo(n, form) for n in range(4)}
        | {beside.format(n): mask(n > 1, form=mask_form) for n in range(4)},
    )
    dataset = read_dataset(tmp_path)
    assert labels(dataset) == {image.format(n): int(n > 1) for n in range(4)}
    assert table(dataset, "mask_path") == {
        image.format(n): {"mask_path": beside.format(n)} for n in range(4)
    }
    assert "2 of 4 images have a mask that is not empty" in dataset.notes[0]


def test_class_folders_decide_where_they_are_known(tmp_path):
    """As in the magnetic tiles: an empty mask of a defective image leaves it defective."""
    places = [f"MT_{kind}/Imgs/{n}" for kind in ("Free", "Fray") for n in (1, 2)]
    write_all(tmp_path, {f"{place}.jpg": photo(n) for n, place in enumerate(places)})
    write_all(tmp_path, {f"{place}.png": mask(False) for place in places})
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "class folders"
    assert dataset.good == ("MT_Free",)
    assert kinds(dataset)["MT_Fray/Imgs/1.jpg"] == "MT_Fray"
    assert table(dataset, "mask_path")["MT_Free/Imgs/2.jpg"]["mask_path"] == "MT_Free/Imgs/2.png"


def test_masks_tell_labels_and_folders_the_kind_when_names_are_unknown(tmp_path):
    write_all(
        tmp_path,
        {f"{name}/{n}.jpg": photo(n + 9 * len(name)) for name in ("gut", "riss") for n in (1, 2)}
        | {f"{name}/{n}.png": mask(name == "riss") for name in ("gut", "riss") for n in (1, 2)},
    )
    assert kinds(read_dataset(tmp_path)) == {
        "gut/1.jpg": "", "gut/2.jpg": "", "riss/1.jpg": "riss", "riss/2.jpg": "riss",
    }  # fmt: skip


def test_two_photos_of_one_name_are_two_images(tmp_path):
    write_all(tmp_path, {"good/1.jpg": photo(1), "good/1.png": photo(2, "PNG"),
                         "bad/1.jpg": photo(3)})  # fmt: skip
    assert len(read_dataset(tmp_path).samples) == 3


def test_a_mask_without_its_image_is_no_image(tmp_path):
    write_all(
        tmp_path,
        {"good/1.jpg": photo(1), "good/1_mask.png": mask(False), "bad/2.jpg": photo(2),
         "bad/2_mask.png": mask(True), "bad/3_mask.png": mask(True)},
    )  # fmt: skip
    dataset = read_dataset(tmp_path)
    assert len(dataset.samples) == 2
    assert "Left out: 1 mask belongs to no image (bad/3_mask.png)." in dataset.notes


def masked_set(image: str, beside: str, count: int = 4) -> dict[str, bytes]:
    """Photos and masks by number; one pixel of the later half is marked."""
    return {image.format(n): photo(n, size=(32, 24)) for n in range(count)} | {
        beside.format(n): mask(n >= count // 2, size=(32, 24)) for n in range(count)
    }


@pytest.mark.parametrize(("image", "beside"), [
    ("{}.jpg", "{}_segmentation.png"), ("{}.jpg", "{}_seg.png"), ("{}.jpg", "{}-mask.png"),
    ("{}.jpg", "{}_bw.png"), ("{}.jpg", "{} GT.png"), ("{}.jpg", "{}.mask.png"),
    ("{}.jpg", "mask_{}.png"), ("{}.jpg", "{}_defect_mask.png"), ("{}.jpg", "{}mask.png"),
    ("{}_image.jpg", "{}_mask.png"), ("img_{}.jpg", "gt_{}.png"), ("{}.jpg", "{}_mask_1.png"),
    ("images/{}.jpg", "segmentations/{}_seg.png"), ("images/{}.jpg", "ground truth/gt_{}.png"),
    ("images/{}.jpg", "masks_png/{}-0.png"), ("rgb/{}.jpg", "Labels/{}/0.png"),
    ("a/{}.jpg", "a_masks/{}.png"), ("a/images/{}.jpg", "a/SegmentationClass/{}.png"),
])  # fmt: skip
def test_masks_as_tools_name_them(tmp_path, image, beside):
    write_all(tmp_path, masked_set(image, beside))
    dataset = read_dataset(tmp_path)
    assert labels(dataset) == {image.format(n): int(n > 1) for n in range(4)}
    assert table(dataset, "mask_path") == {
        image.format(n): {"mask_path": beside.format(n)} for n in range(4)
    }


@pytest.mark.parametrize("beside", ["bad/{}_mask_{}.png", "masks/bad/{}_{}.png",
                                    "ground_truth/bad/{}/{}.png", "bad/{}_{}_seg.png"])  # fmt: skip
def test_several_masks_of_one_image(tmp_path, beside):
    write_all(tmp_path, {f"good/{n}.jpg": photo(n, size=(32, 24)) for n in range(3)})
    write_all(tmp_path, {f"bad/{n}.jpg": photo(9 + n, size=(32, 24)) for n in range(3)})
    write_all(tmp_path, {beside.format(n, k): mask(True) for n in range(3) for k in range(2)})
    dataset = read_dataset(tmp_path)
    rows = table(dataset, "mask_path", "label")
    assert len(rows) == 6
    assert rows["bad/1.jpg"] == {
        "label": 1, "mask_path": "|".join(beside.format(1, k) for k in range(2)),
    }  # fmt: skip
    assert "3 images have several masks; all that they mark counts." in dataset.notes


def test_one_folder_of_masks_an_image_below_splits(tmp_path):
    """As in MVTec LOCO."""
    for kind in ("logical_anomalies", "structural_anomalies"):
        write_all(tmp_path, {f"test/{kind}/{n:03}.png": photo(n, "PNG") for n in range(2)})
        write_all(
            tmp_path,
            {f"ground_truth/{kind}/{n:03}/{k:03}.png": mask(True, value=236)
             for n in range(2) for k in range(n + 1)},
        )  # fmt: skip
    for split in ("train", "validation", "test"):
        write_all(tmp_path, {f"{split}/good/{n:03}.png": photo(n + 9, "PNG") for n in range(2)})
    rows = table(read_dataset(tmp_path), "label", "mask_path")
    assert sum(row["label"] for row in rows.values()) == 4
    assert rows["test/logical_anomalies/001.png"]["mask_path"] == (
        "ground_truth/logical_anomalies/001/000.png|ground_truth/logical_anomalies/001/001.png"
    )


def test_splits_with_a_word_behind_them(tmp_path):
    """As in MVTec AD 2; what lies in no class folder has no label."""
    write_all(
        tmp_path,
        [
            "train/good/0.png",
            "test_public/good/0.png",
            "test_public/bad/0.png",
            "test_public/ground_truth/bad/0_mask.png",
            "test_private/7.png",
        ],
    )
    rows = table(read_dataset(tmp_path), "label", "role", "mask_path")
    assert rows["test_public/bad/0.png"]["mask_path"] == "test_public/ground_truth/bad/0_mask.png"
    assert "test_private/7.png" not in rows


@pytest.mark.parametrize("name", ["label", "mask", "bin", "seg", "missing_label"])
@pytest.mark.parametrize("first", [0, 100])  # the same file names in each class, or other ones
def test_a_kind_of_defect_may_be_called_like_masks(tmp_path, name, first):
    for k, folder in enumerate(("good", name, "dent")):
        numbers = range(k * first, k * first + 6)
        write_all(
            tmp_path, {f"{folder}/{n}.png": photo(999 * k + n, "PNG", (32, 24)) for n in numbers}
        )
    dataset = read_dataset(tmp_path)
    assert dataset.samples["kind"].value_counts().to_dict() == {"": 6, name: 6, "dent": 6}
    assert (dataset.samples["mask_path"] == "").all()


def test_masks_in_another_tree(tmp_path):
    for k, (split, name) in enumerate(product(("train", "test"), ("normal", "anomalous"))):
        write_all(
            tmp_path,
            {f"{split}/c/{name}/{n}.png": photo(9 * k + n, "PNG", (32, 24)) for n in range(3)}
            | {f"{split}_maps/c/{name}/{n}.png": mask(name != "normal") for n in range(3)},
        )
    rows = table(read_dataset(tmp_path), "mask_path")
    assert len(rows) == 12
    assert rows["test/c/anomalous/1.png"]["mask_path"] == "test_maps/c/anomalous/1.png"


def test_flat_masks_of_class_folders(tmp_path):
    write_all(tmp_path, {f"good/{n}.jpg": photo(n, size=(32, 24)) for n in range(3)})
    write_all(tmp_path, {f"crack/{n}.jpg": photo(n, size=(32, 24)) for n in range(10, 13)})
    write_all(tmp_path, {f"masks/{n}.png": mask(True) for n in range(10, 14)})
    dataset = read_dataset(tmp_path)
    assert table(dataset, "mask_path")["crack/11.jpg"]["mask_path"] == "masks/11.png"
    assert len(dataset.samples) == 6
    assert "Left out: 1 mask belongs to no image (masks/13.png)." in dataset.notes


@pytest.mark.parametrize(
    "form",
    [
        *("NG/{0}_roi.png", "NG/{0}Matte.png", "NG/{0}_mask_a.png", "NG/lbl_{0}.png"),
        *(
            "NG/{0}(defect).png",
            "NG/{0}_マスク.png",
            "lbls/{0}.png",
            "SegmentationClassPNG/{0}.png",
        ),
        *("TrainMasks/NG/{0}.png", "маски/{0}.png"),
    ],
)
def test_masks_that_no_known_word_names(tmp_path, form):
    files = {f"good/p{n}.jpg": photo(n) for n in range(3)}
    files |= {f"NG/p{n}.jpg": photo(n) for n in range(10, 13)}
    files |= {form.format(f"p{n}"): mask(True) for n in range(10, 13)}
    dataset = read_dataset(write_all(tmp_path, files))
    found = dataset.samples.set_index("path")["mask_path"].to_dict()
    assert found == {f"good/p{n}.jpg": "" for n in range(3)} | {
        f"NG/p{n}.jpg": form.format(f"p{n}") for n in range(10, 13)
    }
    first = f"e.g. {form.format('p10')} of NG/p10.jpg."
    words = "3 pictures were taken as masks by few colours and the names of photographs"
    assert f"{words}, {first}" in dataset.notes


def test_photographs_and_empty_pictures_of_the_same_names_are_parts(tmp_path):
    files = {f"good/{n}.jpg": photo(n) for n in range(4)}
    files |= {f"good/{n}_left.jpg": photo(n + 4) for n in range(4)}
    files |= {f"no picture/{n}.png": png(0, (8, 6)) for n in range(4)}
    dataset = read_dataset(write_all(tmp_path, files))
    assert len(dataset.samples) == 12
    assert (dataset.samples["mask_path"] == "").all()


def test_a_folder_that_may_hold_masks_of_several_is_told(tmp_path):
    files = {f"{name}/{n}.jpg": photo(n + len(name)) for n in range(4) for name in ("good", "NG")}
    files |= {f"Flat/{n}.png": mask(True) for n in range(4)}
    dataset = read_dataset(write_all(tmp_path, files))
    assert len(dataset.samples) == 12
    assert any(
        note.startswith("Look at Flat: its pictures have few colours") for note in dataset.notes
    )


def test_masks_without_any_image_are_no_parts(tmp_path):
    write_all(
        tmp_path,
        {f"{name}/{n}.jpg": photo(n + len(name), size=(32, 24))
         for name in ("good", "bad") for n in range(3)}
        | {f"masks/scan {n}.png": mask(True) for n in range(40, 43)},
    )  # fmt: skip
    dataset = read_dataset(tmp_path)
    assert len(dataset.samples) == 6
    assert any(note.startswith("Left out: 3 masks belong to no image") for note in dataset.notes)


def test_doubtful_masks_are_told_with_counts(tmp_path):
    write_all(tmp_path, {f"good/{n}.jpg": photo(n, size=(32, 24)) for n in range(2)})
    write_all(tmp_path, {f"bad/{n}.jpg": photo(9 + n, size=(32, 24)) for n in range(4)})
    inverted = np.full((24, 32), 255, np.uint8)
    inverted[3, 3] = 0
    write_all(tmp_path, {f"bad/{n}_mask.png": encode(inverted, "PNG") for n in range(2)})
    write_all(tmp_path, {"bad/2_mask.png": mask(False), "good/1_mask.png": mask(True)})
    notes = read_dataset(tmp_path).notes
    assert (
        "Look at 2 of 4 masks, e.g. bad/0_mask.png: more than half of the picture is marked, as in "
        "inverted masks." in notes
    )
    assert "1 mask of a defective image marks nothing, of 4, e.g. bad/2_mask.png." in notes
    assert "1 mask of a good image marks something, of 4, e.g. good/1_mask.png." in notes


def test_labels_from_masks_that_cannot_be_told_are_refused(tmp_path):
    viridis = np.full((24, 32, 3), (68, 1, 84), np.uint8)
    marked = viridis.copy()
    marked[3, 3] = (253, 231, 36)
    for n in range(4):
        write_all(tmp_path, {f"{n}.jpg": photo(n, size=(32, 24)),
                             f"{n}_mask.png": encode(marked if n else viridis, "PNG")})  # fmt: skip
    with pytest.raises(DataError, match=r"everything or nothing.*--samples CSV"):
        read_dataset(tmp_path)
    for n in range(4):
        write_all(tmp_path, {f"{n}_mask.png": encode(np.full((24, 32), 255, np.uint8), "PNG")})
    with pytest.raises(DataError, match=r"all 4 mark more than half .* look inverted"):
        read_dataset(tmp_path)


def test_a_png_mask_without_its_jpg_is_no_image(tmp_path):
    write_all(tmp_path, {"good/1.jpg": photo(1), "good/1.png": mask(False), "bad/2.jpg": photo(2),
                         "bad/2.png": mask(True), "bad/3.png": mask(True)})  # fmt: skip
    assert sorted(read_dataset(tmp_path).samples["path"]) == ["bad/2.jpg", "good/1.jpg"]


def test_a_photo_of_a_label_is_an_image(tmp_path):
    write_all(tmp_path, ["good/bottle_label.jpg", "bad/can_label.jpg"])
    assert len(read_dataset(tmp_path).samples) == 2


def test_images_without_mask_and_class_are_not_guessed(tmp_path):
    write_all(tmp_path, {"1.jpg": photo(1), "1_mask.png": mask(True), "2.jpg": photo(2)})
    with pytest.raises(DataError, match=r"1 of 2 images has no mask \(2\.jpg\)"):
        read_dataset(tmp_path)


def test_a_mask_that_cannot_be_read_leaves_no_label(tmp_path):
    write_all(tmp_path, {"1.jpg": photo(1), "1_mask.png": mask(True), "2.jpg": photo(2),
                         "2_mask.png": b"no"})  # fmt: skip
    with pytest.raises(DataError, match=r"2_mask\.png .*not an image"):
        read_dataset(tmp_path)


# groups and roles


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
