"""Send the metrics of a program that uses OpenTelemetry as lines of metrics.

Sends to LOGPLEX_URL. Without it, prints the lines that your customer would see. Needs the extra
`opentelemetry`.
"""

from __future__ import annotations

import logging
import os

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

from logplex_handler import LogplexHandler
from logplex_handler.opentelemetry import LogplexMetricExporter
from logplex_handler.testing import LogplexReceiver

log = logging.getLogger("shop.metrics")


def main() -> None:
    handler = LogplexHandler(procid="web.1")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    exporter = LogplexMetricExporter(log, source="us-east")
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=60_000)
    provider = MeterProvider([reader])
    meter = provider.get_meter("shop")

    requests = meter.create_counter("http.requests")
    requests.add(17, {"method": "GET", "status": 200})
    meter.create_gauge("carts").set(4)
    latency = meter.create_histogram("latency", unit="ms")
    latency.record(250)

    # Exports the remaining values.
    provider.shutdown()
    handler.flush()


if __name__ == "__main__":
    if os.environ.get("LOGPLEX_URL"):
        main()
    else:
        with LogplexReceiver() as logplex:
            os.environ["LOGPLEX_URL"] = logplex.url
            main()
        print(*logplex.lines, sep="\n")
