"""The dark theme: every colour, distance and font of the window, and the style sheet made from them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from string import Template

from PySide6.QtGui import QColor, QFont, QFontDatabase, QPalette
from PySide6.QtWidgets import QApplication

from hemaview.errors import HemaviewError
from hemaview.imaging import Plane
from hemaview.resources import resource_path

_log = logging.getLogger(__name__)

FONT_FAMILY = "Inter"
FONT_PIXELS = 13

# Distances in pixels; everything in the window is a multiple of 4.
GAP = 8
MARGIN = 12
RADIUS = 8
PANEL_WIDTH = 348


@dataclass(frozen=True)
class Colours:
    """Colours as ``#rrggbb``. Text on any of the four grounds keeps a contrast of at least 4.5 : 1."""

    window: str = "#0d1014"
    panel: str = "#14181e"
    card: str = "#1a2028"
    raised: str = "#242c37"
    hover: str = "#2d3745"
    selected: str = "#17365f"
    border: str = "#2c3542"
    border_strong: str = "#465466"
    text: str = "#e8ecf2"
    muted: str = "#9dabbc"
    accent: str = "#6cb8ff"
    primary: str = "#2563c9"
    primary_hover: str = "#2f70dc"
    on_primary: str = "#ffffff"
    warning: str = "#f5c265"
    error: str = "#ff9c93"
    good: str = "#6fd6a6"
    error_ground: str = "#3a1d1f"
    warning_ground: str = "#33290f"
    good_ground: str = "#12302a"
    axial: str = "#ff6b6b"
    sagittal: str = "#f7d046"
    coronal: str = "#57d27b"
    space: str = "#6cb8ff"
    # Lesion and box: orange and sky blue of the Okabe-Ito set, told apart in every common colour blindness.
    lesion: str = "#ff9f1c"
    box: str = "#56c7f2"


COLOURS = Colours()

PLANE_COLOURS = {Plane.AXIAL: COLOURS.axial, Plane.SAGITTAL: COLOURS.sagittal, Plane.CORONAL: COLOURS.coronal}

TEXT_PAIRS: tuple[tuple[str, str], ...] = (
    *((text, ground) for text in ("text", "muted") for ground in ("window", "panel", "card", "raised")),
    *((text, ground) for text in ("accent", "warning", "error", "good") for ground in ("window", "panel", "card")),
    *((plane, "window") for plane in ("axial", "sagittal", "coronal", "space", "lesion", "box")),
    ("on_primary", "primary"),
    ("on_primary", "primary_hover"),
    ("text", "selected"),
    ("accent", "selected"),
    ("text", "hover"),
    ("text", "error_ground"),
    ("text", "warning_ground"),
    ("text", "good_ground"),
    ("error", "error_ground"),
    ("warning", "warning_ground"),
    ("good", "good_ground"),
)
"""Every (text, ground) pair of colour names that the window uses; held to 4.5 : 1 by a test."""


def contrast_ratio(first: str, second: str) -> float:
    """Contrast of two ``#rrggbb`` colours, 1 to 21, by WCAG 2.2 (relative luminance)."""
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def apply_theme(app: QApplication) -> None:
    """Load the bundled font and dress the whole application; system fonts stand in when the font is missing."""
    _load_fonts()
    font = QFont(FONT_FAMILY)
    font.setPixelSize(FONT_PIXELS)
    font.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
    app.setFont(font)
    app.setStyle("Fusion")
    app.setPalette(_palette())
    app.setStyleSheet(style_sheet())


def style_sheet() -> str:
    """The application's Qt style sheet."""
    values = {name: getattr(COLOURS, name) for name in Colours.__dataclass_fields__}
    return Template(_STYLE).substitute(values, font=FONT_FAMILY, radius=f"{RADIUS}px")


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _load_fonts() -> None:
    try:
        files = sorted(resource_path("assets", "fonts").glob("*.otf"))
    except HemaviewError:
        files = []
    for file in files:
        if QFontDatabase.addApplicationFont(str(file)) < 0:
            _log.warning("the font %s could not be loaded", file.name)


def _palette() -> QPalette:
    palette = QPalette()
    role = QPalette.ColorRole
    for which, colour in (
        (role.Window, COLOURS.window),
        (role.WindowText, COLOURS.text),
        (role.Base, COLOURS.card),
        (role.AlternateBase, COLOURS.panel),
        (role.Text, COLOURS.text),
        (role.Button, COLOURS.raised),
        (role.ButtonText, COLOURS.text),
        (role.BrightText, COLOURS.on_primary),
        (role.Highlight, COLOURS.primary),
        (role.HighlightedText, COLOURS.on_primary),
        (role.Link, COLOURS.accent),
        (role.LinkVisited, COLOURS.accent),
        (role.ToolTipBase, COLOURS.raised),
        (role.ToolTipText, COLOURS.text),
        (role.PlaceholderText, COLOURS.muted),
    ):
        palette.setColor(which, QColor(colour))
    for which in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, which, QColor(COLOURS.border_strong))
    return palette


_STYLE = """
* { font-family: "$font", "Segoe UI", "Helvetica Neue", "DejaVu Sans", sans-serif; }
QMainWindow, QDialog { background: $window; }
QWidget { color: $text; }
QToolTip { background: $raised; color: $text; border: 1px solid $border_strong; padding: 4px 8px; }

QMenuBar { background: $panel; border-bottom: 1px solid $border; padding: 2px 8px; }
QMenuBar::item { padding: 5px 10px; border-radius: 5px; color: $muted; background: transparent; }
QMenuBar::item:selected { background: $raised; color: $text; }
QMenu { background: $card; border: 1px solid $border_strong; border-radius: $radius; padding: 6px; }
QMenu::item { padding: 6px 28px 6px 12px; border-radius: 5px; }
QMenu::item:selected { background: $primary; color: $on_primary; }
QMenu::item:disabled { color: $border_strong; }
QMenu::separator { height: 1px; background: $border; margin: 6px 8px; }
QMenu::icon { padding-left: 8px; }
QMenu::right-arrow { width: 10px; height: 10px; }

QToolBar { background: $panel; border: none; border-bottom: 1px solid $border; padding: 6px 12px; spacing: 4px; }
QToolBar::separator { background: $border; width: 1px; margin: 6px 8px; }
QToolButton { background: transparent; border: 1px solid transparent; border-radius: 6px; padding: 6px; color: $text; }
QToolButton:hover { background: $raised; }
QToolButton:pressed { background: $border; }
QToolButton:checked { background: $selected; border-color: $accent; color: $text; }
QToolButton:focus { border-color: $accent; }
QToolButton:disabled { color: $border_strong; }
QToolButton::menu-indicator { image: none; }
QToolButton[kind="small"] { padding: 2px 7px; font-size: 12px; color: $muted; border-radius: 5px; }
QToolButton[kind="small"]:checked { background: $raised; border-color: $border_strong; color: $text; }
QToolButton[kind="small"]:focus { border-color: $accent; }
QToolButton[kind="primary"] {
  background: $primary; border-color: $primary; color: $on_primary; font-weight: 600; padding: 6px 12px; margin-left: 8px;
}
QToolButton[kind="primary"]:hover { background: $primary_hover; }
QToolButton[kind="primary"]:focus { border-color: $on_primary; }
QToolButton[kind="primary"]:disabled { background: $card; border-color: $border; color: $border_strong; }
QToolButton[kind="menu"] { padding: 6px 12px; background: $card; border-color: $border; }
QToolButton[kind="menu"]:hover { background: $raised; }
QToolButton[kind="menu"]:focus { border-color: $accent; }

QPushButton { background: $raised; border: 1px solid $border; border-radius: 6px; padding: 7px 14px; }
QPushButton:hover { background: $hover; border-color: $border_strong; }
QPushButton:pressed { background: $border; }
QPushButton:focus { border-color: $accent; }
QPushButton:disabled { color: $border_strong; background: $card; }
QPushButton[kind="primary"] { background: $primary; border-color: $primary; color: $on_primary; font-weight: 600; }
QPushButton[kind="primary"]:hover { background: $primary_hover; border-color: $primary_hover; }
QPushButton[kind="primary"]:focus { border-color: $on_primary; }
QPushButton[kind="primary"]:disabled { background: $card; border-color: $border; color: $border_strong; }
QPushButton[kind="quiet"] { background: transparent; border-color: transparent; color: $muted; padding: 5px 8px; }
QPushButton[kind="quiet"]:hover { background: $raised; color: $text; }
QPushButton[kind="quiet"]:focus { border-color: $accent; }
QPushButton[kind="row"] { text-align: left; background: $card; padding: 10px 12px; }
QPushButton[kind="row"]:hover { background: $raised; }

QLineEdit, QSpinBox, QDoubleSpinBox, QComboBox {
  background: $card; border: 1px solid $border; border-radius: 6px; padding: 5px 8px; selection-background-color: $primary;
}
QLineEdit:focus, QSpinBox:focus, QDoubleSpinBox:focus, QComboBox:focus { border-color: $accent; }
QComboBox::drop-down { border: none; width: 20px; }
QComboBox QAbstractItemView { background: $card; border: 1px solid $border_strong; selection-background-color: $primary; }

QCheckBox { spacing: 8px; }
QCheckBox:focus { color: $accent; }

QSlider::groove:horizontal { height: 4px; background: $border; border-radius: 2px; }
QSlider::sub-page:horizontal { background: $accent; border-radius: 2px; }
QSlider::handle:horizontal {
  background: $text; width: 14px; height: 14px; margin: -5px 0; border-radius: 7px; border: 1px solid $window;
}
QSlider::handle:horizontal:hover { background: $on_primary; }
QSlider:focus { border: none; }
QSlider::handle:horizontal:focus { background: $accent; border: 2px solid $on_primary; }
QSlider::sub-page:horizontal:disabled, QSlider::handle:horizontal:disabled { background: $border_strong; }

QScrollArea { background: transparent; border: none; }
QScrollBar:vertical { background: transparent; width: 10px; margin: 2px; }
QScrollBar::handle:vertical { background: $border; border-radius: 3px; min-height: 32px; }
QScrollBar::handle:vertical:hover { background: $border_strong; }
QScrollBar:horizontal { background: transparent; height: 10px; margin: 2px; }
QScrollBar::handle:horizontal { background: $border; border-radius: 3px; min-width: 32px; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }

QListView, QListWidget, QTextBrowser { background: $card; border: 1px solid $border; border-radius: $radius; outline: none; }
QListView::item { border-radius: 6px; padding: 4px; }
QListView::item:hover { background: $raised; }
QListView::item:selected { background: $selected; color: $text; }
QListView:focus, QTextBrowser:focus { border-color: $accent; }

QProgressBar { background: $border; border: none; border-radius: 2px; max-height: 4px; min-height: 4px; text-align: center; }
QProgressBar::chunk { background: $accent; border-radius: 2px; }

QStatusBar { background: $panel; border-top: 1px solid $border; color: $muted; }
QStatusBar::item { border: none; }
QStatusBar QLabel { color: $muted; padding: 2px 8px; }
QSizeGrip { width: 0; height: 0; }
QSplitter::handle { background: $window; }

QWidget#sidePanel { background: $panel; border-left: 1px solid $border; }
QWidget#sidePanelBody { background: $panel; }
QFrame[kind="card"] { background: $card; border: 1px solid $border; border-radius: $radius; }
QFrame[kind="rule"] { background: $border; max-height: 1px; border: none; }
QLabel[kind="heading"] { font-size: 13px; font-weight: 600; color: $text; }
QLabel[kind="muted"] { color: $muted; font-size: 12px; }
QLabel[kind="warning"] { color: $warning; font-size: 12px; }
QLabel[kind="title"] { font-size: 26px; font-weight: 600; }
QLabel[kind="lead"] { font-size: 15px; color: $muted; }
QLabel[kind="value"] { font-size: 24px; font-weight: 600; }
QLabel[kind="unit"] { font-size: 13px; color: $muted; }
QLabel[kind="step"] {
  font-weight: 600; color: $accent; background: $selected; border-radius: 13px;
  min-width: 26px; max-width: 26px; min-height: 26px; max-height: 26px;
}
QLabel[kind="badge"] { color: $warning; background: $warning_ground; border-radius: 6px; padding: 3px 8px; font-size: 11px; }
QLabel[kind="key"] { color: $muted; background: $raised; border-radius: 4px; padding: 2px 6px; font-size: 11px; }

QFrame#messageBar[severity="error"] { background: $error_ground; border: none; border-bottom: 1px solid $error; }
QFrame#messageBar[severity="warning"] { background: $warning_ground; border: none; border-bottom: 1px solid $warning; }
QFrame#messageBar[severity="info"] { background: $good_ground; border: none; border-bottom: 1px solid $good; }
QFrame#messageBar QLabel { color: $text; }

QFrame#palette { background: $card; border: 1px solid $border_strong; border-radius: 10px; }
QFrame#palette QLineEdit { background: $window; padding: 9px 12px; font-size: 14px; }
QFrame#palette QListView { border: none; background: transparent; }
"""
