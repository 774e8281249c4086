"""What helps to type a command: shells complete it, and a mistyped option is recognized."""

from __future__ import annotations

import argparse
import difflib
import re


def similar_option(parser: argparse.ArgumentParser, option: str) -> str:
    """Return the option of a command that a mistyped one stands for, or empty if none does."""
    known = set(re.findall(r"--[a-z-]+", parser.format_help()))
    return next(iter(difflib.get_close_matches(option.partition("=")[0], known, 1, 0.75)), "")


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
