"""A scan that can be looked at but not measured, in the real window."""

from __future__ import annotations

import pytest
from dicom_folder import write_series
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel

from hemaview.gui.actions import SPECS
from hemaview.gui.annotations import probe_at
from hemaview.gui.view_state import Tool
from hemaview.imaging import Plane

OFF = ("tool_box", "tool_points", "tool_brush", "tool_eraser", "import_mask", "export_stl", "export_volumes")


@pytest.fixture
def unscaled(tmp_path):
    """A CT that does not say how large its pixels are."""
    return write_series(tmp_path / "unscaled", spacing=None)


@pytest.fixture
def looking(open_window, unscaled):
    hand = open_window()
    hand.window.open_files([unscaled])
    assert hand.window.settle(60)
    assert hand.window.case is not None
    return hand


def test_a_line_over_the_viewers_says_why_and_stays(looking):
    window = looking.window
    assert window.look_only.isVisible()
    assert window.look_only.text.startswith("Look only")
    assert window.case.active_scan.not_measurable in window.look_only.text
    assert window.look_only.accessibleName() == window.look_only.text
    QTest.qWait(50)
    looking.key(Qt.Key.Key_W)
    assert window.state.tool is Tool.WINDOW
    assert window.look_only.isVisible()


def test_tools_volumes_and_exports_are_off_with_the_reason(looking):
    window = looking.window
    for action_id in OFF:
        action = window.actions_table[action_id]
        assert not action.isEnabled(), action_id
        assert "Look only" in action.toolTip(), action_id
    looking.key(Qt.Key.Key_B)
    assert window.state.tool is Tool.CROSSHAIR
    assert window.hint == ""
    assert "Look only" in window.volumes.invitation
    assert not window.volumes.draw.isVisible()
    for reading in window.case.snapshot().readings():
        assert reading.value_ml is None
        assert window.case.active_scan.not_measurable in reading.reason


def test_no_length_and_no_side_can_be_read_off_it(looking):
    window = looking.window
    view = window.grid.frames[Plane.AXIAL].view
    QTest.mouseMove(view, looking.at(Plane.AXIAL, (20, 20, 4)))
    QTest.qWait(100)
    under_the_mouse = [label.text() for label in window.statusBar().findChildren(QLabel) if "voxel" in label.text()]
    assert under_the_mouse
    probe = probe_at(window.state.volume, None, view.transform, 4, *view.transform.to_screen(20.0, 20.0))
    assert all("mm" not in line for line in (*under_the_mouse, *probe.lines))


def test_another_scan_brings_the_tools_back_and_a_tool_in_use_is_put_down(looking, scan_file):
    window = looking.window
    window.workflow.opening.open_paths([scan_file], add=True)
    assert window.settle(60)
    assert not window.look_only.isVisible()
    assert all(window.actions_table[action_id].isEnabled() for action_id in OFF[:5])
    assert all("Look only" not in window.actions_table[spec.id].toolTip() for spec in SPECS if spec.id in OFF)
    looking.key(Qt.Key.Key_E)
    assert window.state.tool is Tool.BRUSH
    window.workflow.activate_scan(window.case.scans[0].id)
    assert window.settle(60)
    assert window.state.tool is Tool.CROSSHAIR
    assert window.look_only.isVisible()


def test_a_reopened_case_still_says_so(looking, open_window):
    directory = looking.window.case.directory
    looking.window.workflow.close_case()
    assert not looking.window.look_only.isVisible()
    looking.window.open_files([directory])
    assert looking.window.settle(60)
    assert looking.window.look_only.isVisible()
