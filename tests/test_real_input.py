"""The main job on the real networks and photographs beside the project, where they are there."""

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from trust_core.audit.run import run_audit
from trust_core.audit.settings import AuditSettings
from trust_core.data.layouts import read_dataset
from trust_core.decision.curves import tradeoff
from trust_core.decision.tradeoff import curve
from trust_core.explanation.overlap import overlap
from trust_core.model.open import ModelOptions, open_detector
from trust_core.storage.manifest import OutcomeCounts

AGNOSTIC = ("gradient", "activation", "norm", "eigen")
FAIR = ("tune", "certify", "test")


@pytest.fixture(scope="module")
def tiles(shared, tmp_path_factory):
    """The magnetic tiles, clean and at ε = 0.1; the images the network was fitted on left out."""
    root = shared / "data" / "magnetic_tile"
    dataset = read_dataset(root, samples=root / "splits.csv")
    fitted = set(pd.read_csv(shared / "models" / "magnetic_tile_lite0_fitted.csv")["path"])
    samples = dataset.samples[~dataset.samples["path"].isin(fitted)].reset_index(drop=True)
    detector = open_detector(
        shared / "models" / "magnetic_tile_lite0.pth",
        ModelOptions(size=(192, 192), mean=(0.5,), std=(0.5,)),
    )
    settings = AuditSettings(strengths=(0, 0.1), agnostic=AGNOSTIC)
    folder = tmp_path_factory.mktemp("tiles") / "audit"
    return run_audit(detector, dataclasses.replace(dataset, samples=samples), settings, folder)


def test_tiles_give_the_published_outcomes(tiles):
    by_split = tiles.manifest.counts_by_split
    assert by_split["tune"] == OutcomeCounts(tp=46, fn=17, tn=155, fp=16)
    assert by_split["test"] == OutcomeCounts(tp=87, fn=31, tn=244, fp=43)
    assert by_split["train"] == OutcomeCounts(tp=28, fn=5, tn=63, fp=2)
    assert tiles.manifest.unreadable == tiles.manifest.unscored == 0


@pytest.mark.parametrize(
    ("agnostic", "auroc"),
    [("gradient", 0.745), ("activation", 0.727), ("norm", 0.681), ("eigen", 0.662)],
)
def test_tiles_reproduce_the_known_auroc_of_every_pair(tiles, agnostic, auroc):
    clean = tiles.passed(FAIR).query("strength == 0")
    assert (len(clean), (clean["outcome"] == "FN").sum()) == (447, 48)
    rows = clean["row"].to_numpy()
    maps = (torch.from_numpy(np.array(tiles.maps(n)[rows])) for n in ("defect", "good", agnostic))
    difference = overlap(*(m.float() for m in maps)).iou_difference
    found = curve(difference, (clean["outcome"] == "FN").to_numpy()).auroc
    assert found == pytest.approx(auroc, abs=0.02)


@pytest.mark.parametrize(
    ("indicator", "strength", "auroc"),
    [("iou_difference", 0.0, 0.745), ("p_defect", 0.0, 0.729), ("log_odds", 0.1, 0.752)],
)
def test_tiles_reproduce_the_known_auroc_of_indicators(tiles, indicator, strength, auroc):
    found = tradeoff(tiles, indicator, "all").curves[strength].auroc
    assert found == pytest.approx(auroc, abs=0.005)


def test_half_of_the_true_negatives_have_an_empty_defect_map(tiles):
    clean = tiles.passed(FAIR).query("strength == 0 and outcome == 'TN'")
    empty = ~tiles.maps("defect")[clean["row"].to_numpy()].any(axis=(1, 2))
    assert 0.4 < empty.mean() < 0.6
    assert (clean["status"] == "scored").all()


@pytest.mark.slow
def test_solar_cells_give_the_published_outcomes(shared, tmp_path):
    package = importlib.util.find_spec("elpv_dataset")
    if package is None:
        pytest.skip("the package elpv-dataset is not installed")
    root = Path(package.origin).parent / "data"
    dataset = read_dataset(root, samples=shared / "models" / "elpv_resnet18_splits.csv")
    detector = open_detector(
        shared / "models" / "elpv_resnet18.safetensors",
        ModelOptions(size=(128, 128), mean=(0.5,), std=(0.25,)),
    )
    assert detector.architecture.endswith("resnet18")
    audit = run_audit(detector, dataset, AuditSettings(strengths=(0,)), tmp_path / "audit")
    by_split = audit.manifest.counts_by_split
    assert by_split["train"] == OutcomeCounts(tp=265, fn=145, tn=796, fp=105)
    assert by_split["tune"] == OutcomeCounts(tp=94, fn=70, tn=312, fp=50)
    assert by_split["test"] == OutcomeCounts(tp=159, fn=88, tn=468, fp=72)
    found = tradeoff(audit, "p_defect", "all").shift.auroc
    assert found == pytest.approx(0.697, abs=0.002)
