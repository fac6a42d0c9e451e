"""deepbet's networks: used only when the user installed them, and only the published files."""

from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from hemaview.errors import ModelError, ScanError
from hemaview.imaging import Geometry, Modality, Volume
from hemaview.imaging.reading import read_scan
from hemaview.segmentation.deepbet import deepbet_brain_mask, is_installed
from hemaview.segmentation.deepbet.files import BOX_MODEL, MODEL, checked_path


class Wheel:
    """Stands for the list of files of an installed wheel."""

    def __init__(self, root: Path, *names: str) -> None:
        self.entries = [Entry(root, name) for name in names]


class Entry:
    def __init__(self, root: Path, name: str) -> None:
        self._root, self._name = root, name

    def __str__(self) -> str:
        return self._name

    def locate(self) -> Path:
        return self._root / self._name


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Pretend that a wheel with these files is installed."""

    def put(**contents: bytes) -> None:
        names = {"box": BOX_MODEL, "model": MODEL}
        for key, data in contents.items():
            path = tmp_path / names[key]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        wheel = Wheel(tmp_path, *(names[key] for key in contents))
        monkeypatch.setattr(metadata, "files", lambda name: wheel.entries)

    return put


def test_without_the_wheel_it_is_not_there(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "files", missing)
    assert not is_installed()
    with pytest.raises(ModelError, match="pip install"):
        checked_path(MODEL)


def test_half_a_wheel_is_none(installed):
    installed(model=b"x")
    assert not is_installed()


def test_an_altered_file_is_never_run(installed):
    installed(box=b"x", model=b"y")
    assert is_installed()
    with pytest.raises(ModelError, match="not the published one"):
        checked_path(BOX_MODEL)
    scan = Volume(np.random.default_rng(0).random((8, 16, 16)).astype(np.float32), Geometry((16, 16, 8), (1, 1, 1)))
    with pytest.raises(ModelError, match="not the published one"):
        deepbet_brain_mask(scan)


def test_a_ct_is_refused():
    scan = Volume(np.zeros((4, 8, 8), np.int16), Geometry((8, 8, 4), (1, 1, 1)), Modality.CT)
    with pytest.raises(ScanError, match="CT"):
        deepbet_brain_mask(scan)


@pytest.mark.skipif(not is_installed(), reason="deepbet is not installed")
def test_its_mask_does_not_depend_on_how_the_axes_run(shared_data):
    scan = read_scan(shared_data / "templates/mricron_colin27/ch2.nii.gz")
    found = deepbet_brain_mask(scan).array
    assert 1700 < scan.geometry.volume_ml(found) < 2050
    turned = np.ascontiguousarray(scan.array.transpose(1, 0, 2)[:, :, ::-1])
    affine = scan.geometry.affine @ np.array([[-1, 0, 0, 180], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]])
    again = deepbet_brain_mask(Volume(turned, Geometry.from_affine(affine, turned.shape[::-1])))
    assert np.array_equal(again.array, found.transpose(1, 0, 2)[:, :, ::-1])
