"""Files made to freeze or fill a server: it answers all the while, and loads no PyTorch."""

import shutil
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, expect

from tests.browser.server import serve, settled
from tests.dashboard.ware import write_network, write_zip
from tests.model.test_pickles import ATTACKS, saved

HEALTH_SECONDS = 1.0
LOADING_MILLISECONDS = 90_000  # the sandbox loads PyTorch once


@pytest.fixture
def own(tmp_path: Path) -> Iterator[serve]:
    """A server that nobody has asked for anything yet."""
    running = serve(tmp_path / "workspace", tmp_path / "log")
    with running:
        yield running


@contextmanager
def healthy(url: str) -> Iterator[list[float]]:
    """Asks for the server's health all the while; the seconds that each answer took."""
    took: list[float] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.wait(0.02):
            start = time.monotonic()
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=60) as answer:
                assert answer.status == 200
            took.append(time.monotonic() - start)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield took
    finally:
        stop.set()
        thread.join()


def attacks(folder: Path) -> dict[str, str]:
    """Hostile model files by name, and what is said of each."""
    folder.mkdir(parents=True)
    sentences = {}
    for name, words in (
        ("shared tuples", "nests tuples"),
        ("bytearray", "holds Python objects"),
        ("stride 0", "larger tensors than it stores"),
    ):
        sentences[saved(folder / f"{name.replace(' ', '-')}.pt", ATTACKS[name]).name] = words
    for name, shape, words in (
        ("sides", b"1," * 7_000_000 + b"1", "dimensions"),
        ("huge", (b"9" * 4000 + b",") * 3_500 + b"9", "dimensions"),
    ):
        header = b'{"a":{"dtype":"F32","shape":[' + shape + b'],"data_offsets":[0,0]}}'
        (folder / f"{name}.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
        sentences[f"{name}.safetensors"] = words
    return sentences


@pytest.mark.slow
def test_the_server_answers_while_hostile_files_are_opened(
    own: serve, context: BrowserContext, tmp_path: Path
) -> None:
    uploads = own.server.workspace / "uploads"
    sentences = attacks(uploads / "models")
    network = write_network(uploads / "models" / "network.safetensors")
    write_zip(tmp_path / "parts.zip", {"good": 4, "crack": 3})
    shutil.unpack_archive(tmp_path / "parts.zip", uploads / "data")
    Image.new("L", (16_000, 1)).save(uploads / "data" / "crack" / "thin.webp", lossless=True)
    page = context.new_page()
    with healthy(own.server.url) as took:
        page.goto(f"{own.server.url}/run")  # the first request of all
        expect(page.get_by_role("heading", name="1 Model")).to_be_visible()
        for name, words in sentences.items():
            page.goto(f"{own.server.url}/run?model={uploads / 'models' / name}")
            said = page.get_by_role("alert").filter(has_text=name)
            expect(said).to_contain_text(words, timeout=LOADING_MILLISECONDS)
        page.goto(
            f"{own.server.url}/run?model={network}&data={uploads / 'data'}"
            "&size=224&resize=crop:256&interpolation=bilinear"
        )
        expect(page.get_by_text("Photos of good parts as the network sees them")).to_be_visible(
            timeout=LOADING_MILLISECONDS
        )
        settled(page, LOADING_MILLISECONDS)
    page.close()
    assert max(took) < HEALTH_SECONDS
    mapped = Path(f"/proc/{own.process.pid}/maps")
    if mapped.exists():
        assert "libtorch" not in mapped.read_text()
    assert "Uncaught app execution" not in own.server.log
