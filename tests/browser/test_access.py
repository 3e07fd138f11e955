"""The gate before the real dashboard: nothing of it without the link of its start."""

import urllib.error
import urllib.request

import pytest
from playwright.sync_api import BrowserContext, expect

from dashboard.access import cookie
from tests.browser.server import TOKEN, Server, settled

PATHS = (
    *("/", "/tradeoff?audit=demo", "/app/static/icon.png", "/static/index.html", "/media/a.png"),
    *("/_stcore/host-config", "/_stcore/upload_file/a/b", "/_stcore/metrics", "/component/a/b"),
    *("/_stcore/stream", "/auth/login", "/oauth2callback", "/_stcore/agent", "/../workspace/demo"),
)


def status(server: Server, path: str, method: str = "GET", **headers: str) -> int:
    asked = urllib.request.Request(server.url + path, method=method, headers=headers)
    try:
        with urllib.request.urlopen(asked, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_no_page_no_file_no_upload_without_the_token(server: Server, method: str) -> None:
    assert {path: status(server, path, method) for path in PATHS} == dict.fromkeys(PATHS, 403)
    name, value = cookie(TOKEN)
    foreign = {"Cookie": f"{name}={value}", "Origin": "http://evil.example"}
    assert status(server, "/", method, **foreign) == 403


def test_a_stranger_is_asked_for_the_token_and_then_sees_the_page(
    context: BrowserContext, server: Server
) -> None:
    browser = context.browser
    assert browser is not None
    stranger = browser.new_context(viewport={"width": 1280, "height": 720})
    page = stranger.new_page()
    page.goto(f"{server.url}/tradeoff?audit=demo&eps=0")
    expect(page.get_by_text("Open the link that the start")).to_be_visible()
    opened = page.evaluate(
        """url => new Promise(done => {
            const socket = new WebSocket(url.replace("http", "ws") + "/_stcore/stream");
            socket.onopen = () => done(true); socket.onerror = () => done(false);
        })""",
        server.url,
    )
    assert not opened
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Open").click()
    settled(page)
    expect(page.locator(".finding h1")).to_be_visible()
    assert "audit=demo" in page.url
    assert "token" not in page.url
    page.goto("about:blank")
    page.set_content(f'<iframe src="{server.url}/" width=600 height=300></iframe>')
    page.wait_for_load_state()
    assert not any(frame.url.startswith(server.url) for frame in page.frames)
    stranger.close()
