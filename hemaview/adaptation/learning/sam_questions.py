"""Questions for MedSAM and its like: a box on one slice, the slice as the network sees it or its embedding."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from hemaview.adaptation.batches import mask_faces
from hemaview.adaptation.learning.questions import Batch, Question, dice_of
from hemaview.adaptation.training import soft_dice
from hemaview.imaging import LabelMap, Volume
from hemaview.segmentation.compact.crops import Axis
from hemaview.segmentation.sam.encoder import speed_up
from hemaview.segmentation.sam.pixels import inclusive_box, scale_boxes
from hemaview.segmentation.sam.preprocessing import GreyScale, SliceResizer, network_input
from hemaview.segmentation.sam_modeling import Sam

_INWARDS, _OUTWARDS = 5.0, 20.0
"""How far a side of a box may lie from the lesion's, in pixels of a 1024 px square: MedSAM's own 0 to 20 outwards and
a little inwards, because boxes drawn by hand cut corners."""
_SQUARE = 1024.0
_LEAST_AREA = 12
_PHOTO_MEAN, _PHOTO_DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


class SamTrainee:
    """``encoder`` is given where only what comes behind it learns: every slice is then encoded once, when it is cut.

    ``photo_values`` feeds the colour values of photographs, which plain Segment Anything was trained with.
    """

    role = "sam"

    def __init__(self, net: Sam, *, encode_once: bool, photo_values: bool = False) -> None:
        speed_up(net.image_encoder)
        self._size = int(net.image_encoder.img_size)
        self._answer_size = 4 * (self._size // net.image_encoder.patch_embed.proj.stride[0])
        self._encoder = net.image_encoder if encode_once else None
        self._photo_values = photo_values

    def questions(self, volume: Volume, mask: LabelMap, rng: np.random.Generator, count: int) -> list[Question]:
        """See ``Trainee.questions``: seen, box (4,) tight, target. One question per slice of the lesion at most."""
        scale = GreyScale.of(volume)
        _, rows, columns = volume.array.shape
        resizer = SliceResizer(rows, columns, self._size)
        areas = mask.array.sum(axis=(1, 2))
        slices = np.flatnonzero(areas >= min(_LEAST_AREA, areas.max()))
        found = []
        for k in rng.permutation(slices)[:count]:
            picture = network_input(scale.apply(volume.array[k]), resizer, fixed=scale.fixed)
            if picture is None:
                continue
            lower, upper = mask_faces(mask.array[k])
            rectangle = (float(lower[1]), float(lower[0]), float(upper[1]), float(upper[0]))
            found.append(
                {
                    "seen": self._seen(torch.from_numpy(picture)),
                    "box": scale_boxes([inclusive_box(rectangle)], columns, rows, self._size)[0].float(),
                    "target": _on_answer(mask.array[k], self._answer_size)[None],
                }
            )
        return found

    def varied(self, question: Question, rng: np.random.Generator) -> Question:
        """Every side of the box moved inwards or outwards; the picture mirrored where it was not encoded yet."""
        seen, box, target = question["seen"], question["box"], question["target"]
        outwards = torch.tensor([-1.0, -1.0, 1.0, 1.0])
        pixels = rng.uniform(-_INWARDS, _OUTWARDS, 4) * self._size / _SQUARE
        moved = box + outwards * torch.from_numpy(pixels.astype(np.float32))
        # A small lesion's box must not turn inside out.
        middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]).clamp_min(1) / 4
        moved = torch.cat([torch.minimum(moved[:2], middle - half), torch.maximum(moved[2:], middle + half)])
        box = moved.clamp(0, self._size - 1)
        if self._encoder is None:
            last = self._size - 1
            if rng.random() < 0.5:
                seen, target = seen.flip(-1), target.flip(-1)
                box = torch.stack([last - box[2], box[1], last - box[0], box[3]])
            if rng.random() < 0.5:
                seen, target = seen.flip(-2), target.flip(-2)
                box = torch.stack([box[0], last - box[3], box[2], last - box[1]])
        return {"seen": seen, "box": box, "target": target}

    def answer(self, net: nn.Module, batch: Batch) -> None:
        """See ``Trainee.answer``."""
        self._ask(net, batch)

    def loss(self, net: nn.Module, batch: Batch) -> Tensor:
        """Dice and cross-entropy, one to one, as MedSAM was trained."""
        logits, target = self._ask(net, batch), batch["target"]
        return soft_dice(logits.sigmoid(), target).mean() + F.binary_cross_entropy_with_logits(logits, target)

    def dice(self, net: nn.Module, batch: Batch) -> Tensor:
        """See ``Trainee.dice``."""
        return dice_of(self._ask(net, batch), batch["target"])

    def _seen(self, picture: Tensor) -> Tensor:
        """The picture (1, S, S), or its embedding (C, h, w) where the encoder does not learn."""
        if self._encoder is None:
            return picture[None]
        device = next(self._encoder.parameters()).device
        with torch.inference_mode():
            embedding = self._encoder(self._channels(picture[None, None].to(device)))[0]
        return torch.as_tensor(embedding).cpu().clone()

    def _ask(self, net: nn.Module, batch: Batch) -> Tensor:
        assert isinstance(net, Sam)
        seen = batch["seen"]
        embedding = net.image_encoder(self._channels(seen)) if self._encoder is None else seen
        sparse, dense = net.prompt_encoder(None, batch["box"][:, None], None)
        logits, _ = net.mask_decoder(embedding, net.prompt_encoder.get_dense_pe(), sparse, dense, False)
        return torch.as_tensor(logits).float()

    def _channels(self, pictures: Tensor) -> Tensor:
        colours = pictures.expand(-1, 3, -1, -1)
        if not self._photo_values:
            return colours
        mean, deviation = (torch.tensor(v).view(3, 1, 1).to(colours) for v in (_PHOTO_MEAN, _PHOTO_DEVIATION))
        return (colours * 255 - mean) / deviation


def _on_answer(picture: NDArray[np.bool_], size: int) -> Tensor:
    """A slice's mask (rows, columns) on the (size, size) pixels of the network's answer, soft at its edge."""
    rows, columns = (Axis.spanning(-0.5, n - 0.5, size).sampling_matrix(n) for n in picture.shape)
    return rows @ torch.from_numpy(picture.astype(np.float32)) @ columns.T
