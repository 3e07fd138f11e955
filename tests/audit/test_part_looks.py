"""What an open part shows, as a page asks a sandbox for it: on a real audit of a small network."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from tests.dashboard.ware import write_audit
from tests.fakes import Part, passed_parts
from trust_core.audit import part_looks
from trust_core.audit.part_looks import (
    compare_gradcam,
    learn,
    lost,
    part_evidence,
    part_heatmaps,
    scale,
)
from trust_core.audit.reopen import network_input, reopen_detector
from trust_core.explanation.evidence.audit_gaussian import audit_patch_gaussian
from trust_core.explanation.evidence.forms import evidence
from trust_core.figures.part_maps import maps_of
from trust_core.storage.audit_files import EVIDENCE, Audit


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    parts = [*passed_parts([0.1, 0.3], [0.2, 0.3]), Part(True, 0.9, (0,))]
    return write_audit(tmp_path_factory.mktemp("looked") / "audit", parts)


def row(audit: Audit) -> dict[str, object]:
    found = audit.query("SELECT * FROM scores JOIN samples USING (sample_id) ORDER BY row")
    return found.to_dict("records")[0]


def test_evidence_is_that_of_the_audited_model_and_adds_up(audit: Audit):
    learn(audit, 10)
    assert (audit.folder / EVIDENCE).exists()
    path = str(row(audit)["path"])
    found = part_evidence(audit, path, "first-order", 10, None)
    detector = reopen_detector(audit)
    pixels, surroundings = network_input(audit, detector, path), audit_patch_gaussian(audit, 10)
    whole = evidence(detector, pixels, surroundings, window=10)
    np.testing.assert_array_equal(found.bits, whole.bits)
    assert lost(audit, path, "first-order", 10) == pytest.approx(whole.expected)
    assert scale(audit, "first-order", 10) > 0


def test_the_model_is_opened_once_for_all_parts_and_again_when_it_has_changed(
    audit: Audit, monkeypatch: pytest.MonkeyPatch
):
    opened, opening = [], part_looks.open_detector

    def counted(*given: object) -> object:
        opened.append(given)
        return opening(*given)

    monkeypatch.setattr(part_looks, "open_detector", counted)
    part_looks._opened.cache_clear()
    for path in audit.query("SELECT path FROM samples ORDER BY path LIMIT 3")["path"]:
        part_evidence(audit, path, "saliency", 5, None)
    assert len(opened) == 1
    model = Path(audit.manifest.model.path)
    model.touch()
    part_looks.pass_seconds(audit)
    assert len(opened) == 2


def test_maps_come_with_the_masks_of_the_score_and_check_out(audit: Audit):
    score = row(audit)
    (maps,) = part_heatmaps(audit, [score])
    known = maps_of(audit, score)
    for side, mask in known.masks.items():
        np.testing.assert_array_equal(maps.masks[side], mask)
    check, ours, theirs = compare_gradcam(audit, str(score["path"]), score)
    assert check.agrees
    assert set(theirs) == {"defect", "good"}
    np.testing.assert_array_equal(ours.raw["defect"], known.raw["defect"])
    np.testing.assert_array_equal(theirs["good"].raw["good"], check.theirs["good"])


def test_an_audit_crosses_without_its_open_files(audit: Audit):
    audit.maps("defect")
    assert "_maps" in vars(audit)
    again = pickle.loads(pickle.dumps(audit))
    assert again == audit
    assert "_maps" not in vars(again)
