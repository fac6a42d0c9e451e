"""STL files: as other programs read them, and never half written."""

import errno
import os
import re
import shutil
import struct
import subprocess

import numpy as np
import pytest

from hemaview.errors import ExportError
from hemaview.imaging import Geometry, LabelMap
from hemaview.surface import Mesh, mesh_from_mask, write_stl


@pytest.fixture(scope="module")
def mask():
    geometry = Geometry((60, 60, 14), (0.8, 0.8, 4.0), (-150.0, 80.0, 1200.0), (1, 0, 0, 0, 1, 0, 0, 0, -1))
    k, j, i = np.meshgrid(*(np.arange(n) for n in geometry.shape), indexing="ij")
    inside = ((i - 30) / 22) ** 2 + ((j - 30) / 15) ** 2 + ((k - 7) / 4.4) ** 2 <= 1
    return LabelMap(inside & ~((i > 36) & (j > 30)), geometry)


@pytest.fixture(scope="module")
def mesh(mask):
    return mesh_from_mask(mask)


@pytest.fixture
def stl(mesh, tmp_path):
    path = tmp_path / "haematoma.stl"
    write_stl(mesh, path)
    return path


def test_header_count_and_corners(mesh, stl):
    data = stl.read_bytes()
    header = data[:80].decode("ascii")
    assert header.startswith("HEMAVIEW ")
    assert "SPACE=LPS" in header
    assert "mm" in header
    count = struct.unpack("<I", data[80:84])[0]
    assert count == len(mesh.triangles)
    assert len(data) == 84 + 50 * count
    facets = np.frombuffer(data[84:], dtype=[("n", "<f4", 3), ("v", "<f4", (3, 3)), ("a", "<u2")])
    assert facets["v"].astype(float) == pytest.approx(mesh.points[mesh.triangles], abs=1e-3)
    outward = np.cross(facets["v"][:, 1] - facets["v"][:, 0], facets["v"][:, 2] - facets["v"][:, 0])
    outward = outward / np.linalg.norm(outward, axis=1, keepdims=True)
    assert np.median((outward * facets["n"]).sum(axis=1)) == pytest.approx(1, abs=1e-3)


def test_vtk_reads_the_same_closed_solid(mesh, mask, stl):
    from vtkmodules.vtkFiltersCore import vtkFeatureEdges, vtkMassProperties
    from vtkmodules.vtkIOGeometry import vtkSTLReader

    reader = vtkSTLReader()
    reader.SetFileName(str(stl))
    edges = vtkFeatureEdges()
    edges.SetInputConnection(reader.GetOutputPort())
    edges.FeatureEdgesOff()
    edges.ManifoldEdgesOff()
    edges.Update()
    assert edges.GetOutput().GetNumberOfCells() == 0
    measured = vtkMassProperties()
    measured.SetInputConnection(reader.GetOutputPort())
    assert measured.GetVolume() / 1000 == pytest.approx(mesh.volume_ml, rel=1e-3)
    x0, x1, y0, y1, z0, z1 = reader.GetOutput().GetBounds()
    assert (x1 - x0, y1 - y0, z1 - z0) == pytest.approx(mesh.size_mm, abs=1e-3)
    assert x0 > -150
    assert z1 < 1205


def test_admesh_finds_nothing_to_repair(mesh, stl):
    program = shutil.which("admesh")
    if program is None:
        pytest.skip("admesh is not installed; install the Debian package of that name to run this check")
    done = subprocess.run([program, "--no-check", str(stl)], capture_output=True, text=True, check=True)
    checked = subprocess.run([program, str(stl)], capture_output=True, text=True, check=True)
    volume = float(re.search(r"Volume\s*:\s*([-\d.eE+]+)", done.stdout).group(1))
    assert volume / 1000 == pytest.approx(mesh.volume_ml, rel=1e-3)
    for fault in ("Degenerate facets", "Edges fixed", "Facets removed", "Facets added", "Facets reversed", "Backwards edges"):  # fmt: skip # noqa: E501
        assert int(re.search(rf"{fault}\s*:\s*(\d+)", checked.stdout).group(1)) == 0
    assert int(re.search(r"Number of parts\s*:\s*(\d+)", checked.stdout).group(1)) == 1


def test_open_inverted_and_empty_surfaces_are_refused(mesh, tmp_path):
    path = tmp_path / "x.stl"
    with pytest.raises(ExportError, match="not closed"):
        write_stl(Mesh(mesh.points, mesh.triangles[1:]), path)
    with pytest.raises(ExportError, match="inside out"):
        write_stl(mesh.flipped(), path)
    with pytest.raises(ExportError, match="empty"):
        write_stl(Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int32)), path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "said"), [(errno.ENOSPC, "disk is full"), (errno.EROFS, "cannot be written"), (errno.EIO, "not saved")]
)
def test_a_failing_disk_keeps_the_old_file(mesh, stl, monkeypatch, number, said):
    before = stl.read_bytes()

    def fail(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ExportError, match=said) as caught:
        write_stl(mesh, stl)
    assert str(caught.value).count(". ") == 0
    assert stl.read_bytes() == before
    assert [left.name for left in stl.parent.iterdir()] == [stl.name]


def test_a_missing_folder_is_one_sentence(mesh, tmp_path):
    with pytest.raises(ExportError, match="does not exist"):
        write_stl(mesh, tmp_path / "missing" / "x.stl")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_read_only_folder(mesh, tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ExportError, match="cannot be written"):
            write_stl(mesh, tmp_path / "x.stl")
    finally:
        tmp_path.chmod(0o700)
