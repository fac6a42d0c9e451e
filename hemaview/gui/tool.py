"""The tools of the viewers."""

from __future__ import annotations

from enum import StrEnum


class Tool(StrEnum):
    """What the left mouse button does in a viewer."""

    CROSSHAIR = "crosshair"
    WINDOW = "window"
    BOX = "box"
    POINTS = "points"
    BRUSH = "brush"
    ERASER = "eraser"
