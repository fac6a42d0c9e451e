"""Surfaces of masks that people drew on real scans."""

import pytest

from hemaview.evaluation.real_cases import REAL_CASES
from hemaview.surface import check_printability, mesh_from_mask, stl_bytes

NAMES = ("TCGA-DU-7294 FLAIR", "phe_sich_0021 CT", "physionet epidural CT", "open_ms patient19 FLAIR")


@pytest.mark.parametrize("case", [case for case in REAL_CASES if case.name in NAMES], ids=lambda case: case.name)
def test_drawn_lesions_print(case, shared_data):
    if not case.available(shared_data):
        pytest.skip(f"the files of {case.name} are not in {shared_data}")
    _, mask = case.load(shared_data)
    mesh = mesh_from_mask(mask)
    report = check_printability(mesh, mask)
    assert report.printable
    assert report.pinched_points == 0
    assert abs(report.deviation) < 0.01
    assert abs(report.stretch) < 0.02
    assert len(stl_bytes(mesh)) == 84 + 50 * report.triangles
