from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hemaview.imaging import Geometry, Modality, Volume
from hemaview.imaging.sequence import Sequence, SequenceGuess
from hemaview.imaging.windowing import Window, auto_window, presets, to_grey8, window_lut


def _volume(array, modality=Modality.MR):
    return Volume(array, Geometry(array.shape[::-1], (1, 1, 1)), modality)


def _head(background: float, noise: float = 0.0, dtype=np.float32) -> Volume:
    """A ball of tissue around 300 to 500 with a small bright spot, on a background."""
    rng = np.random.default_rng(0)
    z, y, x = np.mgrid[-1:1:24j, -1:1:40j, -1:1:40j]
    inside = z**2 + y**2 + x**2 < 0.6
    array = np.where(
        inside, rng.uniform(300, 500, inside.shape), background + np.abs(rng.normal(0, 1, inside.shape)) * noise
    )
    array[12, 20, 20] = 9000
    return _volume(array.astype(dtype))


windows = st.builds(Window, st.floats(-2000, 2000), st.floats(1, 4000))


@given(windows, st.lists(st.integers(-32768, 32767), min_size=1, max_size=50))
def test_the_table_and_the_formula_agree(window, values):
    whole = np.array(values, dtype=np.int16)
    exact = np.clip((np.array(values) - window.lower) / window.width, 0, 1) * 255
    for grey in (to_grey8(whole, window), to_grey8(whole.astype(np.float32), window)):
        assert grey.dtype == np.uint8
        assert np.all(np.abs(grey - exact) <= 0.51)
    assert np.array_equal(window_lut(window)[whole.astype(int) + 32768], to_grey8(whole, window))


def test_views_that_are_turned_and_flipped_are_mapped_in_place():
    picture = np.arange(200, dtype=np.int16).reshape(10, 20)[::-1].T
    grey = to_grey8(picture, Window(100, 200))
    assert grey.shape == (20, 10)
    assert grey.flags.c_contiguous
    assert np.array_equal(grey[:, ::-1], to_grey8(np.ascontiguousarray(picture[:, ::-1]), Window(100, 200)))


def test_a_window_without_width_is_a_threshold():
    assert to_grey8(np.array([[1.0, 3.0]], dtype=np.float32), Window(2, 0)).tolist() == [[0, 255]]


@pytest.mark.parametrize(("background", "noise"), [(0, 0), (-3.62, 0), (0, 20), (-1000, 0)])
def test_auto_shows_tissue_whatever_the_background(background, noise):
    window = auto_window(_head(background, noise))
    assert window.upper == pytest.approx(500, abs=25)
    assert window.lower < 330
    assert to_grey8(np.array([background], dtype=np.float32), window)[0] == 0


def test_auto_of_ct_is_the_brain_window():
    volume = _volume(np.arange(-1000, 1000, dtype=np.int16).reshape(20, 10, 10), Modality.CT)
    assert auto_window(volume) == Window(40, 80)


def test_a_ct_in_grey_levels_gets_no_window_in_hounsfield_units():
    grey = np.arange(256, dtype=np.int16).repeat(8).reshape(8, 16, 16)
    volume = replace(_volume(grey, Modality.CT), hounsfield=False)
    assert auto_window(volume) == auto_window(_volume(grey, Modality.UNKNOWN))


@pytest.mark.parametrize(("sequence", "keeps"), [(Sequence.SWI, "dark"), (Sequence.T1C, "bright")])
def test_the_window_of_a_sequence_keeps_the_greys_that_matter_in_it(sequence, keeps):
    plain, special = (auto_window(_head(0).taken_for(SequenceGuess(s))) for s in (Sequence.T1, sequence))
    assert (special.lower < plain.lower) == (keeps == "dark")
    assert (special.upper > plain.upper) == (keeps == "bright")


def test_auto_never_has_zero_width():
    flat = np.zeros((4, 4, 4), dtype=np.int16)
    assert auto_window(_volume(flat)).width > 0
    flat[0, 0, 0] = 1
    assert auto_window(_volume(flat)).width > 0


@pytest.mark.parametrize("hounsfield", [True, False])
def test_presets_have_a_digit_each(hounsfield):
    found = presets(hounsfield=hounsfield, auto=Window(100, 50))
    assert [p.key for p in found] == [str(n) for n in range(1, len(found) + 1)]
    assert len({p.name for p in found}) == len(found)
    assert all(p.window.width > 0 for p in found)


def test_mr_presets_follow_the_auto_window():
    auto = Window(100, 50)
    by_name = {p.name: p.window for p in presets(hounsfield=False, auto=auto)}
    assert by_name["Auto"] == auto
    assert by_name["Narrow"].width < auto.width < by_name["Wide"].width
    assert by_name["Bright"].centre < auto.centre < by_name["Dark"].centre
    assert {p.name: p.window for p in presets(hounsfield=True, auto=auto)}["Brain"] == Window(40, 80)
