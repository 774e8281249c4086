"""The entry point of the command `logplex-handler`."""

from __future__ import annotations

import io
import os
import sys

from logplex_handler.cli._commands import parser


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status."""
    _open_standard_descriptors()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal whose encoding lacks a character shows an escape.
            stream.reconfigure(errors="backslashreplace")
    try:
        options = parser().parse_args(arguments)
        status: int = options.run(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The program that reads the output, such as `head`, has ended.
        _discard_output()
        return 1
    except OSError as error:
        # For example, a full disk.
        _discard_output()
        print(f"logplex-handler: {error.strerror or error}", file=sys.stderr)
        return 1
    return status


def _discard_output() -> None:
    """Redirect stdout to the null device, or Python would report the error again at exit."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_standard_descriptors() -> None:
    """Open a closed stdin, stdout or stderr, or the next opened file would get its number."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
