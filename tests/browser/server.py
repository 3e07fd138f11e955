"""The real dashboard and a real browser, for tests, benchmarks and the pictures of the docs."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect
from playwright.sync_api import Error as PlaywrightError

from dashboard.access import TOKEN_VARIABLE, cookie

TOKEN = "a token that only tests know"
ROOT = Path(__file__).parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
START_SECONDS, INSTALL_SECONDS = 60, 300


class NoBrowser(RuntimeError):
    """There is no Chromium, and none to be had."""


@dataclass(frozen=True)
class Server:
    """A running dashboard: its address, its workspace, and what it has logged so far."""

    url: str
    workspace: Path
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8", errors="replace")


class serve:
    """`with serve(workspace, log) as server:` runs the dashboard; for tests that restart it."""

    def __init__(self, workspace: Path, log_file: Path, port: int | None = None) -> None:
        self.port = port or _free_port()
        self.server = Server(f"http://127.0.0.1:{self.port}", workspace, log_file)

    def __enter__(self) -> Server:
        command = [sys.executable, "-m", "dashboard", "--port", str(self.port), "--headless"]
        environment = os.environ | {
            "TRUST_CORE_WORKSPACE": str(self.server.workspace),
            TOKEN_VARIABLE: TOKEN,
        }
        with self.server.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=log
            )
        end = time.monotonic() + START_SECONDS
        while not _healthy(self.server.url):
            if self.process.poll() is not None or time.monotonic() > end:
                self.__exit__()
                raise RuntimeError(f"the dashboard did not start:\n{self.server.log}")
            time.sleep(0.1)
        return self.server

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def settled(page: Page, timeout: float | None = None) -> None:
    """Wait until the script has run to its end and the page shows it; ms, 20 s when not given."""
    still = page.locator("[data-testid=stApp][data-test-script-state=notRunning]")
    expect(still).to_be_attached(timeout=timeout)
    expect(page.locator("[data-testid=stSkeleton]")).to_have_count(0)


def launch(playwright: Playwright) -> Browser:
    """Chromium or Chrome of the machine, else Playwright's own, fetched where that can be had.

    Raises:
        NoBrowser: with the reason.
    """
    found = [path for path in map(shutil.which, BROWSERS) if path]
    for path in [*found, None]:
        try:
            return playwright.chromium.launch(executable_path=path)
        except PlaywrightError as error:
            reason = str(error).splitlines()[0]
    install = [sys.executable, "-m", "playwright", "install", "chromium"]
    try:
        subprocess.run(install, check=True, capture_output=True, timeout=INSTALL_SECONDS)
        return playwright.chromium.launch()
    except (subprocess.SubprocessError, PlaywrightError) as error:
        raise NoBrowser(
            f"no Chromium here ({reason}), nor to be had ({str(error).splitlines()[0]})"
        ) from error


def visitor(browser: Browser, **options: Any) -> BrowserContext:
    """A browser context that has opened the link of every server that `serve` starts.

    Args:
        browser: of `launch`.
        options: of Playwright's `new_context`.
    """
    context = browser.new_context(**options)
    name, value = cookie(TOKEN)
    context.add_cookies([{"name": name, "value": value, "url": "http://127.0.0.1"}])
    return context


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/_stcore/health", timeout=1) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False
