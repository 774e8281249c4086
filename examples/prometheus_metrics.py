"""Send the metrics of a program that uses prometheus_client as lines of metrics.

Sends to LOGPLEX_URL. Without it, prints the lines that your customer would see. Needs the extra
`prometheus`.
"""

from __future__ import annotations

import logging
import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from logplex_handler import LogplexHandler, Metrics
from logplex_handler.prometheus import PrometheusBridge
from logplex_handler.testing import LogplexReceiver

log = logging.getLogger("shop.metrics")

# Without this, metrics are in the library's `REGISTRY`, which is the bridge's default.
registry = CollectorRegistry()
requests = Counter("http_requests", "Requests.", ["method", "status"], registry=registry)
carts = Gauge("carts", "Carts that are open.", registry=registry)
latency = Histogram("latency_seconds", "Time of a request.", registry=registry, buckets=[0.1, 1])


def main() -> None:
    handler = LogplexHandler(procid="web.1")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    metrics = Metrics(log, source="us-east")
    PrometheusBridge(metrics, registry)

    requests.labels("get", 200).inc(17)
    requests.labels("post", 500).inc()
    carts.set(4)
    for seconds in (0.05, 0.06, 0.07, 0.5):
        latency.observe(seconds)

    metrics.close()
    handler.flush()


if __name__ == "__main__":
    if os.environ.get("LOGPLEX_URL"):
        main()
    else:
        with LogplexReceiver() as logplex:
            os.environ["LOGPLEX_URL"] = logplex.url
            main()
        print(*logplex.lines, sep="\n")
