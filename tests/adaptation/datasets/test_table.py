"""The cohort as a table, and everything a hand-written table can get wrong."""

import numpy as np
import pytest

from hemaview.adaptation.datasets import DataError, table_scans

HEAD = "image,mask,patient,sequence\n"


@pytest.fixture
def cohort(tmp_path, save_scan, picture, labels):
    for number in (1, 2):
        save_scan(tmp_path / "scans" / f"{number}.nii.gz", picture(number))
        save_scan(tmp_path / "scans" / f"{number}-mask.nii.gz", (labels > 0).astype(np.int16))
    return tmp_path / "cohort.csv"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_file_names_are_relative_to_the_table(cohort, picture, separator):
    lines = (
        "\ufeffPatient, Image,mask ,sequence,comment",
        "P 1,scans/1.nii.gz,scans/1-mask.nii.gz,flair,none",
        "",
        "P 2,scans/2.nii.gz,scans/2-mask.nii.gz,,none",
    )
    cohort.write_text("\n".join(lines).replace(",", separator), encoding="utf-8")
    first, second = table_scans(cohort)
    assert (first.patient, first.case, first.sequence) == ("P 1", "P 1 flair", "flair")
    assert second.case == "P 2"
    volume, mask = second.load()
    assert (volume.array == picture(2)).all()
    assert mask.voxel_count == 44


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("image,mask\n", "lacks the columns patient, sequence"),
        ("", "lacks the columns"),
        (HEAD, "no line below its first"),
        (HEAD + "scans/1.nii.gz,scans/1-mask.nii.gz,,flair\n", 'Line 2 .* nothing in the column "patient"'),
        (HEAD + "scans/9.nii.gz,scans/1-mask.nii.gz,A,flair\n", "Line 2 .* names scans/9.nii.gz, which is not there"),
        (
            HEAD + "scans/1.nii.gz,scans/1-mask.nii.gz,A,flair\nscans/1.nii.gz,scans/2-mask.nii.gz,B,flair\n",
            "Line 3 .* again .first in line 2, there for the patient A.",
        ),
        (
            HEAD + "scans/1.nii.gz,scans/1-mask.nii.gz,A,flair\nscans/2.nii.gz,scans/2-mask.nii.gz,A,flair\n",
            "Line 3 .* lists the patient A with the same sequence as line 2",
        ),
        (
            HEAD + "scans/1.nii.gz,scans/1-mask.nii.gz,P01,flair\nscans/2.nii.gz,scans/2-mask.nii.gz,p 01,t2\n",
            'Line 3 .* writes the patient "p 01", an earlier line "P01"',
        ),
    ],
)
def test_a_wrong_table_is_refused_with_its_line(cohort, text, sentence):
    cohort.write_text(text)
    with pytest.raises(DataError, match=sentence) as refused:
        table_scans(cohort)
    assert str(refused.value).count("\n") == 0


def test_scans_of_one_patient_are_told_apart_by_a_case(cohort):
    cohort.write_text(
        "image,mask,patient,sequence,case\n"
        "scans/1.nii.gz,scans/1-mask.nii.gz,A,flair,A day 0\nscans/2.nii.gz,scans/2-mask.nii.gz,A,flair,A day 3\n"
    )
    assert [scan.case for scan in table_scans(cohort)] == ["A day 0", "A day 3"]


def test_masks_that_do_not_fit_are_named_when_read(cohort, save_scan, labels):
    cohort.write_text(HEAD + "scans/1.nii.gz,scans/1-mask.nii.gz,A,flair\n")
    (scan,) = table_scans(cohort)
    save_scan(cohort.parent / "scans" / "1-mask.nii.gz", labels[:, :10])
    with pytest.raises(DataError, match=r"Line 2 of cohort\.csv: .* does not fit this scan"):
        scan.load()
    save_scan(cohort.parent / "scans" / "1-mask.nii.gz", np.zeros_like(labels))
    with pytest.raises(DataError, match="The mask of A flair is empty"):
        scan.load()


def test_what_is_no_table_is_refused(tmp_path):
    with pytest.raises(DataError, match="no table"):
        table_scans(tmp_path / "none.csv")
    (tmp_path / "table.csv").write_bytes(b"\xff\xfe\x00image")
    with pytest.raises(DataError, match="UTF-8"):
        table_scans(tmp_path / "table.csv")
