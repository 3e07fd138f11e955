"""Labels under review, by hand: whose label is doubted, and what corrected ones change."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import Part, passed_parts, random_parts, write_fake_audit
from trust_core.decision import label_review
from trust_core.decision.indicators.probes import read_probes
from trust_core.decision.journal import dispute, disputes, keep_label
from trust_core.decision.label_review import (
    BOTH,
    DETECTOR,
    READER,
    against_label,
    corrected_ids,
    corrected_table,
    labels_to_check,
    recount,
    second_readings,
)
from trust_core.decision.operating_point import OperatingPoint
from trust_core.errors import SettingsError
from trust_core.storage.audit_files import Audit

POINT = OperatingPoint("iou_difference", 0.0, 0.4, "tune")


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    parts = [*passed_parts([0.9, 0.5], [0.7, 0.3, 0.1]), Part(True, 0.9, (0.0,), kind="pit")]
    return write_fake_audit(tmp_path / "few", [*parts, Part(False, 0.8, (0.0,))])


def ids(audit: Audit, where: str) -> list[str]:
    return audit.query(f"SELECT sample_id FROM samples WHERE {where} ORDER BY path")[
        "sample_id"
    ].tolist()


def scored_as(audit: Audit, delta: float) -> str:
    table = audit.query(
        "SELECT sample_id FROM scores WHERE strength = 0 AND abs(iou_difference - $1) < 1e-6",
        [delta],
    )
    return str(table["sample_id"].iloc[0])


def test_a_turned_label_moves_an_image_and_leaves_its_score(audit: Audit) -> None:
    wrong = [scored_as(audit, 0.7), *ids(audit, "outcome IN ('TP', 'FP')")]
    found = recount(audit, POINT, wrong)
    assert found.corrected == 3
    assert found.before.outcomes == {"FN": 2, "TP": 1, "TN": 3, "FP": 1}
    assert found.after.outcomes == {"FN": 3, "TP": 1, "TN": 2, "FP": 1}
    before, after = found.before.counts, found.after.counts
    assert (before.flagged_fn, before.fn, before.flagged_tn, before.tn) == (2, 2, 1, 3)
    assert (after.flagged_fn, after.fn, after.flagged_tn, after.tn) == (3, 3, 0, 2)
    # AUROC: of 6 pairs the 0.9 wins all 3, the 0.5 two; then all of 6.
    assert found.before.verdict.indicator.auroc == pytest.approx(5 / 6)
    assert found.after.verdict.indicator.auroc == 1


def test_without_a_correction_both_sides_are_the_same(audit: Audit) -> None:
    found = recount(audit, POINT, ["unknown"])
    assert found.corrected == 0
    assert found.before.outcomes == found.after.outcomes
    assert found.before.verdict == found.after.verdict


def test_a_sealed_role_is_not_recounted(audit: Audit) -> None:
    with pytest.raises(SettingsError, match="sealed"):
        recount(audit, replace(POINT, role="test"), [])
    with pytest.raises(SettingsError, match="sealed"):
        labels_to_check(audit, "test")


def test_what_was_called_wrong_is_turned_in_the_table_until_it_is_taken_back(audit: Audit) -> None:
    (pit,), (good,) = ids(audit, "outcome = 'TP'"), ids(audit, "outcome = 'FP'")
    as_given = corrected_table(audit)
    for sample_id in (pit, good, pit):
        dispute(audit, sample_id, "no")
    assert corrected_ids(audit) == [pit, good]
    table = corrected_table(audit)
    changed = table[table["label"] != as_given["label"]].set_index("label")
    assert changed.index.tolist().count("good") == changed.index.tolist().count("defective") == 1
    assert (changed.loc["good", "kind"], changed.loc["good", "mask_path"]) == ("", "")
    assert changed.loc["defective", "role"] == "tune"
    keep_label(audit, pit)
    assert [entry.sample_id for entry in disputes(audit)] == [good]
    dispute(audit, pit, "after all")
    assert corrected_ids(audit) == [good, pit]


def test_a_label_is_doubted_as_far_as_the_other_label_looks_less_like_it() -> None:
    values = np.array([0.0, 1.0, 2.0, 3.0, 2.0])
    defective = np.array([False, False, True, True, False])
    # The good 2 looks more defective than neither but one it ties with; of the good ones, one of
    # three ties with the defective 2, none lies above 3.
    assert against_label(values, defective).tolist() == pytest.approx([0, 0, 1 / 6, 0, 0.25])


@given(st.lists(st.tuples(st.floats(-5, 5), st.booleans()), min_size=2, max_size=40))
def test_turning_every_label_and_every_value_changes_nothing(
    drawn: list[tuple[float, bool]],
) -> None:
    values, labels = (np.array(column) for column in zip(*drawn, strict=True))
    if labels.all() or not labels.any():
        return
    np.testing.assert_allclose(against_label(values, labels), against_label(-values, ~labels))


def test_the_list_begins_with_what_both_readers_doubt(
    audit: Audit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [Part(False, p, (0.1,)) for p in (0.05, 0.1, 0.15, 0.2, 0.01, 0.9)]
    parts += [Part(True, p, (0.1,)) for p in (0.95, 0.9, 0.85, 0.8, 0.7, 0.02)]
    audit = write_fake_audit(tmp_path / "doubted", parts)
    assert labels_to_check(audit) is None  # no second reader
    table = audit.query("SELECT label, p_defect FROM places ORDER BY file_row_number")
    reading = np.where(table["label"] == 1, 2.0, -2.0)
    p = table["p_defect"].to_numpy()
    reading[np.isclose(p, 0.9) & (table["label"] == 0)] = 3.0  # both against "good"
    reading[np.isclose(p, 0.02)] = -3.0  # both against "defective"
    reading[np.isclose(p, 0.01)] = 2.5  # the reader alone
    reading[np.isclose(p, 0.95)] = 2.2
    monkeypatch.setattr(label_review, "second_readings", lambda _: reading)
    found = labels_to_check(audit)
    assert found is not None
    assert [(doubt.label, round(doubt.p_defect, 2), doubt.against) for doubt in found] == [
        (1, 0.02, BOTH),
        (0, 0.9, BOTH),
        (0, 0.01, READER),
    ]
    # Of six good ones five have more than p = 0.02; all six read louder than −3.
    assert (found[0].detector, found[0].reader) == (pytest.approx(5 / 6), 1.0)
    # p = 0.9 ties with one of six defective ones and exceeds four; the reading exceeds all.
    assert (found[1].detector, found[1].reader) == (pytest.approx(4.5 / 6), 1.0)
    assert len(labels_to_check(audit, most=1) or []) == 1
    reading[:] = np.where(table["label"] == 1, 2.0, -2.0)
    assert [doubt.against for doubt in labels_to_check(audit) or []] == []
    assert DETECTOR not in {doubt.against for doubt in found}


def test_the_second_reading_is_the_one_of_the_indicator_for_passed_images(tmp_path: Path) -> None:
    audit = write_fake_audit(tmp_path / "many", random_parts(300))
    probes, found = read_probes(audit), second_readings(audit)
    assert probes is not None
    assert found is not None
    outcome = audit.query("SELECT outcome FROM places ORDER BY file_row_number")["outcome"]
    passed = outcome.isin(["FN", "TN"]).to_numpy()
    mean = probes.depth_scores.mean(axis=1)
    np.testing.assert_allclose(found[passed], mean, atol=1e-6)
    order = np.argsort(found[passed])
    assert (np.diff(probes.scores[order]) >= -1e-6).all()  # the same up to its unit
    assert len(labels_to_check(audit, most=5) or []) == 5
