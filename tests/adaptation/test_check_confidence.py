"""The table that says how far a slice's confidence can be trusted."""

import numpy as np
import pytest

from hemaview.adaptation.check_confidence import main, table


def test_slices_are_sorted_into_the_ranges_of_their_estimate():
    said = table(np.array([[0.3, 0.2], [0.55, 0.6], [0.95, 0.9], [1.0, 1.0]]))
    assert "4 slices" in said
    assert "| 0.00 to 0.50 | 1 | 0.333 | 100% |" in said
    assert "| 0.50 to 0.60 | 1 | 0.750 | 0% |" in said
    assert "| 0.90 to 1.00 | 2 | 0.974 | 0% |" in said
    assert "0.60 to 0.70" not in said


@pytest.mark.slow
def test_unsure_slices_are_worse_on_phantoms(capsys):
    assert main(["--cases", "4"]) == 0
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines() if " to " in line]
    dice = {row[1].strip(): float(row[3]) for row in rows}
    counts = {row[1].strip(): int(row[2]) for row in rows}
    unsure = [name for name in dice if float(name[:4]) < 0.7]
    sure = [name for name in dice if float(name[:4]) >= 0.8]

    def mean(names):
        return np.average([dice[n] for n in names], weights=[counts[n] for n in names])

    assert mean(sure) > mean(unsure) + 0.1
