"""Any grid, written by ITK, nibabel or pydicom in any order of its axes: every voxel stays at its place in the patient.

Every voxel has a value of its own, so where a value lies can be compared however the file's axes run.
"""

import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from hemaview.imaging import Geometry, LabelMap, Volume
from hemaview.imaging.reading import read_label_map, read_scan, write_label_map
from hemaview.surface import mesh_from_mask
from hemaview.volumetry import direct_volume, measure_tada

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@st.composite
def frames(draw, sheared):
    """(3, 3) unit vectors: any rotation, mirrored or not, with a leaning third axis where ``sheared``."""
    quaternion = np.array([draw(st.floats(0.1, 1)), *(draw(st.floats(-1, 1)) for _ in range(3))])
    axes = nib.quaternions.quat2mat(quaternion / np.linalg.norm(quaternion))
    if sheared:
        lean = np.radians(draw(st.floats(-30, 30)))
        axes[:, 2] = axes[:, 2] * np.cos(lean) + axes[:, 1] * np.sin(lean)
    return axes


@st.composite
def scans(draw, *, sheared=False, mirrored=True, uneven=False):
    """A small scan of which every voxel has a value of its own."""
    size = draw(st.integers(4, 7)), draw(st.integers(4, 7)), draw(st.integers(4, 7))
    axes = draw(frames(sheared))
    if mirrored and draw(st.booleans()):
        axes[:, draw(st.integers(0, 2))] *= -1
    spacing = [draw(st.floats(0.3, 3)) for _ in range(3)]
    positions = None
    if uneven:
        gaps = draw(st.lists(st.floats(1.0, 8.0), min_size=size[2] - 1, max_size=size[2] - 1))
        places = np.concatenate([[0.0], np.cumsum(np.round(gaps, 1))])
        spacing[2], positions = places[-1] / (size[2] - 1), tuple(places)
    origin = tuple(draw(st.floats(-300, 300)) for _ in range(3))
    geometry = Geometry(size, (spacing[0], spacing[1], spacing[2]), origin, tuple(axes.ravel()), positions)
    values = np.random.default_rng(draw(st.integers(0, 99))).permutation(int(np.prod(size))) * 3 - 90
    return Volume(values.astype(np.int16).reshape(geometry.shape), geometry)


turns = st.tuples(st.permutations(range(3)), st.tuples(*[st.booleans()] * 3))


@st.composite
def solids(draw):
    """A solid without symmetry whose slices all have areas of their own, on slices of any steps."""
    gaps = np.round(draw(st.lists(st.floats(0.8, 6.0), min_size=7, max_size=7)), 1)
    along = np.concatenate([[0.0], np.cumsum(gaps)])
    pixel = draw(st.floats(0.5, 1.5))
    size, spacing = (16, 12, 8), (pixel, draw(st.floats(0.5, 1.5)), along[-1] / 7)
    geometry = Geometry(size, spacing, (20.0, -30.0, 40.0), tuple(draw(frames(sheared=True)).ravel()), tuple(along))
    array = np.zeros(geometry.shape, dtype=bool)
    for k, width in enumerate(draw(st.permutations(range(5, 11))), start=1):
        array[k, 2:9, 3 : 3 + width] = True
    return LabelMap(array, geometry)


def places(volume):
    """(n, 3) LPS mm of all voxels in the order of their values."""
    order = np.argsort(volume.array, axis=None)
    k, j, i = np.unravel_index(order, volume.array.shape)
    return volume.geometry.index_to_lps(np.stack([i, j, k], axis=-1))


def body(volume, seen):
    """A mask of the voxels whose place in ``seen`` lies in a box of the patient round their middle."""
    middle, reach = np.median(seen, axis=0), np.ptp(seen, axis=0) / 3
    k, j, i = np.indices(volume.array.shape)
    away = np.abs(volume.geometry.index_to_lps(np.stack([i, j, k], axis=-1)) - middle)
    return LabelMap(np.all(away <= reach + 1e-3, axis=-1), volume.geometry)


def assert_same(read, original, tolerance=1e-3):
    """The same values at the same places, and the same volumes of what lies there."""
    assert np.array_equal(np.sort(read.array, axis=None), np.sort(original.array, axis=None))
    assert np.allclose(places(read), places(original), atol=tolerance)
    there, here = direct_volume(body(read, places(original))), direct_volume(body(original, places(original)))
    assert there.inputs["voxels"] == here.inputs["voxels"]
    assert there.value_ml == pytest.approx(here.value_ml, rel=1e-4)


@settings(max_examples=30)
@given(scans(), turns, st.sampled_from(["nrrd", "mha", "nii.gz"]))
def test_itk_in_any_order_of_axes(scan, turn, suffix):
    image = sitk.GetImageFromArray(scan.array)
    image.SetSpacing(scan.geometry.spacing)
    image.SetOrigin(scan.geometry.origin)
    image.SetDirection(scan.geometry.direction)
    order, flips = turn
    image = sitk.Flip(sitk.PermuteAxes(image, order), flips)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"scan.{suffix}"
        sitk.WriteImage(image, str(path))
        assert_same(read_scan(path), scan)


@settings(max_examples=30)
@given(scans(sheared=True), turns, st.sampled_from(["nii", "nii.gz"]))
def test_nibabel_in_any_order_of_axes(scan, turn, suffix):
    order, flips = turn
    image = nib.Nifti1Image(scan.array.transpose(2, 1, 0), RAS_TO_LPS @ scan.geometry.affine)
    image = image.as_reoriented(np.column_stack([order, np.where(flips, -1, 1)]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"scan.{suffix}"
        nib.save(image, path)
        assert_same(read_scan(path), scan)


@settings(max_examples=30)
@given(scans(sheared=True, mirrored=False), st.integers(0, 99), st.booleans())
def test_pydicom_in_any_order_of_files(scan, seed, backwards):
    with tempfile.TemporaryDirectory() as folder:
        write_dicom(scan, Path(folder), np.random.default_rng(seed), backwards)
        assert_same(read_scan(folder), scan)


@settings(max_examples=30)
@given(scans(sheared=True, mirrored=False, uneven=True), st.integers(0, 99), st.booleans())
def test_uneven_slices_through_pydicom(scan, seed, backwards):
    with tempfile.TemporaryDirectory() as folder:
        write_dicom(scan, Path(folder), np.random.default_rng(seed), backwards)
        read = read_scan(folder)
    # Gaps that differ by less than scanners round are taken for even.
    assert_same(read, scan, tolerance=1e-3 if read.geometry.is_uneven else 0.2)


@settings(max_examples=20)
@given(scans(sheared=True, uneven=True), turns)
def test_masks_of_uneven_slices_through_nibabel(scan, turn):
    mask = body(scan, places(scan))
    order, flips = turn
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mask.nii.gz"
        write_label_map(mask, path)
        again = nib.load(path).as_reoriented(np.column_stack([order, np.where(flips, -1, 1)]))
        nib.save(again, path)
        assert np.array_equal(read_label_map(path, like=scan.geometry).array, mask.array)


@settings(max_examples=25)
@given(solids(), st.tuples(*[st.booleans()] * 3))
def test_readings_and_surface_do_not_depend_on_the_direction_of_the_axes(mask, flips):
    turned = flipped(mask, flips)
    assert direct_volume(turned).value_ml == pytest.approx(direct_volume(mask).value_ml)
    assert measure_tada(turned).volume_ml == pytest.approx(measure_tada(mask).volume_ml, rel=1e-6)
    here, there = mesh_from_mask(mask), mesh_from_mask(turned)
    assert there.volume_ml == pytest.approx(here.volume_ml, rel=0.02)
    # Smoothing goes over the points in the order of the grid, so the tips differ by a fraction of a voxel.
    assert there.points.min(axis=0) == pytest.approx(here.points.min(axis=0), abs=0.6)
    assert there.points.max(axis=0) == pytest.approx(here.points.max(axis=0), abs=0.6)


def flipped(mask, flips):
    """The same mask with its voxels counted from the other end along i, j and k."""
    grid = mask.geometry
    corner = [n - 1 if flip else 0 for n, flip in zip(grid.size, flips, strict=True)]
    axes = grid.axes * np.where(flips, -1.0, 1.0)
    along = grid.slice_places_mm
    along = along[-1] - along[::-1] if flips[2] else along
    turned = Geometry(grid.size, grid.spacing, tuple(grid.index_to_lps(corner)), tuple(axes.ravel()), tuple(along))
    return LabelMap(np.flip(mask.array, [2 - axis for axis in range(3) if flips[axis]]), turned)


def write_dicom(scan, folder, rng, backwards):
    """One CT file per slice, numbered and named in any order, the stack written from either end."""
    series = generate_uid()
    row, column = scan.geometry.axes[:, 0], scan.geometry.axes[:, 1]
    count = len(scan.array)
    names = rng.permutation(count)
    for n in range(count):
        k = count - 1 - n if backwards else n
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.SeriesInstanceUID = CTImageStorage, generate_uid(), series
        dataset.Modality, dataset.InstanceNumber = "CT", int(names[n]) + 1
        dataset.ImagePositionPatient = [f"{v:.9g}" for v in scan.geometry.index_to_lps((0, 0, k))]
        dataset.ImageOrientationPatient = [f"{v:.9g}" for v in (*row, *column)]
        dataset.PixelSpacing = [f"{v:.9g}" for v in (scan.geometry.spacing[1], scan.geometry.spacing[0])]
        dataset.Rows, dataset.Columns = scan.array.shape[1:]
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
        dataset.PixelData = scan.array[k].tobytes()
        dataset["PixelData"].VR = "OW"
        pydicom.dcmwrite(folder / f"{names[n]}.dcm", dataset, enforce_file_format=True)
