"""How a case keeps that a scan was prepared, and what that never changes."""

import json

import numpy as np
import pytest

from hemaview.case import Case, fingerprint
from hemaview.case.export import context
from hemaview.case.headless import describe
from hemaview.case.preparation import Preparation, boxes_of, prepare
from hemaview.errors import CaseError, ScanError
from hemaview.imaging import Geometry, Modality, Volume
from hemaview.imaging.preprocessing import (
    BiasFieldStep,
    BrainMethod,
    BrainStep,
    ContrastStep,
    DenoiseMethod,
    DenoiseStep,
    NormaliseStep,
    Prepared,
)
from hemaview.imaging.reading import read_scan, write_volume

STEPS = (DenoiseStep(), NormaliseStep(), ContrastStep())


@pytest.fixture
def scan_file(tmp_path, volume):
    path = tmp_path / "scan.nii.gz"
    write_volume(volume, path)
    return path


@pytest.fixture
def case(tmp_path, scan_file, box, answer):
    with Case.create(tmp_path / "cases") as case:
        case.add_scan(scan_file, read_scan(scan_file))
        case.set_box(box)
        case.set_segmentation(answer(box))
        yield case


def prepared_scan(case, **more) -> tuple[Preparation, Prepared]:
    entry = case.active_scan
    preparation = Preparation(STEPS, boxes_of(case.prompt, entry.geometry), **more)
    return preparation, prepare(entry.volume, preparation)


def test_a_preparation_survives_json(case, box):
    geometry = case.active_scan.geometry
    steps = (BiasFieldStep(7), DenoiseStep(DenoiseMethod.NON_LOCAL_MEANS), BrainStep(BrainMethod.DEEPBET))
    kept = Preparation(steps, (box.voxel_slices(geometry),), for_display=False, for_model=True)
    assert Preparation.from_json(json.loads(json.dumps(kept.to_json())), geometry) == kept


def test_what_is_measured_does_not_change(case, state):
    before, readings, digest = state(case), case.readings(), case.active_scan.digest
    case.set_preparation("scan-1", *prepared_scan(case, for_model=True))
    entry = case.active_scan
    assert state(case) == before
    assert case.readings() == readings
    assert entry.digest == digest == fingerprint(entry.volume)
    assert entry.volume.prepared == ()
    assert entry.picture.prepared == ("denoise", "normalise", "clahe")
    assert entry.model_input.prepared == ("denoise", "normalise")


def test_use_for_display_alone_leaves_the_model_its_scan(case):
    case.set_preparation("scan-1", *prepared_scan(case))
    assert case.active_scan.model_input is case.active_scan.volume


def test_for_the_model_alone_the_viewers_keep_the_scan(case):
    case.set_preparation("scan-1", *prepared_scan(case, for_display=False, for_model=True))
    assert case.active_scan.picture is case.active_scan.volume


def test_it_is_no_undo_step(case):
    last = case.undo_text
    case.set_preparation("scan-1", *prepared_scan(case))
    assert case.undo_text == last
    case.undo()
    assert case.active_scan.preparation is not None


def test_a_reopened_case_knows_the_steps_and_makes_the_same_values_again(case, state):
    preparation, prepared = prepared_scan(case, for_model=True)
    case.set_preparation("scan-1", preparation, prepared)
    seen, directory = state(case), case.directory
    case.close()
    with Case.open(directory) as again:
        entry = again.active_scan
        assert state(again) == seen
        assert entry.preparation == preparation
        assert entry.prepared is None
        assert entry.picture is entry.volume
        assert entry.model_input is None  # never silently the scan as it is
        told = []
        again.changed.connect(told.append)
        again.show_prepared("scan-1", prepare(entry.volume, entry.preparation))
        assert np.array_equal(again.active_scan.model_input.array, prepared.model_input.array)
        assert len(told) == 1


def test_it_can_be_taken_back(case):
    case.set_preparation("scan-1", *prepared_scan(case, for_model=True))
    case.set_preparation("scan-1", None)
    directory = case.directory
    case.close()
    with Case.open(directory) as again:
        assert again.active_scan.preparation is None
        assert again.active_scan.model_input is again.active_scan.volume


def test_another_kind_of_scan_is_prepared_again(case):
    case.set_preparation("scan-1", *prepared_scan(case))
    case.set_sequence("scan-1", None)
    kind = type(case.active_scan.sequence)
    case.set_sequence("scan-1", kind.FLAIR)
    assert case.active_scan.preparation is not None and case.active_scan.prepared is None


def test_a_result_on_another_grid_is_refused(case):
    preparation, prepared = prepared_scan(case)
    other = Volume(prepared.display.array[1:], Geometry((40, 36, 19), (0.9, 0.9, 3.0)), Modality.MR)
    with pytest.raises(CaseError, match="another grid"):
        case.set_preparation("scan-1", preparation, Prepared(other, other, preparation.steps))
    assert case.active_scan.preparation is None


def test_a_segmentation_tells_that_the_model_saw_other_values(case, box, answer):
    from dataclasses import replace

    case.set_segmentation(replace(answer(box, 7.0), prepared=("n4", "denoise")))
    directory = case.directory
    case.close()
    with Case.open(directory) as again:
        made, snapshot = again.segmentation, again.snapshot()
        assert made.prepared == ("n4", "denoise")
        assert made.as_segmentation(again.active_scan.geometry).prepared == ("n4", "denoise")
        assert context(snapshot)["model_saw"] == "scan after n4, denoise"
        assert describe(snapshot)["prepared"] == ["n4", "denoise"]
        assert again.readings()[0].value_ml is not None


def test_a_step_that_the_scan_refuses_is_one_sentence(volume):
    ct = Volume(volume.array, volume.geometry, Modality.CT)
    with pytest.raises(ScanError, match="leave N4 out"):
        prepare(ct, Preparation((BiasFieldStep(),)))
