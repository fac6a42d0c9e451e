"""What this program is, which model it uses, and under which licences its parts come."""

from __future__ import annotations

from html import escape
from importlib import metadata

from PySide6.QtWidgets import QDialog, QDialogButtonBox, QHBoxLayout, QLabel, QTextBrowser, QVBoxLayout, QWidget

from hemaview import __version__
from hemaview.errors import HemaviewError
from hemaview.gui.cards import WrappedLabel, label
from hemaview.gui.icons import app_icon
from hemaview.gui.start_page import NOTICE
from hemaview.gui.theme import COLOURS, GAP
from hemaview.segmentation.contract import EngineInfo
from hemaview.segmentation.registry import model_records

# Distribution, what it does here, licence where the package itself does not state it in one line.
_PARTS = (
    ("PySide6_Essentials", "window", "LGPL-3.0"),
    ("vtk", "3D view and surfaces", "BSD-3-Clause"),
    ("pyvista", "3D scene", "MIT"),
    ("pyvistaqt", "3D view in the window", "MIT"),
    ("superqt", "controls", "BSD-3-Clause"),
    ("torch", "neural networks", "BSD-3-Clause"),
    ("segment-anything", "prompt encoder and mask decoder", "Apache-2.0"),
    ("safetensors", "model files", "Apache-2.0"),
    ("SimpleITK", "scan formats", "Apache-2.0"),
    ("nibabel", "NIfTI", "MIT"),
    ("pydicom", "DICOM", "MIT"),
    ("numpy", "arrays", "BSD-3-Clause"),
    ("scipy", "image processing", "BSD-3-Clause"),
    ("scikit-learn", "volume correction", "BSD-3-Clause"),
    ("platformdirs", "folders", "MIT"),
    ("filelock", "downloads", "MIT"),
    ("tomli_w", "list of added models", "MIT"),
)


class AboutDialog(QDialog):
    """Modal; nothing in it changes anything."""

    def __init__(self, engine: EngineInfo | None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("About HEMAVIEW")
        self.resize(560, 560)
        picture = QLabel(self)
        picture.setPixmap(app_icon().pixmap(56, 56))
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(label("HEMAVIEW", "title"))
        words.addWidget(label(f"Version {__version__} · Apache-2.0", "muted"))
        head = QHBoxLayout()
        head.setSpacing(16)
        head.addWidget(picture)
        head.addLayout(words, 1)
        text = QTextBrowser(self)
        text.document().setDocumentMargin(12)
        text.setOpenExternalLinks(False)
        text.setHtml(about_html(engine))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 20, 20, 16)
        layout.setSpacing(GAP + 4)
        layout.addLayout(head)
        layout.addWidget(
            WrappedLabel(
                f"{NOTICE} Nothing leaves this computer: HEMAVIEW uses the network only to fetch a model when you ask.",
                "warning",
            )
        )
        layout.addWidget(text, 1)
        layout.addWidget(buttons)


def about_html(engine: EngineInfo | None) -> str:
    """The model in use and the table of parts as rich text."""
    model = "<p>No model is loaded.</p>"
    if engine is not None:
        model = (
            f"<p><span style='font-weight:600'>{escape(engine.title)}</span> on {engine.device}<br>"
            f"<span style='color:{COLOURS.muted}'>Trained on {escape(engine.trained_on)}. "
            f"Licence {escape(engine.licence)}. "
            f"SHA-256 {engine.sha256[:32]}…</span></p>"
        )
    rows = "".join(
        f"<tr><td style='padding:2px 16px 2px 0'>{name} {_version(name)}</td>"
        f"<td style='padding:2px 16px 2px 0;color:{COLOURS.muted}'>{use}</td>"
        f"<td style='padding:2px 0'>{licence}</td></tr>"
        for name, use, licence in (*_PARTS, ("Inter", "typeface", "OFL-1.1"))
    )
    model = section("Model") + model
    return f"{model}{_credits()}{section('Parts and their licences')}<table>{rows}</table>"


def _credits() -> str:
    """Whom to name for the models that can be fetched or were added."""
    try:
        records = model_records()
    except HemaviewError:
        return ""
    named = "".join(
        f"<p>{escape(record.title)}<br><span style='color:{COLOURS.muted}'>Licence: {escape(record.licence)}. "
        f"{escape(record.attribution)}.</span></p>"
        for record in records
        if record.attribution
    )
    return f"{section('Models of others')}{named}" if named else ""


def section(title: str) -> str:
    """A heading inside rich text, in the weight that the bundled font has."""
    return f"<p style='font-weight:600;margin-top:12px'>{title}</p>"


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
