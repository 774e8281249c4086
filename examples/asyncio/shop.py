"""An aiohttp application that logs its lines and its access log with request ids."""

from __future__ import annotations

import logging
import os
import uuid
from contextvars import ContextVar

from aiohttp import web
from aiohttp.typedefs import Handler

from logplex_handler import KeyValueFormatter, LogplexHandler

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

logplex = LogplexHandler()
logplex.setFormatter(
    KeyValueFormatter(
        static={"request_id": request_id.get},
        # aiohttp adds these extras to its access log, but the text already contains them.
        omit=["first_request_line", "response_status", "response_size", "request_time_frac"],
    )
)
logging.basicConfig(level=logging.INFO, handlers=[logging.StreamHandler(), logplex])
log = logging.getLogger("shop")


@web.middleware
async def name_the_request(request: web.Request, handler: Handler) -> web.StreamResponse:
    # Each request runs in its own task, and so in its own context.
    request_id.set(request.headers.get("X-Request-ID") or str(uuid.uuid4()))
    return await handler(request)


async def order(request: web.Request) -> web.Response:
    log.info("order shipped", extra={"order_id": request.match_info["order_id"]})
    return web.Response(text="shipped\n")


app = web.Application(middlewares=[name_the_request])
app.router.add_get("/orders/{order_id}", order)

if __name__ == "__main__":
    web.run_app(
        app,
        port=int(os.environ.get("PORT", "8000")),
        # This format is key=value already, so the formatter keeps its pairs.
        access_log_format='request="%r" status=%s bytes=%b service=%Tfs',
        print=None,
    )
