"""Build the sample case: a head MR phantom with an early subacute haematoma in the basal ganglia.

The background is the colin27 template (T1, 1 mm, with skull) as MRIcron distributes it; on Debian it comes with
``apt install mricron-data`` as /usr/share/mricron/templates/ch2.nii.gz. Run in a checkout:

    python assets/sample/make_sample.py /usr/share/mricron/templates/ch2.nii.gz

The haematoma is made up, so its volume is known: it is painted on cells of 0.5 mm and averaged into voxels of
1 x 1 x 3 mm. The same template gives the same files, byte for byte.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FOLDER = Path(__file__).resolve().parent
TEMPLATE_SHA256 = "a009051127f64dc3dd554d5f5b589870ea72106d9642c21b4e7093e478cfc309"
SEED = 20261122
CENTRE_RAS_MM = np.array([-28.0, -4.0, 4.0])
"""The left putamen."""
WINDOW_MM = 96
"""Side of the cube round the lesion that is painted on fine cells."""
CELL_MM = 0.5
SLICE_MM = 3
VOLUME_ML = 27.5
"""What the level set is shifted to hold."""
BOX_MARGIN_MM = 1.0


def smooth_noise(rng: np.random.Generator, cells: int, feature_mm: float) -> NDArray[np.float32]:
    """Cubic-spline noise of unit variance on the painting cube."""
    knots = round(WINDOW_MM / feature_mm) + 3
    coarse = rng.standard_normal((knots, knots, knots)).astype(np.float32)
    fine = ndimage.zoom(coarse, cells / (knots - 2), order=3)
    start = (fine.shape[0] - cells) // 2
    field = fine[start : start + cells, start : start + cells, start : start + cells]
    return np.asarray((field - field.mean()) / field.std())


def ellipsoid(
    grid: tuple[NDArray, ...], centre: tuple[float, float, float], radii: tuple[float, float, float]
) -> NDArray:
    """Level set in mm, positive inside; axes x, y, z."""
    squared = sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radii, strict=True))
    return np.asarray((1 - np.sqrt(squared)) * min(radii), dtype=np.float32)


def lesion_level_set(rng: np.random.Generator) -> NDArray[np.float32]:
    """Distance-like field in mm on the painting cube: an ovoid along the putamen with two lobes and an uneven edge."""
    cells = int(WINDOW_MM / CELL_MM)
    line = ((np.arange(cells) + 0.5) * CELL_MM - WINDOW_MM / 2).astype(np.float32)
    x, y, z = np.meshgrid(line, line, line, indexing="ij", sparse=True)
    x = x + 1.8 * smooth_noise(rng, cells, 18)
    y = y + 1.8 * smooth_noise(rng, cells, 18)
    turn = np.deg2rad(-14)
    x, y = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    z = z + 0 * x
    field = ellipsoid((x, y, z), (0, 0, 0), (12.5, 23, 16))
    field = np.maximum(field, ellipsoid((x, y, z), (6, -13, 8), (10, 11, 11)))
    field = np.maximum(field, ellipsoid((x, y, z), (-7, 15, -7), (8, 9, 9)))
    field = field + 0.9 * smooth_noise(rng, cells, 7)
    ordered = np.sort(field, axis=None)
    count = round(VOLUME_ML * 1000 / CELL_MM**3)
    return np.asarray(field - ordered[-count], dtype=np.float32)


def smoothstep(field: NDArray, width_mm: float) -> NDArray[np.float32]:
    """0 outside, 1 inside, over an edge ``width_mm`` wide."""
    return np.asarray(1 / (1 + np.exp(-np.clip(field * (4 / width_mm), -30, 30))), dtype=np.float32)


def displaced(image: NDArray, centre: NDArray, radii_mm: NDArray) -> NDArray[np.float32]:
    """The head with tissue pushed aside by 45 % of an ellipsoid's volume, less and less with distance."""
    grid = np.indices(image.shape, dtype=np.float32)
    offset = [(g - c) / r for g, c, r in zip(grid, centre, radii_mm, strict=True)]
    radius = np.sqrt(sum(o * o for o in offset)) + 1e-6
    source = np.cbrt(np.maximum(radius**3 - 0.45 * np.exp(-((radius / 2.4) ** 4)), 0)) / radius
    points = [c + o * source * r for c, o, r in zip(centre, offset, radii_mm, strict=True)]
    return np.asarray(ndimage.map_coordinates(image, points, order=1, mode="nearest"), dtype=np.float32)


def paint(rng: np.random.Generator, head: NDArray, corner: NDArray, field: NDArray) -> NDArray[np.float32]:
    """The head (1 mm) with oedema and clot; returns it averaged to 1 mm in the painting cube."""
    cells = field.shape[0]
    factor = round(1 / CELL_MM)
    window = tuple(slice(int(c), int(c) + WINDOW_MM) for c in corner)
    local = head[window]
    fine = np.repeat(np.repeat(np.repeat(local, factor, 0), factor, 1), factor, 2)
    tissue = float(np.median(local[(local > 60) & (local < 140)]))
    tone = smooth_noise(rng, cells, 9)
    shell = field + 4.0 + 2.0 * smooth_noise(rng, cells, 14)
    wet = smoothstep(shell, 3.0) * (fine > 0.55 * tissue)
    fine = fine * (1 - 0.2 * wet)
    # Early subacute blood on T1: methaemoglobin has turned the rim bright, the core is still as dark as tissue.
    rim = smoothstep(5.0 + 1.6 * tone - field, 3.5)
    blood = tissue * (0.97 + 0.62 * rim + 0.05 * tone)
    cover = smoothstep(field, 1.2)
    fine = fine * (1 - cover) + blood * cover
    painted = head.copy()
    painted[window] = fine.reshape(WINDOW_MM, factor, WINDOW_MM, factor, WINDOW_MM, factor).mean(axis=(1, 3, 5))
    return painted


def scan_of(rng: np.random.Generator, head: NDArray) -> NDArray[np.int16]:
    """What a scanner would store: slices of 3 mm, shading of the coil, Rician noise."""
    i, j, k = head.shape
    slices = head[:, :, : k // SLICE_MM * SLICE_MM].reshape(i, j, -1, SLICE_MM).mean(axis=3)
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in slices.shape], indexing="ij", sparse=True)
    shading = 1 + 0.06 * x - 0.05 * y + 0.04 * z - 0.05 * (x * x + y * y)
    signal = slices * shading
    real = signal + 2.2 * rng.standard_normal(signal.shape)
    imaginary = 2.2 * rng.standard_normal(signal.shape)
    return np.asarray(np.round(3 * np.hypot(real, imaginary)), dtype=np.int16)


def write(array: NDArray, affine: NDArray, path: Path, title: str) -> None:
    """NIfTI, compressed without a time stamp so that the bytes depend on the content alone."""
    image = nib.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = title.encode()[:79]
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=0) as stream:
        stream.write(image.to_bytes())
    path.write_bytes(buffer.getvalue())


def main() -> None:
    """Read the template named on the command line and write the sample beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("template", type=Path, help="ch2.nii.gz of MRIcron (colin27)")
    template: Path = parser.parse_args().template
    found = hashlib.sha256(template.read_bytes()).hexdigest()
    if found != TEMPLATE_SHA256:
        raise SystemExit(f"{template} is not the expected ch2.nii.gz (sha256 {found}).")
    image = nib.load(template)
    rng = np.random.default_rng(SEED)
    head = np.asarray(image.dataobj, dtype=np.float32)
    shift = image.affine[:3, 3]
    centre = CENTRE_RAS_MM - shift
    head = displaced(head, centre, np.array([17.0, 25.0, 20.0]))
    corner = np.round(centre - WINDOW_MM / 2)
    corner[2] -= corner[2] % SLICE_MM
    field = lesion_level_set(rng)
    painted = paint(rng, head, corner, field)
    scan = scan_of(rng, painted)

    factor = round(1 / CELL_MM)
    inside = (field > 0).reshape(WINDOW_MM, factor, WINDOW_MM, factor, WINDOW_MM // SLICE_MM, factor * SLICE_MM)
    share = inside.mean(axis=(1, 3, 5))
    truth = np.zeros(scan.shape, dtype=np.uint8)
    a, b = int(corner[0]), int(corner[1])
    c = int(corner[2]) // SLICE_MM
    n, m = WINDOW_MM, WINDOW_MM // SLICE_MM
    truth[a : a + n, b : b + n, c : c + m] = share > 0.5

    affine = np.diag([1.0, 1.0, float(SLICE_MM), 1.0])
    affine[:3, 3] = shift + np.array([0, 0, (SLICE_MM - 1) / 2])
    title = "PHANTOM: synthetic haematoma on colin27, not a patient"
    write(scan, affine, FOLDER / "sample_mr_phantom.nii.gz", title)
    write(truth, affine, FOLDER / "sample_mr_phantom_truth.nii.gz", title)

    voxels = np.argwhere(truth)
    lower = (voxels.min(axis=0) - 0.5) @ affine[:3, :3] + affine[:3, 3] - BOX_MARGIN_MM
    upper = (voxels.max(axis=0) + 0.5) @ affine[:3, :3] + affine[:3, 3] + BOX_MARGIN_MM
    box = [-upper[0], -upper[1], lower[2], -lower[0], -lower[1], upper[2]]
    description = {
        "title": "Sample: head MR phantom (synthetic haematoma, not a patient)",
        "true_volume_ml": round(float(truth.sum()) * SLICE_MM / 1000, 3),
        "fine_grid_volume_ml": round(float((field > 0).sum()) * CELL_MM**3 / 1000, 3),
        "box_lps": [round(float(v), 2) for v in box],
        "scan": "sample_mr_phantom.nii.gz",
        "truth": "sample_mr_phantom_truth.nii.gz",
        "note": (
            "The haematoma was painted by a program, so its volume is exact: true_volume_ml counts the voxels of the "
            "truth mask, fine_grid_volume_ml the cells of 0.5 mm it was painted on."
        ),
    }
    (FOLDER / "sample.json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
