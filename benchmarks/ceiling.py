"""Measures how much the sink can accept from a bare socket, with bodies like ours; prints JSON."""

from __future__ import annotations

import json
import logging
import socket
import sys
import time
from urllib.parse import urlsplit

from logplex_handler import KeyValueFormatter

PACKETS = 500  # in a body, the handler's default


def main() -> None:
    url, records = urlsplit(sys.argv[1]), int(sys.argv[2])
    requests = [_request(first) for first in range(0, records, PACKETS)]
    with socket.create_connection(("127.0.0.1", url.port or 0)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        start = time.perf_counter()
        for request in requests:
            connection.sendall(request)
            connection.recv(4096)
        wall = time.perf_counter() - start
    print(json.dumps({"records": len(requests) * PACKETS, "wall": wall}))


def _request(first: int) -> bytes:
    body = b"".join(map(_packet, range(first, first + PACKETS)))
    return (
        b"POST /logs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/logplex-1\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    )


def _packet(i: int) -> bytes:
    record = logging.makeLogRecord(
        {
            "name": "shop.orders",
            "levelname": "INFO",
            "msg": "order %s shipped to %s in %dms",
            "args": (i, "berlin", i % 500),
            "order_id": i,
            "region": "eu",
        }
    )
    text = KeyValueFormatter().format(record)
    packet = f"<190>1 2026-01-01T00:00:00.000000+00:00 machine app case.py - - {text}\n".encode()
    return b"%d %s" % (len(packet), packet)


if __name__ == "__main__":
    main()
