"""The report: what the pages say, sealed roles closed, foreign text escaped, valid HTML."""

import re
from html import unescape
from pathlib import Path

import html5lib
import pytest

from tests.decision.test_certify import parts
from tests.fakes import Part, passed_parts, random_parts, write_fake_audit
from trust_core.decision.certificate import Demand
from trust_core.decision.certify import compute_certificate, indicator_to_certify
from trust_core.decision.curves import tradeoff
from trust_core.decision.journal import decide, entries
from trust_core.decision.line_costs import OWN, Line, audit_on_the_line
from trust_core.decision.operating_point import OperatingPoint, count_flags
from trust_core.deploy.report.conditions import parse_condition
from trust_core.deploy.report.content import MEASURES, ReportSettings, collect, measures
from trust_core.deploy.report.page import reproduction
from trust_core.deploy.report.seal import verify
from trust_core.deploy.report.write import make_report
from trust_core.figures.words.point import caught_sentence
from trust_core.storage.audit_files import Audit

HOSTILE = "</td><script>alert(1)</script>\"&'"
MOST_BYTES = 5_000_000


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    return write_fake_audit(tmp_path / "audit", random_parts(300))


def page_of(audit: Audit, **settings: object) -> str:
    return make_report(audit, ReportSettings(**settings)).page.decode()


def text_of(page: str) -> str:
    body = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_it_is_valid_and_small_enough(audit: Audit) -> None:
    for settings in ({}, {"open_seals": True, "conditions": (
        parse_condition("fail", "verdict = red", MEASURES),)}):  # fmt: skip
        page = page_of(audit, **settings)
        html5lib.HTMLParser(strict=True).parse(page)
        assert len(page) <= MOST_BYTES
        assert verify(page.encode()).ok


def test_it_needs_nothing_else(audit: Audit) -> None:
    page = page_of(audit)
    assert "default-src 'none'" in page
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert addresses
    assert all(address.startswith("data:image/jpeg;base64,") for address in addresses)
    assert not re.search(r"url\(|@import|<link|<iframe", page)


def test_sealed_roles_stay_sealed(audit: Audit) -> None:
    content = collect(audit, ReportSettings())
    assert (content.role, content.sealed, content.certificate) == (
        "tune",
        ("certify", "test"),
        None,
    )
    assert entries(audit) == []
    assert content.recommendation.way == "wait"
    told = text_of(page_of(audit))
    assert "this is a preview" in told
    assert "Preview:" in told or "threshold shift" in told
    sealed = {name for name, value in measures(content).items() if value is None}
    assert {"verdict", "certified", "tn_loss", "fn_recall", "cost_per_part"} <= sealed


def test_opening_them_is_noted(audit: Audit) -> None:
    content = collect(audit, ReportSettings(open_seals=True))
    assert content.role == "test"
    assert content.certificate is not None
    assert [(e["what"], e["role"]) for e in entries(audit)] == [
        ("seal_opened", "certify"),
        ("seal_opened", "test"),
    ]
    again = collect(audit, ReportSettings(open_seals=True))
    assert len(entries(audit)) == 2
    assert again.certificate == content.certificate


def test_it_says_what_the_pages_say(tmp_path: Path) -> None:
    audit = write_fake_audit(tmp_path / "audit", parts(70), strengths=(0.0, 1.0))
    decide(audit, "iou_difference", 0.1, 0.0, "try")
    line = Line(0.02, 500, 50, 2)
    demand = Demand(0.95)
    settings = ReportSettings(demand=demand, line=line, person="Jane", open_seals=True)
    content = collect(audit, settings)
    point = OperatingPoint("iou_difference", 0.0, 0.1, "test")
    scores = tradeoff(audit, "iou_difference", "test")
    assert content.point == point
    assert content.counts == count_flags(scores.curves[0.0], scores.shift, point)
    proof = compute_certificate(audit, demand, indicator_to_certify(audit))
    assert content.certificate == proof
    assert content.line_values[OWN] == audit_on_the_line(audit, "test", point, line)
    told = text_of(page_of(audit, demand=demand, line=line, person="Jane"))
    for sentence in (caught_sentence(content.counts), proof.sentence, "Jane", audit.id):
        assert sentence in told
    found = measures(content)
    assert set(found) == set(MEASURES)
    assert found["certified"] == ("yes" if proof.certified else "no")
    assert found["recall_lower_bound"] == proof.ours.proof.recall_lower_bound
    assert found["fn_recall"] == content.counts.flagged_fn / content.counts.fn
    assert found["tn_loss"] == content.counts.flagged_tn / content.counts.tn


def test_foreign_text_stays_text(tmp_path: Path) -> None:
    foreign = [Part(True, 0.2, (0.3,), kind="a<b>&\"'" + "crack"), Part(False, 0.1, (0.9,))]
    images = [*foreign, *passed_parts([0.5, 0.2], [0.4, 0.1]), Part(False, float("nan"), (0.1,))]
    audit = write_fake_audit(tmp_path / "audit", images, strengths=(0.0,))
    decide(audit, "iou_difference", 0.35, 0.0, HOSTILE)
    page = page_of(audit, title=HOSTILE, person=HOSTILE)
    html5lib.HTMLParser(strict=True).parse(page)
    assert "<script>alert" not in page
    assert page.count("<script>") == 1
    assert text_of(page).count("alert(1)") >= 3
    assert "a<b>&\"'crack" in text_of(page)


def test_the_worst_parts_come_with_their_maps(audit: Audit) -> None:
    decide(audit, "iou_difference", 0.2, 0.0, "try")
    overlooked = tradeoff(audit, "iou_difference").curves[0.0]
    missed = overlooked.fn - int(overlooked.flagged_fn[overlooked.at(0.2)])
    page = page_of(audit, worst=3)
    assert f"3 of {missed}." in text_of(page)
    assert page.count('<div class="part">') == 6
    assert page.count('<img src="data:image/jpeg;base64,') == 24


def test_a_photograph_that_is_gone_is_said(audit: Audit) -> None:
    import shutil

    shutil.rmtree(audit.manifest.data.root)
    page = page_of(audit)
    html5lib.HTMLParser(strict=True).parse(page)
    assert page.count('<img src="data:image/jpeg') == 0
    assert '<p class="finding">' in page


def test_an_audit_without_a_missed_defect(tmp_path: Path) -> None:
    images = [*passed_parts([], [0.1, 0.2, 0.3]), Part(True, 0.9, (0.1,))]
    audit = write_fake_audit(tmp_path / "audit", images, strengths=(0.0,))
    page = page_of(audit, open_seals=True)
    html5lib.HTMLParser(strict=True).parse(page)
    assert "nan" not in text_of(page).lower().split()


def test_the_command_stands_in_it(audit: Audit) -> None:
    assert reproduction(audit) == ""
    from dataclasses import replace

    words = ("audit", "/models/my model.pt", "/data", "--good", "ok")
    known = replace(audit, manifest=replace(audit.manifest, command=words))
    wanted = "python -m trust_core audit '/models/my model.pt' /data --good ok"
    assert reproduction(known) == wanted
    assert wanted in text_of(page_of(known))
