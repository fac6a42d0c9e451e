"""Which scan to align the one on display to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtWidgets import QWidget

from hemaview.case import ScanEntry
from hemaview.gui.scan_choice import ScanChoice

_EXPLANATION = (
    "HEMAVIEW looks for the turn and the shift that lay {scan} on the other scan. The crosshair then stays at the same "
    "place of the head, and a mask that you carry follows. Nothing is resampled, and nothing measured changes."
)


class AlignDialog(ScanChoice):
    """Asks for one of ``targets``; ``chosen`` is its id."""

    def __init__(
        self, targets: Sequence[ScanEntry], scan: ScanEntry, labels: Mapping[str, str], parent: QWidget | None = None
    ) -> None:
        super().__init__(
            targets,
            labels,
            title="Align to another scan",
            field="Align to",
            explanation=_EXPLANATION.format(scan=labels[scan.id]),
            button="Align",
            parent=parent,
        )
