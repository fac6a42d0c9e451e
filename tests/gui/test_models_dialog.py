"""The list of models in the window: real widgets, real mouse and keys, real files, and a server on this machine."""

from __future__ import annotations

import hashlib
import shutil
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PySide6.QtCore import QObject, QPoint, Qt, Signal
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QPushButton, QTextBrowser

from hemaview.gui.card_reader import CardReader
from hemaview.gui.cards import WrappedLabel
from hemaview.gui.model_card import NO_ADAPTER, adapter_text
from hemaview.gui.models_dialog import ModelsDialog
from hemaview.gui.theme import apply_theme
from hemaview.resources import resource_path
from hemaview.segmentation.adapter_store import AdapterStore
from hemaview.segmentation.adapters import AdapterCard, AdapterConfig, ConvLoraConfig, save_adapter
from hemaview.segmentation.adapters.inject import inject
from hemaview.segmentation.compact.coarse import CoarseNet
from hemaview.segmentation.contract import EngineInfo
from hemaview.segmentation.model_store import ModelStore
from hemaview.segmentation.registry import model_records

sys.path.insert(0, str(Path(__file__).parents[1] / "segmentation"))

from origin import Origin, serve
from tiny_checkpoint import write_checkpoint


@dataclass
class Choice:
    name: str = "compact"
    adapter: Path | None = None


class Switch(QObject):
    """Stands for the window's workflow: takes a choice and answers when it is told to."""

    engine_changed = Signal(object, str)

    def __init__(self):
        super().__init__()
        self.engine_choice = Choice()
        self.engine = self._info()
        self.asked: list[tuple[str, Path | None]] = []

    def _info(self) -> EngineInfo:
        adapter = self.engine_choice.adapter
        name = self.engine_choice.name
        return EngineInfo(name, name, "CPU", "0" * 64, "x", "y", adapter.stem if adapter else "")

    def use_engine(self, name: str, adapter: Path | None) -> None:
        self.asked.append((name, adapter))

    def answer(self, problem: str = "") -> None:
        if not problem:
            self.engine_choice = Choice(*self.asked[-1])
            self.engine = self._info()
        self.engine_changed.emit(self.engine, problem)


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("published") / "medsam_vit_b.pth")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("HEMAVIEW_MODELS", str(tmp_path / "mine"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "mine"


@pytest.fixture
def origin(tmp_path, published, monkeypatch, folder):
    """A bundle whose medsam is a tiny file on a server of this machine."""
    copy = tmp_path / "bundle" / "models"
    shutil.copytree(resource_path("models"), copy)
    made = Origin(published.read_bytes())
    server = serve(made)
    registry = copy / "registry.toml"
    text = registry.read_text()
    text = text.replace("3bb6db55bd0c9ca30b61248bca72f8d6", hashlib.md5(made.content).hexdigest())
    text = text.replace("bytes = 375049145", f"bytes = {len(made.content)}")
    registry.write_text(text.replace("https://zenodo.org/records/10689643/files/medsam_vit_b.pth", made.url))
    monkeypatch.setattr(sys, "_MEIPASS", str(copy.parent), raising=False)
    yield made
    if made.pause is not None:
        made.pause.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def show(qtbot, origin):
    """Show the dialog: ``show(switch)``; it is closed after the test."""
    apply_theme(QApplication.instance())
    shown = []

    def build(switch: Switch | None = None) -> ModelsDialog:
        dialog = ModelsDialog(switch or Switch())
        shown.append(dialog)
        with qtbot.waitExposed(dialog):
            dialog.show()
        dialog.activateWindow()
        assert QTest.qWaitForWindowActive(dialog, 10_000)
        qtbot.waitUntil(lambda: not dialog.is_busy and bool(dialog.cards), timeout=20_000)
        # Cards put into a window that is already shown appear with the next events.
        qtbot.waitUntil(lambda: all(card.isVisible() for card in dialog.cards.values()), timeout=20_000)
        return dialog

    yield build
    for dialog in shown:
        dialog.done(0)
        dialog.deleteLater()


@pytest.fixture
def make_adapter(tmp_path):
    def make(stem: str, verdict: float = 1.0) -> Path:
        torch.manual_seed(0)
        config = AdapterConfig(conv_lora=ConvLoraConfig())
        record = model_records()[0]
        figures = {"verdict": verdict, "dice_before": 0.71, "dice_after": 0.71 + 0.1 * verdict}
        card = AdapterCard(
            f"Site {stem}", "compact", record.fingerprint, config, "phantoms", figures, "2026-11-22T20:00:00", "test"
        )
        path = tmp_path / f"{stem}.safetensors"
        save_adapter(path, {"coarse": inject(CoarseNet(), config)}, card)
        return path

    return make


def click(button: QPushButton) -> None:
    QApplication.processEvents()
    assert button.isVisible()
    assert button.isEnabled()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def settled(qtbot, dialog) -> None:
    qtbot.waitUntil(lambda: not dialog.is_busy, timeout=20_000)


def test_every_model_says_what_it_is_and_where_it_stands(show):
    dialog = show()
    assert list(dialog.cards) == ["compact", "medsam", "sam_vit_b"]
    compact, medsam, sam = dialog.cards.values()
    assert [card.state_text for card in dialog.cards.values()] == ["In use", "Not installed", "Not installed"]
    assert "no patient's lesion" in compact.facts_text
    assert "CC-BY-4.0" in medsam.facts_text
    assert "Nature Communications" in medsam.facts_text
    assert "not on medical scans" in sam.facts_text
    assert not compact.use.isVisible()
    assert not compact.remove.isVisible()
    assert not compact.download.isVisible()
    assert not compact.adapter.isVisible()
    assert not medsam.use.isVisible()
    assert medsam.download.isVisible()


def test_nothing_is_fetched_before_yes(show, qtbot, origin, folder):
    dialog = show()
    card = dialog.cards["medsam"]
    click(card.download)
    assert "MB from 127.0.0.1" in card.strip.text
    assert "CC-BY-4.0" in card.strip.text
    click(card.strip.no)
    assert card.strip.text == ""
    assert origin.asked == []
    assert not folder.exists()
    click(card.download)
    click(card.strip.yes)
    settled(qtbot, dialog)
    assert card.state_text == "Installed"
    assert card.strip.text == ""
    assert (folder / "medsam_vit_b.pth").read_bytes() == origin.content
    assert card.use.isVisible()
    assert not card.download.isVisible()


def test_a_download_shows_how_far_it_is_can_be_cancelled_and_goes_on(show, qtbot, origin, folder):
    origin.pause = threading.Event()
    dialog = show()
    card = dialog.cards["medsam"]
    click(card.download)
    click(card.strip.yes)
    qtbot.waitUntil(lambda: "MB of" in card.strip.text, timeout=20_000)
    assert card.strip.bar.value() > 0
    assert not dialog.add.isEnabled()
    assert not dialog.cards["sam_vit_b"].download.isEnabled()
    click(card.strip.no)
    settled(qtbot, dialog)
    assert card.state_text == "Partly downloaded"
    assert card.download.text().startswith("Resume")
    assert dialog.add.isEnabled()
    origin.pause.set()
    click(card.download)
    click(card.strip.yes)
    settled(qtbot, dialog)
    assert card.state_text == "Installed"
    assert "range" in origin.asked[-1]


def test_what_goes_wrong_is_told_in_the_card(show, qtbot, origin):
    origin.status = 404
    dialog = show()
    card = dialog.cards["medsam"]
    click(card.download)
    click(card.strip.yes)
    settled(qtbot, dialog)
    assert "no longer has this file" in card.strip.text
    assert card.state_text == "Not installed"
    click(card.strip.no)
    assert card.strip.text == ""


def test_closing_stops_a_download_and_keeps_what_arrived(show, qtbot, origin, folder):
    origin.pause = threading.Event()
    dialog = show()
    card = dialog.cards["medsam"]
    click(card.download)
    click(card.strip.yes)
    part = folder / "medsam_vit_b.pth.part"
    qtbot.waitUntil(lambda: part.exists() and part.stat().st_size > 0, timeout=20_000)
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    assert not dialog.isVisible()
    assert not dialog.is_busy
    assert part.stat().st_size > 0


def test_another_model_is_chosen_with_the_keyboard(show, qtbot, published):
    ModelStore().add_file(published)
    switch = Switch()
    dialog = show(switch)
    card = dialog.cards["medsam"]
    card.use.setFocus()
    QTest.keyClick(card.use, Qt.Key.Key_Space)
    assert switch.asked == [("medsam", None)]
    assert card.state_text == "Loading…"
    switch.answer()
    settled(qtbot, dialog)
    assert card.state_text == "In use"
    assert dialog.cards["compact"].state_text == "Comes with HEMAVIEW"
    assert dialog.cards["compact"].use.isVisible()


def test_a_model_that_cannot_be_loaded_leaves_the_old_one_and_says_why(show, qtbot, published):
    ModelStore().add_file(published)
    switch = Switch()
    dialog = show(switch)
    click(dialog.cards["medsam"].use)
    switch.answer("There is not enough memory for this model.")
    settled(qtbot, dialog)
    assert dialog.cards["medsam"].strip.text == "There is not enough memory for this model."
    assert dialog.cards["compact"].state_text == "In use"


def test_an_adapter_is_switched_live_and_back_to_none(show, qtbot, make_adapter):
    added = AdapterStore().add(make_adapter("b"))
    switch = Switch()
    dialog = show(switch)
    box = dialog.cards["compact"].adapter
    assert box.currentText() == NO_ADAPTER
    box.setFocus()
    QTest.keyClick(box, Qt.Key.Key_Down)
    assert switch.asked == [("compact", added.path)]
    switch.answer()
    settled(qtbot, dialog)
    assert box.currentText() == adapter_text(added)
    assert "0.71 → 0.81" in box.currentText()
    QTest.keyClick(box, Qt.Key.Key_Up)
    assert switch.asked[-1] == ("compact", None)
    switch.answer()
    settled(qtbot, dialog)
    assert box.currentText() == NO_ADAPTER


def test_an_adapter_that_made_things_worse_cannot_be_chosen(show, make_adapter):
    AdapterStore().add(make_adapter("worse", verdict=-1.0))
    switch = Switch()
    dialog = show(switch)
    box = dialog.cards["compact"].adapter
    assert "not offered" in box.itemText(1)
    box.setFocus()
    QTest.keyClick(box, Qt.Key.Key_Down)
    assert box.currentText() == NO_ADAPTER
    assert switch.asked == []


def test_removing_the_model_in_use_goes_back_to_the_bundled_one(show, qtbot, published, folder):
    ModelStore().add_file(published)
    switch = Switch()
    switch.use_engine("medsam", None)
    switch.answer()
    dialog = show(switch)
    card = dialog.cards["medsam"]
    click(card.remove)
    assert "goes back" in card.strip.text
    click(card.strip.no)
    assert (folder / "medsam_vit_b.pth").exists()
    click(card.remove)
    click(card.strip.yes)
    settled(qtbot, dialog)
    assert switch.asked[-1] == ("compact", None)
    assert not (folder / "medsam_vit_b.pth").exists()
    assert card.state_text == "Not installed" or switch.engine.name == "medsam"
    switch.answer()
    settled(qtbot, dialog)
    assert card.state_text == "Not installed"


def test_a_file_is_added_with_the_button(show, qtbot, tmp_path, monkeypatch, folder):
    path = write_checkpoint(tmp_path / "Our clinic.pth", seed=1)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *arguments: (str(path), ""))
    dialog = show()
    click(dialog.add)
    settled(qtbot, dialog)
    assert dialog.strip.text == ""
    assert dialog.cards["our_clinic"].state_text == "Added by you"
    click(dialog.cards["our_clinic"].remove)
    click(dialog.cards["our_clinic"].strip.yes)
    settled(qtbot, dialog)
    assert "our_clinic" not in dialog.cards


def test_an_adapter_is_added_and_removed(show, qtbot, make_adapter):
    dialog = show()
    assert dialog.adapters.buttons == {}
    dialog.add_file(make_adapter("b"))
    settled(qtbot, dialog)
    assert dialog.strip.text == ""
    assert dialog.cards["compact"].adapter.isVisible()
    click(dialog.adapters.buttons["b"])
    assert "Delete the adapter b?" in dialog.strip.text
    click(dialog.strip.yes)
    settled(qtbot, dialog)
    assert AdapterStore().adapters() == ()
    assert not dialog.cards["compact"].adapter.isVisible()


def test_what_is_no_model_is_told_above_the_button(show, qtbot, tmp_path):
    letter = tmp_path / "letter.pth"
    letter.write_text("The patient came in at night.")
    dialog = show()
    dialog.add_file(letter)
    settled(qtbot, dialog)
    assert "letter.pth" in dialog.strip.text
    assert dialog.strip.text.endswith(".")
    click(dialog.strip.no)
    assert dialog.strip.text == ""


def test_a_damaged_list_of_added_models_is_told(show, folder):
    folder.mkdir()
    (folder / "added.toml").write_text("not toml [")
    dialog = show()
    assert "damaged" in dialog.strip.text
    assert list(dialog.cards) == ["compact", "medsam", "sam_vit_b"]


def test_every_control_can_be_reached_with_tab_and_has_a_name(show, make_adapter):
    AdapterStore().add(make_adapter("b"))
    dialog = show()
    reached = set()
    dialog.cards["compact"].adapter.setFocus()
    for _ in range(60):
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        reached.add(QApplication.focusWidget())
    wanted = {b for b in dialog.findChildren(QPushButton) if b.isVisible() and b.isEnabled()}
    assert wanted <= reached
    assert dialog.cards["compact"].adapter in reached
    for button in wanted:
        assert button.text()
    assert dialog.cards["medsam"].download.accessibleName() == "Download MedSAM ViT-B"


def test_nothing_is_cut_off(show, make_adapter, qtbot):
    AdapterStore().add(make_adapter("b"))
    dialog = show()
    dialog.cards["medsam"].strip.show_error("A long sentence. " * 12)
    QApplication.processEvents()
    for card in (*dialog.cards.values(), dialog.adapters):
        assert card.mapTo(dialog, QPoint(card.width(), 0)).x() <= dialog.width()
        for text in card.findChildren(WrappedLabel):
            if text.isVisible():
                # Wrapped text takes its final height a few events after the window has its width.
                qtbot.waitUntil(lambda text=text: text.height() >= text.heightForWidth(text.width()))
        for button in card.findChildren(QPushButton):
            if button.isVisible():
                assert button.width() >= button.sizeHint().width()


def test_the_model_card_can_be_read(qtbot, origin):
    text = (resource_path("models") / "medsam" / "MODEL_CARD.md").read_text(encoding="utf-8")
    dialog = CardReader("MedSAM ViT-B", text)
    qtbot.addWidget(dialog)
    shown = dialog.findChild(QTextBrowser).toPlainText()
    assert "HEMAVIEW has measured none" in shown
    assert "CC-BY-4.0" in shown
