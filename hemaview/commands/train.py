"""``hemaview train``: adapt a model to own scans."""

from __future__ import annotations

from hemaview.commands.exit_codes import EXIT_CODES
from hemaview.commands.parser import Parser
from hemaview.errors import HemaviewError


def run(given: list[str]) -> int:
    """Train; ``HemaviewError`` until there is a recipe."""
    Parser("hemaview train", "Adapt a model to scans with masks.", EXIT_CODES).parse_known_args(given)
    raise HemaviewError("This version cannot train from the command line yet; use a newer one.")
