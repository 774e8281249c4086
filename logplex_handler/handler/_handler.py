"""The handler as its users see it: its options, and the methods that they call."""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from logplex_handler._process.contexts import in_empty_context
from logplex_handler._process.forks import LiveObjects
from logplex_handler.errors import ConfigurationError
from logplex_handler.handler._emitting_handler import EmittingHandler
from logplex_handler.handler.arguments import Arguments
from logplex_handler.stats import SetAside, Stats

if TYPE_CHECKING:
    from logplex_handler._sender.drop_reports import OnDrop
    from logplex_handler._transport.session import SessionFactory
    from logplex_handler.streams.resolver import Streams
else:
    # `typing.get_type_hints` looks for these names here, and must not import what delivers.
    OnDrop = SessionFactory = Streams = Any

__all__ = ["LogplexHandler"]


class LogplexHandler(EmittingHandler):
    """Sends records to a Logplex log stream, in batches, from a background thread.

    `logging` calls it like any other handler: attach it to the root logger or to other loggers, in
    code, with `dictConfig` or with `fileConfig`. Without a formatter, it writes the lines of
    `KeyValueFormatter`; the text of any other formatter is sent with its control characters made
    visible. The `format` argument of `basicConfig` applies only to handlers without a formatter, so
    it has no effect here.

    The calling thread extracts the values that a record's line needs, and queues them; it never
    waits for the network, and no exception of the handler reaches it. Records that cannot be
    delivered are tried again until the memory for them is full. Dropped records are counted in
    `stats`, reported in the stream itself as soon as it takes lines again, and reported on stderr.

    Args:
        url: The URL of the stream: `https://USER:TOKEN@HOST[:PORT][/PATH]`; the default path is
            `/logs`. Default: the environment variable `LOGPLEX_URL`, with `LOGPLEX_TOKEN` if the
            URL carries no credentials. Without any URL, the handler is inactive: it counts records
            as dropped.
        level: The lowest level that is handled. Default: all records are handled.
        hostname: The hostname in each packet: the id of the app that the stream belongs to (in
            Heroku's format of 2024), or the name of your service (2013). Default:
            `LOGPLEX_HOSTNAME`, else `HEROKU_APP_ID`, else the machine's name.
        appname: The appname in each packet. Default: `LOGPLEX_APPNAME`, else `app`.
        procid: The name of this process; `heroku logs` shows it as `app[procid]`. Default:
            `LOGPLEX_PROCID`, else `DYNO`, else the program's name. These three fields are written
            in lower case, with `-` in place of characters other than `[a-z0-9.-]`.
        facility: The name of the syslog facility. Default: `local7`.
        token_as_appname: Whether the token is the appname, as in Heroku's format of 2013.
            Default: False.
        structured_data: Whether packets carry the `-` for "no structured data". Logplex shows
            nothing without it; switch it off only for the receiver of a drain that would show it.
            Default: True.
        user_agent: The name that identifies your add-on to Heroku, such as
            `MyAddon (https://elements.heroku.com/addons/my-addon)`; the library's name follows it.
            Default: `LOGPLEX_USER_AGENT`, else the library's name alone.
        headers: Additional headers of every request, such as a drain token. Default: none.
        timeout: Seconds to wait for a connection, and for each read of the answer. Each of
            several addresses of a name gets a share. A request is given up after four times as many
            seconds. Default: 5.
        compress: Whether bodies are compressed with gzip. Default: False.
        session_factory: A callable without arguments that returns a `requests.Session` with your
            proxies, CA or adapters. It is called in the worker thread, and again in a forked child.
            Certificates are always verified, whatever the session's `verify` says. The time limit
            for a whole request does not apply to adapters of your own classes, only the timeout of
            each read does. Default: an ordinary session, which takes proxies and CA from the
            environment.
        allow_http: Whether `http://` URLs may lead to other machines, which sends the token
            unencrypted. Default: False.
        batch_size: The number of packets that makes a batch due. For a quarter of a second after a
            request, a batch waits for ten times as many, since they cost less together; but no
            longer than `flush_interval`, and not where memory may not suffice. Default: 500.
        max_batch_bytes: The largest body of a request in bytes, before compression; up to
            8,000,000. Default: 1 MiB.
        flush_interval: Seconds after which a batch is due, however small. Default: 0.5.
        max_buffer_bytes: Bytes of memory that waiting records may use. Default: 16 MiB.
        max_packet_bytes: The longest packet in bytes, from 2,048 to 10,240. A longer line is sent
            in several packets, each of which is a key=value line by itself; the text of another
            formatter is cut between characters. Default: 10,000.
        on_full: What happens when the buffer is full: `drop_oldest` (the default), `drop_newest`,
            or `block`, with which the caller waits up to `shutdown_timeout` for room before the new
            record is dropped.
        shutdown_timeout: Seconds that flushing and closing at shutdown may take together.
            Default: 5.
        required: Whether a missing URL is an error. Default: False, which makes the handler
            inactive.
        on_drop: A function that is called as `on_drop(records, cause)` after records were dropped,
            with one of the causes in `Stats.dropped`. It is called in the thread that delivers or
            closes, and may log. It should return soon, because closing waits for it as long as it
            takes. It is not called for records that reach an inactive or a closed handler. Default:
            none.
        streams: Finds the URLs of other streams, for records that name one by
            `extra={"logplex_stream": ID}` or `use_stream`: a mapping of ids to URLs, a callable
            that returns the URL for an id, or an object with `url_for(ID)` and optionally
            `refresh(ID, REFUSED_URL)` for a URL that a receiver has refused. A `Destination` in
            place of a URL may carry a hostname for its stream. The calls are rare and may take
            their time; they are made in threads of the handler (at the end of the interpreter, when
            no thread can be started, in the thread that closes the handler). None, or a KeyError
            from `url_for`, means that there is no such stream (any more). Any other error means
            that the stream is to be looked up again later (`LookupFailed` can say when).
            `logplex_handler.heroku` has implementations for Heroku's own APIs. Default: no other
            streams.
        workers: The number of concurrent requests if there are `streams`; as many more may go to
            hosts that do not answer, and as many look-ups may run. Default: 4.
        health_interval: Seconds between two lines of metrics about the handler itself, from its
            first record on: `sample#logplex_handler.delivered=119` and the other fields of `Stats`,
            each as the change since the previous line, with `.request_time` (the mean, in ms), and
            with `.pending`, `.lag` (in s) and `.buffer_fill` (from 0 to 1) as they are at the
            moment. They go to the handler's own URL. Default: no such lines.
        spool: The path of a file that keeps records until they are delivered, so that a crash, a
            restart or an outage that outlasts the buffer loses nothing. Several processes may share
            it; the next process delivers what a dead one has left (`docs/spool.md`). It keeps the
            handler's own stream, and streams whose id is a string or a 64-bit integer. Default:
            `LOGPLEX_SPOOL`, else there is no spool.
        max_spool_bytes: The largest size of the spool in bytes. When it is full,
            `max_buffer_bytes` and `on_full` apply to further records. Default: 256 MiB.
        spool_interval: Seconds after which waiting records are written to the spool; a crash loses
            the records that were logged since. Default: 0.1.
        relay: The URL of a Redis or Valkey, `rediss://:PASSWORD@HOST:PORT`, or the URLs of several,
            to which streams are written instead of to receivers; `logplex-handler ship` delivers
            them from there (`docs/relay.md`). `streams` is then not used, and `url`, if there is
            one, has the records that name no stream. A stream's id must be a string or a 64-bit
            integer. It needs `pip install 'logplex-handler[relay]'`. Default: `LOGPLEX_RELAY`
            (several with commas between them), else there is no relay. `LOGPLEX_RELAY_CA` is the
            path of a file with the certificates that sign the server's,
            `LOGPLEX_RELAY_SHARDS` the number of shards if that is not 64, and
            `LOGPLEX_RELAY_REPLICAS` how many replicas must have a line before it counts as stored
            (none, if it is not set).

    Raises:
        ConfigurationError: (a ValueError) An option cannot be used. The text names the option, and
            shows no URL, token or header.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        level: int | str = logging.NOTSET,
        hostname: str | None = None,
        appname: str | None = None,
        procid: str | None = None,
        facility: str = "local7",
        token_as_appname: bool = False,
        structured_data: bool = True,
        user_agent: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 5.0,
        compress: bool = False,
        session_factory: SessionFactory | None = None,
        allow_http: bool = False,
        batch_size: int = 500,
        max_batch_bytes: int = 1024 * 1024,
        flush_interval: float = 0.5,
        max_buffer_bytes: int = 16 * 1024 * 1024,
        max_packet_bytes: int = 10_000,
        on_full: Literal["drop_oldest", "drop_newest", "block"] = "drop_oldest",
        shutdown_timeout: float = 5.0,
        required: bool = False,
        on_drop: OnDrop | None = None,
        streams: Streams | None = None,
        workers: int = 4,
        health_interval: float | None = None,
        spool: str | os.PathLike[str] | None = None,
        max_spool_bytes: int = 256 * 1024 * 1024,
        spool_interval: float = 0.1,
        relay: str | Sequence[str] | None = None,
    ) -> None:
        given = Arguments(
            url=url,
            level=level,
            hostname=hostname,
            appname=appname,
            procid=procid,
            facility=facility,
            token_as_appname=token_as_appname,
            structured_data=structured_data,
            user_agent=user_agent,
            headers=headers,
            timeout=timeout,
            compress=compress,
            session_factory=session_factory,
            allow_http=allow_http,
            batch_size=batch_size,
            max_batch_bytes=max_batch_bytes,
            flush_interval=flush_interval,
            max_buffer_bytes=max_buffer_bytes,
            max_packet_bytes=max_packet_bytes,
            on_full=on_full,
            shutdown_timeout=shutdown_timeout,
            required=required,
            on_drop=on_drop,
            streams=streams,
            workers=workers,
            health_interval=health_interval,
            spool=spool,
            max_spool_bytes=max_spool_bytes,
            spool_interval=spool_interval,
            relay=relay,
        )
        problem = ""
        try:
            # Imported here, and not in a thread: the first handler imports the modules that
            # deliver, and the HTTP libraries, which takes long.
            from logplex_handler.handler.options import resolve_for_process

            super().__init__(resolve_for_process(given))
        except ConfigurationError as error:
            problem = str(error)
        except ImportError as error:
            problem = f"this Python cannot deliver: {error}"
        except Exception as error:
            # An argument of an application class has raised it.
            problem = f"an argument raised an error when it was read: {type(error).__name__}"
        except BaseException as error:
            # A signal handler may have raised it.
            traceback.clear_frames(error.__traceback__)
            del given, url, headers, streams, relay
            raise
        if problem:
            # Raised here, so that no frame of the traceback holds the URL or a header.
            del given, url, headers, streams, relay
            raise ConfigurationError(problem)
        all_handlers.add(self)

    # `logging` ignores the value that `flush` returns.
    def flush(self, timeout: float | None = None) -> bool:  # type: ignore[override]
        """Wait until all records accepted before the call are delivered, or dropped and reported.

        Args:
            timeout: The longest wait in seconds. Default: `shutdown_timeout`.

        Returns:
            True if they are. False also if a receiver has asked for a longer wait; the call then
            returns as soon as the records for other receivers are delivered.
        """
        # The application's functions see the same context whichever thread calls them.
        return in_empty_context(self._current_pipeline().flush, timeout)

    def close(self) -> None:
        """Deliver the waiting records, for at most `shutdown_timeout` seconds, and stop.

        The time that a `flush` just before has taken counts, too. Records that are left then stay
        in the spool, or are dropped without a spool; either is reported on stderr. Later calls do
        nothing; later records are counted as dropped (`closed`).

        `dictConfig` and `basicConfig(force=True)` call this method with the lock of the logging
        module, which other threads need. It then waits for at most a second, as does `flush` there,
        and a thread does the rest.
        """
        super().close()
        in_empty_context(self._current_pipeline().close)

    def stats(self, stream: Hashable = None) -> Stats:
        """Return what has happened to every record so far, in this process.

        Args:
            stream: The id of a stream, to count its records alone; the counts of an unknown stream
                are zero. Default: all streams together.
        """
        pipeline = self._current_pipeline()
        stats = pipeline.stats() if stream is None else pipeline.stats_of(stream)
        # The caller's own, which it may change.
        return replace(stats, dropped=dict(stats.dropped))

    def set_aside(self) -> tuple[SetAside, ...]:
        """Return the streams that receive nothing at the moment, with the reason and the time.

        The URL of such a stream was refused, or its look-up fails; its lines are kept meanwhile.
        """
        return self._current_pipeline().set_aside()

    def __repr__(self) -> str:
        if not (hasattr(self, "_pipeline") and hasattr(self, "level")):
            return "<LogplexHandler that could not be made>"
        destination = self._options.destination
        where = "inactive" if destination is None else destination.shown
        options = self._options
        others = "streams" if options.lookup is not None else "relay" if options.relay else ""
        if others:
            where = others if destination is None else f"{where} and {others}"
        return f"<LogplexHandler {where} ({logging.getLevelName(self.level)})>"


# Every handler of this process that is still in use.
all_handlers: LiveObjects[LogplexHandler] = LiveObjects()
