"""What is learnt from: train and tune alone, decoded once, drawn fairly, refused in a sentence."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from tests.parts import SIDE, parts_dataset
from trust_core.data.mask_decoding import read_mask
from trust_core.errors import DataError
from trust_core.model.preprocessing import Preprocessing
from trust_core.model.training.examples import (
    TABLE,
    check_learnable,
    order,
    prepare_images,
    reduced,
    with_train_role,
)

GREY = Preprocessing((32, 64), channels="grey")


@pytest.fixture
def dataset(tmp_path):
    return parts_dataset(tmp_path / "data")


def first(dataset, *, label: int, role: str = "train"):
    """Path of image and mask of one sample."""
    samples = dataset.samples
    row = samples[(samples["label"] == label) & (samples["role"] == role)].iloc[0]
    return dataset.root / row["path"], dataset.root / row["mask_path"]


def prepared(dataset, tmp_path, **options):
    return prepare_images(dataset, GREY, tmp_path / "cache", **{"masks": True} | options)


def test_holds_the_images_of_train_and_tune_only(dataset, tmp_path):
    data = prepared(dataset, tmp_path)
    wanted = dataset.samples[dataset.samples["role"].isin(["train", "tune"])]
    assert data.table["path"].tolist() == wanted["path"].tolist()
    assert len(data.rows("train")) + len(data.rows("tune")) == len(data.table)
    assert set(data.table["role"]) == {"train", "tune"}
    for row in (0, 7):
        image = Image.open(dataset.root / data.table["path"][row])
        np.testing.assert_array_equal(data.pixels[row], GREY.pixels(image))
    pixels, masks, labels, known = data.batch(np.array([0, 7, 3]))
    assert pixels.shape == (3, 1, 32, 64)
    assert 0 <= pixels.min() < pixels.max() <= 1
    assert masks.flatten(1).any(1).tolist() == labels.bool().tolist()
    assert known.all()
    assert data.notes == ()


def test_is_decoded_once(dataset, tmp_path):
    before = prepared(dataset, tmp_path)
    for path in dataset.samples["path"]:
        (dataset.root / path).unlink()
    again = prepared(dataset, tmp_path)
    np.testing.assert_array_equal(before.pixels, again.pixels)
    pd.testing.assert_frame_equal(before.table, again.table)


def test_a_cache_that_was_not_finished_is_made_anew(dataset, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "pixels.npy").write_bytes(b"half")
    assert len(prepared(dataset, tmp_path).pixels) == len(prepared(dataset, tmp_path).table)


def test_masks_are_reduced_by_their_maximum():
    thin = torch.zeros(1, 1, 96, 96)
    thin[0, 0, 41] = 1
    for grid in ((32, 32), (48, 24), (6, 6)):
        small = reduced(thin, grid)
        assert small.shape[2:] == grid
        assert (small.sum(2) >= 1).all()
    dot = torch.zeros(1, 1, 6, 6)
    dot[0, 0, 3, 5] = 1
    assert reduced(dot, (2, 3)).tolist() == [[[[0, 0, 0], [0, 0, 1]]]]
    assert reduced(dot[..., 3:5, 4:6], (4, 4))[0, 0].tolist() == [[0, 0, 1, 1]] * 2 + [[0] * 4] * 2


def test_a_defect_of_one_pixel_survives_decoding(dataset, tmp_path):
    _, mask = first(dataset, label=1)
    one = np.zeros((SIDE, SIDE), np.uint8)
    one[33, 51] = 255
    Image.fromarray(one).save(mask)
    assert read_mask(mask).sum() == 1
    data = prepared(dataset, tmp_path)
    row = data.table.index[data.table["mask_path"] == f"masks/{mask.name}"][0]
    assert 1 <= data.masks[row].sum() <= 4


def test_what_cannot_be_read_is_left_out_and_counted(dataset, tmp_path):
    image, _ = first(dataset, label=0)
    image.write_bytes(b"no picture")
    _, mask = first(dataset, label=1)
    mask.write_bytes(b"no mask")
    data = prepared(dataset, tmp_path)
    assert len(data.table) == len(data.pixels) == 23
    assert "1 of 24 images cannot be read" in data.notes[0]
    assert image.name in data.notes[0]
    assert "1 mask cannot be read" in data.notes[1]
    assert "1 defective image has no mask" in data.notes[2]
    assert (~data.table["known"]).sum() == 1


def test_an_empty_mask_teaches_the_label_only(dataset, tmp_path):
    _, mask = first(dataset, label=1)
    Image.new("L", (SIDE, SIDE)).save(mask)
    data = prepared(dataset, tmp_path)
    assert (~data.table["known"]).sum() == 1
    assert "it teaches the label and not the place" in data.notes[0]
    shown = order(data.table, 400, (0, 0), places=True)
    assert data.table["known"].iloc[shown].all()
    assert not data.table["known"].iloc[order(data.table, 400, (0, 0), places=False)].all()


def test_without_masks_they_are_not_opened(dataset, tmp_path):
    for mask in (dataset.root / "masks").iterdir():
        mask.unlink()
    data = prepared(dataset, tmp_path, masks=False)
    assert not data.masks.any()
    assert data.notes == ()


def test_every_part_is_drawn_alike():
    """Three good parts of 1, 2 and 9 photographs, one defective part; systematic, so by counts."""
    groups = ["a"] + ["b"] * 2 + ["c"] * 9 + ["d"] * 2
    table = pd.DataFrame(
        {"label": [0] * 12 + [1] * 2, "group": groups, "role": "train", "known": True}
    )
    table.loc[len(table)] = [1, "e", "tune", True]
    shown = order(table, 36, (0, 0), places=False)
    drawn = table["group"].iloc[shown].value_counts()
    assert drawn.to_dict() == {"a": 6, "b": 6, "c": 6, "d": 18}
    for seed in range(20):
        counts = np.bincount(order(table, 36, (seed, 3), places=False), minlength=15)
        assert (np.abs(counts[:3] - [6, 3, 3]) <= 1).all()
        assert (counts[3:12] <= 1).all()
        assert counts[14] == 0
    assert (order(table, 36, (0, 0), places=False) == shown).all()
    assert (order(table, 36, (0, 1), places=False) != shown).any()


def test_splits_that_are_named_hold(dataset):
    assert with_train_role(dataset) is dataset


def test_without_splits_half_of_the_parts_are_learnt_from(tmp_path):
    dataset = parts_dataset(tmp_path / "data", 120, photos=2, splits=False)
    assigned = with_train_role(dataset)
    roles = assigned.samples.groupby("group")["role"].nunique()
    assert (roles == 1).all()
    learns = assigned.samples["role"] == "train"
    assert 0.35 < learns.mean() < 0.65
    pd.testing.assert_series_equal(
        assigned.samples["role"][~learns], dataset.samples["role"][~learns]
    )
    assert "became train" in assigned.notes[-1]
    assert not any("Was the detector trained" in note for note in assigned.notes)
    alone = replace(dataset, samples=dataset.samples.iloc[::2].reset_index(drop=True))
    again = with_train_role(alone).samples.set_index("sample_id")["role"]
    assert (again == assigned.samples.set_index("sample_id")["role"][again.index]).all()


def test_splits_without_train_are_refused(dataset):
    tested = dataset.samples[dataset.samples["role"] != "train"].reset_index(drop=True)
    with pytest.raises(DataError, match=r"names splits, but none of its images is train"):
        with_train_role(replace(dataset, samples=tested))


def test_no_masks_at_all_offers_label(tmp_path):
    dataset = parts_dataset(tmp_path / "data", masks=False)
    with pytest.raises(DataError, match=r"None of the 12 defective .*--objective label"):
        prepared(dataset, tmp_path)
    assert len(prepared(dataset, tmp_path, masks=False).table) == 24


@pytest.mark.parametrize(
    ("drop", "sentence"),
    [
        ({"role": "train", "label": 1}, "train holds 0 defective parts and needs at least 2"),
        ({"role": "train", "label": 0}, "train holds 0 good parts and needs at least 2"),
        ({"role": "tune", "label": 1}, "tune holds 0 defective parts and needs at least 1"),
        ({"role": "tune", "label": 0}, "tune holds 0 good parts and needs at least 1"),
    ],
)
def test_too_few_parts_for_the_splits(dataset, drop, sentence):
    samples = dataset.samples
    gone = (samples["role"] == drop["role"]) & (samples["label"] == drop["label"])
    with pytest.raises(DataError, match=f"{sentence}.*--roles FILE"):
        check_learnable(samples[~gone], masks=True)


def test_parts_count_not_photographs(dataset):
    samples = dataset.samples
    learns = samples["role"] == "train"
    samples.loc[learns & (samples["label"] == 1), "group"] = "one part"
    with pytest.raises(DataError, match="train holds 1 defective part and"):
        check_learnable(samples, masks=True)


def test_a_mask_of_another_size_is_refused(dataset, tmp_path):
    _, mask = first(dataset, label=1)
    Image.fromarray(read_mask(mask)[::2, :-3]).save(mask)
    with pytest.raises(DataError, match=rf"1 mask has another size.*77x40, not {SIDE}x{SIDE}"):
        prepared(dataset, tmp_path)
    assert not (tmp_path / "cache" / TABLE).exists()


def test_a_marked_mask_of_a_good_part_is_refused(dataset, tmp_path):
    _, mask = first(dataset, label=1)
    good, _ = first(dataset, label=0)
    row = dataset.samples["path"] == good.relative_to(dataset.root).as_posix()
    dataset.samples.loc[row, "mask_path"] = f"masks/{mask.name}"
    with pytest.raises(DataError, match=rf"1 image labelled good .*{good.name}.*correct the label"):
        prepared(dataset, tmp_path)
    Image.new("L", (SIDE, SIDE)).save(dataset.root / "masks" / "none.png")
    dataset.samples.loc[row, "mask_path"] = "masks/none.png"
    assert prepared(dataset, tmp_path).table["known"].all()
