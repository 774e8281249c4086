"""Commands and programs in processes that are forked from one which has imported the package.

An interpreter takes ten times as long to import what a program needs as most programs of tests then
run. A fork is a process like any other: it has its own arguments, environment, folder, streams and
signals, and ends as every program does. What an interpreter reads as it starts is not its own, nor
is the order in which modules are imported: what depends on these needs an interpreter.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import IO, Any

ROOT = Path(__file__).parents[1]
# Of a request, which is JSON; and of an answer: an id, or how a process has ended.
_LENGTH, _NUMBER = struct.Struct("I"), struct.Struct("q")


class Fork:
    """A running command or program, with the methods of `subprocess.Popen` that tests use.

    Args:
        arguments: Those of the command; or of Python, if the first one is `-c` or a file's path.
        warns: Whether warnings are no errors.
        stdin, stdout, stderr: `subprocess.PIPE`, a file, or by default the stream of this process.
        text: Whether pipes are text.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str | os.PathLike[str] | None = None,
        stdin: Any = None,
        stdout: Any = None,
        stderr: Any = None,
        text: bool = False,
        warns: bool = False,
    ) -> None:
        self.args = arguments
        self.returncode: int | None = None
        with contextlib.ExitStack() as stack:
            ends: list[int] = []

            def end(number: int, given: Any) -> IO[Any] | None:
                """Of one stream: append the command's end, and return ours if it is a pipe."""
                if given != subprocess.PIPE:
                    given = number if given is None else given
                    ends.append(given if isinstance(given, int) else given.fileno())
                    return None
                ours, theirs = os.pipe()
                if number == 0:
                    ours, theirs = theirs, ours
                stack.callback(os.close, theirs)
                ends.append(theirs)
                pipe = open(ours, "wb" if number == 0 else "rb")  # noqa: SIM115
                return io.TextIOWrapper(pipe) if text else pipe

            self.stdin: Any = end(0, stdin)
            self.stdout: Any = end(1, stdout)
            self.stderr: Any = end(2, stderr)
            ours, theirs = os.pipe()
            stack.callback(os.close, theirs)
            ends.append(theirs)
            self._status = open(ours, "rb")  # noqa: SIM115
            request = [list(arguments), dict(env), os.fspath(cwd or os.getcwd()), warns]
            self.pid = _server().start(json.dumps(request).encode(), ends)

    def poll(self) -> int | None:
        return self._wait(0)

    def wait(self, timeout: float | None = None) -> int:
        ended = self._wait(timeout)
        if ended is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return ended

    def _wait(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
            (self.returncode,) = _NUMBER.unpack(self._status.read(_NUMBER.size))
            self._status.close()
        return self.returncode

    def communicate(self, given: bytes, timeout: float) -> tuple[bytes, bytes]:
        """Write what is given to stdin, and return what is written to stdout and stderr."""
        read: dict[str, bytes] = {}

        def read_all(name: str) -> None:
            with getattr(self, name) as pipe:
                read[name] = pipe.read()

        def write() -> None:
            with contextlib.suppress(BrokenPipeError), self.stdin as stdin:
                stdin.write(given)

        threads = [threading.Thread(target=read_all, args=(name,)) for name in ("stdout", "stderr")]
        threads.append(threading.Thread(target=write))
        for thread in threads:
            thread.start()
        try:
            self.wait(timeout)
        finally:
            self.kill()
            for thread in threads:
                thread.join()
        return read["stdout"], read["stderr"]

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            # Who has ended just now has its id until the next `fork` at the earliest.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Fork:
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in (self.stdout, self.stderr):
            if pipe is not None:
                pipe.close()
        if self.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.stdin.close()
        self.wait()


class _Server:
    """The process that forks."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self._socket = ours
        # Guards the conversation with that process.
        self._lock = threading.Lock()
        self.interpreter = _of_the_interpreter(os.environ)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.forks", str(theirs.fileno())],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        atexit.register(self._close)

    def _close(self) -> None:
        self._socket.close()
        self.process.wait(100)

    def start(self, request: bytes, descriptors: list[int]) -> int:
        with self._lock:
            socket.send_fds(self._socket, [_LENGTH.pack(len(request))], descriptors)
            self._socket.sendall(request)
            (pid,) = _NUMBER.unpack(self._socket.recv(_NUMBER.size))
        return int(pid)


_servers: list[_Server] = []
# Guards them.
_lock = threading.Lock()


def _server() -> _Server:
    with _lock:
        if not _servers:
            _servers.append(_Server())
        return _servers[0]


def _of_the_interpreter(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that an interpreter reads as it starts."""
    return {
        name: value
        for name, value in environ.items()
        if name.startswith(("PYTHON", "LC_", "LANG")) and name != "PYTHONPATH"
    }


def may_be_forked(environ: Mapping[str, str]) -> bool:
    """Return whether a program in this environment needs no interpreter of its own."""
    ours = _of_the_interpreter(environ) == _server().interpreter
    return ours and environ.get("PYTHONPATH") == str(ROOT)


def main() -> None:
    """Fork as `_Server` asks for it, until it is gone."""
    for name in (
        *("cli._receive", "cli._send", "cli._demo", "cli._check", "cli._replay", "cli._ship"),
        *("handler._pipeline", "_relay.redis_engine"),
    ):
        # Without an extra, the command itself says what is missing.
        with contextlib.suppress(ImportError):
            import_module(f"logplex_handler.{name}")
    import_module("tests.patience").be_patient()
    # A fork that ends would look at each of these objects, and copy the memory in which they are.
    gc.freeze()
    conversation = socket.socket(fileno=int(sys.argv[1]))
    # Where the exit of each process is written.
    ends: dict[int, int] = {}
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        ready, _, _ = select.select([conversation.fileno(), woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            while ends and (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended
                with contextlib.suppress(BrokenPipeError):
                    os.write(ends[pid], _NUMBER.pack(os.waitstatus_to_exitcode(status)))
                os.close(ends.pop(pid))
        if conversation.fileno() in ready:
            head, descriptors, _, _ = socket.recv_fds(conversation, _LENGTH.size, 4)
            if not head:
                conversation.close()
                return
            with conversation.makefile("rb") as stream:
                request = json.loads(stream.read(*_LENGTH.unpack(head)))
            if not (pid := os.fork()):
                signal.set_wakeup_fd(-1)
                for one in (woken, wakes, descriptors.pop(), *ends.values()):
                    os.close(one)
                conversation.close()
                _become(request, descriptors)
                return
            *given, ends[pid] = descriptors
            for one in given:
                os.close(one)
            conversation.sendall(_NUMBER.pack(pid))


def _become(request: Any, descriptors: list[int]) -> None:
    """Run a command, or a program, as an interpreter of its own would."""
    arguments, environ, folder, warns = request
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, one in enumerate(descriptors):
        os.dup2(one, number)
        os.close(one)
    sys.stdin = sys.__stdin__ = _stream(0, sys.stdin)  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _stream(1, sys.stdout)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _stream(2, sys.stderr)  # type: ignore[misc]
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(folder)
    sys.path[0] = folder
    if not warns:
        # For the processes that it starts, too.
        sys.warnoptions.append("error")
        warnings.simplefilter("error")
    if arguments[0] == "-c":
        sys.argv = ["-c", *arguments[2:]]
        _run(arguments[1], "<string>")
    elif arguments[0].endswith(".py"):
        sys.argv = arguments
        sys.path[0] = str(Path(arguments[0]).resolve().parent)
        _run(Path(arguments[0]).read_text(encoding="utf-8"), arguments[0])
    else:
        command = import_module("logplex_handler.__main__")
        sys.argv = [str(command.__file__), *arguments]
        sys.exit(command.main())


def _run(source: str, path: str) -> None:
    """Run a program as the main module."""
    module = sys.modules["__main__"] = ModuleType("__main__")
    if path.endswith(".py"):
        module.__file__ = path
    exec(compile(source, path, "exec"), module.__dict__)


def _stream(number: int, like: Any) -> io.TextIOWrapper:
    return open(
        number,
        "r" if number == 0 else "w",
        encoding=like.encoding,
        errors=like.errors,
        closefd=False,
        buffering=1 if number == 2 or os.isatty(number) else -1,
    )


if __name__ == "__main__":
    main()
