"""What a case is after a sequence of records; live changes and replay run through the same code."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from hemaview.case.alignment import Alignment, check_chain
from hemaview.case.history import History, Marks, Step
from hemaview.case.journal import Record
from hemaview.case.patches import BlobStore, MaskPatch, Region, hull, region_from_json
from hemaview.case.preparation import Preparation
from hemaview.case.records import SegmentationRecord, prompt_from_entry
from hemaview.case.scan_entry import ScanEntry, scan_from_record
from hemaview.errors import CaseError, HemaviewError
from hemaview.imaging import Geometry, LabelMap
from hemaview.imaging.sequence import Sequence


class ChangeKind(StrEnum):
    """What about a case changed."""

    SCAN = "scan"
    PROMPT = "prompt"
    MASK = "mask"
    REVIEW = "review"
    HISTORY = "history"


@dataclass(frozen=True)
class CaseChange:
    """One change, told after it is on the disk.

    ``scan_id`` is the scan it belongs to. ``region`` bounds the changed voxels ``(k, j, i)`` for a mask
    change; None means that anything may have changed.
    """

    kind: ChangeKind
    scan_id: str | None = None
    region: Region | None = None


@dataclass(frozen=True, eq=False)
class Work:
    """What was done on one scan. ``mask.array`` is read-only; ``extent`` holds every voxel of the mask."""

    marks: Marks = field(default_factory=Marks)
    mask: LabelMap | None = None
    extent: Region | None = None

    def moved_to(self, marks: Marks, patch: MaskPatch | None, geometry: Geometry, *, reuse: bool) -> Work:
        """This work with other marks and the patch's voxels flipped.

        ``reuse`` changes the mask's own array, which is right only while nobody was handed it.
        """
        if not marks.has_mask:
            return Work(marks)
        if self.mask is not None and patch is None:
            return replace(self, marks=marks)
        flips = None if patch is None else patch.flips()
        if self.mask is None:
            array = np.zeros(geometry.shape, dtype=np.bool_)
        else:
            array = self.mask.array if reuse else self.mask.array.copy()
        extent = self.extent
        if patch is not None and flips is not None:
            array.setflags(write=True)
            array[patch.region] ^= flips
            extent = hull(extent, patch.region)
        array.setflags(write=False)
        return Work(marks, LabelMap(array, geometry), extent)


class CaseState:
    """Scans, the work on each, which one is active, and the history. Changed by ``apply`` only."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self.scans: dict[str, ScanEntry] = {}
        self.work: dict[str, Work] = {}
        self.active_id: str | None = None
        self.history = History()
        self._replaying = False

    def replay(self, records: Iterable[Record]) -> int:
        """Apply records until the first that does not fit; returns how many were applied. Before the case is shown."""
        self._replaying = True
        count = 0
        try:
            for record in records:
                self.apply(record)
                count += 1
        except HemaviewError:
            pass
        finally:
            self._replaying = False
        return count

    def apply(self, record: Record) -> tuple[CaseChange, ...]:
        """Carry out one record; ``CaseError`` leaves the state as it was. Returns what changed, in order."""
        try:
            match record["type"]:
                case "scan":
                    return self._add_scan(record)
                case "activate":
                    return self._activate(self._scan(record["scan"]).id)
                case "relocate":
                    return self._relocate(record)
                case "prepare":
                    return self._prepare(record)
                case "align":
                    return self._align(record)
                case "sequence":
                    return self._choose_sequence(record)
                case "step" | "carry":
                    return self._step(record)
                case "undo":
                    return self._undo()
                case "redo":
                    return self._redo()
                case other:
                    raise CaseError(f"The case's record has an entry of the unknown kind {other!r}.")
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            raise CaseError("The case's record has an entry that does not fit the ones before it.") from error

    def _scan(self, scan_id: str) -> ScanEntry:
        return self.scans[scan_id]

    def _add_scan(self, record: Record) -> tuple[CaseChange, ...]:
        scan_id = str(record["scan"])
        if scan_id in self.scans:
            raise CaseError("The case's record adds the same scan twice.")
        self.scans[scan_id] = scan_from_record(record)
        self.work[scan_id] = Work()
        return self._activate(scan_id)

    def _prepare(self, record: Record) -> tuple[CaseChange, ...]:
        entry = self._scan(record["scan"])
        data = record["preparation"]
        preparation = None if data is None else Preparation.from_json(data, entry.geometry)
        self.scans[entry.id] = replace(entry, preparation=preparation, prepared=None)
        return (CaseChange(ChangeKind.SCAN, entry.id),)

    def _activate(self, scan_id: str) -> tuple[CaseChange, ...]:
        if scan_id == self.active_id:
            return ()
        self.active_id = scan_id
        return tuple(CaseChange(kind, scan_id) for kind in (ChangeKind.SCAN, ChangeKind.PROMPT, ChangeKind.MASK))

    def _relocate(self, record: Record) -> tuple[CaseChange, ...]:
        entry = self._scan(record["scan"])
        self.scans[entry.id] = replace(
            entry,
            path=Path(record["path"]),
            digest=str(record["digest"]),
            series_uid=record["series_uid"],
            volume=None,
            problem=None,
        )
        return (CaseChange(ChangeKind.SCAN, entry.id),)

    def _align(self, record: Record) -> tuple[CaseChange, ...]:
        entry = self._scan(record["scan"])
        to = None if record["to"] is None else self._scan(record["to"]).id
        alignment = None
        if to is not None:
            check_chain(entry.id, to, self.scans)
            alignment = Alignment.from_json(record["alignment"])
        self.scans[entry.id] = replace(entry, aligned_to=to, alignment=alignment)
        return (CaseChange(ChangeKind.SCAN, entry.id),)

    def _choose_sequence(self, record: Record) -> tuple[CaseChange, ...]:
        entry = self._scan(record["scan"])
        chosen = record["sequence"]
        self.scans[entry.id] = entry.with_choice(None if chosen is None else Sequence(chosen))
        return (CaseChange(ChangeKind.SCAN, entry.id),)

    def _step(self, record: Record) -> tuple[CaseChange, ...]:
        entry = self._scan(record["scan"])
        before = self.work[entry.id].marks
        patch = self._patch(record.get("patch"), entry.geometry)
        after = self._marks(record["set"], before, entry.geometry, patch)
        step = Step(entry.id, str(record["text"]), before, after, patch)
        if record.get("joins"):
            last = self.history.last
            if last is None or last.scan_id != entry.id or last.patch is not None:
                raise CaseError("The case's record joins a change to one that it cannot belong to.")
        changes = self._move(entry, before, after, patch)
        if record.get("joins"):
            self.history.join(step)
        else:
            self.history.push(step)
        return changes

    def _marks(self, data: dict[str, Any], before: Marks, geometry: Geometry, patch: MaskPatch | None) -> Marks:
        made = before.segmentation
        if "segmentation" in data:
            entry = data["segmentation"]
            packed = None if entry is None else self._blobs.get(entry["probability"])
            made = None if packed is None else SegmentationRecord.from_json(entry, packed, geometry)
        prompt = prompt_from_entry(data)
        return Marks(
            prompt=before.prompt if prompt is None else prompt,
            segmentation=made,
            edited=bool(data.get("edited", before.edited)),
            edited_slices=edited_slices(data, before, patch),
            # What was looked at is no longer there once the mask changes.
            checked=bool(data.get("checked", before.checked and patch is None and made is before.segmentation)),
            has_mask=bool(data.get("has_mask", before.has_mask)),
            carried_from=self._carried_from(data, before),
            carried_aligned=bool(data.get("carried_aligned", "segmentation" not in data and before.carried_aligned)),
        )

    def _carried_from(self, data: dict[str, Any], before: Marks) -> str | None:
        """A mask made on its own scan, by an engine or from a file, takes the place of a carried one."""
        if "carried_from" in data:
            return None if data["carried_from"] is None else self._scan(data["carried_from"]).id
        return None if "segmentation" in data else before.carried_from

    def _patch(self, data: dict[str, Any] | None, geometry: Geometry) -> MaskPatch | None:
        if data is None:
            return None
        return MaskPatch(region_from_json(data["region"], geometry.shape), self._blobs.get(data["file"]))

    def _undo(self) -> tuple[CaseChange, ...]:
        step = self.history.last
        if step is None:
            raise CaseError("There is nothing to undo.")
        changes = self._move(self.scans[step.scan_id], step.after, step.before, step.patch)
        self.history.undo()
        return changes

    def _redo(self) -> tuple[CaseChange, ...]:
        step = self.history.next
        if step is None:
            raise CaseError("There is nothing to redo.")
        changes = self._move(self.scans[step.scan_id], step.before, step.after, step.patch)
        self.history.redo()
        return changes

    def _move(self, entry: ScanEntry, old: Marks, new: Marks, patch: MaskPatch | None) -> tuple[CaseChange, ...]:
        self.work[entry.id] = self.work[entry.id].moved_to(new, patch, entry.geometry, reuse=self._replaying)
        changes = list(self._activate(entry.id))
        if not changes:
            if new.prompt != old.prompt:
                changes.append(CaseChange(ChangeKind.PROMPT, entry.id))
            if patch is not None or _what_mask_is(new) != _what_mask_is(old):
                changes.append(CaseChange(ChangeKind.MASK, entry.id, patch.region if patch else None))
            elif (new.edited_slices, new.checked) != (old.edited_slices, old.checked):
                changes.append(CaseChange(ChangeKind.REVIEW, entry.id))
        changes.append(CaseChange(ChangeKind.HISTORY, entry.id))
        return tuple(changes)


def _what_mask_is(marks: Marks) -> tuple[SegmentationRecord | None, bool, bool, str | None, bool]:
    return marks.segmentation, marks.edited, marks.has_mask, marks.carried_from, marks.carried_aligned


def edited_slices(data: dict[str, Any], before: Marks, patch: MaskPatch | None) -> tuple[int, ...]:
    """The slices that count as drawn by hand after a step; journals of the first format name none, the patch does."""
    if "edited_slices" in data:
        return tuple(sorted({int(k) for k in data["edited_slices"]}))
    if "edited" not in data:
        return before.edited_slices
    if not data["edited"] or "segmentation" in data or patch is None:
        return ()
    return tuple(sorted({*before.edited_slices, *range(patch.region[0].start, patch.region[0].stop)}))
