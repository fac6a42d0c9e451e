"""The sample phantom with the bundled model, as the demo shows it."""

from __future__ import annotations

import numpy as np

from hemaview.case.sample import load_sample
from hemaview.imaging.reading import read_label_map
from hemaview.segmentation.registry import load_engine
from hemaview.volumetry import ReadingKind


def test_the_sample_opens_with_its_box_segmented_by_the_bundled_model(open_window):
    window = open_window(engine_loader=load_engine).window
    window.workflow.opening.open_sample(segment=True)
    assert window.settle(240)
    sample = load_sample()
    truth = read_label_map(sample.truth, window.state.geometry).array
    found = window.case.mask.array
    assert 2 * np.count_nonzero(found & truth) / (np.count_nonzero(found) + np.count_nonzero(truth)) > 0.85
    direct = float(window.volumes.rows[ReadingKind.DIRECT].text)
    assert abs(direct / sample.true_volume_ml - 1) < 0.15
    assert "phantom" in window.windowTitle()
    assert window.workflow.engine.title in window.status_text
    window.show_tada_slice()
    assert window.grid.current.slice_index == window.case.tada().slice_index
