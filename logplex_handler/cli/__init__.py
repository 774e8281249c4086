"""The command `logplex-handler`.

Comes in: arguments.
Goes out: output and an exit status.
Must not know: nothing, but no other room may know it.

- `_main`, `_commands`, `_relay_arguments`, `_argument_types`, `_examples`: the entry point, and the
  arguments of all commands.
- `_demo`, `_send`, `_check`, `_ship`, `_relay`, `_size`, `_receive`, `_replay`: the commands.
- `_configuration`: the configuration of commands by arguments and environment.
- `_sizing`: the arithmetic of `size`.
- `_line_reader`, `_stop_request`: input lines, and signals.
- `_reachability`, `_relay_health`: the steps of `check`.
- `_completion`: completion by shells, and mistyped options.
- `_wording`: errors in the command line's words.
"""

from logplex_handler.cli._main import main

__all__ = ["main"]
