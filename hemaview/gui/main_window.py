"""The window: menus, toolbar, viewers and panels, all of them clients of one workflow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QTimer
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QGuiApplication, QShowEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QMainWindow,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from hemaview.case import Case, recent_cases
from hemaview.errors import ExportError
from hemaview.gui.about_dialog import AboutDialog
from hemaview.gui.actions import LOOKING_TOOLS, TOOL_ACTIONS, Actions
from hemaview.gui.answer_panel import AnswerPanel
from hemaview.gui.available import available
from hemaview.gui.browsing import Browsing
from hemaview.gui.command_palette import CommandPalette
from hemaview.gui.deidentifying import Deidentifying
from hemaview.gui.display_panel import DisplayPanel
from hemaview.gui.engine_choice import EngineSource, load_choice
from hemaview.gui.file_dialogs import FileDialogs
from hemaview.gui.guide_actions import GuideActions
from hemaview.gui.icons import app_icon
from hemaview.gui.look_only import LookOnlyBanner, look_only_text
from hemaview.gui.message_bar import MessageBar
from hemaview.gui.model_dialogs import ModelDialogs
from hemaview.gui.names_choice import keep_names_choice, read_names_choice
from hemaview.gui.prepare_actions import PrepareActions
from hemaview.gui.prompt_actions import PromptActions
from hemaview.gui.scan_actions import ScanActions
from hemaview.gui.scans_panel import ScansPanel
from hemaview.gui.session import interrupted_cases
from hemaview.gui.settling import wait_until_settled
from hemaview.gui.side_panel import SidePanel
from hemaview.gui.start_page import StartPage
from hemaview.gui.status_line import StatusLine
from hemaview.gui.tool_bar import ToolBar
from hemaview.gui.view_state import Tool, ViewState
from hemaview.gui.viewer_grid import ViewerGrid
from hemaview.gui.volume_texts import clipboard_text
from hemaview.gui.volumes_panel import VolumesPanel
from hemaview.gui.window_presets import WindowPresets
from hemaview.gui.workflow import Workflow
from hemaview.surface import Mesh

_ENGINE_DELAY_MS = 120


class MainWindow(QMainWindow):
    """One window with at most one open case below ``case_root``.

    ``engine_source`` builds the chosen segmentation engine in the inference thread, after the window is shown.
    ``reopen`` shows the case again that a killed window had open.
    """

    def __init__(self, case_root: Path, *, engine_source: EngineSource = load_choice, reopen: bool = False) -> None:
        super().__init__()
        self.setObjectName("mainWindow")
        self.setWindowTitle("HEMAVIEW")
        self.setWindowIcon(app_icon())
        self.setAcceptDrops(True)
        self.setMinimumSize(960, 600)
        self._reopen = reopen
        self._started = False

        self.state = ViewState(self)
        self.workflow = Workflow(case_root, engine_source, self.state, self)
        self._files = FileDialogs(self, self.workflow)
        self.browsing = Browsing(self, self.workflow, self._files)
        self.models = ModelDialogs(self, self.workflow)
        self.actions_table = Actions(self)
        self.preparing = PrepareActions(self, self.workflow, self.actions_table)
        self.help = GuideActions(self, self.actions_table, self.workflow.message.emit)
        self.grid = ViewerGrid(self.state, self)
        self.start_page = StartPage(self, with_names=read_names_choice(case_root))
        # Made in the order in which the Tab key goes through them.
        self.volumes = VolumesPanel(self)
        self.answer = AnswerPanel(self.actions_table, self)
        self.display = DisplayPanel(self.state, self)
        self.scans = ScansPanel(self)
        self._status = StatusLine(self.state, self.statusBar())
        self.statusBar().setSizeGripEnabled(False)

        self._pages = QStackedWidget(self)
        self._pages.addWidget(self.start_page)
        self._pages.addWidget(self.grid)
        self.messages = MessageBar(self._pages)
        self._side = SidePanel((self.volumes, self.answer, self.display, self.scans), self)
        self.look_only = LookOnlyBanner(self)
        central = QWidget(self)
        column = QVBoxLayout()
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.look_only)
        column.addWidget(self._pages, 1)
        row = QHBoxLayout(central)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addLayout(column, 1)
        row.addWidget(self._side)
        self.setCentralWidget(central)
        self._tools = ToolBar(self.actions_table, self)
        self.addToolBar(self._tools)
        self._presets = WindowPresets(self.state, self.actions_table, self._tools)
        self.prompting = PromptActions(self.actions_table, self.state, self.workflow)
        self.palette_box = CommandPalette(self)
        self.actions_table["side_panel"].setChecked(True)
        self._connect()
        self._show_page()
        self._follow_engine(None, "")
        self.resize(1440, 900)

    # For the outside

    @property
    def case(self) -> Case | None:
        """The open case."""
        return self.workflow.case

    def open_files(self, paths: Sequence[Path]) -> None:
        """Open scans as a new case, or a case folder."""
        self.workflow.opening.open_paths(paths)

    @property
    def status_text(self) -> str:
        """Time of the last box and the model, as the status line shows them."""
        return self._status.text

    @property
    def hint(self) -> str:
        """What the status line says to do next."""
        return self._status.hint

    @property
    def is_settled(self) -> bool:
        """Whether nothing is being loaded, computed or drawn any more."""
        waits = self.workflow.is_busy or not self.browsing.is_settled
        return not waits and (self.case is None or self.grid.space.is_settled)

    def settle(self, timeout_s: float = 120.0) -> bool:
        """Let the window work until it is settled or the time is up; returns whether it is settled."""
        return wait_until_settled(lambda: self.is_settled, timeout_s)

    def grab_to(self, path: Path) -> None:
        """Save a picture of the window; ``ExportError`` when it cannot be written."""
        if not self.grab().save(str(path)):
            raise ExportError(f"The picture was not saved because '{path}' cannot be written; choose another folder.")

    # Qt events

    def showEvent(self, event: QShowEvent) -> None:
        """Start what is slow once the window is on the screen."""
        super().showEvent(event)
        if self._started:
            return
        self._started = True
        QTimer.singleShot(0, self.grid.space.start)
        QTimer.singleShot(_ENGINE_DELAY_MS, self.workflow.start_engine)
        if self._reopen:
            QTimer.singleShot(0, self._reopen_interrupted)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Stop the workers and wait for them; every change is on the disk already. Asks while a model learns."""
        if not self.models.may_close():
            event.ignore()
            return
        self.hide()
        self.models.close()
        self.preparing.close()
        self.help.close()
        self.browsing.close()
        self.workflow.close()
        self.grid.space.close_scene()
        super().closeEvent(event)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take files and folders."""
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped."""
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if paths:
            event.acceptProposedAction()
            self.open_files(paths)

    def _connect(self) -> None:
        flow, table = self.workflow, self.actions_table
        self.grid.prompted.connect(flow.prompts.change_prompt)
        self.prompting.hint_changed.connect(self._status.show_hint)
        self.grid.brush_stroke.connect(flow.prompts.paint)
        self.grid.probe_changed.connect(self._status.show_probe)
        self.start_page.open_requested.connect(table["open"].trigger)
        self.start_page.folder_requested.connect(table["open_folder"].trigger)
        self.start_page.sample_requested.connect(table["sample"].trigger)
        self.start_page.case_requested.connect(flow.opening.open_case)
        self.start_page.names_wanted.connect(lambda wanted: keep_names_choice(flow.case_root, wanted))
        self.volumes.copy_requested.connect(self._copy_volumes)
        self.volumes.draw_requested.connect(table["tool_box"].trigger)
        self.volumes.show_slice_requested.connect(self.show_tada_slice)
        self._status.cancel_requested.connect(flow.cancel)

        flow.message.connect(self.messages.show_message)
        flow.task_changed.connect(self._follow_task)
        flow.segmenting_changed.connect(self._follow_segmenting)
        flow.case_changed.connect(self._show_page)
        flow.scans_changed.connect(self._follow_scans)
        flow.history_changed.connect(self._follow_case)
        flow.derived_started.connect(self.volumes.show_pending)
        flow.readings_changed.connect(self._follow_readings)
        flow.mesh_changed.connect(self._follow_mesh)
        flow.head_changed.connect(self.grid.space.set_head)
        flow.engine_changed.connect(self._follow_engine)
        flow.timing_changed.connect(self._status.show_timing)
        self.state.volume_changed.connect(self._follow_case)
        self.state.tool_changed.connect(self._follow_tool)
        self.state.overlay_changed.connect(self._follow_looks)
        self.state.display_changed.connect(self._follow_looks)
        self.state.review_changed.connect(self._follow_case)
        self.state.picture_changed.connect(self.preparing.follow)
        self.state.volume_changed.connect(self.preparing.follow)

        state = self.state
        handlers: dict[str, Any] = {
            "open": self._files.open_scan,
            "open_folder": self._files.open_folder,
            "browse": self.browsing.show_again,
            "add_scan": self._files.add_scan,
            "sample": flow.opening.open_sample,
            "close_case": flow.close_case,
            "export_stl": self._files.export_stl,
            "export_mask": self._files.export_mask,
            "export_volumes": self._files.export_volumes,
            "save_results": self._files.save_results,
            "import_mask": self._files.import_mask,
            "screenshot": self._save_picture,
            "quit": self.close,
            "undo": flow.undo,
            "redo": flow.redo,
            "cancel": flow.cancel,
            "clear_mask": flow.prompts.clear_mask,
            "copy_volumes": self._copy_volumes,
            "brush_smaller": lambda: state.set_brush_radius(state.brush_radius_mm / 1.2),
            "brush_larger": lambda: state.set_brush_radius(state.brush_radius_mm * 1.2),
            "fit": self._fit,
            "overlay": lambda: state.set_overlay(replace(state.overlay, visible=not state.overlay.visible)),
            "maximise": self.grid.toggle_maximised,
            "slice_next": lambda: self.grid.current.step(1),
            "slice_previous": lambda: self.grid.current.step(-1),
            "go_to_lesion": self._go_to_lesion,
            "radiological": lambda: state.set_radiological(not state.radiological),
            "smooth": lambda: state.set_smooth(not state.smooth),
            "side_panel": self._toggle_side_panel,
            "full_screen": self._toggle_full_screen,
            "palette": lambda: self.palette_box.popup(table.all()),
            "about": lambda: AboutDialog(self.workflow.engine, self).exec(),
        }
        for tool, action_id in TOOL_ACTIONS.items():
            handlers[action_id] = lambda tool=tool: state.set_tool(tool)
        scans, deidentifying = ScanActions(self, self.scans, flow, self._files), Deidentifying(self, flow)
        for part in (self.prompting, self._presets, self.models, self.preparing, self.help, scans, deidentifying):
            handlers |= part.handlers()
        table.connect(handlers)

    # What follows from changes

    def _show_page(self) -> None:
        case = self.case
        there = case is not None
        self._pages.setCurrentWidget(self.grid if there else self.start_page)
        self._toggle_side_panel()
        self.setWindowTitle(f"{case.name} – HEMAVIEW" if case is not None else "HEMAVIEW")
        if not there:
            self.start_page.show_recent(recent_cases(self.workflow.case_root))
            self._status.show_timing(None)
        else:
            self.state.set_tool(Tool.CROSSHAIR)
            self.grid.current.setFocus()
        self._follow_case()
        self._follow_tool()
        self._follow_looks()

    def _follow_case(self) -> None:
        case, table, review = self.case, self.actions_table, self.state.review
        scan = case.active_scan if case is not None else None
        look_only = scan.not_measurable if scan is not None else None
        why_not = (scan.problem if scan is not None else None) or look_only_text(look_only)
        table.allow(available(case, self.state), why_not)
        self.look_only.show_reason(look_only)
        self.volumes.show_look_only(why_not)
        if look_only is not None and self.state.tool not in LOOKING_TOOLS:
            self.state.set_tool(Tool.CROSSHAIR)
        self.answer.show_case(case, review)
        for action_id, can, text in (
            ("undo", case is not None and case.can_undo, case.undo_text if case is not None else ""),
            ("redo", case is not None and case.can_redo, case.redo_text if case is not None else ""),
        ):
            verb = action_id.capitalize()
            table[action_id].setEnabled(can)
            table[action_id].setText(f"{verb} {text.lower()}" if can and text else verb)

    def _follow_scans(self) -> None:
        case = self.case
        if case is not None:
            self.setWindowTitle(f"{case.name} – HEMAVIEW")
        self._follow_case()

    def _follow_tool(self) -> None:
        self.actions_table[TOOL_ACTIONS[self.state.tool]].setChecked(True)

    def _follow_looks(self) -> None:
        table = self.actions_table
        table["overlay"].setChecked(self.state.overlay.visible)
        table["radiological"].setChecked(self.state.radiological)
        table["smooth"].setChecked(self.state.smooth)

    def _follow_readings(self, readings: Any, tada: Any) -> None:
        self.volumes.show_readings(readings, tada)
        self._follow_case()

    def _follow_mesh(self, mesh: Mesh | None) -> None:
        self.grid.space.set_lesion(mesh)
        self._follow_case()

    def _follow_task(self, label: str, fraction: float) -> None:
        if label and fraction == 0.0:
            self.messages.dismiss_info()
        self._status.show_work(label, fraction)
        self._follow_busy()

    def _follow_segmenting(self, running: bool, done: int, total: int) -> None:
        if running and not done:
            self.messages.dismiss_passed()
        label = "Segmenting" if self.workflow.engine is not None else "Waiting for the model"
        self._status.show_work(label if running else "", done / total if total else 0.0)
        self._follow_busy()

    def _follow_busy(self) -> None:
        # Esc also belongs to gestures in the viewers, so it is taken only while there is something to cancel.
        self.actions_table["cancel"].setEnabled(self.workflow.is_waited_for)

    def _follow_engine(self, info: Any, problem: str) -> None:
        self._status.show_engine(info, problem)

    # Handlers

    def _reopen_interrupted(self) -> None:
        cases = interrupted_cases(self.workflow.case_root)
        if cases and self.case is None and not self.workflow.is_busy:
            self.workflow.opening.open_case(cases[0], interrupted=True)

    def _save_picture(self) -> None:
        try:
            path = self._files.save_picture(self.grab_to)
        except ExportError as error:
            self.messages.show_message("error", str(error))
        else:
            if path is not None:
                self.messages.show_message("info", f"Saved {path.name} in {path.parent}.")

    def _copy_volumes(self) -> None:
        if self.volumes.readings is not None:
            QGuiApplication.clipboard().setText(clipboard_text(self.volumes.readings))
            self.messages.show_message("info", "The volumes are on the clipboard.")

    def show_tada_slice(self) -> None:
        """Go to the slice on which A and B were measured."""
        if self.state.tada is not None:
            self.state.set_cursor_lps(np.mean(self.state.tada.a_segment, axis=0))

    def _go_to_lesion(self) -> None:
        if (bounds := self.state.mask_bounds) is not None:
            k, j, i = ((s.start + s.stop - 1) / 2 for s in bounds)
            self.state.set_cursor(np.round((i, j, k)))

    def _fit(self) -> None:
        self.grid.fit()
        self.grid.space.reset_camera()

    def _toggle_side_panel(self) -> None:
        self._side.setVisible(self.case is not None and self.actions_table["side_panel"].isChecked())

    def _toggle_full_screen(self) -> None:
        if self.isFullScreen():
            self.showNormal()
        else:
            self.showFullScreen()
