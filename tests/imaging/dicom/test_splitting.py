"""One SeriesInstanceUID that holds several stacks: each is found, named and read by itself, with its own pictures."""

import itertools

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

from hemaview.errors import ScanError
from hemaview.imaging.reading import Verdict, list_series, read_scan

SLICES = 4


@pytest.fixture
def pictures():
    """``pictures(n)``: (4 n, 6, 7) uint16, every picture different."""
    return lambda stacks: np.random.default_rng(5).integers(0, 4000, (SLICES * stacks, 6, 7)).astype(np.uint16)


def _at(dataset, height):
    dataset.ImagePositionPatient = [-100, -80, 5 * height]


def _parts(folder):
    """The part of every uid, with its summary; all share one series."""
    found = list_series(folder)
    assert len({s.uid.split("#")[0] for s in found}) == 1
    return {s.uid.partition("#")[2]: s for s in found}


def _check_each(folder, values, keys, of):
    """Every part ``keys[n]`` is measurable and holds the pictures ``values[of(n, slice)]`` at the right places."""
    parts = _parts(folder)
    assert list(parts) == keys
    for n, summary in enumerate(parts.values()):
        assert summary.verdict is Verdict.MEASURABLE
        assert summary.size == (7, 6, SLICES)
        assert summary.spacing == pytest.approx((0.8, 0.5, 5))
        volume = read_scan(folder, series_uid=summary.uid)
        assert np.array_equal(volume.array, values[[of(n, k) for k in range(SLICES)]])
        assert volume.name == summary.label


@pytest.mark.parametrize(
    ("tags", "keys", "words"),
    [
        ({"EchoTime": (80, 20)}, ["te-20", "te-80"], "TE 20 ms"),
        ({"TemporalPositionIdentifier": (2, 1)}, ["time-1", "time-2"], "time point 1"),
        ({"DiffusionBValue": (1000.0, 0.0)}, ["b-0", "b-1000"], "b 0"),
        (
            {"ImageType": (["ORIGINAL", "PRIMARY", "P"], ["ORIGINAL", "PRIMARY", "M"])},
            ["magnitude", "phase"],
            "magnitude",
        ),
        (
            {"ImageType": (["ORIGINAL", "PRIMARY", "P_FFE"], ["ORIGINAL", "PRIMARY", "M_FFE"])},
            ["magnitude", "phase"],
            "magnitude",
        ),
        ({"ComplexImageComponent": ("PHASE", "MAGNITUDE")}, ["magnitude", "phase"], "magnitude"),
        (
            {"ImageType": (["DERIVED", "PRIMARY", "ADC"], ["ORIGINAL", "PRIMARY", "DIFFUSION"])},
            ["original", "adc"],
            "original",
        ),
        ({"AcquisitionTime": ("101020", "101010")}, ["time-1", "time-2"], "time point 1"),
        ({"InversionTime": (900, 400)}, ["ti-400", "ti-900"], "TI 400 ms"),
        ({"FlipAngle": (20, 5)}, ["flip-5", "flip-20"], "flip angle 5"),
        ({"TriggerTime": (300, 0)}, ["trigger-0", "trigger-300"], "0 ms after the trigger"),
        ({"AcquisitionNumber": (2, 1)}, ["acquisition-1", "acquisition-2"], "acquisition 1"),
        ({"SeriesNumber": (5, 4)}, ["series-4", "series-5"], "MR series 4"),
    ],
)
def test_two_stacks_in_one_series_are_parted(dicom_series, pictures, tags, keys, words):
    """The second of every two pictures is the part that comes first."""
    values = pictures(2)

    def twice(dataset, n):
        _at(dataset, n // 2)
        for keyword, choices in tags.items():
            setattr(dataset, keyword, choices[n % 2])

    folder = dicom_series(values, modality="MR", edit=twice)
    _check_each(folder, values, keys, lambda part, k: 2 * k + 1 - part)
    assert words in next(iter(_parts(folder).values())).label


@pytest.mark.parametrize(
    ("tags", "keys"),
    [
        ({"ConvolutionKernel": ("H60s", "H30s")}, ["kernel-H30s", "kernel-H60s"]),
        ({"KVP": ("140", "80")}, ["80kv", "140kv"]),
        ({"SliceThickness": ("10", "5")}, ["5mm-thick", "10mm-thick"]),
        ({"ImageType": (["DERIVED", "SECONDARY", "AXIAL", "VNC"], ["ORIGINAL", "PRIMARY", "AXIAL"])}, None),
    ],
)
def test_two_reconstructions_of_a_ct_are_parted(dicom_series, tags, keys):
    values = np.random.default_rng(0).integers(-1000, 1500, (2 * SLICES, 6, 7)).astype(np.int16)

    def twice(dataset, n):
        _at(dataset, n // 2)
        for keyword, choices in tags.items():
            setattr(dataset, keyword, choices[n % 2])

    folder = dicom_series(values, edit=twice)
    parts = list(_parts(folder))
    assert parts == keys if keys else len(parts) == 2
    found = [read_scan(folder, series_uid=s.uid) for s in _parts(folder).values()]
    assert {v.array.tobytes() for v in found} == {values[0::2].tobytes(), values[1::2].tobytes()}


def test_echoes_phases_and_times_are_parted_from_each_other(dicom_series, pictures):
    values = pictures(8)
    makes = list(itertools.product("MP", (20, 80), (1, 2)))

    def mixed(dataset, n):
        _at(dataset, n // 8)
        component, dataset.EchoTime, dataset.TemporalPositionIdentifier = makes[n % 8]
        dataset.ImageType = ["ORIGINAL", "PRIMARY", component]

    folder = dicom_series(values, modality="MR", edit=mixed)
    keys = [f"{c}+te-{te}+time-{t}" for c, te, t in itertools.product(("magnitude", "phase"), (20, 80), (1, 2))]
    _check_each(folder, values, keys, lambda part, k: 8 * k + part)
    assert _parts(folder)["phase+te-80+time-2"].label.endswith("phase, TE 80 ms, time point 2")


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize(
    ("creator", "element", "vr", "values"),
    [
        ("SIEMENS MR HEADER", 0x0019100C, "IS", ("0", "1000")),
        ("GEMS_PARM_01", 0x00431039, "IS", (["1000000000", "8", "0", "0"], ["1000001000", "8", "0", "0"])),
        ("Philips Imaging DD 001", 0x20011003, "FL", (0.0, 1000.0)),
        ("Image Private Header", 0x00651009, "FD", (0.0, 1000.0)),
    ],
)
def test_diffusion_weights_in_vendors_own_elements_part_a_series(
    dicom_series, pictures, syntax, creator, element, vr, values
):
    stored = pictures(2)

    def weighted(dataset, n):
        _at(dataset, n // 2)
        block = dataset.private_block(element >> 16, creator, create=True)
        block.add_new(element & 0xFF, vr, values[n % 2])

    folder = dicom_series(stored, modality="MR", syntax=syntax, edit=weighted)
    _check_each(folder, stored, ["b-0", "b-1000"], lambda part, k: 2 * k + part)


def test_the_components_of_a_ge_scan_are_parted(dicom_series, pictures):
    stored = pictures(4)

    def component(dataset, n):
        _at(dataset, n // 4)
        dataset.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x2F, "SS", n % 4)

    folder = dicom_series(stored, modality="MR", edit=component)
    _check_each(folder, stored, ["magnitude", "imaginary", "phase", "real"], lambda part, k: 4 * k + (0, 3, 1, 2)[part])


def test_directions_of_a_diffusion_scan_are_parted_and_b0_is_one(dicom_series, pictures):
    values = pictures(4)

    def diffusion(dataset, n):
        _at(dataset, n // 4)
        dataset.DiffusionBValue = 0.0 if n % 4 == 0 else 1000.0
        if n % 4:
            dataset.DiffusionGradientOrientation = list(np.eye(3)[n % 4 - 1])

    folder = dicom_series(values, modality="MR", edit=diffusion)
    parts = _parts(folder)
    assert list(parts) == ["b-0", *(f"b-1000+direction-{n}" for n in (1, 2, 3))]
    assert all(s.size == (7, 6, SLICES) and s.measurable for s in parts.values())


@pytest.mark.parametrize("order", ["round after round", "place after place"])
@pytest.mark.parametrize("announced", [True, False])
def test_rounds_are_told_by_the_numbers_of_the_pictures(dicom_series, pictures, order, announced):
    values = pictures(3)

    def plain(dataset, n):
        repeat, place = divmod(n, SLICES)
        _at(dataset, place)
        dataset.InstanceNumber = 1 + (n if order == "round after round" else place * 3 + repeat)
        if announced:
            dataset.NumberOfTemporalPositions = 3

    folder = dicom_series(values, modality="MR", edit=plain)
    name = "time" if announced else "set"
    _check_each(folder, values, [f"{name}-{n}" for n in (1, 2, 3)], lambda part, k: part * SLICES + k)
    told = "Pictures of one place are told apart by their numbers alone."
    assert all((told in s.notes) is not announced for s in _parts(folder).values())


def test_a_round_that_was_broken_off_is_a_shorter_stack(dicom_series, pictures):
    values = pictures(3)[:-2]

    def plain(dataset, n):
        _at(dataset, n % SLICES)
        dataset.InstanceNumber = n + 1

    found = list_series(dicom_series(values, modality="MR", edit=plain))
    assert [s.size[2] for s in found] == [4, 4, 2]


def test_pictures_that_nothing_tells_apart_are_not_mixed(dicom_series, pictures):
    def same(dataset, n):
        _at(dataset, n // 2)
        dataset.InstanceNumber = 1

    found = list_series(dicom_series(pictures(2), modality="MR", edit=same))
    assert [s.verdict for s in found] == [Verdict.VIEWABLE]
    assert "4 positions with 2 pictures each" in found[0].reason


def test_a_film_of_one_place_stays_together(dicom_series, pictures):
    def film(dataset, n):
        _at(dataset, 0)
        dataset.InstanceNumber, dataset.AcquisitionNumber = n + 1, n + 1

    values = pictures(1)
    folder = dicom_series(values, modality="MR", edit=film)
    assert [s.verdict for s in list_series(folder)] == [Verdict.VIEWABLE]
    volume = read_scan(folder)
    assert "1 position with 4 pictures each" in volume.not_measurable
    assert np.array_equal(volume.array, values)


def test_a_scanner_that_follows_the_head_comes_to_the_same_places(dicom_series, pictures):
    """Positions differ by hundredths of a millimetre from round to round; naively that is one stack of 0.04 mm gaps."""

    def followed(dataset, n):
        repeat, place = divmod(n, SLICES)
        dataset.ImagePositionPatient = [-100, -80, 5 * place + 0.04 * repeat]
        dataset.InstanceNumber = n + 1

    values = pictures(3)
    folder = dicom_series(values, modality="MR", edit=followed)
    _check_each(folder, values, ["set-1", "set-2", "set-3"], lambda part, k: part * SLICES + k)


def test_interleaved_time_points_of_a_moved_table_are_parted(dicom_series, pictures):
    """The second time point lies 1 mm higher: no place repeats, yet one stack of all would mix two times."""

    def moved(dataset, n):
        dataset.ImagePositionPatient = [0, 0, 5 * (n // 2) + n % 2]
        dataset.AcquisitionNumber = n % 2 + 1

    values = pictures(2)
    folder = dicom_series(values, modality="MR", edit=moved)
    _check_each(folder, values, ["acquisition-1", "acquisition-2"], lambda part, k: 2 * k + part)


def test_a_head_scanned_thin_below_and_thick_above_stays_whole(dicom_series, ct_values):
    def fossa(dataset, k):
        dataset.ImagePositionPatient = [0, 0, (0, 3, 6, 13, 20, 27)[k]]
        dataset.SliceThickness = 3 if k < 3 else 7
        dataset.AcquisitionNumber = 1 if k < 3 else 2
        dataset.ConvolutionKernel = "A" if k < 3 else "B"
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL", *(["ADD"] if k < 3 else [])]

    folder = dicom_series(ct_values, edit=fossa)
    assert list(_parts(folder)) == [""]
    assert np.array_equal(read_scan(folder).array, ct_values)


def test_the_planes_of_a_localiser_are_parted(dicom_series, pictures):
    planes = [((1, 0, 0), (0, 1, 0)), ((0, 1, 0), (0, 0, -1)), ((1, 0, 0), (0, 0, -1))]

    def three(dataset, n):
        row, column = planes[n % 3]
        dataset.ImageOrientationPatient = [*row, *column]
        dataset.ImagePositionPatient = list(np.cross(row, column) * 10.0 * (n // 3))
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    parts = _parts(dicom_series(pictures(3), modality="MR", edit=three))
    assert {key: (s.plane, s.images) for key, s in parts.items()} == {
        plane: (plane, SLICES) for plane in ("axial", "coronal", "sagittal")
    }
    assert all(s.verdict is Verdict.VIEWABLE and "scout" in s.reason for s in parts.values())


def test_planes_sizes_and_pixel_spacings_are_parted(dicom_series, pictures):
    def oblique(dataset, n):
        if n >= SLICES:
            dataset.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
            dataset.ImagePositionPatient = [5 * (SLICES - n), 0, 0]

    values = pictures(2)
    folder = dicom_series(values, folder="planes", modality="MR", edit=oblique)
    assert [(s.plane, s.verdict.value) for s in list_series(folder)] == [
        ("axial", "measurable"), ("sagittal", "measurable"),
    ]  # fmt: skip

    def fine(dataset, n):
        _at(dataset, n % SLICES)
        if n >= SLICES:
            dataset.PixelSpacing = [0.25, 0.4]

    found = list_series(dicom_series(values, folder="spacings", modality="MR", edit=fine))
    assert sorted(s.spacing[:2] for s in found) == [(0.4, 0.25), (0.8, 0.5)]

    def small(dataset, n):
        _at(dataset, n % SLICES)
        if n >= SLICES:
            dataset.Rows, dataset.PixelData = 3, bytes(2 * 3 * 7)

    found = list_series(dicom_series(values, folder="sizes", modality="MR", edit=small))
    assert [s.uid.partition("#")[2] for s in found] == ["7x3", "7x6"]


def test_slices_far_from_the_head_do_not_spoil_it(dicom_series, pictures):
    """A scanner waits for the contrast at one place of the neck or chest, over and over, before it scans the head."""
    values = pictures(2)

    def waiting(dataset, n):
        dataset.ImagePositionPatient = [-100, -80, 300 + 5 * n if n >= SLICES else 0]
        dataset.AcquisitionTime = f"1200{n:02d}"

    folder = dicom_series(values, edit=waiting)
    parts = _parts(folder)
    assert list(parts) == ["stretch-1", "stretch-2"]
    assert "same position" in parts["stretch-1"].reason
    volume = read_scan(folder)
    assert volume.not_measurable is None
    assert np.array_equal(volume.array, values[SLICES:])
    assert volume.geometry.origin[2] == 300 + 5 * SLICES
    assert any("lie far from these" in note for note in volume.notes)


@pytest.mark.parametrize("keyword", ["PatientID", "StudyInstanceUID"])
def test_a_patient_or_study_for_every_slice_says_nothing(dicom_series, pictures, keyword):
    def anonymised(dataset, n):
        setattr(dataset, keyword, f"1.2.{n}")

    assert [s.images for s in list_series(dicom_series(pictures(1), edit=anonymised))] == [SLICES]


@pytest.mark.parametrize("shift", [1.7, 20.0])
def test_a_patient_laid_down_anew_is_another_stack(dicom_series, pictures, shift):
    """Places of two frames of reference cannot be compared, even where one stack seems to continue the other."""
    values = pictures(2)

    def laid_down_twice(dataset, n):
        again, k = divmod(n, SLICES)
        dataset.FrameOfReferenceUID = f"1.2.{again}"
        dataset.InstanceNumber = n + 1
        dataset.ImagePositionPatient = [-100, -80, 5 * k + again * shift]

    folder = dicom_series(values, modality="MR", edit=laid_down_twice)
    _check_each(folder, values, ["placement-1", "placement-2"], lambda n, k: SLICES * n + k)


def test_a_frame_of_reference_for_every_picture_says_nothing(dicom_series, pictures):
    def anonymised(dataset, n):
        dataset.FrameOfReferenceUID = f"1.2.{n}"

    assert len(_parts(dicom_series(pictures(2), modality="MR", edit=anonymised))) == 1


@pytest.mark.parametrize("times", [("99.9", "99.95", "100"), ("9.97", "10", "10.03")])
def test_an_echo_time_written_unevenly_is_one_echo(dicom_series, pictures, times):
    def uneven(dataset, n):
        dataset.EchoTime = times[n % 3]

    found = list_series(dicom_series(pictures(2), modality="MR", edit=uneven))
    assert [s.images for s in found] == [2 * SLICES]


def test_patients_that_share_a_series_uid_are_not_mixed(dicom_series, pictures):
    def two_people(dataset, n):
        _at(dataset, n)
        dataset.PatientID = "A" if n % 2 else "B"

    found = list_series(dicom_series(pictures(1), folder="two", modality="MR", edit=two_people))
    assert [s.images for s in found] == [2, 2]
    assert len({s.study.patient for s in found}) == 2

    def half_removed(dataset, n):
        if n % 2:
            dataset.PatientID = dataset.PatientName = ""

    assert len(list_series(dicom_series(pictures(1), folder="one", modality="MR", edit=half_removed))) == 1


def test_the_keys_do_not_depend_on_names_and_order_of_files(dicom_series, pictures, tmp_path):
    values = pictures(6)

    def plain(dataset, n):
        _at(dataset, n // 6)
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "MP"[n % 2]]
        dataset.AcquisitionTime = f"10101{n % 3}"
        dataset.SOPInstanceUID = f"1.2.{n}"

    first = dicom_series(values, modality="MR", uid="1.9", edit=plain)
    expected = [(s.uid, s.label, s.images) for s in list_series(first)]
    assert len(expected) == 6
    for number, path in enumerate(sorted(first.iterdir(), reverse=True)):
        path.rename(first / f"{number * 7919 % 1000}")
    assert [(s.uid, s.label, s.images) for s in list_series(first)] == expected


def test_a_part_is_chosen_by_uid_by_file_or_the_best(dicom_series, pictures):
    values = pictures(2)
    uid = generate_uid()

    def both(dataset, n):
        _at(dataset, n // 2)
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "PM"[n % 2]]

    folder = dicom_series(values, modality="MR", uid=uid, edit=both)
    assert np.array_equal(read_scan(folder).array, values[1::2])
    assert np.array_equal(read_scan(folder, series_uid=uid).array, values[1::2])
    assert np.array_equal(read_scan(folder, series_uid=f"{uid}#phase").array, values[0::2])
    phase = next(p for p in folder.iterdir() if pydicom.dcmread(p).ImageType[2] == "P")
    assert np.array_equal(read_scan(phase).array, values[0::2])
    with pytest.raises(ScanError, match="does not hold the series"):
        read_scan(folder, series_uid=f"{uid}#te-20")


@pytest.mark.parametrize(
    "worse",
    [
        {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
        {"ImageType": ["DERIVED", "SECONDARY", "MPR"]},
        {"ImageType": ["DERIVED", "PRIMARY", "ADC"]},
        {"ImageType": ["ORIGINAL", "PRIMARY", "P"]},
        {"SOPClassUID": pydicom.uid.SecondaryCaptureImageStorage},
        {"PixelSpacing": [0, 0]},
    ],
)
def test_an_acquired_scan_is_opened_before_larger_ones_of_other_kinds(dicom_series, pictures, worse):
    def spoil(dataset, n):
        for keyword, value in worse.items():
            setattr(dataset, keyword, value)

    values = pictures(1)
    folder = dicom_series(values, folder="all/good", modality="MR", uid="1.1")
    dicom_series(np.tile(pictures(4), (1, 4, 4)), folder="all/worse", modality="MR", uid="1.2", edit=spoil)
    assert np.array_equal(read_scan(folder.parent).array, values)
