import errno
import os

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hemaview.errors import ExportError, ScanError
from hemaview.imaging import Geometry, LabelMap
from hemaview.imaging.reading import read_label_map, write_label_map
from hemaview.imaging.reading.mask_grids import on_even_slices, on_grid

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
PLAIN = Geometry((5, 6, 7), (0.5, 0.6, 5.0), (-10, 20, 30), (0, -1, 0, 1, 0, 0, 0, 0, 1))
TILT = np.radians(18.5)
TILTED = Geometry((5, 6, 7), (0.5, 0.5, 5.0), (1, 2, 3), (1, 0, 0, 0, 1, np.sin(TILT), 0, 0, np.cos(TILT)))


def _mask(geometry=PLAIN):
    return LabelMap(np.random.default_rng(0).random(geometry.shape) < 0.3, geometry)


@pytest.mark.parametrize("geometry", [PLAIN, TILTED])
@pytest.mark.parametrize("name", ["mask.nii.gz", "mask.nii"])
def test_a_written_mask_comes_back_on_its_grid(tmp_path, geometry, name):
    mask = _mask(geometry)
    write_label_map(mask, tmp_path / name)
    for again in (read_label_map(tmp_path / name), read_label_map(tmp_path / name, like=geometry)):
        assert np.array_equal(again.array, mask.array)
        assert again.geometry.matches(geometry, 1e-4)
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(("geometry", "has_qform"), [(PLAIN, True), (TILTED, False)])
def test_other_programs_see_the_same_place(tmp_path, geometry, has_qform):
    path = tmp_path / "mask.nii.gz"
    write_label_map(_mask(geometry), path)
    image = nib.load(path)
    assert image.get_data_dtype() == np.uint8
    assert np.allclose(image.affine, RAS_TO_LPS @ geometry.affine, atol=1e-5)
    assert int(image.header["sform_code"]) == 1
    assert bool(image.header["qform_code"]) == has_qform
    assert np.allclose(image.header.get_zooms(), geometry.spacing)
    assert image.header.get_xyzt_units()[0] == "mm"
    if has_qform:
        itk = sitk.ReadImage(str(path))
        index = (4, 5, 6)
        assert itk.TransformIndexToPhysicalPoint(index) == pytest.approx(geometry.index_to_lps(index), abs=1e-4)
        assert np.array_equal(sitk.GetArrayFromImage(itk), _mask(geometry).array)


def test_the_same_mask_gives_the_same_bytes(tmp_path):
    write_label_map(_mask(), tmp_path / "a.nii.gz")
    write_label_map(_mask(), tmp_path / "b.nii.gz")
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


@pytest.mark.parametrize(
    "values",
    [
        lambda m: m * np.float32(0.99999997),
        lambda m: m * np.int32(4),
        lambda m: m * -1,
        lambda m: np.where(m, 0.8, np.nan),
        lambda m: m * 0.9 + 0.05,
    ],
)
def test_labels_are_rounded_and_every_label_counts(tmp_path, values):
    mask = _mask()
    stored = np.asarray(values(mask.array))
    stored = stored.astype(np.float32 if stored.dtype.kind == "f" else np.int16)
    nib.save(nib.Nifti1Image(stored.T, RAS_TO_LPS @ PLAIN.affine), tmp_path / "m.nii")
    assert np.array_equal(read_label_map(tmp_path / "m.nii", like=PLAIN).array, mask.array)


def test_an_empty_mask_is_a_mask(tmp_path):
    write_label_map(LabelMap.empty(PLAIN), tmp_path / "m.nii.gz")
    assert read_label_map(tmp_path / "m.nii.gz", like=PLAIN).voxel_count == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(st.permutations(range(3)), st.tuples(*[st.booleans()] * 3))
def test_a_mask_stored_in_another_axis_order_is_turned_back(tmp_path, order, flips):
    mask = _mask(TILTED)
    image = nib.Nifti1Image(mask.array.T.astype(np.uint8), RAS_TO_LPS @ TILTED.affine)
    turned = image.as_reoriented(
        np.array([[axis, -1 if flip else 1] for axis, flip in zip(order, flips, strict=True)], dtype=float)
    )
    nib.save(turned, tmp_path / "m.nii")
    assert np.array_equal(read_label_map(tmp_path / "m.nii", like=TILTED).array, mask.array)


def test_a_mask_of_another_scan_is_refused(tmp_path):
    write_label_map(_mask(), tmp_path / "m.nii.gz")
    others = [
        Geometry((5, 6, 8), PLAIN.spacing, PLAIN.origin, PLAIN.direction),
        Geometry(PLAIN.size, (0.5, 0.6, 5.1), PLAIN.origin, PLAIN.direction),
        Geometry(PLAIN.size, PLAIN.spacing, (-10, 20, 31), PLAIN.direction),
        Geometry(PLAIN.size, PLAIN.spacing, PLAIN.origin),
    ]
    for other in others:
        with pytest.raises(ScanError, match="does not fit this scan"):
            read_label_map(tmp_path / "m.nii.gz", like=other)


def test_what_is_no_mask_is_refused(tmp_path, dicom_series, ct_values):
    folder = dicom_series(ct_values)
    for path in (folder, next(folder.iterdir())):
        with pytest.raises(ScanError, match="not a mask"):
            read_label_map(path)
    with pytest.raises(ScanError, match="does not exist"):
        read_label_map(tmp_path / "none.nii")


def test_a_wrong_name_or_place_is_refused(tmp_path):
    with pytest.raises(ExportError, match=r"\.nii\.gz"):
        write_label_map(_mask(), tmp_path / "mask.txt")
    with pytest.raises(ExportError, match="does not exist"):
        write_label_map(_mask(), tmp_path / "none" / "mask.nii.gz")


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "mask.nii.gz"
    path.write_bytes(b"old")

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ExportError, match="disk is full"):
        write_label_map(_mask(), path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["mask.nii.gz"]


def test_a_folder_without_permission_is_named(tmp_path, monkeypatch):
    def denied(**_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("tempfile.mkstemp", denied)
    with pytest.raises(ExportError, match="cannot be written"):
        write_label_map(_mask(), tmp_path / "mask.nii.gz")


UNEVEN = Geometry((5, 6, 7), (0.5, 0.6, 3.5), (-10, 20, 30), slice_positions=(0, 2.5, 5, 7.5, 11, 16, 21))


@pytest.mark.parametrize("direction", [(1, 0, 0, 0, 1, 0, 0, 0, 1), (0, -1, 0, 1, 0, 0, 0, 0, -1), TILTED.direction])
def test_a_mask_on_uneven_slices_is_written_evenly_and_comes_back(tmp_path, direction):
    geometry = Geometry(UNEVEN.size, UNEVEN.spacing, UNEVEN.origin, direction, UNEVEN.slice_positions)
    mask = _mask(geometry)
    (note,) = write_label_map(mask, tmp_path / "mask.nii.gz")
    assert "unevenly spaced" in note
    assert "NIfTI cannot hold" in note
    assert np.array_equal(read_label_map(tmp_path / "mask.nii.gz", like=geometry).array, mask.array)
    there = nib.load(tmp_path / "mask.nii.gz")
    voxel_ml = abs(np.linalg.det(there.affine[:3, :3])) / 1000
    assert np.count_nonzero(there.dataobj) * voxel_ml == pytest.approx(geometry.volume_ml(mask.array), rel=0.01)
    # Every voxel of the file lies in the mask at its place in the patient.
    inside = np.argwhere(np.asarray(there.dataobj))
    lps = nib.affines.apply_affine(RAS_TO_LPS @ there.affine, inside)
    i, j, k = np.floor(geometry.lps_to_index(lps) + 0.5).astype(int).T
    assert mask.array[k, j, i].mean() > 0.999
    assert write_label_map(_mask(), tmp_path / "even.nii.gz") == ()


def test_an_uneven_mask_turned_by_another_program_comes_back(tmp_path):
    mask = _mask(UNEVEN)
    write_label_map(mask, tmp_path / "mask.nii.gz")
    nib.save(nib.as_closest_canonical(nib.load(tmp_path / "mask.nii.gz")), tmp_path / "turned.nii.gz")
    assert np.array_equal(read_label_map(tmp_path / "turned.nii.gz", like=UNEVEN).array, mask.array)


@settings(max_examples=25)
@given(st.integers(0, 10_000))
@example(153)
def test_masks_on_any_uneven_slices_keep_their_volume_within_a_percent(seed):
    rng = np.random.default_rng(seed)
    places = np.concatenate([[0.0], np.cumsum(rng.uniform(0.7, 8.0, 11))])
    geometry = Geometry((4, 4, 12), (0.5, 0.5, places[-1] / 11), slice_positions=tuple(places))
    array = np.zeros(geometry.shape, dtype=bool)
    first = rng.integers(0, 11)
    array[first : first + rng.integers(1, 6)] = rng.random((4, 4)) < 0.7
    even, _ = on_even_slices(LabelMap(array, geometry))
    assert not even.geometry.is_uneven
    assert even.geometry.volume_ml(even.array) == pytest.approx(geometry.volume_ml(array), rel=0.01)
    assert np.array_equal(on_grid(even.array, even.geometry, geometry), array)


def test_a_mask_with_the_scans_slices_but_even_steps_is_refused(tmp_path):
    # Drawn by a program that took uneven slices for even ones: no slice but the first and last is where it says.
    write_label_map(_mask(Geometry(UNEVEN.size, UNEVEN.spacing, UNEVEN.origin)), tmp_path / "mask.nii.gz")
    with pytest.raises(ScanError, match="does not fit this scan"):
        read_label_map(tmp_path / "mask.nii.gz", like=UNEVEN)
