"""What is kept and printed of unexpected errors: places in the program, and nothing of the patient."""

import subprocess
import sys
from pathlib import Path

LOGGED = """
import logging
from hemaview.crash_report import log_without_data

log_without_data()
try:
    try:
        raise KeyError("Doe^Jane")
    except KeyError as error:
        raise ValueError("/scans/Doe_Jane.nii") from error
except ValueError:
    logging.getLogger("hemaview.gui.anything").exception("reading failed")
"""
UNCAUGHT = """
import sys
from pathlib import Path
from hemaview.crash_report import report_uncaught

sys.excepthook = report_uncaught
raise ValueError("Doe^Jane")
"""


def printed(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr


def test_the_log_tells_the_place_and_kind_of_an_error_and_not_its_text():
    text = printed(LOGGED)
    assert "reading failed" in text
    assert "ValueError" in text
    assert "KeyError" in text
    assert "Doe" not in text


def test_an_error_nobody_caught_leaves_a_report_without_its_text():
    text = printed(UNCAUGHT)
    assert "An unexpected error (ValueError); a report without patient data is in" in text
    assert "Doe" not in text
    path = text.rpartition(" in ")[2].strip().removesuffix(".")
    assert "Doe" not in Path(path).read_text(encoding="utf-8")
