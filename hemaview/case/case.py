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
from hemaview.case.content import CaseContent
from hemaview.case.examinations import study_day
from hemaview.case.journal import Journal, Record
from hemaview.case.loading import load_entry
from hemaview.case.opening import OpenCase, create_case, open_case
from hemaview.case.patches import (
    MaskPatch,
    Region,
    region_from_json,
    region_shape,
    region_to_json,
    whole_region,
)
from hemaview.case.preparation import Preparation
from hemaview.case.records import (
    SegmentationRecord,
    fingerprint,
    prompt_to_json,
    utc_now,
)
from hemaview.case.scan_entry import ScanEntry, scan_record
from hemaview.case.signal import Signal
from hemaview.case.state import CaseChange, ChangeKind
from hemaview.errors import CaseError
from hemaview.imaging import LabelMap, Volume
from hemaview.imaging.carrying import carried
from hemaview.imaging.preprocessing import Prepared
from hemaview.imaging.sequence import Sequence
from hemaview.segmentation import BoxPrompt, Prompt, Segmentation
from hemaview.surface import PrintReport


class Case(CaseContent):
    """One patient's scans with one prompt and one mask each, in a folder that always holds what is shown.

    Made by ``create`` or ``open``. Every change is written to the journal and synced to the disk first,
    then takes effect, then ``changed`` tells the listeners. A change that cannot be saved raises
    ``CaseError`` and does not happen. Methods and properties belong to one thread (the window's);
    ``snapshot()`` gives worker threads something that never changes under them. A scan that can only be looked at takes
    no box, no mask and no edit (``CaseError``). ``prompt``, ``mask``,
    ``segmentation``, ``edited``, ``checked`` and the readings are those of the active scan.
    """

    def __init__(self, opened: OpenCase) -> None:
        super().__init__(opened)
        self.changed: Signal[CaseChange] = Signal()
        self._lock = opened.lock
        self._blobs = opened.blobs

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

    def close(self) -> None:
        """Give the case free for other windows; nothing needs saving. Safe to call twice."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        self._lock.release()

    def __enter__(self) -> Case:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Changing

    def add_scan(
        self, path: Path, volume: Volume, *, series_uid: str | None = None, digest: str | None = None
    ) -> ScanEntry:
        """Add a scan that was read from ``path`` and make it the active one. Not an undo step.

        The pixels are not copied: reopening reads ``path`` again. ``series_uid`` names the series where the
        path holds several. ``digest`` is ``fingerprint(volume)`` where a worker has already computed it.
        """
        scan_id = f"scan-{len(self._state.scans) + 1}"
        day = study_day(volume, self.scans)
        record = scan_record(
            scan_id, path, volume, digest=digest or fingerprint(volume), series_uid=series_uid, day=day
        )
        self._commit(record | {"time": utc_now()}, lambda: self._attach(scan_id, volume))
        return self._state.scans[scan_id]

    def set_active_scan(self, scan_id: str) -> None:
        """Make another scan the active one. Not an undo step."""
        if self._entry(scan_id).id != self._state.active_id:
            self._commit({"type": "activate", "time": utc_now(), "scan": scan_id})

    def set_sequence(self, scan_id: str, sequence: Sequence | None) -> bool:
        """Say what kind of scan it is, or with None go back to the guess. Not an undo step. False when nothing changes.

        Window, model input, warnings and volume correction follow; mask and boxes stay.
        """
        entry = self._entry(scan_id)
        if sequence is entry.chosen:
            return False
        chosen = None if sequence is None else str(sequence)
        self._commit({"type": "sequence", "time": utc_now(), "scan": entry.id, "sequence": chosen})
        return True

    def relocate_scan(self, scan_id: str, path: Path, volume: Volume, *, series_uid: str | None = None) -> ScanEntry:
        """Say where a missing or changed scan now lies; ``CaseError`` when ``volume`` is not on the same grid."""
        entry = self._entry(scan_id)
        if not volume.geometry.matches(entry.geometry):
            raise CaseError(
                f"{path.name} has another grid than the scan {entry.name}; choose the scan the mask was made on."
            )
        record: Record = {
            "type": "relocate",
            "time": utc_now(),
            "scan": scan_id,
            "path": str(path.absolute()),
            "series_uid": series_uid,
            "digest": fingerprint(volume),
        }
        self._commit(record, lambda: self._attach(scan_id, volume))
        return self._state.scans[scan_id]

    def set_preparation(self, scan_id: str, preparation: Preparation | None, prepared: Prepared | None = None) -> None:
        """Say how a scan is prepared for the eye or the model; None goes back to the scan itself. Not an undo step.

        ``prepared`` is what came out where that is known; else ``show_prepared`` brings it. Masks, readings and the
        fingerprint stay those of the scan. Raises ``CaseError`` when ``prepared`` lies on another grid.
        """
        entry = self._entry(scan_id)
        _check_grid(entry, prepared)
        data = None if preparation is None else preparation.to_json()
        record: Record = {"type": "prepare", "time": utc_now(), "scan": entry.id, "preparation": data}
        self._commit(record, lambda: self._keep_prepared(entry.id, prepared))

    def show_prepared(self, scan_id: str, prepared: Prepared) -> None:
        """Bring what a recorded preparation came out as, after reopening; nothing is recorded."""
        entry = self._entry(scan_id)
        _check_grid(entry, prepared)
        self._keep_prepared(entry.id, prepared)
        self.changed.emit(CaseChange(ChangeKind.SCAN, entry.id))

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
        changes = {"edited": True, "edited_slices": [], "has_mask": True, "carried_from": None}
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

        Voxels are matched by patient coordinates, nothing is registered. The mask found counts as carried, and what is
        carried is never measured, printed, marked as checked or learned from, nor after edits by hand: only an engine's
        answer or a mask from a file makes a mask of this scan's own. Returns whether anything changed. ``CaseError``
        without a mask that was made on the first scan, and where that mask lies outside the second.
        """
        source, target = self._entry(from_scan), self._entry(to_scan)
        mask = self._state.work[source.id].mask
        if source.id == target.id or mask is None or not self.has_mask(source.id):
            raise CaseError("There is no mask to carry over; choose another scan that was segmented.")
        _refuse_look_only(target)
        labels = self.labels
        found = carried(mask, target.geometry)
        if not found.array.any():
            raise CaseError(
                f"The mask of {labels[source.id]} lies outside {labels[target.id]}; segment that scan itself."
            )
        work = self._state.work[target.id]
        patch = edits.patch_to(work, whole_region(target.geometry.shape), found.array)
        if patch is None and work.marks.carried_from == source.id:
            return False
        changes: dict[str, Any] = {"segmentation": None, "edited": False, "edited_slices": [], "has_mask": True}
        changes |= {"checked": False, "carried_from": source.id}
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

    def _put(self, data: bytes) -> str:
        self._writable()
        return self._blobs.put(data)

    def _writable(self) -> Journal:
        if self._journal is None:
            raise CaseError(
                f"The case {self.directory.name} cannot be changed here; "
                "copy its folder to a place that can be written and open it there."
            )
        return self._journal

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

    def _commit(self, record: Record, then: Callable[[], None] | None = None) -> None:
        """Save a record, carry it out, and only then tell the listeners."""
        self._writable().append(record)
        changes = self._state.apply(record)
        if then is not None:
            then()
        self._refresh(changes)
        for change in changes:
            self.changed.emit(change)

    def _refresh(self, changes: tuple[CaseChange, ...]) -> None:
        if any(change.kind in (ChangeKind.SCAN, ChangeKind.MASK) for change in changes):
            self._revision += 1
            self._snapshot = None
        elif self._snapshot is not None:
            # Only the prompt changed: what was computed from the mask still holds.
            self._snapshot = self._view(self._snapshot.scan, self._snapshot.derived)

    def _attach(self, scan_id: str, volume: Volume) -> None:
        self._state.scans[scan_id] = self._state.scans[scan_id].with_volume(volume)

    def _keep_prepared(self, scan_id: str, prepared: Prepared | None) -> None:
        self._state.scans[scan_id] = replace(self._state.scans[scan_id], prepared=prepared)

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


def _check_grid(entry: ScanEntry, prepared: Prepared | None) -> None:
    if prepared is not None and not prepared.display.geometry.matches(entry.geometry):
        raise CaseError(f"The prepared scan lies on another grid than {entry.name}; prepare this scan again.")


def _report_part(progress: Callable[[float], None], number: int, total: int, fraction: float) -> None:
    progress((number + fraction) / total)
