"""What the localization report says of an audit, its contradictions and its worst parts."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.fakes import random_parts, write_fake_audit
from trust_core.data.roles import ROLES
from trust_core.decision.localization.audit_masks import (
    CONTRADICTIONS,
    DEFECTIVE_EMPTY,
    FALSE_ALARM,
    GOOD_MARKED,
    WORST,
    Contradiction,
    contradicting,
    contradictions,
    image_masks,
    images_of,
    parts_of,
    report,
    sweep,
    worst_parts,
)
from trust_core.decision.localization.metrics import SIZES, THRESHOLDS, localize
from trust_core.decision.localization.pixel_counts import MASK_HEAD, make_counts
from trust_core.errors import SettingsError
from trust_core.storage.audit_files import SAMPLES, Audit


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return write_fake_audit(tmp_path_factory.mktemp("fake") / "audit", mask_head=True)


def table(audit: Audit, role: str):
    """The images of a role, each with its predicted and overlapping pixels at one half."""
    counts = make_counts(audit, MASK_HEAD)
    samples = audit.query("SELECT * FROM samples ORDER BY sample_id")
    for name, values in zip(("p", "both", "true", "area"), counts.at(0.5), strict=True):
        samples[name] = values
    return samples[samples["role"] == role]


@pytest.mark.parametrize("role", ["tune", "test"])
def test_the_report_counts_what_the_tables_say(audit: Audit, role: str) -> None:
    told = report(audit, make_counts(audit, MASK_HEAD), 0.5, role=role).as_json()
    rows = table(audit, role)
    seen = rows[rows["area"] > 0]
    defects, good = seen[seen["label"] == 1], seen[seen["label"] == 0]
    assert told["left_out"]["unanswered"] == len(rows) - len(seen)
    assert told["images"] == len(seen)
    recall = told["seg_recall"]
    assert (recall["hits"], recall["total"]) == ((defects["p"] > 0).sum(), len(defects))
    assert told["seg_recall_strict"]["hits"] == (defects["both"] > 0).sum()
    assert told["false_alarms"]["hits"] == (good["p"] > 0).sum()
    union = seen["p"] + seen["true"] - seen["both"]
    assert told["seg_miou"]["value"] == pytest.approx((seen["both"] / union)[union > 0].mean())
    assert told["pooled_miou"]["value"] == pytest.approx(seen["both"].sum() / union.sum())
    assert [size["size"] for size in told["by_size"]] == [name for name, _ in SIZES]
    assert sum(size["seg_recall"]["total"] for size in told["by_size"]) == len(defects)
    json.dumps(told, allow_nan=False)


def test_contradictions_are_listed_with_their_parts(audit: Audit) -> None:
    told = report(audit, make_counts(audit, MASK_HEAD), 0.5).as_json()["contradictions"]
    rows = table(audit, "tune")
    rows = rows[rows["area"] > 0]
    marked = rows[(rows["predicted"] == 0) & (rows["p"] > 0)]
    empty = rows[(rows["predicted"] == 1) & (rows["p"] == 0)]
    assert len(marked)
    assert len(empty)
    assert [part["sample_id"] for part in told[GOOD_MARKED]] == marked["sample_id"].tolist()
    assert [part["path"] for part in told[DEFECTIVE_EMPTY]] == empty["path"].tolist()


@pytest.mark.parametrize("kind", CONTRADICTIONS)
@pytest.mark.parametrize("least", [0.0, 0.01])
def test_the_filter_of_parts_shows_the_same(audit: Audit, kind: str, least: float) -> None:
    flags = contradicting(audit, Contradiction(kind, 0.5, least))
    images = images_of(audit, ROLES)
    found = image_masks(make_counts(audit, MASK_HEAD), images, 0.5)
    wanted = found.images.places[contradictions(found, least)[kind]]
    assert flags.shape == (240,)
    np.testing.assert_array_equal(np.flatnonzero(flags), wanted)


def test_without_counts_no_part_contradicts(tmp_path: Path) -> None:
    fresh = write_fake_audit(tmp_path / "audit", random_parts(12), mask_head=True)
    assert not contradicting(fresh, Contradiction(GOOD_MARKED, 0.5, 0.0)).any()


def test_a_heatmap_is_judged_alike_but_contradicts_nothing(audit: Audit) -> None:
    told = report(audit, make_counts(audit, "defect"), 0.2)
    assert told.source == "defect"
    assert told.contradictions is None
    whole = report(audit, make_counts(audit, MASK_HEAD))
    assert told.metrics.seg_recall.total == whole.metrics.seg_recall.total


def test_the_sweep_is_the_metric_at_every_threshold(audit: Audit) -> None:
    counts, images = make_counts(audit, MASK_HEAD), images_of(audit, ["tune"])
    swept = sweep(counts, images, 0.005)
    for column in (0, 40, 98):
        found = localize(image_masks(counts, images, THRESHOLDS[column]).truth, 0.005)
        for name, values in swept.items():
            np.testing.assert_equal(values[column], getattr(found, name).value)
    place = np.nanargmax(swept["seg_miou"])
    best = (THRESHOLDS[place], swept["seg_miou"][place])
    assert report(audit, counts, 0.5, 0.005).best == best


def test_an_empty_mask_and_a_missing_one_are_left_out_and_counted(tmp_path: Path) -> None:
    audit = write_fake_audit(tmp_path / "audit", random_parts(60), mask_head=True)
    samples = audit.query("SELECT * FROM samples ORDER BY sample_id")
    tuned = (samples["role"] == "tune") & (samples["outcome"] != "")
    first, second = np.flatnonzero(tuned & (samples["label"] == 1))[:2]
    good = np.flatnonzero(tuned & (samples["label"] == 0))[0]
    whole = report(audit, make_counts(audit, MASK_HEAD)).as_json()
    root = Path(audit.manifest.data.root)
    Image.fromarray(np.zeros((48, 48), dtype=np.uint8)).save(root / samples["mask_path"][first])
    samples.loc[good, "mask_path"] = "marked.png"
    Image.fromarray(np.full((48, 48), 255, dtype=np.uint8)).save(root / "marked.png")
    samples.loc[second, "mask_path"] = ""
    samples.to_parquet(audit.folder / SAMPLES, index=False)
    shutil.rmtree(audit.folder / "localisation")
    told = report(audit, make_counts(audit, MASK_HEAD)).as_json()
    assert told["left_out"] == whole["left_out"] | {
        "no_mask": 1, "empty_mask": 1, "good_but_marked": 1,
    }  # fmt: skip
    assert told["images"] == whole["images"] - 3
    assert told["seg_recall"]["total"] == whole["seg_recall"]["total"] - 2
    # What cannot be compared with a true mask can still contradict its decision.
    assert sum(map(len, told["contradictions"].values())) == sum(
        map(len, whole["contradictions"].values())
    )


def test_bad_settings_are_refused(audit: Audit) -> None:
    counts = make_counts(audit, MASK_HEAD)
    with pytest.raises(SettingsError, match="Minimum area 3"):
        report(audit, counts, 0.5, 3)
    with pytest.raises(SettingsError, match="Minimum area nan"):
        report(audit, counts, 0.5, math.nan)
    with pytest.raises(SettingsError, match=r"Mask threshold 0\.505"):
        report(audit, counts, 0.505)
    with pytest.raises(SettingsError, match="train"):
        report(audit, counts, role="train")


def test_a_role_without_images_is_told(tmp_path: Path) -> None:
    parts = [part for part in random_parts(80) if part.role != "test"]
    audit = write_fake_audit(tmp_path / "audit", parts, mask_head=True)
    with pytest.raises(SettingsError, match=r"No image of role 'test'.*--role all"):
        report(audit, make_counts(audit, MASK_HEAD), role="test")


def test_parts_come_in_the_order_asked_for(audit: Audit) -> None:
    ids = audit.query("SELECT sample_id FROM samples ORDER BY sample_id")["sample_id"]
    found = parts_of(audit, np.array([5, 2, 9]))
    assert found["sample_id"].tolist() == ids[[5, 2, 9]].tolist()
    assert parts_of(audit, np.empty(0, dtype=np.int64)).empty


def test_the_worst_come_first(audit: Audit) -> None:
    found = image_masks(make_counts(audit, MASK_HEAD), images_of(audit, ["tune"]), 0.6)
    masks = found.masks
    missed, alarms, lowest = (worst_parts(found, kind) for kind in WORST)
    assert len(missed)
    assert len(alarms)
    assert (masks.predicted[missed] == 0).all()
    assert masks.defective[missed].all()
    assert (np.diff(masks.true[missed]) <= 0).all()
    assert not masks.defective[alarms].any()
    assert (np.diff(masks.predicted[alarms]) <= 0).all()
    assert (np.diff(masks.iou[lowest]) >= 0).all()
    assert len(missed) + len(lowest) == masks.defective.sum()
    assert not len(worst_parts(found, FALSE_ALARM, 0.99))  # no mask is as large as that
