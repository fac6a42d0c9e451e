"""The weights that are shipped: good on the sample phantom, sane on hard prompts, the same on a mirrored scan."""

import hashlib
import json

import numpy as np
import pytest

from hemaview.evaluation.metrics import dice
from hemaview.evaluation.prompts import jittered_box, one_slice_prompt
from hemaview.imaging import Geometry, LabelMap, Volume
from hemaview.imaging.reading import read_label_map, read_scan
from hemaview.resources import resource_path
from hemaview.segmentation import BoxPrompt
from hemaview.segmentation.registry import load_engine, model_records


@pytest.fixture(scope="module")
def engine():
    return load_engine()


@pytest.fixture(scope="module")
def sample():
    description = json.loads(resource_path("assets", "sample", "sample.json").read_text(encoding="utf-8"))
    volume = read_scan(resource_path("assets", "sample", description["scan"]))
    truth = read_label_map(resource_path("assets", "sample", description["truth"]), like=volume.geometry)
    return volume, truth


def test_registry_describes_the_shipped_files():
    for record in model_records():
        assert record.card_path.is_file()
        for file in record.files if record.bundled else ():
            content = (record.folder / file.path).read_bytes()
            assert (len(content), hashlib.sha256(content).hexdigest()) == (file.size, file.sha256)
        assert record.size <= 12 * 2**20 or not record.bundled


@pytest.mark.parametrize("jitter", [0.0, 0.05, 0.10])
def test_sample_is_segmented_from_one_box(engine, sample, jitter):
    volume, truth = sample
    found = engine.segment(volume, jittered_box(truth, jitter, np.random.default_rng(3)))
    mask = found.mask()
    assert dice(mask.array, truth.array) > 0.88
    assert mask.voxel_count == pytest.approx(truth.voxel_count, rel=0.12)
    confidence = found.slice_confidence[found.mask().array[found.region].any(axis=(1, 2))]
    assert 0.5 < np.nanmean(confidence) <= 1
    assert found.notes == ()


def test_sample_is_segmented_from_a_rectangle_on_one_slice(engine, sample):
    volume, truth = sample
    prompt, k = one_slice_prompt(truth, 0.05, np.random.default_rng(3))
    found = engine.segment(volume, prompt, focus=k)
    assert dice(found.mask().array, truth.array) > 0.85
    lower, upper = found.box.index_bounds(volume.geometry)
    true_lower, true_upper = BoxPrompt.around(truth).index_bounds(volume.geometry)
    assert lower[2] == pytest.approx(true_lower[2], abs=2)
    assert upper[2] == pytest.approx(true_upper[2], abs=2)


def test_sample_slices_are_segmented_from_a_box_each(engine, sample):
    volume, truth = sample
    scores = []
    for k in np.flatnonzero(truth.array.any(axis=(1, 2))):
        rows, columns = np.nonzero(truth.array[k])
        box = (columns.min() - 0.5, rows.min() - 0.5, columns.max() + 0.5, rows.max() + 0.5)
        picture = engine.segment_slice(volume, int(k), box) > 0.5
        assert picture.any()
        scores.append(dice(picture, truth.array[k]))
    assert np.mean(scores) > 0.85


def test_slices_beyond_the_lesion_stay_empty(engine, sample):
    volume, truth = sample
    lower, upper = BoxPrompt.around(truth).index_bounds(volume.geometry)
    deeper = BoxPrompt.from_index_bounds(volume.geometry, lower - np.array([0, 0, 3]), upper + np.array([0, 0, 3]))
    found = engine.segment(volume, deeper)
    assert found.mask().voxel_count < 1.3 * truth.voxel_count
    assert not found.mask().array[: int(np.ceil(lower[2])) - 4].any()


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 1, 2)])
def test_mirrored_grid_gives_the_same_mask_in_the_patient(engine, sample, axes):
    volume, truth = sample
    prompt = BoxPrompt.around(truth)
    straight = engine.segment(volume, prompt).mask().array
    affine = volume.geometry.affine.copy()
    for axis in (2 - a for a in axes):
        affine[:3, 3] += affine[:3, axis] * (volume.geometry.size[axis] - 1)
        affine[:3, axis] *= -1
    mirrored = Volume(
        np.ascontiguousarray(np.flip(volume.array, axes)),
        Geometry.from_affine(affine, volume.geometry.size),
        volume.modality,
    )
    assert dice(np.flip(engine.segment(mirrored, prompt).mask().array, axes), straight) > 0.94


def test_brightness_scale_of_the_scan_does_not_matter(engine, sample):
    volume, truth = sample
    prompt = BoxPrompt.around(truth)
    straight = engine.segment(volume, prompt).mask().array
    rescaled = Volume((volume.array * 3.5 + 200).astype(np.float32), volume.geometry, volume.modality)
    assert dice(engine.segment(rescaled, prompt).mask().array, straight) > 0.995


@pytest.mark.parametrize("thickness", [1, 2])
def test_scan_with_few_slices_is_segmented(engine, sample, thickness):
    volume, truth = sample
    k = int(np.argmax(truth.array.sum(axis=(1, 2))))
    part = slice(k, k + thickness)
    geometry = Geometry((*volume.geometry.size[:2], thickness), volume.geometry.spacing)
    thin, mask = Volume(volume.array[part], geometry, volume.modality), LabelMap(truth.array[part], geometry)
    assert dice(engine.segment(thin, BoxPrompt.around(mask)).mask().array, mask.array) > 0.8
