"""What a case remembers of a segmentation, and how grids, prompts and engines are written as JSON."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hemaview import __version__
from hemaview.case.patches import Region, inflate, region_from_json, region_shape, region_to_json
from hemaview.errors import CaseError
from hemaview.imaging import Geometry, Modality, Volume
from hemaview.segmentation import BoxPrompt, EngineInfo, PointPrompt, Prompt, Segmentation


@dataclass(frozen=True, eq=False)
class SegmentationRecord:
    """A segmentation as the case keeps it: what made it, from which prompt, and its probability in 8 bits.

    ``prompt`` is the one that the engine used, its boxes closed; of the slices that were fixed by hand only the
    numbers are kept, in ``fixed_slices``. ``modality`` is what the scan was taken for, on which the model's view of the
    pixels depends; None in journals before format 3. ``prepared`` names the steps that had changed the values it saw.
    ``created`` is UTC in ISO 8601 and ``program`` the HEMAVIEW version. ``region`` is the window ``[k, j, i]``
    of the probability, ``slice_confidence`` float32 per slice of it (NaN where nothing was found).
    ``seconds_first`` and ``seconds_total`` are wall time. ``packed`` is the zlib-compressed uint8
    probability; a voxel is above one half in it exactly when it was in the engine's answer.
    """

    engine: EngineInfo
    prompt: Prompt
    region: Region
    slice_confidence: NDArray[np.float32]
    seconds_first: float
    seconds_total: float
    notes: tuple[str, ...]
    created: str
    program: str
    packed: bytes = field(repr=False)
    fixed_slices: tuple[int, ...] = ()
    modality: Modality | None = None
    prepared: tuple[str, ...] = ()

    @classmethod
    def of(cls, segmentation: Segmentation, modality: Modality) -> SegmentationRecord:
        """The record of an engine's answer on such a scan, stamped with the time and the program's version."""
        return cls(
            engine=segmentation.engine,
            prompt=replace(segmentation.prompt, fixed=()),
            region=segmentation.region,
            slice_confidence=np.asarray(segmentation.slice_confidence, dtype=np.float32),
            seconds_first=float(segmentation.seconds_first),
            seconds_total=float(segmentation.seconds_total),
            notes=tuple(segmentation.notes),
            created=utc_now(),
            program=__version__,
            packed=zlib.compress(_to_bytes(segmentation.probability), 1),
            fixed_slices=tuple(sorted(int(one.k) for one in segmentation.prompt.fixed)),
            prepared=segmentation.prepared,
            modality=modality,
        )

    @property
    def box(self) -> BoxPrompt:
        """The first box that was used, closed."""
        return self.prompt.boxes[0]

    def probability(self) -> NDArray[np.float32]:
        """Probability ``[k, j, i]`` of ``region`` in steps of 1/255."""
        shape = region_shape(self.region)
        levels = np.frombuffer(inflate(self.packed, int(np.prod(shape))), dtype=np.uint8)
        return levels.reshape(shape).astype(np.float32) / np.float32(255)

    def as_segmentation(self, geometry: Geometry) -> Segmentation:
        """The answer as an engine would give it on ``geometry``, the grid of the scan it was made on."""
        return Segmentation(
            probability=self.probability(),
            region=self.region,
            geometry=geometry,
            prompt=self.prompt,
            engine=self.engine,
            slice_confidence=self.slice_confidence,
            seconds_first=self.seconds_first,
            seconds_total=self.seconds_total,
            notes=self.notes,
            prepared=self.prepared,
        )

    def to_json(self, blob: str) -> dict[str, Any]:
        """The record without its probability, which lies in the file named ``blob``."""
        return {
            "engine": engine_to_json(self.engine),
            "prompt": prompt_to_json(self.prompt),
            "fixed_slices": list(self.fixed_slices),
            "prepared": list(self.prepared),
            "region": region_to_json(self.region),
            "confidence": [float(value) if np.isfinite(value) else None for value in self.slice_confidence],
            "seconds_first": self.seconds_first,
            "seconds_total": self.seconds_total,
            "notes": list(self.notes),
            "created": self.created,
            "program": self.program,
            "modality": None if self.modality is None else str(self.modality),
            "probability": blob,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], packed: bytes, geometry: Geometry) -> SegmentationRecord:
        """Inverse of ``to_json``; ``CaseError`` when it does not fit the scan's ``geometry``."""
        region = region_from_json(data["region"], geometry.shape)
        confidence = [np.nan if value is None else float(value) for value in data["confidence"]]
        if len(confidence) != region_shape(region)[0]:
            raise CaseError("The case's record of a segmentation is damaged.")
        inflate(packed, int(np.prod(region_shape(region))))
        prompt = prompt_from_entry(data)
        if prompt is None or not prompt.boxes:
            raise CaseError("The case's record of a segmentation has no box; it is damaged.")
        return cls(
            engine=EngineInfo(**{key: str(value) for key, value in data["engine"].items()}),
            prompt=prompt,
            region=region,
            slice_confidence=np.asarray(confidence, dtype=np.float32),
            seconds_first=float(data["seconds_first"]),
            seconds_total=float(data["seconds_total"]),
            notes=tuple(str(note) for note in data["notes"]),
            created=str(data["created"]),
            program=str(data["program"]),
            packed=packed,
            fixed_slices=tuple(int(k) for k in data.get("fixed_slices", ())),
            prepared=tuple(str(name) for name in data.get("prepared", ())),
            modality=None if data.get("modality") is None else Modality(data["modality"]),
        )


def fingerprint(volume: Volume) -> str:
    """32 hex digits that change with any voxel, the pixel type or the geometry of a scan; no patient data in it."""
    digest = hashlib.blake2b(digest_size=16)
    geometry = volume.geometry
    digest.update(repr((geometry.size, geometry.spacing, geometry.origin, geometry.direction)).encode())
    if geometry.slice_positions is not None:
        digest.update(repr(geometry.slice_positions).encode())
    digest.update(volume.array.dtype.str.encode())
    digest.update(volume.array.data)
    return digest.hexdigest()


def utc_now() -> str:
    """The time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def engine_to_json(engine: EngineInfo) -> dict[str, str]:
    """Name, title, device, sha256, training data, licence and adapter of an engine."""
    return {
        "name": engine.name,
        "title": engine.title,
        "device": engine.device,
        "sha256": engine.sha256,
        "trained_on": engine.trained_on,
        "licence": engine.licence,
        "adapter": engine.adapter,
    }


def box_to_json(box: BoxPrompt | None) -> dict[str, Any] | None:
    """Two LPS corners in mm and the voxel axis whose depth is open, if any."""
    if box is None:
        return None
    return {
        "a": [float(value) for value in box.corner_a],
        "b": [float(value) for value in box.corner_b],
        "open_axis": None if box.open_axis is None else int(box.open_axis),
    }


def box_from_json(data: Mapping[str, Any] | None) -> BoxPrompt | None:
    """Inverse of ``box_to_json``."""
    if data is None:
        return None
    ax, ay, az = (float(value) for value in data["a"])
    bx, by, bz = (float(value) for value in data["b"])
    return BoxPrompt((ax, ay, az), (bx, by, bz), data["open_axis"])


def prompt_to_json(prompt: Prompt) -> dict[str, Any]:
    """Boxes, redrawn rectangles and points in LPS mm; slices fixed by hand are part of the mask and not of this."""
    return {
        "boxes": [box_to_json(box) for box in prompt.boxes],
        "slice_boxes": [box_to_json(box) for box in prompt.slice_boxes],
        "points": [{"at": [float(v) for v in one.position], "positive": bool(one.positive)} for one in prompt.points],
    }


def prompt_from_json(data: Mapping[str, Any]) -> Prompt:
    """Inverse of ``prompt_to_json``."""
    points = []
    for entry in data["points"]:
        x, y, z = (float(value) for value in entry["at"])
        points.append(PointPrompt((x, y, z), bool(entry["positive"])))
    return Prompt(_boxes(data["boxes"]), _boxes(data["slice_boxes"]), tuple(points))


def prompt_from_entry(data: Mapping[str, Any]) -> Prompt | None:
    """The prompt of a record's entry, which in journals of the first format is one box; None where it has neither."""
    if "prompt" in data:
        return prompt_from_json(data["prompt"])
    if "box" not in data:
        return None
    box = box_from_json(data["box"])
    return Prompt() if box is None else Prompt.of(box)


def _boxes(entries: Sequence[Mapping[str, Any]]) -> tuple[BoxPrompt, ...]:
    boxes = (box_from_json(entry) for entry in entries)
    return tuple(box for box in boxes if box is not None)


def geometry_to_json(geometry: Geometry) -> dict[str, Any]:
    """Size, spacing, origin and direction in SimpleITK's order, uneven slices' places; JSON keeps floats exactly."""
    uneven = {} if geometry.slice_positions is None else {"slice_positions": list(geometry.slice_positions)}
    return {
        "size": list(geometry.size),
        "spacing": list(geometry.spacing),
        "origin": list(geometry.origin),
        "direction": list(geometry.direction),
        **uneven,
    }


def geometry_from_json(data: Mapping[str, Any]) -> Geometry:
    """Inverse of ``geometry_to_json``."""
    positions = data.get("slice_positions")
    return Geometry(
        tuple(data["size"]),
        tuple(data["spacing"]),
        tuple(data["origin"]),
        tuple(data["direction"]),
        None if positions is None else tuple(positions),
    )


def _to_bytes(probability: NDArray[np.float32]) -> bytes:
    levels = np.rint(np.clip(probability, 0, 1) * np.float32(255)).astype(np.uint8)
    # Rounding must not carry a voxel over the threshold: the mask and its kept probability agree.
    inside = probability > 0.5
    levels[inside] = np.maximum(levels[inside], 128)
    levels[~inside] = np.minimum(levels[~inside], 127)
    packed: bytes = levels.tobytes()
    return packed
