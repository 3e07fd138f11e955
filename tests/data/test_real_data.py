"""The tiles and solar cells that the real detectors of ../shared were made from."""

import importlib.util
from pathlib import Path

import pytest

from trust_core.data.images import read_image
from trust_core.data.layouts import read_dataset
from trust_core.data.mask_decoding import read_mask
from trust_core.errors import DataError


@pytest.fixture(scope="session")
def tiles(shared):
    root = shared / "data" / "magnetic_tile"
    return read_dataset(root, samples=root / "splits.csv")


@pytest.fixture(scope="session")
def cells():
    spec = importlib.util.find_spec("elpv_dataset")
    if spec is None:
        pytest.skip("the package elpv-dataset is not installed")
    return Path(spec.submodule_search_locations[0]) / "data"


def test_tiles_by_split_as_their_readme_counts_them(tiles):
    samples = tiles.samples
    assert samples.groupby(["split", "label"]).size().to_dict() == {
        ("train", 0): 494, ("train", 1): 211, ("tune", 0): 171, ("tune", 1): 63,
        ("test", 0): 287, ("test", 1): 118,
    }  # fmt: skip
    assert samples["group"].nunique() == 210
    assert samples.groupby("split")["group"].nunique().to_dict() == {
        "train": 103, "tune": 39, "test": 68,
    }  # fmt: skip
    assert samples["kind"].value_counts().to_dict() == {
        "": 952, "MT_Blowhole": 115, "MT_Uneven": 103, "MT_Break": 85, "MT_Crack": 57,
        "MT_Fray": 32,
    }  # fmt: skip


def test_tiles_are_too_few_to_certify_on_half_of_their_tune_groups(tiles, shared):
    assert set(tiles.samples.query("split == 'tune'")["role"]) == {"tune"}
    assert any("could not do their job" in note for note in tiles.notes)
    root = shared / "data" / "magnetic_tile"
    samples = read_dataset(root, samples=root / "splits.csv", certify="half").samples
    assert set(samples.query("split == 'tune'")["role"]) == {"tune", "certify"}
    assert (
        samples.query("split != 'tune'")["role"] == samples.query("split != 'tune'")["split"]
    ).all()
    assert samples.groupby("group")["role"].nunique().max() == 1


def test_tiles_without_their_table(tiles, shared):
    found = read_dataset(shared / "data" / "magnetic_tile")
    assert found.good == ("MT_Free",)
    assert found.layout == "class folders"
    for column in ("sample_id", "path", "sha256", "label", "kind", "mask_path"):
        assert found.samples[column].tolist() == tiles.samples[column].tolist()


def test_tile_images_and_masks_fit(tiles):
    shown = tiles.samples.iloc[::40]
    for row in shown.itertuples():
        image, mask = read_image(tiles.root / row.path), read_mask(tiles.root / row.mask_path)
        assert image.mode == "L"
        assert mask.shape == image.size[::-1]
        assert mask.any() == (row.label == 1)


def test_tiles_of_unknown_empty_masks_stay_defective(tiles):
    samples = tiles.samples.set_index("path")
    path = "MT_Uneven/Imgs/exp3_num_45042.jpg"
    assert samples.loc[path, "label"] == 1
    assert not read_mask(tiles.root / samples.loc[path, "mask_path"]).any()


def test_cells_by_split(cells, shared):
    found = read_dataset(cells, samples=shared / "models" / "elpv_resnet18_splits.csv")
    assert found.samples.groupby(["split", "label"]).size().to_dict() == {
        ("train", 0): 901, ("train", 1): 410, ("tune", 0): 362, ("tune", 1): 164,
        ("test", 0): 540, ("test", 1): 247,
    }  # fmt: skip
    assert (found.samples[["kind", "mask_path"]] == "").all(axis=None)
    assert read_image(cells / found.samples["path"].iloc[0]).size == (300, 300)


def test_cells_without_a_table_tell_no_labels(cells):
    with pytest.raises(DataError, match="no class folders and no masks"):
        read_dataset(cells)
