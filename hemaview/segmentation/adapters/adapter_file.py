"""Adapters on disk: one safetensors file with all networks' parts and the card in its header."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hemaview.errors import ModelError
from hemaview.saving import save_atomically
from hemaview.segmentation.adapters.card import AdapterCard, parse_card, unreadable

if TYPE_CHECKING:
    from torch import nn

    from hemaview.segmentation.adapters.inject import AdaptedNet

LARGEST_FILE = 2**30
"""Bytes; the largest real one, Segment Anything's whole decoder with LoRA of rank 64, has some 30 million."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}/[A-Za-z0-9_.]{1,300}")


@dataclass(frozen=True, eq=False)
class Adapter:
    """An adapter read from a file: its card, and for each network of its base ("role") float32 arrays by name."""

    card: AdapterCard
    tensors: Mapping[str, Mapping[str, NDArray[np.float32]]]
    sha256: str
    size: int

    @property
    def label(self) -> str:
        """Title and the first 12 digits of the file's hash, as results carry it."""
        return f"{self.card.title} ({self.sha256[:12]})"

    @property
    def roles(self) -> tuple[str, ...]:
        """The networks it changes."""
        return tuple(self.tensors)

    def check_base(self, sha256: str, roles: Collection[str] | None = None) -> None:
        """Raise ``ModelError`` unless it was made for the model with this hash (and has parts for ``roles`` only)."""
        if sha256.lower() != self.card.base_sha256.lower():
            raise ModelError(
                f'The adapter "{self.card.title}" was made for another model ({self.card.base_name}, '
                f"{self.card.base_sha256[:12]}…); switch it off or choose that model."
            )
        unknown = [] if roles is None else [role for role in self.tensors if role not in roles]
        if unknown:
            raise ModelError(
                f'The adapter "{self.card.title}" has parts for a network called {unknown[0]}, which its model does '
                "not have; choose another adapter."
            )

    def merge_into(self, role: str, net: nn.Module) -> AdaptedNet | None:
        """Put the parts for ``role`` into ``net`` and merge them; None where it has none for this network.

        ``net`` is set to inference and changed in place; ``remove()`` of the answer takes every bit back. Raises
        ``ModelError`` when the parts do not fit, and leaves ``net`` as it was.
        """
        # torch is loaded here and not before: lists of adapters are shown without it.
        import torch

        from hemaview.segmentation.adapters.inject import inject

        if role not in self.tensors:
            return None
        with torch.random.fork_rng(devices=[]):
            adapted = inject(net, self.card.config)
        try:
            adapted.load_tensors({name: torch.from_numpy(array) for name, array in self.tensors[role].items()})
        except ModelError:
            adapted.remove()
            raise
        for parameter in adapted.parameters():
            parameter.requires_grad_(False)
        adapted.eval().merge()
        return adapted


def save_adapter(path: Path, nets: Mapping[str, AdaptedNet], card: AdapterCard) -> None:
    """Write the parts of all ``nets`` (by role) and the card to ``path``, whole or not at all.

    Raises ``ExportError`` when the disk refuses, ``ModelError`` when a tensor holds values that are not numbers, and
    ``ValueError`` when the card's config is not that of the networks.
    """
    from safetensors.numpy import save

    if any(net.config != card.config for net in nets.values()):
        raise ValueError("the card describes another adapter")
    arrays = {f"{role}/{name}": t.numpy() for role, net in nets.items() for name, t in net.tensors().items()}
    if not arrays:
        raise ModelError("This adapter has no part in this model, so there is nothing to save; choose other parts.")
    if not all(bool(np.isfinite(array).all()) for array in arrays.values()):
        raise ModelError("The adapter holds values that are not numbers; train it again with a lower learning rate.")
    save_atomically(path, save(arrays, metadata=card.to_metadata()), "The adapter")


def read_adapter(path: Path) -> Adapter:
    """Read and check an adapter; ``ModelError`` for anything that is not one, whole and made of finite numbers."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise ModelError(f'The file "{path.name}" is too large for an adapter; choose another one.')
        content = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error
    card = parse_card(content, path)
    damaged = ModelError(f'The adapter "{path.name}" is damaged; make or fetch the file again.')
    try:
        arrays = load(content)
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise damaged from error
    if not arrays:
        raise damaged
    tensors: dict[str, dict[str, NDArray[np.float32]]] = {}
    for name, array in sorted(arrays.items()):
        if not _NAME.fullmatch(name) or array.dtype != np.float32 or not np.isfinite(array).all():
            raise damaged
        if name.endswith(".running_var") and (array < 0).any():
            raise damaged
        role, _, inner = name.partition("/")
        tensors.setdefault(role, {})[inner] = array
    return Adapter(card, tensors, hashlib.sha256(content).hexdigest(), len(content))
