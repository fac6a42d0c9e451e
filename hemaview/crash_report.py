"""What is kept of an unexpected error: where in the program it happened, and nothing of the patient."""

from __future__ import annotations

import logging
import os
import platform
import sys
import tempfile
import warnings
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from hemaview import __version__


def write_crash_report(error: BaseException) -> str:
    """Write a report on ``error`` and return half a sentence that says where it is.

    The report holds program lines and the kinds of the errors, not their texts, which may name files or
    patients. It lies in the user's log folder, else in the folder for temporary files.
    """
    text = crash_text(error)
    name = f"error-{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}.txt"
    for folder in (_log_folder(), Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        except OSError:
            continue
        return f"a report without patient data is in {folder / name}"
    return "no report could be written"


def crash_text(error: BaseException) -> str:
    """Versions, and for ``error`` and what caused it the kind and the lines of the program it passed through."""
    lines = [f"HEMAVIEW {__version__}", f"Python {sys.version.split()[0]} on {platform.platform()}"]
    seen: BaseException | None = error
    known: set[int] = set()
    while seen is not None and id(seen) not in known:
        known.add(id(seen))
        lines += ["", f"{type(seen).__module__}.{type(seen).__qualname__}", *_frames(seen.__traceback__)]
        seen = seen.__cause__ or seen.__context__
    return "\n".join(lines) + "\n"


def log_without_data() -> None:
    """Send the program's log to stderr, with ``crash_text`` in place of tracebacks, whose texts may name patients.

    Warnings of libraries are silenced: some quote values of a file's header.
    """
    warnings.simplefilter("ignore")
    log = logging.getLogger("hemaview")
    if not log.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(_DatalessFormatter("%(levelname)s %(name)s: %(message)s"))
        log.addHandler(handler)
        log.propagate = False


def report_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What ``sys.excepthook`` does in the window: a report instead of a traceback."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        print(f"hemaview: An unexpected error ({kind.__name__}); {write_crash_report(error)}.", file=sys.stderr)


class _DatalessFormatter(logging.Formatter):
    def formatException(self, ei: Any) -> str:  # the name that logging gives it
        return "" if ei[1] is None else crash_text(ei[1])


def _frames(trace: TracebackType | None) -> list[str]:
    found = []
    while trace is not None:
        code = trace.tb_frame.f_code
        module = trace.tb_frame.f_globals.get("__name__", "?")
        found.append(f"  {module}:{trace.tb_lineno} {code.co_qualname}")
        trace = trace.tb_next
    return found


def _log_folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_log_path("hemaview", appauthor=False))
