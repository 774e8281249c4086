"""The handler's configuration errors in the words of the command line."""

from __future__ import annotations

from collections.abc import Collection

from logplex_handler.errors import ConfigurationError


def in_words(error: ConfigurationError, given: Collection[str] = ()) -> tuple[str, str]:
    """Return the argument or the environment variable that is wrong, and what is wrong with it.

    `given` has the options of the handler that came from arguments.
    """
    option, _, problem = str(error).partition(": ")
    if option == "url":
        return "LOGPLEX_URL", "is not set"
    if not option.isupper():
        option = f"--{option}" if option in given else f"LOGPLEX_{option.upper()}"
    return option, problem.replace("allow_http", "--allow-http")
