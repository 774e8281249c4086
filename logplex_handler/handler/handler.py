"""The front door: a logging handler that delivers what it is given to an app's log stream."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
from collections.abc import Hashable, Mapping
from contextvars import ContextVar
from typing import Literal

from logplex_handler._formatting.codec import Codec
from logplex_handler._formatting.formatter import KeyValueFormatter
from logplex_handler._process.diagnostics import Diagnostics
from logplex_handler._process.library_loggers import LIBRARIES
from logplex_handler._process.live_objects import LiveObjects
from logplex_handler._process.reentrancy import Activity, current_activity
from logplex_handler._sender.drop_notices import OnDrop
from logplex_handler._transport.session import SessionFactory
from logplex_handler._wire.destination import Destination
from logplex_handler.errors import ConfigurationError
from logplex_handler.handler import options
from logplex_handler.handler.inactive import Inactive
from logplex_handler.handler.pipeline import Active, Pipeline
from logplex_handler.stats import SetAside, Stats
from logplex_handler.streams.current import ever_used, stream_of
from logplex_handler.streams.resolver import Streams

__all__ = ["LogplexHandler"]

# Every handler of this process that is still in use.
all_handlers: LiveObjects[LogplexHandler] = LiveObjects()
# Whether `handleError` is at work, in this thread or greenlet.
_reporting: ContextVar[bool] = ContextVar("logplex_handler_reporting", default=False)


class LogplexHandler(logging.Handler):
    """Sends records to a Logplex log stream, in batches, from a thread of its own.

    `logging` calls it like any other handler: attach it to the root logger or to loggers that
    exist already, from code, `dictConfig` or `fileConfig`. Without a formatter it writes the lines
    of `KeyValueFormatter`; the text of any other formatter is made safe and sent as it is. The
    `format` of `basicConfig` is for handlers without a formatter, so not for this one.

    What a line needs is taken out of a record in the calling thread, and queued; that thread never
    waits for the network and never sees an exception of this handler. What cannot be delivered is
    tried again until memory for it runs out. What is dropped is counted in `stats`, told in the
    stream itself once it takes lines again, and said on stderr.

    Args:
        url: Where to send to: `https://USER:TOKEN@HOST[:PORT][/PATH]`, without a path `/logs`.
            Default: the environment's `LOGPLEX_URL`, with `LOGPLEX_TOKEN` if the URL carries no
            credentials. Without any, the handler is inactive: it counts records as dropped.
        level: Records below it are not handled. Default: all are.
        hostname: The packet's hostname: the id of the app that the stream belongs to (Heroku's
            form of 2024), or the name of your service (2013). Default: `LOGPLEX_HOSTNAME`, else
            `HEROKU_APP_ID`, else the machine's name.
        appname: The packet's appname. Default: `LOGPLEX_APPNAME`, else `app`.
        procid: Which process this is; `heroku logs` shows it as `app[procid]`. Default:
            `LOGPLEX_PROCID`, else `DYNO`, else the program's name. These three fields are written
            in lower case, and what is not `[a-z0-9.-]` as `-`.
        facility: The syslog facility, by name. Default: `local7`.
        token_as_appname: Write the token as appname, as in Heroku's form of 2013. Default: False.
        structured_data: Write the `-` for "no structured data", without which Logplex shows
            nothing. Switch it off only to send to a drain's receiver that shows it. Default: True.
        user_agent: What identifies your add-on to Heroku, such as
            `MyAddon (https://elements.heroku.com/addons/my-addon)`; the library's name follows it.
            Default: `LOGPLEX_USER_AGENT`, else the library's name alone.
        headers: More headers for every request, such as a drain token. Default: none.
        timeout: Seconds for connecting, and for each read of the answer; a request is given up
            after four times as many. Default: 5.
        compress: Send every body gzipped. Default: False.
        session_factory: Called without arguments, in the delivering thread and again in a forked
            child, for a `requests.Session` with proxies, a CA or adapters of yours. Certificates
            are verified whatever its `verify` says. An adapter of a class of yours is not given
            up as a whole, only read by read. Default: an ordinary session, which takes proxies
            and CA from the environment.
        allow_http: Let `http://` go beyond this machine, the token in the clear. Default: False.
        batch_size: Packets that make a batch due. For a quarter of a second after a request it
            waits for ten times as many, as they cost less together; not beyond `flush_interval`,
            nor where there may be no room for them. Default: 500.
        max_batch_bytes: Bytes of one request's body before compression, up to 8,000,000.
            Default: 1 MiB.
        flush_interval: Seconds after which a batch is due, however small. Default: 0.5.
        max_buffer_bytes: Bytes of memory that waiting records may hold. Default: 16 MiB.
        max_packet_bytes: Bytes of one packet, from 2,048 to 10,240; a longer message goes in
            several, cut between characters. Default: 10,000.
        on_full: What a full buffer does: `drop_oldest` (the default), `drop_newest`, or `block`, by
            which the caller waits for room for up to `shutdown_timeout`, then drops the new record.
        shutdown_timeout: Seconds that flushing and closing at shutdown may take together.
            Default: 5.
        required: Be an error rather than inactive where no URL is set. Default: False.
        on_drop: Called as `on_drop(records, cause)` after records were dropped, with one of the
            causes of `Stats.dropped`, in the thread that delivers or closes; it may log. Not
            called for records that an inactive or closed handler is given. Default: none.
        streams: Where streams beside the handler's own go, for records that name one by
            `extra={"logplex_stream": ID}` or `use_stream`: a mapping of ids to URLs, a callable
            that returns one, or an object with `url_for(ID)` and, if you like,
            `refresh(ID, REJECTED_URL)` for a URL that was refused. A `Destination` in place of a
            URL may carry the stream's own hostname. They are called in threads of the handler's
            (at the end of the interpreter, where none is to be had, in the one that closes),
            seldom, and may take their time. None (or a KeyError of `url_for`) says that there is
            no such stream (any more); an error, that they are to be asked again (`LookupFailed`
            can say when). `logplex_handler.heroku` has some for Heroku's own APIs. Default: there
            is none beside the handler's own.
        workers: Requests under way at a time, where there are `streams`; as many more to hosts
            that do not answer, and as many look-ups. Default: 4.
        health_interval: Seconds between two lines of metrics on the handler itself in its stream,
            from its first record on: `sample#logplex_handler.delivered=119` and what else is in
            `Stats`, each since the last line, with `.request_time` (the mean, ms), `.pending` and
            `.buffer_fill` (from 0 to 1). It goes to the handler's own URL. Default: no such lines.
        spool: The path of a file that what is not delivered yet is kept in, so that a crash, a
            restart or an outage longer than the buffer holds loses nothing. Several processes may
            share it; the next one delivers what a dead one has left (`docs/spool.md`). Only
            streams whose id is a string or an integer of 64 bits are kept there, and the handler's
            own. Default: the environment's `LOGPLEX_SPOOL`, else there is none.
        max_spool_bytes: How large the spool may be. When it is full, `max_buffer_bytes` and
            `on_full` hold for what comes. Default: 256 MiB.
        spool_interval: Seconds after which what waits in memory is written to the spool; a crash
            loses what was logged since. Default: 0.1.

    Raises:
        ConfigurationError: (a ValueError) An option cannot be used. The text names it, and shows no
            URL, token or header.
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
    ) -> None:
        # The first statement, so these are the arguments and nothing else.
        given = {name: value for name, value in locals().items() if name != "self"}
        problem = ""
        try:
            self._options = options.resolve(
                given,
                os.environ,
                machine=socket.gethostname(),
                program=str(sys.argv[0]) if sys.argv else "",
            )
        except ConfigurationError as error:
            problem = str(error)
        else:
            try:
                super().__init__(level)
            except ValueError:
                problem = "level: is not a level that logging knows"
        if problem:
            # From here, so that no frame of the traceback holds the URL or a header.
            del given, url, headers, streams
            raise ConfigurationError(problem)
        # Here from the start: `basicConfig` gives its own to a handler that has none.
        self.formatter = KeyValueFormatter(source=self._options.source)
        self._codec = Codec(
            self._options.packet,
            self.formatter,
            # A class that has an `emit` of its own is to get every record there.
            compile_call_sites=type(self).emit is LogplexHandler.emit,
            token_as_appname=self._options.token_as_appname,
        )
        self._has_streams = self._options.lookup is not None
        # Whether a record may be for another stream than the handler's own; what is in the list may
        # change at any time.
        self._may_choose = [True] if self._has_streams else ever_used
        self._diagnostics = Diagnostics()
        self._pipeline = self._new_pipeline()
        # By process id, for forked children.
        self._renewed: dict[int, Pipeline] = {}
        all_handlers.add(self)
        if not self._is_active:
            self._diagnostics.warn("inactive", "inactive: neither url nor LOGPLEX_URL is set")

    @property
    def _is_active(self) -> bool:
        return self._options.destination is not None or self._options.lookup is not None

    def _new_pipeline(self) -> Pipeline:
        if not self._is_active:
            return Inactive(self._options)
        return Active(
            self._options,
            weigh=self._codec.weigh,
            render=self._codec.render,
            readdress=self._codec.readdress,
            notice=lambda dropped, to: self._codec.drop_notice(dropped, self.formatter, to),
            health=self._health_lines,
            diagnostics=self._diagnostics,
        )

    def _health_lines(self, pairs: Mapping[str, str], destination: Destination) -> list[bytes]:
        return self._codec.health_lines(pairs, self.formatter, destination)

    def _renew(self) -> None:
        """For a forked child: nothing is queued or counted, and nobody holds a lock.

        What the parent had not delivered yet is the parent's to deliver. This happens at the first
        use in the child rather than right after the fork, since the program may first change what
        threads and locks are: gunicorn has gevent do so in each worker.
        """
        was_closed = self._is_active and not self._pipeline.takes_entries
        renewed = self._new_pipeline()
        if was_closed:
            renewed.close()
        # Several threads may come here; the first one's holds.
        self._pipeline = self._renewed.setdefault(os.getpid(), renewed)

    def _current(self) -> Pipeline:
        if not self._pipeline.here[0]:
            self._renew()
        return self._pipeline

    def handle(self, record: logging.LogRecord) -> bool:
        """Filter and emit, without the handler's lock, which the pipeline has no need of.

        `logging.shutdown` holds that lock while it waits for `flush`.
        """
        if self.filters:
            passed = self.filter(record)
            if not passed:
                return False
            if isinstance(passed, logging.LogRecord):
                record = passed
        try:
            # What nearly every record takes, in as few steps as can be (`docs/performance.md`).
            pipeline = self._pipeline
            if pipeline.here[0] and current_activity.get() is None:
                entry = self._codec.call_sites.light_entry(record, self.formatter)
                if entry is not None:
                    chosen = self._may_choose[0]
                    intake = pipeline.intake(stream_of(record)) if chosen else pipeline.own
                    if intake.append(entry):
                        intake.wake()
                    return True
        except Exception as error:
            self._say_internal(error)
            return True
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record, formatted if what it holds may change; no exception comes out of it."""
        try:
            # What the package makes others log must not cause another delivery: what the HTTP
            # libraries say of a request is left out, and all else goes with the next batch.
            doing = current_activity.get()
            if doing is Activity.REQUEST and record.name.partition(".")[0] in LIBRARIES:
                return
            pipeline = self._current()
            if not pipeline.takes_entries:
                pipeline.own.count_rejected()
                return
            intake = pipeline.intake(stream_of(record))
            if not intake.takes_entries:
                intake.count_rejected()
                return
            try:
                entry, is_light = self._codec.entry(record, self.formatter)
            except Exception:
                intake.drop("format_error")
                self.handleError(record)
                return
            if not is_light or doing is not None:
                intake.put(entry, never_wakes=doing is not None)
            elif intake.append(entry):
                intake.wake()
        except Exception as error:
            self._say_internal(error)

    def _say_internal(self, error: Exception) -> None:
        self._diagnostics.warn("internal", f"internal error: {type(error).__name__}")

    def handleError(self, record: logging.LogRecord) -> None:
        """As in `logging`, but a stderr that is closed, or is a logger, is no reason to fail."""
        if _reporting.get():
            # Writing to stderr has logged, and that has failed as well.
            return
        token = _reporting.set(True)
        try:
            with contextlib.suppress(Exception):
                super().handleError(record)
        finally:
            _reporting.reset(token)

    # logging ignores what `flush` returns.
    def flush(self, timeout: float | None = None) -> bool:  # type: ignore[override]
        """Wait until what was accepted before the call is delivered, or dropped and told.

        Args:
            timeout: Seconds to wait at most. Default: `shutdown_timeout`.

        Returns:
            Whether it is. False also where a receiver has asked for a longer wait, as soon as what
            goes to others is delivered.
        """
        return self._current().flush(timeout)

    def close(self) -> None:
        """Deliver what is left, for at most `shutdown_timeout` seconds, and stop.

        A `flush` just before has used that time already. What is left then stays in the spool, or
        is dropped without one; both is said on stderr. Later calls do nothing; later records are
        counted as dropped (`closed`).
        """
        super().close()
        self._current().close()

    def stats(self, stream: Hashable = None) -> Stats:
        """What has happened to every record so far, in this process.

        Args:
            stream: The id of a stream, for its records alone; what is not known is all zero.
                Default: those of all streams together.
        """
        pipeline = self._current()
        return pipeline.stats() if stream is None else pipeline.stats_of(stream)

    def set_aside(self) -> tuple[SetAside, ...]:
        """The streams that are not written to just now, with why and since when.

        Their URL was refused, or its look-up fails; their lines are kept meanwhile.
        """
        return self._current().set_aside()

    def __repr__(self) -> str:
        if not hasattr(self, "_pipeline"):
            return "<LogplexHandler that could not be made>"
        destination = self._options.destination
        where = "inactive" if destination is None else destination.shown
        if self._has_streams:
            where = "streams" if destination is None else f"{where} and streams"
        return f"<LogplexHandler {where} ({logging.getLevelName(self.level)})>"
