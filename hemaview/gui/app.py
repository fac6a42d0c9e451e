"""Starting the window: for files from the command line, or on the sample case."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QCoreApplication, Qt, QTimer
from PySide6.QtWidgets import QApplication

from hemaview import __version__
from hemaview.case import Case, default_case_root
from hemaview.case.headless import write_results
from hemaview.crash_report import report_uncaught
from hemaview.errors import HemaviewError
from hemaview.gui.icons import app_icon
from hemaview.gui.main_window import MainWindow
from hemaview.gui.theme import apply_theme

DEMO_SIZE = (1600, 1000)
DEMO_TIMEOUT_S = 300.0


def make_application(*, offscreen: bool = False) -> QApplication:
    """The process's one ``QApplication`` in HEMAVIEW's dress; ``offscreen`` needs no screen at all.

    Raises ``HemaviewError`` when there is no screen to open a window on.
    """
    running = QCoreApplication.instance()
    if isinstance(running, QApplication):
        apply_theme(running)
        return running
    if offscreen:
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
        if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
            # VTK would look for an X server first and complain that there is none.
            os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    elif not has_screen():
        raise HemaviewError(
            "There is no screen to open a window on; start HEMAVIEW on a desktop, or use 'hemaview segment' here."
        )
    QApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
    app = QApplication(sys.argv[:1])
    app.setApplicationName("hemaview")
    app.setApplicationDisplayName("HEMAVIEW")
    app.setApplicationVersion(__version__)
    app.setDesktopFileName("hemaview")
    app.setWindowIcon(app_icon())
    apply_theme(app)
    return app


def has_screen() -> bool:
    """Whether a window can be opened here."""
    if not sys.platform.startswith("linux"):
        return True
    platform = os.environ.get("QT_QPA_PLATFORM", "")
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")) or platform.startswith(
        ("offscreen", "minimal", "vnc", "linuxfb", "eglfs")
    )


def run(files: Sequence[Path] = (), *, demo: bool = False) -> int:
    """Open the window, with ``files`` or the segmented sample in it; returns when it is closed."""
    app = make_application()
    _quit_on_signals(app)
    sys.excepthook = report_uncaught
    window = MainWindow(default_case_root(), reopen=not files and not demo)
    window.show()
    if demo:
        QTimer.singleShot(0, lambda: window.workflow.opening.open_sample(segment=True))
    elif files:
        window.open_files([Path(f) for f in files])
    return app.exec()


def _quit_on_signals(app: QApplication) -> None:
    """Close the window in good order at Ctrl+C in the terminal and when the system ends the program."""

    def close(*_: object) -> None:
        for window in app.topLevelWidgets():
            if isinstance(window, MainWindow):
                # Nobody may be there to answer; a training that is stopped goes on where it was.
                window.models.confirm = lambda: True
        app.closeAllWindows()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, close)
    # Python looks at signals only between its own steps; Qt's loop alone would never come to one.
    beat = QTimer(app)
    beat.timeout.connect(lambda: None)
    beat.start(500)


def run_demo(out: Path, *, offscreen: bool = True) -> int:
    """Run the whole window on the sample phantom and leave its picture and its results in the folder ``out``.

    The same window, workers and 3D scene as on a screen; ``offscreen`` draws them without one. Writes
    window.png, mask.nii.gz, volumes.csv, haematoma.stl and segmentation.json. Returns the exit code; raises
    ``HemaviewError`` with the sentence that the window would show.
    """
    make_application(offscreen=offscreen)
    problems: list[str] = []
    with tempfile.TemporaryDirectory(prefix="hemaview-demo-") as cases:
        window = MainWindow(Path(cases))
        window.resize(*DEMO_SIZE)
        window.workflow.message.connect(lambda severity, text: problems.append(text) if severity == "error" else None)
        window.show()
        try:
            window.workflow.opening.open_sample(segment=True)
            settled = window.settle(DEMO_TIMEOUT_S)
            if problems:
                raise HemaviewError(problems[0])
            case: Case | None = window.case
            if not settled or case is None or case.mask is None:
                raise HemaviewError("The demo did not finish in time; close other programs and run it again.")
            window.messages.dismiss()
            write_results(case.snapshot(), out)
            window.show_tada_slice()
            window.settle(DEMO_TIMEOUT_S)
            window.grab_to(out / "window.png")
        finally:
            window.close()
    return 0
