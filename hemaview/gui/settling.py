"""Waiting until a window has nothing left to do, while it goes on working."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEventLoop, QTimer

_LOOK_EVERY_MS = 20
_CALM_LOOKS = 5


def wait_until_settled(is_settled: Callable[[], bool], timeout_s: float) -> bool:
    """Let the window work until it was settled several times running or the time is up; returns whether it is."""
    loop = QEventLoop()
    timer = QTimer()
    timer.setInterval(_LOOK_EVERY_MS)
    calm = 0

    def look() -> None:
        nonlocal calm
        calm = calm + 1 if is_settled() else 0
        if calm >= _CALM_LOOKS:
            loop.quit()

    timer.timeout.connect(look)
    timer.start()
    QTimer.singleShot(round(timeout_s * 1000), loop.quit)
    loop.exec()
    timer.stop()
    return is_settled()
