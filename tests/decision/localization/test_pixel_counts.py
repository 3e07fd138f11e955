"""Pixel counts of an audit: those of a plain comparison at the size of the true mask, kept once."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.fakes import Part, random_parts, write_fake_audit
from trust_core.decision.localization import pixel_counts
from trust_core.decision.localization.metrics import THRESHOLDS
from trust_core.decision.localization.pixel_counts import (
    COUNTS,
    MASK_HEAD,
    UNFINISHED,
    UNKNOWN,
    MaskCounts,
    cells_of,
    column_of,
    count_part,
    counts_folder,
    find_source,
    has_truth,
    make_counts,
    read_counts,
    sources,
)
from trust_core.errors import SettingsError, StoreError
from trust_core.storage.audit_files import MASKS, SAMPLES, Audit, open_audit
from trust_core.storage.locks import LOCK, writer_lock
from trust_core.storage.manifest import write_manifest
from trust_core.storage.progress import PROGRESS


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return write_fake_audit(tmp_path_factory.mktemp("fake") / "audit", mask_head=True)


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    return write_fake_audit(tmp_path / "audit", random_parts(40), mask_head=True)


def plainly(audit: Audit, source: str, threshold: float) -> np.ndarray:
    """|P|, |P∩G|, |G| and area of each image, with torch and whole pictures."""
    samples = audit.query("SELECT * FROM samples ORDER BY sample_id")
    root = Path(audit.manifest.data.root)
    rows = []
    for number, sample in enumerate(samples.itertuples()):
        if source == MASK_HEAD:
            cells = audit.masks()[number].astype(np.float32)
        else:
            score = audit.query(
                f"SELECT row, scale_{source} AS scale FROM scores WHERE sample_id = ? "
                "AND strength = 0",
                [sample.sample_id],
            )
            scale = score["scale"].iloc[0] / 2.0 if len(score) else np.nan  # the display scale
            row = score["row"].iloc[0] if len(score) else 0
            cells = audit.maps(source)[row].astype(np.float32) * np.float32(scale)
        photo = np.asarray(Image.open(root / sample.path))
        truth = np.zeros(photo.shape, dtype=bool)
        if sample.mask_path:
            truth = np.asarray(Image.open(root / sample.mask_path)) > 127
        known = truth.sum()
        if np.isnan(cells).any():
            rows.append((0, 0, known, 0))
            continue
        large = torch.nn.functional.interpolate(
            torch.from_numpy(cells)[None, None], photo.shape, mode="bilinear", align_corners=False
        )[0, 0].numpy()
        shown = large >= np.float32(threshold)
        rows.append((shown.sum(), (shown & truth).sum(), known, photo.size))
    return np.array(rows).T


@pytest.mark.parametrize("source", [MASK_HEAD, "defect", "gradient"])
@pytest.mark.parametrize("threshold", [0.01, 0.5, 0.87])
def test_counts_are_those_of_a_plain_comparison(kept: Audit, source: str, threshold: float) -> None:
    counts = make_counts(kept, source)
    wanted = plainly(kept, source, threshold)
    predicted, overlap, true, area = counts.at(threshold)
    np.testing.assert_array_equal(true, wanted[2])
    np.testing.assert_array_equal(area, wanted[3])
    # The last bit of an interpolated value may differ, and with it a pixel at the threshold.
    assert np.abs(predicted - wanted[0]).max() <= 2
    assert np.abs(overlap - wanted[1]).max() <= 2


def test_they_are_made_once_and_read_from_disk(audit: Audit, monkeypatch) -> None:
    assert read_counts(audit, MASK_HEAD) is None
    told = []
    first = make_counts(audit, MASK_HEAD, lambda done, total: told.append((done, total)))
    assert told[-1] == (40, 40)
    monkeypatch.setattr(pixel_counts, "_count", lambda *_: pytest.fail("counted again"))
    again = make_counts(audit, MASK_HEAD)
    np.testing.assert_array_equal(first.table, again.table)
    assert not (counts_folder(audit, MASK_HEAD) / PROGRESS).exists()


def test_a_run_that_was_stopped_goes_on(audit: Audit, monkeypatch) -> None:
    whole = np.array(make_counts(audit, MASK_HEAD).table)
    shutil.rmtree(counts_folder(audit, MASK_HEAD))
    monkeypatch.setattr(pixel_counts, "CHUNK", 16)

    def stop(done: int, total: int) -> None:
        if done >= 32:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_counts(audit, MASK_HEAD, stop)
    folder = counts_folder(audit, MASK_HEAD)
    assert json.loads((folder / PROGRESS).read_text())["done"] == 32
    assert (folder / UNFINISHED).exists()
    told: list[int] = []
    again = make_counts(audit, MASK_HEAD, lambda done, total: told.append(done))
    assert told == [40]
    np.testing.assert_array_equal(again.table, whole)


def test_other_labels_or_masks_are_counted_anew_and_the_old_counts_go(audit: Audit) -> None:
    make_counts(audit, MASK_HEAD)
    before = counts_folder(audit, MASK_HEAD)
    write_manifest(audit.folder, dataclasses.replace(audit.manifest, table="f" * 64))
    changed = open_audit(audit.folder)
    assert read_counts(changed, MASK_HEAD) is None
    make_counts(changed, MASK_HEAD)
    assert not before.exists()
    assert (counts_folder(changed, MASK_HEAD) / COUNTS).exists()


def test_what_is_missing_or_damaged_is_unknown_and_the_rest_goes_on(audit: Audit) -> None:
    samples = audit.query("SELECT * FROM samples ORDER BY sample_id")
    root = Path(audit.manifest.data.root)
    readable = samples["outcome"] != ""
    defects = np.flatnonzero((samples["label"] == 1) & readable)
    good = int(np.flatnonzero((samples["label"] == 0) & readable)[0])
    (root / samples["mask_path"][defects[0]]).write_bytes(b"no picture")
    (root / samples["path"][good]).unlink()  # its size is what counts need
    samples.loc[defects[1], "mask_path"] = ""
    samples.to_parquet(audit.folder / SAMPLES, index=False)
    _, _, true, area = make_counts(audit, MASK_HEAD).at(0.5)
    assert true[defects[0]] == UNKNOWN
    assert area[defects[0]] == 0
    assert (true[good], area[good]) == (UNKNOWN, 0)
    assert (true[defects[1]], area[defects[1]]) == (UNKNOWN, 48 * 48)
    others = np.setdiff1d(np.flatnonzero(readable), [*defects[:2], good])
    assert (true[others] >= 0).all()
    assert (area[others] == 48 * 48).all()
    unreadable = np.flatnonzero(~readable)
    assert (area[unreadable] == 0).all()


def test_a_letterbox_is_undone(tmp_path: Path) -> None:
    """A photograph twice as wide as high fills the middle half of the network's square."""
    audit = write_fake_audit(tmp_path / "audit", [Part(True, 0.2, (0.1,))], mask_head=True)
    sample = audit.query("SELECT * FROM samples").iloc[0]
    root = Path(audit.manifest.data.root)
    truth = np.zeros((20, 40), dtype=np.uint8)
    truth[:10, :20] = 255
    Image.fromarray(truth).save(root / sample["mask_path"])
    Image.fromarray(truth).save(root / sample["path"])
    seen = np.zeros((1, 24, 24), dtype=np.float16)
    seen[0, 6:12, :12] = 0.9  # the upper left quarter of what the letterbox shows
    np.save(audit.folder / MASKS, seen)
    rule = dataclasses.replace(audit.manifest.model.preprocessing, resize="letterbox")
    model = dataclasses.replace(audit.manifest.model, preprocessing=rule)
    boxed = dataclasses.replace(audit, manifest=dataclasses.replace(audit.manifest, model=model))
    predicted, overlap, true, area = (int(v[0]) for v in make_counts(boxed, MASK_HEAD).at(0.45))
    assert (true, area) == (200, 800)
    assert predicted == overlap == 200


def test_one_part_counts_as_among_all(kept: Audit) -> None:
    counts = make_counts(kept, MASK_HEAD)
    ids = kept.query("SELECT sample_id FROM samples ORDER BY sample_id")["sample_id"]
    for place in (0, 17, len(ids) - 1):
        alone = count_part(kept, MASK_HEAD, ids[place])
        assert alone is not None
        np.testing.assert_array_equal(alone.table[:, 0], counts.table[:, place])
        cells = cells_of(kept, MASK_HEAD, ids[place])
        if cells is not None:
            np.testing.assert_array_equal(cells, kept.masks()[place].astype(np.float32))
    assert count_part(kept, MASK_HEAD, "nothing") is None
    assert cells_of(kept, MASK_HEAD, "nothing") is None


def test_sources(kept: Audit, tmp_path: Path) -> None:
    assert sources(kept) == (MASK_HEAD, "defect", "good", "gradient")
    assert find_source(kept, None) == MASK_HEAD
    plain = write_fake_audit(tmp_path / "plain", random_parts(8))
    assert find_source(plain, None) == "defect"
    with pytest.raises(SettingsError, match=r"no mask head.*choose from defect"):
        find_source(plain, MASK_HEAD)
    with pytest.raises(SettingsError, match="No masks from 'nonsense'"):
        make_counts(kept, "nonsense")


def test_data_without_masks_is_refused_with_what_to_do(audit: Audit) -> None:
    samples = audit.query("SELECT * FROM samples ORDER BY sample_id").assign(mask_path="")
    samples.to_parquet(audit.folder / SAMPLES, index=False)
    assert not has_truth(audit)
    with pytest.raises(SettingsError, match=r"marks no defect.*audit data with a mask"):
        make_counts(audit, MASK_HEAD)


def test_two_at_once_are_told(audit: Audit) -> None:
    folder = counts_folder(audit, MASK_HEAD)
    folder.mkdir(parents=True)
    with writer_lock(folder / LOCK, ""), pytest.raises(StoreError, match="being counted already"):
        make_counts(audit, MASK_HEAD)


def test_a_folder_that_cannot_be_written_is_told(audit: Audit) -> None:
    (audit.folder / "localisation").write_text("in the way")
    with pytest.raises(StoreError, match="Cannot write the mask counts"):
        make_counts(audit, MASK_HEAD)


@pytest.mark.parametrize("threshold", [0.0, 0.123, 1.0, float("nan")])
def test_a_threshold_between_is_refused(threshold: float) -> None:
    with pytest.raises(SettingsError, match=r"choose 0\.01"):
        column_of(threshold)


def test_every_threshold_has_its_column() -> None:
    table = np.arange(2 * len(THRESHOLDS) + 2)[:, None].astype(np.int32)
    counts = MaskCounts("mask", table)
    for column, threshold in enumerate(THRESHOLDS):
        assert column_of(float(f"{threshold:.2f}")) == column
        told = [int(values[0]) for values in counts.at(threshold)]
        assert told == [column, 99 + column, 198, 199]
