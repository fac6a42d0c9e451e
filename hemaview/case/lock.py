"""One process at a time writes a case: an operating-system lock that dies with its process."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path

from hemaview.errors import CaseError

# Windows locks are mandatory; a byte far past the text keeps the text readable for the other process.
_LOCKED_BYTE = 1 << 30
_HELD = {errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK}
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}


class CaseLock:
    """An exclusive lock on a case folder, held until ``release`` or the end of the process.

    The lock belongs to the open file, not to the existence of ``case.lock``, so the file that a killed
    process leaves behind locks nobody out. On file systems without locks (some network shares) the case
    opens unlocked, ``held`` is False and ``supported`` is False.
    """

    def __init__(self, descriptor: int | None, *, supported: bool = True, writable: bool = True) -> None:
        self._descriptor = descriptor
        self.supported = supported
        self.writable = writable

    @classmethod
    def acquire(cls, directory: Path) -> CaseLock:
        """Lock the case in ``directory``; ``CaseError`` when another window or process holds it.

        In a folder that cannot be written the result has ``writable`` False and holds nothing.
        """
        path = directory / "case.lock"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            if error.errno in _READ_ONLY:
                return cls(None, writable=False)
            raise CaseError(f"The case in {directory} cannot be locked ({error.strerror}); check the disk.") from error
        try:
            _lock(descriptor)
        except OSError as error:
            os.close(descriptor)
            if error.errno in _HELD:
                raise CaseError(
                    f"The case {directory.name} is already open in another HEMAVIEW window; close it there first."
                ) from error
            return cls(None, supported=False)
        return cls(descriptor)

    @property
    def held(self) -> bool:
        """Whether the lock is held by this object."""
        return self._descriptor is not None

    def release(self) -> None:
        """Give the lock back; safe to call twice."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                _unlock(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        # flock belongs to the open file description: it also keeps out a second window of this process.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
