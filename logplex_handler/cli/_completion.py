"""What helps to type a command: shells complete it, and a mistyped option is recognized."""

from __future__ import annotations

import argparse
import difflib
import re
from pathlib import Path


def similar_option(parser: argparse.ArgumentParser, option: str) -> str:
    """Return the option of a command that a mistyped one stands for, or empty if none does."""
    known = set(re.findall(r"--[a-z-]+", parser.format_help()))
    return next(iter(difflib.get_close_matches(option.partition("=")[0], known, 1, 0.75)), "")


def add_file(parser: argparse._ActionsContainer, *names: str, help: str) -> None:
    """Add an argument that is a file's path; shells complete it."""
    action = parser.add_argument(*names, type=Path, metavar="FILE", help=help)
    # The value of `shtab.FILE`, which may not be installed.
    action.complete = {"bash": "_shtab_compgen_files", "zsh": "_files", "tcsh": "f"}  # type: ignore[attr-defined]


class Completion(argparse.Action):
    """Prints the completion of a shell, and ends."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        try:
            import shtab
        except ImportError:
            parser.error("--completion needs shtab: pip install 'logplex-handler[completion]'")
        print(shtab.complete(parser, str(values)))
        parser.exit()
