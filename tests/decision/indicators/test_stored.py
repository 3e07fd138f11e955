"""Rival indicators: against scikit-learn, by hand, and what they may not look at."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import entr, logsumexp, softmax
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from tests.fakes import Part, random_parts, write_fake_audit
from tests.small import small_dataset, small_detector
from trust_core.audit.run import run_audit
from trust_core.audit.settings import AuditSettings
from trust_core.decision.cross_validation import (
    base_score,
    out_of_fold,
    standardised,
)
from trust_core.decision.curves import tradeoff
from trust_core.decision.indicators.registry import ABSENT, INDICATORS, available
from trust_core.decision.indicators.stored import (
    MASKS_AT_ONCE,
    RIVALS,
    Material,
    add_indicators,
    strongest_window,
    write_indicators,
)
from trust_core.errors import SettingsError
from trust_core.explanation.overlap import mask_of
from trust_core.storage.audit_files import FEATURES, SAMPLES, open_audit
from trust_core.storage.audit_files import INDICATORS as FILE

draw = np.random.default_rng(0)


@pytest.fixture(scope="module")
def audit(tmp_path_factory):
    made = write_fake_audit(tmp_path_factory.mktemp("stored") / "audit", random_parts(400))
    write_indicators(made)
    return made


def material(audit):
    return Material(audit, pd.read_parquet(audit.folder / SAMPLES))


def column(audit, name):
    return audit.query(f"SELECT {name} FROM indicators ORDER BY sample_id")[name].to_numpy()


def test_every_rival_has_a_name_and_a_reason_to_be_absent():
    assert set(ABSENT) == set(RIVALS) | {"best_overlap", "overlap_profile"}
    assert set(ABSENT) < set(INDICATORS)


def test_the_table_has_a_row_for_each_passed_image(audit):
    table = pd.read_parquet(audit.folder / FILE)
    samples = pd.read_parquet(audit.folder / SAMPLES)
    passed = samples[samples["outcome"].isin(["FN", "TN"])]
    assert table["sample_id"].tolist() == passed["sample_id"].tolist()
    for name in ("energy", "gradient_norm", "tta_spread"):
        np.testing.assert_array_equal(table[name], passed[name])
    np.testing.assert_array_equal(table["max_logit"], -passed["max_logit"])


def test_rivals_reach_the_curves(audit):
    result = tradeoff(audit, "energy", "test").as_json()
    table = audit.passed(["test"]).query("strength == 0")
    wanted = roc_auc_score(table["outcome"] == "FN", table["energy"])
    assert [c["auroc"] for c in result["curves"]] == pytest.approx([wanted] * 3)


def test_labels_and_masks_make_the_rivals_anew_and_nothing_else_does(tmp_path):
    detector, dataset = small_detector(), small_dataset(tmp_path / "images", 240)
    settings = AuditSettings(strengths=(0, 1), decision_threshold=0.999)
    folder = tmp_path / "audit"
    made = run_audit(detector, dataset, settings, folder)
    add_indicators(made, pd.read_parquet(folder / FILE)[["sample_id"]].assign(best_overlap=1.0))
    made = run_audit(detector, dataset, settings, folder)
    assert "best_overlap" in made.stored_indicators  # autotune's columns outlive the same command
    area = column(made, "defect_area")
    made = run_audit(detector, dataset, dataclasses.replace(settings, mask="top:0.1"), folder)
    assert "best_overlap" not in made.stored_indicators
    assert (column(made, "defect_area") != area).any()
    samples = dataset.samples.copy()
    samples["label"] = 1 - samples["label"]
    turned = dataclasses.replace(dataset, samples=samples)
    before = column(made, "knn")
    made = run_audit(detector, turned, dataclasses.replace(settings, mask="top:0.1"), folder)
    assert (column(made, "knn") != before).any()


def test_what_an_audit_cannot_have_is_refused_and_not_offered(tmp_path):
    made = run_audit(
        small_detector(1),
        small_dataset(tmp_path / "images"),
        AuditSettings(strengths=(0,)),
        tmp_path / "audit",
    )
    missing = {"max_logit", "energy", "gradient_norm", "tta_spread"}
    assert missing.isdisjoint(available(made))
    assert {"combination", "iou_random", "p_defect"} < set(available(made))
    with pytest.raises(SettingsError, match="no indicator 'energy': with one output"):
        tradeoff(made, "energy")
    with pytest.raises(SettingsError, match="'overlap_profile': run `python -m trust_core autot"):
        tradeoff(made, "overlap_profile")


def test_maps_by_hand(audit):
    given = material(audit)
    rows = given.table["row"].to_numpy()
    maps = audit.maps("defect")[rows].astype(np.float64)
    shares = maps.reshape(len(rows), -1) / maps.sum((1, 2))[:, None]
    np.testing.assert_allclose(column(audit, "defect_entropy"), entr(shares).sum(1), rtol=1e-5)
    mask = mask_of(torch.from_numpy(maps).float(), "half", specific=True).numpy()
    np.testing.assert_allclose(column(audit, "defect_area"), mask.mean((1, 2)))


def test_a_map_without_evidence_has_neither_area_nor_scatter(tmp_path):
    made = write_fake_audit(tmp_path / "audit", random_parts(30))
    file = made.folder / "maps" / "layer4.defect.npy"
    np.save(file, np.zeros_like(np.load(file)))
    made = open_audit(made.folder)
    for name in ("defect_area", "defect_entropy"):
        assert (RIVALS[name](material(made)) == 0).all()


def test_the_random_map_depends_on_the_image_alone(audit):
    first = RIVALS["iou_random"](material(audit))
    np.testing.assert_array_equal(first, RIVALS["iou_random"](material(audit)))
    assert len(np.unique(first)) > len(first) / 2
    fewer = material(audit)
    half = dataclasses.replace(fewer, samples=fewer.samples.iloc[::2])
    np.testing.assert_array_equal(
        RIVALS["iou_random"](half), first[fewer.passed.nonzero()[0] % 2 == 0]
    )


def test_references_are_good_images_of_train_else_tune_and_never_sealed(tmp_path):
    """Features of sealed or defective images may be anything: no distance of others moves."""
    audit = write_fake_audit(tmp_path / "audit", random_parts(800))
    features = np.load(audit.folder / FEATURES)
    samples = pd.read_parquet(audit.folder / SAMPLES)
    for roles in (("train",), ("tune",)):
        known = (
            samples
            if "train" in roles
            else samples.assign(role=samples["role"].replace("train", "test"))
        )
        before = RIVALS["mahalanobis"](Material(audit, known))
        fit = known["role"].isin(roles) & (known["label"] == 0)
        changed = features.copy()
        changed[~fit & ~known["outcome"].isin(["FN", "TN"])] = 9
        np.save(audit.folder / FEATURES, changed)
        np.testing.assert_array_equal(RIVALS["mahalanobis"](Material(audit, known)), before)
        changed = features.copy()
        changed[fit] += draw.normal(size=(int(fit.sum()), 16)).astype(np.float16)
        np.save(audit.folder / FEATURES, changed)
        elsewhere = (known[known["outcome"].isin(["FN", "TN"])]["role"] == "certify").to_numpy()
        moved = RIVALS["mahalanobis"](Material(audit, known))
        assert (moved != before)[elsewhere].all()
        np.save(audit.folder / FEATURES, features)


@pytest.mark.parametrize("name", ["combination", "consensus"])
def test_labels_outside_tune_change_no_score(audit, name: str):
    given = material(audit)
    samples = given.samples.copy()
    sealed = samples["role"].isin(["certify", "test"]) & samples["outcome"].isin(["FN", "TN"])
    samples.loc[sealed, "outcome"] = "FN"
    samples.loc[sealed, "label"] = 1
    np.testing.assert_array_equal(RIVALS[name](Material(audit, samples)), RIVALS[name](given))


def test_the_combination_is_fitted_without_the_images_own_part(tmp_path):
    """Turning one part's label moves the scores of others, never its own."""
    made = write_fake_audit(tmp_path / "audit", random_parts(400))
    given = material(made)
    before = RIVALS["combination"](given)
    table, samples = given.table, given.samples.copy()
    part = table.loc[given.tune & ~given.missed, "group"].iloc[0]
    turned = (samples["group"] == part) & (samples["outcome"] == "TN")
    samples.loc[turned, ["label", "outcome"]] = [1, "FN"]
    after = RIVALS["combination"](Material(made, samples))
    tune = given.tune
    assert np.nanmax(np.abs(after - before)[tune & (table["group"] != part).to_numpy()]) > 0
    # The folds are dealt anew when a part changes class, so hold the fit itself to it.
    features = standardised(table[["log_odds", "iou_difference"]].to_numpy(float), tune)[tune]
    start, missed = before[tune] * 0, given.missed[tune]
    fold = np.unique(table["group"][tune], return_inverse=True)[1] % 5
    own = fold == 0
    other = missed.copy()
    other[own] = ~other[own]
    one, two = (out_of_fold(features, y, start, 1.0, fold) for y in (missed, other))
    np.testing.assert_array_equal(one[own], two[own])
    assert (one[~own] != two[~own]).all()


def test_few_missed_parts_leave_the_base_score(tmp_path):
    parts = [Part(i < 4, 0.1 + 0.002 * i, (0.3 - 0.01 * i,), group=str(i)) for i in range(40)]
    made = write_fake_audit(tmp_path / "audit", parts)
    given = material(made)
    base = base_score(given.column("log_odds"), given.column("iou_difference"), given.tune)
    np.testing.assert_array_equal(RIVALS["combination"](given), base)
    assert base.std() == pytest.approx(1)


def test_an_image_without_a_score_stays_without(audit):
    given = material(audit)
    unscored = given.table["iou_difference"].isna().to_numpy()
    assert unscored.any()
    for name in ("combination", "consensus"):
        values = RIVALS[name](given)
        np.testing.assert_array_equal(np.isnan(values), unscored)


def test_columns_can_be_added_and_replaced(tmp_path):
    made = write_fake_audit(tmp_path / "audit", random_parts(40))
    ids = pd.read_parquet(made.folder / FILE)["sample_id"]
    (made.folder / FILE).unlink()
    for value in (1.0, 2.0):
        add_indicators(made, pd.DataFrame({"sample_id": ids[::-1], "best_overlap": value}))
    table = pd.read_parquet(made.folder / FILE)
    assert (table["best_overlap"] == 2).all()
    assert table["sample_id"].tolist() == ids.tolist()
    assert "energy" in table


@given(st.lists(st.tuples(st.floats(-6, 6), st.floats(-6, 6)), min_size=2, max_size=20))
def test_what_ranks_as_p_does(rows):
    """Two outputs, passed at p < 0.5: no news. Energy and max logit are news."""
    logits = np.round(np.array(rows), 3)
    logits = logits[logits[:, 1] < logits[:, 0]]
    p = softmax(logits, axis=1)
    z = np.round(logits[:, 1] - logits[:, 0], 9)
    rank = rankdata(z)
    scores = {
        "max softmax": -p.max(1),
        "entropy": entr(p).sum(1),
        "margin": -(logits.max(1) - logits.min(1)),
        "temperature": softmax(logits / 3, axis=1)[:, 1],
        "DOCTOR": (1 - (p**2).sum(1)) / (p**2).sum(1),
    }
    for name, score in scores.items():
        # To the last bits of p, beyond which neighbours may tie.
        order = np.argsort(score, kind="stable")
        assert (np.diff(z[order]) >= -1e-6).all(), name
    one = {"energy": -logsumexp(np.column_stack([z]), axis=1) * -1, "max logit": z}
    for score in one.values():  # one output: the logit itself
        np.testing.assert_array_equal(rankdata(np.round(score, 9)), rank)


def test_energy_and_max_logit_do_not_rank_as_p_does():
    logits = np.array([[3.0, 1.0], [9.0, 7.5]])
    z = logits[:, 1] - logits[:, 0]
    for suspicion in (-logits.max(1), -logsumexp(logits, axis=1)):
        assert (np.argsort(suspicion) != np.argsort(z)).all()
    assert (np.argsort(-softmax(logits, axis=1).max(1)) == np.argsort(z)).all()


def test_the_mask_alarm_by_hand() -> None:
    masks = np.zeros((3, 64, 96), dtype=np.float16)  # windows of 2 by 3 cells
    masks[0, 10, 10] = 0.6  # one noisy cell of six
    masks[1, 20:22, 30:33] = 0.5
    masks[2, -2:, -3:] = 0.25  # in a corner
    found = strongest_window(masks, np.arange(3))
    assert found == pytest.approx([0.1, 0.5, 0.25], abs=1e-3)


def test_a_coarse_mask_has_windows_of_one_cell() -> None:
    masks = np.zeros((1, 7, 5), dtype=np.float16)
    masks[0, 3, 2] = 0.75
    assert strongest_window(masks, np.array([0])) == pytest.approx([0.75])


def test_rows_are_those_asked_for_and_a_hole_is_unscored() -> None:
    masks = np.linspace(0, 1, 2 * MASKS_AT_ONCE + 3, dtype=np.float16)[:, None, None] * np.ones(
        (1, 4, 4)
    )
    masks[7, 1, 1] = np.nan
    rows = np.array([2 * MASKS_AT_ONCE + 2, 7, 0])
    found = strongest_window(masks.astype(np.float16), rows)
    assert found[0] == pytest.approx(1.0, abs=1e-3)
    assert np.isnan(found[1])
    assert found[2] == 0
    assert len(strongest_window(masks, np.empty(0, dtype=np.int64))) == 0


@pytest.mark.parametrize("mask_head", [True, False])
def test_the_mask_alarm_is_an_indicator_of_the_passed_images(tmp_path, mask_head: bool) -> None:
    audit = write_fake_audit(tmp_path / "audit", random_parts(60), mask_head=mask_head)
    write_indicators(audit)
    table = pd.read_parquet(audit.folder / FILE)
    assert ("mask_alarm" in table) == mask_head
    if mask_head:
        samples = pd.read_parquet(audit.folder / SAMPLES)
        passed = np.flatnonzero(samples["outcome"].isin(["FN", "TN"]))
        wanted = audit.masks()[passed].astype(np.float64).max((1, 2))  # windows of one cell
        np.testing.assert_allclose(table["mask_alarm"], wanted)
