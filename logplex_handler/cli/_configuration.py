"""The configuration of commands: of a handler without arguments, and of a relay."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Mapping
from typing import Any, cast

from logplex_handler.cli._wording import in_words
from logplex_handler.errors import ConfigurationError
from logplex_handler.handler import LogplexHandler
from logplex_handler.handler.arguments import Arguments
from logplex_handler.handler.options import Options, resolve_for_process
from logplex_handler.handler.relay_options import RelayOptions, relay_options

# Seconds that a relay may take for each answer: a lease must outlast some of them.
_TIMEOUT = 2.0


def configured(environ: Mapping[str, str] | None = None, **given: object) -> Options:
    """The options that a handler with these arguments takes from the environment.

    Raises:
        ConfigurationError: One of them cannot be used.
    """
    parameters = inspect.signature(LogplexHandler).parameters
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    return resolve_for_process(cast(Arguments, defaults | given), environ)


def relay_of(url: str | None, shards: int | None) -> RelayOptions:
    """The relay of `--relay` or LOGPLEX_RELAY.

    Raises:
        ConfigurationError: There is none, or it cannot be used.
    """
    options = relay_options(url, os.environ, shards=shards, timeout=_TIMEOUT)
    if options is None:
        raise ConfigurationError("LOGPLEX_RELAY: is not set, and there is no --relay")
    return options


def imported(name: str) -> Any:
    """The object of `MODULE:OBJECT`.

    Raises:
        ConfigurationError: There is none. The text of an error of the program is left out, because
            it may hold a secret.
    """
    # Console scripts do not look for modules in the working directory, as `python -m` does.
    sys.path.insert(0, os.getcwd())
    module, _, path = name.partition(":")
    if not (module and path):
        raise ConfigurationError("streams: must be MODULE:OBJECT, such as shop.logs:streams")
    problem = ""
    try:
        found: Any = importlib.import_module(module)
        for attribute in path.split("."):
            found = getattr(found, attribute)
    except (Exception, SystemExit) as error:
        problem = f"streams: {name} raises {type(error).__name__}"
    if problem:
        raise ConfigurationError(problem)
    return found


def problem_of(error: ConfigurationError) -> str:
    """What is wrong, in the words of the command line."""
    option, problem = in_words(error)
    return f"{option}: {problem}"
