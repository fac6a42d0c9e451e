"""When the browser of found scans appears, and what its answers lead to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer
from PySide6.QtWidgets import QWidget

from hemaview.gui.file_dialogs import FileDialogs
from hemaview.gui.scan_reading import Found
from hemaview.gui.workflow import Workflow

if TYPE_CHECKING:
    # The browser loads the readers' libraries; it comes with the first folder, not with the window.
    from hemaview.gui.import_browser import ImportBrowser
    from hemaview.imaging.catalogue import SeriesItem

_PATIENCE_MS = 600


class Browsing(QObject):
    """Joins the window's opening flow with one ``ImportBrowser``, made when it is first needed.

    A search that takes longer than a moment is shown in the browser with its count and a way to cancel it; a quick
    one that leaves nothing to choose never brings the browser up.
    """

    def __init__(self, window: QWidget, workflow: Workflow, files: FileDialogs) -> None:
        super().__init__(window)
        self._window = window
        self._flow = workflow
        self._files = files
        self._browser: ImportBrowser | None = None
        self._adding = False
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(_PATIENCE_MS)
        self._patience.timeout.connect(self._show_search)
        self._where = ""
        opening = workflow.opening
        opening.counted.connect(self._on_counted)
        opening.choice_found.connect(self._on_choice)
        opening.ended.connect(self._on_ended)

    @property
    def browser(self) -> ImportBrowser:
        """The window's browser."""
        if self._browser is None:
            self._browser = self._made()
        return self._browser

    @property
    def is_open(self) -> bool:
        """Whether the browser is on the screen."""
        return self._browser is not None and self._browser.isVisible()

    @property
    def is_settled(self) -> bool:
        """Whether the browser, if there is one, has nothing left to read."""
        return self._browser is None or self._browser.is_settled

    def show_again(self) -> None:
        """Show what was found last, or ask where to look."""
        found = self._flow.opening.found
        if found is None or found.catalogue is None:
            self._adding = False
            self.browser.show_empty()
            self.browser.open()
        else:
            self._on_choice(found, False)

    def close(self) -> None:
        """Stop what the browser reads; called before the window goes."""
        self._patience.stop()
        if self._browser is not None:
            self._browser.close_down()

    def _made(self) -> ImportBrowser:
        from hemaview.gui.import_browser import ImportBrowser

        browser = ImportBrowser(self._window)
        browser.chosen.connect(self._open)
        browser.dropped.connect(self._look)
        browser.folder_requested.connect(lambda: self._look(self._files.ask_folder(browser)))
        browser.files_requested.connect(lambda: self._look(self._files.ask_files(browser)))
        browser.cancelled.connect(self._cancel)
        # Not every desktop gives the keyboard back to the window by itself.
        browser.finished.connect(self._window.activateWindow)
        return browser

    # What the flow tells

    def _on_counted(self, where: str, done: int, total: int) -> None:
        if not self._flow.tasks.is_busy:
            return
        if where != self._where:
            self._where = where
            self._patience.start()
        if self._browser is not None:
            self._browser.scanning.show_count(done, total)

    def _show_search(self) -> None:
        if not self._flow.tasks.is_busy:
            return
        self.browser.show_search(self._where)
        self.browser.open()

    def _on_choice(self, found: Found, add: bool) -> None:
        if found.catalogue is None:
            return
        self._end_search()
        self._adding = add
        case = self._flow.case
        patients = None
        if case is not None:
            patients = {scan.volume.study.patient for scan in case.scans if scan.volume is not None}
        self.browser.show_catalogue(found.catalogue, found.paths, case_patients=patients, prefer_add=add)
        self.browser.open()

    def _on_ended(self, sentence: str) -> None:
        self._end_search()
        if self.is_open and sentence:
            self.browser.show_empty(sentence)
        elif self.is_open:
            self.browser.put_away()
        elif sentence:
            self._flow.message.emit("error", sentence)

    def _end_search(self) -> None:
        self._patience.stop()
        self._where = ""

    # What the user wants

    def _open(self, items: Sequence[SeriesItem], add: bool) -> None:
        self._flow.opening.open_series(items, add=add)

    def _look(self, paths: Sequence[Path]) -> None:
        if paths:
            self._flow.opening.open_paths(paths, add=self._adding)

    def _cancel(self) -> None:
        self._end_search()
        self._flow.cancel()
