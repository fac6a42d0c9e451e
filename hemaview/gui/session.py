"""Which case each running window has open, so that a window that was killed reopens where it was."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_PREFIX, _SUFFIX = ".window-", ".open"


class SessionMark:
    """A small file below the folder of cases that names the case this window shows; gone after a clean close."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._path = root / f"{_PREFIX}{os.getpid()}{_SUFFIX}"

    def set(self, case: Path) -> None:
        """Remember the case on display; a disk that refuses costs only the convenience."""
        with contextlib.suppress(OSError):
            self._path.write_text(case.name, encoding="utf-8")

    def clear(self) -> None:
        """Forget it: the window was closed in good order."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


def interrupted_cases(root: Path) -> tuple[Path, ...]:
    """Cases that windows no longer running had open, latest first; their marks are removed.

    A case that another running window holds is refused when it is opened, so a mark too many does no harm.
    """
    found: list[tuple[float, Path]] = []
    with contextlib.suppress(OSError):
        for mark in root.glob(f"{_PREFIX}*{_SUFFIX}"):
            with contextlib.suppress(OSError, ValueError, UnicodeError):
                owner = int(mark.name.removeprefix(_PREFIX).removesuffix(_SUFFIX))
                if owner == os.getpid() or _is_running(owner):
                    continue
                case = root / Path(mark.read_text(encoding="utf-8").strip()).name
                changed = mark.stat().st_mtime
                mark.unlink()
                if case.is_dir():
                    found.append((changed, case))
    return tuple(case for _, case in sorted(found, reverse=True))


def _is_running(process: int) -> bool:
    if os.name != "posix":
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
