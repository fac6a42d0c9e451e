"""MedSAM as two questions: a slice's embedding, and the mask logits of a box on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hemaview.segmentation.device import ComputeDevice, MemoryLadder, use_threads
from hemaview.segmentation.sam.encoder import speed_up
from hemaview.segmentation.sam.precision import DTYPE_TITLES, candidate, checked_precision
from hemaview.segmentation.sam.stopping import Check, stop_before_layers, stop_point, stoppable
from hemaview.segmentation.sam_modeling import ImageEncoderViT, Sam

_CUDA_BATCH = 4
_PHOTO_MEAN = (123.675, 116.28, 103.53)
_PHOTO_DEVIATION = (58.395, 57.12, 57.375)


class Encoding:
    """A picture (B, 3, S, S) on its way through the encoder; when stopped, it goes on with the block it was in."""

    def __init__(self, picture: Tensor) -> None:
        self.picture = picture
        self._tokens: Tensor | None = None
        self._next = 0

    def run(self, encoder: ImageEncoderViT) -> Tensor:
        """The embedding (B, C, h, w)."""
        if self._tokens is None:
            stop_point()
            tokens = encoder.patch_embed(self.picture)
            self._tokens = tokens if encoder.pos_embed is None else tokens + encoder.pos_embed
        while self._next < len(encoder.blocks):
            self._tokens = encoder.blocks[self._next](self._tokens)
            self._next += 1
        stop_point()
        return torch.as_tensor(encoder.neck(self._tokens.permute(0, 3, 1, 2)))


class SamNetwork:
    """The network on its device. One thread at a time; ``stoppable`` stops it between any two pieces of work.

    ``photo_values`` feeds the colour values that SAM was trained with, not MedSAM's 0 to 1. ``batch`` overrides how
    many slices go through a graphics card together.
    """

    def __init__(
        self, net: Sam, device: ComputeDevice, *, photo_values: bool = False, batch: int | None = None
    ) -> None:
        speed_up(net.image_encoder)
        for part in (net.prompt_encoder, net.mask_decoder):
            stop_before_layers(part)
        self._net = net.eval().requires_grad_(False)
        self._photo_values = photo_values
        self._ladder = MemoryLadder([net], device, batch or (1 if device.is_cpu else _CUDA_BATCH))
        self._dtype: torch.dtype | None = None
        self._unchecked_dtype = candidate(self._ladder.device)

    @property
    def size(self) -> int:
        """Side of the network's square in pixels."""
        return int(self._net.image_encoder.img_size)

    @property
    def batch(self) -> int:
        """Slices that are computed together now."""
        return self._ladder.batch

    @property
    def device_title(self) -> str:
        """Device and precision in use, for the status line."""
        device = self._ladder.device
        if self._dtype is None or device.is_cpu:
            return device.title
        return f"{device.title}, {DTYPE_TITLES[self._dtype]}"

    @property
    def precision_is_open(self) -> bool:
        """Whether ``check_precision`` still has a choice to make."""
        return self._unchecked_dtype is not None and not self._ladder.device.is_cpu

    def take_notes(self) -> tuple[str, ...]:
        """What had to change since the last call, as sentences."""
        return self._ladder.take_notes()

    def start(self, picture: NDArray[np.float32]) -> Encoding:
        """An encoding of one picture (S, S) in 0 to 1, to be given to ``encode`` as often as it is stopped."""
        return Encoding(self._channels(torch.from_numpy(picture)[None]))

    def encode(self, started: Sequence[Encoding], check: Check | None = None) -> list[Tensor]:
        """Embeddings (1, C, h, w) on the CPU, one for each picture; ``check`` may stop it at any time."""
        with self._ready(check):
            return self._ladder.run(self._encode_group, started)

    def decode(
        self,
        embeddings: Sequence[Tensor],
        boxes: Sequence[Tensor],
        points: Sequence[tuple[Tensor, Tensor]],
        check: Check | None = None,
    ) -> list[Tensor]:
        """Logits (1, 4 h, 4 w) on the CPU of one box (4,) with its points on each embedding (1, C, h, w).

        ``points`` are coordinates (N, 2) and labels (N,), N may be 0; all in pixels of the network's square. Equal
        numbers of points go through the network together, so that a neighbour's points change nothing.
        """
        with self._ready(check):
            questions = list(zip(embeddings, boxes, points, strict=True))
            order = sorted(range(len(questions)), key=lambda n: len(questions[n][2][1]))
            answers = self._ladder.run(self._decode_group, [questions[n] for n in order])
            found = dict(zip(order, answers, strict=True))
            return [found[n] for n in range(len(questions))]

    def check_precision(self, picture: NDArray[np.float32], box: Tensor, check: Check | None = None) -> None:
        """Choose the precision by one real slice and box; does nothing where there is no choice."""
        wanted, found = self._unchecked_dtype, None
        if wanted is None or not self.precision_is_open:
            return

        def logits(dtype: torch.dtype | None) -> Tensor:
            self._dtype = dtype
            nothing = (torch.zeros(0, 2), torch.zeros(0))
            return self.decode(self.encode([self.start(picture)], check), [box], [nothing], check)[0]

        try:
            found = checked_precision(logits, wanted, self._synchronise)
            self._unchecked_dtype = None
        finally:
            # A check that was stopped decides nothing: full precision stays until the next slice is asked for.
            self._dtype = found

    def _encode_group(self, group: Sequence[Encoding]) -> list[Tensor]:
        encoder, device = self._net.image_encoder, self._ladder.device
        if device.is_cpu:
            return [encoding.run(encoder) for encoding in group]
        pictures = torch.cat([encoding.picture for encoding in group]).to(device.torch_device)
        with self._lower_precision():
            found = Encoding(pictures).run(encoder)
        return list(torch.split(found.float().cpu(), 1))

    def _decode_group(self, group: Sequence[tuple[Tensor, Tensor, tuple[Tensor, Tensor]]]) -> list[Tensor]:
        found: list[Tensor] = []
        while len(found) < len(group):
            count = len(group[len(found)][2][1])
            alike = [question for question in group[len(found) :] if len(question[2][1]) == count]
            found += self._decode_alike(alike)
        return found

    def _decode_alike(self, group: Sequence[tuple[Tensor, Tensor, tuple[Tensor, Tensor]]]) -> list[Tensor]:
        device = self._ladder.device.torch_device
        embeddings = torch.cat([embedding for embedding, _, _ in group]).to(device)
        boxes = torch.stack([box for _, box, _ in group]).to(device)
        coordinates = torch.stack([where for _, _, (where, _) in group]).to(device)
        labels = torch.stack([label for _, _, (_, label) in group]).to(device)
        prompt, decoder = self._net.prompt_encoder, self._net.mask_decoder
        # No mask prompt: MedSAM was trained without one, so what it would make of it is not known.
        sparse, dense = prompt((coordinates, labels) if labels.shape[1] else None, boxes[:, None], None)
        logits, _ = decoder(embeddings, prompt.get_dense_pe(), sparse, dense, False)
        return list(logits.float().cpu().unbind(0))

    def _channels(self, pictures: Tensor) -> Tensor:
        """(B, S, S) as three equal channels; (B, 3, S, S)."""
        colours = pictures[:, None].expand(-1, 3, -1, -1)
        if not self._photo_values:
            return colours
        mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in (_PHOTO_MEAN, _PHOTO_DEVIATION))
        return (colours * 255 - mean) / deviation

    @contextmanager
    def _ready(self, check: Check | None) -> Iterator[None]:
        use_threads(self._ladder.device.threads)
        with torch.inference_mode(), stoppable(check):
            yield

    def _lower_precision(self) -> AbstractContextManager[None]:
        if self._dtype is None:
            return nullcontext()
        return torch.autocast(self._ladder.device.torch_device.type, self._dtype)

    def _synchronise(self) -> None:
        if self._ladder.device.name.startswith("cuda"):
            torch.cuda.synchronize(self._ladder.device.torch_device)
