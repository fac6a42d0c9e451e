"""The table of volumes on disk."""

import csv

import numpy as np
import pytest

from hemaview.errors import ExportError
from hemaview.imaging import Geometry, LabelMap
from hemaview.volumetry import Reading, ReadingKind, readings, write_csv


@pytest.fixture
def mask():
    array = np.zeros((6, 20, 20), bool)
    array[2:5, 5:15, 4:16] = True
    return LabelMap(array, Geometry((20, 20, 6), (1, 1, 5)))


def test_columns_rows_and_note(mask, tmp_path):
    path = tmp_path / "volumes.csv"
    write_csv(readings(mask), path, {"model": "compact, 12 ab"})
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["method", "value_mL", "low_mL", "high_mL", "reason", "details"]
    assert [row["method"] for row in rows] == ["direct", "tada", "corrected", "model", "note"]
    assert float(rows[0]["value_mL"]) == pytest.approx(1.8)
    assert "a_mm=" in rows[1]["details"]
    assert rows[2]["value_mL"] == ""
    assert rows[2]["reason"].startswith("The mask was not made by a model")
    assert rows[3]["details"] == "compact, 12 ab"
    assert rows[4]["details"] == "research use, not a medical device"


def test_interval_is_written(tmp_path):
    reading = Reading(ReadingKind.CORRECTED, 10.5, (9.25, 12.0))
    write_csv([reading], tmp_path / "v.csv")
    assert "corrected,10.5,9.25,12,," in (tmp_path / "v.csv").read_text()


def test_a_reading_has_a_value_or_a_reason():
    with pytest.raises(ValueError):
        Reading(ReadingKind.DIRECT, None)
    with pytest.raises(ValueError):
        Reading(ReadingKind.DIRECT, 1.0, reason="why")


def test_missing_folder_is_one_sentence(mask, tmp_path):
    with pytest.raises(ExportError, match="does not exist"):
        write_csv(readings(mask), tmp_path / "no" / "v.csv")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ExportError, match="not saved"):
        write_csv(readings(mask), tmp_path / "folder")
    assert [left.name for left in tmp_path.iterdir()] == ["folder"]
