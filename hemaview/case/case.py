"""A case: scans, box, mask and readings, saved change by change. Complete without a window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hemaview.case import export
from hemaview.case.history import Marks
from hemaview.case.journal import Journal, Record
from hemaview.case.loading import load_entry
from hemaview.case.opening import OpenCase, create_case, open_case
from hemaview.case.patches import (
    MaskPatch,
    Region,
    hull,
    region_from_json,
    region_shape,
    region_to_json,
    whole_region,
)
from hemaview.case.records import (
    ScanEntry,
    SegmentationRecord,
    box_to_json,
    fingerprint,
    geometry_to_json,
    utc_now,
)
from hemaview.case.signal import Signal
from hemaview.case.snapshot import Derived, Snapshot
from hemaview.case.state import CaseChange, ChangeKind, Work
from hemaview.errors import CaseError
from hemaview.imaging import LabelMap, Volume
from hemaview.segmentation import BoxPrompt, Segmentation
from hemaview.surface import Mesh, PrintReport
from hemaview.volumetry import Reading, TadaMeasurement


class Case:
    """One patient's scans with one box and one mask each, in a folder that always holds what is shown.

    Made by ``create`` or ``open``. Every change is written to the journal and synced to the disk first,
    then takes effect, then ``changed`` tells the listeners. A change that cannot be saved raises
    ``CaseError`` and does not happen. Methods and properties belong to one thread (the window's);
    ``snapshot()`` gives worker threads something that never changes under them. ``box``, ``mask``,
    ``segmentation``, ``edited`` and the readings are those of the active scan.
    """

    def __init__(self, opened: OpenCase) -> None:
        self.directory = opened.directory
        self.id: str = opened.header["id"]
        self.created: str = opened.header["created"]
        self.notes = opened.notes
        self.changed: Signal[CaseChange] = Signal()
        self._lock = opened.lock
        self._journal = opened.journal
        self._state = opened.state
        self._blobs = opened.blobs
        self._revision = 0
        self._snapshot: Snapshot | None = None

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

    # Looking

    @property
    def read_only(self) -> bool:
        """Whether changes are refused, because the folder cannot be written or the case was closed."""
        return self._journal is None

    @property
    def name(self) -> str:
        """The first scan's name, or the folder's while there is none."""
        return next((entry.name for entry in self._state.scans.values()), self.directory.name)

    @property
    def scans(self) -> tuple[ScanEntry, ...]:
        """All scans in the order they were added."""
        return tuple(self._state.scans.values())

    @property
    def active_scan(self) -> ScanEntry | None:
        """The scan that box, mask and readings belong to; None in an empty case."""
        return None if self._state.active_id is None else self._state.scans[self._state.active_id]

    @property
    def box(self) -> BoxPrompt | None:
        """The active scan's box."""
        return self._work.marks.box

    @property
    def mask(self) -> LabelMap | None:
        """The active scan's mask; its array is read-only and never changes. None before the first one."""
        return self._work.mask

    @property
    def segmentation(self) -> SegmentationRecord | None:
        """What the mask came from; None for a mask made by hand alone."""
        return self._work.marks.segmentation

    @property
    def edited(self) -> bool:
        """Whether a hand changed the mask since the engine's last answer."""
        return self._work.marks.edited

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to undo."""
        return not self.read_only and self._state.history.last is not None

    @property
    def can_redo(self) -> bool:
        """Whether there is an undone step to do again."""
        return not self.read_only and self._state.history.next is not None

    @property
    def undo_text(self) -> str:
        """What ``undo`` would take back, for example "Draw box"; empty when nothing."""
        step = self._state.history.last
        return step.text if step else ""

    @property
    def redo_text(self) -> str:
        """What ``redo`` would do again; empty when nothing."""
        step = self._state.history.next
        return step.text if step else ""

    @property
    def history_bytes(self) -> int:
        """Memory kept for undo and redo."""
        return self._state.history.memory

    @property
    def revision(self) -> int:
        """A number that grows with every change of a mask, a segmentation or the choice of scan."""
        return self._revision

    def snapshot(self, scan_id: str | None = None) -> Snapshot:
        """An immutable view of the active scan's work (or of ``scan_id``), for worker threads and exports.

        Raises ``CaseError`` when the case holds no such scan.
        """
        entry = self._entry(scan_id)
        if entry.id != self._state.active_id:
            return self._view(entry, Derived())
        if self._snapshot is None:
            self._snapshot = self._view(entry, Derived())
        return self._snapshot

    def readings(self) -> tuple[Reading, Reading, Reading]:
        """Direct, Tada and corrected volume of the active scan's mask; computed once per revision."""
        return self.snapshot().readings()

    def tada(self) -> TadaMeasurement | None:
        """A, B, C of the active scan's mask; None without voxels."""
        return self.snapshot().tada()

    def mesh(self) -> Mesh | None:
        """The surface of the active scan's mask in LPS mm; None without voxels."""
        return self.snapshot().mesh()

    # Changing

    def add_scan(
        self, path: Path, volume: Volume, *, series_uid: str | None = None, digest: str | None = None
    ) -> ScanEntry:
        """Add a scan that was read from ``path`` and make it the active one. Not an undo step.

        The pixels are not copied: reopening reads ``path`` again. ``series_uid`` names the series where the
        path holds several. ``digest`` is ``fingerprint(volume)`` where a worker has already computed it.
        """
        scan_id = f"scan-{len(self._state.scans) + 1}"
        record: Record = {
            "type": "scan",
            "time": utc_now(),
            "scan": scan_id,
            "path": str(path.absolute()),
            "series_uid": series_uid,
            "name": volume.name,
            "modality": str(volume.modality),
            "geometry": geometry_to_json(volume.geometry),
            "digest": digest or fingerprint(volume),
        }
        self._commit(record, lambda: self._attach(scan_id, volume))
        return self._state.scans[scan_id]

    def set_active_scan(self, scan_id: str) -> None:
        """Make another scan the active one. Not an undo step."""
        if self._entry(scan_id).id != self._state.active_id:
            self._commit({"type": "activate", "time": utc_now(), "scan": scan_id})

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

    def set_box(self, box: BoxPrompt | None) -> None:
        """Set or remove the active scan's box: one undo step, which the mask found in it will join.

        Raises ``PromptError`` for a box outside the scan or without area.
        """
        entry = self._entry(None)
        if box == self.box:
            return
        if box is not None:
            box.clipped_bounds(entry.geometry)
        text = "Remove box" if box is None else "Draw box" if self.box is None else "Adjust box"
        self._step(entry, text, {"box": box_to_json(box)})

    def set_segmentation(self, segmentation: Segmentation, *, scan_id: str | None = None) -> None:
        """Replace the mask by an engine's answer, and the box by the one the engine used.

        Becomes part of the undo step of the box that caused it when that is the last step; else a step of
        its own. ``scan_id`` is the scan the engine ran on (default: the active one, which it becomes).
        Raises ``CaseError`` when the answer lies on another grid than the scan.
        """
        entry = self._entry(scan_id)
        if not segmentation.geometry.matches(entry.geometry):
            raise CaseError(f"The mask was made on another scan than {entry.name}; segment this scan again.")
        made = SegmentationRecord.of(segmentation)
        work = self._state.work[entry.id]
        region = region_from_json(region_to_json(segmentation.region), entry.geometry.shape)
        patch = self._patch_to(work, region, np.asarray(segmentation.probability > 0.5))
        changes = {
            "box": box_to_json(segmentation.box),
            "segmentation": made.to_json(self._put(made.packed)),
            "edited": False,
            "has_mask": True,
        }
        last = self._state.history.last
        joins = (
            last is not None
            and last.scan_id == entry.id
            and last.patch is None
            and last.after == work.marks
            and last.before.box != last.after.box
            and last.before.segmentation is last.after.segmentation
        )
        self._step(entry, "Segment", changes, patch, joins=joins)

    def edit_mask(self, region: Region, new_values: NDArray[np.bool_], description: str) -> bool:
        """Set the voxels of ``region`` ``(k, j, i)`` to ``new_values``: one undo step called ``description``.

        ``new_values`` is boolean ``[k, j, i]`` of the region's shape. Marks the mask as edited. Returns
        whether any voxel changed; when none did nothing is recorded. ``CaseError`` for a region outside.
        """
        entry = self._entry(None)
        region = region_from_json(region_to_json(region), entry.geometry.shape)
        values = np.asarray(new_values, dtype=np.bool_)
        if values.shape != region_shape(region):
            raise CaseError(f"The change of the mask has the shape {values.shape}, its place {region_shape(region)}.")
        mask = self.mask
        patch = MaskPatch.between(None if mask is None else mask.array[region], values, region)
        if patch is None:
            return False
        self._step(entry, description, {"edited": True, "has_mask": True}, patch)
        return True

    def replace_mask(self, mask: LabelMap, description: str = "Import mask") -> None:
        """Use a mask made elsewhere on the active scan's grid: one undo step; counts as edited by hand."""
        entry = self._entry(None)
        if not mask.geometry.matches(entry.geometry):
            raise CaseError(f"The mask lies on another grid than the scan {entry.name}; export it on the scan's grid.")
        everything = whole_region(entry.geometry.shape)
        patch = self._patch_to(self._state.work[entry.id], everything, mask.array)
        self._step(entry, description, {"segmentation": None, "edited": True, "has_mask": True}, patch)

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

    def export_mask(self, path: Path) -> None:
        """Write the active scan's mask as a compressed NIfTI label map; ``ExportError`` without one."""
        export.export_mask(self.snapshot(), path)

    def export_stl(self, path: Path) -> PrintReport:
        """Write the printable surface as binary STL in LPS mm and return what was checked about it."""
        return export.export_stl(self.snapshot(), path)

    def export_csv(self, path: Path) -> None:
        """Write the three readings with the scan, model and program they came from."""
        export.export_csv(self.snapshot(), path)

    # Inside

    @property
    def _work(self) -> Work:
        return Work() if self._state.active_id is None else self._state.work[self._state.active_id]

    def _entry(self, scan_id: str | None) -> ScanEntry:
        wanted = self._state.active_id if scan_id is None else scan_id
        if wanted is None:
            raise CaseError("The case holds no scan yet; open one first.")
        if wanted not in self._state.scans:
            raise CaseError(f"The case holds no scan {wanted}.")
        return self._state.scans[wanted]

    def _view(self, entry: ScanEntry, derived: Derived) -> Snapshot:
        work = self._state.work[entry.id]
        marks: Marks = work.marks
        return Snapshot(self._revision, entry, marks.box, work.mask, marks.segmentation, marks.edited, derived)

    def _patch_to(self, work: Work, region: Region, values: NDArray[np.bool_]) -> MaskPatch | None:
        """The patch after which the mask is ``values`` in ``region`` and empty elsewhere."""
        whole = hull(work.extent, region) or region
        after = np.zeros(region_shape(whole), dtype=np.bool_)
        inner = tuple(slice(r.start - w.start, r.stop - w.start) for r, w in zip(region, whole, strict=True))
        after[inner] = values
        return MaskPatch.between(None if work.mask is None else work.mask.array[whole], after, whole)

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
    ) -> None:
        record: Record = {"type": "step", "time": utc_now(), "scan": entry.id, "text": text, "set": changes}
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
            # Only the box moved: what was computed from the mask still holds.
            self._snapshot = self._view(self._snapshot.scan, self._snapshot.derived)

    def _attach(self, scan_id: str, volume: Volume) -> None:
        self._state.scans[scan_id] = replace(self._state.scans[scan_id], volume=volume, problem=None)

    def _load_scans(self, progress: Callable[[float], None] | None) -> None:
        total = len(self._state.scans)
        for number, entry in enumerate(self.scans):
            report = None
            if progress is not None:
                report = partial(_report_part, progress, number, total)
            self._state.scans[entry.id] = load_entry(entry, report)


def _report_part(progress: Callable[[float], None], number: int, total: int, fraction: float) -> None:
    progress((number + fraction) / total)
