"""Every overlap of the kept maps against `explanation.overlap`."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import random_parts, write_fake_audit
from trust_core.decision.tuning.mask_grid import MASK_RULES, Recipe, overlaps, recipes_of
from trust_core.explanation.overlap import overlap
from trust_core.storage.audit_files import SCORES
from trust_core.storage.manifest import Manifest, as_record


def test_recipes_are_every_layer_pair_and_mask_the_audits_own_first(audit):
    recipes = recipes_of(audit.manifest)
    assert recipes[0] == Recipe("3", "gradcam", "gradient", "otsu")
    assert len(recipes) == len(set(recipes)) == 2 * 2 * 2 * len(MASK_RULES)


@pytest.mark.parametrize("number", range(2 * 2 * 2 * len(MASK_RULES)))
def test_overlaps_are_those_of_the_explanation_layer_to_the_last_bit(audit, number: int):
    recipe = recipes_of(audit.manifest)[number]
    passed = audit.passed(["tune", "test"])
    rows = passed["row"].to_numpy()
    defect, good = overlaps(audit, rows, passed["log_odds"].to_numpy(), [recipe])
    names = {(e.layer, e.map): e.name for e in audit.manifest.maps}
    prefix = "" if recipe.specific == "gradcam" else "layercam_"
    maps = [
        torch.from_numpy(np.array(audit.maps(names[recipe.layer, name])[rows])).float()
        for name in (f"{prefix}defect", f"{prefix}good", recipe.agnostic)
    ]
    wanted = overlap(*maps, recipe.mask)
    np.testing.assert_array_equal(defect[:, 0], wanted.iou_defect)
    np.testing.assert_array_equal(good[:, 0], wanted.iou_good)


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

    content = {
        "schema_version": 1,
        "status": "finished",
        "settings": {"specific": ["gradcam"], "agnostic": ["gradient"]},
        "maps": [{"layer": "l", "map": name, "name": name, "file": ""} for name in stored],
        "mask": "half",
    }
    manifest = as_record(Manifest, content)
    kept = SimpleNamespace(manifest=manifest, maps=stored.__getitem__)
    recipe = Recipe("l", "gradcam", "gradient", rule)
    defect, good = overlaps(kept, np.arange(len(maps)), np.zeros(len(maps)), [recipe])
    wanted = overlap(*(torch.from_numpy(m).float() for m in stored.values()), rule)
    np.testing.assert_array_equal(defect[:, 0], wanted.iou_defect)
    np.testing.assert_array_equal(good[:, 0], wanted.iou_good)


def test_what_is_not_finite_has_no_score(tmp_path):
    made = write_fake_audit(tmp_path / "audit", random_parts(20))
    file = made.folder / "maps" / "layer4.good.npy"
    broken = np.load(file)
    broken[1, 0, 0] = np.nan
    np.save(file, broken)
    log_odds = pd.read_parquet(made.folder / SCORES)["log_odds"].to_numpy()[:4].copy()
    log_odds[3] = math.inf
    defect, good = overlaps(made, np.arange(4), log_odds, recipes_of(made.manifest))
    unscored = np.isnan(defect) & np.isnan(good)
    assert unscored[[1, 3]].all()
    assert not unscored[[0, 2]].any()
