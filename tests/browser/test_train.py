"""Training in the browser: images in, a network out, audited to the end, its masks shown."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.browser.server import serve, settled
from tests.parts import write_parts

MINUTES = 300_000  # milliseconds
TINY = "a tiny one, to try it out in minutes"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_parts(tmp_path_factory.mktemp("wares") / "blots", 72)


@pytest.fixture(scope="module")
def own(tmp_path_factory, data):
    """A server of its own that may read the data."""
    folder = tmp_path_factory.mktemp("train")
    (folder / "workspace").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRUST_CORE_FOLDERS", str(data.parent))
        running = serve(folder / "workspace", folder / "log")
        with running:
            yield running


def choose(page: Page, label: str, option: str) -> None:
    there = page.get_by_role("option", name=option)
    for _ in range(5):  # a run of the page that ends just then closes the list again
        page.get_by_role("combobox", name=label).click()
        try:
            there.click(timeout=2000)
            break
        except PlaywrightTimeout:
            settled(page)
    settled(page)
    expect(page.get_by_role("combobox", name=label)).to_have_value(option)


def set_up(page: Page, url: str, data: Path, name: str, passes: int, *, tiny: bool) -> None:
    """From the Run page to the start of a joint network."""
    page.goto(f"{url}/run?data={data}")
    expect(page.get_by_text("Parts or lots")).to_be_visible(timeout=MINUTES)
    settled(page)
    page.get_by_role("button", name="No network yet? Train one").click()
    expect(page.get_by_text("It learns from 36 photos of 36 parts")).to_be_visible()
    settled(page)
    if tiny:
        choose(page, "Encoder", TINY)
        choose(page, "Photos are scaled to", "64 × 64")
    passes_field = page.get_by_role("spinbutton", name="Passes over the photos, at most")
    passes_field.fill(str(passes))
    passes_field.press("Enter")
    settled(page)
    field = page.locator(".st-key-network input")
    field.fill(name)
    field.press("Enter")
    expect(page.get_by_text(f"networks/{name}.safetensors")).to_be_visible()
    settled(page)
    page.get_by_role("button", name="Start training").click()


@pytest.mark.slow
def test_a_stopped_training_goes_on_where_it_ended(tab, own, data):
    set_up(tab, own.server.url, data, "stopped", 200, tiny=False)
    expect(tab.get_by_text("After pass")).to_be_visible(timeout=MINUTES)
    tab.get_by_role("button", name="Stop").click()
    expect(tab.get_by_role("button", name="Resume")).to_be_visible(timeout=MINUTES)
    tab.goto(f"{own.server.url}/run?train=new")
    expect(tab.get_by_text("has not finished")).to_be_visible()
    settled(tab)
    tab.get_by_role("button", name="Show it").click()
    tab.get_by_role("button", name="Resume").click()
    expect(tab.get_by_role("button", name="Stop")).to_be_visible(timeout=MINUTES)
    tab.get_by_role("button", name="Stop").click()
    expect(tab.get_by_role("button", name="Resume")).to_be_visible(timeout=MINUTES)


@pytest.mark.slow
def test_a_joint_network_is_trained_and_audited_to_the_end(tab, own, data):
    set_up(tab, own.server.url, data, "blots", 12, tiny=True)
    audit = tab.get_by_role("button", name="Audit this network")
    expect(audit).to_be_visible(timeout=MINUTES)
    expect(tab.get_by_text("An audit tells what it misses")).to_be_visible()
    settled(tab)
    audit.click()
    expect(tab.get_by_text("Finished:")).to_be_visible(timeout=MINUTES)
    tab.goto(f"{own.server.url}/localization?audit=blots")
    settled(tab)
    expect(tab.get_by_text("The mask marks")).to_be_visible(timeout=MINUTES)
    expect(tab.get_by_text("Decisions that contradict their own mask")).to_be_visible()
    tab.goto(f"{own.server.url}/run")
    settled(tab)
    tab.get_by_role("combobox", name="or choose one on the server").click()
    expect(tab.get_by_role("option", name="blots.safetensors")).to_be_visible()
