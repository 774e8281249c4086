"""Options that raise, or are not what they seem: one clear error, no secret, nothing half made."""

from __future__ import annotations

import contextlib
import enum
import logging
import logging.config
import traceback
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

import pytest

from logplex_handler import ConfigurationError, LogplexHandler
from logplex_handler.handler import _handler, options
from logplex_handler.handler.relay_options import relay_options
from tests.logs import own_logger
from tests.servers import accept, serving

SECRET = "hidden-0123456789"
URL = f"https://token:{SECRET}@127.0.0.1:9/logs"


class Headers(Mapping[str, str]):
    """Fails as it is read; its frame holds the secret."""

    def __init__(self, error):
        self._error = error

    def __getitem__(self, name):
        value = SECRET
        raise self._error(value)

    def __iter__(self):
        return iter(["X-Secret"])

    def __len__(self):
        return 1


class Path:
    def __fspath__(self):
        value = SECRET
        raise RuntimeError(value)


def shown(error):
    """What an error reporter shows of an exception: its text, its causes, and all variables."""
    whole = traceback.TracebackException.from_exception(error, capture_locals=True)
    # The frames of this module are the application's own.
    for frame in list(whole.stack):
        if frame.filename == __file__:
            whole.stack.remove(frame)
    return "".join(whole.format())


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"headers": Headers(RuntimeError)}, "headers: cannot be read: RuntimeError"),
        ({"headers": Headers(ConfigurationError)}, "headers: cannot be read: ConfigurationError"),
        ({"spool": Path()}, "spool: has no path: RuntimeError"),
        ({"headers": {"X-Secret": f"{SECRET}\n"}}, "headers: the value of X-Secret"),
        ({"level": "NONSENSE"}, "level: is not a level that logging knows"),
        ({"timeout": float("nan")}, "timeout: must be"),
    ],
    ids=lambda one: None if isinstance(one, str) else next(iter(one)),
)
def test_an_option_that_fails_is_a_configuration_error_without_a_secret(given, text):
    with pytest.raises(ConfigurationError, match=f"^{text}") as caught:
        LogplexHandler(URL, **given)
    assert SECRET not in shown(caught.value)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interruption_leaves_no_secret_in_a_frame(error, monkeypatch):
    """It passes on as it is; a signal may strike at any moment."""

    def interrupted(*args, **kwargs):
        raise error

    for place in ("headers", "_limits", "PacketForm"):
        with monkeypatch.context() as patch:
            patch.setattr(options, place, interrupted)
            with pytest.raises(error) as caught:
                LogplexHandler(URL, headers={"X-Secret": SECRET})
            assert SECRET not in shown(caught.value)


@pytest.mark.parametrize("given", [{"level": "NONSENSE"}, {"headers": Headers(OSError)}])
def test_a_handler_that_could_not_be_made_is_no_trouble_at_exit(given):
    """`logging.shutdown` flushes all handlers that it has been told of."""
    before = len(logging._handlerList)
    with pytest.raises(ConfigurationError) as caught:
        LogplexHandler(URL, **given)
    # The exception keeps the object alive.
    assert caught.value.__traceback__ is not None
    assert len(logging._handlerList) == before
    logging.shutdown(logging._handlerList[before:])


def test_a_subclass_that_fails_after_the_handler_is_made_leaves_a_handler_that_works():
    class Half(LogplexHandler):
        def __init__(self, url):
            super().__init__(url)
            made.append(self)
            raise RuntimeError

    made = []
    with pytest.raises(RuntimeError):
        Half(URL)
    assert made[0].flush(1)
    made[0].close()


def test_whatever_an_option_is_there_is_a_handler_or_one_kind_of_error():
    """Of the wrong type, or with methods that raise."""

    class Hostile:
        def __getattr__(self, name):
            raise RuntimeError(name)

        def __eq__(self, other):
            raise RuntimeError

        __hash__ = None

        def __bool__(self):
            raise RuntimeError

        __repr__ = __str__ = __bool__

    names = _handler.Arguments.__annotations__
    for name in names:
        for value in (Hostile(), [], {}, object(), b"\xff", -1, 10**400, float("inf"), "\ud800"):
            with contextlib.suppress(ConfigurationError):
                LogplexHandler(**{"url": URL, name: value}).close()


SETTINGS = type(
    "Settings",
    (),
    {"TOKEN": "drain-token", "OMIT": "data", "RELEASE": "v7", "RELAY": "redis://127.0.0.1:1"},
)


def test_dict_config_resolves_references_within_options():
    """`ext://` and `cfg://`, in mappings and in lists, as it does for the options themselves."""
    with serving(accept) as server, own_logger() as logger:
        logging.config.dictConfig(
            {
                "version": 1,
                "disable_existing_loggers": False,
                "secrets": {"url": server.url, "other": "cfg-token"},
                "formatters": {
                    "kv": {
                        "()": "logplex_handler.KeyValueFormatter",
                        "static": {"release": f"ext://{__name__}.SETTINGS.RELEASE"},
                        "omit": [f"ext://{__name__}.SETTINGS.OMIT", "more"],
                    }
                },
                "handlers": {
                    "logplex": {
                        "class": "logplex_handler.LogplexHandler",
                        "url": "cfg://secrets.url",
                        "headers": {
                            "Logplex-Drain-Token": f"ext://{__name__}.SETTINGS.TOKEN",
                            "X-Other": "cfg://secrets.other",
                        },
                        "streams": {"a": "cfg://secrets.url"},
                        "formatter": "kv",
                    }
                },
                "loggers": {logger.name: {"handlers": ["logplex"], "level": "INFO"}},
            }
        )
        (handler,) = logger.handlers
        logger.info("hello", extra={"data": 1, "more": 2, "kept": 3, "logplex_stream": "a"})
        assert handler.flush()
        handler.close()
        (request,) = server.received
        assert request.headers["logplex-drain-token"] == "drain-token"
        assert request.headers["x-other"] == "cfg-token"
        (frame,) = server.frames()
        assert b"release=v7" in frame
        assert b"kept=3" in frame
        assert b"data=" not in frame
        assert b"more=" not in frame


def test_dict_config_resolves_references_in_the_list_of_a_relay():
    given = logging.config.BaseConfigurator({}).convert([f"ext://{__name__}.SETTINGS.RELAY"])
    found = relay_options(given, {})
    assert found is not None
    assert found.urls == (SETTINGS.RELAY,)


class Number:
    """A number of another library."""

    def __init__(self, value):
        self._value = value

    def __float__(self):
        return float(self._value)


class WholeNumber(Number):
    def __index__(self):
        return self._value


@pytest.mark.parametrize("number", [Decimal("2.5"), Fraction(5, 2), Number(2.5)])
def test_any_kind_of_number_may_be_given(number):
    with contextlib.closing(LogplexHandler(URL, timeout=number)) as handler:
        assert repr(handler._options.transport.timeout) == "2.5"


def test_any_kind_of_whole_number_may_be_given():
    given = {"batch_size": 5, "max_buffer_bytes": 50_000, "level": 20, "shutdown_timeout": 0}
    handler = LogplexHandler(URL, **{name: WholeNumber(value) for name, value in given.items()})
    assert repr(handler._options.accumulator.batch_frames) == "5"
    assert repr(handler._options.accumulator.max_bytes) == "50000"
    assert (handler.level, handler._options.shutdown_timeout) == (20, 0.0)
    handler.close()


@pytest.mark.parametrize(
    "number", [Decimal("sNaN"), Decimal("Infinity"), Fraction(10**400), Number("no number"), 1j]
)
@pytest.mark.parametrize("option", ["timeout", "batch_size"])
def test_what_is_no_number_after_all(option, number):
    with pytest.raises(ConfigurationError, match=f"^{option}: must be"):
        LogplexHandler(URL, **{option: number})


def test_the_members_of_an_enum_are_their_texts(tmp_path):
    """Some versions of Python format them as `Names.HOSTNAME`."""
    texts = {
        "url": URL,
        "hostname": "shop",
        "appname": "web",
        "procid": "web.1",
        "facility": "local3",
        "user_agent": "Add-on",
        "level": "ERROR",
        "on_full": "block",
        "spool": str(tmp_path / "spool"),
    }
    names = enum.Enum("Names", texts, type=str)
    made = []
    for given in (texts, {name: names[name] for name in texts}):
        secret = given["procid"]
        with contextlib.closing(LogplexHandler(**given, headers={"X-Dyno": secret})) as handler:
            made.append(handler._options)
    plain, of_enum = made
    assert plain == of_enum
    packet = of_enum.packet
    kept = [packet.hostname, packet.appname, packet.procid, of_enum.spool.path]
    kept += [of_enum.destination.endpoint, *of_enum.transport.headers.values()]
    assert {type(value) for value in kept} == {str}
