"""Working on a case: box, mask, edits, undo, and what listeners hear."""

import threading

import numpy as np
import pytest

from hemaview.case import Case, CaseChange, ChangeKind
from hemaview.errors import CaseError, PromptError
from hemaview.imaging import Geometry, LabelMap, Volume
from hemaview.segmentation import BoxPrompt, Prompt, Segmentation

REGION = (slice(9, 11), slice(5, 12), slice(5, 15))


def _kinds(case):
    heard = []
    case.changed.connect(lambda change: heard.append(change))
    return heard


def test_a_new_case_is_empty_and_says_so(tmp_path):
    with Case.create(tmp_path) as case:
        assert case.scans == ()
        assert case.active_scan is None
        assert case.box is None
        assert case.mask is None
        assert not case.can_undo
        assert not case.undo()
        with pytest.raises(CaseError, match="open one first"):
            case.readings()


def test_box_and_the_mask_it_caused_are_one_step(case, box, answer):
    heard = _kinds(case)
    case.set_box(box)
    case.set_segmentation(answer(box))
    assert [change.kind for change in heard] == [
        ChangeKind.PROMPT,
        ChangeKind.HISTORY,
        ChangeKind.MASK,
        ChangeKind.HISTORY,
    ]
    assert np.array_equal(case.mask.array, answer(box).mask().array)
    assert case.undo_text == "Draw box"
    assert case.undo()
    assert case.mask is None
    assert case.box is None
    assert not case.can_undo
    assert case.redo_text == "Draw box"
    assert case.redo()
    assert np.array_equal(case.mask.array, answer(box).mask().array)
    assert case.box == box


def test_an_open_depth_comes_back_closed_in_the_same_step(case, box, answer):
    open_box = BoxPrompt(box.corner_a, box.corner_b, open_axis=2)
    case.set_box(open_box)
    case.set_segmentation(answer(open_box))
    assert case.box == box
    case.undo()
    assert case.box is None


def test_a_second_box_undoes_to_the_first_mask(case, box, answer):
    case.set_box(box)
    case.set_segmentation(answer(box))
    smaller = BoxPrompt.from_index_bounds(case.active_scan.geometry, (12.5, 9.5, 5.5), (25.5, 22.5, 12.5))
    case.set_box(smaller)
    case.set_segmentation(answer(smaller, 5.0))
    assert np.array_equal(case.mask.array, answer(smaller, 5.0).mask().array)
    assert case.undo_text == "Adjust box"
    case.undo()
    assert case.box == box
    assert np.array_equal(case.mask.array, answer(box).mask().array)
    assert case.segmentation.box == box


def test_segmenting_the_same_box_again_is_a_step_of_its_own(case, box, answer):
    case.set_box(box)
    case.set_segmentation(answer(box))
    case.set_segmentation(answer(box, 6.0))
    assert case.undo_text == "Segment"
    case.undo()
    assert np.array_equal(case.mask.array, answer(box).mask().array)


def test_strokes_undo_one_by_one_and_a_new_one_forgets_what_was_undone(case, box, answer):
    case.set_box(box)
    case.set_segmentation(answer(box))
    before = case.mask.array
    assert not case.edited
    assert case.edit_mask(REGION, np.ones((2, 7, 10), bool), "Brush")
    assert case.edited
    painted = case.mask.array
    assert painted[REGION].all()
    assert not before[REGION].all(), "a mask that was handed out must not change"
    assert case.edit_mask(REGION, np.zeros((2, 7, 10), bool), "Erase")
    assert not case.edit_mask(REGION, np.zeros((2, 7, 10), bool), "Erase"), "nothing changed, so no step"
    assert case.undo_text == "Erase"
    case.undo()
    assert np.array_equal(case.mask.array, painted)
    case.undo()
    assert np.array_equal(case.mask.array, before)
    assert not case.edited
    case.edit_mask(REGION, np.ones((2, 7, 10), bool), "Brush")
    assert not case.can_redo


def test_a_mask_can_be_painted_without_any_box_and_undone_to_nothing(case):
    case.edit_mask(REGION, np.ones((2, 7, 10), bool), "Brush")
    assert case.mask.voxel_count == 140
    assert case.edited
    case.undo()
    assert case.mask is None


def test_listeners_learn_which_voxels_changed(case):
    heard = _kinds(case)
    values = np.zeros((2, 7, 10), bool)
    values[1, 3, 4:6] = True
    case.edit_mask(REGION, values, "Brush")
    assert CaseChange(ChangeKind.MASK, "scan-1", (slice(10, 11), slice(8, 9), slice(9, 11))) in heard


def test_a_handed_out_mask_cannot_be_written(case):
    case.edit_mask(REGION, np.ones((2, 7, 10), bool), "Brush")
    with pytest.raises(ValueError):
        case.mask.array[0, 0, 0] = True


def test_an_empty_answer_gives_an_empty_mask_not_none(case, box, answer):
    found = answer(box)
    nothing = Segmentation(
        np.zeros_like(found.probability), found.region, found.geometry, Prompt.of(box), found.engine,
        np.full_like(found.slice_confidence, np.nan), 0.1, 0.1,
    )  # fmt: skip
    case.set_box(box)
    case.set_segmentation(nothing)
    assert case.mask.voxel_count == 0
    assert case.mesh() is None
    assert case.tada() is None


def test_wrong_boxes_and_foreign_masks_are_refused_and_change_nothing(case, box, answer, state):
    before = state(case)
    with pytest.raises(PromptError):
        case.set_box(BoxPrompt((900, 900, 900), (950, 950, 950)))
    with pytest.raises(PromptError):
        case.set_box(BoxPrompt(box.corner_a, box.corner_a))
    other = Geometry((40, 36, 20), (1.0, 1.0, 3.0))
    with pytest.raises(CaseError, match="another grid"):
        case.replace_mask(LabelMap.empty(other))
    found = answer(box)
    foreign = Segmentation(
        found.probability, found.region, other, Prompt.of(box), found.engine, found.slice_confidence, 0.1, 0.1
    )
    with pytest.raises(CaseError, match="another scan"):
        case.set_segmentation(foreign)
    with pytest.raises(CaseError):
        case.edit_mask((slice(19, 22), slice(0, 2), slice(0, 2)), np.ones((3, 2, 2), bool), "Brush")
    with pytest.raises(CaseError):
        case.edit_mask(REGION, np.ones((1, 2, 3), bool), "Brush")
    assert state(case) == before


def test_an_imported_mask_replaces_the_found_one_as_one_step(case, box, answer):
    case.set_box(box)
    case.set_segmentation(answer(box))
    array = np.zeros(case.mask.array.shape, bool)
    array[2:4, 1:5, 30:38] = True
    case.replace_mask(LabelMap(array, case.mask.geometry))
    assert np.array_equal(case.mask.array, array)
    assert case.segmentation is None
    assert case.edited
    case.undo()
    assert case.segmentation is not None
    assert np.array_equal(case.mask.array, answer(box).mask().array)


def test_two_scans_keep_their_own_box_and_mask_and_undo_shows_the_scan_it_changes(case, box, answer, volume, tmp_path):
    case.set_box(box)
    case.set_segmentation(answer(box))
    second = case.add_scan(tmp_path / "second.nii", volume)
    assert case.active_scan is second
    assert case.box is None
    assert case.mask is None
    case.set_active_scan("scan-1")
    assert case.box == box
    case.set_active_scan(second.id)
    heard = _kinds(case)
    case.undo()
    assert case.active_scan.id == "scan-1"
    assert case.mask is None
    assert ChangeKind.SCAN in {change.kind for change in heard}


def test_an_answer_that_arrives_after_switching_goes_to_its_own_scan(case, box, answer, volume, tmp_path):
    case.set_box(box)
    second = case.add_scan(tmp_path / "second.nii", volume)
    case.set_segmentation(answer(box), scan_id="scan-1")
    assert case.active_scan.id == "scan-1"
    assert case.mask.voxel_count > 0
    assert case.snapshot(second.id).mask is None


def test_two_hundred_steps_are_kept_in_little_memory(case, box, answer):
    case.set_box(box)
    case.set_segmentation(answer(box))
    rng = np.random.default_rng(3)
    for number in range(220):
        k, j, i = (int(rng.integers(0, size - 6)) for size in case.active_scan.geometry.shape)
        values = np.full((2, 6, 6), number % 2 == 0)
        values[0, 0, 0] = not case.mask.array[k, j, i]
        case.edit_mask((slice(k, k + 2), slice(j, j + 6), slice(i, i + 6)), values, "Brush")
    undone = 0
    while case.undo():
        undone += 1
    assert undone == 200
    assert case.history_bytes < 2**20


def test_noise_over_a_clinical_grid_stays_below_the_memory_limit(tmp_path):
    geometry = Geometry((512, 512, 40), (0.45, 0.45, 5.0))
    rng = np.random.default_rng(5)
    everything = tuple(slice(0, size) for size in geometry.shape)
    with Case.create(tmp_path) as case:
        case.add_scan(tmp_path / "ct.nii", Volume(np.zeros(geometry.shape, np.int16), geometry))
        noise = rng.integers(0, 256, geometry.shape, dtype=np.uint8)
        for number in range(55):
            case.edit_mask(everything, (noise >> (number % 8)) & 1 == 1, "Brush")
        assert case.history_bytes <= 64 * 2**20
        steps = 0
        while case.undo():
            steps += 1
        assert 40 < steps < 55


def test_readings_mesh_and_tada_are_computed_once_per_mask(case, box, answer):
    assert all(reading.value_ml is None and "no mask" in reading.reason for reading in case.readings())
    case.set_box(box)
    case.set_segmentation(answer(box))
    first = case.readings()
    assert [str(reading.kind) for reading in first] == ["direct", "tada", "corrected"]
    assert first[0].value_ml == pytest.approx(case.mask.voxel_count * case.mask.geometry.voxel_volume_ml)
    mesh = case.mesh()
    moved = BoxPrompt.from_index_bounds(case.active_scan.geometry, (9.5, 7.5, 4.5), (30.5, 27.5, 14.5))
    case.set_box(moved)
    assert case.readings() is first, "a moved box changes no volume"
    assert case.mesh() is mesh
    assert case.snapshot().box == moved
    case.edit_mask(REGION, np.ones((2, 7, 10), bool), "Brush")
    assert case.readings()[0].value_ml > first[0].value_ml
    assert case.mesh() is not mesh
    assert case.tada().slices >= 2


def test_a_snapshot_serves_worker_threads_while_the_case_goes_on(case, box, answer):
    case.set_box(box)
    case.set_segmentation(answer(box))
    snapshot = case.snapshot()
    expected = snapshot.mask.voxel_count
    meshes = []
    threads = [threading.Thread(target=lambda: meshes.append(snapshot.mesh())) for _ in range(4)]
    for thread in threads:
        thread.start()
    case.edit_mask(REGION, np.ones((2, 7, 10), bool), "Brush")
    for thread in threads:
        thread.join()
    assert all(mesh is meshes[0] for mesh in meshes)
    assert snapshot.mask.voxel_count == expected
    assert case.mask.voxel_count > expected
    assert case.snapshot().revision > snapshot.revision


def test_a_listener_that_disconnects_hears_nothing_more(case, box):
    heard = []
    disconnect = case.changed.connect(heard.append)
    disconnect()
    case.set_box(box)
    assert heard == []
