"""Access to the dashboard: every request passes one gate, by token or by signing in.

The gate stands before all of Streamlit: pages, websocket, uploads, downloads, static files. It lets
in whoever has opened the link of the start, which carries a token as Jupyter's does, or, where
`.streamlit/secrets.toml` names a provider (`[auth]`, OpenID Connect), whoever has signed in there.
`behind_gate` builds it; where a server has none, pages say so instead of showing anything.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Callable, Collection
from html import escape
from urllib.parse import quote, urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import auth_util, runtime
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

TOKEN_VARIABLE = "TRUST_CORE_TOKEN"  # noqa: S105 - the name of a variable
USERS_VARIABLE = "TRUST_CORE_USERS"
SHORTEST_TOKEN = 16  # characters
TOKEN = "token"  # noqa: S105 - the query parameter
HEALTH = "/_stcore/health"  # says "ok" to anybody
SIGN_IN = ("/auth/login", "/auth/logout", "/oauth2callback")
HOST = re.compile(r"(?P<name>[a-z0-9._-]+|\[[0-9a-f:.]+\])(:\d{1,5})?", re.IGNORECASE)
REMEMBERED = 7 * 24 * 3600  # seconds that a browser keeps its cookie
HEADERS = {
    "content-security-policy": "frame-ancestors 'self'",
    "x-frame-options": "SAMEORIGIN",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}
PAGE = (
    "<!doctype html><meta charset=utf-8><title>Second Look</title>"
    "<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:34em;margin:20vh auto;padding:0 1em;"
    "color-scheme:light dark}}input,button{{font:inherit}}</style><h1>Second Look</h1>{}"
)

Admission = Callable[[HTTPConnection], bool]
_standing: list["Gate"] = []  # of this process


def is_guarded() -> bool:
    """Whether a gate stands before the pages of this process, or it serves them to nobody."""
    served = runtime.exists() and type(runtime.get_instance()) is runtime.Runtime
    return bool(_standing) or not served  # Streamlit's AppTest has a stand-in for the server


class Gate:
    """ASGI middleware that lets nothing through but what is admitted.

    Args:
        app: what it guards.
        admits: whether a request may pass.
        hosts: names and addresses that the server goes by; another one is a page elsewhere that
            has its own name lead here.
        answer: what a person is told who may not pass.
        token: opens the gate as the query parameter `token`; "" when there is none.
        open_paths: let through for anybody, `HEALTH` besides.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        admits: Admission,
        hosts: Collection[str],
        answer: Callable[[HTTPConnection], Response],
        token: str = "",
        open_paths: Collection[str] = (),
    ) -> None:
        self.app, self.admits = app, admits
        self.hosts = frozenset(host.casefold() for host in hosts)
        self.answer, self.token, self.open_paths = answer, token, {HEALTH, *open_paths}
        _standing.append(self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(HTTPConnection(scope))
        if refusal is None:
            await self.app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "no access"})
        else:
            await refusal(scope, receive, _with_headers(send))

    def _refusal(self, asked: HTTPConnection) -> Response | None:
        """What is answered instead; None lets it through."""
        host, origin = asked.headers.get("host", ""), asked.headers.get("origin")
        if _name(host) not in self.hosts:
            return _plain("This dashboard does not go by that name.")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            return _plain("A page from elsewhere may not use this dashboard.")
        # Not `asked.url`, which is put together from the header that names the host.
        if asked.scope["path"] in self.open_paths or self.admits(asked):
            return self._without_token(asked) if TOKEN in asked.query_params else None
        given = asked.query_params.get(TOKEN, "")
        if self.token and hmac.compare_digest(given.encode(), self.token.encode()):
            return self._without_token(asked)
        return self.answer(asked)

    def _without_token(self, asked: HTTPConnection) -> Response:
        """The same address without the token, which the browser keeps as a cookie from now on."""
        rest = [(k, v) for k, v in asked.query_params.multi_items() if k != TOKEN]
        path = "/" + quote(asked.scope["path"].lstrip("/\\"))  # `//elsewhere` would lead away
        answer = RedirectResponse(f"{path}?{urlencode(rest)}" if rest else path, 303)
        given = asked.query_params[TOKEN]
        if self.token and hmac.compare_digest(given.encode(), self.token.encode()):
            answer.set_cookie(
                *cookie(self.token),
                max_age=REMEMBERED,
                httponly=True,
                samesite="lax",
                secure=asked.url.scheme == "https",
            )
        return answer


def new_token() -> str:
    """The token of this start: `$TRUST_CORE_TOKEN`, else one that nobody can guess.

    Raises:
        ValueError: the given one is short enough to be guessed.
    """
    given = os.environ.get(TOKEN_VARIABLE)
    if given is not None and len(given) < SHORTEST_TOKEN:
        raise ValueError(f"${TOKEN_VARIABLE} needs {SHORTEST_TOKEN} characters or more.")
    return given or secrets.token_urlsafe(32)


def cookie(token: str) -> tuple[str, str]:
    """Name and value of the cookie of whoever has shown a token; the token cannot be read from it.

    Servers with different tokens have different cookies: cookies know no ports.
    """
    name = hashlib.sha256(token.encode()).hexdigest()[:8]
    return f"second-look-{name}", hmac.digest(token.encode(), b"cookie", "sha256").hex()


def holds_cookie(token: str) -> Admission:
    """Admits browsers that hold the cookie of a token."""
    name, value = cookie(token)
    return lambda asked: hmac.compare_digest(asked.cookies.get(name, "").encode(), value.encode())


def ask_for_token(asked: HTTPConnection) -> Response:
    """The page that asks for the token, and keeps where the reader wanted to go."""
    kept = "".join(
        f'<input type=hidden name="{escape(key)}" value="{escape(value)}">'
        for key, value in asked.query_params.multi_items()
        if key != TOKEN
    )
    return _page(
        "<p>Open the link that the start of the dashboard has printed in its terminal, or paste "
        f"its token here.</p><form>{kept}<input name={TOKEN} type=password autofocus "
        "autocomplete=off aria-label=Token> <button>Open</button></form>"
    )


def is_signed_in(users: Collection[str]) -> Admission:
    """Admits browsers that hold Streamlit's signed cookie of a person who has signed in.

    Args:
        users: who may come: e-mail addresses, and `@domain` for all of one; everybody whom the
            provider knows when empty.
    """

    def admits(asked: HTTPConnection) -> bool:
        email = _signed_in_as(asked)
        domain = f"@{email.rpartition('@')[2]}"
        return bool(email) and (not users or email in users or domain in users)

    return admits


def _signed_in_as(asked: HTTPConnection) -> str:
    """The e-mail address (the subject, where there is none) in the signed cookie; else ""."""

    def read(name: str) -> bytes | None:
        value = asked.cookies.get(name)
        if value is None:
            return None
        return decode_signed_value(get_cookie_secret(), name, value.encode("latin-1"))

    content = auth_util.get_cookie_with_chunks(read, USER_COOKIE_NAME)
    person = json.loads(content) if content else {}
    if not person.get("is_logged_in"):
        return ""
    if "email" in person:
        return str(person["email"]).casefold() if person.get("email_verified", True) else ""
    return str(person.get("sub") or "")


def ask_to_sign_in(asked: HTTPConnection) -> Response:
    """The page that leads to the provider, or says that this person may not come in."""
    name = _signed_in_as(asked)
    if name:
        return _page(
            f"<p>{escape(name)} may not open this dashboard; ask whoever runs it.</p>"
            '<p><a href="/auth/logout">Sign in as somebody else</a></p>'
        )
    where = urlencode({"provider": auth_util.encode_provider_token("default")})
    return _page(f'<p><a href="/auth/login?{where}">Sign in</a> to open this dashboard.</p>')


def users() -> frozenset[str]:
    """Who may sign in: `$TRUST_CORE_USERS`, e-mail addresses and `@domain`, comma between them."""
    given = os.environ.get(USERS_VARIABLE, "").split(",")
    return frozenset(name.strip().casefold() for name in given if name.strip())


def _name(host: str) -> str:
    """The name in a Host header, without its port; "" where it is none."""
    found = HOST.fullmatch(host)
    return found["name"].strip("[]").rstrip(".").casefold() if found else ""


def _plain(sentence: str) -> Response:
    return _page(f"<p>{sentence}</p>")


def _page(body: str) -> Response:
    return HTMLResponse(PAGE.format(body), 403, {"cache-control": "no-store"})


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return sent
