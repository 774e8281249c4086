"""The web page: its files, the stream of what arrives, and the server for both."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from logplex_handler.receiver._guard import Guard
from logplex_handler.receiver._store import Store

# It shows what may be secrets of customers, so nobody beyond this machine can ask for it.
_HOST = "127.0.0.1"
_STATIC = Path(__file__).with_name("static")
# Seconds between looks at what is new, and after which a silent stream says that it is alive.
_LOOK = 0.1
_ALIVE = 10.0
# Of an item, as a page says it.
_NUMBER = re.compile("[0-9]{1,15}")
# Pages that are open at a time; each has every line written for it anew.
_MOST_PAGES = 32


class Page:
    """The page on a port of loopback, from `with` to its end."""

    def __init__(self, store: Store, port: int) -> None:
        """Raises OSError if the port, 0 for a free one, cannot be had."""
        self._socket = socket.create_server((_HOST, port))
        self.port: int = self._socket.getsockname()[1]
        self._closing = threading.Event()
        hosts = [f"{name}:{self.port}" for name in (_HOST, "localhost")]
        self._server = uvicorn.Server(
            uvicorn.Config(
                Guard(_application(store, self._closing), hosts),
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="logplex-page", daemon=True
        )

    @property
    def url(self) -> str:
        """Where to look."""
        return f"http://{_HOST}:{self.port}/"

    def __enter__(self) -> Page:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._closing.set()
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


def _application(store: Store, closing: threading.Event) -> Starlette:
    async def index(request: Request) -> Response:
        return FileResponse(_STATIC / "index.html")

    async def details(request: Request) -> Response:
        found = store.details(request.path_params["number"])
        return JSONResponse(found, 404 if found is None else 200)

    open_pages: set[Request] = set()

    async def events(request: Request) -> Response:
        if len(open_pages) >= _MOST_PAGES:
            return PlainTextResponse(f"{_MOST_PAGES} pages are open already.", 503)

        async def watched() -> AsyncIterator[str]:
            open_pages.add(request)
            try:
                async for event in _events(store, _last_seen(request, store.run), closing):
                    yield event
            finally:
                open_pages.discard(request)

        return StreamingResponse(watched(), media_type="text/event-stream")

    return Starlette(
        routes=[
            Route("/", index),
            Route("/api/events", events),
            Route("/api/lines/{number:int}", details),
            Mount("/static", StaticFiles(directory=_STATIC)),
        ]
    )


def _last_seen(request: Request, run: str) -> int:
    """The number from which a page wants to see; it comes back with the last one that it saw."""
    seen_run, _, number = request.headers.get("last-event-id", "").partition(":")
    return int(number) if seen_run == run and _NUMBER.fullmatch(number) else 0


async def _events(store: Store, number: int, closing: threading.Event) -> AsyncIterator[str]:
    """Server-sent events, each with a piece of what arrived; they end with the server."""
    yield f"event: run\ndata: {json.dumps(store.run)}\n\n"
    silent = 0.0
    while not closing.is_set():
        first, piece = store.since(number)
        if piece:
            data = {"missed": first - number, "items": piece}
            number = first + len(piece)
            # JSON has no raw newline, which would end the event.
            text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
            yield f"id: {store.run}:{number}\ndata: {text}\n\n"
            silent = 0.0
            continue
        await asyncio.sleep(_LOOK)
        silent += _LOOK
        if silent >= _ALIVE:
            silent = 0.0
            yield ": alive\n\n"
