"""The models and adapters of this computer: which answers, adding files, fetching and removing them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from PySide6.QtCore import Qt, QTimer, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from hemaview.gui.adapters_card import AdaptersCard
from hemaview.gui.card_reader import CardReader
from hemaview.gui.cards import ElidedLabel, WrappedLabel
from hemaview.gui.model_card import ModelCard, ModelEntry, Strip, megabytes
from hemaview.gui.task_thread import Report, Task, TaskQueue
from hemaview.gui.theme import GAP, MARGIN
from hemaview.segmentation.adapter_store import AdapterStore, StoredAdapter, look_at
from hemaview.segmentation.contract import CancelToken, EngineInfo
from hemaview.segmentation.model_store import ModelStore, StoredModel
from hemaview.segmentation.registry import DEFAULT_ENGINE

_INTRODUCTION = (
    "One model answers at a time. Everything lies on this computer; nothing is fetched unless you press Download."
)
_FILES = "Models and adapters (*.pth *.pt *.safetensors);;All files (*)"


class EngineChoice(Protocol):
    """Which model is chosen, and the adapter file that goes into it."""

    @property
    def name(self) -> str:
        """Name in the registry."""
        ...

    @property
    def adapter(self) -> Path | None:
        """The adapter's file, None for the model as published."""
        ...


class EngineSwitch(Protocol):
    """What the dialog needs of the window's workflow."""

    engine_changed: Any

    @property
    def engine(self) -> EngineInfo | None:
        """The model that answers."""
        ...

    @property
    def engine_choice(self) -> EngineChoice:
        """The model that was chosen."""
        ...

    def use_engine(self, name: str, adapter: Path | None) -> None:
        """Load another model; ``engine_changed(EngineInfo | None, problem)`` says how that ended."""
        ...


class ModelsDialog(QDialog):
    """Lists the models as cards, and the adapters below them; failures are told where they happened.

    What takes time runs in a thread of its own, one thing at a time. Closing the dialog stops it; a download goes on
    from there the next time.
    """

    def __init__(self, workflow: EngineSwitch, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Models and adapters")
        self.setMinimumSize(560, 400)
        room = self.screen().availableSize()
        self.resize(min(760, room.width() - 80), min(720, room.height() - 80))
        self._workflow = workflow
        self._store = ModelStore()
        self._adapters = AdapterStore()
        self._entries: dict[str, ModelEntry] = {}
        self._busy = ""
        self._switching = ""
        self._over = False
        self._token = CancelToken()
        self.cards: dict[str, ModelCard] = {}
        self.adapters = AdaptersCard(self)
        self.adapters.remove_requested.connect(self._ask_remove_adapter)
        self.strip = Strip(self)
        self.strip.cancelled.connect(self._cancel)
        self._tasks = TaskQueue(self)
        self._tasks.failed.connect(self.strip.show_error)
        self.add = QPushButton("Add file…", self)
        self._folder_label = ElidedLabel(self)
        self._build()
        workflow.engine_changed.connect(self._on_engine)
        self.refresh()

    def _build(self) -> None:
        body = QWidget(self)
        self._list = QVBoxLayout(body)
        self._list.setContentsMargins(0, 0, 6, 0)
        self._list.setSpacing(MARGIN)
        self._looking = WrappedLabel("Looking for models…")
        self._list.addWidget(self._looking)
        self._list.addWidget(self.adapters)
        self._list.addStretch(1)
        scroll = QScrollArea(self)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidget(body)
        self._scroll = scroll
        self.add.setToolTip("Add a MedSAM or SAM ViT-B checkpoint, or an adapter")
        self.add.setAutoDefault(False)
        self.add.clicked.connect(lambda _checked=False: self._choose_file())
        self._folder_label.setProperty("kind", "muted")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        buttons.rejected.connect(self.reject)
        for button in buttons.buttons():
            if isinstance(button, QPushButton):
                button.setAutoDefault(False)
        foot = QHBoxLayout()
        foot.setSpacing(GAP)
        foot.addWidget(self.add)
        foot.addWidget(self._folder_label, 1)
        foot.addWidget(buttons)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 20, 20, 16)
        layout.setSpacing(MARGIN)
        layout.addWidget(WrappedLabel(_INTRODUCTION))
        layout.addWidget(scroll, 1)
        layout.addWidget(self.strip)
        layout.addLayout(foot)

    # Looking

    @property
    def is_busy(self) -> bool:
        """Whether something is being read, fetched or loaded."""
        return self._tasks.is_busy or bool(self._switching)

    def refresh(self) -> None:
        """Look at the disk again and show what is there."""

        def work(report: Report) -> tuple[tuple[tuple[StoredModel, tuple[StoredAdapter, ...]], ...], Any, str]:
            adapters = self._adapters.adapters()
            models = tuple((m, tuple(a for a in adapters if a.fits(m.record))) for m in self._store.models())
            return models, adapters, self._store.problem

        def then(found: Any) -> None:
            models, adapters, problem = found
            self._show_models(models)
            self.adapters.show_adapters(adapters)
            if problem:
                self.strip.show_error(problem)

        folder = self._store.folder
        self._folder_label.set_text(f"Added and fetched files: {_short(folder)}")
        self._folder_label.setToolTip(str(folder))
        self._tasks.run(Task("Looking for models", work, then))

    def _show_models(self, models: Sequence[tuple[StoredModel, tuple[StoredAdapter, ...]]]) -> None:
        self._looking.hide()
        choice = self._workflow.engine_choice
        engine = self._workflow.engine
        names = [model.record.name for model, _ in models]
        first_look = not self.cards
        for name in [name for name in self.cards if name not in names]:
            self.cards.pop(name).deleteLater()
            self._entries.pop(name, None)
        for place, (model, adapters) in enumerate(models):
            name = model.record.name
            in_use = engine is not None and engine.name == name
            # What was chosen may have failed to load: the engine itself says whether an adapter is in it.
            with_adapter = in_use and engine is not None and bool(engine.adapter) and choice.name == name
            adapter = choice.adapter if with_adapter else None
            self._entries[name] = ModelEntry(model, adapters, in_use, adapter)
            if name not in self.cards:
                self.cards[name] = self._new_card(name)
                self._list.insertWidget(place + 1, self.cards[name])
                if not first_look:
                    self._reveal(self.cards[name])
        self._show_entries()

    def _show_entries(self) -> None:
        for name, card in self.cards.items():
            card.show_entry(self._entries[name], busy=bool(self._busy))
            if name == self._switching:
                card.show_state("Loading…", "warning")
            if self._switching:
                card.use.setEnabled(False)
        self.add.setEnabled(not self._busy)

    def _new_card(self, name: str) -> ModelCard:
        card = ModelCard(self)
        card.use_requested.connect(lambda adapter: self._use(name, adapter))
        card.download_requested.connect(lambda: self._ask_download(name))
        card.remove_requested.connect(lambda: self._ask_remove(name))
        card.cancel_requested.connect(self._cancel)
        card.folder_requested.connect(lambda: self._show_folder(name))
        card.card_requested.connect(lambda: self._show_card(name))
        return card

    # Choosing

    def _use(self, name: str, adapter: Path | None) -> None:
        self._switching = name
        self.cards[name].strip.clear()
        self._show_entries()
        self._workflow.use_engine(name, adapter)

    def _on_engine(self, info: EngineInfo | None, problem: str) -> None:
        name, self._switching = self._switching, ""
        if problem and name in self.cards:
            self.cards[name].strip.show_error(problem)
        self.refresh()

    # Fetching, adding, removing

    def _ask_download(self, name: str) -> None:
        model = self._entries[name].model
        record = model.record
        left = megabytes(record.size - model.arrived)
        place = QUrl(record.files[0].url).host()
        question = f"Fetch {left} from {place} into {self._store.folder}? Licence: {record.licence}."
        self._ask(name, question, "Download", "Not now", lambda: self._download(name))

    def _ask(self, name: str, question: str, yes: str, no: str, answer: Callable[[], None]) -> None:
        strip = self.cards[name].strip
        strip.ask(question, yes, no, answer)
        self._reveal(strip)

    def _reveal(self, widget: QWidget) -> None:
        """Scroll to what has just appeared, once the layout has given it its place."""
        QTimer.singleShot(0, widget, partial(self._scroll.ensureWidgetVisible, widget))

    def _download(self, name: str) -> None:
        title = self._entries[name].model.record.title
        self._run(
            name,
            self.cards[name].strip,
            f"Downloading {title}",
            lambda token, count: self._store.download(name, progress=count, cancel=token),
        )

    def _choose_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Add a model or an adapter", "", _FILES)
        if path:
            self.add_file(Path(path))

    def add_file(self, path: Path) -> None:
        """Copy a checkpoint or an adapter to the others."""

        def work(token: CancelToken, count: Callable[[int, int], None]) -> None:
            if look_at(path).card is not None:
                self._adapters.add(path)
            else:
                self._store.add_file(path, progress=count, cancel=token)

        self._run("+", self.strip, f"Adding {path.name}", work)

    def _ask_remove(self, name: str) -> None:
        entry = self._entries[name]
        size = megabytes(entry.model.arrived or entry.model.record.size)
        after = " HEMAVIEW goes back to the model that comes with it." if entry.in_use else ""
        question = f"Delete {size} of {entry.model.record.title} from this computer?{after}"
        self._ask(name, question, "Remove", "Keep", lambda: self._remove(name))

    def _remove(self, name: str) -> None:
        if self._entries[name].in_use:
            self._workflow.use_engine(DEFAULT_ENGINE, None)
        strip = self.cards[name].strip
        self._run(name, strip, "Removing", lambda token, count: self._store.remove(name), can_cancel=False)

    def _ask_remove_adapter(self, name: str) -> None:
        self.strip.ask(f"Delete the adapter {name}?", "Remove", "Keep", lambda: self._remove_adapter(name))

    def _remove_adapter(self, name: str) -> None:
        choice = self._workflow.engine_choice
        if choice.adapter is not None and choice.adapter.stem == name:
            self._workflow.use_engine(choice.name, None)
        self._run("+", self.strip, "Removing", lambda token, count: self._adapters.remove(name), can_cancel=False)

    def _run(
        self,
        name: str,
        strip: Strip,
        label: str,
        work: Callable[[CancelToken, Callable[[int, int], None]], object],
        *,
        can_cancel: bool = True,
    ) -> None:
        """Do something in the thread, with a bar in ``strip``; one thing at a time."""
        self._busy = name
        token = self._token = CancelToken()
        strip.show_progress(f"{label}…", None, can_cancel=can_cancel)
        self._show_entries()
        total = [0]

        def in_thread(report: Report) -> object:
            def count(done: int, whole: int) -> None:
                total[0] = whole
                report(done / whole if whole else 0.0)

            return work(token, count)

        def show(working: str, fraction: float) -> None:
            if working == label and fraction > 0:
                amount = f" – {megabytes(round(fraction * total[0]))} of {megabytes(total[0])}" if total[0] else ""
                strip.show_progress(f"{label}{amount}", fraction, can_cancel=can_cancel)

        def ended(sentence: str) -> None:
            self._tasks.changed.disconnect(show)
            self._busy = ""
            if sentence:
                strip.show_error(sentence)
                if strip is not self.strip:
                    self._reveal(strip)
            else:
                strip.clear()
            self.refresh()

        self._ended = ended
        self._tasks.changed.connect(show)
        self._tasks.run(Task(label, in_thread, lambda result: ended(""), ended))

    def _cancel(self) -> None:
        if self._busy:
            self._token.cancel()
            self._tasks.cancel()
            self._ended("")

    # Showing

    def _show_folder(self, name: str) -> None:
        folder = self._entries[name].model.folder
        while not folder.is_dir() and folder != folder.parent:
            folder = folder.parent
        if not QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder))):
            self.cards[name].strip.show_error(f"No file manager answers; the folder is {folder}.")

    def _show_card(self, name: str) -> None:
        record = self._entries[name].model.record
        try:
            text = record.card_path.read_text(encoding="utf-8")
        except OSError:
            self.cards[name].strip.show_error(f"The model card {record.card} is missing; reinstall HEMAVIEW.")
            return
        CardReader(record.title, text, self).exec()

    def done(self, result: int) -> None:
        """Stop what runs and wait for it before the dialog goes."""
        if not self._over:
            self._over = True
            self._workflow.engine_changed.disconnect(self._on_engine)
            self._token.cancel()
            self._tasks.close()
        super().done(result)


def _short(folder: Path) -> str:
    """A folder with the user's own written as "~"."""
    try:
        return f"~/{folder.relative_to(Path.home()).as_posix()}"
    except (ValueError, RuntimeError):
        return str(folder)
