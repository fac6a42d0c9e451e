"""``hemaview prepare``: what it writes, and how it refuses."""

import json

import nibabel
import numpy as np
import pytest

from hemaview.case.sample import load_sample


def test_it_writes_on_the_scans_own_grid(run, scan, tmp_path):
    out = tmp_path / "out.nii.gz"
    ran = run("prepare", scan, out, "--steps", "normalise", "denoise:method=nlm", "--box-voxels", 25, 35, 8, 50, 60, 20)
    assert ran.code == 0
    assert "after denoise, normalise" in ran.out
    before, after = nibabel.load(scan), nibabel.load(out)
    assert np.allclose(before.affine, after.affine)
    assert before.shape == after.shape
    assert after.header["descrip"].tobytes().startswith(b"HEMAVIEW prepared: denoise, normalise")
    head = before.get_fdata() > 200
    assert abs(np.median(after.get_fdata()[head])) < 0.5


def test_two_scans_are_aligned_and_the_move_is_told(run, tmp_path):
    image = nibabel.load(load_sample().scan).slicer[::2, ::2, :]
    affine = image.affine.copy()
    affine[:3, 3] += (6.0, -5.0, 4.0)
    nibabel.save(image, tmp_path / "fixed.nii.gz")
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), affine), tmp_path / "moved.nii.gz")
    ran = run("prepare", tmp_path / "moved.nii.gz", tmp_path / "back.nii.gz", "--align-to", tmp_path / "fixed.nii.gz")
    assert ran.code == 0
    move = json.loads(ran.out.splitlines()[0])
    assert move["shift"] == pytest.approx([-6, 5, 4], abs=0.7)
    assert np.allclose(nibabel.load(tmp_path / "back.nii.gz").affine, image.affine)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "at least one step"),
        (["--steps", "magic"], 3, "There is no step 'magic'"),
        (["--steps", "n4:iterations=many"], 3, "no setting iterations=many"),
        (["--steps", "denoise", "--box-voxels", "0", "0", "0", "500", "5", "5"], 4, "within the scan"),
        (["--steps", "denoise", "denoise"], 3, "twice"),
    ],
)
def test_wrong_use_is_one_sentence(run, scan, tmp_path, arguments, code, said):
    ran = run("prepare", scan, tmp_path / "out.nii.gz", *arguments)
    assert ran.code == code
    assert said in ran.err
    assert not (tmp_path / "out.nii.gz").exists()


def test_only_nifti_is_written(run, scan, tmp_path):
    assert run("prepare", scan, tmp_path / "out.png", "--steps", "denoise").code == 2
