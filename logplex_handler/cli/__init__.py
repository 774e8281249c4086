"""The command `logplex-handler`: arguments come in, output and an exit status go out.

The commands use every other package; nothing imports this one.
"""

from logplex_handler.cli._main import main

__all__ = ["main"]
