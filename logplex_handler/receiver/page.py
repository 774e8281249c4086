"""The web page: a server for its files and its API, which only its own machine reaches."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from logplex_handler.receiver import _bundle as bundle
from logplex_handler.receiver._api import Api
from logplex_handler.receiver._events import first_items
from logplex_handler.receiver.store import Store

# Lines may contain customers' secrets, so the page can be reached only from this machine.
_HOST = "127.0.0.1"
_STATIC = Path(__file__).with_name("static")
_STYLES = (
    "style.css",
    "lines.css",
    "vendor/uplot/uPlot.min.css",
    "plots.css",
    "requests.css",
    "small.css",
)
# The page has its first lines in this element.
_FIRST = '<script type="application/json" id="first">'
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
    """The page on a loopback port; `with` starts and stops its server.

    Attributes:
        receiver_url: Where a request is sent again; empty for nowhere.
    """

    def __init__(self, store: Store, port: int) -> None:
        """Open the port; 0 takes any free one. Raises OSError if it cannot be opened."""
        self._socket = socket.create_server((_HOST, port))
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://{_HOST}:{self.port}/"
        self.receiver_url = ""
        self._closing = threading.Event()
        api = Api(store, self._closing, lambda: self.receiver_url)
        hosts = [f"{name}:{self.port}" for name in (_HOST, "localhost")]
        self._server = uvicorn.Server(
            uvicorn.Config(
                _Guard(_application(store, api), hosts),
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


@cache
def _page_files() -> tuple[str, str, str]:
    """Return the page without lines, its script and its style sheet."""
    html = (_STATIC / "index.html").read_text("utf-8")
    return html, bundle.script(_STATIC, "main"), bundle.styles(_STATIC, _STYLES)


def _application(store: Store, api: Api) -> Starlette:
    def index(request: Request) -> Response:
        before, start, after = _page_files()[0].partition(_FIRST)
        # A `<` could end the element; in a string of JSON it may be an escape.
        items = first_items(store).replace("<", r"\u003c")
        return HTMLResponse(f"{before}{start}{items}{after}")

    def script(request: Request) -> Response:
        return Response(_page_files()[1], media_type="text/javascript")

    def styles(request: Request) -> Response:
        return Response(_page_files()[2], media_type="text/css")

    return Starlette(
        routes=[
            Route("/", index),
            Route("/page.js", script),
            Route("/page.css", styles),
            *api.routes,
            Mount("/static", StaticFiles(directory=_STATIC)),
        ]
    )


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

        refusal = self._refusal(Headers(scope=scope), scope["path"])
        app = PlainTextResponse(refusal, 403) if refusal else self._app
        await app(scope, receive, send_guarded)

    def _refusal(self, headers: Headers, path: str) -> str:
        if headers.get("host") not in self._hosts:
            return "This page answers to its own address only."
        if headers.get("origin", next(iter(self._origins))) not in self._origins:
            return "Another site's page asked for this."
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and (
            # A link may lead to the page, but not to the API, which may search for long.
            (path, headers.get("sec-fetch-mode")) != ("/", "navigate")
        ):
            return "Another site's page asked for this."
        return ""
