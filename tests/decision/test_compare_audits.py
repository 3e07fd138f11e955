"""Two audits side by side: which parts changed side, and how their masks differ."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.fakes import Part, passed_parts, write_fake_audit
from trust_core.decision.compare_audits import compare_masks, compare_outcomes, same_images
from trust_core.decision.localization.audit_masks import image_masks, images_of
from trust_core.decision.localization.metrics import METRICS
from trust_core.decision.localization.pixel_counts import MASK_HEAD, make_counts
from trust_core.storage.audit_files import MASKS, SAMPLES, Audit


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return write_fake_audit(tmp_path_factory.mktemp("fake") / "audit", mask_head=True)


def test_two_audits_are_compared_image_by_image(tmp_path: Path) -> None:
    parts = [Part(True, 0.1, (0.5,)), Part(True, 0.9, (0.5,)), Part(False, 0.1, (0.2,))]
    after = [replace(parts[0], p=0.8), replace(parts[1], p=0.2), parts[2]]
    before, now = (
        write_fake_audit(tmp_path / name, some)
        for name, some in (("before", [*parts, Part(True, 0.1, (0.1,), "test")]), ("now", after))
    )
    found = compare_outcomes(now, before, ["tune"])
    assert found.shared == 3
    assert found.counts == {"FN": (1, 1), "TP": (1, 1), "TN": (1, 1), "FP": (0, 0)}
    assert found.changed["change"].tolist() == [
        "missed there, caught here",
        "caught there, missed here",
    ]
    assert compare_outcomes(now, before, []).shared == 0


def test_another_image_under_the_same_name_is_another_image(tmp_path: Path) -> None:
    here = write_fake_audit(tmp_path / "here", passed_parts([0.5], [0.2]), seed=1)
    there = write_fake_audit(tmp_path / "there", passed_parts([0.5], [0.2]), seed=2)
    assert compare_outcomes(here, there, ["tune"]).shared == 0


def compared(one: Audit, other: Audit, roles: tuple[str, ...] = ("tune",)):
    found = [image_masks(make_counts(a, MASK_HEAD), images_of(a, roles), 0.5) for a in (one, other)]
    return compare_masks(*found, same_images(one, other)), found


def test_an_audit_does_not_differ_from_itself(audit: Audit) -> None:
    told, found = compared(audit, audit)
    assert told.shared == len(found[0].truth.codes)
    for name in METRICS:
        assert told.differences[name].value == 0
        assert told.here[name] == told.there[name]


def test_two_audits_are_matched_by_image(audit: Audit, tmp_path: Path) -> None:
    """The other has its images in another folder and finds nothing; some it does not share."""
    other = write_fake_audit(tmp_path / "audit", mask_head=True)
    np.save(other.folder / MASKS, np.zeros_like(other.masks()))
    samples = other.query("SELECT * FROM samples ORDER BY sample_id")
    tuned = np.flatnonzero(samples["role"] == "tune")
    samples.loc[tuned[:7], "sha256"] = "e" * 64  # another picture under the same name
    samples.loc[tuned[7:10], "role"] = "train"
    samples.to_parquet(other.folder / SAMPLES, index=False)
    told, found = compared(audit, other, ("tune",))
    gone = np.isin(found[0].images.places, tuned[:10]).sum()
    assert told.shared == len(found[0].images.places) - gone
    assert told.there["seg_recall"].hits == 0
    assert told.differences["seg_recall"].value == pytest.approx(told.here["seg_recall"].value)
    low, high = told.differences["seg_miou"].interval
    assert 0 < low <= told.differences["seg_miou"].value <= high


def test_nothing_shared_is_nothing_compared(audit: Audit, tmp_path: Path) -> None:
    other = write_fake_audit(tmp_path / "audit", seed=9, mask_head=True)  # other pictures
    told, _ = compared(audit, other)
    assert told.shared == 0
    assert math.isnan(told.differences["seg_miou"].value)
