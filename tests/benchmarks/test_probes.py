"""The benchmark of probes on a small audit whose first depth knows of the defects."""

import pandas as pd
import pytest

from benchmarks.probes import certify_given_back, evaluate, misses_weighted, text_of
from tests.decision.indicators.test_probes import made
from trust_core.storage.audit_files import SAMPLES


@pytest.fixture(scope="module")
def audit(tmp_path_factory):
    return made(tmp_path_factory.mktemp("probes") / "audit")


def test_what_it_tells_of_an_audit(audit):
    found = evaluate(audit, quick=True, null=2)
    leads = {each["what"]: each for each in found["leads"] + found["ablations"]}
    assert leads["probe; roles program's; chosen"]["colour"] == "green"
    assert leads["stage0 alone"]["test"] > leads["stage1 alone"]["test"] + 0.1
    assert "head refitted: last depth, without z" in leads
    points = [point for point in found["learning_curve"] if point["fitted"] == "chosen"]
    assert [point["groups"] for point in points] == [5, 10, 20, leads["as it is"]["groups"]]
    assert points[-1]["mean"] == pytest.approx(leads["as it is"]["test"])
    assert (points[-1]["proposed"], points[-1]["confirmed"]) == (1, 1)
    assert found["null"]["times"] == 2
    assert "stage1 alone" in text_of(found)


def test_misses_of_tune_are_there_several_times_and_nothing_else_is(audit):
    samples = certify_given_back(pd.read_parquet(audit.folder / SAMPLES))
    weighted, repeated = misses_weighted(audit, samples)
    times = repeated["sample_id"].value_counts()
    missed = samples[(samples["outcome"] == "FN") & (samples["role"] == "tune")]["sample_id"]
    assert (times[missed] == 4).all()
    assert (times.drop(missed) == 1).all()
    rows = samples.set_index("sample_id").index.get_indexer(repeated["sample_id"])
    assert (weighted.activations() == audit.activations()[rows]).all()
