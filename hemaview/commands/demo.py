"""``hemaview demo``: the sample phantom, segmented, in the window or unseen."""

from __future__ import annotations

from pathlib import Path

from hemaview.commands.exit_codes import EXIT_CODES
from hemaview.commands.parser import Parser
from hemaview.commands.window import window_libraries


def run(given: list[str]) -> int:
    """Show the sample phantom segmented, or write its results to a folder."""
    parser = Parser(
        "hemaview demo",
        "Show the sample phantom with a box drawn and segmented. Without a screen, or with --out, the same window "
        "works unseen and leaves its picture, the mask, the volumes and the surface in a folder.",
        EXIT_CODES,
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the results there (default: hemaview-demo)")
    options = parser.parse_args(given)
    with window_libraries():
        from hemaview.demo import run_demo
    return run_demo(options.out)
