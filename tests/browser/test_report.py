"""The report in a browser that is offline: nothing is asked of the network, and it prints."""

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.fakes import random_parts, write_fake_audit
from trust_core.deploy.report.content import ReportSettings
from trust_core.deploy.report.write import make_report


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    audit = write_fake_audit(folder / "audit", random_parts(300))
    file = folder / "report.html"
    file.write_bytes(make_report(audit, ReportSettings(open_seals=True, person="Jane")).page)
    return file


def test_it_opens_offline_answers_the_pointer_and_prints(
    context: BrowserContext, report: Path
) -> None:
    page = context.new_page()
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(report.as_uri())
    page.locator("svg.figure [data-tip]").nth(5).hover(force=True)
    expect(page.locator("#tip")).to_be_visible()
    expect(page.locator("#tip")).to_contain_text("missed photos caught")
    page.mouse.move(5, 5)
    expect(page.locator("#tip")).to_be_hidden()
    page.emulate_media(media="print")
    first = page.locator(".sheet").bounding_box()
    assert first
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]
    assert said == []
    page.close()
