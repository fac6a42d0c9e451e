"""Writing a result to disk completely or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from hemaview.errors import ExportError


def save_atomically(path: Path | str, data: bytes | memoryview, what: str) -> None:
    """Write ``data`` to ``path`` so that a reader sees the old file or the whole new one, never a part.

    ``what`` names the thing in the sentence shown when it fails, for example "The mesh". Raises
    ``ExportError``; a half-written temporary file is removed.
    """
    target = Path(path)
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp makes the file private; a result gets the permissions of any other new file.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(target)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise ExportError(_sentence(target, what, error)) from error


def _sentence(target: Path, what: str, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{what} was not saved because the disk is full; free some space or choose another folder."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{what} was not saved because '{target.parent}' cannot be written to; choose another folder."
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return f"{what} was not saved because the folder '{target.parent}' does not exist; choose another folder."
    if error.errno == errno.EISDIR:
        return f"{what} was not saved because '{target}' is a folder; choose a file name."
    return f"{what} was not saved ({error.strerror or error}); choose another folder."
