"""The second reading of an open part, driven without a browser."""

from html import unescape
from pathlib import Path

import numpy as np
import pytest

from dashboard.parts.sentences import probe_sentences
from tests.dashboard.app import fine, open_page, texts
from tests.dashboard.ware import write_audit
from tests.fakes import copy_audit, random_parts
from trust_core.audit.probe_explanation import ProbeExplanation, explain_probe
from trust_core.audit.reopen import reopen_detector
from trust_core.decision.indicators.probe_reading import DepthReading
from trust_core.decision.indicators.probes import PROBES
from trust_core.explanation.probe_map import ProbeMap
from trust_core.storage.audit_files import Audit


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return write_audit(tmp_path_factory.mktemp("reading") / "demo", random_parts(140, strengths=1))


@pytest.fixture
def audit(workspace: Path, whole: Audit) -> Audit:
    return copy_audit(whole, workspace / "demo")


def part(audit: Audit) -> dict[str, str]:
    (row,) = audit.query(
        "SELECT sample_id, path FROM samples WHERE role = 'tune' AND outcome = 'TN' LIMIT 1"
    ).to_dict("records")
    return row


def test_it_stands_beside_the_maps_once_it_is_asked_for(audit: Audit):
    row = part(audit)
    app = open_page("parts", audit="demo", part=row["sample_id"])
    assert "What speaks for a defect" not in texts(app)
    fine(app.toggle("part-second-reading").set_value(True).run())
    found = explain_probe(audit, reopen_detector(audit), row["sample_id"], row["path"])
    told = unescape(texts(app))
    depth = f"at depth {found.reading.depth + 1} of {found.reading.depths}"
    assert f"{depth} ({found.reading.layer})" in told
    for sentence in probe_sentences(found, called_defective=False):
        assert sentence in told


def test_a_model_that_is_gone_is_told_and_the_page_lives_on(audit: Audit):
    Path(audit.manifest.model.path).unlink()
    app = open_page("parts", audit="demo", part=part(audit)["sample_id"])
    fine(app.toggle("part-second-reading").set_value(True).run())
    assert "The model file has moved" in texts(app)
    assert "IoU difference Δ" in texts(app)


def test_without_probes_it_is_not_offered(audit: Audit):
    (audit.folder / PROBES).unlink()
    app = open_page("parts", audit="demo", part=part(audit)["sample_id"])
    assert not [toggle for toggle in app.toggle if toggle.key == "part-second-reading"]


@pytest.mark.parametrize(
    ("louder", "defective", "says"),
    [
        (0.98, False, "The third of 6 depths sees a defect here (higher than 98 % of the good "),
        (0.98, False, "; the final answer does not."),
        (0.98, True, "; so does the final answer."),
        (0.6, False, "No depth of the network sees a defect here: the loudest, the third of 6 "),
    ],
)
def test_the_sentence(louder: float, defective: bool, says: str):
    reading = DepthReading(2, 6, "layer3", np.ones(3), 0.0, 2.0, 2.0, louder)
    found = ProbeExplanation(reading, ProbeMap(np.full((2, 2), 0.5, np.float32), 2.0, 0.4))
    told, share = probe_sentences(found, defective)
    assert says in told
    assert "adds up to 100 % of that depth's score (+2.0 standard deviations" in share
    assert "40 % of it exactly" in share
