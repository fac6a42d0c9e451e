"""What can be seen of a case: scans, prompt, mask, what made it, readings, and what can be undone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hemaview.case import edits
from hemaview.case.alignment import map_between
from hemaview.case.examinations import scan_labels
from hemaview.case.journal import Journal
from hemaview.case.opening import OpenCase
from hemaview.case.records import SegmentationRecord
from hemaview.case.scan_entry import ScanEntry
from hemaview.case.snapshot import Derived, Snapshot
from hemaview.case.state import Work
from hemaview.errors import CaseError
from hemaview.imaging import LabelMap
from hemaview.imaging.rigid import RigidMap
from hemaview.segmentation import BoxPrompt, Prompt
from hemaview.surface import Mesh
from hemaview.volumetry import Reading, TadaMeasurement


class CaseContent:
    """The part of a ``Case`` that only looks; it changes nothing but its own memory of what was computed."""

    def __init__(self, opened: OpenCase) -> None:
        self.directory = opened.directory
        self.id: str = opened.header["id"]
        self.created: str = opened.header["created"]
        self.notes = opened.notes
        self._journal: Journal | None = opened.journal
        self._state = opened.state
        self._revision = 0
        self._snapshot: Snapshot | None = None

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
    def labels(self) -> Mapping[str, str]:
        """What to call each scan, by id; see ``scan_labels``."""
        return scan_labels(self.scans)

    @property
    def carried_from(self) -> ScanEntry | None:
        """The scan that the active scan's mask was carried over from; None for a mask of its own."""
        source = self._work.marks.carried_from
        return None if source is None else self._state.scans[source]

    @property
    def carried_aligned(self) -> bool:
        """Whether the active scan's mask was carried over through an alignment."""
        return self._work.marks.carried_aligned

    def alignment(self, from_scan: str, to_scan: str) -> RigidMap | None:
        """What takes LPS points of one scan to the same place of the head in another one.

        Alignments are followed backwards and through further scans too. None where none joins the two.
        """
        return map_between(self._state.scans, self._entry(from_scan).id, self._entry(to_scan).id)

    def has_mask(self, scan_id: str) -> bool:
        """Whether a scan has a mask with a voxel that was made on it, so that it can be carried to another scan."""
        work = self._state.work[self._entry(scan_id).id]
        if work.mask is None or work.extent is None or work.marks.carried_from is not None:
            return False
        return bool(work.mask.array[work.extent].any())

    @property
    def prompt(self) -> Prompt:
        """The active scan's boxes, redrawn rectangles and points; ``fixed`` is always empty here."""
        return self._work.marks.prompt

    @property
    def box(self) -> BoxPrompt | None:
        """The active scan's first box."""
        return self.prompt.box

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
    def edited_slices(self) -> tuple[int, ...]:
        """The slices k, in order, that a hand drew and that no engine has replaced since."""
        return self._work.marks.edited_slices

    @property
    def checked(self) -> bool:
        """Whether a person marked the mask, as it is now, as looked at and right."""
        return self._work.marks.checked

    def question(self, *, keep_edits: bool = True) -> Prompt:
        """What to ask an engine: the prompt, with the slices that a hand drew as ``fixed`` unless told otherwise.

        Slices of a carried mask are never kept, for an edit by hand leaves carried voxels on them.
        """
        keep = keep_edits and self.carried_from is None
        return replace(self.prompt, fixed=edits.fixed_slices(self.mask, self.edited_slices) if keep else ())

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
        marks = work.marks
        return Snapshot(
            self._revision,
            entry,
            marks.prompt,
            work.mask,
            marks.segmentation,
            marks.edited,
            derived,
            carried_from=None if marks.carried_from is None else self.labels[marks.carried_from],
            carried_aligned=marks.carried_aligned,
        )
