"""Opening one file in a process of its own, with limits, and what came of it."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import select
import signal
import time
import traceback
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np

from hemaview.errors import HemaviewError
from hemaview.imaging.reading import list_series, read_scan
from hemaview.imaging.volume import Volume

_LONGEST_SENTENCE = 400


class End(StrEnum):
    """How a trial ended; those from ERROR on are faults of the program."""

    OPENED = "opened"
    VIEWABLE = "viewable"
    REFUSED = "refused"
    ERROR = "unforeseen error"
    BAD_SENTENCE = "bad sentence"
    CRASHED = "crashed"
    HUNG = "hung"
    MEMORY = "too much memory"
    WRONG = "wrong result"


FAULTS = (End.ERROR, End.BAD_SENTENCE, End.CRASHED, End.HUNG, End.MEMORY, End.WRONG)


@dataclass(frozen=True)
class Limits:
    """Seconds of work, that many times longer by the clock, and MiB of address space beyond the empty process's."""

    seconds: int = 10
    patience: float = 5.0
    memory: int = 1536


@dataclass(frozen=True)
class Trial:
    """``text`` is the refusal or what went wrong; the geometry is that of the opened volume.

    ``seconds`` is the work the process did, ``memory`` the most MiB it held beyond what it began with.
    """

    end: End
    text: str = ""
    size: tuple[int, ...] = ()
    spacing: tuple[float, ...] = ()
    origin: tuple[float, ...] = ()
    direction: tuple[float, ...] = ()
    places: tuple[float, ...] = ()
    values: str = ""
    notes: str = ""
    seconds: float = 0.0
    memory: int = 0

    def corners(self) -> np.ndarray:
        """(slices, 3) LPS mm of the first voxel of every slice."""
        along = np.reshape(self.direction, (3, 3))[:, 2]
        places = self.places or np.arange(self.size[2]) * self.spacing[2]
        return np.asarray(self.origin) + np.outer(places, along)

    def same_grid(self, other: Trial) -> bool:
        """Whether two opened volumes lie on one grid."""
        return all(
            getattr(self, name) == getattr(other, name) for name in ("size", "spacing", "origin", "direction", "places")
        )


def try_reading(path: Path, limits: Limits) -> Trial:
    """List and open ``path`` in a forked process; its end and geometry. Needs a POSIX system."""
    incoming, outgoing = os.pipe()
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(incoming)
        _child(path, limits, outgoing)
    os.close(outgoing)
    told = _receive(incoming, limits.seconds * limits.patience)
    taken = time.monotonic() - began
    if told is None:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if told is None or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU):
        return Trial(End.HUNG, f"longer than {limits.seconds} s", seconds=taken)
    if not told:
        cause = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit {os.WEXITSTATUS(status)}"
        return Trial(End.CRASHED, cause, seconds=taken)
    facts = json.loads(told)
    lists = {name: tuple(value) for name, value in facts.items() if isinstance(value, list)}
    facts["text"] = facts["text"][:_LONGEST_SENTENCE]
    return Trial(**{**facts, **lists, "end": End(facts["end"])})


def _receive(incoming: int, seconds: float) -> bytes | None:
    """All that the child writes; None when it is not done in time."""
    told = b""
    until = time.monotonic() + seconds
    with os.fdopen(incoming, "rb", buffering=0) as stream:
        while True:
            ready, _, _ = select.select([stream], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                return None
            piece = stream.read(1 << 16)
            if not piece:
                return told
            told += piece


def _child(path: Path, limits: Limits, outgoing: int) -> None:
    """Never returns: what came of the file goes to ``outgoing`` as JSON, or nothing does when the process dies."""
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    own = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    allowed = own + (limits.memory << 20)
    resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.seconds, limits.seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    held, begun = _resident(), time.process_time()
    trial = replace(_read(path), memory=max(0, _resident() - held), seconds=round(time.process_time() - begun, 3))
    os.write(outgoing, json.dumps(asdict(trial)).encode())
    os._exit(0)


def _resident() -> int:
    """The most MiB this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def _read(path: Path) -> Trial:
    try:
        list_series(path)
    except HemaviewError:
        pass
    except MemoryError:
        return Trial(End.MEMORY, "while listing")
    except BaseException as error:
        return Trial(End.ERROR, _where(error))
    try:
        volume = read_scan(path)
    except HemaviewError as error:
        text = str(error)
        return Trial(End.REFUSED if _is_sentence(text) else End.BAD_SENTENCE, text)
    except MemoryError:
        return Trial(End.MEMORY, "while reading")
    except BaseException as error:
        return Trial(End.ERROR, _where(error))
    return _opened(volume)


def _opened(volume: Volume) -> Trial:
    geometry = volume.geometry
    return Trial(
        End.VIEWABLE if volume.not_measurable else End.OPENED,
        volume.not_measurable or "",
        geometry.size,
        geometry.spacing,
        geometry.origin,
        geometry.direction,
        geometry.slice_positions or (),
        hashlib.blake2b(volume.array.tobytes(), digest_size=8).hexdigest(),
        " ".join(volume.notes)[:_LONGEST_SENTENCE],
    )


def _is_sentence(text: str) -> bool:
    return text.endswith(".") and "\n" not in text and "Traceback" not in text and len(text) < _LONGEST_SENTENCE


def _where(error: BaseException) -> str:
    """The error and the innermost line of the program it came through."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "hemaview" in f.filename]
    last = frames[-1] if frames else None
    place = f" at {Path(last.filename).name}:{last.lineno}" if last else ""
    return f"{type(error).__name__}: {str(error)[:120]}{place}"
