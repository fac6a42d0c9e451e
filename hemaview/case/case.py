"""A case: scans, prompt, mask and readings, saved change by change. Complete without a window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hemaview.case import edits, export, prompting
from hemaview.case.journal import Record
from hemaview.case.loading import load_entry
from hemaview.case.opening import create_case, open_case
from hemaview.case.patches import MaskPatch, Region, region_from_json, region_shape, region_to_json, whole_region
from hemaview.case.records import SegmentationRecord, prompt_to_json, utc_now
from hemaview.case.scan_entry import ScanEntry
from hemaview.case.scans import CaseScans
from hemaview.errors import CaseError
from hemaview.imaging import LabelMap
from hemaview.imaging.carrying import carried
from hemaview.segmentation import BoxPrompt, Prompt, Segmentation
from hemaview.surface import PrintReport


class Case(CaseScans):
    """One patient's scans with one prompt and one mask each, in a folder that always holds what is shown.

    Made by ``create`` or ``open``. Every change is written to the journal and synced to the disk first,
    then takes effect, then ``changed`` tells the listeners. A change that cannot be saved raises
    ``CaseError`` and does not happen. Methods and properties belong to one thread (the window's);
    ``snapshot()`` gives worker threads something that never changes under them. A scan that can only be looked at takes
    no box, no mask and no edit (``CaseError``). ``prompt``, ``mask``,
    ``segmentation``, ``edited``, ``checked`` and the readings are those of the active scan.
    """

    @classmethod
    def create(cls, root: Path) -> Case:
        """Make a new, empty case in a new folder below ``root``, named by local time and a short random id.

        ``root`` is made when it is missing. Raises ``CaseError`` when the folder cannot be written.
        """
        return cls(create_case(root))

    @classmethod
    def open(cls, directory: Path, *, progress: Callable[[float], None] | None = None, load_scans: bool = True) -> Case:
        """Reopen the case in ``directory`` exactly as it was last shown.

        A last change that was cut off while being written is dropped. When the record is damaged further
        up, the case opens as it was before the damage, and the first change keeps the rest in a file beside
        the journal; ``notes`` says so. Scans are read again from where they were (unless ``load_scans`` is
        False); a scan that is gone or not the same any more leaves its entry with ``problem`` set and its mask
        in place. ``progress`` gets 0 to 1. May run in any thread. Raises ``CaseError`` when there is no readable case
        or another window holds it; in a folder that cannot be written the case opens with ``read_only``.
        """
        case = cls(open_case(directory))
        if load_scans:
            try:
                case._load_scans(progress)
            except BaseException:
                case.close()
                raise
        return case

    def __enter__(self) -> Case:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Changing

    def set_prompt(self, prompt: Prompt, text: str) -> bool:
        """Set the active scan's boxes and points: one undo step called ``text``, which the mask found joins.

        Returns whether anything changed. Slices in ``fixed`` are not kept: they are the mask's. Raises
        ``PromptError`` for a box outside the scan or without area and for a point outside the scan.
        """
        entry = self._entry(None)
        prompt = replace(prompt, fixed=())
        if prompt == self.prompt:
            return False
        _refuse_look_only(entry)
        prompting.check_prompt(prompt, entry.geometry)
        self._step(entry, text, {"prompt": prompt_to_json(prompt)})
        return True

    def set_box(self, box: BoxPrompt | None) -> None:
        """Set the active scan's only box, or remove boxes and points: one undo step, which the mask found joins.

        Raises ``PromptError`` for a box outside the scan or without area.
        """
        text = "Remove box" if box is None else "Draw box" if self.box is None else "Adjust box"
        self.set_prompt(Prompt() if box is None else Prompt.of(box), text)

    def set_segmentation(
        self, segmentation: Segmentation, *, scan_id: str | None = None, text: str = "Segment"
    ) -> None:
        """Replace the mask by an engine's answer, and boxes with an open depth by those the engine used.

        Becomes part of the undo step of the prompt that caused it when that is the last step; else a step of
        its own called ``text``. ``scan_id`` is the scan the engine ran on (default: the active one, which it
        becomes). Raises ``CaseError`` when the answer lies on another grid than the scan.
        """
        entry = self._entry(scan_id)
        if not segmentation.geometry.matches(entry.geometry):
            raise CaseError(f"The mask was made on another scan than {entry.name}; segment this scan again.")
        _refuse_look_only(entry)
        made = SegmentationRecord.of(segmentation, entry.modality)
        work = self._state.work[entry.id]
        region = region_from_json(region_to_json(segmentation.region), entry.geometry.shape)
        patch = edits.patch_to(work, region, np.asarray(segmentation.probability > 0.5))
        prompt = prompting.answered(work.marks.prompt, segmentation.prompt)
        changes = edits.answered(prompt, made.to_json(self._put(made.packed)), made.fixed_slices)
        last = self._state.history.last
        joins = (
            last is not None
            and last.scan_id == entry.id
            and last.patch is None
            and last.after == work.marks
            and last.before.prompt != last.after.prompt
            and last.before.segmentation is last.after.segmentation
        )
        self._step(entry, text, changes, patch, joins=joins)

    def edit_mask(self, region: Region, new_values: NDArray[np.bool_], description: str) -> bool:
        """Set the voxels of ``region`` ``(k, j, i)`` to ``new_values``: one undo step called ``description``.

        ``new_values`` is boolean ``[k, j, i]`` of the region's shape. Marks the mask as edited. Returns
        whether any voxel changed; when none did nothing is recorded. ``CaseError`` for a region outside.
        """
        entry = self._entry(None)
        _refuse_look_only(entry)
        region = region_from_json(region_to_json(region), entry.geometry.shape)
        values = np.asarray(new_values, dtype=np.bool_)
        if values.shape != region_shape(region):
            raise CaseError(f"The change of the mask has the shape {values.shape}, its place {region_shape(region)}.")
        mask = self.mask
        patch = MaskPatch.between(None if mask is None else mask.array[region], values, region)
        if patch is None:
            return False
        self._step(entry, description, edits.drawn_by_hand(self._work, patch), patch)
        return True

    def clear_mask(self) -> bool:
        """Empty the mask: one undo step, after which no slice counts as drawn by hand. False when it is empty."""
        work = self._work
        if work.mask is None or work.extent is None:
            return False
        patch = edits.patch_to(work, work.extent, np.zeros(region_shape(work.extent), dtype=np.bool_))
        if patch is None:
            return False
        changes = {"edited": True, "edited_slices": [], "has_mask": True}
        changes |= {"carried_from": None, "carried_aligned": False}
        self._step(self._entry(None), "Clear mask", changes, patch)
        return True

    def set_checked(self, checked: bool) -> bool:
        """Say that the mask was looked at and found right, or take that back: one undo step.

        Any later change of the mask takes it back too. False when nothing changes; ``CaseError`` without a mask.
        """
        entry = self._entry(None)
        if self.mask is None:
            raise CaseError("There is no mask to check yet; draw a box round the haematoma first.")
        if checked == self.checked:
            return False
        if checked and self.carried_from is not None:
            raise CaseError("This mask was carried over from another scan and cannot be checked; segment this scan.")
        self._step(entry, "Mark as checked" if checked else "Mark as unchecked", {"checked": checked})
        return True

    def replace_mask(self, mask: LabelMap, description: str = "Import mask") -> None:
        """Use a mask made elsewhere on the active scan's grid: one undo step; counts as edited by hand."""
        entry = self._entry(None)
        if not mask.geometry.matches(entry.geometry):
            raise CaseError(f"The mask lies on another grid than the scan {entry.name}; export it on the scan's grid.")
        _refuse_look_only(entry)
        everything = whole_region(entry.geometry.shape)
        patch = edits.patch_to(self._state.work[entry.id], everything, mask.array)
        changes: dict[str, Any] = {"segmentation": None, "edited": True, "edited_slices": [], "has_mask": True}
        self._step(entry, description, changes, patch)

    def carry_mask(self, from_scan: str, to_scan: str) -> bool:
        """Lay the mask of one scan on another one's grid, which becomes the active scan: one undo step there.

        Voxels are matched by patient coordinates, through the scans' alignment if any; nothing is registered
        here. The mask found counts as carried, and what is carried is never measured, printed, marked as checked or
        learned from, nor after edits by hand: only an engine's answer or a mask from a file makes a mask of this scan's
        own. Returns whether anything changed. ``CaseError`` without a mask that was made on the first scan, and where
        that mask lies outside the second.
        """
        source, target = self._entry(from_scan), self._entry(to_scan)
        mask = self._state.work[source.id].mask
        if source.id == target.id or mask is None or not self.has_mask(source.id):
            raise CaseError("There is no mask to carry over; choose another scan that was segmented.")
        _refuse_look_only(target)
        labels = self.labels
        move = self.alignment(source.id, target.id)
        found = carried(mask, target.geometry, move)
        if not found.array.any():
            raise CaseError(
                f"The mask of {labels[source.id]} lies outside {labels[target.id]}; segment that scan itself."
            )
        work = self._state.work[target.id]
        patch = edits.patch_to(work, whole_region(target.geometry.shape), found.array)
        aligned = move is not None
        if patch is None and (work.marks.carried_from, work.marks.carried_aligned) == (source.id, aligned):
            return False
        changes: dict[str, Any] = {"segmentation": None, "edited": False, "edited_slices": [], "has_mask": True}
        changes |= {"checked": False, "carried_from": source.id, "carried_aligned": aligned}
        self._step(target, f"Carry mask from {labels[source.id]}", changes, patch, kind="carry")
        return True

    def undo(self) -> bool:
        """Take the last step back; a step on another scan makes that scan active. False when there is none."""
        if self._state.history.last is None:
            return False
        self._commit({"type": "undo", "time": utc_now()})
        return True

    def redo(self) -> bool:
        """Do the last undone step again; False when there is none."""
        if self._state.history.next is None:
            return False
        self._commit({"type": "redo", "time": utc_now()})
        return True

    # Exporting

    def export_mask(self, path: Path) -> tuple[str, ...]:
        """Write the active scan's mask as a compressed NIfTI label map; ``ExportError`` without one.

        Returns sentences about what in the file is not as in the scan.
        """
        return export.export_mask(self.snapshot(), path)

    def export_stl(self, path: Path) -> PrintReport:
        """Write the printable surface as binary STL in LPS mm and return what was checked about it."""
        return export.export_stl(self.snapshot(), path)

    def export_csv(self, path: Path) -> None:
        """Write the three readings with the scan, model and program they came from."""
        export.export_csv(self.snapshot(), path)

    # Inside

    def _step(
        self,
        entry: ScanEntry,
        text: str,
        changes: dict[str, Any],
        patch: MaskPatch | None = None,
        *,
        joins: bool = False,
        kind: str = "step",
    ) -> None:
        record: Record = {"type": kind, "time": utc_now(), "scan": entry.id, "text": text, "set": changes}
        if patch is not None:
            record["patch"] = {"region": region_to_json(patch.region), "file": self._put(patch.data)}
        if joins:
            record["joins"] = True
        self._commit(record)

    def _load_scans(self, progress: Callable[[float], None] | None) -> None:
        total = len(self._state.scans)
        for number, entry in enumerate(self.scans):
            report = None
            if progress is not None:
                report = partial(_report_part, progress, number, total)
            self._state.scans[entry.id] = load_entry(entry, report)


def _refuse_look_only(entry: ScanEntry) -> None:
    if entry.look_only is not None:
        raise CaseError(entry.look_only)


def _report_part(progress: Callable[[float], None], number: int, total: int, fraction: float) -> None:
    progress((number + fraction) / total)
