"""What the set-up says, and how it runs other programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

STARTED = time.monotonic()


class SetupError(Exception):
    """What went wrong and what to do, in one sentence; `log` is the file with the details."""

    def __init__(self, sentence: str, log: Path | None = None) -> None:
        super().__init__(sentence)
        self.log = log


def say(text: str) -> None:
    """Print one line with the seconds since the start."""
    print(f"[{time.monotonic() - STARTED:6.1f} s] {text}", flush=True)


def show_progress(text: str) -> None:
    """Overwrite the terminal's current line; nothing where the output is a file."""
    if sys.stdout.isatty():
        room = shutil.get_terminal_size().columns - 12
        print("\r\x1b[K" + (f"{'':11}{text[:room]}" if text else ""), end="", flush=True)


def child_environment() -> dict[str, str]:
    """The environment without what would point Python or pip away from .venv."""
    misleading = ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT")
    environment = {name: value for name, value in os.environ.items() if name not in misleading}
    environment.update(PYTHONNOUSERSITE="1", PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1")
    return environment


def call(command: list[str], environment: dict[str, str] | None = None, cwd: Path | None = None) -> int:
    """Run a command in the foreground and give its exit code; on Ctrl+C let it end by itself first."""
    process = subprocess.Popen(command, env=environment or child_environment(), cwd=None if cwd is None else str(cwd))
    try:
        return process.wait()
    except BaseException:
        try:
            process.wait(timeout=5)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.terminate()
        raise
