"""The gate before the real dashboard: nothing of it without the link of its start."""

import http.client
import json
import socket
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


def answer(server: Server, head: str) -> tuple[int, bytes]:
    """Status and body of a request that no client would send, given as it stands on the wire."""
    port = int(server.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), 20) as link:
        link.sendall(head.replace("PORT", str(port)).encode("latin-1") + b"\r\n\r\n")
        told = http.client.HTTPResponse(link, method=head.split()[0])
        told.begin()
        return told.status, told.read()


UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: streamlit"
)


@pytest.mark.parametrize(
    "head",
    [
        "GET /_stcore/host-config HTTP/1.1\r\nHost: 127.0.0.1:PORT/_stcore/health?",
        "GET /_stcore/host-config HTTP/1.1\r\nHost: 127.0.0.1/_stcore/health#",
        "GET /_stcore/health/../host-config HTTP/1.1\r\nHost: 127.0.0.1:PORT",
        "GET /_stcore/health%2f..%2fhost-config HTTP/1.1\r\nHost: 127.0.0.1:PORT",
        "GET /_stcore/health/ HTTP/1.1\r\nHost: 127.0.0.1:PORT",
        "GET //_stcore/host-config HTTP/1.1\r\nHost: 127.0.0.1:PORT",
        "GET http://127.0.0.1:PORT/_stcore/host-config HTTP/1.1\r\nHost: 127.0.0.1:PORT",
        "GET /_stcore/host-config HTTP/1.0",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nX-Original-URL: /_stcore/health",
        "GET /?token= HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nCookie: second-look-=",
        "HEAD / HTTP/1.1\r\nHost: 127.0.0.1:PORT",
        "TRACE / HTTP/1.1\r\nHost: 127.0.0.1:PORT",
        "GET /\xff?\xff=\xfe HTTP/1.1\r\nHost: 127.0.0.1:PORT",
        f"GET /_stcore/stream HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n{UPGRADE}",
        f"GET /_stcore/health HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n{UPGRADE}",
        f"GET /_stcore/stream HTTP/1.1\r\nHost: 127.0.0.1/_stcore/health?\r\n{UPGRADE}",
    ],
)
def test_no_trick_of_the_request_passes_the_gate(server: Server, head: str) -> None:
    status, _ = answer(server, head)
    assert status in (400, 403, 404, 405), status


@pytest.mark.parametrize("place", ["/app/static/", "/static/", "/media/", "/component/x/", "/"])
def test_no_path_leads_to_a_file_that_is_not_served(server: Server, place: str) -> None:
    own = f"Host: 127.0.0.1:PORT\r\nCookie: {'='.join(cookie(TOKEN))}"
    manifest = json.loads((server.workspace / "demo" / "manifest.json").read_text())
    for up in ("../", "..%2f", "%2e%2e/", "..\\", "..%5c", "....//", "%252e%252e/"):
        for file in ("app.py", ".streamlit/config.toml", "etc/passwd"):
            for steps in (1, 2, 9):
                _, body = answer(server, f"GET {place}{up * steps}{file} HTTP/1.1\r\n{own}")
                assert not any(m in body for m in (b"behind_gate", b"enableXsrf", b"root:x:"))
    for path in (
        f"{server.workspace}/demo/manifest.json",
        "demo/manifest.json",
        "file:///etc/passwd",
    ):
        _, body = answer(server, f"GET {place}{path} HTTP/1.1\r\n{own}")
        assert manifest["model_pass"].encode() not in body
        assert b"root:x:" not in body


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
