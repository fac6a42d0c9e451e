"""What can be said about the scans of a case; nothing of it is an undo step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hemaview.case.alignment import Alignment, check_alignment
from hemaview.case.examinations import study_day
from hemaview.case.journal import Record
from hemaview.case.preparation import Preparation
from hemaview.case.records import fingerprint, utc_now
from hemaview.case.saved import SavedCase
from hemaview.case.scan_entry import ScanEntry, scan_record
from hemaview.case.state import CaseChange, ChangeKind
from hemaview.errors import CaseError
from hemaview.imaging import Volume
from hemaview.imaging.preprocessing import Prepared
from hemaview.imaging.sequence import Sequence


class CaseScans(SavedCase):
    """The part of a ``Case`` that adds scans and says what they are, where they lie and how they are prepared."""

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

    def align(self, scan_id: str, to_id: str, alignment: Alignment) -> None:
        """Say how a scan lies on another one; it takes the place of the alignment it had. Not an undo step.

        Used to keep the crosshair at one place of the head and to carry masks on request; no scan, mask or reading
        changes. ``CaseError`` as ``check_alignment`` says.
        """
        self.check_alignment(scan_id, to_id)
        record: Record = {"type": "align", "time": utc_now(), "scan": scan_id, "to": to_id}
        self._commit({**record, "alignment": alignment.to_json()})

    def check_alignment(self, scan_id: str, to_id: str) -> None:
        """``CaseError`` where one scan may not be aligned to the other.

        That is for scans of different patients, for one that can only be looked at, for a scan and itself, and where
        the other one is aligned to it already.
        """
        check_alignment(self._entry(scan_id), self._entry(to_id), self._state.scans, self.labels)

    def remove_alignment(self, scan_id: str) -> bool:
        """Leave a scan where its file says; masks carried before stay. Not an undo step. False for one not aligned."""
        if self._entry(scan_id).alignment is None:
            return False
        self._commit({"type": "align", "time": utc_now(), "scan": scan_id, "to": None})
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

    # Inside

    def _attach(self, scan_id: str, volume: Volume) -> None:
        self._state.scans[scan_id] = self._state.scans[scan_id].with_volume(volume)

    def _keep_prepared(self, scan_id: str, prepared: Prepared | None) -> None:
        self._state.scans[scan_id] = replace(self._state.scans[scan_id], prepared=prepared)


def _check_grid(entry: ScanEntry, prepared: Prepared | None) -> None:
    if prepared is not None and not prepared.display.geometry.matches(entry.geometry):
        raise CaseError(f"The prepared scan lies on another grid than {entry.name}; prepare this scan again.")
