"""Making a case's folder, and bringing a case back from it."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hemaview import __version__
from hemaview.case.journal import Journal, JournalText, Record, parse_journal
from hemaview.case.lock import CaseLock
from hemaview.case.patches import BlobStore
from hemaview.case.records import utc_now
from hemaview.case.state import CaseState
from hemaview.errors import CaseError

FORMAT = 3
"""Version of the journal's records; a program refuses one it does not know instead of misreading it."""

READABLE_FORMATS = (1, 2, 3)
"""Format 1 knows a single box where format 2 has prompts; format 3 adds kinds of scan, days, carried masks and
alignments."""
JOURNAL_NAME = "journal.jsonl"
PATCH_FOLDER = "patches"


@dataclass(frozen=True, eq=False)
class OpenCase:
    """What lies behind an open case. ``journal`` is None where nothing can be written; ``notes`` are for the user."""

    directory: Path
    header: Record
    lock: CaseLock
    journal: Journal | None
    state: CaseState
    blobs: BlobStore
    notes: tuple[str, ...] = ()


def create_case(root: Path) -> OpenCase:
    """Make the folder of a new, empty case below ``root``; ``CaseError`` when it cannot be written."""
    identity = secrets.token_hex(3)
    directory = root.absolute() / f"{datetime.now():%Y%m%d-%H%M%S}-{identity}"
    try:
        (directory / PATCH_FOLDER).mkdir(parents=True)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CaseError(f"No case can be made in {root} ({reason}); choose another folder for cases.") from error
    header: Record = {
        "type": "case",
        "format": FORMAT,
        "id": identity,
        "created": utc_now(),
        "program": __version__,
    }
    lock = CaseLock.acquire(directory)
    try:
        journal = Journal.create(directory / JOURNAL_NAME, header)
    except BaseException:
        lock.release()
        raise
    blobs = BlobStore(directory / PATCH_FOLDER)
    return OpenCase(directory, header, lock, journal, CaseState(blobs), blobs)


def open_case(directory: Path) -> OpenCase:
    """Replay the journal in ``directory`` up to its end or its first damage; see ``Case.open``."""
    directory = directory.absolute()
    path = directory / JOURNAL_NAME
    if not path.is_file():
        raise CaseError(f"There is no HEMAVIEW case in {directory}; choose a folder that holds {JOURNAL_NAME}.")
    lock = CaseLock.acquire(directory)
    try:
        return _replay(path, lock)
    except OSError as error:
        # A drive that fails for a moment is no damage: nothing is given up because of it.
        lock.release()
        reason = error.strerror or type(error).__name__
        raise CaseError(f"The case {directory.name} cannot be read ({reason}); check the drive.") from error
    except BaseException:
        lock.release()
        raise


def look_into_case(directory: Path) -> CaseState:
    """What the case in ``directory`` holds at this moment, also while another window works on it.

    Takes no lock and changes nothing on the disk. Raises ``CaseError`` when there is no readable case.
    """
    path = directory.absolute() / JOURNAL_NAME
    try:
        text = _read(path)
        state = CaseState(BlobStore(path.parent / PATCH_FOLDER))
        state.replay(text.records[1:])
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CaseError(f"The case {directory.name} cannot be read ({reason}); check the drive.") from error
    return state


def _replay(path: Path, lock: CaseLock) -> OpenCase:
    directory = path.parent
    text = _read(path)
    header = text.records[0]
    blobs = BlobStore(directory / PATCH_FOLDER)
    state = CaseState(blobs)
    kept = 1 + state.replay(text.records[1:])
    damaged = text.damaged or kept < len(text.records)
    notes = []
    journal = None
    where = f"The case's record is damaged after change {kept - 1}"
    if lock.writable and os.access(path, os.W_OK):
        if damaged:
            notes.append(
                f"{where}; it was opened as it was then, and the next change puts the rest into a file beside it."
            )
        elif text.torn:
            notes.append("The last change was cut off while being saved and was dropped.")
        journal = Journal.reopen(path, text, kept, damaged=damaged)
        blobs.sweep()
    else:
        notes.append("The case lies in a folder that cannot be written, so it can be looked at but not changed.")
        if damaged:
            notes.append(f"{where}; it is shown as it was then.")
    if not lock.supported:
        notes.append("This drive cannot lock files; do not open the case in two windows at once.")
    return OpenCase(directory, header, lock, journal, state, blobs, tuple(notes))


def _read(path: Path) -> JournalText:
    name = path.parent.name
    text = parse_journal(path.read_bytes())
    if not text.records or text.records[0].get("type") != "case":
        raise CaseError(f"The record of the case {name} is damaged from its first line on, so it cannot be opened.")
    if text.records[0].get("format") not in READABLE_FORMATS:
        raise CaseError(f"The case {name} was written by a newer HEMAVIEW; update the program to open it.")
    return text
