"""How long the three readings take on 512 x 512 x 40, beside labelling the same mask in the same run."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage

from hemaview.adaptation.fit_correction import MeasuredCase, fit_correction, split_by_patient
from hemaview.imaging import Geometry, LabelMap, Modality, Volume
from hemaview.segmentation import BoxPrompt, EngineInfo, Prompt, Segmentation
from hemaview.volumetry import Evidence, abc_over_2, corrected_volume, direct_volume
from hemaview.volumetry.correction import measure_features

pytestmark = pytest.mark.benchmark

ENGINE = EngineInfo("tried", "Tried model", "CPU", "ab" * 32, "nothing", "none")


def median_ms(action: Callable[[], object], repeats: int = 9) -> float:
    """Median processor time of ``action`` in ms after one call to warm up; wall time depends on who else runs."""
    action()
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        action()
        taken.append(time.process_time() - start)
    return 1000 * float(np.median(taken))


@pytest.mark.parametrize("radius", [15.0, 23.0, 33.0], ids=["14 mL", "50 mL", "150 mL"])
def test_three_readings(radius, capsys, record_property):
    geometry = Geometry((512, 512, 40), (0.45, 0.45, 3.5))
    k, j, i = np.ogrid[:40, :512, :512]
    distance = np.sqrt(((k - 20) * 3.5) ** 2 + ((j - 250) * 0.45) ** 2 + ((i - 260) * 0.45) ** 2) - radius
    probability = (1 / (1 + np.exp(distance))).astype(np.float32)
    mask = LabelMap(probability > 0.5, geometry)
    bounds = mask.bounds()
    assert bounds is not None
    region = tuple(slice(max(0, b.start - 4), b.stop + 4) for b in bounds)
    made = Segmentation(
        probability[region], region, geometry, Prompt.of(BoxPrompt.around(mask)), ENGINE, np.ones(1, np.float32), 0, 0
    )
    scan = Volume(np.zeros(geometry.shape, np.int16), geometry, Modality.CT)
    base = measure_features(mask, Evidence.of(made))
    rng = np.random.default_rng(0)
    cases = [
        MeasuredCase(str(n), {name: v * (1 + 0.1 * rng.normal()) for name, v in base.items()}, base["volume_ml"])
        for n in range(80)
    ]
    about = {"engine": ENGINE.name, "engine_sha256": ENGINE.sha256, "modality": "CT", "trained_on": "made-up patients"}
    corrections = (fit_correction(split_by_patient(cases, 0), **about),)

    direct = median_ms(lambda: direct_volume(mask))
    tada = median_ms(lambda: abc_over_2(mask))
    corrected = median_ms(lambda: corrected_volume(mask, made, scan, False, corrections))
    reference = median_ms(lambda: ndimage.label(mask.array))
    total = direct + tada + corrected
    record_property("ratio", total / reference)
    with capsys.disabled():
        print(
            f"\nreadings of {base['volume_ml']:.0f} mL: direct {direct:.1f} + Tada {tada:.1f} + corrected "
            f"{corrected:.1f} = {total:.1f} ms CPU; labelling {reference:.1f} ms, ratio {total / reference:.2f}"
        )
    assert corrected_volume(mask, made, scan, False, corrections).value_ml is not None
