"""Plans, corrections, the drift guard and remarks do what they say, without any network."""

import numpy as np
import pytest

from hemaview.imaging import Geometry, Volume
from hemaview.segmentation import BoxPrompt, CancelToken, FixedSlice, PointPrompt, Prompt
from hemaview.segmentation.compact.frame import Frame
from hemaview.segmentation.guided.box import Box
from hemaview.segmentation.guided.corrections import correct_probability
from hemaview.segmentation.guided.drift import judge
from hemaview.segmentation.guided.plan import Known, Plan, Point, between
from hemaview.segmentation.guided.remarks import named, remarks

GEOMETRY = Geometry((40, 30, 12), (0.7, 0.9, 3.0), (5.0, -8.0, 2.0))
REGION = slice(0, 12), slice(0, 30), slice(0, 40)


def noise(geometry=GEOMETRY, seed=0):
    return Volume(np.random.default_rng(seed).normal(0, 1, geometry.shape).astype(np.float32), geometry)


EVEN = np.arange(10) * 4.0


def plan_of(prompt, volume):
    return Plan.of(prompt, volume, Frame.of(volume))


def test_sides_go_linearly_between_marked_slices():
    marks = between({2: ((0.0, 0.0, 10.0, 8.0),), 6: ((4.0, 2.0, 8.0, 6.0),)}, EVEN)
    assert sorted(marks) == [2, 3, 4, 5, 6]
    assert marks[4] == ((2.0, 1.0, 9.0, 7.0),)
    assert marks[2] == ((0.0, 0.0, 10.0, 8.0),)


def test_sides_go_linearly_in_mm_where_slices_are_uneven():
    marks = between({0: ((0.0, 0.0, 10.0, 8.0),), 2: ((4.0, 2.0, 8.0, 6.0),)}, np.array([0.0, 2.0, 8.0]))
    assert marks[1] == ((1.0, 0.5, 9.5, 7.5),)


def test_a_frame_has_the_step_of_the_slices_it_is_asked_about():
    places = (0.0, 2.0, 4.0, 6.0, 8.0, 14.0, 20.0, 26.0)
    geometry = Geometry((40, 30, 8), (0.5, 0.5, 26 / 7), slice_positions=places)
    volume = Volume(np.zeros(geometry.shape, dtype=np.int16), geometry)
    box = BoxPrompt.from_index_bounds(geometry, (1.5, 1.5, 4.5), (11.5, 11.5, 7.5))
    volume.array[5, 5, 5] = 100
    frame = Frame.of(volume)
    assert frame.near(geometry, *plan_of(Prompt(boxes=(box,)), volume).depth).spacing == (0.5, 0.5, 6.0)
    assert Frame.of(noise()).near(GEOMETRY, 0, 3).spacing == GEOMETRY.spacing


def test_two_rectangles_go_to_the_one_beyond():
    marks = between({0: ((0.0, 0.0, 4.0, 4.0), (10.0, 0.0, 14.0, 4.0)), 2: ((2.0, 0.0, 12.0, 4.0),)}, EVEN)
    assert marks[1] == ((1.0, 0.0, 8.0, 4.0), (6.0, 0.0, 13.0, 4.0))


def test_a_redrawn_rectangle_goes_to_the_box_it_overlaps_and_widens_it():
    boxes = (
        BoxPrompt.from_index_bounds(GEOMETRY, (1.5, 1.5, 1.5), (11.5, 11.5, 6.5)),
        BoxPrompt.from_index_bounds(GEOMETRY, (20.5, 10.5, 3.5), (34.5, 24.5, 9.5)),
    )
    redrawn = BoxPrompt.from_index_bounds(GEOMETRY, (18.5, 9.5, 9.5), (30.5, 20.5, 10.5))
    plan = plan_of(Prompt(boxes=boxes, slice_boxes=(redrawn,)), noise())
    first, second = plan.pieces
    assert not first.marks
    assert second.redrawn[10][0] == pytest.approx((18.5, 9.5, 30.5, 20.5))
    assert second.box.lower == pytest.approx((3.5, 9.5, 18.5))
    assert second.box.upper == pytest.approx((10.5, 24.5, 34.5))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_scan_stored_the_other_way_round_gives_the_mirrored_plan(axis):
    direction, origin = np.eye(3), np.array(GEOMETRY.origin)
    direction[axis, axis] = -1
    origin[axis] += GEOMETRY.spacing[axis] * (GEOMETRY.size[axis] - 1)
    turned = Geometry(GEOMETRY.size, GEOMETRY.spacing, tuple(origin), tuple(direction.ravel()))
    volume = noise()
    mirrored = Volume(np.ascontiguousarray(np.flip(volume.array, 2 - axis)), turned)
    box = BoxPrompt.from_index_bounds(GEOMETRY, (4.5, 6.5, 2.5), (20.5, 18.5, 8.5))
    redrawn = BoxPrompt.from_index_bounds(GEOMETRY, (6.5, 7.5, 4.5), (18.5, 16.5, 5.5))
    point = PointPrompt(tuple(float(v) for v in GEOMETRY.index_to_lps((9, 10, 5))))
    prompt = Prompt((box,), (redrawn,), (point,))
    one, other = plan_of(prompt, volume), plan_of(prompt, mirrored)
    last = GEOMETRY.size[axis] - 1
    number = 2 - axis
    a, b = one.pieces[0].box, other.pieces[0].box
    assert b.lower[number] == pytest.approx(last - a.upper[number])
    assert b.upper[number] == pytest.approx(last - a.lower[number])
    p, q = one.known.points[0].voxel, other.known.points[0].voxel
    assert q[number] == last - p[number]
    assert len(other.pieces[0].redrawn) == 1


def test_slices_alone_make_one_piece_open_beyond_them():
    mask = np.zeros((30, 40), dtype=bool)
    mask[8:15, 9:21] = True
    plan = plan_of(Prompt(fixed=(FixedSlice(4, mask), FixedSlice(7, mask), FixedSlice(9, mask & False))), noise())
    piece = plan.pieces[0]
    assert piece.box.open_axis == 0
    assert piece.box.rectangle == (8.5, 7.5, 20.5, 14.5)
    assert (piece.box.lower[0], piece.box.upper[0]) == (3.5, 7.5)
    assert sorted(piece.marks) == [4, 5, 6, 7]
    assert not piece.redrawn


def blob():
    """A probability of 0.9 in an ellipsoid and 0.1 outside, a scan with the same shape, and its box."""
    k, j, i = np.ogrid[:12, :30, :40]
    inside = ((k - 5.5) / 4) ** 2 + ((j - 15) / 8) ** 2 + ((i - 20) / 10) ** 2 <= 1
    values = np.random.default_rng(2).normal(0, 0.2, inside.shape) + 3 * inside
    frame = Frame.of(Volume(values.astype(np.float32), GEOMETRY))
    probability = np.where(inside, 0.9, 0.1).astype(np.float32)
    return inside, frame, probability, Box((1.5, 6.5, 9.5), (9.5, 23.5, 30.5))


def test_points_that_agree_change_nothing():
    _, frame, probability, box = blob()
    known = Known((Point(5, 15, 20, True), Point(5, 2, 2, False)))
    corrected = correct_probability(probability, REGION, known, box, frame, CancelToken().raise_if_cancelled)
    assert np.abs(corrected - probability).max() < 0.01


def test_points_that_disagree_change_their_like_neighbours_and_no_others():
    inside, frame, probability, box = blob()
    missed = probability.copy()
    missed[:, :, 24:] = 0.1
    corrected = correct_probability(
        missed, REGION, Known((Point(5, 15, 26, True),)), box, frame, CancelToken().raise_if_cancelled
    )
    assert corrected[5, 15, 26] > 0.8
    assert corrected[5, 15, 25] > 0.5
    changed = (corrected > 0.5) & ~(missed > 0.5)
    assert changed.any()
    assert np.count_nonzero(changed & ~inside) <= 0.05 * np.count_nonzero(changed)
    assert np.allclose(corrected[:, :, :10], missed[:, :, :10], atol=0.02)
    taken = correct_probability(
        probability, REGION, Known((Point(5, 15, 20, False),)), box, frame, CancelToken().raise_if_cancelled
    )
    assert taken[5, 15, 20] < 0.2
    assert taken[5, 9, 14] > 0.5


def test_a_drawn_slice_improves_the_slices_beside_it():
    inside, frame, probability, box = blob()
    leaked = probability.copy()
    leaked[:, 20:28, 5:15] = 0.8
    drawn = inside[5]
    corrected = correct_probability(leaked, REGION, Known((), {5: drawn}), box, frame, CancelToken().raise_if_cancelled)
    for k in (4, 6):
        before = np.count_nonzero((leaked[k] > 0.5) != inside[k])
        after = np.count_nonzero((corrected[k] > 0.5) != inside[k])
        assert after < 0.5 * before


def test_guard_marks_what_is_unlike_the_lesion_and_drops_what_lies_beyond():
    mask = np.zeros((11, 20, 20), dtype=bool)
    mask[:, 5:15, 5:15] = True
    grey = np.random.default_rng(0).normal(10, 1, mask.shape).astype(np.float32)
    probability = np.where(mask, 0.9, 0.05).astype(np.float32)
    assert judge(probability, grey, [5]).review == ()
    unsure = probability.copy()
    unsure[7][mask[7]] = 0.55
    assert judge(unsure, grey, [5]).review == (7,)
    jumped = probability.copy()
    jumped[8:] = 0.05
    jumped[8:, 16:19, 16:19] = 0.9
    assert judge(jumped, grey, [5]).review == (8, 9)
    assert judge(jumped, grey, [5]).drop == (10,)
    other = grey.copy()
    other[2] += 20
    assert judge(probability, other, [5]).review == (2,)


def test_slices_are_named_as_the_window_counts_them():
    assert named([3]) == "slice 4"
    assert named([3, 4, 5]) == "slices 4 to 6"
    assert named([8, 3, 4, 5]) == "slices 4 to 6 and 9"


def test_empty_slices_inside_the_lesion_are_named():
    mask = np.zeros((12, 30, 40), dtype=bool)
    mask[3:8, 10:15, 10:15] = True
    mask[5] = False
    plan = plan_of(Prompt.of(BoxPrompt.from_index_bounds(GEOMETRY, (8.5, 8.5, 1.5), (16.5, 16.5, 9.5))), noise())
    sentences = list(remarks(mask, REGION, plan.pieces, plan.known))
    assert len(sentences) == 1
    assert "slice 6," in sentences[0]
    assert "Nothing that stands out" in next(iter(remarks(mask & False, REGION, plan.pieces, plan.known)))
