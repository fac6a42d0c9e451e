"""How one scan of a head has to be moved so that it lies on another: rigid, with a check, or refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hemaview.errors import Cancelled, ScanError
from hemaview.imaging.geometry import Geometry
from hemaview.imaging.preprocessing.foreground import foreground
from hemaview.imaging.preprocessing.grids import Joined, Progress, even_grid, is_even, part_of, sample
from hemaview.imaging.preprocessing.regions import Region
from hemaview.imaging.volume import Volume

MOST_DEGREES = 30.0
MOST_MM = 50.0

LEAST_INFORMATION = 0.2
"""In nats. Scans of one head that lie on each other were seen to share 0.25 (T1 and T2) to 2.3 (twice T1),
turned by 40 degrees and more against each other 0.03 to 0.15."""

_BINS = 50
_TURNS = (-15.0, 0.0, 15.0)
_SAMPLES, _LEAST_SHARE, _MOST_SHARE = 30_000, 0.01, 0.1
_SEED = 4711
_SHRINKS, _SMOOTHING_MM = (2, 1), (2.0, 0.0)
_ITERATIONS = 100
_FINEST_MM, _SEARCH_MM = 2.0, 5.0

REFUSED = (
    "The scans could not be aligned ({why}); they are left where their files say, check that they show the same head."
)


@dataclass(frozen=True)
class RigidMove:
    """Where a point of the fixed scan lies in the moving one: ``rotation`` p + ``shift``, LPS mm.

    ``rotation`` is row-major 3 x 3 and proper. ``information_before`` and ``information_after`` are Mattes' mutual
    information of both scans as their files place them and after the move, in nats. ``degrees`` is the turn,
    ``distance_mm`` how far the head's centre moves.
    """

    rotation: tuple[float, ...]
    shift: tuple[float, float, float]
    information_before: float
    information_after: float
    degrees: float
    distance_mm: float

    def __call__(self, points: ArrayLike) -> NDArray[np.float64]:
        """Points ``(..., 3)`` of the fixed scan as points of the moving one."""
        return np.asarray(np.asarray(points, dtype=np.float64) @ self._matrix.T + self.shift)

    def back(self, points: ArrayLike) -> NDArray[np.float64]:
        """Points ``(..., 3)`` of the moving scan as points of the fixed one."""
        return np.asarray((np.asarray(points, dtype=np.float64) - self.shift) @ self._matrix)

    @property
    def _matrix(self) -> NDArray[np.float64]:
        return np.asarray(self.rotation, dtype=np.float64).reshape(3, 3)


def register_rigid(
    fixed: Volume,
    moving: Volume,
    *,
    ignore: Sequence[Region] = (),
    progress: Progress | None = None,
) -> RigidMove:
    """Find the rigid move between two scans of one head, of any two kinds, by mutual information.

    Mattes D et al. PET-CT image registration in the chest using free-form deformations. IEEE Trans Med Imaging
    2003;22:120-8, by ITK: 50 bins, about 30,000 of the voxels (1 to 10 %) with a fixed seed, linear interpolation,
    voxels of about 4 and then 2 mm, regular-step gradient descent scaled by physical shift. Starts from where the
    files place the scans, from their centres of mass, and from whichever of both agrees best turned by 15 degrees about
    one or more axes; voxels of 5 mm show which of the three leads furthest. The thinner scan moves onto the thicker.
    ``ignore`` are regions of the fixed scan that changed between the scans, such as a growing haematoma. One thread:
    the same answer every time.

    Scans on uneven or sheared grids are resampled first, so the move is right for every grid. Raises ``ScanError``
    when the scans share too little after the move, for a turn over 30 degrees or a shift over 50 mm from the start:
    such a move is more often wrong than right.
    """
    swapped = moving.geometry.slice_spacing_mm > fixed.geometry.slice_spacing_mm and not ignore
    base, other = (moving, fixed) if swapped else (fixed, moving)
    with _one_thread():
        coarse = _Pair.of(base, other, ignore, _SEARCH_MM)
        start, near = coarse.best_start(part_of(progress, 0, 0.4))
        pair = _Pair.of(base, other, ignore, _FINEST_MM)
        before = pair.information(pair.start((0, 0, 0), np.zeros(3)))
        found = pair.optimise(near, part_of(progress, 0.4, 1.0))
        # Where the start was best already, the levels' smoothing can lead a little away from it.
        found = max((start, near, found), key=pair.information)
        after = pair.information(found)
    _check(start, found, pair.centre, after)
    move = _as_move(found, pair.centre, before, after)
    return _inverse(move, pair.centre) if swapped else move


def registration_settings() -> dict[str, Any]:
    """What a move depends on beside the two scans, as plain JSON types for a record."""
    return {
        "method": "Mattes mutual information, Euler3D, regular-step gradient descent, linear interpolation",
        "bins": _BINS,
        "samples": _SAMPLES,
        "seed": _SEED,
        "start_degrees": list(_TURNS),
        "search_mm": _SEARCH_MM,
        "finest_mm": _FINEST_MM,
        "shrink": list(_SHRINKS),
        "smoothing_mm": list(_SMOOTHING_MM),
        "iterations": _ITERATIONS,
    }


def aligned(moving: Volume, move: RigidMove, grid: Geometry, progress: Progress | None = None) -> NDArray[np.float32]:
    """The moving scan's values at the voxels of the fixed ``grid``, float32 ``[k, j, i]``; for looking only.

    Beyond the moving scan lies its lowest value.
    """
    lowest = float(moving.array.min())
    return sample(moving.array, moving.geometry, grid, move=move, fill=lowest, progress=progress)


@dataclass(frozen=True, eq=False)
class _Pair:
    """Both scans as ITK images, the part of the fixed one that counts and the share of its voxels that is used."""

    fixed: Any
    moving: Any
    mask: Any
    share: float
    centre: NDArray[np.float64]

    @classmethod
    def of(cls, fixed: Volume, moving: Volume, ignore: Sequence[Region], step_mm: float) -> _Pair:
        head = foreground(fixed)
        for region in ignore:
            head[region] = False
        image, geometry = _itk_image(fixed.array, fixed.geometry, float(fixed.array.min()), step_mm)
        mask, _ = _itk_image(head.astype(np.float32), fixed.geometry, 0.0, step_mm)
        other, _ = _itk_image(moving.array, moving.geometry, float(moving.array.min()), step_mm)
        places = np.argwhere(head)
        centre = fixed.geometry.index_to_lps(places.mean(axis=0)[::-1]) if len(places) else geometry.origin
        share = float(np.clip(_SAMPLES / np.prod(geometry.size), _LEAST_SHARE, _MOST_SHARE))
        return cls(image, other, mask > 0.5, share, np.asarray(centre))

    def best_start(self, progress: Progress) -> tuple[Any, Any]:
        """The start from which most information is reached, and the transform reached."""
        starts = self._starts(part_of(progress, 0, 0.4))
        ways: list[tuple[Any, Any]] = []
        for number, start in enumerate(starts):
            share = 0.6 / len(starts)
            told = part_of(progress, 0.4 + number * share, 0.4 + (number + 1) * share)
            # A start at which the scans do not overlap leads nowhere; another one may.
            with suppress(ScanError):
                ways.append((start, self.optimise(start, told)))
        if not ways:
            raise ScanError(REFUSED.format(why="they do not overlap"))
        return max(ways, key=lambda way: self.information(way[1]))

    def _starts(self, progress: Progress) -> list[Any]:
        """The three starts that ``register_rigid`` names.

        What a turned start shares before it is optimised says little about where it leads, so it never takes the place
        of the unturned ones.
        """
        import SimpleITK as sitk  # noqa: N813

        centred = sitk.Euler3DTransform(
            sitk.CenteredTransformInitializer(
                self.fixed,
                self.moving,
                sitk.Euler3DTransform(),
                sitk.CenteredTransformInitializerFilter.MOMENTS,
            )
        )
        nowhere = np.zeros(3)
        to_mass = np.asarray(centred.GetTranslation())
        turns = [turn for turn in product(_TURNS, repeat=3) if any(turn)]
        turned = [self.start(turn, shift) for shift in (nowhere, to_mass) for turn in turns]
        shared = []
        for number, start in enumerate(turned):
            shared.append(self.information(start))
            progress((number + 1) / len(turned))
        unturned = [self.start((0, 0, 0), shift) for shift in (nowhere, to_mass)]
        return [*unturned, turned[int(np.argmax(shared))]]

    def start(self, turn: tuple[float, ...], shift: NDArray[np.float64]) -> Any:
        """A turn in degrees about the head's centre, then a shift in mm."""
        import SimpleITK as sitk  # noqa: N813

        transform = sitk.Euler3DTransform()
        transform.SetCenter([float(v) for v in self.centre])
        transform.SetRotation(*(float(v) for v in np.radians(turn)))
        transform.SetTranslation([float(v) for v in shift])
        return transform

    def information(self, transform: Any) -> float:
        """Mutual information in nats; minus infinity where the scans do not overlap."""
        method = self._method()
        method.SetInitialTransform(transform, inPlace=False)
        try:
            return -float(method.MetricEvaluate(self.fixed, self.moving))
        except RuntimeError:
            return float("-inf")

    def optimise(self, start: Any, progress: Progress) -> Any:
        """The transform at which the information is highest near ``start``."""
        import SimpleITK as sitk  # noqa: N813

        method = self._method()
        method.SetOptimizerAsRegularStepGradientDescent(
            learningRate=2.0, minStep=1e-4, numberOfIterations=_ITERATIONS, gradientMagnitudeTolerance=1e-8
        )
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetShrinkFactorsPerLevel(_SHRINKS)
        method.SetSmoothingSigmasPerLevel(_SMOOTHING_MM)
        method.SetSmoothingSigmasAreSpecifiedInPhysicalUnits(True)
        method.SetInitialTransform(start, inPlace=False)
        stopped: list[Cancelled] = []

        def look() -> None:
            share = (method.GetCurrentLevel() + method.GetOptimizerIteration() / _ITERATIONS) / len(_SHRINKS)
            try:
                progress(min(share, 1.0))
            except Cancelled as cancelled:
                # An exception must not pass through ITK; asking it to stop does the same.
                stopped.append(cancelled)
                method.StopRegistration()

        method.AddCommand(sitk.sitkIterationEvent, look)
        try:
            found = method.Execute(self.fixed, self.moving)
        except RuntimeError as error:
            if stopped:
                raise stopped[0] from None
            raise ScanError(REFUSED.format(why="they do not overlap")) from error
        if stopped:
            raise stopped[0]
        return sitk.Euler3DTransform(sitk.CompositeTransform(found).GetBackTransform())

    def _method(self) -> Any:
        import SimpleITK as sitk  # noqa: N813

        method = sitk.ImageRegistrationMethod()
        method.SetMetricAsMattesMutualInformation(_BINS)
        method.SetMetricSamplingStrategy(method.RANDOM)
        method.SetMetricSamplingPercentage(self.share, _SEED)
        method.SetMetricFixedMask(self.mask)
        method.SetInterpolator(sitk.sitkLinear)
        return method


@contextmanager
def _one_thread() -> Iterator[None]:
    """ITK in one thread: with several the order of sums, and so the last digits of the move, change from run to run.

    Parts of the method take the number from ITK's default for the process and not from the method's own setting.
    """
    import SimpleITK as sitk  # noqa: N813

    usual = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(usual)


def _itk_image(array: NDArray, geometry: Geometry, fill: float, step_mm: float) -> tuple[Any, Geometry]:
    """A float image in LPS on an even grid of about ``step_mm``, or the scan's spacing if larger, and that grid."""
    import SimpleITK as sitk  # noqa: N813

    joined = Joined.to(array, geometry, step_mm)
    values, grid = joined.array, joined.geometry
    if not is_even(grid):
        x, y, z = grid.spacing
        even = even_grid(grid, (x, y, min(z, float(grid.slice_steps_mm.min()))))
        values, grid = sample(values, grid, even, fill=fill), even
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection(grid.direction)
    return image, grid


def _matrix_of(transform: Any, centre: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rotation (3, 3) and shift (3,) of an ITK transform p -> R (p - c) + c + t."""
    rotation = np.asarray(transform.GetMatrix(), dtype=np.float64).reshape(3, 3)
    return rotation, np.asarray(transform.TransformPoint([float(v) for v in centre])) - rotation @ centre


def _degrees(rotation: NDArray[np.float64]) -> float:
    return float(np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1))))


def _check(start: Any, found: Any, centre: NDArray[np.float64], after: float) -> None:
    """``ScanError`` for a move that is more likely a failure than the truth."""
    rotation, _ = _matrix_of(found, centre)
    from_start = np.subtract(found.TransformPoint(centre.tolist()), start.TransformPoint(centre.tolist()))
    distance = float(np.linalg.norm(from_start))
    if after < LEAST_INFORMATION:
        raise ScanError(REFUSED.format(why="they have too little in common"))
    if _degrees(rotation) > MOST_DEGREES:
        raise ScanError(REFUSED.format(why=f"a turn of {_degrees(rotation):.0f} degrees is not plausible"))
    if distance > MOST_MM:
        raise ScanError(REFUSED.format(why=f"a shift of {distance:.0f} mm is not plausible"))


def _as_move(transform: Any, centre: NDArray[np.float64], before: float, after: float) -> RigidMove:
    rotation, shift = _matrix_of(transform, centre)
    return _move(rotation, shift, centre, before, after)


def _inverse(move: RigidMove, centre: NDArray[np.float64]) -> RigidMove:
    rotation = np.asarray(move.rotation).reshape(3, 3).T
    return _move(rotation, -rotation @ np.asarray(move.shift), centre, move.information_before, move.information_after)


def _move(
    rotation: NDArray[np.float64], shift: NDArray[np.float64], centre: NDArray[np.float64], before: float, after: float
) -> RigidMove:
    x, y, z = (float(v) for v in shift)
    return RigidMove(
        tuple(float(v) for v in rotation.ravel()),
        (x, y, z),
        before,
        after,
        _degrees(rotation),
        float(np.linalg.norm(rotation @ centre + shift - centre)),
    )
