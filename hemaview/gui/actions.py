"""Every action of the window with its key, icon and place in the menus: one table, read by menus and palette."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMainWindow, QMenu

from hemaview.gui.icons import icon
from hemaview.gui.view_state import Tool

SEPARATOR = "-"

NEEDS = (
    "case",
    "scan",
    "measurable",
    "prompt",
    "mask",
    "own mask",
    "edited",
    "review",
    "carry",
    "scans",
    "dicom",
    "prepared",
    "missing",
    "align",
    "aligned",
)
"""What an action may need: a case, a scan on display, one that may be measured, a box or point, a mask, and so on."""
LOOKING_TOOLS = (Tool.CROSSHAIR, Tool.WINDOW)
"""Tools that change nothing, so that they suit a scan that can only be looked at."""


@dataclass(frozen=True)
class ActionSpec:
    """One action: ``keys`` in Qt's portable form, ``needs`` what must be there: "" or one of ``NEEDS``."""

    id: str
    menu: str
    text: str
    keys: tuple[str, ...] = ()
    icon: str = ""
    tip: str = ""
    needs: str = ""
    checkable: bool = False


SPECS: tuple[ActionSpec, ...] = (
    ActionSpec("open", "File", "Open scan…", ("Ctrl+O",), "open", "Open a NIfTI, NRRD, MetaImage, DICOM or zip file"),
    ActionSpec("open_folder", "File", "Open folder or CD…", ("Ctrl+Shift+O",), "open", "Look through it for scans"),
    ActionSpec("browse", "File", "Choose among the scans found…", ("Ctrl+Shift+B",), "browse", "In the last folder"),
    ActionSpec("add_scan", "File", "Add scan to this case…", ("Ctrl+Alt+O",), "add-scan", needs="case"),
    ActionSpec(
        "find_scan", "File", "Show where the scan is…", (), "open", "Its files were moved, or the CD is back", "missing"
    ),
    ActionSpec("sample", "File", "Open sample phantom", (), "sample", "An MR head with an artificial haematoma"),
    ActionSpec("close_case", "File", "Close case", ("Ctrl+W",), "close", needs="case"),
    ActionSpec(SEPARATOR, "File", ""),
    ActionSpec(
        "export_stl", "File", "Export STL…", ("Ctrl+E",), "export-stl", "Save the printable surface", "own mask"
    ),
    ActionSpec(
        "export_mask", "File", "Export mask…", ("Ctrl+Shift+E",), "export-mask", "Save the mask as NIfTI", "mask"
    ),
    ActionSpec(
        "export_volumes", "File", "Export volumes…", ("Ctrl+Alt+E",), "export-table", "Save a CSV table", "mask"
    ),
    ActionSpec(
        "save_results", "File", "Save all results…", ("Ctrl+S",), "save", "STL, mask and volumes in one folder", "mask"
    ),
    ActionSpec(
        "deidentify",
        "File",
        "Export de-identified DICOM…",
        ("Ctrl+Shift+D",),
        "save",
        "The files of this scan without names",
        "dicom",
    ),
    ActionSpec("import_mask", "File", "Import mask…", ("Ctrl+I",), "export-mask", needs="measurable"),
    ActionSpec("screenshot", "File", "Save picture of the window…", ("Ctrl+P",), "screenshot", needs="case"),
    ActionSpec(SEPARATOR, "File", ""),
    ActionSpec("quit", "File", "Quit", ("Ctrl+Q",)),
    ActionSpec("undo", "Edit", "Undo", ("Ctrl+Z",), "undo"),
    ActionSpec("redo", "Edit", "Redo", ("Ctrl+Shift+Z", "Ctrl+Y"), "redo"),
    ActionSpec(SEPARATOR, "Edit", ""),
    ActionSpec("cancel", "Edit", "Cancel", ("Esc",), "cancel", "Stop what is running"),
    ActionSpec("remove_item", "Edit", "Remove box or point", ("Del",), "clear", "Under the mouse, or last", "prompt"),
    ActionSpec("remove_prompt", "Edit", "Remove all boxes and points", ("Ctrl+Del",), "clear", needs="prompt"),
    ActionSpec(
        "carry_mask",
        "Edit",
        "Carry mask to this scan…",
        ("Ctrl+Shift+I",),
        "export-mask",
        "Lay another scan's mask on this one, to look at",
        "carry",
    ),
    ActionSpec(
        "align",
        "Edit",
        "Align to another scan…",
        ("Ctrl+Shift+A",),
        "crosshair",
        "Find how the head moved between two scans, so that the crosshair stays in place; nothing measured changes",
        "align",
    ),
    ActionSpec("remove_alignment", "Edit", "Remove alignment", (), "clear", "Leave it where its file says", "aligned"),
    ActionSpec("clear_mask", "Edit", "Clear mask", ("Shift+Del",), "clear", needs="mask"),
    ActionSpec(SEPARATOR, "Edit", ""),
    ActionSpec(
        "follow",
        "Edit",
        "Follow my corrections",
        ("Ctrl+F",),
        "follow",
        "Make the other slices again so that they follow those drawn by hand",
        "edited",
    ),
    ActionSpec("segment_again", "Edit", "Segment again", ("Ctrl+R",), "follow", "With the model in force", "prompt"),
    ActionSpec(
        "checked",
        "Edit",
        "Mark mask as checked",
        ("Ctrl+D",),
        "check",
        "You looked at every slice; the mask can teach a model",
        "mask",
        True,
    ),
    ActionSpec(SEPARATOR, "Edit", ""),
    ActionSpec("copy_volumes", "Edit", "Copy volumes", ("Ctrl+Shift+C",), "export-table", needs="mask"),
    ActionSpec("tool_crosshair", "Tools", "Crosshair", ("C",), "crosshair", "Drag to move the crosshair", "scan", True),
    ActionSpec("tool_window", "Tools", "Window / level", ("W",), "window", "Drag to change the greys", "scan", True),
    ActionSpec("tool_box", "Tools", "Box", ("B",), "box", "Drag a rectangle round the haematoma", "measurable", True),
    ActionSpec(
        "tool_points",
        "Tools",
        "Points",
        ("P",),
        "points",
        "Click inside the haematoma; right click where it is not",
        "measurable",
        True,
    ),
    ActionSpec("tool_brush", "Tools", "Brush", ("E",), "brush", "Paint into the mask", "measurable", True),
    ActionSpec("tool_eraser", "Tools", "Eraser", ("X",), "eraser", "Erase from the mask", "measurable", True),
    ActionSpec(SEPARATOR, "Tools", ""),
    ActionSpec(
        "box_add",
        "Tools",
        "Add a further box",
        ("Shift+B",),
        "box-add",
        "For a piece that lies apart; also Shift+drag",
        "prompt",
        True,
    ),
    ActionSpec(
        "box_slice",
        "Tools",
        "Redraw the box on this slice only",
        ("Ctrl+B",),
        "box-slice",
        "Where the haematoma is narrower or wider; also Ctrl+drag",
        "prompt",
        True,
    ),
    ActionSpec(
        "point_sign",
        "Tools",
        "Points outside instead of inside",
        ("T",),
        "point-outside",
        "Over a point: turn that point",
        "measurable",
        True,
    ),
    ActionSpec(SEPARATOR, "Tools", ""),
    ActionSpec("brush_smaller", "Tools", "Smaller brush", ("[",), needs="measurable"),
    ActionSpec("brush_larger", "Tools", "Larger brush", ("]",), needs="measurable"),
    ActionSpec(SEPARATOR, "Tools", ""),
    ActionSpec(
        "prepare",
        "Tools",
        "Prepare scan…",
        ("Ctrl+Shift+P",),
        "prepare",
        "Even out brightness, reduce noise, remove the skull; volumes are still measured on the scan itself",
        "scan",
    ),
    ActionSpec("models", "Tools", "Models and adapters…", ("Ctrl+M",), "models", "Choose which model answers"),
    ActionSpec("adapt", "Tools", "Adapt to my cases…", (), "adapt", "Teach the model with masks you corrected"),
    ActionSpec("fit", "View", "Fit to window", ("R",), "fit", "Show the whole head in every view", "scan"),
    ActionSpec("overlay", "View", "Show mask", ("S",), "overlay", "Overlay on or off", "scan", True),
    ActionSpec("maximise", "View", "Maximise view", ("F",), "maximise", "Or double-click a view", "scan"),
    ActionSpec("slice_next", "View", "Next slice", ("PgUp",), needs="scan"),
    ActionSpec("slice_previous", "View", "Previous slice", ("PgDown",), needs="scan"),
    ActionSpec("scan_next", "View", "Next scan", ("Ctrl+PgDown",), "", "The crosshair stays in the patient", "scans"),
    ActionSpec("scan_previous", "View", "Previous scan", ("Ctrl+PgUp",), needs="scans"),
    ActionSpec("review_next", "View", "Next slice to check", ("N",), "review", "Where the model is unsure", "review"),
    ActionSpec("review_previous", "View", "Previous slice to check", ("Shift+N",), "review", needs="review"),
    ActionSpec("go_to_lesion", "View", "Go to the haematoma", ("G",), "crosshair", needs="mask"),
    ActionSpec(SEPARATOR, "View", ""),
    ActionSpec("window_auto", "View", "Automatic window", ("0",), "window", needs="scan"),
    ActionSpec("radiological", "View", "Radiological orientation", (), "", "Patient's right on the left", "scan", True),
    ActionSpec("smooth", "View", "Smooth pixels", (), "", "Interpolate for display only", "scan", True),
    ActionSpec(
        "show_prepared",
        "View",
        "Show the prepared scan",
        ("Alt+P",),
        "prepare",
        "Switch between the scan as it is and the prepared one",
        "prepared",
        True,
    ),
    ActionSpec(SEPARATOR, "View", ""),
    ActionSpec("side_panel", "View", "Side panel", ("F9",), checkable=True),
    ActionSpec("full_screen", "View", "Full screen", ("F11",), checkable=True),
    ActionSpec("palette", "Help", "Find an action…", ("Ctrl+K",), "search"),
    ActionSpec("guide", "Help", "User guide", ("F1",), "help", "How to open, mark, measure and save"),
    ActionSpec("keys", "Help", "Mouse and keys", ("Shift+F1",), "help"),
    ActionSpec("about", "Help", "About HEMAVIEW", (), "info"),
)

MENUS = ("File", "Edit", "Tools", "View", "Help")

TOOL_ACTIONS = {
    Tool.CROSSHAIR: "tool_crosshair",
    Tool.WINDOW: "tool_window",
    Tool.BOX: "tool_box",
    Tool.POINTS: "tool_points",
    Tool.BRUSH: "tool_brush",
    Tool.ERASER: "tool_eraser",
}

PRESET_COUNT = 9


class Actions:
    """The window's ``QAction`` objects by id, in menus; ``preset_1`` ... ``preset_9`` are the window presets."""

    def __init__(self, window: QMainWindow) -> None:
        self._window = window
        self._by_id: dict[str, QAction] = {}
        self._specs = {spec.id: spec for spec in SPECS if spec.id != SEPARATOR}
        self._menus: dict[str, QMenu] = {name: window.menuBar().addMenu(f"&{name}") for name in MENUS}
        tools = QActionGroup(window)
        for spec in SPECS:
            if spec.id == SEPARATOR:
                self._menus[spec.menu].addSeparator()
                continue
            action = self._add(spec)
            self._menus[spec.menu].addAction(action)
            if spec.id in TOOL_ACTIONS.values():
                tools.addAction(action)
        self.presets = self._menus["View"].addMenu("Window presets")
        for number in range(1, PRESET_COUNT + 1):
            spec = ActionSpec(f"preset_{number}", "Window", f"Preset {number}", (str(number),), "window", needs="scan")
            self._specs[spec.id] = spec
            self.presets.addAction(self._add(spec))
        self.presets.addAction(self["window_auto"])

    def __getitem__(self, action_id: str) -> QAction:
        return self._by_id[action_id]

    def connect(self, handlers: dict[str, Callable[[], None]]) -> None:
        """Call ``handlers[id]`` when the action is triggered."""
        for action_id, handler in handlers.items():
            self._by_id[action_id].triggered.connect(lambda _checked=False, run=handler: run())

    def allow(self, there: Collection[str], look_only: str = "") -> None:
        """Enable what can be done with what is there, a part of ``NEEDS``.

        ``look_only`` says why the scan on display cannot be measured; what is off because of it says so too.
        """
        for action_id, spec in self._specs.items():
            if spec.needs:
                action = self._by_id[action_id]
                action.setEnabled(spec.needs in there)
                why_not = look_only if spec.needs in ("measurable", "mask", "own mask", "prompt") else ""
                action.setToolTip("<br>".join(part for part in (_tip(spec, action), why_not) if part))

    def all(self) -> list[tuple[str, QAction]]:
        """Menu title and action of everything that can be found in the palette."""
        return [(self._specs[action_id].menu, action) for action_id, action in self._by_id.items()]

    def _add(self, spec: ActionSpec) -> QAction:
        action = QAction(spec.text, self._window)
        action.setObjectName(spec.id)
        if spec.keys:
            action.setShortcuts([QKeySequence(key) for key in spec.keys])
            action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
        if spec.icon:
            action.setIcon(icon(spec.icon))
        action.setCheckable(spec.checkable)
        action.setIconVisibleInMenu(False)
        action.setToolTip(_tip(spec, action))
        action.setStatusTip(spec.tip)
        self._window.addAction(action)
        self._by_id[spec.id] = action
        return action


def _tip(spec: ActionSpec, action: QAction) -> str:
    keys = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
    title = spec.text.rstrip("…")
    return (f"{title} ({keys})" if keys else title) + (f"<br>{spec.tip}" if spec.tip else "")
