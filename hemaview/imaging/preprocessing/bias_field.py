"""Uneven coil sensitivity taken out of an MR scan (N4), without taking a haematoma for part of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from threading import Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hemaview.errors import ScanError
from hemaview.imaging.preprocessing.foreground import foreground
from hemaview.imaging.preprocessing.grids import Joined, Progress
from hemaview.imaging.preprocessing.regions import Region, without
from hemaview.imaging.volume import Modality, Volume

ITERATIONS = 50
LEVELS = 4

_SHRINK, _CELLS = 4, 40_000
_LOOK_S = 0.05
_MOST_NOT_POSITIVE = 0.05

NOT_ON_CT = "A CT has no coil sensitivity to correct, and its HU would be changed; leave N4 out."
NOT_POSITIVE = "N4 needs positive values, and this scan was already normalised or shifted; leave N4 out."


def correct_bias(
    volume: Volume,
    boxes: Sequence[Region] = (),
    *,
    iterations: int = ITERATIONS,
    progress: Progress | None = None,
) -> Volume:
    """Divide an MR scan by its smooth brightness field, as float32 on the same grid.

    Tustison NJ et al. N4ITK: improved N3 bias correction. IEEE Trans Med Imaging 2010;29:1310-20, by ITK with its
    defaults: ``iterations`` at each of four levels, threshold 0.001, FWHM 0.15, Wiener noise 0.01, 200 bins, cubic
    splines on 4 x 4 x 4 points at first. The field is estimated on voxels at least four times as long, about 40,000
    of them and 6 mm on a whole head (its finest splines are 30 mm apart), within the head without ``boxes``; it is
    applied at full resolution, and its mean over the head is 1.

    The splines run over voxel indices times spacing, so a sheared grid or uneven slices only change what "smooth"
    means a little; no voxel moves. Raises ``ScanError`` for CT and for scans with values that are not positive.
    """
    if volume.modality is Modality.CT:
        raise ScanError(NOT_ON_CT)
    head = foreground(volume)
    if np.count_nonzero(volume.array[head] <= 0) > _MOST_NOT_POSITIVE * np.count_nonzero(head):
        raise ScanError(NOT_POSITIVE)
    used = without(head, boxes) & (volume.array > 0)
    logarithm = _log_field(volume, used, iterations, progress)
    logarithm -= float(logarithm[used].mean())
    corrected = volume.array / np.exp(logarithm)
    return replace(volume, array=np.ascontiguousarray(corrected, dtype=np.float32))


def _log_field(
    volume: Volume, used: NDArray[np.bool_], iterations: int, progress: Progress | None
) -> NDArray[np.float32]:
    """The natural logarithm of the field at every voxel."""
    import SimpleITK as sitk  # noqa: N813

    whole_mm3 = 1000 * volume.geometry.voxel_volume_ml * volume.array.size
    step = max(_SHRINK * min(volume.geometry.spacing), (whole_mm3 / _CELLS) ** (1 / 3))
    joined = Joined.to(volume.array, volume.geometry, step)
    share = Joined.to(used.astype(np.float32), volume.geometry, step).array
    image = sitk.GetImageFromArray(np.maximum(joined.array, np.finfo(np.float32).tiny))
    mask = sitk.GetImageFromArray((share > 0.5).astype(np.uint8))
    whole = sitk.Image(*(int(n) for n in volume.geometry.size), sitk.sitkFloat32)
    whole.SetSpacing(volume.geometry.spacing)
    for coarse in (image, mask):
        coarse.SetSpacing(joined.geometry.spacing)
        coarse.SetOrigin([(n - 1) / 2 * s for n, s in zip(joined.counts, volume.geometry.spacing, strict=True)])
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetMaximumNumberOfIterations([iterations] * LEVELS)
    _run(n4, image, mask, progress)
    return np.asarray(sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(whole)))


def _run(n4: Any, image: Any, mask: Any, progress: Progress | None) -> None:
    """Execute the filter in a thread of its own: ITK's N4 cannot be stopped, but it need not be waited for."""
    import SimpleITK as sitk  # noqa: N813

    finished = 0
    failures: list[Exception] = []

    def level_done() -> None:
        nonlocal finished
        finished += 1

    def execute() -> None:
        try:
            n4.Execute(image, mask)
        except Exception as error:
            failures.append(error)

    n4.AddCommand(sitk.sitkIterationEvent, level_done)
    thread = Thread(target=execute, name="n4", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_LOOK_S)
        if progress is not None:
            progress(min(finished, LEVELS) / (LEVELS + 1))
    if failures:
        raise ScanError("N4 found no field on this scan; leave it out.") from failures[0]
    if progress is not None:
        progress(1.0)
