"""How a prompt is given on the command line: boxes, points, redrawn slices, slices from a mask."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hemaview.commands.parser import Parser, finite

if TYPE_CHECKING:
    from hemaview.imaging import Geometry
    from hemaview.segmentation import BoxPrompt, FixedSlice, PointPrompt, Prompt

POINTS_HELP = """a point after --point or --point-voxels belongs to the haematoma, or does not where "-" follows it"""


def add_prompt_options(parser: Parser) -> None:
    """Add every way to say where the haematoma is; each may be given several times."""
    place = parser.add_argument_group("where the haematoma is (at least a box, a slice or a point in it)")
    place.add_argument(
        "--box",
        nargs=6,
        type=finite,
        action="append",
        default=[],
        metavar=("X0", "Y0", "Z0", "X1", "Y1", "Z1"),
        help="two opposite corners in LPS mm; the box lies along the scan's own grid; one for each piece",
    )
    place.add_argument(
        "--box-voxels",
        nargs=6,
        type=finite,
        action="append",
        default=[],
        metavar=("I0", "J0", "K0", "I1", "J1", "K1"),
        help="first and last voxel (column, row, slice), both inside, counted from 0",
    )
    place.add_argument(
        "--point",
        nargs="+",
        action="append",
        default=[],
        metavar="X Y Z [+|-]",
        help='a point of the haematoma in LPS mm; with "-" behind it, one that is not',
    )
    place.add_argument(
        "--point-voxels", nargs="+", action="append", default=[], metavar="I J K [+|-]", help="the same in voxels"
    )
    place.add_argument(
        "--slice-box",
        nargs=5,
        type=finite,
        action="append",
        default=[],
        metavar=("K", "I0", "J0", "I1", "J1"),
        help="a rectangle on slice K alone: first and last voxel, both inside; between two, the sides go linearly",
    )
    place.add_argument(
        "--keep-slices",
        type=Path,
        metavar="MASK",
        help="a mask on the scan's grid; its slices that are not empty are kept as they are",
    )


def check_prompt_options(parser: Parser, options: argparse.Namespace) -> None:
    """End with a sentence and exit code 2 where the options name no place or a point is not one."""
    for given in (*options.point, *options.point_voxels):
        try:
            _point(given)
        except ValueError:
            parser.error(f'A point is three numbers and perhaps + or -, not "{" ".join(given)}"')
    places = (options.box, options.box_voxels, options.point, options.point_voxels, options.slice_box)
    if not any(places) and options.keep_slices is None:
        parser.error("one of --box, --box-voxels, --point, --slice-box and --keep-slices is required")


def read_prompt(options: argparse.Namespace, geometry: Geometry) -> Prompt:
    """The prompt on a scan's grid.

    Raises ``PromptError`` for a box outside the scan and ``ScanError`` for a mask that cannot be read.
    """
    from hemaview.segmentation import BoxPrompt, Prompt

    boxes = [BoxPrompt((ax, ay, az), (bx, by, bz)) for ax, ay, az, bx, by, bz in options.box]
    boxes += [_voxel_box(geometry, given[:3], given[3:]) for given in options.box_voxels]
    slices = [_voxel_box(geometry, (i0, j0, k), (i1, j1, k)) for k, i0, j0, i1, j1 in options.slice_box]
    for box in (*boxes, *slices):
        box.clipped_bounds(geometry)
    points = [_as_point(*_point(given)) for given in options.point]
    for given in options.point_voxels:
        index, positive = _point(given)
        x, y, z = (float(v) for v in geometry.index_to_lps(index))
        points.append(_as_point((x, y, z), positive))
    fixed = () if options.keep_slices is None else _kept(options.keep_slices, geometry)
    return Prompt(tuple(boxes), tuple(slices), tuple(points), fixed)


def _voxel_box(geometry: Geometry, first: Sequence[float], last: Sequence[float]) -> BoxPrompt:
    from hemaview.segmentation import BoxPrompt

    lower = [min(pair) - 0.5 for pair in zip(first, last, strict=True)]
    upper = [max(pair) + 0.5 for pair in zip(first, last, strict=True)]
    return BoxPrompt.from_index_bounds(geometry, lower, upper)


def _point(given: Sequence[str]) -> tuple[tuple[float, float, float], bool]:
    """Three coordinates and a sign; ``ValueError`` for anything else."""
    sign = given[-1].strip()
    numbers = given[:-1] if sign in ("+", "-") else given
    try:
        x, y, z = (finite(text) for text in numbers)
    except argparse.ArgumentTypeError as error:
        raise ValueError(str(error)) from error
    return (x, y, z), sign != "-"


def _as_point(position: tuple[float, float, float], positive: bool) -> PointPrompt:
    from hemaview.segmentation import PointPrompt

    return PointPrompt(position, positive)


def _kept(path: Path, geometry: Geometry) -> tuple[FixedSlice, ...]:
    import numpy as np

    from hemaview.imaging.reading import read_label_map
    from hemaview.segmentation import FixedSlice

    mask = read_label_map(path, like=geometry).array
    return tuple(FixedSlice(int(k), mask[k].copy()) for k in np.flatnonzero(mask.any(axis=(1, 2))))
