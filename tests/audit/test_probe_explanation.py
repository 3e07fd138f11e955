"""The loudest depth of an image, and its map, in a real audit of a small network."""

import numpy as np
import pytest

from tests.dashboard.ware import write_audit
from tests.fakes import random_parts, write_fake_audit
from trust_core.audit.probe_explanation import explain_probe
from trust_core.audit.reopen import reopen_detector
from trust_core.decision.indicators.probe_reading import loudest_depth
from trust_core.decision.indicators.probes import read_probes
from trust_core.errors import SettingsError


@pytest.fixture(scope="module")
def audit(tmp_path_factory):
    return write_audit(
        tmp_path_factory.mktemp("explained") / "small", random_parts(140, strengths=1)
    )


def test_the_map_adds_up_to_the_score_of_the_loudest_depth(audit):
    detector, probes = reopen_detector(audit), read_probes(audit)
    samples = audit.query("SELECT * FROM samples ORDER BY sample_id")
    passed = samples["outcome"].isin(["FN", "TN"])
    for chosen in (passed & (samples["role"] != "tune"), passed & (samples["role"] == "test")):
        row = samples[chosen].iloc[0]
        found = explain_probe(audit, detector, row["sample_id"], row["path"])
        kept = audit.activations()[row.name].astype(float)
        by_hand = [
            kept[part] @ probes.weights[part] + offset
            for part, offset in zip(probes.slices, probes.offsets, strict=True)
        ]
        assert found.reading.depth == np.argmax(by_hand)
        assert found.reading.score == pytest.approx(max(by_hand), abs=1e-4)
        assert found.map.score == pytest.approx(max(by_hand))
        depth = audit.manifest.depths[found.reading.depth]
        assert (found.reading.layer, found.map.values.shape) == (depth.layer, depth.grid)
        # Kept activations are in half precision: 1 in 2,000 of each of some hundred numbers.
        assert found.map.values.sum() == pytest.approx(found.map.score, abs=0.1)


def test_an_image_of_tune_is_read_by_a_probe_that_did_not_see_it(audit):
    probes = read_probes(audit)
    passed = audit.query(
        "SELECT sample_id, role, outcome FROM samples WHERE outcome IN ('FN', 'TN') "
        "ORDER BY sample_id"
    )
    index = int(np.flatnonzero(passed["role"] == "tune")[0])
    reading = loudest_depth(audit, passed["sample_id"][index])
    assert reading.score == probes.depth_scores[index].max()
    assert reading.score != reading.probe_score
    good = ((passed["role"] == "tune") & (passed["outcome"] == "TN")).to_numpy()
    below = probes.depth_scores[good, reading.depth] < reading.score
    assert reading.louder == below.mean()
    assert reading.sees_defect == (reading.louder >= 0.95)


def test_an_audit_without_probes_says_so(tmp_path):
    audit = write_fake_audit(tmp_path / "few", random_parts(12))
    sample_id = audit.query("SELECT sample_id FROM samples")["sample_id"][0]
    assert loudest_depth(audit, sample_id) is None
    with pytest.raises(SettingsError, match="no second reading"):
        explain_probe(audit, None, sample_id, "")
