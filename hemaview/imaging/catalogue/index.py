"""What the headers of files said, remembered so that the second look at a place only asks when files changed."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import platformdirs

from hemaview.imaging.catalogue.looking import Look
from hemaview.imaging.catalogue.storing import STORED_FORM, look_from_json, look_to_json
from hemaview.imaging.reading.sources import Source

MOST_FILES = 300_000
"""Files remembered at most; the oldest are forgotten first."""

_PATIENCE_SECONDS = 0.5
_ROWS_TOGETHER = 500
"""Rows written at once: more would keep other windows waiting, fewer the disk."""
_TABLES = """
CREATE TABLE form (text TEXT NOT NULL);
CREATE TABLE file (
    place BLOB PRIMARY KEY, size INTEGER NOT NULL, changed INTEGER NOT NULL, look BLOB NOT NULL
);
"""


class ScanIndex:
    """A SQLite file in the user's cache folder with one row per file that was looked at.

    A row is found by a digest of the path, so that the file tells no folder or file name; the headers in it hold
    technique, geometry and UIDs, of the patient only the digests of ``StudyKey``. A file of another form or version
    of the program is begun anew; one that is damaged, locked or cannot be written makes looking slower and is no
    error.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or Path(platformdirs.user_cache_path("hemaview", appauthor=False)) / "scans.sqlite"

    @contextmanager
    def open(self) -> Iterator[Memory]:
        """The rows, for one thread; what was remembered is kept even when the work inside is cancelled."""
        with closing(Memory(_connect(self.path))) as memory:
            yield memory

    def clear(self) -> None:
        """Forget every file."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


class Memory:
    """The opened index; with no connection it knows nothing and remembers nothing."""

    def __init__(self, connection: sqlite3.Connection | None = None) -> None:
        self._connection = connection
        self._unsaved = 0

    def recall(self, source: Source) -> Look | None:
        """What ``source`` was found to be, or None when it is new, has changed or the row cannot be used."""
        if self._connection is None:
            return None
        try:
            size, changed = _stamp(source)
            row = self._connection.execute(
                "SELECT look FROM file WHERE place = ? AND size = ? AND changed = ?", (_place(source), size, changed)
            ).fetchone()
            return look_from_json(row[0], source) if row else None
        except sqlite3.Error:
            # Another window writes or the file is damaged: waiting again for every file would take minutes.
            self._forget_connection()
        except OSError:
            pass
        return None

    def remember(self, source: Source, look: Look) -> None:
        """Keep what ``source`` was found to be."""
        if self._connection is None:
            return
        try:
            self._connection.execute(
                "INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?)", (_place(source), *_stamp(source), look_to_json(look))
            )
            self._unsaved += 1
            if self._unsaved == _ROWS_TOGETHER:
                self._connection.commit()
                self._unsaved = 0
        except sqlite3.Error:
            # Another window writes, or the disk is full: from here on this scan goes without.
            self._forget_connection()
        except OSError:
            pass

    def close(self) -> None:
        """Write what was remembered to disk."""
        if self._connection is None:
            return
        with suppress(sqlite3.Error):
            self._connection.execute("DELETE FROM file WHERE rowid <= (SELECT max(rowid) FROM file) - ?", (MOST_FILES,))
            self._connection.commit()
        self._forget_connection()

    def _forget_connection(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None


def _connect(path: Path) -> sqlite3.Connection | None:
    """The database in the right form; begun anew once when it is damaged or of another form."""
    for attempt in range(2):
        connection: sqlite3.Connection | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            connection = sqlite3.connect(path, timeout=_PATIENCE_SECONDS)
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            if not tables:
                connection.executescript(_TABLES)
                connection.execute("INSERT INTO form VALUES (?)", (STORED_FORM,))
                connection.commit()
                return connection
            if {"form", "file"} <= tables and connection.execute("SELECT * FROM form").fetchone() == (STORED_FORM,):
                return connection
        except sqlite3.OperationalError:
            # Locked or on a disk that cannot be written: another program may be using it, so it stays.
            _close(connection)
            return None
        except sqlite3.DatabaseError:
            pass
        except OSError:
            return None
        _close(connection)
        if attempt == 0:
            with suppress(OSError):
                path.unlink(missing_ok=True)
    return None


def _close(connection: sqlite3.Connection | None) -> None:
    if connection is not None:
        with suppress(sqlite3.Error):
            connection.close()


def _place(source: Source) -> bytes:
    """A digest of where the file lies."""
    where = f"{source.path}\0{source.member.filename if source.member else ''}"
    return hashlib.blake2b(where.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _stamp(source: Source) -> tuple[int, int]:
    """Size and time of change, which differ when the file was written again; of a member, its size and checksum."""
    if source.member is not None:
        return source.member.file_size, source.member.CRC
    status = source.path.stat()
    return status.st_size, status.st_mtime_ns
