"""The compact engine keeps its contract whatever its networks have learned."""

import threading

import numpy as np
import pytest

from hemaview.errors import Cancelled, PromptError
from hemaview.imaging import Geometry, LabelMap, Modality, Volume
from hemaview.segmentation import BoxPrompt, CancelToken
from hemaview.segmentation.registry import load_engine

ISOTROPIC = Geometry((48, 44, 30), (1.0, 1.0, 1.0), (-20.0, 5.0, 9.0))
THICK = Geometry((64, 50, 9), (0.5, 0.8, 5.0), (3.0, -80.0, 12.0), (-1, 0, 0, 0, -1, 0, 0, 0, 1))
SHEARED = Geometry.from_affine([[0.5, 0, 0, 1], [0, 0.5, 1.6, 2], [0, 0, 4.7, 3], [0, 0, 0, 1]], (60, 60, 10))
GRIDS = {"isotropic": ISOTROPIC, "thick": THICK, "sheared": SHEARED}


@pytest.fixture(scope="module")
def engine(untrained_registry):
    return load_engine(registry=untrained_registry)


def scan_with_ball(geometry, seed=0):
    """Noise with a brighter ellipsoid in the middle third of the grid; the scan and the ellipsoid's mask."""
    grid = np.indices(geometry.shape, dtype=np.float64)
    size = np.array(geometry.shape).reshape(3, 1, 1, 1)
    mask = (((grid - (size - 1) / 2) / (size / 4)) ** 2).sum(0) <= 1
    noise = np.random.default_rng(seed).normal(0, 1, geometry.shape)
    return Volume((noise + 4 * mask).astype(np.float32), geometry), LabelMap(mask, geometry)


@pytest.mark.parametrize("name", GRIDS)
def test_answer_stays_near_the_box_and_fits_the_grid(engine, name):
    volume, mask = scan_with_ball(GRIDS[name])
    prompt = BoxPrompt.around(mask)
    found = engine.segment(volume, prompt)
    region = tuple(part.stop - part.start for part in found.region)
    assert found.probability.shape == region
    assert found.probability.dtype == np.float32
    assert found.slice_confidence.shape == region[:1]
    assert found.geometry is volume.geometry
    assert found.box == prompt
    assert 0 <= found.probability.min() <= found.probability.max() <= 1
    lower, upper = prompt.index_bounds(volume.geometry)
    allowed = 0.13 * (upper - lower)
    outside = found.mask().array.copy()
    k, j, i = (
        slice(max(0, int(np.ceil(low - extra))), int(np.floor(high + extra)) + 1)
        for low, high, extra in zip(lower[::-1], upper[::-1], allowed[::-1], strict=True)
    )
    outside[k, j, i] = False
    assert not outside.any()


def test_focus_is_answered_first_then_slices_follow_outwards(engine):
    volume, mask = scan_with_ball(ISOTROPIC)
    events = []
    found = engine.segment(volume, BoxPrompt.around(mask), focus=12, on_slice=events.append)
    assert (events[0].k, events[0].done) == (12, 1)
    region = found.region[0]
    total = region.stop - region.start
    # Where an answer is not believed, all slices are drawn a second time; the order holds for the last pass. What
    # changes when the whole lesion is known comes once more after it.
    begin = max(n for n, event in enumerate(events) if (event.k, event.done) == (12, 1))
    last = events[begin : begin + total]
    assert sorted(event.k for event in last) == list(range(region.start, region.stop))
    distances = [abs(event.k - 12) for event in last]
    assert distances == sorted(distances)
    assert [event.done for event in last] == list(range(1, total + 1))
    assert {event.done for event in events[begin + total :]} <= {total}
    assert {event.total for event in events} == {total}
    assert found.seconds_first < found.seconds_total
    for event in events:
        assert (event.row, event.column) == (found.region[1].start, found.region[2].start)
        assert event.probability.shape == found.probability.shape[1:]


def test_latest_streamed_slices_are_the_result(engine):
    volume, mask = scan_with_ball(ISOTROPIC)
    streamed = {}
    found = engine.segment(
        volume, BoxPrompt.around(mask), on_slice=lambda event: streamed.__setitem__(event.k, event.mask)
    )
    for number, picture in enumerate(found.probability > 0.5):
        assert np.array_equal(picture, streamed[found.region[0].start + number])


def test_focus_outside_the_box_takes_the_nearest_slice(engine):
    volume, mask = scan_with_ball(ISOTROPIC)
    events = []
    engine.segment(volume, BoxPrompt.around(mask), focus=29, on_slice=events.append)
    assert events[0].k == int(np.flatnonzero(mask.array.any(axis=(1, 2)))[-1])


def test_same_box_gives_the_same_answer_twice(engine):
    volume, mask = scan_with_ball(THICK)
    first = engine.segment(volume, BoxPrompt.around(mask))
    second = engine.segment(volume, BoxPrompt.around(mask))
    assert np.array_equal(first.probability, second.probability)


def test_cancelled_before_the_start_does_nothing(engine):
    volume, mask = scan_with_ball(ISOTROPIC)
    token = CancelToken()
    token.cancel()
    events = []
    with pytest.raises(Cancelled):
        engine.segment(volume, BoxPrompt.around(mask), on_slice=events.append, cancel=token)
    assert events == []


def test_cancelled_from_a_slice_stops_before_the_next(engine):
    volume, mask = scan_with_ball(ISOTROPIC)
    token = CancelToken()
    events = []

    def stop(event):
        events.append(event.k)
        token.cancel()

    with pytest.raises(Cancelled):
        engine.segment(volume, BoxPrompt.around(mask), on_slice=stop, cancel=token)
    assert len(events) == 1
    assert engine.segment(volume, BoxPrompt.around(mask)).probability.size


def test_cancelled_from_another_thread_inside_the_coarse_pass(engine):
    volume, mask = scan_with_ball(ISOTROPIC)
    token = CancelToken()
    thread = threading.Thread(target=token.cancel)
    with pytest.raises(Cancelled):
        engine.segment(volume, BoxPrompt.around(mask), on_slice=lambda _: thread.start(), cancel=token)
    thread.join()


def test_box_outside_the_scan_is_refused(engine):
    volume, _ = scan_with_ball(ISOTROPIC)
    with pytest.raises(PromptError, match="outside the scan"):
        engine.segment(volume, BoxPrompt((500, 500, 500), (520, 520, 520)))


def test_box_without_area_is_refused(engine):
    volume, _ = scan_with_ball(ISOTROPIC)
    flat = BoxPrompt.from_index_bounds(ISOTROPIC, (10, 10, 5), (10, 20, 15))
    with pytest.raises(PromptError, match="no area"):
        engine.segment(volume, flat)


def test_box_over_one_grey_value_is_refused(engine):
    volume = Volume(np.full(ISOTROPIC.shape, 7, dtype=np.int16), ISOTROPIC)
    with pytest.raises(PromptError, match="single grey value"):
        engine.segment(volume, BoxPrompt.from_index_bounds(ISOTROPIC, (9.5, 9.5, 4.5), (19.5, 19.5, 14.5)))


def test_box_half_outside_is_cut_to_the_scan(engine):
    volume, _ = scan_with_ball(ISOTROPIC)
    prompt = BoxPrompt.from_index_bounds(ISOTROPIC, (-20.5, 9.5, 19.5), (19.5, 29.5, 49.5))
    found = engine.segment(volume, prompt)
    assert found.region[2].start == 0
    assert found.region[0].stop == ISOTROPIC.size[2]
    assert found.box == prompt


def test_one_slice_scan_is_segmented(engine):
    geometry = Geometry((40, 40, 1), (0.9, 0.9, 5.0))
    volume, mask = scan_with_ball(Geometry((40, 40, 3), (0.9, 0.9, 5.0)))
    flat = Volume(volume.array[1:2], geometry)
    found = engine.segment(flat, BoxPrompt.around(LabelMap(mask.array[1:2], geometry)))
    assert found.probability.shape[0] == 1


def test_box_of_one_voxel_is_answered(engine):
    volume, _ = scan_with_ball(ISOTROPIC)
    found = engine.segment(volume, BoxPrompt.from_index_bounds(ISOTROPIC, (9.5, 9.5, 4.5), (11.5, 11.5, 5.5)))
    assert found.probability.size


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("name", GRIDS)
def test_rectangle_on_one_slice_is_closed_within_bounds(engine, name, axis):
    geometry = GRIDS[name]
    volume, mask = scan_with_ball(geometry)
    lower, upper = BoxPrompt.around(mask).index_bounds(geometry)
    middle = round((lower[axis] + upper[axis]) / 2)
    prompt = BoxPrompt.from_rectangle(geometry, axis, middle, lower, upper)
    found = engine.segment(volume, prompt)
    assert found.box.open_axis is None
    low, high = found.box.index_bounds(geometry)
    others = [n for n in range(3) if n != axis]
    assert np.allclose(low[others], lower[others])
    assert np.allclose(high[others], upper[others])
    sides = (upper - lower) * geometry.spacing
    assert -0.5001 <= low[axis] < high[axis] <= geometry.size[axis] - 0.4999
    assert (high[axis] - low[axis]) * geometry.spacing[axis] <= 2.5 * max(sides[others]) + geometry.spacing[axis]


def test_valid_box_never_gets_an_empty_answer(engine):
    volume, mask = scan_with_ball(THICK)
    assert engine.segment(volume, BoxPrompt.around(mask)).mask().voxel_count > 0
    for k in range(THICK.size[2]):
        assert (engine.segment_slice(volume, k, (20.5, 15.5, 27.5, 30.5)) > 0.5).any()


def test_one_slice_answer_is_zero_away_from_its_rectangle(engine):
    volume, _ = scan_with_ball(THICK)
    probability = engine.segment_slice(volume, 4, (15.5, 12.5, 47.5, 37.5))
    assert probability.shape == THICK.shape[1:]
    away = np.ones_like(probability, dtype=bool)
    away[9:42, 11:53] = False
    assert not probability[away].any()


def test_scan_is_not_changed(engine):
    volume, mask = scan_with_ball(ISOTROPIC)
    before = volume.array.copy()
    engine.segment(volume, BoxPrompt.around(mask))
    assert np.array_equal(volume.array, before)


def test_bone_and_air_do_not_change_a_ct_answer(engine):
    soft, mask = scan_with_ball(ISOTROPIC)
    values = (soft.array * 8 + 35).astype(np.int16)
    values[:, :, :8] = -1000
    values[:, :3] = 700
    harder = np.where(values == 700, 1900, np.where(values == -1000, -500, values)).astype(np.int16)
    first, second = (
        engine.segment(Volume(v, ISOTROPIC, Modality.CT), BoxPrompt.around(mask)) for v in (values, harder)
    )
    assert np.array_equal(first.probability, second.probability)
