"""The guard as an HTTP service: images in, decisions out; bounded in size, number and time.

Decoding runs in threads, the network in one thread on whatever is waiting, so that requests that
arrive together share a pass. What does not fit into the queue is told so at once (503).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from pydantic import BaseModel
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from trust_core.deploy.inspection import Inspection, Inspector, Read
from trust_core.deploy.log import GuardLog, policy_hash
from trust_core.errors import EngineError, StoreError
from trust_core.storage.manifest import as_json

DECODERS = 2  # threads: a large picture takes some 300 MB while it is decoded
MOST_FILES = 64  # in one request
LONGEST_NAME = 200  # of a file, as it is told and logged
BODY_SECONDS = 30.0  # that a request may take to arrive
GRACE_SECONDS = 30  # that what has begun may take to end, when the server is stopped


@dataclass(frozen=True)
class RequestLimits:
    """What the server takes.

    So many images may wait or be in work in the `queue`, more are refused with 503; `bytes` are of
    a request.
    """

    queue: int = 64
    bytes: int = 16 * 2**20


class InspectedImage(BaseModel):
    """One image."""

    path: str
    decision: str
    p_defect: float | None
    log_odds: float | None
    indicator: float | None
    reason: str
    audit_sample: bool
    maps: dict[str, list[list[float]]] | None = None


class InspectedImages(BaseModel):
    """The images of a request, in order."""

    parts: list[InspectedImage]


@dataclass
class _Waiting:
    """An image that waits for the network."""

    read: Read
    name: str
    maps: bool
    done: asyncio.Future[Inspection]


class InspectionQueue:
    """Images that wait for one guard, and the loop that inspects them."""

    def __init__(self, guard: Inspector, limits: RequestLimits) -> None:
        self.guard = guard
        self.limits = limits
        self.busy = 0  # images taken in and not yet answered
        self._waiting: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._decoders = ThreadPoolExecutor(DECODERS, thread_name_prefix="decode")
        self._network = ThreadPoolExecutor(1, thread_name_prefix="network")

    def take(self, images: int) -> None:
        """Make room for images, or refuse them.

        Raises:
            HTTPException: 503, the queue is full.
        """
        if self.busy + images > self.limits.queue:
            raise HTTPException(503, "The queue is full; try again.", {"Retry-After": "1"})
        self.busy += images

    def give_back(self, images: int) -> None:
        """Free the room of images that are answered."""
        self.busy -= images

    async def inspect(self, content: bytes, name: str, *, maps: bool) -> Inspection:
        """Decode an image and wait for its turn."""
        loop = asyncio.get_running_loop()
        read = await loop.run_in_executor(self._decoders, self.guard.pixels, content, name)
        if isinstance(read, str):  # there is nothing for the network
            return self.guard.inspect_read([read], [name])[0]
        waiting = _Waiting(read, name, maps, loop.create_future())
        self._waiting.put_nowait(waiting)
        return await waiting.done

    async def run(self) -> None:
        """Inspect what waits, as many at a time as a pass holds, for ever.

        A power of two, because the arithmetic of each size of batch keeps memory of its own.
        """
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self._waiting.get()]
            most = min(self.guard.batch_size, 1 + self._waiting.qsize())
            while 2 * len(batch) <= most:
                batch += [self._waiting.get_nowait() for _ in batch]
            inspect = partial(
                self.guard.inspect_read,
                [one.read for one in batch],
                [one.name for one in batch],
                maps=any(one.maps for one in batch),
            )
            try:
                found = await loop.run_in_executor(self._network, inspect)
            except Exception as error:  # whatever it is, who waits is told, and the line goes on
                for one in batch:
                    if not one.done.done():
                        one.done.set_exception(error)
                continue
            for one, inspection in zip(batch, found, strict=True):
                if not one.done.done():  # or whoever asked has gone
                    one.done.set_result(inspection)

    def close(self) -> None:
        """End the threads."""
        self._decoders.shutdown()
        self._network.shutdown()


class RequestCounts:
    """Counts for Prometheus, of one server."""

    def __init__(self, line: InspectionQueue) -> None:
        self.registry = CollectorRegistry()
        self.parts = Counter(
            "guard_parts_total", "Images by decision", ["decision"], registry=self.registry
        )
        self.sampled = Counter(
            "guard_audit_samples_total", "Good parts drawn at random", registry=self.registry
        )
        self.requests = Counter(
            "guard_requests_total", "Requests to /inspect", ["status"], registry=self.registry
        )
        self.seconds = Histogram(
            "guard_request_seconds", "Time of a request to /inspect", registry=self.registry
        )
        self.p_defect = Histogram(
            "guard_p_defect",
            "p of the detector",
            buckets=[k / 10 for k in range(1, 11)],
            registry=self.registry,
        )
        waiting = Gauge("guard_queue", "Images waiting or in work", registry=self.registry)
        waiting.set_function(lambda: line.busy)

    def count(self, parts: list[Inspection]) -> None:
        """Note what was decided."""
        for part in parts:
            self.parts.labels(part.decision).inc()
            if part.audit_sample:
                self.sampled.inc()
            if part.p_defect is not None:
                self.p_defect.observe(part.p_defect)


def create_app(
    guard: Inspector, limits: RequestLimits = RequestLimits(), log: GuardLog | None = None
) -> FastAPI:
    """The service of a guard."""
    line = InspectionQueue(guard, limits)
    metrics = RequestCounts(line)

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(line.run())
        yield
        task.cancel()
        line.close()

    app = FastAPI(
        title="Guard",
        description=f"Decides on parts by {guard.policy.indicator_name}.",
        version=policy_hash(guard.folder),
        lifespan=running,
    )

    @app.middleware("http")
    async def measure(
        request: Request, answer: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        if request.url.path != "/inspect":
            return await answer(request)
        began = time.monotonic()
        response = await answer(request)
        metrics.requests.labels(str(response.status_code)).inc()
        metrics.seconds.observe(time.monotonic() - began)
        return response

    @app.post(
        "/inspect",
        response_model=InspectedImages,
        response_model_exclude_none=False,
        responses={code: {"description": text} for code, text in REFUSALS.items()},
        openapi_extra={"requestBody": REQUEST_BODY},
    )
    async def inspect(
        request: Request,
        name: Annotated[str, Query(description="what a raw image is called")] = "image",
        maps: Annotated[bool, Query(description="also give heatmaps")] = False,
    ) -> Response:
        """Decide on the images of a request: one as the body, or some as multipart files."""
        line.take(1)
        taken = 1
        try:
            images = await _images(request, name, limits.bytes)
            if len(images) > 1:
                line.take(len(images) - 1)
                taken = len(images)
            parts = await asyncio.gather(
                *(line.inspect(content, called, maps=maps) for called, content in images)
            )
        finally:
            line.give_back(taken)
        if log:
            try:
                await asyncio.to_thread(log.write, parts)
            except StoreError as error:  # a full disk: what is not noted does not count
                raise HTTPException(503, str(error), {"Retry-After": "60"}) from error
        metrics.count(parts)
        told = {"parts": [_told(part, maps=maps) for part in parts]}
        unreadable = all(part.p_defect is None and "unreadable" in part.reason for part in parts)
        return JSONResponse(told, 422 if unreadable else 200)

    @app.get("/health")
    async def health() -> dict[str, Any]:
        """Whether the guard answers, and how many images wait."""
        return {"status": "ok", "policy": app.version, "queue": line.busy}

    @app.get("/policy")
    async def policy() -> dict[str, Any]:
        """What the guard decides by."""
        return as_json(guard.policy)

    @app.get("/metrics", response_class=Response)
    async def exposition() -> Response:
        """Counts for Prometheus."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return app


REFUSALS = {
    400: "No image in the request",
    408: "The request took too long to arrive",
    413: "The request is too large, or holds too many files",
    422: "No image of the request can be read: each is to be re-inspected, with its reason",
    503: "The queue is full, or the log cannot be written; try again",
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FILES = {"type": "array", "items": {"type": "string", "format": "binary"}}
REQUEST_BODY = {
    "required": True,
    "content": {
        "image/*": _BINARY,
        "application/octet-stream": _BINARY,
        "multipart/form-data": {"schema": {"type": "object", "properties": {"images": _FILES}}},
    },
}


async def _images(request: Request, name: str, most: int) -> list[tuple[str, bytes]]:
    """Names and contents of the images in a request.

    Raises:
        HTTPException: there is none, or they are too large, too many or too slow.
    """
    body = await _body(request, most)
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        if not body:
            raise HTTPException(400, "Send an image as the body, or as a multipart file.")
        return [(name[:LONGEST_NAME], body)]

    async def replay() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    try:
        form = await Request(request.scope, replay).form(
            max_files=MOST_FILES, max_fields=MOST_FILES
        )
    except HTTPException as error:  # what Starlette says of a form that is none
        many = "Too many" in str(error.detail)
        raise HTTPException(413 if many else 400, str(error.detail)) from error
    except (ValueError, KeyError) as error:
        raise HTTPException(400, f"The multipart form is damaged: {error}") from error
    try:
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        if not files:
            raise HTTPException(400, "Send an image as the body, or as a multipart file.")
        return [((file.filename or name)[:LONGEST_NAME], await file.read()) for file in files]
    finally:
        await form.close()  # its temporary files


async def _body(request: Request, most: int) -> bytes:
    """The body of a request, at most so many bytes, in time."""
    too_large = HTTPException(413, f"The request is larger than {most / 2**20:g} MiB.")
    said = request.headers.get("content-length", "0")
    if said.isdigit() and int(said) > most:
        raise too_large
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for piece in request.stream():
                size += len(piece)
                if size > most:
                    raise too_large
                parts.append(piece)
    except TimeoutError:
        raise HTTPException(408, "The request took too long to arrive.") from None
    return b"".join(parts)


def _told(part: Inspection, *, maps: bool) -> dict[str, Any]:
    told = part.as_json()
    if not maps:
        told.pop("maps", None)
    return told


def serve(app: FastAPI, host: str, port: int) -> None:
    """Serve until stopped; what has begun is answered first.

    Raises:
        EngineError: the address cannot be used.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        timeout_keep_alive=15,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = uvicorn.Server(config)
    try:
        server.run()
    except SystemExit as error:
        raise EngineError(
            f"Cannot serve on {host}:{port}; is the port taken? Choose another."
        ) from error
