"""A Flask application whose log lines go to a log stream, each with the id of its request."""

from __future__ import annotations

import logging.config
import uuid

from flask import Flask, g, has_request_context, request


def request_id() -> str | None:
    return g.get("request_id") if has_request_context() else None


# Before the application is created: Flask adds its own handler if there is none.
logging.config.dictConfig(
    {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "keyvalue": {
                "()": "logplex_handler.KeyValueFormatter",
                "static": {"request_id": request_id},
            },
        },
        "handlers": {
            "console": {"class": "logging.StreamHandler"},
            "logplex": {"class": "logplex_handler.LogplexHandler", "formatter": "keyvalue"},
        },
        "root": {"handlers": ["console", "logplex"], "level": "INFO"},
    }
)

app = Flask(__name__)


@app.before_request
def name_the_request() -> None:
    g.request_id = request.headers.get("X-Request-ID") or str(uuid.uuid4())


@app.get("/orders/<int:order_id>")
def order(order_id: int) -> str:
    app.logger.info("order shipped", extra={"order_id": order_id})
    return "shipped\n"


@app.get("/broken")
def broken() -> str:
    raise TimeoutError("the carrier did not answer")
