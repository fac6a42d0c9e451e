"""The ``hemaview`` command: the window, or the same work without one.

Nothing heavy is imported before it is known to be needed, so that help and version answer at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from hemaview.commands import deidentify, demo, list_scans, models, prepare, segment, train, window
from hemaview.commands.exit_codes import ExitCode, exit_code_of
from hemaview.commands.terminal import say
from hemaview.crash_report import log_without_data, write_crash_report
from hemaview.errors import Cancelled, HemaviewError

_COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "demo": demo.run,
    "segment": segment.run,
    "list": list_scans.run,
    "prepare": prepare.run,
    "deidentify": deidentify.run,
    "models": models.run,
    "train": train.run,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with ``arguments`` (default: the process's own) and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    log_without_data()
    try:
        if given and given[0] in _COMMANDS:
            return _COMMANDS[given[0]](given[1:])
        return window.run(given)
    except HemaviewError as error:
        say(str(error))
        return exit_code_of(error)
    except KeyboardInterrupt:
        say(str(Cancelled()))
        return ExitCode.CANCELLED
    except BrokenPipeError:
        # Whoever read our output has stopped; Python would complain once more while closing it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except MemoryError:
        say("There is not enough memory for this scan; close other programs and try again.")
        return ExitCode.UNEXPECTED
    except Exception as error:
        where = write_crash_report(error)
        say(f"An unexpected error ({type(error).__name__}) stopped the command; {where}.")
        return ExitCode.UNEXPECTED
