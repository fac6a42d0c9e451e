"""Reading a command's arguments, with errors of one sentence."""

from __future__ import annotations

import argparse
import math
from typing import NoReturn

from hemaview.commands.exit_codes import ExitCode
from hemaview.commands.terminal import say


class Parser(argparse.ArgumentParser):
    """argparse that says in one sentence on stderr what is wrong, and ends with exit code 2."""

    def __init__(self, program: str, summary: str, epilog: str) -> None:
        super().__init__(
            prog=program,
            description=summary,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the arguments and end with exit code 2."""
        say(f"{message[:1].upper()}{message[1:]}; see '{self.prog} --help'.")
        raise SystemExit(ExitCode.USAGE)


def finite(text: str) -> float:
    """A number as an argument; neither infinite nor "nan"."""
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text.strip()} is not a coordinate")
    return value


def shield_negative_numbers(given: list[str]) -> list[str]:
    """Keep argparse from taking "-1e-3" or "-5." for an option: with a leading blank it is a value."""

    def shielded(text: str) -> str:
        if text.startswith("-"):
            try:
                float(text)
            except ValueError:
                return text
            return f" {text}"
        return text

    return [shielded(text) for text in given]
