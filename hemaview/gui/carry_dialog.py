"""Which scan's mask to lay on the one on display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtWidgets import QWidget

from hemaview.case import ScanEntry
from hemaview.gui.scan_choice import ScanChoice

_EXPLANATION = (
    "The mask is laid on {target} by patient coordinates, and through the alignment of the two scans where they are "
    "aligned. It is marked as carried and is for looking at: volumes and prints come from the scan it was made on."
)


class CarryDialog(ScanChoice):
    """Asks for one of ``sources``; ``chosen`` is its id."""

    def __init__(
        self, sources: Sequence[ScanEntry], target: ScanEntry, labels: Mapping[str, str], parent: QWidget | None = None
    ) -> None:
        super().__init__(
            sources,
            labels,
            title="Carry a mask to this scan",
            field="Mask of",
            explanation=_EXPLANATION.format(target=labels[target.id]),
            button="Carry mask",
            parent=parent,
        )
