"""An audit on disk while it is written: whole shards or none, and a merge that changes nothing."""

import errno
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trust_core.errors import StoreError
from trust_core.storage import shards
from trust_core.storage.audit_files import FEATURES, MAPS, SAMPLES, SCORES
from trust_core.storage.shards import Shard, merge, read_shard, shard_path, write_shard, write_table

FILES = {"defect": "layer.defect.npy", "layer2.good": "layer2.good.npy"}
GRIDS = {"defect": (3, 4), "layer2.good": (5, 2)}


def make_shard(
    index: int, images: int = 3, *, scored: int | None = None, features: bool = True
) -> Shard:
    """A shard of a few images, of which `scored` have rows at two strengths."""
    draw = np.random.default_rng(index)
    ids = [f"{index:02d}-{image}" for image in range(images)]
    scored = images if scored is None else scored
    samples = pd.DataFrame(
        {
            "sample_id": ids,
            "log_odds": draw.normal(size=images),
            "predicted": pd.array(draw.integers(0, 2, images), dtype="Int8"),
            "reason": ["" if image < scored else "cut short" for image in range(images)],
        }
    )
    scores = pd.DataFrame(
        {
            "sample_id": pd.Series(np.repeat(ids[:scored], 2), dtype="str"),
            "strength": np.tile([0.0, 1.0], scored),
            "iou_difference": draw.normal(size=2 * scored),
            "status": pd.Series(["scored"] * 2 * scored, dtype="str"),
        }
    )
    maps = {}
    for name, grid in GRIDS.items():
        maps[name] = draw.uniform(-1, 1, (2 * scored, *grid)).astype(np.float16)
        scores[f"scale_{name}"] = draw.uniform(0.5, 2, 2 * scored).astype(np.float32)
    return Shard(
        samples,
        scores,
        maps,
        draw.normal(size=(images, 6)).astype(np.float16) if features else None,
    )


def assert_same(first: Shard, second: Shard) -> None:
    pd.testing.assert_frame_equal(first.samples, second.samples)
    pd.testing.assert_frame_equal(first.scores, second.scores)
    assert list(first.maps) == list(second.maps)
    for name in first.maps:
        np.testing.assert_array_equal(first.maps[name], second.maps[name])
    np.testing.assert_equal(first.features, second.features)


@pytest.mark.parametrize("features", [True, False])
def test_a_shard_is_read_back_as_it_was_written(tmp_path: Path, features: bool):
    shard = make_shard(4, features=features)
    write_shard(tmp_path, 4, shard)
    assert_same(read_shard(tmp_path, 4), shard)


def test_values_that_are_not_finite_survive(tmp_path: Path):
    shard = make_shard(0)
    shard.maps["defect"][0, 0, 0] = np.nan
    shard.scores.loc[0, "iou_difference"] = np.nan
    shard.samples.loc[1, "predicted"] = pd.NA
    write_shard(tmp_path, 0, shard)
    assert_same(read_shard(tmp_path, 0), shard)


@pytest.mark.parametrize("step", ["write_table", "savez"])
def test_an_unfinished_shard_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
):
    """Killed in the middle of writing: the next run does not see it, and writes it whole."""

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shards.pq if step == "write_table" else np, step, killed)
        with pytest.raises(KeyboardInterrupt):
            write_shard(tmp_path, 0, make_shard(0))
    assert not shard_path(tmp_path, 0).exists()
    assert not list(tmp_path.glob("shards/[0-9]*"))
    write_shard(tmp_path, 0, make_shard(0))
    assert_same(read_shard(tmp_path, 0), make_shard(0))


@pytest.mark.parametrize("features", [True, False])
def test_merging_is_concatenating(tmp_path: Path, features: bool):
    parts = [make_shard(index, images, features=features) for index, images in enumerate((3, 1, 4))]
    for index in (2, 0, 1):  # in whatever order they were finished
        write_shard(tmp_path, index, parts[index])
    scales = merge(tmp_path, 3, FILES)

    scores = pd.read_parquet(tmp_path / SCORES)
    wanted = pd.concat([part.scores for part in parts], ignore_index=True)
    assert scores["row"].tolist() == list(range(16))
    pd.testing.assert_frame_equal(scores.drop(columns="row"), wanted)
    for name, file in FILES.items():
        kept = np.load(tmp_path / MAPS / file, mmap_mode="r")
        assert kept.dtype == np.float16
        joined = np.concatenate([part.maps[name] for part in parts])
        np.testing.assert_array_equal(kept, joined)
        clean = (wanted["strength"] == 0).to_numpy()
        raw = joined[clean] * wanted[f"scale_{name}"].to_numpy()[clean, None, None]
        assert scales[name] == pytest.approx(np.percentile(np.abs(raw), 99.5))
    assert (tmp_path / FEATURES).exists() == features
    if features:
        joined = np.concatenate([part.features for part in parts])
        np.testing.assert_array_equal(np.load(tmp_path / FEATURES), joined)
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / SAMPLES),
        pd.concat([part.samples for part in parts], ignore_index=True),
    )


def test_the_shards_stay_and_a_second_merge_gives_the_same_bytes(tmp_path: Path):
    for index in range(2):
        write_shard(tmp_path, index, make_shard(index))
    first = merge(tmp_path, 2, FILES)
    files = [tmp_path / SCORES, tmp_path / FEATURES, *(tmp_path / MAPS / f for f in FILES.values())]
    before = [path.read_bytes() for path in files]
    assert merge(tmp_path, 2, FILES) == first
    assert [path.read_bytes() for path in files] == before
    assert_same(read_shard(tmp_path, 1), make_shard(1))


@pytest.mark.parametrize("empty", [0, 1, 2])
def test_a_shard_of_unreadable_images_has_no_rows_and_disturbs_nothing(tmp_path: Path, empty: int):
    parts = [make_shard(index, 2, scored=0 if index == empty else 2) for index in range(3)]
    for index, part in enumerate(parts):
        write_shard(tmp_path, index, part)
    merge(tmp_path, 3, FILES)
    wanted = pd.concat([part.scores for part in parts if len(part.scores)], ignore_index=True)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / SCORES).drop(columns="row"), wanted)
    assert len(pd.read_parquet(tmp_path / SAMPLES)) == 6


def test_display_scales_leave_out_what_is_not_finite(tmp_path: Path):
    shard = make_shard(0)
    shard.maps["defect"][0] = np.nan
    write_shard(tmp_path, 0, shard)
    assert np.isfinite(merge(tmp_path, 1, FILES)["defect"])


def test_a_merge_that_fails_leaves_no_half_written_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for index in range(3):
        write_shard(tmp_path, index, make_shard(index))
    read, calls = shards.read_shard, []

    def fails_at_the_third(folder: Path, index: int) -> Shard:
        calls.append(index)
        if index == 2:
            raise OSError("no space left on device")
        return read(folder, index)

    with monkeypatch.context() as patch:
        patch.setattr(shards, "read_shard", fails_at_the_third)
        with pytest.raises(OSError, match="no space left"):
            merge(tmp_path, 3, FILES)
    assert calls == [0, 1, 2]
    assert not (tmp_path / SCORES).exists()
    assert not (tmp_path / FEATURES).exists()
    assert not list((tmp_path / MAPS).glob("[!.]*"))
    merge(tmp_path, 3, FILES)
    assert len(pd.read_parquet(tmp_path / SCORES)) == 18
    assert not list(tmp_path.rglob("*.unfinished"))


def test_a_table_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / SAMPLES
    write_table(path, pd.DataFrame({"a": [1, 2]}))

    def half_written(self: pd.DataFrame, target: Path, **_: object) -> None:
        Path(target).write_bytes(b"PAR1")
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pd.DataFrame, "to_parquet", half_written)
        with pytest.raises(OSError, match="no space left"):
            write_table(path, pd.DataFrame({"a": [3]}))
    assert pd.read_parquet(path)["a"].tolist() == [1, 2]
    write_table(path, pd.DataFrame({"a": [3]}))
    assert pd.read_parquet(path)["a"].tolist() == [3]


def test_an_array_asks_for_its_room_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A full disk is an error before the first row, not a signal that kills."""
    asked = []

    def full(_: int, start: int, size: int) -> None:
        asked.append(size)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shards.os, "posix_fallocate", full)
    with (
        pytest.raises(OSError, match="No space left"),
        shards.array_writer(tmp_path / "a.npy", (5, 3)),
    ):
        raise AssertionError
    assert asked == [30]
    assert not list(tmp_path.iterdir())


def test_an_array_is_what_numpy_would_have_saved(tmp_path: Path):
    values = np.random.default_rng(0).normal(size=(7, 2, 3)).astype(np.float16)
    with shards.array_writer(tmp_path / "a.npy", values.shape) as append:
        for start in (0, 2, 3):
            append(values[start : (2, 3, 7)[(0, 2, 3).index(start)]])
    np.save(tmp_path / "b.npy", values)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_a_damaged_shard_is_one_sentence(tmp_path: Path):
    write_shard(tmp_path, 0, make_shard(0))
    path = shard_path(tmp_path, 0) / SCORES
    content = bytearray(path.read_bytes())
    for place in range(0, len(content), 97):
        content[place] ^= 1 << place % 8
        path.write_bytes(content)
        with pytest.raises(StoreError, match="is damaged; run the same command again"):
            read_shard(tmp_path, 0)
        content[place] ^= 1 << place % 8
