"""Every indicator of an audit against threshold shift."""

from pathlib import Path

from tests.fakes import random_parts, write_fake_audit
from trust_core.decision.indicator_verdicts import has_verdicts, indicator_verdicts
from trust_core.decision.indicators.registry import INDICATORS, THRESHOLD_SHIFT, available


def test_every_indicator_of_the_audit_is_judged_the_rival_last(tmp_path: Path) -> None:
    audit = write_fake_audit(tmp_path / "mine", random_parts(400))
    assert not has_verdicts(audit, "tune", 1.0)
    found = [one.indicator for one in indicator_verdicts(audit, "tune", 1.0)]
    assert set(found) == set(available(audit))
    assert found[-1] == THRESHOLD_SHIFT
    assert set(found) <= set(INDICATORS)
    assert has_verdicts(audit, "tune", 1.0)
