"""What the user has to know of a scan before measuring on it, and beside what was measured."""

from __future__ import annotations

from hemaview.imaging.modality import Modality
from hemaview.imaging.sequence import Sequence
from hemaview.imaging.sequence.advice import measuring_advice
from hemaview.imaging.skull_stripping import removed_value, touches_removed
from hemaview.imaging.volume import LabelMap, Volume

_CUT_OFF = "The mask touches the edge where the skull was removed, so a part of the haematoma may have been cut away."


def scan_advice(volume: Volume) -> tuple[str, ...]:
    """Sentences about the scan as a whole, most important first; takes some milliseconds on a large scan."""
    found = list(measuring_advice(volume.sequence.sequence))
    if volume.modality is Modality.CT and not volume.is_hounsfield:
        found.append("This CT is not in HU: its values are grey levels, so CT windows and densities do not apply.")
    if volume.sequence.sequence is Sequence.UNKNOWN:
        found.append(
            "Nothing says what kind of scan this is; choose it, for window, model and correction depend on it."
        )
    if removed_value(volume) is not None:
        found.append("The skull was removed from this scan; blood at the brain's edge may have been cut away with it.")
    return tuple(found)


def reading_advice(sequence: Sequence, volume: Volume | None, mask: LabelMap) -> tuple[str, ...]:
    """Sentences that belong beside every number measured from ``mask``; ``volume`` is None while its file is away."""
    cut_off = volume is not None and touches_removed(mask, volume)
    return (*measuring_advice(sequence), *((_CUT_OFF,) if cut_off else ()))
