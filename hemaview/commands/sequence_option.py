"""Saying on the command line what kind of scan it is, and hearing what it was taken for."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from hemaview.commands.parser import Parser

if TYPE_CHECKING:
    from hemaview.imaging import Volume
    from hemaview.imaging.sequence import Sequence


def add_sequence_option(parser: Parser) -> None:
    """Add ``--sequence``; its value is a ``Sequence``, or None where the guess is to hold."""
    parser.add_argument(
        "--sequence",
        type=sequence_named,
        metavar="KIND",
        help="what kind of scan it is, where the guess is wrong: t1, t1c, t2, flair, t2star, swi, ct, ct-contrast, ...",
    )


def sequence_named(text: str) -> Sequence:
    """The kind of scan called ``text``, in capitals or not; ``ArgumentTypeError`` names all kinds."""
    from hemaview.imaging.sequence import Sequence

    names = {sequence.name.lower().replace("_", "-"): sequence for sequence in Sequence}
    wanted = text.lower().replace("*", "star").replace("_", "-")
    if wanted not in names:
        raise argparse.ArgumentTypeError(f"there is no kind of scan '{text}'; choose one of {', '.join(names)}")
    return names[wanted]


def taken_for(volume: Volume, sequence: Sequence | None) -> Volume:
    """The scan as the kind that was asked for, or as it was read."""
    from hemaview.imaging.sequence import SequenceGuess

    return volume if sequence is None else volume.taken_for(SequenceGuess.chosen(sequence))


def notes_on_kind(volume: Volume) -> tuple[str, ...]:
    """What a scan was taken for and why, and what has to be known of such a scan."""
    from hemaview.imaging.scan_advice import scan_advice

    known = volume.sequence
    sure = "known" if known.certain else "a guess that --sequence changes"
    return (f"The scan is taken for: {known.sequence} ({sure}: {known.why}).", *scan_advice(volume))
