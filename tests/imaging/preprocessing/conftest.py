"""A head made of ellipsoids whose brain, white matter and haematoma are known on any grid."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from hemaview.imaging import Geometry, Modality, Volume

OUTER_MM = np.array([74.0, 92.0, 84.0])
SCALP_MM, SKULL_MM, FLUID_MM = 6.0, 6.0, 2.0
CLOT_AT, CLOT_MM = np.array([28.0, -6.0, 8.0]), np.array([17.0, 22.0, 16.0])
UP_TO_EDGE = np.array([52.0, 0.0, 10.0])

#                 air,  scalp, skull, fluid, grey, white, clot
TISSUES = {
    "T1": (0.0, 900.0, 40.0, 150.0, 400.0, 560.0, 760.0),
    "T2": (0.0, 500.0, 40.0, 1150.0, 620.0, 480.0, 260.0),
    "FLAIR": (0.0, 450.0, 30.0, 120.0, 420.0, 330.0, 700.0),
    "CT": (-1000.0, 20.0, 900.0, 8.0, 38.0, 30.0, 65.0),
}


@dataclass(frozen=True, eq=False)
class Head:
    """A scan and the truth about it."""

    volume: Volume
    brain: np.ndarray
    white: np.ndarray
    clot: np.ndarray

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """The clot's voxels and two more on each side."""
        found = []
        for axis in range(3):
            line = np.flatnonzero(self.clot.any(axis=tuple(a for a in range(3) if a != axis)))
            found.append(slice(max(0, int(line[0]) - 2), int(line[-1]) + 3))
        return tuple(found)


def places(geometry: Geometry) -> np.ndarray:
    k, j, i = np.indices(geometry.shape)
    return geometry.index_to_lps(np.stack([i, j, k], axis=-1))


def paint(
    geometry: Geometry, kind: str, *, noise: float = 0.0, field: float = 0.0, clot_at=CLOT_AT, seed: int = 5
) -> Head:
    """The head on ``geometry``; ``field`` is how much brighter the far left is than the far right, as a share."""
    air, scalp, skull, fluid, grey, white, blood = TISSUES[kind]
    p = places(geometry)
    depth = lambda inset: np.sqrt(np.sum((p / (OUTER_MM - inset)) ** 2, axis=-1))  # noqa: E731
    brain = depth(SCALP_MM + SKULL_MM + FLUID_MM) < 1
    inner = depth(30) < 1
    clot = (np.sqrt(np.sum(((p - clot_at) / CLOT_MM) ** 2, axis=-1)) < 1) & brain
    values = np.full(geometry.shape, air)
    neck = (np.hypot(p[..., 0], p[..., 1] - 20) < 45) & (p[..., 2] < -60)
    canal = (np.hypot(p[..., 0], p[..., 1] - 10) < 13) & (p[..., 2] < -55)
    values[neck] = scalp if kind == "CT" else grey
    values[depth(0) < 1] = scalp
    values[depth(SCALP_MM) < 1] = skull
    if kind == "CT":
        values[canal & ~brain] = grey
    values[depth(SCALP_MM + SKULL_MM) < 1] = fluid
    values[brain], values[inner], values[clot] = grey, white, blood
    if field:
        values = np.where(values > air, values * (1 + field * p[..., 0] / (2 * OUTER_MM[0])), values)
    values = values + np.random.default_rng(seed).normal(0, noise, geometry.shape) if noise else values
    modality = Modality.CT if kind == "CT" else Modality.MR
    if modality is Modality.MR:
        values = np.abs(values)
    return Head(Volume(values.astype(np.float32), geometry, modality), brain, inner & ~clot, clot)


def even(step=2.0, slice_step=None) -> Geometry:
    size = np.array([176, 200, 200]) / (step, step, slice_step or step)
    columns, rows, slices = (int(n) for n in size)
    spacing = (step, step, slice_step or step)
    origin = tuple(-(n - 1) / 2 * s for n, s in zip((columns, rows, slices), spacing, strict=True))
    return Geometry((columns, rows, slices), spacing, (origin[0], origin[1], origin[2] - 5))


def crooked() -> Geometry:
    """A tilted gantry and two slice distances, as an old head CT has them: 20 slices 4 mm apart and 14 of 8 mm."""
    tilt = np.radians(16)
    axes = np.array([[1, 0, 0], [0, 1, np.sin(tilt)], [0, 0, np.cos(tilt)]])
    steps = np.array([0.0, *[4.0] * 20, *[8.0] * 14])
    positions = np.cumsum(steps)
    spacing = (1.6, 1.6, float(positions[-1] / (len(positions) - 1)))
    size = (110, 140, len(positions))
    middle = axes @ (np.array([(size[0] - 1) * 0.8, (size[1] - 1) * 0.8, positions[-1] / 2]))
    return Geometry(size, spacing, tuple(-middle + (0, 0, -4)), tuple(axes.ravel()), tuple(positions))


@pytest.fixture(scope="session")
def head() -> Callable[..., Head]:
    """``head(kind, grid="even", ...)``: the head as T1, T2, FLAIR or CT on an even, thick or crooked grid."""
    grids = {"even": even(2.5), "thick": even(1.0, 5.0), "crooked": crooked()}

    def build(kind: str, grid: str = "even", **more) -> Head:
        return paint(grids[grid], kind, **more)

    return build


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


@pytest.fixture(scope="session")
def overlap() -> Callable[[np.ndarray, np.ndarray], float]:
    """Dice of two masks."""
    return dice
