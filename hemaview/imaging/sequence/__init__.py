"""Which kind of head scan it is: a guess from technical facts, always shown as one, which the user can change."""

from hemaview.imaging.sequence.guess import guess_from_name, guess_sequence
from hemaview.imaging.sequence.kinds import Sequence, SequenceGuess
from hemaview.imaging.sequence.names import sequence_in_name

__all__ = ["Sequence", "SequenceGuess", "guess_from_name", "guess_sequence", "sequence_in_name"]
