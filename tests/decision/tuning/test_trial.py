"""Every choice tried, for a page: what it says is what tuning finds."""

import pytest

from tests.fakes import random_parts, write_fake_audit
from trust_core.decision.journal import open_seals
from trust_core.decision.tuning.autotune import tune_overlaps
from trust_core.decision.tuning.trial import try_choices
from trust_core.errors import SettingsError


def test_a_trial_says_what_tuning_finds_and_opens_no_seal(tmp_path):
    audit = write_fake_audit(tmp_path / "audit", random_parts(120))
    tried, tuned = try_choices(audit, "tune"), tune_overlaps(audit)
    assert (tried.sentence, tried.better) == (tuned.search.sentence, tuned.search.better)
    assert tried.choices == len(tuned.overlaps.candidates())
    assert tried.sensitivity.role == "tune"
    assert tried.columns is None
    with pytest.raises(SettingsError, match="sealed"):
        try_choices(audit, "test")
    open_seals(audit, ["test"], "a test")
    assert list(try_choices(audit, "test").columns) == list(tuned.columns)
