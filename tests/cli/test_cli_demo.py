"""``hemaview demo`` where there is no screen: the whole window works unseen and leaves its results."""

import json
import os
import re
import subprocess
import sys

import nibabel
import numpy as np
import pytest

from hemaview.case.sample import load_sample


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux runs without a screen")
def test_the_demo_without_a_screen_leaves_results_beside_the_true_volume(tmp_path):
    screen = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    environment = {name: value for name, value in os.environ.items() if name not in screen}
    environment["XDG_DATA_HOME"] = str(tmp_path / "home")
    ran = subprocess.run(
        [sys.executable, "-m", "hemaview", "demo"],
        capture_output=True, text=True, env=environment, cwd=tmp_path,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    sample = load_sample()
    out = tmp_path / "hemaview-demo"
    assert {"window.png", "mask.nii.gz", "volumes.csv", "haematoma.stl"} <= {file.name for file in out.iterdir()}
    assert "phantom" in ran.stdout
    assert re.search(rf"true +{sample.true_volume_ml:.2f} ", ran.stdout)
    record = json.loads((out / "segmentation.json").read_text())
    for reading in record["readings"]:
        value = reading["value_ml"]
        assert f"{reading['method']:<12}{'-' if value is None else f'{value:.2f}':>8}" in ran.stdout
    assert record["readings"][0]["value_ml"] == pytest.approx(sample.true_volume_ml, rel=0.15)
    found = np.asanyarray(nibabel.load(out / "mask.nii.gz").dataobj) > 0
    truth = np.asanyarray(nibabel.load(sample.truth).dataobj) > 0
    assert 2 * np.count_nonzero(found & truth) / (found.sum() + truth.sum()) > 0.85
    assert (out / "window.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "window.png").stat().st_size > 50_000
