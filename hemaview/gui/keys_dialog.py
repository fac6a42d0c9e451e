"""Mouse and keys on one page, made from the table of actions so that it cannot go stale."""

from __future__ import annotations

from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QTextBrowser, QVBoxLayout, QWidget

from hemaview.gui.about_dialog import section
from hemaview.gui.actions import MENUS, Actions
from hemaview.gui.theme import COLOURS

_MOUSE = (
    ("Wheel", "Previous or next slice"),
    ("Left drag", "The tool in use"),
    ("Right drag, Ctrl+wheel", "Zoom"),
    ("Middle drag", "Pan"),
    ("Shift + move", "Crosshair follows the mouse in all views"),
    ("Double-click", "One view alone, or all four again"),
    ("Box: drag", "A new box; drag a side or the inside of one to adjust it in any view"),
    ("Box: Shift + drag", "A further box, for a piece that lies apart"),
    ("Box: Ctrl + drag", "Redraw the box on this slice only; on a side: move it on this slice only"),
    ("Box: Ctrl + Shift + drag", "A new box that begins inside the old one"),
    ("Points: click", "A point inside the haematoma; the mask is made again at once"),
    ("Points: right click, Alt + click", "A point outside; right click on a point turns it"),
    ("Points: drag, double-click", "Move a point, remove a point"),
    ("Strip beside the axial slider", "How sure the model is of each slice; click to go there"),
    ("Drag in the 3D view", "Turn; wheel zooms"),
)


class KeysDialog(QDialog):
    """Modal list of gestures and keys."""

    def __init__(self, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Mouse and keys")
        self.resize(620, 680)
        text = QTextBrowser(self)
        text.document().setDocumentMargin(12)
        text.setHtml(keys_html(actions))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 20, 20, 16)
        layout.addWidget(text, 1)
        layout.addWidget(buttons)


def keys_html(actions: Actions) -> str:
    """Gestures and keys as rich text, grouped by menu."""
    parts = [section("Mouse"), _table(_MOUSE)]
    for menu in (*MENUS, "Window"):
        rows = [
            (" or ".join(k.toString(QKeySequence.SequenceFormat.NativeText) for k in action.shortcuts()), action.text())
            for owner, action in actions.all()
            if owner == menu and action.shortcuts() and action.isVisible()
        ]
        if rows:
            parts += [section(menu), _table(tuple(rows))]
    return "".join(parts)


def _table(rows: tuple[tuple[str, str], ...]) -> str:
    cells = "".join(
        f"<tr><td width='200' style='padding:3px 16px 3px 0;color:{COLOURS.accent}'>{keys}</td>"
        f"<td style='padding:3px 0'>{what}</td></tr>"
        for keys, what in rows
    )
    return f"<table width='100%'>{cells}</table>"
