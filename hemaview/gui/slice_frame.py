"""A viewer in its coloured frame, with title and slice slider."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from hemaview.gui.slice_view import SliceView
from hemaview.gui.view_state import ViewState
from hemaview.imaging import Plane


class SliceViewFrame(QFrame):
    """The frame round one viewer; ``view`` is the viewer itself."""

    def __init__(self, state: ViewState, plane: Plane, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.view = SliceView(state, plane, self)
        layout = QVBoxLayout(self)
        layout.addWidget(self.view)
