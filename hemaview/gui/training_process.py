"""``hemaview train`` as a process of its own: its progress, its verdict, and stopping it in good order."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QProcess, QTimer, Signal

CASES_NAME = "cases.json"
ADAPTER_NAME = "adapter.safetensors"
_STOP_MS = 15_000
_CLOSE_MS = 5_000
_MOST_ERROR_BYTES = 64 * 1024


@dataclass(frozen=True)
class Progress:
    """One line of the command: ``done`` of ``total`` in a stage, with loss and validation Dice where known."""

    stage: str
    done: int
    total: int
    loss: float | None = None
    dice: float | None = None


@dataclass(frozen=True)
class HeldOutCase:
    """One scan that the adapter never learned from: Dice and volume in mL before and after, and the true volume."""

    case: str
    volume_ml: float
    dice_before: float
    dice_after: float
    volume_before_ml: float
    volume_after_ml: float


@dataclass(frozen=True)
class Outcome:
    """What a run came to: the held-out scans, "better", "same" or "worse", and where its files lie."""

    folder: Path
    verdict: str
    mean_before: float
    mean_after: float
    cases: tuple[HeldOutCase, ...]

    @property
    def adapter(self) -> Path:
        """The adapter's file."""
        return self.folder / ADAPTER_NAME


def train_command() -> list[str]:
    """How this program calls its own ``train`` command, from a checkout, a wheel and the frozen program alike."""
    return [sys.executable, "train"] if getattr(sys, "frozen", False) else [sys.executable, "-m", "hemaview", "train"]


def read_outcome(folder: Path) -> Outcome:
    """The verdict that a run wrote; ``ValueError`` when it is not there or not whole."""
    try:
        data = json.loads((folder / CASES_NAME).read_text(encoding="utf-8"))
        held_out = [entry for entry in data["cases"] if entry.get("split", "test") not in ("train", "validation")]
        cases = tuple(
            HeldOutCase(
                str(entry["case"]),
                *(
                    float(entry[name])
                    for name in ("volume_ml", "dice_before", "dice_after", "volume_before_ml", "volume_after_ml")
                ),
            )
            for entry in held_out
        )
        return Outcome(folder, str(data["verdict"]), float(data["mean_before"]), float(data["mean_after"]), cases)
    except (OSError, KeyError, TypeError, AttributeError) as error:
        raise ValueError("The run left no readable verdict.") from error


class TrainingProcess(QObject):
    """After ``start``: ``progressed(Progress)``, then ``succeeded(Outcome)``, ``stopped()`` or ``failed(str)``."""

    progressed = Signal(object)
    succeeded = Signal(object)
    stopped = Signal()
    failed = Signal(str)

    def __init__(self, command: Callable[[], list[str]] = train_command, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._command = command
        self._folder = Path()
        self._stopping = False
        self._rest = b""
        self._errors = b""
        self._process = QProcess(self)
        self._process.readyReadStandardOutput.connect(self._read)
        self._process.readyReadStandardError.connect(self._read_errors)
        self._process.finished.connect(self._on_finished)
        self._process.errorOccurred.connect(self._on_error)
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(_STOP_MS)
        self._patience.timeout.connect(self._process.kill)

    @property
    def running(self) -> bool:
        """Whether the command runs."""
        return self._process.state() != QProcess.ProcessState.NotRunning

    def start(self, options: Sequence[str], folder: Path) -> None:
        """Run the command with ``options``; it writes into ``folder``."""
        self._folder, self._stopping, self._rest, self._errors = folder, False, b"", b""
        program, *arguments = self._command()
        self._process.start(program, [*arguments, *options, "--out", str(folder), "--progress-json"])

    def stop(self) -> None:
        """Ask the command to end in good order; one that does not listen is ended after a while."""
        if self.running:
            self._stopping = True
            self._process.terminate()
            self._patience.start()

    def close(self) -> None:
        """End the command and wait for it; called when the window closes."""
        if self.running:
            self.stop()
            if not self._process.waitForFinished(_CLOSE_MS):
                self._process.kill()
                self._process.waitForFinished(_CLOSE_MS)

    def _read(self) -> None:
        self._rest += bytes(self._process.readAllStandardOutput().data())
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            progress = parse_progress(line)
            if progress is not None:
                self.progressed.emit(progress)

    def _read_errors(self) -> None:
        self._errors = (self._errors + bytes(self._process.readAllStandardError().data()))[-_MOST_ERROR_BYTES:]

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self.failed.emit("The training could not be started; reinstall HEMAVIEW.")

    def _on_finished(self, code: int, status: QProcess.ExitStatus) -> None:
        self._patience.stop()
        self._read()
        self._read_errors()
        if self._stopping:
            self.stopped.emit()
        elif code != 0 or status != QProcess.ExitStatus.NormalExit:
            self.failed.emit(failure_sentence(self._errors.decode("utf-8", "replace")))
        else:
            try:
                outcome = read_outcome(self._folder)
            except ValueError as error:
                self.failed.emit(f"{error} Start it again.")
            else:
                self.succeeded.emit(outcome)


def parse_progress(line: bytes) -> Progress | None:
    """One line of ``--progress-json``; None for anything else that came that way."""
    try:
        data: dict[str, Any] = json.loads(line)
        loss, dice = (None if data.get(name) is None else float(data[name]) for name in ("loss", "dice"))
        return Progress(str(data["stage"]), int(data["done"]), int(data["total"]), loss, dice)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def failure_sentence(errors: str) -> str:
    """What to tell of a run that failed: the command's own last line, which is one sentence."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    if not last or "Traceback" in errors:
        return "The training stopped unexpectedly; start it again, or choose other cases."
    return last.removeprefix("error:").removeprefix("hemaview:").strip()
