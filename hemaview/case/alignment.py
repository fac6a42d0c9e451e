"""How scans of a case lie on each other where the head moved between them; used for looking, never for measuring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hemaview.case.preparation import boxes_of
from hemaview.errors import CaseError
from hemaview.imaging.preprocessing import RigidMove, register_rigid, registration_settings
from hemaview.imaging.preprocessing.grids import Progress
from hemaview.imaging.rigid import RigidMap

if TYPE_CHECKING:
    from hemaview.case.scan_entry import ScanEntry
    from hemaview.case.snapshot import Snapshot


@dataclass(frozen=True)
class Alignment:
    """How the head of one scan has to move to lie on that of another.

    ``move`` takes LPS points of the one to those of the other. ``information_before`` and ``information_after`` are the
    mutual information of both scans in nats, ``degrees`` the turn, ``distance_mm`` how far the head's centre moves.
    ``settings`` is what it was found with, as plain JSON types.
    """

    move: RigidMap
    information_before: float
    information_after: float
    degrees: float
    distance_mm: float
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """For example "moved by 8.0 mm and turned by 5.0 degrees"."""
        return f"moved by {self.distance_mm:.1f} mm and turned by {self.degrees:.1f} degrees"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "matrix": list(self.move.matrix),
            "information_before": self.information_before,
            "information_after": self.information_after,
            "degrees": self.degrees,
            "distance_mm": self.distance_mm,
            "settings": dict(self.settings),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Alignment:
        """Inverse of ``to_json``; ``ValueError`` for a matrix that is not rigid."""
        return cls(
            RigidMap(tuple(data["matrix"])),
            float(data["information_before"]),
            float(data["information_after"]),
            float(data["degrees"]),
            float(data["distance_mm"]),
            dict(data["settings"]),
        )


def find_alignment(scan: Snapshot, to: Snapshot, progress: Progress | None = None) -> Alignment:
    """How ``scan`` lies on ``to``, found by registration; the same answer every time.

    The thinner scan is laid on the thicker one, whose boxes are left out, because a haematoma may have grown. Raises
    ``ScanError`` where the scans cannot be aligned, ``CaseError`` where a file is not there, and what ``progress``
    raises.
    """
    one, other = scan.scan.volume, to.scan.volume
    if one is None or other is None:
        raise CaseError("One of the scans is not there; show where its file is, then align them.")
    onto = one.geometry.slice_spacing_mm <= other.geometry.slice_spacing_mm
    fixed, moving, thicker = (other, one, to) if onto else (one, other, scan)
    ignore = boxes_of(thicker.prompt, fixed.geometry)
    found = register_rigid(fixed, moving, ignore=ignore, progress=progress)
    from_fixed = RigidMap.of(found.rotation, found.shift)
    return _recorded(from_fixed.inverse if onto else from_fixed, found, len(ignore))


def check_alignment(scan: ScanEntry, to: ScanEntry, scans: Mapping[str, ScanEntry], labels: Mapping[str, str]) -> None:
    """``CaseError`` with the sentence that says why ``scan`` may not be aligned to ``to``."""
    if scan.id == to.id:
        raise CaseError("A scan cannot be aligned to itself; choose another one.")
    one, other = labels[scan.id], labels[to.id]
    patients = {entry.volume.study.patient for entry in (scan, to) if entry.volume is not None} - {""}
    if len(patients) > 1:
        raise CaseError(f"{one} and {other} name different patients, so they are not aligned; open them as two cases.")
    for entry in (scan, to):
        if entry.look_only is not None:
            raise CaseError(f"{labels[entry.id]} is not aligned, because {entry.not_measurable}; choose another scan.")
    if _leads_to(to.id, scan.id, scans):
        raise CaseError(f"{other} is aligned to {one} already; remove that alignment first.")


def check_chain(scan_id: str, to: str, scans: Mapping[str, ScanEntry]) -> None:
    """``CaseError`` where a recorded alignment would lead from a scan to itself."""
    if _leads_to(to, scan_id, scans):
        raise CaseError("The case's record aligns a scan to itself.")


def map_between(scans: Mapping[str, ScanEntry], start: str, end: str) -> RigidMap | None:
    """The map from one scan's LPS points to another's through the alignments of the case; None where none joins them.

    Backwards and through further scans too.
    """
    if start == end:
        return RigidMap()
    (start_root, to_start_root), (end_root, to_end_root) = (_to_root(scans, scan_id) for scan_id in (start, end))
    return to_end_root.inverse.after(to_start_root) if start_root == end_root else None


def _to_root(scans: Mapping[str, ScanEntry], scan_id: str) -> tuple[str, RigidMap]:
    """The scan at the end of the alignments that begin at ``scan_id``, and the map there."""
    whole, last = RigidMap(), scan_id
    for entry in _way_up(scan_id, scans):
        last = entry.id
        if entry.alignment is not None:
            whole = entry.alignment.move.after(whole)
    return last, whole


def _leads_to(start: str, end: str, scans: Mapping[str, ScanEntry]) -> bool:
    return any(entry.id == end for entry in _way_up(start, scans))


def _way_up(scan_id: str, scans: Mapping[str, ScanEntry]) -> Iterator[ScanEntry]:
    """A scan, the one it is aligned to, the one that is aligned to, and so on."""
    following: str | None = scan_id
    while following is not None:
        entry = scans[following]
        yield entry
        following = entry.aligned_to


def _recorded(move: RigidMap, found: RigidMove, boxes: int) -> Alignment:
    settings = {**registration_settings(), "boxes_left_out": boxes}
    return Alignment(
        move, found.information_before, found.information_after, found.degrees, found.distance_mm, settings
    )
