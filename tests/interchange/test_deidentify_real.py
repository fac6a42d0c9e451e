"""Real scanners' files, de-identified: nothing of their identity is left and every stack opens as the same stack."""

import hashlib
import re

import pydicom
import pytest

from hemaview.imaging.catalogue import Catalogue, SeriesItem, scan_paths
from hemaview.imaging.reading import Verdict, read_scan
from hemaview.interchange.deidentify import deidentify

IDENTIFYING = (
    "PatientID", "AccessionNumber", "InstitutionName", "InstitutionAddress", "StationName", "StudyDescription",
    "DeviceSerialNumber", "ProtocolName", "PatientBirthDate",
)  # fmt: skip
SHORTEST = 6
"""Shorter words occur in numbers by chance."""


def secrets_of(catalogue: Catalogue) -> set[bytes]:
    """Names, numbers, dates and UIDs that the middle pictures of all series state, in nested sequences too."""
    found: set[str] = set()
    for item in catalogue:
        with item.preview.source.open() as stream:
            dataset = pydicom.dcmread(stream, force=True, stop_before_pixels=True)
        for element in dataset.iterall():
            said = [str(value) for value in (element.value if element.VM > 1 else [element.value])]
            if element.VR == "PN":
                found.update(word for text in said for word in re.split(r"[\^=, ]+", text))
            elif element.VR == "UI" and element.keyword != "SOPClassUID":
                found.update(text for text in said if not text.startswith("1.2.840.10008."))
            elif element.VR in ("DA", "DT"):
                found.update(text[:8] for text in said)
            elif element.keyword in IDENTIFYING:
                found.update(said)
    return {text.encode("latin-1", "replace") for text in found if len(text) >= SHORTEST} - {b"REMOVED"}


def fingerprint(item: SeriesItem) -> tuple[object, ...]:
    """What must be the same before and after, of one stack."""
    if item.summary.verdict is Verdict.REFUSED:
        return item.summary.modality, item.summary.verdict
    volume = read_scan(item.path, series_uid=item.series_uid)
    return item.summary.verdict, volume.geometry, volume.modality, hashlib.sha256(volume.array.tobytes()).hexdigest()


@pytest.mark.parametrize(
    "name",
    [
        "dicom_series/ge_hispeed_ct_head_tilt.zip",
        "dicom_series/nih_ge_siemens_epi_multiseries.zip",
        "dicom_series/philips_ct_phantom_multiseries_dicomdir.zip",
        "dicom_series/philips_swi_mag_phase_mixed.zip",
        "dicom_series/siemens_xa30_t1w_jpegll_fragmented.zip",
        "dicom_series/enhanced_multiframe",
        "odd_files/dicom_transfer_syntaxes_siemens",
    ],
)
def test_the_stacks_are_the_same_and_say_nobody(shared_data, tmp_path, name):
    before = scan_paths([shared_data / name])
    dicom = [item for item in before if item.preview is not None]
    report = deidentify([shared_data / name], tmp_path / "out", with_screenshots=True)
    assert all(series.opens_as_before for series in report.series)
    after = scan_paths([tmp_path / "out"])
    assert after.notes == ()
    assert sorted(map(str, map(fingerprint, after))) == sorted(map(str, map(fingerprint, dicom)))
    secrets = secrets_of(Catalogue(tuple(p for p in before.patients if p.series[0].preview is not None)))
    assert secrets
    for path in (tmp_path / "out").rglob("*.dcm"):
        content = path.read_bytes()
        assert not [secret for secret in secrets if secret in content], path
