"""The guided run keeps its promises for every kind of prompt, whatever its networks have learned."""

import threading

import numpy as np
import pytest

from hemaview.errors import Cancelled, PromptError
from hemaview.imaging import Geometry, LabelMap, Modality, Volume
from hemaview.segmentation import BoxPrompt, CancelToken, FixedSlice, PointPrompt, Prompt
from hemaview.segmentation.registry import load_engine

GEOMETRY = Geometry((56, 48, 14), (0.8, 0.9, 2.5), (-30.0, 12.0, 4.0), (-1, 0, 0, 0, -1, 0, 0, 0, 1))


@pytest.fixture(scope="module")
def engine(untrained_registry):
    return load_engine(registry=untrained_registry)


@pytest.fixture(scope="module")
def scan():
    """Noise with two brighter ellipsoids; the scan and a mask of each."""
    k, j, i = np.ogrid[:14, :48, :56]
    first = ((k - 5) / 3) ** 2 + ((j - 16) / 8) ** 2 + ((i - 16) / 9) ** 2 <= 1
    second = ((k - 8) / 3) ** 2 + ((j - 32) / 7) ** 2 + ((i - 40) / 7) ** 2 <= 1
    noise = np.random.default_rng(1).normal(0, 1, GEOMETRY.shape)
    volume = Volume((noise + 5 * (first | second)).astype(np.float32), GEOMETRY)
    return volume, LabelMap(first, GEOMETRY), LabelMap(second, GEOMETRY)


def place(i, j, k):
    x, y, z = (float(v) for v in GEOMETRY.index_to_lps((i, j, k)))
    return x, y, z


def slice_box(k, i0, j0, i1, j1):
    return BoxPrompt.from_index_bounds(GEOMETRY, (i0, j0, k - 0.5), (i1, j1, k + 0.5))


def allowed(*boxes, share=0.13):
    """Voxels in any of the boxes, each widened by the small margin."""
    inside = np.zeros(GEOMETRY.shape, dtype=bool)
    for box in boxes:
        lower, upper = box.index_bounds(GEOMETRY)
        extra = share * (upper - lower)
        i, j, k = (
            slice(max(0, int(np.ceil(low - more))), int(np.floor(high + more)) + 1)
            for low, high, more in zip(lower, upper, extra, strict=True)
        )
        inside[k, j, i] = True
    return inside


def test_boxes_are_united_and_nothing_lies_outside_all_of_them(engine, scan):
    volume, first, second = scan
    boxes = BoxPrompt.around(first), BoxPrompt.around(second)
    events = []
    found = engine.segment(volume, Prompt(boxes=boxes), focus=6, on_slice=events.append)
    mask = found.mask().array
    assert not mask[~allowed(*boxes)].any()
    for box in boxes:
        assert mask[box.voxel_slices(GEOMETRY)].any()
    assert found.prompt.boxes == boxes
    shown = {event.k: event for event in events}
    for number, k in enumerate(range(found.region[0].start, found.region[0].stop)):
        assert np.array_equal(shown[k].mask, found.probability[number] > 0.5)
    assert max(event.done for event in events) == events[-1].total


def test_the_order_of_boxes_and_points_does_not_matter(engine, scan):
    volume, first, second = scan
    boxes = BoxPrompt.around(first), BoxPrompt.around(second)
    points = PointPrompt(place(16, 16, 5)), PointPrompt(place(40, 32, 8)), PointPrompt(place(20, 20, 5), False)
    one = engine.segment(volume, Prompt(boxes=boxes, points=points), focus=5)
    other = engine.segment(volume, Prompt(boxes=boxes[::-1], points=points[::-1]), focus=5)
    assert one.region == other.region
    assert np.allclose(one.probability, other.probability, atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_any_prompt_stays_near_its_boxes(engine, scan, seed):
    volume = scan[0]
    rng = np.random.default_rng(seed)
    lower = np.array([rng.uniform(0, 30), rng.uniform(0, 25), rng.uniform(0, 7)])
    upper = lower + np.array([rng.uniform(4, 25), rng.uniform(4, 22), rng.uniform(1, 6)])
    box = BoxPrompt.from_index_bounds(GEOMETRY, lower, upper)
    inner = rng.uniform(lower, upper)
    point = PointPrompt(place(*inner), bool(rng.integers(2)))
    k = int(np.clip(round(inner[2]), np.ceil(lower[2]), np.floor(upper[2])))
    redrawn = slice_box(k, lower[0] + 1, lower[1] + 1, upper[0] - 1, upper[1] - 1)
    found = engine.segment(volume, Prompt(boxes=(box,), slice_boxes=(redrawn,), points=(point,)))
    grown = engine.segment(volume, Prompt(boxes=(box,), slice_boxes=(redrawn,))).prompt.boxes[0]
    assert not found.mask().array[~allowed(box, grown)].any()
    assert found.prompt.boxes[0].open_axis is None
    assert found.prompt.points == (point,)


def test_drawn_slices_come_back_bit_for_bit(engine, scan):
    volume, first, _ = scan
    box = BoxPrompt.around(first)
    rng = np.random.default_rng(3)
    far = np.zeros(GEOMETRY.shape[1:], dtype=bool)
    far[44:47, 50:55] = True
    drawn = {4: rng.random(GEOMETRY.shape[1:]) < 0.3, 5: np.zeros_like(far), 12: far}
    events = []
    found = engine.segment(
        volume,
        Prompt(boxes=(box,), fixed=tuple(FixedSlice(k, mask) for k, mask in drawn.items())),
        on_slice=events.append,
    )
    array = found.mask().array
    last = {event.k: event for event in events}
    for k, mask in drawn.items():
        assert np.array_equal(array[k], mask)
        window = found.region[1:]
        assert np.array_equal(last[k].mask, mask[window])
    others = np.delete(array, list(drawn), axis=0)
    assert not others[np.delete(~allowed(box), list(drawn), axis=0)].any()
    assert np.isnan(found.slice_confidence[5 - found.region[0].start])
    assert found.slice_confidence[4 - found.region[0].start] == 1


def test_points_are_followed_where_they_are(engine, scan):
    volume, first, _ = scan
    box = BoxPrompt.around(first)
    plain = engine.segment(volume, box).mask().array
    for positive in (True, False):
        # The clicks that ask for most: against the plain answer, well inside the box.
        k, j, i = next(
            (k, j, i)
            for k, j, i in np.argwhere(plain != positive)
            if 4 <= k <= 6 and 12 <= j <= 20 and 12 <= i <= 20
        ) if (plain[4:7, 12:21, 12:21] != positive).any() else (5, 16, 16)  # fmt: skip
        found = engine.segment(volume, Prompt(boxes=(box,), points=(PointPrompt(place(i, j, k), positive),)))
        assert bool(found.mask().array[k, j, i]) is positive
        assert not any("could not be followed" in note for note in found.notes)


def test_a_point_outside_the_box_is_named(engine, scan):
    volume, first, _ = scan
    prompt = Prompt(boxes=(BoxPrompt.around(first),), points=(PointPrompt(place(50, 44, 12)),))
    assert any("outside the box" in note for note in engine.segment(volume, prompt).notes)


def test_a_point_alone_leads_to_a_box_and_a_warning(engine, scan):
    volume = scan[0]
    found = engine.segment(volume, Prompt(points=(PointPrompt(place(16, 16, 5)),)))
    assert any("guessed" in note for note in found.notes)
    assert not found.mask().array[~allowed(found.box)].any()
    lower, upper = found.box.clipped_bounds(GEOMETRY)
    assert np.all(upper - lower >= 0.5)
    assert found.mask().array[5, 16, 16] or any("point" in note.lower() for note in found.notes)


def test_rectangles_on_slices_alone_give_the_range(engine, scan):
    volume = scan[0]
    marks = slice_box(3, 10, 11, 22, 21), slice_box(7, 12, 12, 20, 20)
    found = engine.segment(volume, Prompt(slice_boxes=marks))
    lower, upper = found.box.index_bounds(GEOMETRY)
    assert lower[2] <= 2.5 + 1e-6
    assert upper[2] >= 7.5 - 1e-6
    assert found.box.open_axis is None
    mask = found.mask().array
    for k in range(3, 8):
        share = (k - 3) / 4
        sides = [(1 - share) * a + share * b for a, b in zip((10, 11, 22, 21), (12, 12, 20, 20), strict=True)]
        width, height = sides[2] - sides[0], sides[3] - sides[1]
        inside = np.zeros(mask.shape[1:], dtype=bool)
        rows = slice(int(np.ceil(sides[1] - 0.4 * height - 1)), int(np.floor(sides[3] + 0.4 * height + 1)) + 1)
        columns = slice(int(np.ceil(sides[0] - 0.4 * width - 1)), int(np.floor(sides[2] + 0.4 * width + 1)) + 1)
        inside[rows, columns] = True
        assert mask[k].any() or any("Nothing was found" in note for note in found.notes)
        assert not mask[k][~inside].any()
    assert mask[3].any()
    assert mask[7].any()


def test_a_redrawn_rectangle_is_obeyed_on_its_slice(engine, scan):
    volume, first, _ = scan
    box = BoxPrompt.around(first)
    found = engine.segment(volume, Prompt(boxes=(box,), slice_boxes=(slice_box(5, 10.5, 10.5, 16.5, 16.5),)))
    picture = found.mask().array[5]
    assert picture[9:19, 9:19].any()
    outside = np.ones_like(picture)
    outside[9:19, 9:19] = False
    assert not picture[outside].any()


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        (Prompt(), "no box and no point"),
        (Prompt(points=(PointPrompt(place(16, 16, 5), False),)), "no box and no point"),
        (Prompt(points=(PointPrompt((900.0, 0.0, 0.0)),)), "outside the scan"),
        (Prompt(fixed=(FixedSlice(3, np.ones((5, 5), bool)),)), "does not fit"),
        (Prompt(fixed=(FixedSlice(99, np.ones((48, 56), bool)),)), "does not fit"),
        (Prompt(slice_boxes=(BoxPrompt.from_index_bounds(GEOMETRY, (4, 4, 2), (20, 20, 7)),)), "over several"),
    ],
)
def test_prompts_that_mean_nothing_are_refused_in_one_sentence(engine, scan, prompt, words):
    with pytest.raises(PromptError, match=words):
        engine.segment(scan[0], prompt)


def test_a_box_in_the_air_of_a_ct_is_refused(engine, scan):
    _, first, _ = scan
    values = np.full(GEOMETRY.shape, -1000.0) + np.random.default_rng(0).normal(0, 20, GEOMETRY.shape)
    values[:, :, 44:] = 40
    values[:, :4, 44:] = 900
    volume = Volume(values.astype(np.int16), GEOMETRY, Modality.CT)
    with pytest.raises(PromptError, match="single grey value"):
        engine.segment(volume, BoxPrompt.around(first))


def test_cancel_between_any_two_slices_leaves_nothing_running(engine, scan):
    volume, first, second = scan
    mask = first.array[5]
    prompt = Prompt(
        boxes=(BoxPrompt.around(first), BoxPrompt.around(second)),
        points=(PointPrompt(place(16, 16, 5)),),
        fixed=(FixedSlice(5, mask),),
    )
    total = []
    engine.segment(volume, prompt, on_slice=total.append)
    before = threading.active_count()
    for stop in range(1, len(total), 5):
        token, seen = CancelToken(), []

        def count(event, token=token, seen=seen, stop=stop):
            seen.append(event.k)
            if len(seen) == stop:
                token.cancel()

        with pytest.raises(Cancelled):
            engine.segment(volume, prompt, on_slice=count, cancel=token)
        assert len(seen) == stop
    assert threading.active_count() == before


def test_cancel_while_the_extent_is_looked_for(engine, scan):
    token = CancelToken()
    timer = threading.Timer(0.02, token.cancel)
    timer.start()
    with pytest.raises(Cancelled):
        engine.segment(scan[0], Prompt(points=(PointPrompt(place(16, 16, 5)),)), cancel=token)
    timer.join()
