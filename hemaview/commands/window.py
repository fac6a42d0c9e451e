"""``hemaview`` without a sub-command: the window, with the given scans or case."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hemaview import __version__
from hemaview.commands.exit_codes import EXIT_CODES
from hemaview.commands.parser import Parser
from hemaview.errors import HemaviewError, ScanError

_HELP = f"""commands:
  demo        show the sample phantom, segmented; without a screen write hemaview-demo/
  list        list the patients, studies and series of a folder, CD or zip
  segment     segment one scan in one box and write mask, volumes and surface
  prepare     even out brightness, reduce noise, remove the skull, align with another scan
  deidentify  write DICOM files without what says who the patient is
  models      list, add, download and remove models and adapters
  train       adapt a model to your own scans
  'hemaview COMMAND --help' tells more. A file called like a command: hemaview ./demo

{EXIT_CODES}
Research use, not a medical device."""


def run(given: list[str]) -> int:
    """Open the window; returns when it is closed."""
    parser = Parser("hemaview", "Open the window, with the given scans or case.", _HELP)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="scans, DICOM folders or one case folder")
    parser.add_argument("--version", action="version", version=f"HEMAVIEW {__version__}")
    options = parser.parse_args(given)
    for file in options.files:
        if not file.exists():
            known = "" if file.parent != Path() else ", and there is no such command"
            raise ScanError(f"There is no file or folder {file}{known}; check its name.")
    with window_libraries():
        from hemaview.gui import app
    return app.run([file.absolute() for file in options.files])


@contextmanager
def window_libraries() -> Iterator[None]:
    """Turn a missing system library of the window into a sentence."""
    try:
        yield
    except ImportError as error:
        raise HemaviewError(
            f"The window cannot be loaded ({error}); install the system libraries that the README lists."
        ) from error
