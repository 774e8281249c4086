"""The page's stream of server-sent events. `docs/receive.md` describes them."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator

from logplex_handler.receiver._items import JsonObject
from logplex_handler.receiver.store import News, Position, Store, difference

# Seconds between checks for new items.
POLL_INTERVAL = 0.1
# Seconds without an item after which a keep-alive comment is sent.
_KEEP_ALIVE_INTERVAL = 10.0
# If there are no more items and bytes, they stand in the page itself; of more, so many last lines,
# enough for a large screen.
_FEW_ITEMS = 1_000
_FEW_BYTES = 256 * 1024
_LATEST_LINES = 200
# A number in the identity of a message, in a path or in a query.
NUMBER = re.compile("[0-9]{1,15}")


async def events(store: Store, last_event_id: str, closing: threading.Event) -> AsyncIterator[str]:
    """Yield server-sent events with new items, until the server closes."""
    yield _event("run", {"run": store.run, "started": store.started, "keep": store.keep})
    # A page that comes back goes on where it was, unless there was a clearing meanwhile.
    position, mark = _last_seen(last_event_id, store.run) or (Position(), -1)
    told = None
    idle = 0.0
    while not closing.is_set():
        if told != (told := store.mark):
            begin, can_undo = told
            has_moved = begin.number != mark
            forget = has_moved and mark >= 0
            mark = begin.number
            if has_moved:
                position = begin
            behind = store.end.number - max(position, store.dropped).number
            yield _event(
                "mark", {"before": mark, "undo": can_undo, "forget": forget, "behind": behind}
            )
        news = store.since(position)
        if news.batches:
            text = _message(store, position, news)
            position = news.end
            yield f"id: {_identity(store, position, mark)}\ndata: {text}\n\n"
            idle = 0.0
            continue
        await asyncio.sleep(POLL_INTERVAL)
        idle += POLL_INTERVAL
        if idle >= _KEEP_ALIVE_INTERVAL:
            idle = 0.0
            yield ": alive\n\n"


def first_items(store: Store) -> str:
    """Return JSON for the page itself: a first message with its identity, or the last lines."""
    begin, _ = store.mark
    news = store.since(begin, _FEW_ITEMS)
    if news.behind or sum(batch.size for batch in news.batches) > _FEW_BYTES:
        return f'{{"run":"{store.run}","lines":[{store.latest(_LATEST_LINES)}]}}'
    identity = _identity(store, news.end, begin.number)
    return f'{{"run":"{store.run}","id":"{identity}","message":{_message(store, begin, news)}}}'


def _message(store: Store, position: Position, news: News) -> str:
    head = json.dumps(
        {
            "missed": difference(position, news.start),
            "dropped": difference(Position(), store.dropped),
            "next": news.end.number,
            "behind": news.behind,
        }
    )
    text = ",".join([batch.text for batch in news.batches])
    return f'{head[:-1]}, "items":[{text}]}}'


def _identity(store: Store, position: Position, mark: int) -> str:
    return ":".join(map(str, (store.run, *position, mark)))


def _event(name: str, data: JsonObject) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


def _last_seen(last_event_id: str, run: str) -> tuple[Position, int] | None:
    """Return where a reconnecting page was, and its mark: the identity of its last message."""
    page_run, *numbers = last_event_id.split(":")
    if page_run != run or len(numbers) != 4 or not all(map(NUMBER.fullmatch, numbers)):
        return None
    *position, mark = map(int, numbers)
    return Position(*position), mark
