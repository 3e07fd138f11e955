"""The frame's style in the document itself, so that nothing jumps when the first elements arrive.

Streamlit sends every style sheet of a page over the socket, after it has drawn its own layout. What
stands in the document is there before anything is drawn.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.shell import STATIC

FONT = '<link rel="preload" href="./app/static/plex-sans.woff2" as="font" crossorigin>'
# Of the request: what is answered is not the file.
LEFT_OUT = (b"accept-encoding", b"if-none-match", b"if-modified-since")


class FirstPaint:
    """ASGI middleware that puts the frame's style and font into the document of every page."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; only what a browser asks for as a page is changed."""
        if scope["type"] != "http" or "text/html" not in Headers(scope=scope).get("accept", ""):
            await self.app(scope, receive, send)
            return
        plain = [pair for pair in scope["headers"] if pair[0] not in LEFT_OUT]
        start: Message = {}
        body = b""

        async def collected(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            body += message.get("body", b"")
            if not message.get("more_body", False):
                await _sent(start, body, send)

        # A server that could send a file by its path would pass by what is changed here.
        extensions = {k: v for k, v in scope.get("extensions", {}).items() if "pathsend" not in k}
        asked = {**scope, "headers": plain, "extensions": extensions}
        await self.app(asked, receive, collected)


async def _sent(start: Message, body: bytes, send: Send) -> None:
    headers = MutableHeaders(scope=start)
    if headers.get("content-type", "").startswith("text/html") and b"<head>" in body:
        style = f"<style>{(STATIC / 'frame.css').read_text(encoding='utf-8')}</style>"
        body = body.replace(b"<head>", b"<head>" + FONT.encode(), 1)
        body = body.replace(b"</body>", style.encode() + b"</body>", 1)
        for name in ("etag", "last-modified"):
            del headers[name]
        headers["content-length"] = str(len(body))
    await send(start)
    await send({"type": "http.response.body", "body": body})
