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
    """The application's Qt style sheet; empty when its file is missing."""
    values = {name: getattr(COLOURS, name) for name in Colours.__dataclass_fields__}
    try:
        template = resource_path("assets", "theme", "dark.qss").read_text(encoding="utf-8")
        icons = resource_path("assets", "icons").as_posix()
    except (HemaviewError, OSError):
        _log.warning("the style sheet is missing; the window will look plain")
        return ""
    return Template(template).substitute(values, font=FONT_FAMILY, radius=f"{RADIUS}px", icons=icons)


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
