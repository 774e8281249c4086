"""A FastAPI application under uvicorn that logs its own and uvicorn's lines with request ids."""

from __future__ import annotations

import logging.config
import os
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar

import uvicorn
from fastapi import FastAPI, Request, Response

from logplex_handler import flush_all, flush_on_sigterm

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

logging.config.dictConfig(
    {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "keyvalue": {
                "()": "logplex_handler.KeyValueFormatter",
                "static": {"request_id": request_id.get},
                # uvicorn adds this extra for its own coloured formatter.
                "omit": ["color_message"],
            },
        },
        "handlers": {
            "console": {"class": "logging.StreamHandler"},
            "logplex": {"class": "logplex_handler.LogplexHandler", "formatter": "keyvalue"},
        },
        "root": {"handlers": ["console", "logplex"], "level": "INFO"},
        "loggers": {
            # Remove uvicorn's own handlers, and use the root logger's.
            name: {"handlers": [], "propagate": True}
            for name in ("uvicorn", "uvicorn.access", "uvicorn.error")
        },
    }
)
log = logging.getLogger("shop")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
    log.info("the shop opens")
    yield
    log.info("the shop closes")
    # uvicorn ends by the signal that stopped it, so no exit functions run.
    flush_all()


app = FastAPI(lifespan=lifespan)


@app.middleware("http")
async def name_the_request(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    token = request_id.set(request.headers.get("X-Request-ID") or str(uuid.uuid4()))
    try:
        return await call_next(request)
    finally:
        request_id.reset(token)


@app.get("/orders/{order_id}")
async def order(order_id: int) -> str:
    log.info("order shipped", extra={"order_id": order_id})
    return "shipped"


if __name__ == "__main__":
    # Before uvicorn starts: uvicorn calls the previous signal handler after its own shutdown.
    flush_on_sigterm()
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")), log_config=None)
