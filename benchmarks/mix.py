"""Three mixes of records as real programs log them, each a list of calls in the order of a program.

The shapes and the proportions are those of what werkzeug, Django, SQLAlchemy with `echo`, urllib3,
gunicorn and Celery log for a few requests and tasks, and of a loop with metrics. The formatting was
tuned with `web_mix` and `worker_mix`; `async_mix` shows whether that holds for others.
"""

from __future__ import annotations

import itertools
import logging
import uuid
from collections.abc import Callable

from async_mix import CALLS
from logplex_handler import count, measure, sample

LogOne = Callable[[logging.Logger, int], None]

_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"
_ACCESS = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'
_SELECT = (
    "SELECT orders.id, orders.city, orders.total \nFROM orders \n"
    "WHERE orders.city = ? AND orders.total > ? ORDER BY orders.id"
)
_URLLIB3 = '%s://%s:%s "%s %s %s" %s %s'
_COLUMNS = (
    "id", "password", "last_login", "is_superuser", "username", "first_name", "last_name", "email",
    "is_staff", "is_active", "date_joined",
)  # fmt: skip
_DJANGO_SQL = (
    "SELECT " + ", ".join([f'"auth_user"."{column}"' for column in _COLUMNS]) + " "
    'FROM "auth_user" WHERE "auth_user"."username" = %s LIMIT 5'
)


def _access(logger: logging.Logger, i: int) -> None:
    """As gunicorn logs a request."""
    atoms = {
        "h": f"10.1.2.{i % 250}",
        "l": "-",
        "u": "-",
        "t": "[29/Nov/2026:13:19:46 +0000]",
        "r": f"GET /orders/{i}?q=m%C3%BCnchen HTTP/1.1",
        "s": "200",
        "b": str(i % 9000),
        "f": "-",
        "a": _AGENT,
        "D": i % 50_000,
    }
    logger.info(_ACCESS, atoms)


def _werkzeug(logger: logging.Logger, i: int) -> None:
    """Werkzeug has the time in the template, so each second has another one."""
    second = f"{i // 5000 % 60:02d}"
    logger.info(
        f'10.1.2.3 - - [29/Nov/2026 13:19:{second}] "%s" %s %s',
        f"GET /orders/{i} HTTP/1.1",
        "200",
        "-",
    )


def _statement(logger: logging.Logger, _i: int) -> None:
    logger.info(_SELECT)


def _begin(logger: logging.Logger, _i: int) -> None:
    logger.info("BEGIN (implicit)")


def _parameters(logger: logging.Logger, i: int) -> None:
    logger.info("[%s] %r", f"cached since {i % 97}.21s ago", ["münchen", i % 100])


def _pool(logger: logging.Logger, i: int) -> None:
    """As urllib3 logs a request."""
    logger.info(
        _URLLIB3, "https", "api.example.com", 443, "GET", f"/v1/orders/{i}", "HTTP/1.1", 200, 512
    )


def _django_query(logger: logging.Logger, i: int) -> None:
    took, parameters = i % 100 / 1000, ("anna",)
    logger.info(
        "(%.3f) %s; args=%s; alias=%s",
        took,
        _DJANGO_SQL,
        parameters,
        "default",
        extra={"duration": took, "sql": _DJANGO_SQL, "params": parameters, "alias": "default"},
    )


def _django_warning(logger: logging.Logger, i: int) -> None:
    logger.warning("%s: %s", "Not Found", f"/nope/{i}", extra={"status_code": 404})


def _order(logger: logging.Logger, i: int) -> None:
    logger.info("order %s shipped to %s in %dms", i, "münchen", i % 500, extra={"order_id": i})


def _fstring(logger: logging.Logger, i: int) -> None:
    logger.info(f"order {i} is on its way to berlin")


def _plain(logger: logging.Logger, _i: int) -> None:
    logger.info("cache is warm")


def _with_id(logger: logging.Logger, i: int) -> None:
    logger.info("payment accepted", extra={"request_id": uuid.UUID(int=i), "amount": i / 100})


def _mapping(logger: logging.Logger, i: int) -> None:
    logger.info({"event": "cart.updated", "cart": i, "items": i % 7, "city": "köln"})


def _latency(logger: logging.Logger, i: int) -> None:
    logger.info("", extra=measure("web.latency", i % 900, "ms"))


def _measured(logger: logging.Logger, i: int) -> None:
    pairs = measure("job.duration", i % 900 / 10, "ms") | count("jobs")
    logger.info("job done", extra=pairs | {"queue": "default"})


def _report(logger: logging.Logger, i: int) -> None:
    """A line of `Metrics`."""
    pairs = count("orders", i) | sample("queue.depth", i % 70) | sample("carts", 4)
    logger.info(" ".join([f"{key}={value}" for key, value in pairs.items()]), extra=pairs)


def _received(logger: logging.Logger, i: int) -> None:
    """As Celery logs that a task has come."""
    logger.info(
        "Task %(name)s[%(id)s] received",
        {"id": f"{i:032x}", "name": "shop.ship", "args": f"({i},)", "kwargs": "{}"},
    )


def _succeeded(logger: logging.Logger, i: int) -> None:
    context = {
        "id": f"{i:032x}",
        "name": "shop.ship",
        "return_value": str(i),
        "runtime": i % 1000 / 999,
        "args": f"({i},)",
        "kwargs": "{}",
    }
    logger.info(
        "Task %(name)s[%(id)s] succeeded in %(runtime)ss: %(return_value)s",
        context,
        extra={"data": context},
    )


def _failed_order(logger: logging.Logger, i: int) -> None:
    try:
        _deep(3, i)
    except LookupError:
        logger.exception("order %s failed", i)


def _deep(depth: int, i: int) -> None:
    if depth:
        _deep(depth - 1, i)
    else:
        raise LookupError(f"no label for order {i}")


def _failed_job(logger: logging.Logger, i: int) -> None:
    try:
        try:
            int(f"x{i}")
        except ValueError as error:
            raise RuntimeError("job failed") from error
    except RuntimeError:
        logger.exception("job failed")


# How often each of them stands in a mix of 40 or 80.
_WEB: dict[LogOne, int] = {
    _access: 8,
    _begin: 2,
    _statement: 3,
    _parameters: 3,
    _pool: 4,
    _order: 6,
    _fstring: 3,
    _plain: 2,
    _with_id: 2,
    _mapping: 2,
    _latency: 4,
    _failed_order: 1,
}
_WORKER: dict[LogOne, int] = {
    _received: 10,
    _succeeded: 10,
    _django_query: 16,
    _django_warning: 2,
    _werkzeug: 4,
    _pool: 6,
    _measured: 12,
    _report: 2,
    _mapping: 6,
    _fstring: 6,
    _with_id: 4,
    _failed_job: 2,
}


def _shuffled(weights: dict[LogOne, int]) -> list[LogOne]:
    """The calls in an order that has few equal ones side by side."""
    calls = [call for call, number in weights.items() for _ in range(number)]
    step = next(step for step in itertools.count(17, 2) if len(calls) % step)
    return [calls[i * step % len(calls)] for i in range(len(calls))]


def _mixed(name: str, weights: dict[LogOne, int]) -> LogOne:
    calls = _shuffled(weights)
    # Each call has a logger of its own, as each library has; they propagate to the given one.
    names = {call: f"{index}.{call.__name__.strip('_')}" for index, call in enumerate(weights)}
    loggers: dict[LogOne, logging.Logger] = {}

    def log_one(logger: logging.Logger, i: int) -> None:
        call = calls[i % len(calls)]
        if call not in loggers:
            loggers[call] = logger.getChild(names[call])
        call(loggers[call], i)

    log_one.__name__ = name
    return log_one


web_mix = _mixed("web_mix", _WEB)
worker_mix = _mixed("worker_mix", _WORKER)
async_mix = _mixed("async_mix", CALLS)
