"""Probes: what they find, what they may not look at, and when they abstain."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.fakes import Part, write_fake_audit
from tests.small import small_dataset, small_detector
from trust_core.audit.run import run_audit
from trust_core.audit.settings import AuditSettings
from trust_core.decision.curves import tradeoff
from trust_core.decision.indicators import probes
from trust_core.decision.indicators.probes import combined, fit_probes, read_probes
from trust_core.decision.indicators.registry import available
from trust_core.decision.indicators.stored import write_indicators
from trust_core.storage.audit_files import ACTIVATIONS, SAMPLES, open_audit
from trust_core.storage.manifest import MANIFEST, as_json

CHANNELS = (4, 3)
DEPTHS = [
    {"layer": f"stage{k}", "channels": count, "grid": [8, 8]} for k, count in enumerate(CHANNELS)
]
WIDTH = 3 * sum(CHANNELS)


def made(folder, *, images=400, lead=3.0, groups=2, seed=0):
    """An audit whose activations know `lead` deviations more of a defect than its answers do."""
    draw = np.random.default_rng(seed)
    parts = [
        Part(
            defective=bool(index // groups % 3 == 0),
            p=float(draw.uniform(0.01, 0.49)),
            deltas=(0.1,),
            role=("train", "tune", "tune", "test")[index // groups // 3 % 4],
            group=f"part{index // groups:04d}",
        )
        for index in range(images)
    ]
    audit = write_fake_audit(folder, parts)
    samples = pd.read_parquet(folder / SAMPLES)
    values = draw.normal(size=(len(samples), WIDTH))
    values[:, 5] += lead * samples["label"]
    np.save(folder / ACTIVATIONS, values.astype(np.float16))
    content = as_json(audit.manifest) | {"depths": DEPTHS}
    (folder / MANIFEST).write_text(json.dumps(content))
    audit = open_audit(folder)
    write_indicators(audit)
    return audit


def auroc(audit, indicator, role):
    return tradeoff(audit, indicator, role).curves[0.0].auroc


@pytest.fixture(scope="module")
def audit(tmp_path_factory):
    return made(tmp_path_factory.mktemp("probes") / "audit")


def test_probes_find_what_the_activations_know(audit):
    alone, known, shift = (
        auroc(audit, name, "test") for name in ("probe", "probe_combination", "p_defect")
    )
    assert shift < 0.65
    assert alone > 0.9
    assert known > shift + 0.15


def test_without_anything_to_know_they_find_nothing_on_tune(tmp_path):
    """Cross-fitting: on the images of the fit themselves, 21 numbers would separate noise."""
    areas = [auroc(made(tmp_path / str(s), lead=0, seed=s), "probe", "tune") for s in range(5)]
    assert np.mean(areas) == pytest.approx(0.5, abs=0.08)


def test_no_image_of_tune_is_scored_by_a_probe_that_saw_its_group(audit):
    """Whatever the images of a group are, the fit that scores them stays as it is."""
    samples = pd.read_parquet(audit.folder / SAMPLES)
    activations = np.load(audit.folder / ACTIVATIONS).astype(np.float64)
    for group in samples["group"][samples["role"] == "tune"].unique()[:4]:
        inside = (samples["group"] == group).to_numpy()
        row = np.flatnonzero(inside)[0]
        before = fit_of(samples, activations, row)
        other = np.where(inside[:, None], 50.0, activations)
        np.testing.assert_array_equal(fit_of(samples, other, row), before)
        assert not np.allclose(
            fit_of(samples, other, row, fit=-1), fit_of(samples, activations, row, fit=-1)
        )


def fit_of(samples, activations, row, fit=None):
    """Weights of the fit by which an image of tune is scored."""
    tune = np.flatnonzero(samples["role"] == "tune")
    codes = np.unique(samples["group"].iloc[tune], return_inverse=True)[1]
    defective = (samples["label"].iloc[tune] == 1).to_numpy()
    widths = tuple(3 * count for count in CHANNELS)
    fits, fold = probes.cross_fit(activations[tune], defective, codes, widths)
    return fits[fold[np.searchsorted(tune, row)] if fit is None else fit].weights


def test_folds_keep_groups_whole():
    draw = np.random.default_rng(0)
    codes = np.arange(60) // 2
    fits, fold = probes.cross_fit(draw.normal(size=(60, 6)), codes % 2 == 0, codes, (6,))
    assert (fold[::2] == fold[1::2]).all()
    assert len(fits) == 6  # five folds, and all


def test_combination_is_z_and_half_s_in_deviations_of_good_parts():
    z, s = np.array([1.0, 3.0, 5.0, np.nan]), np.array([10.0, 20.0, 60.0, 1.0])
    good = np.array([True, True, False, False])
    np.testing.assert_allclose(combined(z, s, good)[:3], [-1.5, 1.5, 3 + 0.5 * 9])
    assert np.isnan(combined(z, s, good)[3])


@pytest.mark.parametrize("missing", ["activations", "depths", "groups"])
def test_probes_abstain_and_say_why(tmp_path, missing):
    audit = made(tmp_path / "audit", images=400 if missing != "groups" else 48)
    if missing == "activations":
        (audit.folder / ACTIVATIONS).unlink()
    if missing == "depths":
        audit = replace(audit, manifest=replace(audit.manifest, depths=()))
    assert fit_probes(audit, pd.read_parquet(audit.folder / SAMPLES)) is None
    write_indicators(audit)
    assert not {"probe", "probe_combination"} & set(available(audit))
    assert read_probes(audit) is None


def test_what_is_kept_gives_the_scores_again(audit):
    kept = read_probes(audit)
    samples = pd.read_parquet(audit.folder / SAMPLES)
    outside = samples["outcome"].isin(["FN", "TN"]).to_numpy() & (samples["role"] != "tune")
    values = np.load(audit.folder / ACTIVATIONS)[outside].astype(np.float64)
    ends = np.cumsum([3 * count for count in kept.widths])
    parts = np.split(values * kept.weights, ends[:-1], axis=1)
    again = np.column_stack([part.sum(1) for part in parts]) + kept.offsets
    passed = samples["outcome"].isin(["FN", "TN"]).to_numpy()
    np.testing.assert_allclose(again, kept.depth_scores[outside[passed]], atol=1e-4)


def test_many_images_are_cut_and_still_scored_out_of_fold(audit, monkeypatch):
    monkeypatch.setattr(probes, "MOST_IMAGES", 60)
    found = fit_probes(audit, pd.read_parquet(audit.folder / SAMPLES))
    assert np.isfinite(found.scores).all()


def test_an_audit_keeps_activations_row_for_row(tmp_path):
    detector, dataset = small_detector(), small_dataset(tmp_path / "data")
    audit = run_audit(detector, dataset, AuditSettings(strengths=(0.0,)), tmp_path / "audit")
    kept = audit.activations()
    channels = [depth.channels for depth in audit.manifest.depths]
    assert kept.shape == (len(dataset.samples), 3 * sum(channels))
    assert kept.dtype == np.float16
    assert [d.layer for d in audit.manifest.depths] == ["1", "3"]
