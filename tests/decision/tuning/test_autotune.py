"""The choice among all overlaps, and how far it can be trusted."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from tests.decision.tuning.overlaps import random_overlaps
from tests.fakes import Part, random_parts, write_fake_audit
from trust_core.cli.main import main
from trust_core.decision.curves import tradeoff
from trust_core.decision.journal import entries
from trust_core.decision.tuning.autotune import autotune, search_overlaps, tune_overlaps
from trust_core.decision.tuning.candidates import OverlapTable
from trust_core.decision.tuning.mask_grid import MASK_RULES
from trust_core.decision.tuning.sensitivity import AXES
from trust_core.storage.audit_files import INDICATORS


def test_a_signal_is_found():
    found = search_overlaps(random_overlaps(signal=3.0))
    assert found.taken
    assert found.candidate.recipe.mask == "top:0.040"
    assert found.held_out["chosen"] > found.held_out["default"] + 0.2
    assert found.auroc.max() == pytest.approx(
        found.auroc[random_overlaps().candidates().index(found.candidate)]
    )
    assert "Chosen: of 120 choices" in found.sentence


def test_the_best_of_pure_noise_is_known_to_be_noise():
    """In-sample the best of 120 looks good; on parts that had no say it is worth a coin."""
    best, held_out = [], []
    for seed in range(12):
        found = search_overlaps(random_overlaps(seed=seed))
        best.append(found.auroc.max())
        held_out.append(found.held_out["chosen"])
    assert min(best) > 0.6
    assert np.mean(held_out) == pytest.approx(0.5, abs=0.06)


def test_few_missed_parts_leave_the_default():
    overlaps = random_overlaps(signal=3.0, missed_parts=5)
    found = search_overlaps(overlaps)
    assert (found.taken, found.candidate, found.held_out) == (False, overlaps.default, {})
    assert "too few to choose by" in found.sentence


def test_only_tune_chooses():
    overlaps = random_overlaps(signal=1.0)
    turned = overlaps.table.copy()
    turned.loc[turned["role"] == "test", "outcome"] = "FN"
    other = OverlapTable(
        turned,
        *(
            getattr(overlaps, n)
            for n in ("strengths", "recipes", "log_odds", "iou_defect", "iou_good")
        ),
    )
    first, second = search_overlaps(overlaps), search_overlaps(other)
    np.testing.assert_array_equal(first.auroc, second.auroc)
    assert first.held_out == second.held_out


def test_the_job_notes_both_indicators_and_opens_the_seal_of_test_once(tmp_path):
    parts = [*random_parts(300), Part(True, 0.3, (math.nan,), group="unscored")]
    made = write_fake_audit(tmp_path / "audit", parts)
    before = tradeoff(made, "best_overlap").curves[0.0]
    result = json.loads(json.dumps(autotune(made).as_json(), allow_nan=False))
    assert [e["role"] for e in entries(made)] == ["test"]
    autotune(made)
    assert len(entries(made)) == 1
    for name in ("best_overlap", "overlap_profile"):
        points = tradeoff(made, name, "test").curves[4.0]
        assert points.auroc == pytest.approx(result["test"][name]["indicator"]["auroc"])
    assert tradeoff(made, "best_overlap").curves[0.0].auroc != before.auroc
    assert result["choices"] == len(MASK_RULES) * (4 * 3 - 1)
    assert result["tune"]["best"][0]["auroc"] == max(b["auroc"] for b in result["tune"]["best"])
    assert {p["axis"] for p in result["sensitivity"]["test"]["points"]} == set(AXES)


def test_the_command_prints_one_object(audit, capsys):
    assert main(["autotune", str(audit.folder), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["chosen"].keys() == {
        "layer",
        "specific",
        "agnostic",
        "mask",
        "variant",
        "strength",
    }
    assert result["test"].keys() == {"best_overlap", "overlap_profile"}
    assert main(["autotune", str(audit.folder)]) == 0
    said = capsys.readouterr().out
    assert "best_overlap: layer " in said
    assert "On test, overlap_profile: " in said


def test_the_command_needs_an_audit(tmp_path, capsys):
    assert main(["autotune", str(tmp_path)]) == 2
    assert "holds no audit" in capsys.readouterr().err


def test_tuning_writes_nothing_and_opens_no_seal(tmp_path):
    made = write_fake_audit(tmp_path / "audit", random_parts(300))
    before = (made.folder / INDICATORS).read_bytes()
    tuned = tune_overlaps(made)
    assert tuned.columns["sample_id"].tolist() == tuned.overlaps.table["sample_id"].tolist()
    assert tuned.profile.sentence
    assert entries(made) == []
    assert (made.folder / INDICATORS).read_bytes() == before


def test_nothing_called_good_is_one_sentence(tmp_path, capsys):
    parts = [replace(part, p=0.9) for part in random_parts(20, seed=3)]
    write_fake_audit(tmp_path / "a", parts)
    assert main(["autotune", str(tmp_path / "a")]) == 2
    assert "calls no image good" in capsys.readouterr().err
    assert main(["tradeoff", str(tmp_path / "a"), "--role", "all"]) == 2
    assert "try --role all" not in capsys.readouterr().err
