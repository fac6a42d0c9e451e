"""Every row of the catalogue of real DICOM sets and of files that break readers has its outcome."""

import re
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from hemaview.errors import ScanError
from hemaview.imaging.reading import Verdict, list_series, read_scan

sys.path.insert(0, str(Path(__file__).parent))

from catalogue_rows import SECTION_3, SECTION_5, Lists, Looks, Opens, Refuses
from fuzzing.subjects import copy_companions

SECTIONS = {3: ("dicom_series", SECTION_3), 5: ("odd_files", SECTION_5)}


def _entries(kind):
    return [
        pytest.param(folder, entry, id=f"{entry.path}{' listed' if kind is Lists else ''}")
        for folder, rows in SECTIONS.values()
        for entries in rows.values()
        for entry in entries
        if isinstance(entry, kind)
    ]


@pytest.fixture
def alone(shared_data, tmp_path):
    """``alone(folder, path)``: a copy of one file with the other half of its pair; a folder or zip as it is."""

    def place(folder, path):
        source = shared_data / folder / path
        if source.is_dir() or source.suffix == ".zip":
            return source
        copy_companions(source, tmp_path)
        return Path(shutil.copyfile(source, tmp_path / source.name))

    return place


@pytest.mark.parametrize("number", SECTIONS)
def test_every_row_and_every_file_has_an_outcome(shared_data, number):
    folder, rows = SECTIONS[number]
    text = (shared_data / "CATALOGUE.md").read_text()
    section = text.split(f"\n## {number}. ")[1].split("\n## ")[0]
    assert re.findall(r"^\| `([^`]+)`", section, flags=re.MULTILINE) == list(rows)
    stated = {entry.path for entries in rows.values() for entry in entries}
    roots = [path for path in stated if (shared_data / folder / path).is_dir()]
    for file in (shared_data / folder).rglob("*"):
        name = file.relative_to(shared_data / folder).as_posix()
        # The 48 orientations and the vendors' ground truths have tests of their own beside these.
        spoken_for = "nifti_space_48" in name or name.endswith("_ground_truth.nii.gz")
        assert file.is_dir() or spoken_for or name in stated or any(name.startswith(f"{r}/") for r in roots), name


@pytest.mark.parametrize(("folder", "entry"), _entries(Opens))
def test_opens_with_its_true_size_spacing_and_values(alone, folder, entry):
    volume = read_scan(alone(folder, entry.path))
    assert volume.not_measurable is None
    assert volume.geometry.size == entry.size
    assert volume.geometry.spacing == pytest.approx(entry.spacing, abs=1e-3)
    assert np.all(np.isfinite(volume.array))
    if entry.values:
        assert (volume.array.min(), volume.array.max()) == pytest.approx(entry.values, rel=1e-3)
    assert entry.words in " ".join(volume.notes)


@pytest.mark.parametrize(("folder", "entry"), _entries(Looks))
def test_opens_to_be_looked_at_only_with_its_reason(alone, folder, entry):
    volume = read_scan(alone(folder, entry.path))
    assert entry.words in volume.not_measurable
    assert volume.array.min() < volume.array.max()


@pytest.mark.parametrize(("folder", "entry"), _entries(Refuses))
def test_is_refused_with_its_reason(alone, folder, entry):
    with pytest.raises(ScanError) as refusal:
        read_scan(alone(folder, entry.path))
    text = str(refusal.value)
    assert entry.words in text
    assert text.endswith(".")
    assert "\n" not in text


@pytest.mark.parametrize(("folder", "entry"), _entries(Lists))
def test_lists_every_stack_with_its_verdict(shared_data, folder, entry):
    found = sorted(list_series(shared_data / folder / entry.path), key=lambda s: _key(_part(s), s))
    expected = sorted(entry.stacks, key=lambda s: _key(s.part, s))
    assert [_key(_part(s), s) for s in found] == [_key(s.part, s) for s in expected]
    for summary, stack in zip(found, expected, strict=True):
        assert (summary.reason is None) == (stack.verdict is Verdict.MEASURABLE)
        assert stack.words in " ".join((summary.reason or "", *summary.notes))
        if stack.spacing:
            assert summary.spacing == pytest.approx(stack.spacing, abs=1e-3)


def _part(summary):
    return summary.uid.partition("#")[2]


def _key(part, stack):
    return part, stack.verdict, stack.size or ()


SINGLE_FRAMES = [
    "ge_hispeed_ct_head_tilt.zip", "philips_ct_phantom_multiseries_dicomdir.zip", "philips_swi_mag_phase_mixed.zip",
    "siemens_xa30_t1w_jpegll_fragmented.zip", "nih_ge_siemens_epi_multiseries.zip", "dcmqi_ct_seg/ct-3slice",
    *[f"d2n_small_vendor_sets/{name}" for name in (
        "ge/anatomical/001", "generic/anatomical/002_non_isotropic", "hitachi/anatomical/001", "philips/anatomical/001",
        "siemens/anatomical/001", "generic/compressed_jpegls/001",
    )],
]  # fmt: skip


@pytest.mark.parametrize("name", SINGLE_FRAMES)
def test_every_slice_lies_where_itk_puts_its_file(shared_data, tmp_path, name):
    """SimpleITK reads a single picture right, so each slice is looked for among them; its stacking is not used."""
    folder = shared_data / "dicom_series" / name
    if folder.suffix == ".zip":
        with zipfile.ZipFile(folder) as archive:
            archive.extractall(tmp_path)
        folder = tmp_path
    pictures = [picture for path in sorted(folder.rglob("*")) if (picture := _picture(path)) is not None]
    volume = read_scan(folder)
    for k, plane in enumerate(volume.array):
        place = volume.geometry.index_to_lps((0, 0, k))
        here = [values for origin, values in pictures if np.linalg.norm(place - origin) < 0.02]
        assert any(_same(plane, values) for values in here), k


def _picture(path):
    """Place and values of a DICOM file's only picture."""
    if not path.is_file():
        return None
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError:
        return None
    if image.GetDimension() != 3 or image.GetSize()[2] != 1 or image.GetNumberOfComponentsPerPixel() != 1:
        return None
    return np.array(image.GetOrigin()), sitk.GetArrayFromImage(image)[0]


def _same(plane, values):
    """Whether they hold the same numbers, padding below air aside."""
    return plane.shape == values.shape and np.allclose(plane, np.maximum(values, plane.min()), rtol=1e-5, atol=1e-3)
