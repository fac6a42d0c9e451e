"""The engine of every model that draws slice by slice under the guidance of the coarse 3D network."""

from __future__ import annotations

import time
import weakref
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hemaview.imaging import Volume
from hemaview.segmentation.compact.frame import Frame
from hemaview.segmentation.contract import BoxPrompt, CancelToken, EngineInfo, OnSlice, Prompt, Segmentation
from hemaview.segmentation.guided.box import Box
from hemaview.segmentation.guided.coarse_guide import CoarseGuide
from hemaview.segmentation.guided.components import near_rectangle, reach_box
from hemaview.segmentation.guided.plan import Plan, refuse_flat
from hemaview.segmentation.guided.protocols import Rectangle, SliceModel, SliceQuestion, SliceSession
from hemaview.segmentation.guided.run import Run


@dataclass(frozen=True, eq=False)
class _Opened:
    """A slice model on a scan that is still in use."""

    volume: weakref.ref[Volume]
    frame: Frame
    session: SliceSession


class GuidedSegmenter:
    """``Segmenter`` of a slice model and the coarse network that guides it; one thread at a time.

    The scan of the last call stays opened, so that a second box finds what the slice model remembers of it.
    """

    def __init__(self, info: EngineInfo, guide: CoarseGuide, slice_model: SliceModel) -> None:
        self._info = info
        self._guide = guide
        self._model = slice_model
        self._opened: _Opened | None = None

    @property
    def info(self) -> EngineInfo:
        """Name, device, hash and origin of the model."""
        return self._info

    def segment_slice(self, volume: Volume, k: int, box_xyxy: Rectangle) -> NDArray[np.float32]:
        """Probability float32 ``[j, i]`` of slice ``k`` from a rectangle on that slice alone.

        ``box_xyxy`` holds its faces i0, j0, i1, j1 in voxel units (voxel n covers n - 0.5 to n + 0.5). Raises
        ``PromptError`` for a rectangle outside the scan, without area or over a single grey value.
        """
        i0, j0, i1, j1 = box_xyxy
        prompt = BoxPrompt.from_index_bounds(volume.geometry, (i0, j0, k - 0.5), (i1, j1, k + 0.5))
        opened = self._open(volume)
        box = Box.of(prompt, volume.geometry)
        refuse_flat(box, opened.frame)
        depth, rows, columns = box.region(opened.frame.shape)
        answer = opened.session.answer([SliceQuestion(k, box.rectangle)], (rows, columns), None, _never)[0]
        picture = near_rectangle(answer.probability, box.rectangle, (rows, columns), 0.0)
        probability = np.zeros(opened.frame.shape[1:], dtype=np.float32)
        inside = box.within((depth, rows, columns))[1:]
        probability[rows, columns] = reach_box(picture, *box.sides, inside)
        return probability

    def segment(
        self,
        volume: Volume,
        prompt: BoxPrompt | Prompt,
        *,
        focus: int | None = None,
        on_slice: OnSlice | None = None,
        cancel: CancelToken | None = None,
    ) -> Segmentation:
        """Segment what the prompt shows; see ``Segmenter.segment``."""
        started = time.perf_counter()
        asked = Prompt.of(prompt)
        opened = self._open(volume)
        plan = Plan.of(asked, volume, opened.frame)
        check = cancel.raise_if_cancelled if cancel is not None else _never
        check()
        run = Run(
            self._guide,
            opened.session,
            opened.frame.near(volume.geometry, *plan.depth),
            plan,
            focus=focus,
            on_slice=on_slice,
            check=check,
            started=started,
        )
        return replace(run.run(asked, volume.geometry, self._info), prepared=volume.prepared)

    def _open(self, volume: Volume) -> _Opened:
        if self._opened is None or self._opened.volume() is not volume:
            self._opened = None  # what the old session remembers is given back before the new one takes its own
            self._opened = _Opened(weakref.ref(volume), Frame.of(volume), self._model.open(volume))
        return self._opened


def _never() -> None:
    """The check while nobody can cancel."""
