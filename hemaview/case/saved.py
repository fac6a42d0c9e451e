"""A case whose every change is saved before it takes effect."""

from __future__ import annotations

from collections.abc import Callable

from hemaview.case.content import CaseContent
from hemaview.case.journal import Journal, Record
from hemaview.case.opening import OpenCase
from hemaview.case.signal import Signal
from hemaview.case.state import CaseChange, ChangeKind
from hemaview.errors import CaseError


class SavedCase(CaseContent):
    """Writes each change to the journal, carries it out and tells the listeners of ``changed``, in this order."""

    def __init__(self, opened: OpenCase) -> None:
        super().__init__(opened)
        self.changed: Signal[CaseChange] = Signal()
        self._lock = opened.lock
        self._blobs = opened.blobs

    def close(self) -> None:
        """Give the case free for other windows; nothing needs saving. Safe to call twice."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        self._lock.release()

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
