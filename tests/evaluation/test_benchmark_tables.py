"""The benchmark scores what it says it scores, the same way every time."""

import json

import numpy as np
import pytest

from hemaview.evaluation.benchmark import SEEDS, Mode, as_json, main, markdown, run_benchmark, score_case
from hemaview.evaluation.classical import METHODS, ClassicalSegmenter
from hemaview.evaluation.prompts import corrective_click, jittered_box, one_slice_prompt
from hemaview.evaluation.real_cases import Group, RealCase, Standard
from hemaview.imaging import Geometry, LabelMap, Volume
from hemaview.imaging.reading import write_label_map
from hemaview.segmentation import BoxPrompt, EngineInfo, Prompt, Segmentation

GEOMETRY = Geometry((40, 36, 12), (1.0, 1.0, 3.0))
INFO = EngineInfo("threshold", "Threshold", "CPU", "0" * 64, "nothing", "Apache-2.0")


class Threshold:
    """An engine that knows the grey value of the lesion, and does not look beyond the drawn box's slices."""

    info = INFO

    def segment(self, volume, prompt, *, focus=None, on_slice=None, cancel=None):
        window = tuple(slice(0, n) for n in volume.array.shape)
        found = (volume.array > 50).astype(np.float32)
        return Segmentation(
            found, window, volume.geometry, Prompt.of(prompt), INFO, np.full(len(found), 0.9, np.float32), 0.01, 0.02
        )


class SliceThreshold(Threshold):
    def segment_slice(self, volume, k, box_xyxy):
        return (volume.array[k] > 50).astype(np.float32)


@pytest.fixture
def scan():
    k, j, i = np.ogrid[:12, :36, :40]
    mask = ((k - 6) / 4) ** 2 + ((j - 18) / 9) ** 2 + ((i - 20) / 11) ** 2 <= 1
    return Volume((mask * 100).astype(np.int16), GEOMETRY), LabelMap(mask, GEOMETRY)


@pytest.fixture
def case(scan, tmp_path):
    volume, reference = scan
    write_label_map(LabelMap(volume.array > 0, GEOMETRY), tmp_path / "scan.nii.gz")
    write_label_map(reference, tmp_path / "truth.nii.gz")
    return RealCase("ball", Group.ICH, Standard.EXPERT, "scan.nii.gz", "truth.nii.gz", "none")


@pytest.mark.parametrize("mode", Mode)
def test_perfect_engine_scores_one_and_the_shape_beside_it_less(scan, mode):
    score = score_case(SliceThreshold(), *scan, mode, 0.05, 11)
    assert score.dice_2d == score.dice_3d == score.nsd_2mm == 1
    assert score.volume_percent == score.empty == 0
    assert 0.4 < score.shape_3d < 1
    assert score.margin_3d == pytest.approx(1 - score.shape_3d)


def test_ball_without_jitter_is_nearly_its_own_inscribed_ellipsoid(scan):
    score = score_case(Threshold(), *scan, Mode.BOX, 0.0, 11)
    assert score.shape_3d > 0.85


def test_engine_without_slices_is_not_asked_for_them(case, tmp_path):
    results = list(run_benchmark(Threshold(), [case], tmp_path, jitters=[0.0]))
    assert [r.mode for r in results] == [Mode.BOX, Mode.RECTANGLE]


def test_tables_name_groups_and_cases(case, tmp_path):
    # The mask file stores 0 and 1, so nothing reaches the engine's threshold: every slice counts as empty.
    results = list(run_benchmark(SliceThreshold(), [case], tmp_path, jitters=[0.05]))
    text = markdown(results)
    assert text.count("### ") == 3
    assert "| intracerebral haematoma (CT) | 1 | 0.000 | 0.000 |" in text
    assert "| ball | expert |" in text
    assert all(r.score.empty == r.slices for r in results)


def test_a_correction_is_scored_beside_the_answer_before_it(scan):
    volume, reference = scan

    class Learns(Threshold):
        """Finds the left half only, and all of it once it was corrected."""

        def segment(self, volume, prompt, **options):
            found = super().segment(volume, prompt)
            asked = Prompt.of(prompt)
            if not asked.points and not asked.fixed:
                found.probability[:, :, 20:] = 0
            for fixed in asked.fixed:
                found.probability[fixed.k] = fixed.mask
            return found

    for mode in (Mode.FIXED, Mode.CLICK, Mode.CLICKS):
        score = score_case(Learns(), volume, reference, mode, 0.05, 11)
        assert score.dice_3d == 1
        assert 0.5 < score.before_3d < 0.8
    assert np.isnan(score_case(Learns(), volume, reference, Mode.BOX, 0.05, 11).before_3d)


def test_simulated_clicks_lie_in_the_largest_error(scan):
    _, reference = scan
    wrong = reference.array.copy()
    wrong[:, :, 20:] = False
    missing = corrective_click(LabelMap(wrong, GEOMETRY), reference)
    i, j, k = np.round(GEOMETRY.lps_to_index(missing.position)).astype(int)
    assert missing.positive
    assert reference.array[k, j, i]
    assert not wrong[k, j, i]
    wrong = reference.array.copy()
    wrong[2:9, 30:34, 2:30] = True
    surplus = corrective_click(LabelMap(wrong, GEOMETRY), reference)
    i, j, k = np.round(GEOMETRY.lps_to_index(surplus.position)).astype(int)
    assert not surplus.positive
    assert wrong[k, j, i]
    assert not reference.array[k, j, i]
    assert corrective_click(reference, reference) is None


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("sign", [1, -1])
def test_classical_methods_find_a_plain_ball_bright_or_dark(scan, name, sign):
    volume, reference = scan
    noise = np.random.default_rng(0).normal(0, 8, volume.array.shape)
    noisy = Volume((sign * volume.array + noise).astype(np.float32), GEOMETRY)
    engine = ClassicalSegmenter(name, METHODS[name])
    assert score_case(engine, noisy, reference, Mode.BOX, 0.05, 11).dice_3d > 0.8


def test_figures_are_written_as_json_without_nan(case, tmp_path):
    results = list(run_benchmark(SliceThreshold(), [case], tmp_path, jitters=[0.0], modes=[Mode.BOX]))
    document = as_json(SliceThreshold(), results)
    text = json.dumps(document, allow_nan=False)
    assert json.loads(text)["results"][0]["case"] == "ball"
    assert document["results"][0]["before_3d"] is None
    assert document["engine"]["name"] == "threshold"


def test_moved_boxes_are_the_same_for_the_same_seed(scan):
    _, reference = scan
    boxes = [jittered_box(reference, 0.1, np.random.default_rng(seed)) for seed in (*SEEDS, SEEDS[0])]
    assert boxes[0] == boxes[-1]
    assert len(set(boxes)) == len(SEEDS)


def test_faces_move_by_no_more_than_the_stated_share(scan):
    _, reference = scan
    tight = BoxPrompt.around(reference)
    lower, upper = tight.index_bounds(GEOMETRY)
    assert jittered_box(reference, 0.0, np.random.default_rng(0)) == tight
    for seed in range(20):
        low, high = jittered_box(reference, 0.1, np.random.default_rng(seed)).index_bounds(GEOMETRY)
        assert np.all(np.abs(low - lower) <= 0.1 * (upper - lower) + 1e-9)
        assert np.all(np.abs(high - upper) <= 0.1 * (upper - lower) + 1e-9)


def test_one_slice_prompt_is_open_and_on_the_largest_slice(scan):
    _, reference = scan
    prompt, k = one_slice_prompt(reference, 0.0, np.random.default_rng(0))
    assert (prompt.open_axis, k) == (2, 6)


def test_command_line_without_cases_says_so(tmp_path, capsys):
    assert main(["--data", str(tmp_path)]) == 1
    assert "No case was found" in capsys.readouterr().err


def test_listed_real_cases_load_on_their_scans(shared_data):
    from hemaview.evaluation.real_cases import REAL_CASES

    case = next(c for c in REAL_CASES if c.name == "pyradiomics brain1 T1c")
    volume, reference = case.load(shared_data)
    assert volume.geometry.matches(reference.geometry)
    assert reference.voxel_count * reference.geometry.voxel_volume_ml == pytest.approx(16.41, abs=0.01)
    core = next(c for c in REAL_CASES if c.name == "brats2013_pat0001 T1c")
    _, reference = core.load(shared_data)
    assert reference.voxel_count * reference.geometry.voxel_volume_ml == pytest.approx(26.37 + 0.82 + 31.48, abs=0.02)
