"""Reading MedSAM and SAM ViT-B weights from files that may be anything."""

from __future__ import annotations

import hashlib
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from hemaview.errors import ModelError
from hemaview.segmentation.sam.architecture import VIT_B, SamArchitecture, fill_sam
from hemaview.segmentation.sam.foreign import describe
from hemaview.segmentation.sam_modeling import Sam

MEDSAM_MD5 = "3bb6db55bd0c9ca30b61248bca72f8d6"
SAM_VIT_B_SHA256 = "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912"

_POSITION = "image_encoder.pos_embed"
_PREFIX = "module."
_WANTED = "choose medsam_vit_b.pth or sam_vit_b_01ec64.pth"
_LARGEST = 4 * 1024**3
"""Bytes; three times a training checkpoint of ViT-B with both moments of its optimiser."""
_BLOCK = 4 * 1024**2


@dataclass(frozen=True)
class CheckpointIdentity:
    """What a checkpoint file is.

    ``kind`` is "medsam" or "sam_vit_b" for the published files, known by their hashes; "training checkpoint" for a
    file with model, optimiser and epoch; "weights" for any other file that fits the network. ``size`` is in bytes.
    ``engine`` ("module:Class") and ``role`` are what a registry entry for the file says.
    """

    kind: str
    title: str
    trained_on: str
    licence: str
    sha256: str
    md5: str
    size: int
    architecture: SamArchitecture
    engine: str = "hemaview.segmentation.sam.engine:MedSamSegmenter"
    role: str = "sam"


def load_sam(path: Path, architecture: SamArchitecture | None = None) -> Sam:
    """The network in ``path``, float32 on the CPU, in evaluation mode, without gradients.

    Takes a plain state dict, a training checkpoint {"model", "optimizer", "epoch"}, either with names that begin with
    ``module.``, or the same names as safetensors. Without ``architecture`` the size is read from the weights; ViT-B at
    1024 pixels is the largest. Nothing in the file is executed. Raises ``ModelError`` for everything else.
    """
    tensors, _ = _read(path)
    found = _architecture(tensors, path, architecture)
    try:
        # Copied, so that a file replaced or cut while the program runs cannot change or end it.
        return fill_sam(found, {name: tensor.to(torch.float32, copy=True) for name, tensor in tensors.items()})
    except (ValueError, RuntimeError, MemoryError) as error:
        raise ModelError(f"{path.name} does not fit the network ({_reason(error)}); {_WANTED}.") from error


def identify_checkpoint(path: Path, architecture: SamArchitecture | None = None) -> CheckpointIdentity:
    """What the file is, without building its network; reads it twice. Raises ``ModelError`` as ``load_sam`` does."""
    tensors, trained = _read(path)
    found = _architecture(tensors, path, architecture)
    try:
        # Names and shapes only: the network is described, not built.
        fill_sam(found, {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors.items()})
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"{path.name} does not fit the network ({_reason(error)}); {_WANTED}.") from error
    del tensors
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            md5.update(block)
            sha256.update(block)
    if md5.hexdigest() == MEDSAM_MD5:
        kind, title = "medsam", "MedSAM ViT-B"
        trained_on = "1,570,263 image-mask pairs of 10 modalities (Ma et al., Nature Communications 2024;15:654)"
        licence = "CC-BY-4.0"
    elif sha256.hexdigest() == SAM_VIT_B_SHA256:
        kind, title = "sam_vit_b", "SAM ViT-B"
        trained_on = "photographs (SA-1B); no medical image"
        licence = "Apache-2.0"
    else:
        kind = "training checkpoint" if trained else "weights"
        title, trained_on, licence = f"Segment Anything ({path.stem})", "unknown", "unknown"
    return CheckpointIdentity(
        kind, title, trained_on, licence, sha256.hexdigest(), md5.hexdigest(), path.stat().st_size, found
    )


def _read(path: Path) -> tuple[dict[str, Tensor], bool]:
    """Tensors by segment-anything's names, and whether they came out of a training checkpoint."""
    content = _unpack(path)
    trained = False
    if isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
        content, trained = content["model"], True
    if not isinstance(content, Mapping) or not content:
        raise ModelError(f"{path.name} holds no weights of a network; {_WANTED}.")
    foreign = describe(content)
    if foreign is not None:
        raise ModelError(f"{path.name} {foreign}; {_WANTED}.")
    tensors: dict[str, Tensor] = {}
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise ModelError(f"{path.name} holds more than weights, so it is no SAM checkpoint; {_WANTED}.")
        if not value.is_floating_point() or value.is_sparse or value.numel() * value.element_size() > _stored(value):
            raise ModelError(f"{path.name} holds weights of an unexpected kind and may be damaged; {_WANTED}.")
        tensors[name.removeprefix(_PREFIX)] = value
    return tensors, trained


def _stored(tensor: Tensor) -> int:
    """Bytes behind a tensor: fewer than its elements need where a damaged or hostile file repeats them."""
    return tensor.untyped_storage().nbytes()


def _unpack(path: Path) -> object:
    """The file's content without running any code in it."""
    try:
        size = path.stat().st_size
        if size > _LARGEST:
            raise ModelError(f"{path.name} is too large for a SAM ViT-B checkpoint ({size / 1e9:.1f} GB); {_WANTED}.")
        with path.open("rb"):
            pass
    except FileNotFoundError:
        raise ModelError(f"The model file {path.name} is missing; add it again.") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ModelError(f"{path.name} cannot be read ({reason}); check the file and add it again.") from error
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # Only the zip form that torch writes since 1.6 can be mapped instead of read.
        with warnings.catch_warnings(action="ignore"):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:
        if "eights only" in str(error):
            text = f"{path.name} holds program code or objects besides weights and was not opened; {_WANTED}."
            raise ModelError(text) from error
        # A damaged file makes torch and its unpickler fail in a dozen ways, all of which mean the same here.
        raise ModelError(_unreadable(path)) from error


def _unreadable(path: Path) -> str:
    return f"{path.name} is no PyTorch checkpoint or was cut short; download it again or {_WANTED}."


def _architecture(tensors: Mapping[str, Tensor], path: Path, wanted: SamArchitecture | None) -> SamArchitecture:
    try:
        found = SamArchitecture.of(tensors)
    except ValueError as error:
        raise ModelError(f"{path.name} is no whole SAM checkpoint ({error}); {_WANTED}.") from error
    if found != (wanted or found) or not found.fits_within(VIT_B):
        table = tuple(tensors[_POSITION].shape)
        expected = (1, (wanted or VIT_B).grid, (wanted or VIT_B).grid, (wanted or VIT_B).width)
        raise ModelError(
            f"{path.name} is a SAM of another size (its position table is {table}, ViT-B has {expected}); {_WANTED}."
        )
    return found


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__
