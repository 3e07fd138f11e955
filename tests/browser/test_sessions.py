"""Reloads, shared links, several sessions at once, restarts, deep links, and memory."""

import os
import re
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from tests.browser.conftest import FAULT, sign
from tests.browser.server import Server, serve, settled, visitor
from tests.browser.test_run import drop, name_in
from tests.browser.test_tradeoff import address, counts, drawn
from tests.dashboard.ware import write_network, write_zip
from tests.fakes import random_parts, write_fake_audit
from trust_core.audit import jobs

Visit = Callable[..., Page]
POINT = "audit=demo&ind=iou_difference&eps=1&tau=0.2&role=tune"
PAGES = {  # address: the page's name in the bar
    "?audit=demo&eps=1&tau=0.2": "Home",
    f"tradeoff?{POINT}": "Trade-off",
    f"parts?{POINT}&show=fn&sort=likely&page=1": "Parts",
    "decide?audit=demo": "Decide",
    "run?audit=demo&size=64&strengths=0,0.5": "Run",
}
# What a visitor may see on the way, besides the page she asked for.
WATCH = """
window.seen = new Set();
const look = () => {
  if (document.querySelector('[data-testid=stSidebar]')) seen.add('sidebar');
  if (document.querySelector('[data-testid=stSidebarNav], [data-testid=stSidebarCollapsedControl]'))
    seen.add('navigation');
  if (document.querySelector('[data-testid=stException], .problem')) seen.add('problem');
  if (/page not found/i.test(document.body?.innerText)) seen.add('not found');
  const here = document.querySelector(".st-key-topbar [class*='-here']")?.innerText;
  if (here) seen.add(here.trim());
};
new MutationObserver(look).observe(document, {childList: true, subtree: true});
"""
pytestmark = pytest.mark.slow
FIRST_SECONDS, PAGE_SECONDS = 30, 15  # sanity on a busy machine; the goals are 5 and 2
WARM, MOVES, GROWTH = 40, 200, 25e6  # interactions, interactions, bytes


def test_each_page_is_the_first_request_to_a_fresh_server_and_nothing_flashes(
    workspace: Path, context: BrowserContext, tmp_path: Path
) -> None:
    for number, (where, name) in enumerate(PAGES.items()):
        with serve(workspace, tmp_path / f"log{number}") as server:
            page = context.new_page()
            page.add_init_script(WATCH)
            began = time.monotonic()
            page.goto(f"{server.url}/{where}")
            settled(page)
            first = time.monotonic() - began
            assert page.evaluate("[...window.seen]") == [name]
            assert page.title() == f"{name} · Second Look"
            began = time.monotonic()
            page.goto(f"{server.url}/{where}")
            settled(page)
            again = time.monotonic() - began
            print(f"\n{name}: first request {first:.2f} s, then {again:.2f} s", end="")
            assert first < FIRST_SECONDS
            assert again < PAGE_SECONDS
            page.close()
            assert FAULT not in server.log, server.log[-4000:]


def test_going_from_page_to_page(visit: Visit) -> None:
    page = visit("?audit=demo")
    for name in ("Trade-off", "Parts", "Decide", "Run", "Home"):
        began = time.monotonic()
        page.locator(".st-key-topbar a", has_text=name).click()
        expect(page.locator(".st-key-topbar [class*='-here']")).to_have_text(name)
        settled(page)
        took = time.monotonic() - began
        print(f"\nto {name}: {took:.2f} s", end="")
        assert took < PAGE_SECONDS


@pytest.fixture(scope="module")
def colleague(context: BrowserContext) -> Iterator[BrowserContext]:
    """The browser of somebody else, who has the server's link but shares no session."""
    browser = context.browser
    assert browser is not None
    other = visitor(browser, viewport={"width": 1280, "height": 720})
    yield other
    other.close()


@pytest.mark.parametrize("where", PAGES)
def test_a_reload_and_a_shared_link_show_the_same(
    visit: Visit, colleague: BrowserContext, where: str
) -> None:
    page = visit(where)
    forget_name(page)
    before, link = content(page), page.url
    page.reload()
    settled(page)
    assert content(page) == before
    assert page.url == link
    shared = colleague.new_page()
    shared.goto(link)
    settled(shared)
    assert content(shared) == before
    shared.close()


def forget_name(page: Page) -> None:
    """Whoever signed in an earlier test; a link shows the same but for the reader's own name."""
    page.evaluate("localStorage.clear()")
    page.reload()
    settled(page)


def content(page: Page) -> str:
    """All that a reader reads, when it has come to rest."""
    expect(page.locator(".finding h1")).to_be_visible()
    text, same = "", 0
    for _ in range(60):
        now = page.locator("[data-testid=stMain]").inner_text()
        same = same + 1 if now == text else 0
        if same == 6:  # charts draw themselves after all else, late on a busy machine
            break
        text = now
        page.wait_for_timeout(300)
    return text


def test_two_sessions_on_one_audit_do_not_move_each_other(visit: Visit, server: Server) -> None:
    page = drawn(visit(f"tradeoff?{POINT}"))
    other = page.context.new_page()
    other.goto(f"{server.url}/tradeoff?{POINT}")
    settled(other)
    start = counts(drawn(other))
    assert counts(page) == start
    for _ in range(3):
        before = page.url
        page.locator(".st-key-threshold input").focus()
        page.keyboard.press("ArrowRight")
        other.locator(".st-key-strength input").focus()
        other.keyboard.press("ArrowRight")  # from 1 to 4, where it ends
        expect(page).not_to_have_url(before)
        settled(page)
        settled(other)
    expect(other).to_have_url(re.compile("eps=4"))
    assert address(page)["eps"] == "1"
    assert address(other)["tau"] == "0.2"
    assert counts(page) != start
    for tab in (page, other):
        settled(tab)
        told = counts(tab)
        tab.reload()
        settled(tab)
        assert counts(drawn(tab)) == told
    other.close()


def test_what_one_session_notes_the_other_sees(visit: Visit, server: Server) -> None:
    """Both write to the journal of one audit; nothing is lost."""
    page = visit(f"tradeoff?{POINT}")
    other = page.context.new_page()
    other.goto(f"{server.url}/tradeoff?{POINT.replace('0.2', '0.4')}")
    settled(other)
    journal = server.workspace / "demo" / "decisions.jsonl"
    before = journal.read_bytes() if journal.exists() else b""
    try:
        for tab, why in ((page, "first"), (other, "second <b>")):
            sign(tab)
            tab.get_by_label("Why this point?").fill(why)
            tab.get_by_role("button", name="Keep this operating point").click()
            expect(tab.get_by_text("Kept so far")).to_be_visible()
            settled(tab)
        lines = journal.read_text().splitlines()[len(before.splitlines()) :]
        assert [re.search(r'"why": ?"([^"]*)"', line)[1] for line in lines] == [
            "first",
            "second <b>",
        ]
        page.reload()
        settled(page)
        expect(page.get_by_text("Kept so far")).to_contain_text("0.4")
    finally:
        journal.write_bytes(before) if before else journal.unlink(missing_ok=True)
        other.close()


@pytest.mark.parametrize("where", ["tradeoff", "decide"])
def test_an_audit_that_was_deleted_meanwhile_is_told(
    visit: Visit, server: Server, where: str
) -> None:
    """A control asks for what was not read yet; no red box, and the server logs no fault."""
    folder = server.workspace / f"doomed-{where}"
    write_fake_audit(folder, random_parts(200))
    page = visit(f"{where}?audit={folder.name}")
    shutil.rmtree(folder)
    with suppress(PlaywrightTimeoutError):  # the page may have found out by itself
        page.locator(".st-key-indicator").click(timeout=5000)
        page.get_by_role("option", name="Energy of the outputs").click(timeout=5000)
    expect(page.get_by_role("alert")).to_contain_text(f"There is no audit '{folder.name}'")
    expect(page.locator("[data-testid=stException]")).to_have_count(0)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "workspace").mkdir()
    write_network(tmp_path / "model.safetensors")
    write_zip(tmp_path / "parts.zip", {"good": 260, "crack": 240})
    return tmp_path


@pytest.fixture
def own(place: Path) -> Iterator[serve]:
    """A server that the test restarts on the same port."""
    running = serve(place / "workspace", place / "log")
    with running:
        yield running


def test_a_server_restart_in_mid_run_cancel_and_resume(
    context: BrowserContext, place: Path, own: serve
) -> None:
    """The worker outlives the server; a tab that stayed open finds it again, and can stop it."""
    page = context.new_page()
    page.goto(f"{own.server.url}/run?pgd=5")  # so that the run lasts long enough
    settled(page)
    drop(page, "model", place / "model.safetensors")
    expect(page.get_by_text("Recognised as")).to_be_visible()
    drop(page, "data", place / "parts.zip")
    expect(page.get_by_role("button", name="Start the audit")).to_be_visible(timeout=60_000)
    settled(page)
    page.get_by_role("button", name="Start the audit").click()
    folder = place / "workspace" / name_in(page)
    heading = page.locator(".finding h1")
    expect(heading).to_contain_text("of 500 photos done", timeout=60_000)
    own.__exit__()
    assert jobs.state(folder).phase == jobs.RUNNING
    own.__enter__()
    expect(page.get_by_role("button", name="Stop")).to_be_enabled(timeout=30_000)
    page.reload()
    settled(page)
    page.get_by_role("button", name="Stop").click()
    expect(heading).to_contain_text("Stopped after", timeout=60_000)
    done = jobs.state(folder).done
    assert 0 < done < 500
    own.__exit__()
    own.__enter__()
    page.reload()  # a stopped run is still there after another restart
    expect(heading).to_contain_text(f"Stopped after {done}")
    page.get_by_role("button", name="Resume").click()
    expect(heading).to_contain_text("Finished", timeout=240_000)
    page.close()
    assert FAULT not in own.server.log, own.server.log[-4000:]


def test_memory_of_a_session_stays_flat(
    workspace: Path, context: BrowserContext, tmp_path: Path
) -> None:
    """Sliders moved and parts stepped through: what the server holds does not grow with it."""
    running = serve(workspace, tmp_path / "log")
    with running as server:
        page = context.new_page()
        steps = [slide, step]
        sizes = []
        for interact in steps:
            interact(page, server, WARM // len(steps))
        sizes.append(resident(running.process.pid))
        for _ in range(4):
            for interact in steps:
                interact(page, server, MOVES // len(steps) // 4)
            sizes.append(resident(running.process.pid))
        page.close()
        assert FAULT not in server.log, server.log[-4000:]
    told = ", ".join(f"{size / 1e6:.1f}" for size in sizes)
    print(f"\nmemory of the server after warming up and every {MOVES // 4}: {told} MB")
    assert sizes[-1] - sizes[0] < GROWTH, told


def slide(page: Page, server: Server, times: int) -> None:
    page.goto(f"{server.url}/tradeoff?{POINT}")
    settled(page)
    drawn(page)
    page.locator(".st-key-threshold input").focus()
    milliseconds = []
    for move in range(times):
        before = page.url
        began = time.monotonic()
        page.keyboard.press("ArrowLeft" if move % 20 < 10 else "ArrowRight")
        expect(page).not_to_have_url(before)
        settled(page)
        milliseconds.append(1000 * (time.monotonic() - began))
    print(f"\n{times} moves of a slider: median {statistics.median(milliseconds):.0f} ms", end="")


def step(page: Page, server: Server, times: int) -> None:
    page.goto(f"{server.url}/parts?{POINT}&show=all")
    settled(page)
    page.locator(".st-key-parts-grid [class*=st-key-tile-]").first.click()
    expect(page).to_have_url(re.compile("part="))
    milliseconds = []
    for _ in range(times):
        settled(page)
        before = page.url
        began = time.monotonic()
        page.get_by_role("button", name="Next").click()
        expect(page).not_to_have_url(before)
        settled(page)
        milliseconds.append(1000 * (time.monotonic() - began))
    print(f"\n{times} parts opened: median {statistics.median(milliseconds):.0f} ms", end="")


def resident(pid: int) -> int:
    """Bytes of main memory that a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
