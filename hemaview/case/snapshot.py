"""An immutable view of one scan's work, and everything that is computed from it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

from hemaview.case.records import SegmentationRecord
from hemaview.case.scan_entry import ScanEntry
from hemaview.imaging import LabelMap
from hemaview.imaging.scan_advice import reading_advice
from hemaview.segmentation import BoxPrompt, Prompt
from hemaview.surface import Mesh, mesh_from_mask
from hemaview.volumetry import Reading, ReadingKind, TadaMeasurement, measure_tada, readings

T = TypeVar("T")

NO_MASK = "There is no mask yet; draw a box round the haematoma."

MADE_AS_OTHER = "The mask was made while the scan was taken for {}; segment it again to have its volume corrected."


class Derived:
    """Values computed once, each under its own lock, so that a slow mesh never holds up the readings."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._values: dict[str, Any] = {}

    def get(self, name: str, compute: Callable[[], T]) -> T:
        """The value called ``name``, computed by the first caller while others wait for it."""
        with self._guard:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            if name not in self._values:
                self._values[name] = compute()
            return cast(T, self._values[name])


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One scan with its prompt and mask at one moment; nothing in it ever changes, so any thread may use it.

    ``revision`` counts the changes of mask, segmentation or scan of a case: two snapshots of a case with
    the same revision share what was computed. ``edited`` tells that a hand changed the engine's mask.
    ``carried_from`` is what the scan is called that the mask was carried over from, ``carried_aligned`` whether through
    an alignment.
    """

    revision: int
    scan: ScanEntry
    prompt: Prompt = field(default_factory=Prompt)
    mask: LabelMap | None = None
    segmentation: SegmentationRecord | None = None
    edited: bool = False
    derived: Derived = field(default_factory=Derived, repr=False)
    carried_from: str | None = None
    carried_aligned: bool = False

    @property
    def box(self) -> BoxPrompt | None:
        """The first box."""
        return self.prompt.box

    @property
    def is_empty(self) -> bool:
        """Whether there is no mask or no voxel in it."""
        return self.mask is None or self.derived.get("empty", lambda: not self._mask.array.any())

    @property
    def carried_text(self) -> str:
        """For example "carried over from FLAIR axial through an alignment"; empty for a mask of the scan's own."""
        if self.carried_from is None:
            return ""
        return f"carried over from {self.carried_from}" + (" through an alignment" if self.carried_aligned else "")

    @property
    def refusal(self) -> str | None:
        """Why nothing is measured here, as a sentence; None where measuring is right."""
        if self.scan.look_only is not None:
            return self.scan.look_only
        if self.carried_from is not None:
            return (
                f"The mask was {self.carried_text} and is only for looking at; "
                f"measure on {self.carried_from}, or segment this scan."
            )
        return None

    def readings(self) -> tuple[Reading, Reading, Reading]:
        """Direct, Tada and corrected volume, in this order; each carries the reason where there is none."""
        return self.derived.get("readings", self._compute_readings)

    def tada(self) -> TadaMeasurement | None:
        """A, B and C with their end points in LPS mm; None without a voxel and where measuring is refused."""
        if self.refusal is not None:
            return None
        return self.derived.get("tada", lambda: None if self.mask is None else measure_tada(self.mask))

    def mesh(self) -> Mesh | None:
        """The smoothed, closed surface in LPS mm; None without a mask or with an empty one."""
        return self.derived.get("mesh", lambda: None if self.is_empty else mesh_from_mask(self._mask))

    @property
    def _mask(self) -> LabelMap:
        assert self.mask is not None
        return self.mask

    def _compute_readings(self) -> tuple[Reading, Reading, Reading]:
        reason = self.refusal or (NO_MASK if self.mask is None else None)
        if reason is not None:
            direct, tada, corrected = (Reading(kind, None, reason=reason) for kind in ReadingKind)
            return direct, tada, corrected
        made = self.segmentation
        measured = readings(
            self._mask,
            volume=self.scan.volume,
            segmentation=None if made is None else made.as_segmentation(self.scan.geometry),
            edited=self.edited,
        )
        advice = reading_advice(self.scan.sequence, self.scan.volume, self._mask)
        direct, tada, corrected = (
            reading if reading.value_ml is None else replace(reading, warnings=(*reading.warnings, *advice))
            for reading in measured
        )
        if made is not None and made.modality not in (None, self.scan.modality):
            corrected = Reading(ReadingKind.CORRECTED, None, reason=MADE_AS_OTHER.format(made.modality))
        return direct, tada, corrected
