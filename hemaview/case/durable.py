"""Files that are either wholly on the disk under their name or not there at all."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path


def write_durably(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` through a temporary file, synced and renamed; raises ``OSError``."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make renames in ``directory`` survive a power cut, where the system offers it."""
    if sys.platform == "win32":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems refuse to sync a folder; the rename itself has happened.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def save_refusal(error: OSError, directory: Path) -> str:
    """The sentence for a change that could not be saved in the case folder ``directory``."""
    name = directory.name
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"The disk with the case {name} is full, so the change was not made; free some space and repeat it."
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return (
            f"The case {name} lies in a folder that cannot be written, so the change was not made; copy it elsewhere."
        )
    reason = error.strerror or type(error).__name__
    return f"The change could not be saved in the case {name} ({reason}), so it was not made; check the disk."
