"""A folder that appears complete or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hemaview.errors import ExportError


@contextmanager
def new_folder(target: Path, what: str) -> Iterator[Path]:
    """A folder to write into; it becomes ``target`` at the end and vanishes when the work fails or is cancelled.

    ``what`` names the content in the sentence of the ``ExportError`` that is raised when ``target`` holds files
    already or the disk refuses.
    """
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise ExportError(f"'{target.name}' is not an empty folder; choose an empty or a new one.")
        target.parent.mkdir(parents=True, exist_ok=True)
        working = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
    except OSError as error:
        raise _refused(target, what, error) from error
    try:
        yield working
        if target.exists():
            target.rmdir()
        # mkdtemp makes the folder private; a result gets the permissions of its surroundings.
        working.chmod(target.parent.stat().st_mode & 0o777)
        working.rename(target)
    except OSError as error:
        raise _refused(target, what, error) from error
    finally:
        shutil.rmtree(working, ignore_errors=True)


def _refused(target: Path, what: str, error: OSError) -> ExportError:
    why = error.strerror or "write error"
    return ExportError(f"{what} were not saved in '{target.name}' ({why}); choose another folder.")
