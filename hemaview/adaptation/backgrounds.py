"""Healthy heads that synthetic lesions are painted on: permissively licensed templates only.

The MNI152 template with its tissue maps comes with the package nilearn (extra ``train``). A folder of further
templates may hold ``ch2.nii.gz`` (colin27, with skull, from MRIcron) and ``scct.nii.gz`` with ``scgrey``, ``scwhite``
and ``scct_stripped`` (CT template of older adults, from the Clinical toolbox). No scan with a lesion is ever used.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from hemaview.errors import HemaviewError

MNI_LICENCE = (
    "Copyright (C) 1993-2004 Louis Collins, McConnell Brain Imaging Centre, Montreal Neurological Institute, "
    "McGill University; permission to use, copy, modify and distribute without fee, with this notice"
)
COLIN_LICENCE = "BSD-3-Clause (MRIcron data package)"
RORDEN_LICENCE = "BSD-2-Clause (Clinical toolbox, Rorden 2012)"


@dataclass(frozen=True)
class Source:
    """One template file as it was used: its name, licence and hash go into the model card."""

    name: str
    licence: str
    sha256: str


@dataclass(frozen=True, eq=False)
class Head:
    """A head on a 1 or 2 mm grid.

    ``maps`` is float32 (4, slices, rows, columns): intensity 0 to about 1.2, grey matter, white matter (0 to 1) and
    the signed distance to the brain's surface in mm (negative inside). Rows run to the back, columns to the patient's
    left, slices upwards, as in LPS. ``inside`` holds (n, 3) voxel positions k, j, i well spread over the brain.
    ``kind`` says what the intensity is: "t1", "t1 skull" or "ct".
    """

    name: str
    kind: str
    maps: Tensor
    spacing_mm: float
    inside: NDArray[np.int64]
    sources: tuple[Source, ...]


def load_heads(templates: Path | None = None) -> tuple[Head, ...]:
    """The MNI152 head and every further template found in ``templates`` (searched with its subfolders).

    Raises ``HemaviewError`` when nilearn's template files are not installed.
    """
    heads = [_mni152()]
    if templates is not None:
        colin = next(iter(sorted(templates.rglob("ch2.nii.gz"))), None)
        if colin is not None:
            heads.append(_colin27(colin, heads[0]))
        ct = next(iter(sorted(templates.rglob("scct.nii.gz"))), None)
        if ct is not None:
            heads.append(_rorden(ct))
    return tuple(heads)


def nilearn_files() -> Mapping[str, Path]:
    """Paths of the MNI152 files "t1", "gm" and "wm" in the installed nilearn package."""
    spec = importlib.util.find_spec("nilearn")
    if spec is None or spec.origin is None:
        raise HemaviewError(
            "The package nilearn is missing; install HEMAVIEW with its training extra: hemaview[train]."
        )
    folder = Path(spec.origin).parent / "datasets" / "data"
    files = {part: folder / f"mni_icbm152_{part}_tal_nlin_sym_09a_converted.nii.gz" for part in ("t1", "gm", "wm")}
    if not all(path.is_file() for path in files.values()):
        raise HemaviewError("The installed nilearn has no MNI152 template files; install nilearn 0.14.")
    return files


def _mni152() -> Head:
    files = nilearn_files()
    t1, gm, wm = (_load_lps(files[part])[0] for part in ("t1", "gm", "wm"))
    sources = tuple(_source(f"MNI152 2009a {part} (nilearn)", path, MNI_LICENCE) for part, path in files.items())
    return _head("mni152", "t1", t1 / t1.max(), gm / gm.max(), wm / wm.max(), t1 > 0, 1.0, sources)


def _colin27(path: Path, mni: Head) -> Head:
    """colin27 lies in the MNI space, so MNI152's tissue maps serve it approximately; its scalp and skull are real."""
    t1, affine = _load_lps(path)
    _, mni_affine = _load_lps(nilearn_files()["t1"])
    shift = np.round(affine[:3, 3] - mni_affine[:3, 3]).astype(int)[::-1]
    others = [
        _shifted(mni.maps[channel].numpy(), shift, t1.shape, fill) for channel, fill in ((1, 0.0), (2, 0.0), (3, 60.0))
    ]
    intensity = np.clip(t1 / np.percentile(t1[t1 > 20], 99.5), 0, 1.2)
    return _head(
        "colin27",
        "t1 skull",
        intensity,
        others[0],
        others[1],
        others[2] < 0,
        1.0,
        (_source("colin27 ch2", path, COLIN_LICENCE),),
    )


def _rorden(path: Path) -> Head:
    names = ("scct", "scgrey", "scwhite", "scct_stripped")
    files = [path.with_name(f"{name}.nii.gz") for name in names]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise HemaviewError(f"The CT template is incomplete: {', '.join(missing)} is missing beside {path.name}.")
    ct, gm, wm, stripped = (_load_lps(file)[0] for file in files)
    brain = ndimage.binary_fill_holes(stripped > 0)
    # Cormack units keep Hounsfield numbers of soft tissue stretched elevenfold; any monotonic scale serves here.
    intensity = np.clip((ct - 1900) / 1400, 0, 1.2)
    sources = tuple(
        _source(f"CT template {name}", file, RORDEN_LICENCE) for name, file in zip(names, files, strict=True)
    )
    return _head("scct", "ct", intensity, gm, wm, np.asarray(brain), 2.0, sources)


def _head(
    name: str,
    kind: str,
    intensity: NDArray,
    gm: NDArray,
    wm: NDArray,
    brain: NDArray[np.bool_],
    spacing: float,
    sources: tuple[Source, ...],
) -> Head:
    distance = (ndimage.distance_transform_edt(~brain) - ndimage.distance_transform_edt(brain)) * spacing
    maps = torch.from_numpy(np.stack([intensity, gm, wm, distance]).astype(np.float32))
    step = max(1, round(4 / spacing))
    inside = np.argwhere(distance[::step, ::step, ::step] < -3) * step
    return Head(name, kind, maps, spacing, inside, sources)


def _load_lps(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Array [k, j, i] with axes along LPS, and the LPS affine of (i, j, k)."""
    image = nib.load(path)
    orientation = nib.orientations.ornt_transform(
        nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(("L", "P", "S"))
    )
    turned = image.as_reoriented(orientation)
    array = np.squeeze(np.asarray(turned.dataobj, dtype=np.float32)).transpose(2, 1, 0)
    return np.ascontiguousarray(array), np.diag([-1.0, -1.0, 1.0, 1.0]) @ turned.affine


def _shifted(array: NDArray, shift: NDArray, shape: tuple[int, ...], fill: float) -> NDArray:
    """``array`` on a grid of ``shape`` whose voxel 0 is ``shift`` voxels further along each axis."""
    out = np.full(shape, fill, dtype=np.float32)
    source, target = [], []
    for offset, have, want in zip(shift, array.shape, shape, strict=True):
        start, stop = max(0, int(offset)), min(have, int(offset) + want)
        source.append(slice(start, stop))
        target.append(slice(start - int(offset), stop - int(offset)))
    out[tuple(target)] = array[tuple(source)]
    return out


def _source(name: str, path: Path, licence: str) -> Source:
    return Source(name, licence, hashlib.sha256(path.read_bytes()).hexdigest())
