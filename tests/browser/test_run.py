"""The Run page as a person uses it: her model, her images, to the end; and what goes wrong."""

import json
import re
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Page, expect

from tests.browser.server import serve, settled
from tests.dashboard.ware import write_network, write_zip
from trust_core.audit import jobs

IMAGES = {"alpha": 130, "beta": 70, "gamma": 60}
MINUTES = 180_000  # milliseconds
WATCH = """() => {
    window.bars = [];
    new MutationObserver(() => {
        const bar = document.querySelector("[role=progressbar]");
        if (bar) window.bars.push(Number(bar.getAttribute("aria-valuenow")));
    }).observe(document.body, { subtree: true, childList: true, attributes: true });
}"""


@pytest.fixture(scope="module")
def wares(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wares")
    write_network(folder / "two.safetensors")
    write_network(folder / "three.pth", outputs=3)
    write_zip(folder / "parts.zip", IMAGES)
    write_zip(folder / "named.zip", {"good": 10, "crack": 8})
    write_zip(folder / "up.zip", {"../up": 2})
    write_zip(folder / "one_class.zip", {"good": 4})
    (folder / "corrupt.zip").write_bytes(b"PK\3\4 is not enough")
    torch.save(torch.nn.Linear(3, 2), folder / "pickled.pt")
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Workspace and log of the servers of this module."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "workspace").mkdir()
    return folder


@pytest.fixture(scope="module")
def own(place):
    """A server of its own, which tests may restart on the same port."""
    running = serve(place / "workspace", place / "log")
    with running:
        yield running


def drop(page: Page, step: str, file: Path) -> None:
    settled(page)
    page.locator(f".st-key-step-{step} input[type=file]").set_input_files(file)


def answer(page: Page, folder: str, choice: str) -> None:
    card = page.locator("[data-testid=stColumn]", has=page.locator(".folder", has_text=folder))
    card.get_by_text(choice, exact=True).click()
    settled(page)


def set_up(page: Page, wares: Path) -> None:
    drop(page, "model", wares / "two.safetensors")
    expect(page.get_by_text("Recognised as")).to_be_visible(timeout=60_000)
    drop(page, "data", wares / "parts.zip")
    expect(page.get_by_text("Which folders hold good parts?")).to_be_visible()
    settled(page)
    answer(page, "alpha", "good")
    answer(page, "beta", "defective")
    answer(page, "gamma", "defective")
    page.get_by_role("button", name="Use these labels").click()
    expect(page.get_by_role("button", name="Start the audit")).to_be_visible(timeout=60_000)


def name_in(page: Page) -> str:
    page.wait_for_url(re.compile(r"[?&]run="))
    return re.search(r"[?&]run=([^&]+)", page.url)[1]


def numbers(sentence: str) -> list[int]:
    return [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", sentence)]


def test_her_model_and_her_images_to_the_end(tab, own, place, wares):
    """Upload, answer, start, stop, restart the server, resume, close the tab, come back, open."""
    set_up(tab, wares)
    setting = tab.get_by_label("Size", exact=True)
    setting.fill("64")
    setting.press("Enter")
    settled(tab)
    expect(tab.get_by_text("--size=64x64")).to_be_visible()
    address = tab.url
    tab.get_by_role("button", name="Start the audit").click()
    name = name_in(tab)
    folder = place / "workspace" / name
    finding = tab.locator(".finding h1")
    expect(finding).to_contain_text(re.compile("of 260 photos done|being read"), timeout=60_000)
    tab.evaluate(WATCH)

    tab.get_by_role("button", name="Stop").click()
    expect(finding).to_contain_text("Stopped after", timeout=60_000)
    assert jobs.state(folder).phase == jobs.STOPPED

    tab.get_by_role("button", name="Resume").click()
    expect(tab.get_by_role("button", name="Stop")).to_be_visible()
    bars = tab.evaluate("window.bars")
    own.__exit__()
    assert jobs.state(folder).phase == jobs.RUNNING
    own.__enter__()
    tab.goto(f"{own.server.url}/run?run={name}")
    expect(finding).to_be_visible()
    tab.evaluate(WATCH)
    expect(finding).to_contain_text("Finished", timeout=MINUTES)
    expect(tab.locator(".finding p")).to_contain_text("260 photos in")
    bars += tab.evaluate("window.bars")
    assert bars == sorted(bars)  # neither stop, nor resume, nor the last stage sets it back

    counts = json.loads((folder / "manifest.json").read_text())["counts"]
    assert sum(counts.values()) == 260
    assert numbers(finding.inner_text()) == [counts["fn"], counts["fn"] + counts["tn"]]
    told = json.loads((place / "workspace" / "jobs" / f"{name}.out").read_text())
    assert told["counts"] == counts

    tab.get_by_role("link", name="See how many it can catch").click()
    tab.wait_for_url(re.compile(f"tradeoff.*audit={name}"))
    settled(tab)
    tab.goto(address)  # what was said is in the address: a reload asks nothing again
    expect(tab.get_by_text("--size=64x64")).to_be_visible(timeout=60_000)
    expect(tab.get_by_text("--good alpha")).to_be_visible()
    tab.get_by_role("button", name="Start the audit").click()
    expect(finding).to_contain_text("Finished")  # the same audit is not computed again
    expect(tab).to_have_title(re.compile("^Finished: "))  # told where the tabs are, too
    expect(tab.locator("link[rel*=icon]").first).to_have_attribute("href", re.compile("^data:"))
    tab.get_by_role("button", name="Run it again with other settings").click()
    expect(tab.get_by_text("--size=64x64")).to_be_visible(timeout=60_000)
    expect(tab.get_by_text("--good alpha")).to_be_visible()


def test_a_run_is_found_again_from_the_bare_page(context, own, place, wares, tab):
    set_up(tab, wares)
    tab.get_by_role("button", name="Start the audit").click()
    name = name_in(tab)
    other = context.new_page()
    other.goto(f"{own.server.url}/run")
    other.get_by_role("button", name="Show it").click()
    expect(other.locator(".finding p")).to_contain_text(name)
    other.get_by_role("button", name="Stop").click()
    expect(other.locator(".finding h1")).to_contain_text("Stopped after", timeout=60_000)
    other.close()
    expect(tab.locator(".finding h1")).to_contain_text("Stopped after", timeout=60_000)
    tab.get_by_role("button", name="Set up another audit").click()
    expect(tab.get_by_text("1 Model")).to_be_visible()


def test_bad_input_gives_its_sentence_and_the_page_lives_on(tab, wares):
    problem = tab.locator(".problem")
    for file, sentence in (
        ("pickled.pt", "can run code when opened"),
        ("parts.zip", "parts.zip"),
    ):
        drop(tab, "model", wares / file)
        expect(problem).to_contain_text(sentence)
        settled(tab)
    drop(tab, "model", wares / "three.pth")
    expect(tab.get_by_text("Which of them mean a good part?")).to_be_visible()
    settled(tab)
    tab.get_by_test_id("stButtonGroup").get_by_text("1", exact=True).click()
    settled(tab)
    for file, sentence in (
        ("corrupt.zip", "not an intact zip"),
        ("up.zip", "up.zip"),
        ("one_class.zip", "an audit needs good and defective"),
    ):
        drop(tab, "data", wares / file)
        expect(problem).to_contain_text(sentence)
        settled(tab)
    drop(tab, "data", wares / "named.zip")
    expect(tab.get_by_text("--good-index=1")).to_be_visible(timeout=60_000)
    expect(problem).to_have_count(0)
    settled(tab)
    tab.get_by_role("button", name="Remove named").click()
    expect(tab.get_by_text("--good-index=1")).to_have_count(0)
    expect(tab.get_by_role("button", name="Remove named")).to_have_count(0)
    expect(tab.get_by_role("button", name="Remove three.pth")).to_be_visible()


def test_a_path_typed_by_hand(tab, wares):
    box = tab.get_by_role("combobox", name="or choose one on the server")
    box.fill("/etc/passwd")
    box.press("Enter")
    expect(tab.locator(".problem")).to_contain_text("outside of the folders")


def test_nothing_is_fetched_from_elsewhere(context, own, wares):
    page = context.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{own.server.url}/run")
    settled(page)
    drop(page, "model", wares / "two.safetensors")
    expect(page.get_by_text("Recognised as")).to_be_visible()
    page.close()
    outside = [url for url in asked if not url.startswith((own.server.url, "data:", "blob:"))]
    assert asked
    assert outside == []
