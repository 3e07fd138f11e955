"""The Deploy page: what goes to the line, files made on demand, the drift of a log dropped in."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.wording import page_text
from tests.dashboard.app import again, fine, links, open_page, texts
from tests.fakes import random_parts, write_fake_audit
from trust_core.decision.certificate import Demand
from trust_core.decision.journal import JOURNAL, decide, entries
from trust_core.decision.operating_point import noted_point
from trust_core.decision.standing import leading_point
from trust_core.deploy.operating_point import promise
from trust_core.deploy.reference import line_reference
from trust_core.deploy.report.seal import verify
from trust_core.figures.words.point import rule_sentence
from trust_core.storage.audit_files import Audit

SECONDS = 60


@pytest.fixture
def audit(workspace: Path) -> Audit:
    return write_fake_audit(workspace / "mine", random_parts(300))


@pytest.fixture
def decided(audit: Audit) -> Audit:
    decide(audit, "iou_difference", 0.1, 0.0, "try", "Jane")
    return audit


def opened() -> AppTest:
    return open_page("deploy", audit="mine")


def press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click()
    return again(app)


def settled(app: AppTest) -> AppTest:
    """The page when nothing is being made any more."""
    end = time.monotonic() + SECONDS
    while "Being made" in texts(app):
        assert time.monotonic() < end
        time.sleep(0.2)
        again(app)
    return app


def log_lines(audit: Audit, moved: float) -> bytes:
    """A log of parts like those of `tune`, their p moved."""
    found = line_reference(audit, "iou_difference", 0.0)
    draw = np.random.default_rng(0)
    lines = []
    for index in draw.permutation(np.tile(np.arange(len(found.p_defect)), 3)):
        passed = bool(found.passed[index])
        value = float(found.indicator[index])
        entry = {
            "time": "2026-05-04T03:02:01.250+00:00", "policy": "0" * 12, "path": "a.png",
            "decision": "good" if passed else "defective",
            "p_defect": float(np.clip(found.p_defect[index] + moved, 0, 1)),
            "indicator": value if np.isfinite(value) else None, "reason": "",
            "audit_sample": False, "brightness": float(found.brightness[index]),
            "sharpness": float(found.sharpness[index]),
        }  # fmt: skip
        lines.append(json.dumps(entry))
    return "\n".join(lines).encode()


def test_before_a_decision_it_says_where_one_would_begin(audit: Audit) -> None:
    app = opened()
    told = texts(app)
    assert "Do not take it to the line yet: nothing is proven." in told
    assert "Nobody has decided yet" in told
    assert rule_sentence(leading_point(audit)) in told  # where Home and Decide begin, too
    assert "A try-out needs a decision." in told
    assert "Decide and prove it" in links(app)
    assert not (audit.folder / JOURNAL).exists()


def test_it_says_what_goes_to_the_line_and_what_it_promises(decided: Audit) -> None:
    told = texts(opened())
    assert "goes to re-inspection when it has an IoU difference of 0.1 or more" in told
    point = noted_point(decided)
    assert point is not None
    assert page_text(promise(decided, point, Demand(0.95))) in told
    assert len(entries(decided)) == 1


def test_the_report_is_made_on_demand(decided: Audit) -> None:
    app = opened()
    assert not app.get("download_button")
    app = settled(press(app, "Make the report"))
    (button,) = app.get("download_button")
    assert button.proto.label.startswith("Download (")
    from dashboard.deploy import makings

    (future,) = makings._files().values()
    assert verify(future.result()).ok
    assert len(entries(decided)) == 1  # no seal was opened


def test_what_cannot_be_made_is_said_and_can_be_tried_again(decided: Audit) -> None:
    app = settled(press(opened(), "Make the guard"))
    assert not app.get("download_button")
    assert any(button.label == "Make the guard" for button in app.button)
    assert "model" in texts(app)


@pytest.mark.parametrize(("moved", "said"), [(0.0, "No drift to be seen"), (0.3, "Drift, called")])
def test_a_log_is_compared_with_the_audit(decided: Audit, moved: float, said: str) -> None:
    app = opened()
    app.file_uploader[1].set_value([("line.jsonl", log_lines(decided, moved), "text/plain")])
    told = texts(again(app))
    assert said in told
    assert "Median of the defect probability" in told


def test_a_wrong_log_is_one_sentence(decided: Audit) -> None:
    app = opened()
    app.file_uploader[1].set_value([("line.csv", b"a,b\n1,2\n", "text/csv")])
    assert "is no file of decisions" in texts(fine(app.run()))
