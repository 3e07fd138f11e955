"""The results table: intervals against plain resampling, and how the winner is found."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.rows import Row, losses_of_resamples, rows_of, winner
from tests.fakes import random_parts, write_fake_audit
from trust_core.decision.bootstrap import resample
from trust_core.decision.curves import tradeoff
from trust_core.decision.indicators.registry import INDICATORS
from trust_core.decision.tradeoff import RECALLS, curve


def test_losses_of_resamples_are_those_of_the_curve_of_the_drawn_images():
    draw = np.random.default_rng(2)
    scores = np.round(draw.normal(size=60), 1)
    scores[::11] = np.nan
    missed = draw.random(60) < 0.3
    for times in resample(np.arange(60) // 2, 50):
        for row, found in zip(times, losses_of_resamples(scores, missed)(times), strict=True):
            taken = np.repeat(np.arange(60), row)
            points = curve(scores[taken], missed[taken])
            assert found.tolist() == pytest.approx([points.tn_loss_at(r) for r in RECALLS])


def test_rows_are_what_the_command_line_prints(tmp_path):
    audit = write_fake_audit(tmp_path / "audit", random_parts(400))
    rows = {row.indicator: row for row in rows_of(audit)}
    assert list(rows) == list(INDICATORS)
    for name in ("iou_difference", "p_defect", "energy"):
        row = rows[name]
        printed = {c["strength"]: c for c in tradeoff(audit, name, "test").as_json()["curves"]}[
            row.strength
        ]
        assert row.auroc == pytest.approx(printed["auroc"])
        assert row.tn_loss == pytest.approx(printed["tn_loss_at"])
        assert row.auroc_interval[0] < row.auroc < row.auroc_interval[1]
        tune = {e: points.auroc for e, points in tradeoff(audit, name).curves.items()}
        assert row.tune_auroc == pytest.approx(max(tune.values()))
    json.dumps([row.tn_loss_interval for row in rows.values()])


def test_the_winner_leads_on_tune_of_all_and_test_has_no_say():
    def row(name: str, tune: float, test: float) -> Row:
        return Row(name, 0.0, tune, test, (0, 1), 0, (0, 1), "amber", {}, {})

    found = {
        "a": [row("p_defect", 0.7, 0.7), row("one", 0.9, 0.5), row("both", 0.75, 0.5)],
        "b": [row("p_defect", 0.6, 0.6), row("one", 0.59, 0.99), row("both", 0.62, 0.5)],
    }
    assert winner(found) == "both"
    found["a"].append(row("only here", 1.0, 1.0))
    assert winner(found) == "both"
    found["b"][1] = replace(found["b"][1], tune_auroc=0.8)
    assert winner(found) == "one"
