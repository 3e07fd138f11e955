"""Two real networks with their photographs, brought through the browser and audited to the end."""

import importlib.util
import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from tests.browser.server import serve, settled
from tests.browser.test_run import drop, name_in
from trust_core.storage.audit_files import open_audit
from trust_core.storage.manifest import Manifest, as_json

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
AUDIT_MILLISECONDS = 1_200_000
CHECK_MILLISECONDS = 120_000  # a real network and thousands of images are looked at
OUTCOMES = ("fn", "tp", "tn", "fp")  # as Home's table has them
ROW = re.compile(
    r"^\| *([a-z+, ]+?) *\| *(\d+) *\| *(\d+) *\| *(\d+) *\| *(\d+) *\| *(\d+) *\|", re.M
)


def published(shared: Path, model: str) -> dict[str, dict[str, int]]:
    """The table of a model in the README beside it: split → counts."""
    text = (shared / "models" / "README.md").read_text(encoding="utf-8")
    section = text.split(f"## {model}")[1].split("\n## ")[0]
    rows: dict[str, dict[str, int]] = {}
    for name, _, *counts in ROW.findall(section):
        split = name.partition(",")[0]
        into = rows.setdefault(split, dict.fromkeys(("tp", "fn", "tn", "fp"), 0))
        for outcome, count in zip(into, counts, strict=True):
            into[outcome] += int(count)
    return rows


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared-models")
    (folder / "workspace").mkdir()
    return folder


@pytest.fixture(scope="module")
def own(place: Path) -> Iterator[serve]:
    running = serve(place / "workspace", place / "log")
    with running:
        yield running


def fill(page: Page, label: str, text: str) -> None:
    settled(page, CHECK_MILLISECONDS)
    box = page.get_by_label(label, exact=True)
    box.fill(text)
    box.press("Enter")
    settled(page, CHECK_MILLISECONDS)


def audit(page: Page, own: serve, name: str, size: str, std: str) -> dict:
    """Fill the form in, start, wait for the end, and open Home; the audit's manifest."""
    expect(page.get_by_label("Size", exact=True)).to_be_visible(timeout=120_000)
    fill(page, "Size", size)
    fill(page, "Mean", "0.5")
    fill(page, "Standard deviation", std)
    fill(page, "Adversarial strengths", "0, 0.5")
    fill(page, "Name of the audit", name)
    page.get_by_role("button", name="Start the audit").click()
    assert name_in(page) == name
    heading = page.locator(".finding h1")
    expect(heading).to_contain_text("Finished", timeout=AUDIT_MILLISECONDS)
    manifest = open_audit(own.server.workspace / name).manifest
    counts = manifest.counts
    assert numbers(heading.inner_text()) == [counts.fn, counts.fn + counts.tn]
    assert numbers(page.locator(".finding p").inner_text())[:2] == [counts.tp, counts.fp]
    told = json.loads((own.server.workspace / "jobs" / f"{name}.out").read_text())
    assert told["counts"] == as_json(counts)
    page.goto(f"{own.server.url}/?audit={name}")
    settled(page)
    return manifest


def numbers(text: str) -> list[int]:
    return [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", text)]


def role(page: Page, name: str) -> dict[str, int]:
    """Counts of a role as Home's table has them."""
    row: Locator = page.locator(".roles tr", has=page.get_by_role("rowheader", name=name))
    cells = [numbers(cell)[0] for cell in row.locator("td").all_inner_texts()]
    return dict(zip(OUTCOMES, cells, strict=True))


def check(page: Page, manifest: Manifest, expected: dict[str, dict[str, int]]) -> None:
    """Page, file and README agree; what became `certify` was `tune`."""
    for split in ("train", "tune", "test"):
        assert as_json(manifest.counts_by_split[split]) == expected[split]
    cut = "certify" in manifest.counts_by_role
    tune, certify = role(page, "tune"), role(page, "certify") if cut else dict.fromkeys(OUTCOMES, 0)
    assert {o: tune[o] + certify[o] for o in OUTCOMES} == expected["tune"]
    assert role(page, "test") == expected["test"]
    assert role(page, "train") == expected["train"]
    expect(page.get_by_text("Every photo was read, and every photo called good")).to_be_visible()


def test_magnetic_tiles_dropped_as_a_zip(
    tab: Page, own: serve, shared: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "magnetic_tile.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in sorted((shared / "data" / "magnetic_tile").rglob("*")):
            packed.write(path, path.relative_to(shared / "data"))
    drop(tab, "model", shared / "models" / "magnetic_tile_lite0.pth")
    expect(tab.locator(".tiles")).to_contain_text("tf_efficientnet_lite0", timeout=60_000)
    drop(tab, "data", archive)
    archive_table(tab, "splits.csv")
    manifest = audit(tab, own, "tiles", "192", "0.5")
    check(tab, manifest, published(shared, "magnetic_tile_lite0.pth"))


def archive_table(page: Page, name: str) -> None:
    """Choose the table with the splits, whichever the page took first."""
    box = page.get_by_role("combobox", name="Labels come from")
    expect(box).to_be_visible(timeout=120_000)
    for _ in range(5):
        settled(page, CHECK_MILLISECONDS)
        if name in (box.input_value() or ""):
            return
        with suppress(PlaywrightTimeoutError):  # a page that is drawn anew closes the list
            box.click()
            page.get_by_role("option", name=name).click(timeout=5000)
    expect(box).to_have_value(re.compile(re.escape(name)))


def test_solar_cells_from_a_folder_of_the_server_with_a_dropped_table(
    tab: Page, own: serve, shared: Path
) -> None:
    package = importlib.util.find_spec("elpv_dataset")
    if package is None or package.origin is None:
        pytest.skip("the package elpv-dataset is not installed")
    cells = own.server.workspace / "cells"
    shutil.copytree(Path(package.origin).parent / "data", cells)
    drop(tab, "model", shared / "models" / "elpv_resnet18.safetensors")
    expect(tab.locator(".tiles")).to_contain_text("resnet18", timeout=60_000)
    box = tab.get_by_role("combobox", name="or choose a folder on the server")
    box.fill("cells")
    box.press("Enter")
    settled(tab, CHECK_MILLISECONDS)
    tab.get_by_role("button", name="Another table").click()
    table = shared / "models" / "elpv_resnet18_splits.csv"
    tab.locator("[data-testid=stPopoverBody] input[type=file]").set_input_files(table)
    expect(tab.locator(".tiles").nth(1)).to_contain_text("2,624", timeout=120_000)
    tab.keyboard.press("Escape")
    manifest = audit(tab, own, "solar", "128", "0.25")
    check(tab, manifest, published(shared, "elpv_resnet18.safetensors"))
