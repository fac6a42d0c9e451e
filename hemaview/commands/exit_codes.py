"""What a script can tell from the way a command ended."""

from __future__ import annotations

from enum import IntEnum

from hemaview.errors import (
    Cancelled,
    CaseError,
    ExportError,
    HemaviewError,
    ModelError,
    PromptError,
    ScanError,
)


class ExitCode(IntEnum):
    """The codes a command ends with; ``EXIT_CODES`` says them in words."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    SCAN = 3
    PROMPT = 4
    MODEL = 5
    EXPORT = 6
    CANCELLED = 130


EXIT_CODES = """exit codes:
  0    done
  1    unexpected error, or no screen for the window
  2    wrong use of the command
  3    the scan cannot be read
  4    the box cannot be used, or nothing was found in it
  5    the model is missing, altered or unknown
  6    a result could not be written, or no printable surface exists
  130  cancelled (Ctrl+C)
"""

_CODES: dict[type[HemaviewError], ExitCode] = {
    ScanError: ExitCode.SCAN,
    PromptError: ExitCode.PROMPT,
    ModelError: ExitCode.MODEL,
    ExportError: ExitCode.EXPORT,
    CaseError: ExitCode.EXPORT,
    Cancelled: ExitCode.CANCELLED,
}


def exit_code_of(error: HemaviewError) -> ExitCode:
    """The code a command ends with after this failure."""
    return next((code for kind, code in _CODES.items() if isinstance(error, kind)), ExitCode.UNEXPECTED)
