"""Points, further boxes, redrawn slices, slices drawn by hand and the check mark: journalled, undone, reopened."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hemaview.case import Case, ChangeKind, prompting
from hemaview.case.journal import encode_line, parse_journal
from hemaview.case.library import MaskState, library_masks
from hemaview.case.opening import JOURNAL_NAME
from hemaview.errors import CaseError, PromptError
from hemaview.segmentation import BoxPrompt, PointPrompt, Prompt

STROKE = (slice(9, 11), slice(5, 12), slice(5, 15))


@pytest.fixture
def grid(case):
    return case.active_scan.geometry


def _point(grid, ijk, positive=True) -> PointPrompt:
    x, y, z = (float(v) for v in grid.index_to_lps(ijk))
    return PointPrompt((x, y, z), positive)


def _paint(case, k: int) -> None:
    values = np.ones((1, 3, 3), bool)
    assert case.edit_mask((slice(k, k + 1), slice(1, 4), slice(1, 4)), values, "Brush")


def test_every_change_of_a_prompt_is_a_step_that_comes_back_after_reopening(case, grid, box):
    first, second = _point(grid, (20, 18, 9)), _point(grid, (4, 4, 4), positive=False)
    other = BoxPrompt.from_index_bounds(grid, (30.5, 28.5, 2.5), (37.5, 33.5, 6.5))
    narrow = prompting.slice_rectangle(grid, 9, (11.5, 9.5), (25.5, 22.5))
    wide = prompting.slice_rectangle(grid, 6, (10.5, 8.5), (28.5, 25.5))
    steps = [
        ("Draw box", lambda p: prompting.box_drawn(p, box, grid)),
        ("Add box", lambda p: prompting.box_added(p, other)),
        ("Add point", lambda p: prompting.point_added(p, first)),
        ("Add point", lambda p: prompting.point_added(p, second)),
        ("Redraw slice", lambda p: prompting.slice_redrawn(p, narrow, grid)),
        ("Redraw slice", lambda p: prompting.slice_redrawn(p, wide, grid)),
        ("Change point", lambda p: prompting.point_toggled(p, 1)),
        ("Move point", lambda p: prompting.point_moved(p, 0, second.position)),
        ("Remove point", lambda p: prompting.point_removed(p, 0)),
        ("Remove box", lambda p: prompting.box_removed(p, 0)),
    ]
    seen = [case.prompt]
    for text, change in steps:
        assert case.set_prompt(change(case.prompt), text)
        assert case.undo_text == text
        seen.append(case.prompt)
    assert seen[6].slice_boxes == (wide, narrow), "kept in slice order"
    assert seen[-1] == Prompt((other,), (wide, narrow), (replace(second, positive=True),))
    case.close()
    with Case.open(case.directory, load_scans=False) as again:
        for expected in reversed(seen):
            assert again.prompt == expected
            assert again.undo() or expected == Prompt()
        for expected in seen[1:]:
            assert again.redo()
            assert again.prompt == expected


def test_a_prompt_that_is_the_same_is_no_step_and_one_outside_is_refused(case, grid, box):
    assert case.set_prompt(Prompt.of(box), "Draw box")
    assert not case.set_prompt(Prompt.of(box), "Draw box")
    outside = PointPrompt((500.0, 0.0, 0.0))
    with pytest.raises(PromptError, match="outside the scan"):
        case.set_prompt(prompting.point_added(case.prompt, outside), "Add point")
    assert case.prompt == Prompt.of(box)


def test_a_new_box_keeps_the_points_inside_it_only(grid, box):
    inside, beside = _point(grid, (20, 18, 19)), _point(grid, (2, 2, 9))
    before = Prompt((box,), (prompting.slice_rectangle(grid, 9, (9.5, 7.5), (20.5, 20.5)),), (inside, beside))
    drawn = BoxPrompt(box.corner_a, box.corner_b, open_axis=2)
    assert prompting.box_drawn(before, drawn, grid) == Prompt((drawn,), (), (inside,))


def test_points_alone_stay_points_alone_after_the_answer(case, grid, box, answer):
    points = Prompt(points=(_point(grid, (20, 18, 9)),))
    case.set_prompt(points, "Add point")
    found = answer(box)
    case.set_segmentation(replace(found, prompt=replace(points, boxes=(box,))))
    assert case.prompt == points
    assert case.segmentation.box == box, "where the engine looked is in the record"
    case.undo()
    assert case.mask is None, "point and mask are one step"
    assert case.prompt == Prompt()


def test_slices_drawn_by_hand_are_known_through_undo_and_reopening(case, box, answer):
    case.set_box(box)
    case.set_segmentation(answer(box))
    assert case.edited_slices == ()
    for k in (12, 3, 12):
        values = np.zeros((1, 3, 3), bool) if k == 12 and 12 in case.edited_slices else np.ones((1, 3, 3), bool)
        case.edit_mask((slice(k, k + 1), slice(1, 4), slice(1, 4)), values, "Brush")
    assert case.edited_slices == (3, 12)
    fixed = case.question().fixed
    assert [one.k for one in fixed] == [3, 12]
    assert np.array_equal(fixed[0].mask, case.mask.array[3])
    assert case.question(keep_edits=False) == case.prompt
    case.undo()
    case.undo()
    assert case.edited_slices == (12,)
    case.redo()
    case.close()
    with Case.open(case.directory, load_scans=False) as again:
        assert again.edited_slices == (3, 12)


def test_a_stroke_over_several_slices_names_only_those_it_changed(case, box, answer):
    case.set_box(box)
    case.set_segmentation(answer(box))
    values = case.mask.array[STROKE].copy()
    values[1] = ~values[1]
    case.edit_mask(STROKE, values, "Brush")
    assert case.edited_slices == (10,)


def test_an_answer_that_kept_the_corrections_leaves_them_the_hands(case, box, answer):
    case.set_box(box)
    case.set_segmentation(answer(box))
    _paint(case, 9)
    found = answer(box)
    case.set_segmentation(replace(found, prompt=case.question()), text="Follow corrections")
    assert case.undo_text == "Follow corrections"
    assert case.edited
    assert case.edited_slices == (9,)
    assert case.segmentation.fixed_slices == (9,)
    case.set_segmentation(answer(box, 6.0))
    assert not case.edited
    assert case.edited_slices == ()
    case.undo()
    assert case.edited_slices == (9,)


def test_an_emptied_or_imported_mask_holds_nothing_to_follow(case, box, answer):
    case.set_box(box)
    case.set_segmentation(answer(box))
    _paint(case, 9)
    case.replace_mask(answer(box, 5.0).mask())
    assert case.edited
    assert case.edited_slices == ()
    _paint(case, 4)
    assert case.clear_mask()
    assert not case.clear_mask()
    assert case.mask.voxel_count == 0
    assert case.edited_slices == ()
    case.undo()
    assert case.edited_slices == (4,)


def test_the_check_mark_lasts_until_the_mask_changes(case, box, answer):
    heard = []
    with pytest.raises(CaseError, match="no mask"):
        case.set_checked(True)
    case.set_box(box)
    case.set_segmentation(answer(box))
    readings = case.readings()
    case.changed.connect(lambda change: heard.append(change.kind))
    assert case.set_checked(True)
    assert not case.set_checked(True)
    assert heard == [ChangeKind.REVIEW, ChangeKind.HISTORY]
    assert case.readings() is readings, "a check mark changes no volume"
    case.set_prompt(prompting.box_added(case.prompt, box), "Add box")
    assert case.checked, "a prompt alone leaves the mask as it was checked"
    case.undo()
    _paint(case, 2)
    assert not case.checked
    case.undo()
    assert case.checked
    case.close()
    with Case.open(case.directory, load_scans=False) as again:
        assert again.checked
        again.undo()
        assert not again.checked


def _as_first_format(journal: Path) -> None:
    """Rewrite a journal as programs before prompts wrote it: a box, and no word of slices."""
    lines = []
    for number, record in enumerate(parse_journal(journal.read_bytes()).records):
        record = json.loads(json.dumps(record))
        if record["type"] == "case":
            record["format"] = 1
        elif record["type"] == "step":
            for entry in (record["set"], record["set"].get("segmentation") or {}):
                if "prompt" in entry:
                    boxes = entry.pop("prompt")["boxes"]
                    entry["box"] = boxes[0] if boxes else None
                entry.pop("fixed_slices", None)
                entry.pop("edited_slices", None)
        lines.append(encode_line(record, number))
    journal.write_bytes(b"".join(lines))


def test_journals_from_before_prompts_open_as_they_were(case, box, answer, state):
    case.set_box(box)
    case.set_segmentation(answer(box))
    _paint(case, 9)
    shown = state(case)
    case.close()
    _as_first_format(case.directory / JOURNAL_NAME)
    assert b"slice_boxes" not in (case.directory / JOURNAL_NAME).read_bytes()
    with Case.open(case.directory, load_scans=False) as again:
        assert state(again) == shown
        assert again.notes == ()
        assert again.edited_slices == (9,)
        again.set_box(None)
    with Case.open(case.directory, load_scans=False) as third:
        assert third.prompt == Prompt()
        third.undo()
        third.undo()
        assert third.edited_slices == ()
        assert third.box == box


def test_the_library_lists_what_a_person_vouched_for_while_the_case_is_open(tmp_path, volume, box, answer):
    root = tmp_path / "library"

    def made(name: str) -> Case:
        case = Case.create(root)
        case.add_scan(tmp_path / f"{name}.nii", volume)
        case.set_box(box)
        case.set_segmentation(answer(box))
        return case

    with made("untouched"), made("corrected") as corrected, made("checked") as checked:
        assert library_masks(root) == ()
        _paint(corrected, 9)
        checked.set_checked(True)
        (root / "notes").mkdir()
        found = {one.case: one for one in library_masks(root)}
        assert {name: one.state for name, one in found.items()} == {
            corrected.directory.name: MaskState.CORRECTED,
            checked.directory.name: MaskState.CHECKED,
        }
        one = found[corrected.directory.name]
        assert np.array_equal(one.mask.array, corrected.mask.array)
        assert one.scan.path == tmp_path / "corrected.nii"
        assert one.prompt == corrected.prompt
        assert one.volume_ml == pytest.approx(corrected.readings()[0].value_ml)
        corrected.clear_mask()
        assert [one.case for one in library_masks(root)] == [checked.directory.name], "an empty mask teaches nothing"
