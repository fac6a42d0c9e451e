"""The pictures of the user guide, made from the real window without a screen: docs/guide/*.png.

``python3 packaging/dev.py guide`` runs this. Every scan in the pictures is the sample phantom. Run it again after a
change of the window, and look at what changed before it goes in.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from guide_phantoms import write_cd
from PIL import Image
from PySide6.QtCore import QBuffer, QEventLoop, QIODevice, QPoint, QRect, QTimer
from PySide6.QtWidgets import QApplication, QDialog, QScrollArea, QWidget

from hemaview.errors import HemaviewError
from hemaview.gui.app import make_application
from hemaview.gui.deidentify_dialog import DeidentifyDialog
from hemaview.gui.import_browser import ImportBrowser
from hemaview.gui.main_window import MainWindow
from hemaview.gui.models_dialog import ModelsDialog
from hemaview.gui.theme import MARGIN
from hemaview.gui.view_state import Tool
from hemaview.imaging import Plane

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "guide"
WINDOW, SMALL_WINDOW = (1280, 800), (1040, 560)
_COLOURS = 256
_PATIENCE_S = 120.0


def main() -> int:
    """Make every picture; returns the exit code."""
    with folder_for_work() as room:
        be_nobody(room)
        make_application(offscreen=True)
        cd = write_cd(room / "CD")
        with window(room / "cases") as shown:
            take_marking(shown)
            take_preparing(shown)
            take_models(shown)
        with window(room / "more cases") as shown:
            take_several(shown, cd)
    total = sum(path.stat().st_size for path in FOLDER.glob("*.png"))
    print(f"{len(list(FOLDER.glob('*.png')))} pictures of {total / 1e6:.2f} MB in {FOLDER}")
    return 0


# What is taken


def take_marking(shown: MainWindow) -> None:
    """The sample with its box and mask: the whole window, single views and the cards about the mask."""
    shown.workflow.opening.open_sample(segment=True)
    settle(shown)
    shown.show_tada_slice()
    settle(shown)
    save(shown, "window")
    save(shown.volumes, "volumes")
    shown.state.set_tool(Tool.BOX)
    settle(shown)
    save(shown.grid, "box", QRect(0, 0, shown.grid.width(), shown.grid.height() // 2 + 1))
    shown.state.set_tool(Tool.CROSSHAIR)
    axial = shown.grid.frames[Plane.AXIAL]
    shown.grid.toggle_maximised(axial)
    shown.resize(*SMALL_WINDOW)
    settle(shown)
    save(axial, "axial")
    shown.messages.dismiss()
    save(shown, "review", beside_the_strip(shown))
    shown.grid.toggle_maximised(axial)
    shown.resize(*WINDOW)
    settle(shown)


def take_preparing(shown: MainWindow) -> None:
    """The dialog with a preview."""
    shown.preparing.show_dialog()
    dialog = shown.preparing.dialog
    assert dialog is not None
    dialog.resize(960, 600)
    for name in ("n4", "denoise"):
        dialog.choice.ticks[name].setChecked(True)
    dialog.start()
    wait_until(lambda: not dialog.is_busy)
    save(dialog, "prepare")
    dialog.reject()
    settle(shown)


def take_models(shown: MainWindow) -> None:
    """The list of models."""
    dialog = ModelsDialog(shown.workflow, shown)
    dialog.resize(760, 520)
    dialog.open()
    wait_until(lambda: not dialog.is_busy)
    save(dialog, "models")
    close(dialog)


def take_several(shown: MainWindow, cd: Path) -> None:
    """The list of scans found, a scout that is only looked at, several scans in a case, and exporting DICOM."""
    shown.open_files([cd])
    settle(shown)
    browser = shown.browsing.browser
    browser.resize(960, 700)
    browser.tree.scrollToTop()
    settle(shown)
    save(browser, "browser")

    open_series(shown, browser, 1)
    shown.resize(*SMALL_WINDOW)
    shown.grid.toggle_maximised(shown.grid.frames[Plane.SAGITTAL])
    settle(shown)
    save(shown, "look-only")
    shown.grid.toggle_maximised()
    shown.resize(*WINDOW)

    open_series(shown, browser, 2, 3, 5)
    case = shown.case
    assert case is not None
    shown.scans.scan_chosen.emit(case.scans[-1].id)
    settle(shown)
    save(shown.scans, "scans")

    dialog = DeidentifyDialog("T1 axial", cd, shown)
    dialog.set_parent_folder(Path("USB stick"))
    dialog.open()
    save(dialog, "deidentify")
    close(dialog)


# How it is taken


@contextmanager
def folder_for_work() -> Iterator[Path]:
    """An empty folder that is left again; always of the same name, because a picture shows it."""
    room = Path(tempfile.gettempdir()) / "hemaview-guide"
    shutil.rmtree(room, ignore_errors=True)
    room.mkdir(mode=0o700)
    try:
        with chdir(room):
            yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)


def be_nobody(home: Path) -> None:
    """Show neither the models, cases and folders of who runs this, nor the number of their processors."""
    os.environ["HOME"] = os.environ["USERPROFILE"] = str(home)
    os.environ["HEMAVIEW_THREADS"] = "2"
    for name in [name for name in os.environ if name.startswith("XDG_") or name == "HEMAVIEW_MODELS"]:
        del os.environ[name]


@contextmanager
def window(cases: Path) -> Iterator[MainWindow]:
    """The window, without a case, as large as in the pictures."""
    shown = MainWindow(cases)
    problems: list[str] = []
    shown.workflow.message.connect(lambda severity, text: problems.append(text) if severity == "error" else None)
    shown.resize(*WINDOW)
    shown.show()
    try:
        wait_until(lambda: shown.workflow.engine is not None)
        yield shown
        if problems:
            raise HemaviewError(problems[0])
    finally:
        shown.close()


def open_series(shown: MainWindow, browser: ImportBrowser, *numbers: int) -> None:
    """Open series of the folder that was looked through as a new case."""
    found = shown.workflow.opening.found
    assert found is not None
    assert found.catalogue is not None
    items = [item for item in found.catalogue if any(f"series {n}" in item.summary.label for n in numbers)]
    browser.accept()
    shown.workflow.opening.open_series(items)
    settle(shown)


def settle(shown: MainWindow) -> None:
    """Let the window finish; its messages and how long things took are not for the guide."""
    if not shown.settle(_PATIENCE_S):
        raise HemaviewError("The window did not come to rest in time; close other programs and start again.")
    shown.messages.dismiss()
    shown.workflow.timing_changed.emit(None)


def wait_until(done: Callable[[], bool]) -> None:
    """Let the program work until ``done``; ``HemaviewError`` when that takes too long."""
    loop, timer, limit = QEventLoop(), QTimer(), QTimer()
    timer.timeout.connect(lambda: loop.quit() if done() else None)
    limit.timeout.connect(loop.quit)
    timer.start(20)
    limit.start(round(_PATIENCE_S * 1000))
    loop.exec()
    if not done():
        raise HemaviewError("A picture was not ready in time; close other programs and start again.")


def beside_the_strip(shown: MainWindow) -> QRect:
    """The part of the window with the strip of the largest view and, scrolled up to it, the card about the mask."""
    (area,) = (one for one in shown.findChildren(QScrollArea) if one.isAncestorOf(shown.answer))
    area.verticalScrollBar().setValue(shown.answer.y() - MARGIN)
    corner = area.mapTo(shown, QPoint(0, 0))
    return QRect(corner.x() - 340, corner.y(), 340 + area.width(), 390)


def close(dialog: QDialog) -> None:
    """Close a dialog for good."""
    dialog.done(0)
    dialog.deleteLater()


def save(widget: QWidget, name: str, part: QRect | None = None) -> None:
    """Write what a widget shows as docs/guide/NAME.png."""
    QApplication.processEvents()
    picture = widget.grab() if part is None else widget.grab(part)
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    picture.save(buffer, "PNG")
    with Image.open(BytesIO(buffer.data().data())) as image:
        in_few_colours(image.convert("RGB")).save(FOLDER / f"{name}.png", optimize=True)
    print(f"{name}.png  {picture.width()} x {picture.height()}")


def in_few_colours(image: Image.Image) -> Image.Image:
    """The picture with a palette, a third of its size; colours of small marks count as much as those of grounds."""
    colours, counts = np.unique(np.asarray(image).reshape(-1, 3), axis=0, return_counts=True)
    sample = np.repeat(colours, np.ceil(counts**0.25).astype(int), axis=0)
    palette = Image.fromarray(sample[None]).quantize(_COLOURS, kmeans=3)
    return image.quantize(palette=palette, dither=Image.Dither.NONE)


if __name__ == "__main__":
    sys.exit(main())
