"""Recent cases without file names, and DICOM export without patients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dicom_folder import JANE, write_series
from PySide6.QtWidgets import QApplication, QPushButton

from hemaview.gui.deidentify_dialog import DeidentifyDialog
from hemaview.gui.deidentifying import Deidentifying
from hemaview.imaging.reading import read_scan
from hemaview.interchange.dates import Dates


def recent_rows(window) -> list[str]:
    """What the start page says of the recent cases."""
    QApplication.processEvents()
    rows = window.start_page.findChildren(QPushButton)
    return [row.text() for row in rows if row.property("kind") == "row" and not row.isHidden()]


def test_recent_cases_are_told_by_kind_unless_the_user_wants_file_names(open_window, scan_file):
    named = scan_file.rename(scan_file.with_name("Doe_Jane.nii.gz"))
    window = open_window().window
    assert not window.start_page.names.isVisible()
    window.open_files([named])
    assert window.settle(60)
    window.actions_table["close_case"].trigger()
    (row,) = recent_rows(window)
    assert "Doe" not in row
    assert " × " in row
    window.start_page.names.click()
    (row,) = recent_rows(window)
    assert "Doe_Jane" in row
    again = open_window().window
    assert again.start_page.names.isChecked()
    (row,) = recent_rows(again)
    assert "Doe_Jane" in row
    again.start_page.names.click()
    assert "Doe" not in recent_rows(again)[0]


def test_the_files_of_the_scan_on_display_are_written_without_the_patient(open_window, tmp_path):
    folder = write_series(tmp_path / "cd", patient=JANE, PatientID="4711-X")
    window = open_window().window
    assert not window.actions_table["deidentify"].isEnabled()
    window.open_files([folder])
    assert window.settle(60)
    assert window.actions_table["deidentify"].isEnabled()
    scan = window.case.active_scan
    out = tmp_path / "out"
    Deidentifying(window, window.workflow).write(scan, out, Dates.REMOVE, with_screenshots=False)
    assert window.settle(60)
    assert "Wrote 8 files" in window.messages.text
    assert "face" in window.messages.text
    after = read_scan(out)
    assert np.array_equal(after.array, scan.volume.array)
    for path in out.rglob("*"):
        assert path.is_dir() or not any(word in path.read_bytes() for word in (b"Doe", b"Jane", b"4711-X"))


def test_a_nifti_scan_has_no_dicom_files_to_write(hand):
    assert not hand.window.actions_table["deidentify"].isEnabled()


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_the_dialog_makes_a_folder_of_its_own(qtbot, tmp_path, taken):
    for number in range(taken):
        (tmp_path / ("deidentified" if number == 0 else f"deidentified-{number + 1}")).mkdir()
    dialog = DeidentifyDialog("CT axial", Path("/"))
    qtbot.addWidget(dialog)
    assert not dialog.write.isEnabled()
    dialog.set_parent_folder(tmp_path)
    assert dialog.write.isEnabled()
    assert dialog.folder == tmp_path / ("deidentified" if taken == 0 else f"deidentified-{taken + 1}")
    dialog.set_dates(Dates.SHIFT)
    assert dialog.dates is Dates.SHIFT
