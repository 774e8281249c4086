"""The web page: a server for its files and for its stream of events."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
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
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from logplex_handler.receiver.store import Store

# Lines may contain customers' secrets, so the page can be reached only from this machine.
_HOST = "127.0.0.1"
_STATIC = Path(__file__).with_name("static")
# Seconds between checks for new items.
_POLL_INTERVAL = 0.1
# Seconds without an item after which a keep-alive comment is sent.
_KEEP_ALIVE_INTERVAL = 10.0
# The number of an item in the header Last-Event-ID.
_NUMBER = re.compile("[0-9]{1,15}")
# The most pages that may be open at the same time. Each costs work for every line, because the
# server serializes the line once per page.
_MAX_PAGES = 32
# The page loads files from its own server only, has no inline scripts, and may not be framed.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Page:
    """The page on a loopback port; `with` starts and stops its server."""

    def __init__(self, store: Store, port: int) -> None:
        """Open the port; 0 takes any free one. Raises OSError if it cannot be opened."""
        self._socket = socket.create_server((_HOST, port))
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://{_HOST}:{self.port}/"
        self._closing = threading.Event()
        hosts = [f"{name}:{self.port}" for name in (_HOST, "localhost")]
        self._server = uvicorn.Server(
            uvicorn.Config(
                _Guard(_application(store, self._closing), hosts),
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
        number = request.path_params["number"]
        line = store.details(int(number)) if _NUMBER.fullmatch(number) else None
        return JSONResponse(line, 404 if line is None else 200)

    open_pages: set[Request] = set()

    async def events(request: Request) -> Response:
        if len(open_pages) >= _MAX_PAGES:
            return PlainTextResponse(f"{_MAX_PAGES} pages are open already.", 503)

        async def counted() -> AsyncIterator[str]:
            open_pages.add(request)
            try:
                async for event in _events(store, _last_seen(request, store.run), closing):
                    yield event
            finally:
                open_pages.discard(request)

        return StreamingResponse(counted(), media_type="text/event-stream")

    return Starlette(
        routes=[
            Route("/", index),
            Route("/api/events", events),
            Route("/api/lines/{number}", details),
            Mount("/static", StaticFiles(directory=_STATIC)),
        ]
    )


def _last_seen(request: Request, run: str) -> int:
    """Return the number of the first item to send: a reconnecting page names its last one."""
    page_run, _, number = request.headers.get("last-event-id", "").partition(":")
    return int(number) if page_run == run and _NUMBER.fullmatch(number) else 0


async def _events(store: Store, number: int, closing: threading.Event) -> AsyncIterator[str]:
    """Yield server-sent events with new items, until the server closes."""
    yield f"event: run\ndata: {json.dumps(store.run)}\n\n"
    idle = 0.0
    while not closing.is_set():
        first, items = store.since(number)
        if items:
            data = {"missed": first - number, "items": items}
            number = first + len(items)
            # JSON contains no raw newline, which would end the event.
            text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
            yield f"id: {store.run}:{number}\ndata: {text}\n\n"
            idle = 0.0
            continue
        await asyncio.sleep(_POLL_INTERVAL)
        idle += _POLL_INTERVAL
        if idle >= _KEEP_ALIVE_INTERVAL:
            idle = 0.0
            yield ": alive\n\n"


class _Guard:
    """Keeps other web sites from reading the page through the developer's browser.

    A site can point its own domain name at 127.0.0.1, so `Host` must hold one of the page's own
    names. A site can also make the browser send requests to the page; `Origin` or `Sec-Fetch-Site`
    then name the site.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        """Accept only requests whose `Host`, with the port, is one of `hosts`."""
        self._app = app
        self._hosts = frozenset(hosts)
        self._origins = frozenset(f"http://{host}" for host in self._hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        refusal = self._refusal(Headers(scope=scope))
        app = PlainTextResponse(refusal, 403) if refusal else self._app
        await app(scope, receive, send_guarded)

    def _refusal(self, headers: Headers) -> str:
        if headers.get("host") not in self._hosts:
            return "This page answers to its own address only."
        if headers.get("origin", next(iter(self._origins))) not in self._origins:
            return "Another site's page asked for this."
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and (
            headers.get("sec-fetch-mode") != "navigate"
        ):
            return "Another site's page asked for this."
        return ""
