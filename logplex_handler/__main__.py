"""The command `logplex-handler` as `python -m logplex_handler`."""

from __future__ import annotations

import sys

from logplex_handler.cli import main

if __name__ == "__main__":
    sys.exit(main())
