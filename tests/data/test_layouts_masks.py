"""Data sets whose masks tell labels, or stand beside class folders."""

from itertools import product

import numpy as np
import pytest

from tests.data.pictures import encode, mask, photo, png, write_all
from tests.data.sample_tables import kinds, labels, table
from trust_core.data.layouts import read_dataset
from trust_core.errors import DataError


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


def test_a_mask_whose_name_would_be_two_is_refused(tmp_path):
    write_all(tmp_path, masked_set("{}|a.jpg", "{}|a_mask.png"))
    with pytest.raises(DataError, match=r"0\|a_mask\.png: \| separates .* rename the file"):
        read_dataset(tmp_path)


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
        mixed = {0: viridis, 1: np.full_like(viridis, (253, 231, 36))}  # nothing, and everything?
        write_all(tmp_path, {f"{n}.jpg": photo(n, size=(32, 24)),
                             f"{n}_mask.png": encode(mixed.get(n, marked), "PNG")})  # fmt: skip
    with pytest.raises(DataError, match=r"everything or nothing.*--samples CSV"):
        read_dataset(tmp_path)
    for n in range(4):
        write_all(tmp_path, {f"{n}_mask.png": encode(np.full((24, 32), 255, np.uint8), "PNG")})
    with pytest.raises(DataError, match=r"4 of 4 mark more than half .* look inverted"):
        read_dataset(tmp_path)
    write_all(tmp_path, {"0_mask.png": mask(False, (32, 24))})  # all black: good, or defective?
    with pytest.raises(DataError, match=r"3 of 4 mark more than half .* look inverted"):
        read_dataset(tmp_path)


def test_a_png_mask_without_its_jpg_is_no_image(tmp_path):
    write_all(tmp_path, {"good/1.jpg": photo(1), "good/1.png": mask(False), "bad/2.jpg": photo(2),
                         "bad/2.png": mask(True), "bad/3.png": mask(True)})  # fmt: skip
    assert sorted(read_dataset(tmp_path).samples["path"]) == ["bad/2.jpg", "good/1.jpg"]


def test_a_photo_of_a_label_is_an_image(tmp_path):
    write_all(tmp_path, ["good/bottle_label.jpg", "bad/can_label.jpg"])
    assert len(read_dataset(tmp_path).samples) == 2


def test_class_masks_of_annotated_images_alone_leave_labels_open(tmp_path):
    """As CVAT exports Pascal VOC: images that nobody annotated may be good, or not looked at."""
    write_all(tmp_path, {f"JPEGImages/{n}.jpg": photo(n, size=(32, 24)) for n in range(4)})
    write_all(tmp_path, {f"SegmentationClass/{n}.png": mask(True) for n in range(2)})
    with pytest.raises(DataError, match=r"2 of 4 images have no mask .* add empty masks"):
        read_dataset(tmp_path)


def test_images_without_mask_and_class_are_not_guessed(tmp_path):
    write_all(tmp_path, {"1.jpg": photo(1), "1_mask.png": mask(True), "2.jpg": photo(2)})
    with pytest.raises(DataError, match=r"1 of 2 images has no mask \(2\.jpg\)"):
        read_dataset(tmp_path)


def test_a_mask_that_cannot_be_read_leaves_no_label(tmp_path):
    write_all(tmp_path, {"1.jpg": photo(1), "1_mask.png": mask(True), "2.jpg": photo(2),
                         "2_mask.png": b"no"})  # fmt: skip
    with pytest.raises(DataError, match=r"2_mask\.png .*not an image"):
        read_dataset(tmp_path)
