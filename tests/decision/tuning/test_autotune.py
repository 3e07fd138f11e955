"""Every overlap of the kept maps, the choice among them, and how far it can be trusted."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import Part, random_parts, write_fake_audit
from tests.small import small_dataset, small_detector
from trust_core.audit.run import run_audit
from trust_core.audit.settings import AuditSettings
from trust_core.cli.main import main
from trust_core.decision.curves import curve_at
from trust_core.decision.journal import entries
from trust_core.decision.tradeoff import curve
from trust_core.decision.tuning.autotune import auroc_of, autotune, tune
from trust_core.decision.tuning.candidates import VARIANTS, Choice, Rescored, rescore_all
from trust_core.decision.tuning.mask_grid import MASK_RULES, Recipe, overlaps, recipes_of
from trust_core.decision.tuning.sensitivity import AXES, sensitivity
from trust_core.explanation.overlap import overlap
from trust_core.storage.audit_files import SCORES, open_audit

SETTINGS = AuditSettings(
    strengths=(0, 2),
    specific=("gradcam", "layercam"),
    agnostic=("gradient", "eigen"),
    mask="otsu",
    decision_threshold=0.999,  # most images are passed
)


@pytest.fixture(scope="module")
def audit(tmp_path_factory):
    """Two layers, two pairs of each kind, of a small network."""
    folder = tmp_path_factory.mktemp("autotune")
    detector = small_detector(layers=("3", "1"))
    return run_audit(detector, small_dataset(folder / "images", 80), SETTINGS, folder / "audit")


def invented(
    signal: float = 0.0,
    *,
    parts: int = 60,
    recipes: int = 40,
    seed: int = 0,
    missed_parts: int = 20,
) -> Rescored:
    """Overlaps drawn at random; the last recipe tells missed defects by `signal` deviations."""
    draw = np.random.default_rng(seed)
    count = 2 * parts
    missed = np.arange(count) // 2 < missed_parts
    defect, good = draw.normal(0.5, 0.1, (2, 1, count, recipes))
    defect[0, :, -1] += 0.1 * signal * missed
    z = draw.normal(-2, 1, (1, count))
    table = pd.DataFrame(
        {
            "sample_id": [f"{i:04d}" for i in range(count)],
            "outcome": np.where(missed, "FN", "TN"),
            "role": np.where(np.arange(count) // 2 % 4 == 3, "test", "tune"),
            "group": [str(i // 2) for i in range(count)],
            "p_defect": 1 / (1 + np.exp(-z[0])),
        }
    )
    names = tuple(
        Recipe("layer", "gradcam", "gradient", f"top:0.{i + 1:03d}") for i in range(recipes)
    )
    return Rescored(table, (0.0,), names, z, defect, good)


def test_recipes_are_every_layer_pair_and_mask_the_audits_own_first(audit):
    recipes = recipes_of(audit.manifest)
    assert recipes[0] == Recipe("3", "gradcam", "gradient", "otsu")
    assert len(recipes) == len(set(recipes)) == 2 * 2 * 2 * len(MASK_RULES)


@pytest.mark.parametrize("number", range(2 * 2 * 2 * len(MASK_RULES)))
def test_overlaps_are_those_of_the_explanation_room_to_the_last_bit(audit, number: int):
    recipe = recipes_of(audit.manifest)[number]
    passed = audit.passed(["tune", "test"])
    rows = passed["row"].to_numpy()
    found = overlaps(audit, rows, passed["log_odds"].to_numpy(), [recipe])
    names = {(e["layer"], e["map"]): e["name"] for e in audit.manifest["maps"]}
    prefix = "" if recipe.specific == "gradcam" else "layercam_"
    maps = [
        torch.from_numpy(np.array(audit.maps(names[recipe.layer, name])[rows])).float()
        for name in (f"{prefix}defect", f"{prefix}good", recipe.agnostic)
    ]
    wanted = overlap(*maps, recipe.mask)
    np.testing.assert_array_equal(found.iou_defect[:, 0], wanted.iou_defect)
    np.testing.assert_array_equal(found.iou_good[:, 0], wanted.iou_good)


def test_the_audits_own_recipe_gives_its_own_scores(audit):
    rescored = rescore_all(audit)
    for strength in audit.strengths:
        for variant in VARIANTS:
            choice = Choice(rescored.recipes[0], variant, strength)
            for role in ("tune", "test"):
                mine = rescored.judged(rescored.scores(choice), role)
                points = curve(mine["indicator"].to_numpy(), (mine["outcome"] == "FN").to_numpy())
                wanted = curve_at(audit.passed([role]), variant, strength)
                np.testing.assert_array_equal(points.thresholds, wanted.thresholds)


@given(
    st.lists(
        st.lists(st.sampled_from([-1.0, 0.0, 0.0, 0.25, 1.0]), min_size=9, max_size=9),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from(["half", "otsu", "top:0.1", "top:0.5", "top:0.9"]),
)
def test_maps_with_ties_zeros_and_constants_too(rows, rule):
    maps = np.array(rows, dtype=np.float16).reshape(-1, 3, 3)
    stored = {"defect": maps, "good": maps[::-1].copy(), "gradient": np.roll(maps, 1, 1)}

    manifest = {
        "settings": {"specific": ["gradcam"], "agnostic": ["gradient"]},
        "maps": [{"layer": "l", "map": name, "name": name} for name in stored],
        "mask": "half",
    }
    kept = SimpleNamespace(manifest=manifest, maps=stored.__getitem__)
    recipe = Recipe("l", "gradcam", "gradient", rule)
    found = overlaps(kept, np.arange(len(maps)), np.zeros(len(maps)), [recipe])
    wanted = overlap(*(torch.from_numpy(m).float() for m in stored.values()), rule)
    np.testing.assert_array_equal(found.iou_defect[:, 0], wanted.iou_defect)
    np.testing.assert_array_equal(found.iou_good[:, 0], wanted.iou_good)


def test_what_is_not_finite_has_no_score(tmp_path):
    made = write_fake_audit(tmp_path / "audit", random_parts(20))
    file = made.folder / "maps" / "layer4.good.npy"
    broken = np.load(file)
    broken[1, 0, 0] = np.nan
    np.save(file, broken)
    log_odds = pd.read_parquet(made.folder / SCORES)["log_odds"].to_numpy()[:4].copy()
    log_odds[3] = math.inf
    found = overlaps(open_audit(made.folder), np.arange(4), log_odds)
    unscored = np.isnan(found.iou_defect) & np.isnan(found.iou_good)
    assert unscored[[1, 3]].all()
    assert not unscored[[0, 2]].any()


def test_choices_are_all_variants_at_all_strengths(audit):
    rescored = rescore_all(audit)
    choices = rescored.choices()
    assert choices[0] == rescored.default
    assert len(set(choices)) == len(choices) == len(rescored.recipes) * (4 + 3)
    shift = Choice(rescored.recipes[5], "iou_difference_shift", 2.0)
    delta = [rescored.scores(Choice(rescored.recipes[5], "iou_difference", e)) for e in (2.0, 0.0)]
    np.testing.assert_array_equal(rescored.scores(shift), delta[0] - delta[1])


def test_a_signal_is_found():
    found = tune(invented(signal=3.0))
    assert found.taken
    assert found.choice.recipe.mask == "top:0.040"
    assert found.honest["chosen"] > found.honest["default"] + 0.2
    assert found.auroc.max() == pytest.approx(found.auroc[invented().choices().index(found.choice)])
    assert "Chosen: of 120 choices" in found.sentence


def test_the_best_of_pure_noise_is_known_to_be_noise():
    """In-sample the best of 120 looks good; on parts that had no say it is worth a coin."""
    best, honest = [], []
    for seed in range(12):
        found = tune(invented(seed=seed))
        best.append(found.auroc.max())
        honest.append(found.honest["chosen"])
    assert min(best) > 0.6
    assert np.mean(honest) == pytest.approx(0.5, abs=0.06)


def test_few_missed_parts_leave_the_default():
    rescored = invented(signal=3.0, missed_parts=5)
    found = tune(rescored)
    assert (found.taken, found.choice, found.honest) == (False, rescored.default, {})
    assert "too few to choose by" in found.sentence


def test_only_tune_chooses():
    rescored = invented(signal=1.0)
    turned = rescored.table.copy()
    turned.loc[turned["role"] == "test", "outcome"] = "FN"
    other = Rescored(
        turned,
        *(
            getattr(rescored, n)
            for n in ("strengths", "recipes", "log_odds", "iou_defect", "iou_good")
        ),
    )
    first, second = tune(rescored), tune(other)
    np.testing.assert_array_equal(first.auroc, second.auroc)
    assert first.honest == second.honest


def test_aurocs_of_many_are_those_of_one():
    draw = np.random.default_rng(1)
    scores = np.round(draw.normal(size=(50, 700)), 1)
    scores[draw.random(scores.shape) < 0.05] = np.nan
    missed = draw.random(50) < 0.3
    found = auroc_of(scores, missed)
    for index in (0, 511, 512, 699):
        assert found[index] == pytest.approx(curve(scores[:, index], missed).auroc)
    assert np.isnan(auroc_of(scores, np.zeros(50, dtype=bool))).all()


def test_sensitivity_changes_one_thing_at_a_time(audit):
    rescored = rescore_all(audit)
    choice = Choice(Recipe("1", "layercam", "eigen", "top:0.2"), "iou_difference", 2.0)
    found = sensitivity(rescored, choice, "tune")
    by_axis = {axis: [p for p in found.points if p.axis == axis] for axis in AXES}
    assert [len(points) for points in by_axis.values()] == [2, 2, 2, len(MASK_RULES), 4, 2]
    assert all(sum(point.chosen for point in points) == 1 for points in by_axis.values())
    other = next(p for p in by_axis["layer"] if not p.chosen)
    wanted = rescored.judged(
        rescored.scores(Choice(Recipe("3", "layercam", "eigen", "top:0.2"), "iou_difference", 2.0)),
        "tune",
    )
    missed = (wanted["outcome"] == "FN").to_numpy()
    assert 0 < missed.sum() < len(missed)
    assert other.auroc == pytest.approx(curve(wanted["indicator"].to_numpy(), missed).auroc)
    rival = curve(wanted["p_defect"].to_numpy(), missed).auroc
    assert other.difference == pytest.approx(other.auroc - rival)
    assert f"of {sum(map(len, by_axis.values())) - len(AXES)} choices" in found.sentence


def test_the_colours_of_sensitivity():
    strong, flat = (
        sensitivity(invented(signal=s), tuned, "tune")
        for s, tuned in (
            (6.0, Choice(invented().recipes[-1], "iou_defect", 0.0)),
            (0.0, invented().default),
        )
    )
    colours = {p.value: p.colour for p in strong.points if p.axis == "mask"}
    assert colours["top:0.040"] == "green"
    assert "amber" in colours.values()
    assert next(p.colour for p in flat.points if p.chosen) == "amber"


def test_the_job_notes_both_indicators_and_opens_the_seal_of_test_once(tmp_path):
    parts = [*random_parts(300), Part(True, 0.3, (math.nan,), group="unscored")]
    made = write_fake_audit(tmp_path / "audit", parts)
    before = curve_at(made.passed(["tune"]), "best_overlap", 0.0)
    result = json.loads(json.dumps(autotune(made), allow_nan=False))
    assert [e["role"] for e in entries(made)] == ["test"]
    autotune(made)
    assert len(entries(made)) == 1
    for name in ("best_overlap", "overlap_profile"):
        points = curve_at(made.passed(["test"]), name, 4.0)
        assert points.auroc == pytest.approx(result["test"][name]["indicator"]["auroc"])
    assert curve_at(made.passed(["tune"]), "best_overlap", 0.0).auroc != before.auroc
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
