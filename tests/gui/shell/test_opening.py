"""What opens when folders, zips, CDs and files are dropped or chosen, and when the browser asks."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from browser_hand import NONE, Chooser, every_index
from dicom_folder import write_report, write_series, write_time_points
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog

from hemaview.gui import scan_reading
from hemaview.gui.import_tree import PARTS
from hemaview.imaging import Plane
from hemaview.imaging.reading import Verdict

CONTROL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


def test_a_series_joins_the_open_case(open_window, scan_file, cd):
    hand = open_window()
    window = hand.window
    window.open_files([scan_file])
    assert window.settle(60)
    case = window.case
    window.open_files([cd])
    assert window.settle(60)
    chooser = Chooser(window)
    assert chooser.browser.add_button.isVisible()
    chooser.click(3)
    chooser.press(chooser.browser.add_button)
    assert window.settle(60)
    assert window.case is case
    assert [scan.geometry.size for scan in case.scans][1:] == [(40, 40, 6)]


def test_a_series_of_another_patient_does_not_join_the_case(chooser):
    window = chooser.window
    chooser.double_click(2)
    assert window.settle(60)
    window.workflow.opening.choice_found.emit(window.workflow.opening.found, True)
    assert window.settle(30)
    chooser.click(5)
    assert not chooser.browser.add_button.isEnabled()
    assert "another patient" in chooser.browser.text
    chooser.key(Qt.Key.Key_Return)
    assert len(window.case.scans) == 1
    chooser.click(3)
    chooser.key(Qt.Key.Key_Return)
    assert window.settle(60)
    assert len(window.case.scans) == 2


def test_without_a_case_nothing_can_be_added(chooser):
    assert not chooser.browser.add_button.isVisible()


def test_files_of_other_formats_are_listed_by_folder_with_their_picture(open_window, scan_file, tmp_path):
    folder = tmp_path / "mri"
    folder.mkdir()
    for name in ("head_t1.nii.gz", "head_flair.nii.gz"):
        shutil.copy(scan_file, folder / name)
    (folder / "damaged.nii.gz").write_bytes(b"\x1f\x8b\x08\x00cut off")
    window = open_window().window
    window.open_files([folder])
    assert window.settle(60)
    chooser = Chooser(window)
    assert "Folder mri" in chooser.words
    assert "FLAIR" in chooser.words
    assert "Refused" in chooser.words
    assert len(chooser.shown) == 3
    assert chooser.browser.details.preview.has_picture


def test_many_time_points_of_a_series_are_one_closed_row(open_window, tmp_path):
    folder = write_time_points(tmp_path / "CD" / "PERFUSION", count=6)
    write_series(tmp_path / "CD" / "BRAIN", number=2)
    window = open_window().window
    window.open_files([folder.parent])
    assert window.settle(60)
    chooser = Chooser(window)
    browser = chooser.browser
    (row,) = [index for index in every_index(browser.filter) if index.data(PARTS)]
    assert "6 parts" in row.data()
    assert not browser.tree.isExpanded(row)
    assert chooser.chosen == [label for label in chooser.shown if "CT series 2" in label]
    browser.search.setText("time point 4")
    (row,) = [index for index in every_index(browser.filter) if index.data(PARTS)]
    assert browser.tree.isExpanded(row)
    chooser.key(Qt.Key.Key_Return)
    assert window.settle(60)
    assert int(window.state.volume.array.max()) == 104


@pytest.mark.parametrize("packed", [False, True])
def test_a_single_series_to_measure_opens_at_once(open_window, tmp_path, packed):
    folder = write_series(tmp_path / "a" / "S1")
    write_report(tmp_path / "a" / "SR")
    source = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", folder.parent)) if packed else folder.parent
    window = open_window().window
    window.open_files([source])
    assert window.settle(60)
    assert window.case.active_scan.geometry.size == (64, 48, 8)
    assert not window.browsing.is_open
    assert "only this one" in window.messages.text
    assert window.grid.frames[Plane.AXIAL].view.hasFocus()


def test_a_zip_is_browsed_like_a_folder(open_window, cd, tmp_path):
    window = open_window().window
    window.open_files([Path(shutil.make_archive(str(tmp_path / "packed"), "zip", cd))])
    assert window.settle(60)
    chooser = Chooser(window)
    assert "Doe, Jane" in chooser.words
    assert chooser.browser.details.preview.has_picture
    chooser.double_click(4)
    assert window.settle(60)
    assert window.case.active_scan.geometry.size == (40, 40, 6)


def test_many_dropped_files_are_browsed_too(open_window, cd):
    window = open_window().window
    files = [file for file in sorted(cd.rglob("IM*")) if file.parent.parent.name == "A"]
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(file)) for file in files])
    arguments = (Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, NONE)
    enter = QDragEnterEvent(window.rect().center(), *arguments)
    QApplication.sendEvent(window, enter)
    assert enter.isAccepted()
    QApplication.sendEvent(window, QDropEvent(QPointF(window.rect().center()), *arguments))
    assert window.settle(60)
    assert sorted(Chooser(window).shown) == sorted(
        item.summary.label for item in window.workflow.opening.found.catalogue if item.summary.modality != "SR"
    )


def test_two_folders_with_a_series_each_are_both_chosen(open_window, cd):
    window = open_window().window
    window.open_files([cd / "A" / "S4", cd / "A" / "S3"])
    assert window.settle(60)
    browser = window.browsing.browser
    assert browser.open_button.text() == "Open 2 scans as one case"
    QTest.keyClick(browser.tree, Qt.Key.Key_Return)
    assert window.settle(60)
    assert len(window.case.scans) == 2


def test_one_file_of_a_series_opens_its_series(open_window, cd):
    window = open_window().window
    window.open_files([next((cd / "A" / "S3").iterdir())])
    assert window.settle(60)
    assert window.case.active_scan.geometry.size == (40, 40, 6)


def test_a_folder_without_a_scan_says_what_it_holds(open_window, tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "letter.txt").write_text("Dear colleague", encoding="utf-8")
    window = open_window().window
    window.open_files([tmp_path / "letters"])
    assert window.settle(30)
    assert "holds no scan" in window.messages.text
    assert not window.browsing.is_open


def test_the_empty_browser_asks_where_to_look(open_window, cd, monkeypatch):
    window = open_window().window
    QTest.keyClick(window, Qt.Key.Key_B, CONTROL | SHIFT)
    browser = window.browsing.browser
    assert browser.isVisible()
    assert "Drop a folder" in browser.empty.text
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *args, **kwargs: str(cd))
    QTest.mouseClick(browser.empty.folder, Qt.MouseButton.LeftButton)
    assert window.settle(60)
    assert len(Chooser(window).shown) == 5


def test_what_is_dropped_on_the_browser_is_looked_through(chooser, tmp_path):
    other = write_series(tmp_path / "other", number=7, shape=(4, 24, 24))
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(other))])
    arguments = (Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, NONE)
    enter = QDragEnterEvent(chooser.browser.rect().center(), *arguments)
    QApplication.sendEvent(chooser.browser, enter)
    assert enter.isAccepted()
    QApplication.sendEvent(chooser.browser, QDropEvent(QPointF(chooser.browser.rect().center()), *arguments))
    assert chooser.window.settle(60)
    assert not chooser.browser.isVisible()
    assert chooser.window.case.active_scan.geometry.size == (24, 24, 4)


def test_a_real_cd_opens_by_its_dicomdir(open_window, shared_data, tmp_path):
    archive = shared_data / "dicom_series" / "philips_ct_phantom_multiseries_dicomdir.zip"
    shutil.unpack_archive(archive, tmp_path / "CD")
    (dicomdir,) = (tmp_path / "CD").rglob("DICOMDIR")
    window = open_window().window
    window.open_files([dicomdir])
    assert window.settle(60)
    assert window.case.active_scan.geometry.size == (512, 512, 28)
    QTest.keyClick(window, Qt.Key.Key_B, CONTROL | SHIFT)
    assert window.settle(30)
    browser = window.browsing.browser
    verdicts = [item.summary.verdict for item in browser.filter.shown()]
    assert verdicts.count(Verdict.MEASURABLE) == 1
    assert verdicts.count(Verdict.VIEWABLE) >= 2
    assert "DICOMDIR" in browser.text


def test_a_folder_without_a_scan_is_said_in_the_open_browser(chooser, tmp_path, monkeypatch):
    (tmp_path / "letters").mkdir()
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *args, **kwargs: str(tmp_path / "letters"))
    chooser.browser.folder_requested.emit()
    assert chooser.window.settle(30)
    assert "holds no scan" in chooser.browser.empty.text
    assert chooser.window.messages.text == ""


def test_a_long_search_shows_its_count_and_can_be_cancelled(open_window, cd, monkeypatch, qtbot):
    def endless(paths, counted):
        while True:
            counted(1234, 5000)
            QTest.qSleep(5)

    monkeypatch.setattr(scan_reading, "look_through", endless)
    window = open_window().window
    window.open_files([cd])
    qtbot.waitUntil(lambda: window.browsing.is_open and window.browsing.browser.is_searching)
    browser = window.browsing.browser
    qtbot.waitUntil(lambda: "1,234 of 5,000 files" in browser.scanning.text)
    assert "CD" in browser.scanning.text
    QTest.mouseClick(browser.scanning.cancel, Qt.MouseButton.LeftButton)
    assert not browser.isVisible()
    assert window.settle(30)
    assert not window.workflow.is_busy
    assert window.case is None


def test_a_series_that_breaks_when_read_is_told_and_the_others_open(chooser, cd):
    for file in (cd / "A" / "S3").iterdir():
        file.write_bytes(b"gone")
    chooser.click(2)
    chooser.click(3, CONTROL)
    chooser.press(chooser.browser.open_button)
    window = chooser.window
    assert window.settle(60)
    assert len(window.case.scans) == 1
    assert window.messages.text.endswith(".")
    assert np.asarray(window.state.volume.array).shape == (8, 48, 64)
