"""Every bad input dropped or typed into the Run page: its sentence, and the page lives on."""

import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Locator, Page, expect
from safetensors.torch import load_file, save_file
from torch import nn

from tests.browser.server import serve, settled
from tests.browser.test_run import drop, name_in
from tests.dashboard.ware import write_network, write_zip
from trust_core.storage.audit_files import open_audit

MARKUP = "<img src=x onerror=document.title='run'>"
JARGON = re.compile(r"--[a-z]|BatchNorm|Traceback|Error\b")
AUDIT_MILLISECONDS = 120_000


@pytest.fixture(scope="module")
def wares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good and bad files by name."""
    folder = tmp_path_factory.mktemp("wares")
    good = write_network(folder / "good.safetensors")
    write_network(folder / "three.safetensors", outputs=3)
    tensors = load_file(good)
    save_file(dict(list(tensors.items())[:-4]), folder / "missing-keys.safetensors")
    torch.save(nn.Sequential(nn.Linear(2, 2)), folder / "pickled.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both forms are on their way out of torch
        torch.jit.script(nn.Sequential(nn.Linear(2, 2))).save(str(folder / "script.pt"))
        program = torch.export.export(nn.Linear(2, 2), (torch.zeros(1, 2),))
        torch.export.save(program, folder / "program.pt2")
    header = b'{"w":{"dtype":"F32","shape":[9999999,9999999],"data_offsets":[0,8]}}'
    lying = len(header).to_bytes(8, "little") + header + b"\0" * 8
    (folder / "lying.safetensors").write_bytes(lying)
    write_zip(folder / "parts.zip", {"good": 14, "crack": 12})
    write_zip(folder / "one-class.zip", {"good": 4})
    write_zip(folder / "climbs.zip", {"../up": 2})
    for name, files in {
        "empty.zip": {"parts/": b""},
        "unreadable.zip": {f"{name}.png": name.encode() for name in ("good/a", "bad/a", "bad/b")},
        "columns.zip": {"table.csv": b"file,camera\na.png,0\n"},
        "files.zip": {"table.csv": b"path,label\nhere.png,0\nnowhere.png,1\n"},
    }.items():
        with zipfile.ZipFile(folder / name, "w") as archive:
            for path, content in files.items():
                archive.writestr(path, content)
    with zipfile.ZipFile(folder / "parts.zip") as archive:
        picture = archive.read("good/000.png")
    with zipfile.ZipFile(folder / "files.zip", "a") as archive:
        archive.writestr("here.png", picture)
    write_zip(folder / "huge.zip", {"good": 14, f"{MARKUP}": 12}, seed=1)
    with zipfile.ZipFile(folder / "huge.zip", "a") as archive:
        archive.writestr("good/huge.png", claims_40_000(picture))
    (folder / "camera.csv").write_text("file,camera\na.png,0\n")
    (folder / "nowhere.csv").write_text("path,label\ngood/000.png,0\nnowhere.png,1\n")
    return folder


def claims_40_000(png: bytes) -> bytes:
    """A PNG whose header says 40,000 × 40,000 pixels, with the right checksum."""
    header = png[12:16] + (40_000).to_bytes(4, "big") * 2 + png[24:29]
    return png[:12] + header + zlib.crc32(header).to_bytes(4, "big") + png[33:]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[serve]:
    folder = tmp_path_factory.mktemp("bad")
    (folder / "workspace" / "nothing").mkdir(parents=True)
    running = serve(folder / "workspace", folder / "log")
    with running:
        yield running


def problem(page: Page) -> Locator:
    return page.locator(".problem")


def refused(page: Page, sentence: str) -> None:
    """One problem, which says this in the words of the page; and the page stands."""
    expect(problem(page).filter(has_text=sentence)).to_have_count(1)
    settled(page)
    expect(problem(page)).to_have_count(1)
    text = problem(page).inner_text()
    print(f"    {text}")
    assert not JARGON.search(text), text
    assert len(text.splitlines()) <= 4  # a sentence, and the lines of code that it advises
    expect(page.get_by_text("5 Start")).to_be_visible()
    expect(page.get_by_role("button", name="Start the audit")).to_have_count(0)


def choose(page: Page, wares: Path) -> None:
    """A good model and good images."""
    drop(page, "model", wares / "good.safetensors")
    # Another network may be recognised still: the file's own name says that this one is.
    expect(page).to_have_url(re.compile("model=[^&]*good.safetensors"))
    expect(page.get_by_text("Recognised as")).to_be_visible()
    drop(page, "data", wares / "parts.zip")
    ready(page)


def ready(page: Page) -> None:
    expect(page.get_by_role("button", name="Start the audit")).to_be_visible()
    settled(page)
    expect(problem(page)).to_have_count(0)


def write(page: Page, label: str, text: str) -> None:
    settled(page)
    box = page.get_by_label(label, exact=True)
    box.fill(text)
    box.press("Enter")


def test_every_bad_model_gives_its_sentence(tab: Page, wares: Path) -> None:
    for file, sentence in (
        ("missing-keys.safetensors", "missing-keys.safetensors"),
        ("pickled.pt", "can run code when opened"),
        ("script.pt", "TorchScript"),
        ("program.pt2", "program.pt2"),
        ("lying.safetensors", "lying.safetensors"),
    ):
        drop(tab, "model", wares / file)
        refused(tab, sentence)
    drop(tab, "model", wares / "three.safetensors")
    expect(tab.get_by_text("The network has 3 outputs. Which of them mean a good")).to_be_visible()
    settled(tab)
    expect(problem(tab)).to_have_count(0)
    choose(tab, wares)
    tab.get_by_text("Details, or another architecture").click()
    box = tab.get_by_role("combobox", name="Take it as another architecture")
    box.fill("vgg11")
    box.press("Enter")
    refused(tab, "does not hold the weights of vgg11")
    box = tab.get_by_role("combobox", name="Its architecture, if you know it")
    box.fill("no such thing <b>")
    box.press("Enter")
    refused(tab, "no such thing <b>")
    box.fill("timm/test_resnet")
    box.press("Enter")
    ready(tab)


def test_every_bad_data_set_gives_its_sentence(tab: Page, wares: Path) -> None:
    drop(tab, "model", wares / "good.safetensors")
    expect(tab.get_by_text("Recognised as")).to_be_visible()
    for file, sentence in (
        ("empty.zip", "empty.zip holds no files"),
        ("one-class.zip", "an audit needs good and defective"),
        ("climbs.zip", "climbs.zip"),
        ("columns.zip", "no photo"),
        ("files.zip", "nowhere.png"),
    ):
        drop(tab, "data", wares / file)
        refused(tab, sentence)
    drop(tab, "data", wares / "unreadable.zip")  # which only reading them can tell
    expect(problem(tab).filter(has_text="can be read")).to_have_count(1)
    drop(tab, "data", wares / "parts.zip")
    ready(tab)


def test_a_table_dropped_beside_the_images(tab: Page, wares: Path) -> None:
    choose(tab, wares)
    for file, sentence in (("camera.csv", "label"), ("nowhere.csv", "nowhere.png")):
        tab.get_by_role("button", name="Another table").click()
        tab.locator("[data-testid=stPopoverBody] input[type=file]").set_input_files(wares / file)
        refused(tab, sentence)
        tab.keyboard.press("Escape")
    tab.get_by_role("combobox", name="Labels come from").click()
    tab.get_by_role("option", name="the names of the folders").click()
    ready(tab)
    expect(tab.get_by_text("python -m trust_core audit")).to_be_visible()
    expect(tab.get_by_text("--samples=")).to_have_count(0)


@pytest.mark.slow
def test_strange_things_that_a_person_types(tab: Page, wares: Path) -> None:
    choose(tab, wares)
    tab.get_by_text("More settings").click()
    for label, bad, sentence, good in (
        ("Adversarial strengths", "abc", "write e.g. 0, 0.5, 1", "0, 0.5"),
        ("Adversarial strengths", "-1", "from 0 to 255", "0, 0.5"),
        ("Adversarial strengths", "1e999", "from 0 to 255", "0.5"),
        ("Decision threshold", "a lot", "a lot", "0.4"),
        ("Decision threshold", "0.5, 0.7", "no number", "0.4"),
        ("Decision threshold", "1.5", "between 0 and 1", ""),
        ("Steps of the nudge", "0.5", "whole number", "1"),
        ("Steps of the nudge", "nan", "whole number", ""),
        ("Mask of a map", "top:9", "top:9", "half"),
        ("Mask of a map", MARKUP, MARKUP, ""),
        ("Size", "0x0", "Size", "64"),
        ("Size", "big", "no size", ""),
        ("Mean", "0.5, 0.5", "Mean", "0.5"),
        ("Standard deviation", "0", "greater than 0", "0.25"),
        ("Resize", "crop:8", "short side", "letterbox"),
        ("Resize", "squeeze", "squeeze", ""),
    ):
        write(tab, label, bad)
        refused(tab, sentence)
        write(tab, label, good)
        ready(tab)
    tab.get_by_role("button", name="Several photos of one part?").click()
    pattern = "Or the part of the path that names it, as a regular expression"
    write(tab, pattern, "part(")
    refused(tab, "not a regular expression")
    write(tab, pattern, r"(\d)\d\.png")
    ready(tab)
    write(tab, "Name of the audit", "../../etc/<b>passwd</b>")
    expect(tab.get_by_text(re.compile("--out=.*/workspace/etc-b-passwd-b"))).to_be_visible()


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("/etc/passwd", "outside of the folders"),
        ("../../../../etc", "outside of the folders"),
        ("nowhere/at/all", "There is nothing at"),
        ("x" * 5000, "is no path"),
        (MARKUP, "There is nothing at"),
    ],
)
def test_a_path_that_may_not_be_opened(tab: Page, typed: str, sentence: str) -> None:
    for name in ("or choose one on the server", "or choose a folder on the server"):
        box = tab.get_by_role("combobox", name=name)
        box.fill(typed)
        box.press("Enter")
        expect(problem(tab).first).to_contain_text(sentence)
        settled(tab)
    expect(problem(tab)).to_have_count(2)
    assert tab.title() == "Run · Second Look"


def test_an_empty_folder_of_the_server(tab: Page) -> None:
    box = tab.get_by_role("combobox", name="or choose a folder on the server")
    box.fill("nothing")
    box.press("Enter")
    refused(tab, "no photo")
    expect(problem(tab)).to_contain_text("nothing holds no photos")
    expect(tab.get_by_role("button", name="Read the folder again")).to_be_visible()


@pytest.mark.slow
def test_one_huge_image_is_a_row_and_names_are_never_markup(
    tab: Page, own: serve, wares: Path
) -> None:
    drop(tab, "model", wares / "good.safetensors")
    expect(tab.get_by_text("Recognised as")).to_be_visible()
    drop(tab, "data", wares / "huge.zip")
    ready(tab)
    write(tab, "Adversarial strengths", "0, 0.5")
    write(tab, "Name of the audit", "huge")
    settled(tab)
    tab.get_by_role("button", name="Start the audit").click()
    assert name_in(tab) == "huge"
    heading = tab.locator(".finding h1")
    expect(heading).to_contain_text("Finished", timeout=AUDIT_MILLISECONDS)
    audit = open_audit(own.server.workspace / "huge")
    assert audit.manifest.unreadable == 1
    assert audit.manifest.counts.total == 26
    tab.goto(f"{own.server.url}/?audit=huge")
    expect(tab.get_by_text("Left out, because not readable: 1 photo.")).to_be_visible()
    for address in ("tradeoff?", "parts?show=fn&", f"parts?kind={MARKUP}&search={MARKUP}&"):
        tab.goto(f"{own.server.url}/{address}audit=huge")
        settled(tab)
        expect(tab.locator(".finding h1")).to_be_visible()
        assert tab.locator("img[src=x]").count() == 0
        assert tab.title().endswith("· Second Look")
