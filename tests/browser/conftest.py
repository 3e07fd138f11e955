"""One real server and one browser for all tests here: a fresh context would load all scripts again.

Without a browser the tests are skipped, with the reason; where CI is set, they fail instead.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from tests.browser.server import NoBrowser, Server, launch, serve, settled, visitor
from tests.fakes import random_parts, write_fake_audit

PAGE_MILLISECONDS = 20_000
FIELD_MILLISECONDS = 8_000  # that a field which is there takes to be filled, on a busy machine
FAULT = "Uncaught app execution"  # what the server logs when a page failed


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("browser")


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace of the server: the audit `demo`, 600 images. Leave it as you find it."""
    folder = tmp_path_factory.mktemp("workspace")
    write_fake_audit(folder / "demo", random_parts(600))
    return folder


@pytest.fixture(scope="session")
def server(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The dashboard on a free port."""
    with serve(workspace, tmp_path_factory.mktemp("server") / "log") as running:
        yield running


@pytest.fixture(scope="session")
def context() -> Iterator[BrowserContext]:
    """One browser context, 1280 × 720, light."""
    with sync_playwright() as playwright:
        try:
            browser = launch(playwright)
        except NoBrowser as error:
            _no_browser(str(error))
        context = visitor(
            browser,
            viewport={"width": 1280, "height": 720},
            color_scheme="light",
            accept_downloads=True,
        )
        context.set_default_timeout(PAGE_MILLISECONDS)
        expect.set_options(timeout=PAGE_MILLISECONDS)
        yield context
        browser.close()


@pytest.fixture
def page(context: BrowserContext, server: Server) -> Iterator[Page]:
    """A fresh page; afterwards no page of the app may have failed on the server."""
    before = server.log.count(FAULT)
    page = context.new_page()
    yield page
    page.close()
    assert server.log.count(FAULT) == before, server.log[-4000:]


@pytest.fixture
def tab(context: BrowserContext, own: serve) -> Iterator[Page]:
    """The page Run of the server that a module has for itself, its fixture `own`."""
    before = own.server.log.count(FAULT)
    page = context.new_page()
    page.goto(f"{own.server.url}/run")
    settled(page)
    yield page
    page.close()
    assert own.server.log.count(FAULT) == before, own.server.log[-4000:]


@pytest.fixture
def visit(page: Page, server: Server) -> Callable[[str], Page]:
    """`visit("tradeoff?audit=demo")`: the page, when all of it has been drawn."""

    def go(address: str = "") -> Page:
        page.goto(f"{server.url}/{address}")
        settled(page)
        return page

    return go


def _no_browser(reason: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def sign(page: Page, name: str = "Ada") -> None:
    """Say who is at the screen, where the page asks for it.

    The browser may know the name and say it itself: then the field goes while it is filled.
    """
    field = page.get_by_role("textbox", name="Your name").first
    signed = page.get_by_text("You sign as").first
    expect(field.or_(signed).first).to_be_visible()
    if not signed.is_visible():
        with suppress(PlaywrightTimeoutError):
            field.fill(name, timeout=FIELD_MILLISECONDS)
            field.press("Enter", timeout=FIELD_MILLISECONDS)
    expect(signed).to_be_visible()
    settled(page)
