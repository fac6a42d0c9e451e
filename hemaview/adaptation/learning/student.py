"""The network that learns: a frozen base with an adapter's parts, or the whole network."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from hemaview.adaptation.learning.methods import Method
from hemaview.errors import ModelError
from hemaview.segmentation.adapters.inject import AdaptedNet, inject

State = dict[str, Tensor]
"""Everything that learning changes, by name; copies on the CPU."""


class Student:
    """``net`` prepared for a method; ``adapted`` is None where the whole network learns.

    Raises ``ModelError`` when no part of the method has a place in the network.
    """

    def __init__(self, net: nn.Module, role: str, method: Method, seed: int) -> None:
        self.net = net
        self.role = role
        self.base_size = sum(parameter.numel() for parameter in net.parameters())
        self.adapted: AdaptedNet | None = None
        if method.config is None:
            net.requires_grad_(True)
        else:
            torch.manual_seed(seed)
            self.adapted = inject(net, method.config)
            if not self.adapted.counts():
                raise ModelError(
                    f'The method "{method.name}" has no place in the {role} network; choose another method or part.'
                )
        self.eval()

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """What learns."""
        if self.adapted is not None:
            return dict(self.adapted.named_parameters())
        return dict(self.net.named_parameters())

    @property
    def trainable(self) -> int:
        """How many numbers learn."""
        return sum(parameter.numel() for parameter in self.named_parameters().values())

    def train(self) -> None:
        """Set the adapter's parts to training; the base's statistics stay fixed."""
        if self.adapted is not None:
            self.adapted.train()
        else:
            # Batch norms keep their statistics: small batches of one hospital would spoil them.
            self.net.eval()

    def eval(self) -> None:
        """Set everything to inference."""
        if self.adapted is not None:
            self.adapted.eval()
        else:
            self.net.eval()

    def state(self) -> State:
        """A copy of everything that learning changes."""
        if self.adapted is not None:
            return self.adapted.tensors()
        return {name: tensor.detach().cpu().clone() for name, tensor in self.net.state_dict().items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over what ``state`` gave."""
        if self.adapted is not None:
            self.adapted.load_tensors(state)
        else:
            self.net.load_state_dict(dict(state))
