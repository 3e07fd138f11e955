"""Two audits, image by image."""

from dataclasses import replace
from pathlib import Path

from tests.fakes import Part, passed_parts, write_fake_audit
from trust_core.decision.compare_audits import beside


def test_two_audits_are_compared_image_by_image(tmp_path: Path) -> None:
    parts = [Part(True, 0.1, (0.5,)), Part(True, 0.9, (0.5,)), Part(False, 0.1, (0.2,))]
    after = [replace(parts[0], p=0.8), replace(parts[1], p=0.2), parts[2]]
    before, now = (
        write_fake_audit(tmp_path / name, some)
        for name, some in (("before", [*parts, Part(True, 0.1, (0.1,), "test")]), ("now", after))
    )
    found = beside(now, before, ["tune"])
    assert (found.shared, found.here) == (3, 3)
    assert found.counts == {"FN": (1, 1), "TP": (1, 1), "TN": (1, 1), "FP": (0, 0)}
    assert found.changed["change"].tolist() == [
        "missed there, caught here",
        "caught there, missed here",
    ]
    assert beside(now, before, []).shared == 0


def test_another_image_under_the_same_name_is_another_image(tmp_path: Path) -> None:
    here = write_fake_audit(tmp_path / "here", passed_parts([0.5], [0.2]), seed=1)
    there = write_fake_audit(tmp_path / "there", passed_parts([0.5], [0.2]), seed=2)
    assert beside(here, there, ["tune"]).shared == 0
