"""One measured volume with how it was obtained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class ReadingKind(StrEnum):
    """The three volumes of a haematoma, in the order in which they are shown everywhere."""

    DIRECT = "direct"
    TADA = "tada"
    CORRECTED = "corrected"


@dataclass(frozen=True)
class Reading:
    """A volume in mL, or the reason why there is none.

    ``interval_ml`` is a 90 % interval (low, high) where the method has one. ``reason`` is one sentence,
    set exactly when ``value_ml`` is None. ``inputs`` are the numbers the value came from, with their
    unit in the name. ``notes`` say what always holds for such a value (what it was
    fitted on), ``warnings`` what is doubtful about this one; both are sentences for the user.
    """

    kind: ReadingKind
    value_ml: float | None
    interval_ml: tuple[float, float] | None = None
    reason: str | None = None
    inputs: Mapping[str, float | str] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.value_ml is None) != (self.reason is not None):
            raise ValueError("a reading has either a value or a reason")
        object.__setattr__(self, "inputs", MappingProxyType(dict(self.inputs)))
