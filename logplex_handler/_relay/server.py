"""One server of the relay: a connection, and calls of the scripts. Nothing here knows what they do.

redis-py's errors become results, or errors of this package's own, by their kind alone: their texts
may show what was sent.
"""

from __future__ import annotations

import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from logplex_handler._process import forks
from logplex_handler._relay.address import Address
from logplex_handler._relay.packing import LONG, Packer
from logplex_handler._relay.scripts import scripts
from logplex_handler._relay.values import EngineAway
from logplex_handler.errors import ConfigurationError

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.connection import HiredisRespSerializer, PythonRespSerializer
    from redis.exceptions import (
        AskError,
        AuthenticationError,
        AuthorizationError,
        NoPermissionError,
        NoScriptError,
        OutOfMemoryError,
        ReadOnlyError,
        RedisError,
        ResponseError,
    )
    from redis.retry import Retry
    from redis.utils import HIREDIS_AVAILABLE
except ImportError:  # pragma: no cover  # said by name when a relay is configured
    redis = None  # type: ignore[assignment]
else:
    # What a server answers that is not the one to ask any more.
    _ELSEWHERE = (ReadOnlyError, AskError)

# The code at the beginning of an error of Redis.
_CODE = re.compile("[A-Z]{1,20}")
# Milliseconds that replicas have to confirm.
_REPLICA_PATIENCE = 1000
# Seconds for which a server that has not answered in time is left alone: at first, and at most.
# The first is so short that a server that was only slow loses no lease.
_REST, _MAX_REST = 1.0, 16.0


class Call(NamedTuple):
    """A call of a script: its name, its keys and its arguments."""

    script: str
    keys: Sequence[str]
    args: Sequence[str | bytes | int | float]


class Problem(NamedTuple):
    """A call that failed.

    Attributes:
        is_full: The engine has no memory left, and has not done what was asked.
    """

    name: str
    is_full: bool = False


def check_installed() -> None:
    """Raise a ConfigurationError if redis-py is missing."""
    if redis is None:
        raise ConfigurationError("relay needs redis: pip install 'logplex-handler[relay]'")


class Server:
    """One server. Any thread may use it, one at a time; a forked child has its own connection.

    Args:
        timeout: Seconds that connecting may take, and each answer.
        replicas: Replicas that must confirm what `run` is to make sure of.
        rests: Whether nothing is asked for a while after it has not answered in time, so that it
            does not hold up other servers.
        inspect: Called with the client before anything else is done, and again until it once
            returned; it raises a ConfigurationError if the server cannot be used.

    Attributes:
        problem: Why it could not be used last; empty if it could.
        rest: Seconds for which it was left alone last; 0 if it answers.
    """

    def __init__(
        self,
        address: Address,
        *,
        timeout: float,
        replicas: int,
        rests: bool,
        inspect: Callable[[Server, Any], None],
    ) -> None:
        self.name = address.name
        self.problem = ""
        self._address = address
        self._timeout = timeout
        self._replicas = replicas
        self._rests = rests
        self._inspect = inspect
        self.after_fork_in_child()
        forks.register(self)

    def after_fork_in_child(self) -> None:
        # Held during each exchange, so that there is one connection. Re-entrant, because a signal
        # handler may flush meanwhile: that exchange has a connection of its own.
        self._lock = threading.RLock()
        # The parent's connection is left as it is: to end it here would end it there.
        self._client: Any = None
        self._is_usable = False
        # Until when it is left alone, on the monotonic clock.
        self._rests_until = self.rest = 0.0
        self._here = forks.here()

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
            if client is not None and self._here[0]:
                client.close()

    def run(self, calls: Sequence[Call], *, safely: bool = False) -> list[Any]:
        """Make calls in one exchange; return their results, which are `Problem`s where they failed.

        Args:
            safely: Whether replicas must confirm all of it, if there are to be any.

        Raises:
            ConfigurationError: The server cannot be used, as was found before its first use.
        """
        try:
            with self._exchange() as client:
                results = self._run(client, calls)
                if safely and self._replicas:
                    done = client.execute_command("WAIT", self._replicas, _REPLICA_PATIENCE)
                    if done < self._replicas:
                        self.problem = "too few replicas"
                        raise EngineAway(self.problem)
                return results
        except EngineAway:
            return [Problem(self.problem)] * len(calls)

    def make_usable(self) -> None:
        """Inspect the server before its first use; an EngineAway if that is not possible."""
        if not self._is_usable:
            with self._exchange():
                pass

    def ask(self, *command: str | int) -> Any:
        """The answer to one command; an EngineAway if there is none."""
        with self._exchange() as client:
            return client.execute_command(*command)

    def inspect_again(self) -> None:
        """Inspect the server, also if it was before; an EngineAway if that is not possible."""
        with self._lock:
            self._is_usable = False
            self._rests_until = 0.0
            self.make_usable()

    @contextmanager
    def _exchange(self) -> Iterator[Any]:
        if not self._here[0]:
            # Forked by something that runs no hooks.
            self.after_fork_in_child()
        with self._lock:
            began = time.monotonic()
            if began < self._rests_until:
                raise EngineAway(f"{self.name}: {self.problem}")
            try:
                if self._client is None:
                    self._client = self._new_client()
                if not self._is_usable:
                    self._inspect(self, self._client)
                    self._is_usable = True
                self.problem = ""
                yield self._client
                self.rest = 0.0
            except (ConfigurationError, EngineAway):
                raise
            except Exception as error:
                if self._rests and time.monotonic() - began >= self._timeout / 2:
                    self.rest = min(2 * self.rest or _REST, _MAX_REST)
                    self._rests_until = time.monotonic() + self.rest
                # redis-py raises anything for what is no answer of Redis.
                raise self._failure(error) from None

    def _new_client(self) -> Any:
        client = redis.Redis(
            **self._address.options,
            socket_timeout=self._timeout,
            socket_connect_timeout=self._timeout,
            socket_keepalive=True,
            # Whoever calls tries again, later.
            retry=Retry(NoBackoff(), 0),
            retry_on_error=[],
            client_name="logplex-handler",
            protocol=2,
        )
        if HIREDIS_AVAILABLE:
            in_python = PythonRespSerializer(LONG, client.get_encoder().encode)
            packer = Packer(in_python, HiredisRespSerializer())
            client.connection_pool.connection_kwargs["command_packer"] = packer
        return client

    def _run(self, client: Any, calls: Sequence[Call]) -> list[Any]:
        results = _pipelined(client, calls)
        missing = [place for place, one in enumerate(results) if isinstance(one, NoScriptError)]
        if missing:
            # The server has started again, or somebody has flushed its scripts.
            for script in scripts().values():
                client.script_load(script.text)
            again = _pipelined(client, [calls[place] for place in missing])
            for place, result in zip(missing, again, strict=True):
                results[place] = result
        return [self._problem(one) if isinstance(one, Exception) else one for one in results]

    def _problem(self, error: Exception) -> Problem:
        self.problem = _name(error)
        if isinstance(error, OutOfMemoryError):
            return Problem(self.problem, is_full=True)
        if isinstance(error, _ELSEWHERE) and self._client is not None:
            # The name of the server may stand for another one by now.
            self._client.connection_pool.disconnect()
        return Problem(self.problem)

    def _failure(self, error: Exception) -> Exception:
        self.problem = name = _name(error)
        if not self._is_usable:
            if isinstance(error, (AuthenticationError, AuthorizationError, NoPermissionError)):
                return ConfigurationError(
                    f"relay: {self.name} does not allow what is needed: {name}"
                )
            if _is_about_certificate(error):
                return ConfigurationError(
                    f"relay: the certificate of {self.name} cannot be verified; "
                    "give the file with the certificate that has signed it"
                )
        return EngineAway(f"{self.name}: {name}")


def _pipelined(client: Any, calls: Sequence[Call]) -> list[Any]:
    known = scripts()
    with client.pipeline(transaction=False) as pipeline:
        for call in calls:
            sha = known[call.script].sha
            pipeline.execute_command("EVALSHA", sha, len(call.keys), *call.keys, *call.args)
        return list(pipeline.execute(raise_on_error=False))


def _name(error: Exception) -> str:
    """The kind of an error. Its text may show what was sent."""
    if not isinstance(error, (RedisError, OSError)):
        return "its answer makes no sense"
    code = str(error).partition(" ")[0]
    is_code = type(error) is ResponseError and _CODE.fullmatch(code)
    return code if is_code else type(error).__name__


def _is_about_certificate(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
