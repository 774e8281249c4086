"""What the page's server answers below `/api`: to the page, and to tests in any language.

`docs/receive.md` describes it.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import TypeAlias, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from logplex_handler.receiver import _items as items
from logplex_handler.receiver._again import send_again
from logplex_handler.receiver._dissection import dissect
from logplex_handler.receiver._events import NUMBER, POLL_INTERVAL, events
from logplex_handler.receiver._items import JsonObject
from logplex_handler.receiver.feed import ReceivedLine
from logplex_handler.receiver.query import Query
from logplex_handler.receiver.recording import without_token
from logplex_handler.receiver.store import Batch, Position, Store, difference, numbered
from logplex_handler.receiver.terminal import as_customers_see
from logplex_handler.testing import Request as ReceivedRequest

_Found = TypeVar("_Found")
_Search: TypeAlias = Callable[[list[Batch], int], Iterable[_Found]]
# A line with its number and its batch.
_FoundLine: TypeAlias = tuple[int, ReceivedLine, Batch]

_FILE_NAME = re.compile("[A-Za-z0-9._-]{1,100}")
# The most pages that may be open at the same time, which each keep a connection and a task.
_MAX_PAGES = 32
# The most lines of one answer, and the longest wait for them in seconds.
_MAX_LINES = 100_000
_MAX_WAIT = 60.0
# The most seconds that lines are searched: a regular expression may be slow in every line.
_MAX_SEARCH = 20.0


class Api:
    """The routes below `/api`."""

    def __init__(
        self, store: Store, closing: threading.Event, receiver_url: Callable[[], str]
    ) -> None:
        """Answer from `store`; `receiver_url` is where a request is sent again."""
        self._store = store
        self._closing = closing
        self._receiver_url = receiver_url
        self._open_pages: set[Request] = set()

    @property
    def routes(self) -> list[Route]:
        return [
            Route("/api/events", self._events),
            Route("/api/lines", self._lines),
            Route("/api/lines", self._clear, methods=["DELETE"]),
            Route("/api/lines/{number}", self._line),
            Route("/api/undo", self._undo, methods=["POST"]),
            Route("/api/requests", self._requests),
            Route("/api/requests/{number}", self._request),
            Route("/api/requests/{number}/body", self._body),
            Route("/api/requests/{number}/again", self._again, methods=["POST"]),
            Route("/api/summary", self._summary),
        ]

    async def _events(self, request: Request) -> Response:
        seen = request.headers.get("last-event-id") or request.query_params.get("seen", "")
        endless = events(self._store, seen, self._closing)
        return self._endless(request, endless, "text/event-stream")

    def _endless(self, request: Request, texts: AsyncIterator[str], media_type: str) -> Response:
        if len(self._open_pages) >= _MAX_PAGES:
            return PlainTextResponse(f"{_MAX_PAGES} pages are open already.", 503)

        async def counted() -> AsyncIterator[str]:
            self._open_pages.add(request)
            try:
                async for text in texts:
                    yield text
            finally:
                self._open_pages.discard(request)

        return StreamingResponse(counted(), media_type=media_type)

    async def _line(self, request: Request) -> Response:
        number = _number(request)
        line = None if number is None else self._store.details(number)
        return JSONResponse(line, 404 if line is None else 200)

    async def _clear(self, request: Request) -> Response:
        self._store.clear()
        return self._marked()

    async def _undo(self, request: Request) -> Response:
        self._store.undo_clear()
        return self._marked()

    def _marked(self) -> Response:
        mark, can_undo = self._store.mark
        return JSONResponse({"before": mark.number, "undo": can_undo})

    async def _lines(self, request: Request) -> Response:
        try:
            asked = _Asked(request.query_params)
            query = Query(request.query_params.get("q", ""))
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)

        def matching(batches: list[Batch], after: int) -> Iterator[_FoundLine]:
            give_up_at = time.monotonic() + _MAX_SEARCH
            for one in numbered(batches, after):
                if query.matches(one[1]):
                    yield one
                if time.monotonic() > give_up_at:
                    raise ValueError(f"the query takes more than {_MAX_SEARCH:.0f} seconds")

        if asked.follow:
            return self._endless(request, self._follow(matching, asked), asked.media_type)
        try:
            total, found = await self._search(matching, asked)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)

        def answer() -> Response:
            if asked.format != "json":
                return asked.file(_as_text(found, asked.format))
            full = [items.full_line(n, one, of.request, of.arrived) for n, one, of in found]
            return self._answer(asked, total, {"lines": full})

        # In a thread, because many lines take seconds.
        return await run_in_threadpool(answer)

    async def _follow(self, matching: _Search[_FoundLine], asked: _Asked) -> AsyncIterator[str]:
        """Yield the last lines that match, and then all that come, as text."""
        after, limit = asked.after, asked.limit

        def look(batches: list[Batch]) -> str:
            return _as_text(deque(matching(batches, after), limit), asked.format)

        while not self._closing.is_set():
            if not (batches := self._store.kept(after)):
                await asyncio.sleep(POLL_INTERVAL)
                continue
            try:
                yield await run_in_threadpool(look, batches)
            except ValueError:
                return
            after, limit = batches[-1].end.number - 1, _MAX_LINES

    async def _requests(self, request: Request) -> Response:
        try:
            asked = _Asked(request.query_params)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)
        bad, refused = (request.query_params.get(name) == "1" for name in ("violations", "refused"))

        def matching(batches: list[Batch], after: int) -> Iterator[JsonObject]:
            for batch in batches:
                one = batch.summary
                if one is None or batch.request is None or batch.request <= after:
                    continue
                if (not bad or one["violations"]) and (not refused or _is_refused(one)):
                    yield {"n": batch.request, **one}

        total, found = await self._search(matching, asked)
        return self._answer(asked, total, {"requests": list(found)})

    async def _search(self, matching: _Search[_Found], asked: _Asked) -> tuple[int, deque[_Found]]:
        """Return how many match, and the last of them; wait for them if that is asked."""
        found: deque[_Found] = deque(maxlen=asked.limit)

        def look(batches: list[Batch], after: int) -> int:
            count = 0
            for one in matching(batches, after):
                count += 1
                found.append(one)
            return count

        total, after, deadline = 0, asked.after, time.monotonic() + asked.wait
        while True:
            if batches := self._store.kept(after):
                total += await run_in_threadpool(look, batches, after)
                after = batches[-1].end.number - 1
            if total >= asked.count or time.monotonic() >= deadline or self._closing.is_set():
                return total, found
            await asyncio.sleep(POLL_INTERVAL / 2)

    def _answer(self, asked: _Asked, total: int, found: JsonObject) -> Response:
        head = {"run": self._store.run, "next": self._store.end.number, "total": total}
        return JSONResponse(head | found, 404 if asked.wait and total < asked.count else 200)

    async def _request(self, request: Request) -> Response:
        number = _number(request)
        known = None if number is None else self._store.request(number)
        if known is None:
            return JSONResponse(None, 404)
        summary, received, batches = known
        answer: JsonObject = {"n": number, **summary, "body": None}
        if received is not None:
            url = f"{request.url.scheme}://{request.url.netloc}{request.url.path}/body"
            answer |= await run_in_threadpool(dissect, received, batches, url)
        return JSONResponse(answer)

    def _kept(self, request: Request) -> ReceivedRequest | None:
        number = _number(request)
        known = None if number is None else self._store.request(number)
        return known and known[1]

    async def _body(self, request: Request) -> Response:
        received = self._kept(request)
        if received is None:
            return JSONResponse(None, 404)
        return Response(without_token(received), media_type="application/octet-stream")

    async def _again(self, request: Request) -> Response:
        received = self._kept(request)
        if received is None or not received.method or not self._receiver_url():
            return JSONResponse({"error": "the request is no longer kept as it came"}, 404)
        status = await run_in_threadpool(send_again, self._receiver_url(), received)
        return JSONResponse({"status": status})

    async def _summary(self, request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(_summary, self._store))


def _as_text(found: Iterable[_FoundLine], format_: str) -> str:
    if format_ == "text":
        return "".join([as_customers_see(one.line) for _, one, _ in found])
    return "".join([items.as_json(n, one, of.request, of.arrived) + "\n" for n, one, of in found])


def _summary(store: Store) -> JsonObject:
    counts: Counter[str] = Counter()
    streams: dict[str, Counter[str]] = {}
    for batch in store.kept():
        for one in batch.lines:
            of_stream = streams.setdefault(one.stream, Counter())
            of_stream["lines"] += 1
            of_stream["violations"] += len(one.violations)
        if batch.summary is not None:
            counts["requests"] += 1
            counts["refused"] += _is_refused(batch.summary)
            found = batch.summary["violations"]
            counts["violations"] += len(found) if isinstance(found, list) else 0
    in_lines = sum(of_stream["violations"] for of_stream in streams.values())
    return {
        "run": store.run,
        "started": store.started,
        "lines": sum(of_stream["lines"] for of_stream in streams.values()),
        "requests": counts["requests"],
        "refused": counts["refused"],
        "violations": counts["violations"] + in_lines,
        "streams": streams,
        "dropped": difference(Position(), store.dropped),
    }


def _is_refused(summary: JsonObject) -> bool:
    status = summary["status"]
    return not summary["on_purpose"] and isinstance(status, int) and not 200 <= status < 300


class _Asked:
    """The parameters of a search, whose names and defaults `docs/receive.md` has."""

    def __init__(self, given: QueryParams) -> None:
        """Raises ValueError, which names the parameter, for what makes no sense."""
        self.format = given.get("format", "json")
        if self.format not in ("json", "text", "ndjson"):
            raise ValueError("format must be json, text or ndjson")
        self.follow = given.get("follow") == "1"
        if self.follow and self.format == "json":
            raise ValueError("follow needs format=text or format=ndjson")
        self.media_type = "text/plain" if self.format == "text" else "application/x-ndjson"
        self.after = _parameter(given, "after", -1)
        few = self.follow or self.format == "json"
        self.limit = min(_parameter(given, "limit", 100 if few else _MAX_LINES), _MAX_LINES)
        self.count = _parameter(given, "count", 1)
        self.wait = min(float(_parameter(given, "wait", 0)), _MAX_WAIT)
        self._download = given.get("download", "")
        if self._download and not _FILE_NAME.fullmatch(self._download):
            raise ValueError("download must be a file name of letters, digits, dots and dashes")
        if not self.wait:
            self.count = 0

    def file(self, text: str) -> Response:
        disposition = f'attachment; filename="{self._download}"'
        headers = {"Content-Disposition": disposition} if self._download else {}
        return Response(text, media_type=self.media_type, headers=headers)


def _parameter(given: QueryParams, name: str, default: int) -> int:
    text = given.get(name)
    if text is None:
        return default
    if not NUMBER.fullmatch(text):
        raise ValueError(f"{name} must be a whole number")
    return int(text)


def _number(request: Request) -> int | None:
    number = request.path_params["number"]
    return int(number) if NUMBER.fullmatch(number) else None
