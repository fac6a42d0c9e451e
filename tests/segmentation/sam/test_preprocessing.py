"""What the network sees is what MedSAM was trained on."""

from dataclasses import replace

import numpy as np
import pytest
from skimage.transform import resize

from hemaview.imaging import Geometry, Modality, Volume
from hemaview.imaging.windowing import Window
from hemaview.segmentation.sam.preprocessing import GreyScale, SliceResizer, network_input, otsu_threshold

HOUNSFIELD = [-1000, -5, 0, 1, 20, 40, 60, 79, 80, 100, 3000]


def volume_of(values, modality=Modality.UNKNOWN, dtype=np.float32):
    array = np.asarray(values, dtype=dtype)
    array = array if array.ndim == 3 else array.reshape(1, 1, -1)
    return Volume(array, Geometry(array.shape[::-1], (1.0, 1.0, 1.0)), modality)


def greys(volume, values, *args, **kwargs):
    return GreyScale.of(volume, *args, **kwargs).apply(np.asarray(values, dtype=volume.array.dtype)).tolist()


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_ct_brain_window(dtype):
    volume = volume_of(HOUNSFIELD, Modality.CT, dtype)
    assert greys(volume, HOUNSFIELD) == [0, 0, 0, 3, 63, 127, 191, 251, 255, 255, 255]


@pytest.mark.parametrize("fixed", [False, True])
def test_ct_window_of_the_authors_later_work(fixed):
    volume = volume_of(HOUNSFIELD, Modality.CT)
    expected = [0, 0, 0, 0, 0, 36, 109, 178, 182, 255, 255]
    assert greys(volume, HOUNSFIELD, Window(65, 70), fixed_window=fixed) == expected


def test_ct_range_is_that_of_the_clipped_scan_unless_fixed():
    volume = volume_of([20, 40, 60], Modality.CT)
    assert greys(volume, [20, 40, 60]) == [0, 127, 255]
    assert greys(volume, [20, 40, 60], fixed_window=True) == [63, 127, 191]


def test_ct_without_a_modality_is_told_by_air_and_bone():
    head = np.full((1, 40, 40), 35.0)
    head[:, :10], head[:, 30:] = -1000, 900
    assert GreyScale.of(volume_of(head)).upper == 80
    assert GreyScale.of(volume_of(head, Modality.MR)).upper > 80


def test_mr_percentiles_of_voxels_above_zero():
    values = np.concatenate([np.zeros(1000), np.arange(1, 1001)])
    scale = GreyScale.of(volume_of(values, Modality.MR))
    assert scale.lower == pytest.approx(5.995)
    assert scale.upper == pytest.approx(995.005)
    asked = np.array([1, 6, 7, 100, 500, 900, 995, 996], dtype=np.float32)
    assert scale.apply(asked).tolist() == [0, 0, 0, 24, 127, 230, 254, 255]


def test_mr_zero_stays_zero():
    values = np.concatenate([np.zeros(50), np.full(20, 0.5), np.linspace(1, 9, 400)])
    volume = volume_of(values, Modality.MR)
    assert greys(volume, [0.0]) == [0]


def _head(rng, shape=(6, 60, 60)):
    j, i = np.ogrid[: shape[1], : shape[2]]
    inside = np.broadcast_to((j - 30) ** 2 + (i - 30) ** 2 <= 20**2, shape)
    return inside, rng.normal(500, 60, shape)


@pytest.mark.parametrize("background", ["noise", "negative noise", "other constant", "z-scored on zero"])
def test_contrast_does_not_collapse_on_other_backgrounds(background):
    rng = np.random.default_rng(3)
    inside, tissue = _head(rng)
    array = {
        "noise": np.where(inside, tissue, np.abs(rng.normal(0, 8, inside.shape)) + 0.1),
        "negative noise": np.where(inside, tissue, rng.normal(0, 8, inside.shape)),
        "other constant": np.where(inside, (tissue - 500) / 60, -7.5),
        "z-scored on zero": np.where(inside, (tissue - 500) / 60, 0),
    }[background]
    scale = GreyScale.of(volume_of(array, Modality.MR))
    head = array[inside]
    assert scale.lower == pytest.approx(np.percentile(head, 0.5), abs=0.1 * head.std())
    assert scale.upper == pytest.approx(np.percentile(head, 99.5), abs=0.1 * head.std())
    found = scale.apply(array.astype(np.float32))
    assert np.percentile(found[~inside], 99) <= 5
    assert found[inside].std() > 35


def test_a_scan_cropped_to_the_head_keeps_its_dark_tissue():
    rng = np.random.default_rng(0)
    dark = rng.normal(100, 8, (4, 40, 40))
    dark[:, 10:30, 10:30] += 300
    scale = GreyScale.of(volume_of(np.where(rng.random(dark.shape) < 0.6, dark + 300, dark), Modality.MR))
    assert scale.lower < 110


def test_otsu_splits_two_classes():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(10, 2, 5000), rng.normal(100, 10, 3000)])
    assert 20 < otsu_threshold(values) < 70
    assert otsu_threshold(np.full(10, 4.0)) >= 4


@pytest.mark.parametrize("value", [0, 7, -3])
@pytest.mark.parametrize("modality", [Modality.MR, Modality.CT, Modality.UNKNOWN])
def test_a_scan_of_one_value_is_black(value, modality):
    volume = volume_of(np.full((2, 5, 5), value), modality)
    assert not GreyScale.of(volume).apply(volume.array).any()


@pytest.mark.parametrize(
    ("shape", "size"),
    [((48, 64), 64), ((100, 70), 64), ((40, 90), 64), ((5, 3), 64), ((64, 64), 64), ((256, 192), 1024)],
)
def test_resizing_equals_scikit_image(shape, size):
    picture = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    three = np.repeat(picture[:, :, None], 3, axis=2)
    expected = resize(three, (size, size), order=3, preserve_range=True, anti_aliasing=True)
    found = SliceResizer(*shape, size)(picture)
    assert found.shape == (size, size)
    assert np.abs(found - expected[..., 0]).max() < 1e-8


def test_input_uses_the_whole_range_of_each_slice():
    picture = np.full((30, 40), 40, dtype=np.uint8)
    picture[10:20, 10:30] = 90
    found = network_input(picture, SliceResizer(30, 40, 64))
    assert found.dtype == np.float32
    assert (found.min(), found.max()) == (0, 1)
    fixed = network_input(picture, SliceResizer(30, 40, 64), fixed=True)
    assert (fixed.min(), fixed.max()) == pytest.approx((40 / 255, 90 / 255))


def test_a_slice_without_contrast_is_no_input():
    assert network_input(np.full((30, 40), 128, dtype=np.uint8), SliceResizer(30, 40, 64)) is None


def test_the_scan_is_not_changed(scan):
    before = scan.array.copy()
    GreyScale.of(replace(scan, modality=Modality.MR)).apply(scan.array)
    assert np.array_equal(scan.array, before)
