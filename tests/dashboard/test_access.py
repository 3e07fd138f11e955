"""The gate before the dashboard: who passes, who does not, and what they are told."""

import importlib
import json

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect
from streamlit import auth_util, config
from streamlit.testing.v1 import AppTest
from streamlit.web.server.app_discovery import discover_asgi_app
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from dashboard import __main__ as start
from dashboard import access, server
from tests.dashboard.app import SECONDS, html
from tests.dashboard.test_shell import page

TOKEN = "a token that only this test knows"
SECRET = "a secret that signs cookies in this test"
PATHS = ("/", "/tradeoff", "/media/picture.png", "/app/static/icon.png", "/_stcore/upload_file/a/b")


async def behind(_: object) -> PlainTextResponse:
    return PlainTextResponse("what is behind")


async def talk(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("what is behind")
    await socket.close()


@pytest.fixture(autouse=True)
def _no_gate_stays(monkeypatch):
    monkeypatch.setattr(access, "_standing", [])


def guarded(host="127.0.0.1", **how):
    """A client of an app that answers everything, behind a gate."""
    inner = Starlette(
        routes=[
            WebSocketRoute("/_stcore/stream", talk),
            Route("/{path:path}", behind, methods=["GET", "PUT", "POST", "DELETE"]),
        ]
    )
    usual = {
        "admits": access.holds_cookie(TOKEN),
        "hosts": ["127.0.0.1"],
        "answer": access.ask_for_token,
        "token": TOKEN,
    }
    return TestClient(access.Gate(inner, **usual | how), f"http://{host}:8501")


def hears(client, **headers):
    headers = {"host": "127.0.0.1:8501"} | headers
    with client.websocket_connect("/_stcore/stream", headers=headers) as socket:
        return socket.receive_text()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
def test_nothing_is_answered_without_the_token(path, method):
    client = guarded()
    for query in ("", "?token=", "?token=wrong", f"?token={TOKEN}x"):
        answer = client.request(method, path + query)
        assert answer.status_code == 403
        assert "what is behind" not in answer.text
        assert not answer.cookies
    client.cookies.set(access.cookie(TOKEN)[0], TOKEN)  # the token itself is no cookie
    assert client.request(method, path).status_code == 403


def test_the_websocket_is_closed_without_the_token_and_to_foreign_pages():
    client = guarded()
    with pytest.raises(WebSocketDisconnect):
        hears(client)
    client.cookies.set(*access.cookie(TOKEN))
    assert hears(client) == "what is behind"
    assert hears(client, origin="http://127.0.0.1:8501") == "what is behind"
    for origin in ("http://evil.example", "http://127.0.0.1:9999", "null"):
        with pytest.raises(WebSocketDisconnect):
            hears(client, origin=origin)


def test_the_link_opens_the_page_and_leaves_the_token_out_of_the_address():
    client = guarded()
    answer = client.get(f"/tradeoff?audit=a%26b&token={TOKEN}", follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/tradeoff?audit=a%26b"
    assert TOKEN not in answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=lax"} <= set(answer.headers["set-cookie"].split("; "))
    assert client.get("/tradeoff").text == "what is behind"
    again = client.get(f"/?token={TOKEN}", follow_redirects=False)  # the link, opened once more
    assert again.headers["location"] == "/"
    path = f"http://127.0.0.1:8501//evil.example/?token={TOKEN}"
    assert client.get(path, follow_redirects=False).headers["location"] == "/evil.example/"


def test_another_origin_and_another_name_are_refused_with_the_cookie_too():
    client = guarded()
    client.cookies.set(*access.cookie(TOKEN))
    assert client.get("/", headers={"origin": "http://evil.example"}).status_code == 403
    assert client.get("/", headers={"host": "evil.example:8501"}).status_code == 403
    assert client.get("/", headers={"host": "127.0.0.1:1@evil.example"}).status_code == 403


@pytest.mark.parametrize("trick", ["/_stcore/health?", "/_stcore/health#", ":8501/_stcore/health?"])
def test_what_is_open_is_told_by_the_path_and_by_no_header(trick):
    client = guarded()
    for header in ({"host": f"127.0.0.1{trick}"}, {"host": f"127.0.0.1:8501{trick}"}):
        assert client.get("/media/picture.png", headers=header).status_code == 403
    with pytest.raises(WebSocketDisconnect):
        hears(client, host=f"127.0.0.1{trick}")


@pytest.mark.parametrize(
    "origin", ["http://[", "http://127.0.0.1:8501@evil.example", "//127.0.0.1:8501", ""]
)
def test_an_origin_that_is_none_is_refused(origin):
    client = guarded()
    client.cookies.set(*access.cookie(TOKEN))
    assert client.get("/", headers={"origin": origin}).status_code == 403


def test_a_name_is_one_however_it_is_written():
    client = guarded(hosts=["audit.Example.com", "::1"])
    client.cookies.set(*access.cookie(TOKEN))
    for host, status in (
        ("Audit.Example.com:8501", 200),
        ("audit.example.com.", 200),
        ("[::1]:8501", 200),
        ("", 403),
        ("audit.example.com:port", 403),
        ("audit.example.com evil", 403),
    ):
        cookie = "=".join(access.cookie(TOKEN))
        answer = client.get("/", headers={"host": host, "cookie": cookie})
        assert answer.status_code == status, host


def test_health_is_told_to_anybody_and_every_answer_forbids_foreign_frames():
    client = guarded()
    assert client.get(access.HEALTH).text == "what is behind"
    for path in ("/", access.HEALTH):
        headers = client.get(path).headers
        assert headers["content-security-policy"] == "frame-ancestors 'self'"
        assert headers["x-content-type-options"] == "nosniff"


def test_the_page_that_asks_for_the_token_writes_nothing_foreign_as_markup():
    text = guarded().get('/?audit="><script>alert(1)</script>').text
    assert "<script>" not in text
    assert "name=token" in text


def test_a_token_is_new_at_every_start_and_no_given_one_can_be_guessed(monkeypatch):
    monkeypatch.delenv(access.TOKEN_VARIABLE, raising=False)
    assert access.new_token() != access.new_token()
    assert len(access.new_token()) >= 40
    monkeypatch.setenv(access.TOKEN_VARIABLE, "short")
    with pytest.raises(ValueError, match="16 characters"):
        access.new_token()


@pytest.fixture
def provider(monkeypatch):
    """A client of a dashboard for people who have signed in, and their cookie."""
    monkeypatch.setattr(access, "get_cookie_secret", lambda: SECRET)
    monkeypatch.setattr(auth_util, "encode_provider_token", lambda name: f"signed-{name}")

    def opened(users=(), secret=SECRET, **person):
        client = guarded(
            admits=access.is_signed_in(users),
            answer=access.ask_to_sign_in,
            token="",
            open_paths=access.SIGN_IN,
        )
        if person:
            content = json.dumps({"is_logged_in": True} | person)
            value = create_signed_value(secret, USER_COOKIE_NAME, content).decode()
            client.cookies.set(USER_COOKIE_NAME, value)
        return client

    return opened


def test_whoever_has_signed_in_may_pass(provider):
    stranger = provider()
    assert "/auth/login?provider=signed-default" in stranger.get("/tradeoff").text
    assert stranger.get("/?token=").status_code == 403  # no token opens this gate
    assert stranger.get("/auth/login").text == "what is behind"
    with pytest.raises(WebSocketDisconnect):
        hears(stranger)
    ada = provider(email="ada@example.com")
    assert ada.get("/tradeoff").text == "what is behind"
    assert hears(ada) == "what is behind"


@pytest.mark.parametrize(
    ("person", "passes"),
    [
        ({"email": "Ada@Example.com"}, True),
        ({"email": "bob@other.org"}, True),
        ({"email": "eve@example.com.evil.org"}, False),
        ({"email": "ada@example.com", "email_verified": False}, False),
        ({"email": "ada@example.com", "is_logged_in": False}, False),
        ({"email": "ada@example.com", "secret": "another secret of the same length"}, False),
    ],
)
def test_only_named_people_may_pass(provider, monkeypatch, person, passes):
    monkeypatch.setenv(access.USERS_VARIABLE, "ada@example.com, @Other.org")
    answer = provider(access.users(), **person).get("/")
    assert (answer.status_code == 200) == passes


@pytest.mark.parametrize("address", ["0.0.0.0", "192.168.1.2", "::", "example.com"])
def test_a_start_beyond_this_machine_names_the_host(address, monkeypatch):
    assert not server.is_local(address)
    monkeypatch.setattr(config, "get_option", {"server.address": address}.get)
    with pytest.raises(SystemExit, match="--host"):
        server.behind_gate()


def test_a_start_for_this_machine_needs_nothing_and_folders_have_to_be_there(tmp_path):
    assert all(server.is_local(address) for address in ("127.0.0.1", "::1", "localhost"))
    with pytest.raises(SystemExit, match="is no folder"):
        start.main([str(tmp_path / "gone")])


def test_streamlit_run_serves_behind_the_gate_too():
    assert discover_asgi_app(start.APP).import_string == "app:app"
    with TestClient(importlib.import_module("app").app, "http://localhost") as client:
        assert client.get("/").status_code == 403
        assert client.get(access.HEALTH).status_code == 200


def test_a_page_without_a_gate_shows_one_sentence(demo, monkeypatch):
    monkeypatch.setattr(access, "is_guarded", lambda: False)
    app = AppTest.from_function(page, default_timeout=SECONDS).run()
    assert "python -m dashboard" in html(app)
    assert not app.text
