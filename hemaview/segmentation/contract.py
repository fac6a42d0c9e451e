"""The one call that every segmentation engine answers: scan + prompt -> per-voxel probability."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hemaview.errors import Cancelled, PromptError
from hemaview.imaging import Geometry, LabelMap, Volume


@dataclass(frozen=True)
class BoxPrompt:
    """A box round the lesion along the axes of the scan's own grid, held as two opposite corners in LPS mm.

    The corners lie on the outer faces of the outermost voxels, not on their centres. ``open_axis`` is the
    voxel axis (0 = i, 1 = j, 2 = k) along which the depth is only a guess, because the user drew a rectangle
    on one slice: the engine then finds where the lesion begins and ends and answers with a closed box.
    """

    corner_a: tuple[float, float, float]
    corner_b: tuple[float, float, float]
    open_axis: int | None = None

    @classmethod
    def from_index_bounds(cls, geometry: Geometry, lower: ArrayLike, upper: ArrayLike) -> BoxPrompt:
        """Box from continuous face positions in voxel units (i, j, k), where voxel n covers n - 0.5 to n + 0.5."""
        ax, ay, az = (float(v) for v in geometry.index_to_lps(lower))
        bx, by, bz = (float(v) for v in geometry.index_to_lps(upper))
        return cls((ax, ay, az), (bx, by, bz))

    @classmethod
    def from_rectangle(
        cls, geometry: Geometry, slice_axis: int, index: int, lower: ArrayLike, upper: ArrayLike
    ) -> BoxPrompt:
        """Box from a rectangle on slice ``index`` of voxel axis ``slice_axis``; the depth is guessed and left open.

        ``lower`` and ``upper`` are face positions (i, j, k) in voxel units; their entry along ``slice_axis``
        is ignored. The guess is the mean side of the rectangle in mm, centred on the slice.
        """
        low = np.array(lower, dtype=np.float64)
        high = np.array(upper, dtype=np.float64)
        low[slice_axis] = high[slice_axis] = index
        ways = geometry.index_to_mm(np.array([low, high]))
        half = float(np.delete(np.abs(ways[1] - ways[0]), slice_axis).mean()) / 2
        ways[:, slice_axis] += (-half, half)
        first, last = geometry.mm_to_index(ways)[:, slice_axis]
        low[slice_axis] = max(-0.5, min(index - 0.5, first))
        high[slice_axis] = min(geometry.size[slice_axis] - 0.5, max(index + 0.5, last))
        closed = cls.from_index_bounds(geometry, low, high)
        return cls(closed.corner_a, closed.corner_b, slice_axis)

    @classmethod
    def around(cls, mask: LabelMap) -> BoxPrompt:
        """Tight box round a mask; raises ``PromptError`` when the mask is empty."""
        bounds = mask.bounds()
        if bounds is None:
            raise PromptError("The mask is empty, so no box can be drawn round it.")
        k, j, i = bounds
        return cls.from_index_bounds(
            mask.geometry,
            (i.start - 0.5, j.start - 0.5, k.start - 0.5),
            (i.stop - 0.5, j.stop - 0.5, k.stop - 0.5),
        )

    def index_bounds(self, geometry: Geometry) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper faces, each (3,) in the order i, j, k, in continuous voxel units; not clipped to the scan."""
        corners = geometry.lps_to_index(np.array([self.corner_a, self.corner_b]))
        return corners.min(axis=0), corners.max(axis=0)

    def clipped_bounds(self, geometry: Geometry) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """``index_bounds`` clipped to the scan; ``PromptError`` for a box outside it or under half a voxel thin."""
        lower, upper = self.index_bounds(geometry)
        if not np.all(np.isfinite([lower, upper])):
            raise PromptError("The box has no valid corners; draw it again.")
        limit = np.asarray(geometry.size) - 0.5
        if np.any(upper <= -0.5) or np.any(lower >= limit):
            raise PromptError("The box lies outside the scan; draw it round the haematoma.")
        lower, upper = np.maximum(lower, -0.5), np.minimum(upper, limit)
        if np.any(upper - lower < 0.5):
            raise PromptError("The box has no area or no depth; draw it round the whole haematoma.")
        return lower, upper

    def voxel_slices(self, geometry: Geometry) -> tuple[slice, slice, slice]:
        """``(k, j, i)`` slices of the voxels whose centre lies in the box (at least one along each axis)."""
        lower, upper = self.clipped_bounds(geometry)
        found = []
        for axis in (2, 1, 0):
            start = int(np.ceil(lower[axis]))
            stop = int(np.floor(upper[axis])) + 1
            if stop <= start:
                start = int(np.clip(np.round((lower[axis] + upper[axis]) / 2), 0, geometry.size[axis] - 1))
                stop = start + 1
            found.append(slice(max(start, 0), min(stop, geometry.size[axis])))
        return found[0], found[1], found[2]


@dataclass(frozen=True)
class PointPrompt:
    """A place in LPS mm that belongs to the lesion (``positive``) or does not."""

    position: tuple[float, float, float]
    positive: bool = True


@dataclass(frozen=True, eq=False)
class FixedSlice:
    """A slice whose mask a hand has set: bool ``[j, i]`` of the whole slice ``k``.

    The engine returns it unchanged and learns from it for the slices beside it. An empty mask says that the
    lesion is not there.
    """

    k: int
    mask: NDArray[np.bool_]


@dataclass(frozen=True)
class Prompt:
    """Everything a person said about where one lesion is.

    ``boxes`` go round the lesion or round one of its pieces each; the answers are united. ``slice_boxes`` are
    rectangles redrawn on single slices (one slice thick, from k - 0.5 to k + 0.5); between two of them the sides go
    linearly in mm. ``points`` may stand alone: the engine then looks for the extent itself. ``fixed`` are slices
    that a hand has drawn.
    """

    boxes: tuple[BoxPrompt, ...] = ()
    slice_boxes: tuple[BoxPrompt, ...] = ()
    points: tuple[PointPrompt, ...] = ()
    fixed: tuple[FixedSlice, ...] = ()

    @classmethod
    def of(cls, prompt: BoxPrompt | Prompt) -> Prompt:
        """A prompt as it is, or a box as the whole of one."""
        return prompt if isinstance(prompt, Prompt) else cls(boxes=(prompt,))

    @property
    def box(self) -> BoxPrompt | None:
        """The first box, if there is one."""
        return self.boxes[0] if self.boxes else None


class CancelToken:
    """Set from any thread to stop a running segmentation; the engine looks at it at least every 100 ms."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask the work to stop."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """Whether the work was asked to stop."""
        return self._event.is_set()

    def raise_if_cancelled(self) -> None:
        """Raise ``Cancelled`` once ``cancel`` was called."""
        if self._event.is_set():
            raise Cancelled


@dataclass(frozen=True)
class EngineInfo:
    """Which model answers, for the status line, the report and the journal.

    ``adapter`` is the title and the first 12 hex digits of the SHA-256 of the adapter that is merged into the
    model, or "" for none.
    """

    name: str
    title: str
    device: str
    sha256: str
    trained_on: str
    licence: str
    adapter: str = ""


@dataclass(frozen=True, eq=False)
class SliceResult:
    """One finished slice, streamed while the rest is still computed.

    ``probability`` is float32 ``[j, i]`` of the window that starts at voxel (``row``, ``column``) of
    slice ``k``; outside it the probability is 0. A later result for the same slice replaces an earlier one
    (the focused slice is answered at once and refined when its neighbours are known). ``done``/``total``
    count finished slices.
    """

    k: int
    row: int
    column: int
    probability: NDArray[np.float32]
    done: int
    total: int

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The window's voxels above one half."""
        return np.asarray(self.probability > 0.5)


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What an engine found.

    ``probability`` is float32 ``[k, j, i]`` of the window ``region`` (slices k, j, i of the scan);
    outside it the probability is 0. ``prompt`` is what was asked, with at least one box: boxes are closed where the
    request left their depth open, and where it held no box, the one that the engine looked in stands there.
    ``slice_confidence`` is the engine's own estimate of the mask's
    IoU, 0 to 1, per slice of the window (NaN where nothing was found). ``seconds_first`` and
    ``seconds_total`` are wall time from the call to the first slice and to the end. ``prepared`` is
    the scan's (``Volume.prepared``): the steps that had changed the values that the engine saw.
    """

    probability: NDArray[np.float32]
    region: tuple[slice, slice, slice]
    geometry: Geometry
    prompt: Prompt
    engine: EngineInfo
    slice_confidence: NDArray[np.float32]
    seconds_first: float
    seconds_total: float
    notes: tuple[str, ...] = ()
    prepared: tuple[str, ...] = ()

    @property
    def box(self) -> BoxPrompt:
        """The first box that was used, closed."""
        return self.prompt.boxes[0]

    def mask(self, threshold: float = 0.5) -> LabelMap:
        """The mask on the scan's grid: voxels with a probability above ``threshold``."""
        array = np.zeros(self.geometry.shape, dtype=np.bool_)
        array[self.region] = self.probability > threshold
        return LabelMap(array, self.geometry)


OnSlice = Callable[[SliceResult], None]


class Segmenter(Protocol):
    """An engine. It is built once, kept, and called from one thread at a time."""

    @property
    def info(self) -> EngineInfo:
        """Name, device, hash and origin of the model."""
        ...

    def segment(
        self,
        volume: Volume,
        prompt: BoxPrompt | Prompt,
        *,
        focus: int | None = None,
        on_slice: OnSlice | None = None,
        cancel: CancelToken | None = None,
    ) -> Segmentation:
        """Segment what the prompt shows.

        ``focus`` is the slice k the user looks at (default: the box's middle); it is answered first.
        Calls ``on_slice`` for every slice of the box as soon as it is known, outwards from the focus.
        Raises ``PromptError`` for a prompt without box and positive point, outside the scan or without area,
        ``Cancelled`` within 100 ms of ``cancel``, and ``ModelError`` when the model cannot be used.
        """
        ...
