"""A mix of records that the handler was never tuned with: those of asynchronous services.

The shapes are those of aiohttp's and uvicorn's access logs, httpx, botocore, structlog, alembic,
APScheduler, kombu and asyncio's slow callbacks, with 2.5 % exceptions.
"""

from __future__ import annotations

import datetime
import json
import logging
import zoneinfo
from collections.abc import Callable

LogOne = Callable[[logging.Logger, int], None]

_AGENT = "python-requests/2.34.2"
_START = datetime.datetime(2026, 11, 29, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))


class _Job:
    """Its text is made anew each time, as that of a job, a URL or a step of a migration is."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __str__(self) -> str:
        return f"{self._name} (trigger: interval[0:00:10])"


_JOB = _Job("refresh_prices")


def _aiohttp(logger: logging.Logger, i: int) -> None:
    """The message is made at run time, and its parts are extras, too."""
    address, line, size = f"10.1.2.{i % 250}", f"GET /v1/items/{i} HTTP/1.1", i % 9000
    logger.info(
        f'{address} [29/Nov/2026:13:19:46 +0000] "{line}" 200 {size} "-" "{_AGENT}"',
        extra={
            "remote_address": address,
            "request_start_time": "[29/Nov/2026:13:19:46 +0000]",
            "first_request_line": line,
            "response_status": 200,
            "response_size": size,
            "request_header": {"Referer": "-", "User-Agent": _AGENT},
        },
    )


def _uvicorn(logger: logging.Logger, i: int) -> None:
    logger.info('%s - "%s %s HTTP/%s" %d', f"10.1.2.3:{i % 9999}", "GET", f"/items/{i}", "1.1", 200)


def _httpx(logger: logging.Logger, i: int) -> None:
    logger.info(
        'HTTP Request: %s %s "%s %d %s"', "POST", _Job(f"/pay/{i}"), "HTTP/1.1", 201, "Created"
    )


def _event(logger: logging.Logger, _i: int) -> None:
    """As botocore logs each of its hooks."""
    logger.info("Event %s: calling handler %s", "before-parameter-build.s3.PutObject", _event)


def _headers(logger: logging.Logger, i: int) -> None:
    logger.info(
        "Response headers: %r",
        {"x-amz-request-id": f"{i:016X}", "Content-Type": "application/xml", "Server": "AmazonS3"},
    )


def _structlog(logger: logging.Logger, i: int) -> None:
    logger.info(
        {
            "event": "payment captured",
            "user_id": i % 977,
            "request_id": f"{i:032x}",
            "took": i % 700 / 1000,
            "tags": ["eu", "card"],
            "timestamp": "2026-11-29T13:19:46.123456Z",
        }
    )


def _running(logger: logging.Logger, i: int) -> None:
    logger.info('Running job "%s" (scheduled at %s)', _JOB, _START + datetime.timedelta(seconds=i))


def _executed(logger: logging.Logger, _i: int) -> None:
    logger.info('Job "%s" executed successfully', _JOB)


def _migration(logger: logging.Logger, _i: int) -> None:
    logger.info("Running %s", _Job("upgrade 1975ea83b712 -> ae1027a6acf, add a column"))


def _connected(logger: logging.Logger, _i: int) -> None:
    logger.info("Connected to %s", "amqp://guest:**@broker:5672//")


def _slow(logger: logging.Logger, i: int) -> None:
    task = f"<Handle <TaskStepMethWrapper object at 0x{i:x}>() created at tasks.py:{i % 90}>"
    logger.warning("Executing %s took %.3f seconds", task, i % 500 / 1000)


def _bad_json(logger: logging.Logger, i: int) -> None:
    try:
        json.loads(f'{{"item": {i},}}')
    except ValueError:
        logger.exception("message %s cannot be read", i, extra={"queue": "items"})


# How often each of them stands in a mix of 80.
CALLS: dict[LogOne, int] = {
    _aiohttp: 12,
    _uvicorn: 10,
    _httpx: 10,
    _event: 10,
    _headers: 4,
    _structlog: 14,
    _running: 6,
    _executed: 6,
    _migration: 1,
    _connected: 2,
    _slow: 3,
    _bad_json: 2,
}
