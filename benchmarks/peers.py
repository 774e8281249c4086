"""Other handlers, with their defaults as far as these can send to loopback.

Each is a function that imports what it needs. Peers that are not installed are left out.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from urllib.parse import urlsplit

from subjects import Subject

# Seconds that a peer may take to deliver its waiting records.
PATIENCE = 300


def logstash(url: str) -> Subject:
    """python-logstash-async over HTTP (its default is TCP), with its queue in memory."""
    from logstash_async.handler import AsynchronousLogstashHandler

    handler = AsynchronousLogstashHandler(
        urlsplit(url).hostname,
        urlsplit(url).port,
        database_path=None,
        transport="logstash_async.transport.HttpTransport",
    )
    # close() waits for the thread, which first delivers all records.
    return Subject(handler, handler.close)


def opentelemetry(url: str) -> Subject:
    """OpenTelemetry's SDK with the OTLP exporter over HTTP and the batch processor."""
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    provider = LoggerProvider()
    exporter = OTLPLogExporter(endpoint=_without_credentials(url))
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))

    def finish() -> None:
        provider.force_flush(PATIENCE * 1000)
        provider.shutdown()

    return Subject(LoggingHandler(logger_provider=provider), finish)


def logtail(url: str) -> Subject:
    """Better Stack's handler."""
    from logtail import LogtailHandler

    handler = LogtailHandler("token", host=_without_credentials(url), flush_timeout=PATIENCE)
    return Subject(handler, handler.flush)


def watchtower(url: str) -> Subject:
    """CloudWatch's handler, with the sink in place of CloudWatch."""
    import boto3
    from watchtower import CloudWatchLogHandler

    client = boto3.client(
        "logs",
        endpoint_url=_without_credentials(url),
        region_name="eu-central-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",
    )
    handler = CloudWatchLogHandler(boto3_client=client)
    return Subject(handler, handler.close)


def log_shuttle(url: str) -> Subject:
    """Plain lines to a pipe, which log-shuttle (Go) reads and delivers, as Heroku advises."""
    shuttle = subprocess.Popen(
        ["log-shuttle", f"-logs-url={url}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert shuttle.stdin is not None
    handler = logging.StreamHandler(shuttle.stdin)

    def finish() -> None:
        shuttle.communicate(timeout=PATIENCE)

    return Subject(handler, finish)


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port}{parts.path}"


@dataclass(frozen=True)
class Peer:
    """A peer and the distributions that it needs; a program on PATH needs none."""

    make: Callable[[str], Subject]
    distributions: tuple[str, ...]


PEERS = {
    "logstash-async": Peer(logstash, ("python-logstash-async",)),
    "opentelemetry": Peer(
        opentelemetry, ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")
    ),
    "logtail": Peer(logtail, ("logtail-python",)),
    "watchtower": Peer(watchtower, ("watchtower",)),
    "log-shuttle": Peer(log_shuttle, ()),
}


def installed() -> dict[str, str]:
    """The peers that are installed, with their versions."""
    found = {name: _version(name) for name in PEERS}
    return {name: version for name, version in found.items() if version is not None}


def missing() -> list[str]:
    """The peers that are not installed."""
    return [name for name in PEERS if _version(name) is None]


def _version(name: str) -> str | None:
    distributions = PEERS[name].distributions
    if not distributions:
        return "" if shutil.which(name) else None
    try:
        first, *_ = [metadata.version(distribution) for distribution in distributions]
    except metadata.PackageNotFoundError:
        return None
    return first
