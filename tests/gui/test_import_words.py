"""What the browser says and offers, and which series it takes for the likely best."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from hemaview.gui.import_choice import likely_best, likely_wanted, offer, opens_at_once
from hemaview.gui.import_words import (
    contents_text,
    day_text,
    family_text,
    left_out_text,
    matrix_text,
    patient_text,
    slices_text,
    spacing_text,
    spoken_row,
    study_text,
    verdict_sentence,
)
from hemaview.imaging.catalogue import Catalogue, LeftOut, Patient, SeriesItem, Study
from hemaview.imaging.reading import SeriesSummary, StudyKey, Verdict


def series(number=1, *, verdict=Verdict.MEASURABLE, size=(64, 64, 20), sequence="CT", patient="p1", spacing=None):
    reason = None if verdict is Verdict.MEASURABLE else "it is a scout"
    spacing = spacing or ((0.5, 0.5, 5.0) if size else None)
    summary = SeriesSummary(
        f"1.{number}", f"CT series {number}", "CT", 20, size, reason, verdict, spacing, "axial", sequence,
        study=StudyKey(patient, "s1"),
    )  # fmt: skip
    return SeriesItem(summary, Path("/cd"), summary.uid, 20)


def catalogue(*items, left_out=()):
    return Catalogue((Patient("p1", (Study("s1", "20200131", "", tuple(items)),)),), left_out)


def test_one_series_that_can_be_measured_leaves_no_choice():
    scout = series(1, verdict=Verdict.VIEWABLE)
    brain = series(2)
    assert opens_at_once(catalogue(scout, brain)) is brain
    assert opens_at_once(catalogue(scout)) is scout
    assert opens_at_once(catalogue(series(1), brain)) is None
    assert opens_at_once(catalogue(scout, series(3, verdict=Verdict.REFUSED))) is None


def test_the_best_series_is_measurable_has_slices_and_shows_blood():
    scout = series(1, verdict=Verdict.VIEWABLE, size=(900, 900, 400))
    single = series(2, size=(512, 512, 1))
    diffusion = series(3, sequence="DWI", size=(256, 256, 200))
    thin, thick = series(4, size=(512, 512, 150)), series(5, size=(512, 512, 30))
    assert likely_best(catalogue(scout, single, diffusion, thick, thin)) is thin
    assert likely_best(catalogue(scout, single, diffusion)) is diffusion
    assert likely_best(catalogue(scout, single)) is single
    assert likely_best(catalogue(scout)) is scout
    assert likely_best(Catalogue()) is None


def test_folders_that_leave_no_choice_are_wanted_together():
    def below(folder, number, **more):
        return dataclasses.replace(series(number, **more), path=Path("/cd") / folder)

    t1, flair, scout = below("t1", 1), below("flair", 2), below("flair", 3, verdict=Verdict.VIEWABLE)
    folders = [Path("/cd/t1"), Path("/cd/flair")]
    assert likely_wanted(catalogue(t1, flair, scout), folders) == (t1, flair)
    assert likely_wanted(catalogue(t1, flair, scout), [Path("/cd")]) == (likely_best(catalogue(t1, flair)),)
    assert len(likely_wanted(catalogue(t1, flair, below("flair", 4)), folders)) == 1
    assert len(likely_wanted(catalogue(t1, below("flair", 2, patient="p2")), folders)) == 1
    assert likely_wanted(Catalogue(), folders) == ()


def test_what_may_be_opened_together():
    assert offer([series(1)]).text == "Open"
    assert offer([series(1), series(2), series(3)]).text == "Open 3 scans as one case"
    assert offer([series(1)]).problem == ""
    assert offer([]).problem
    assert "scout" in offer([series(1, verdict=Verdict.REFUSED)]).problem
    assert "CT series 2" in offer([series(1), series(2, verdict=Verdict.REFUSED)]).problem
    assert "different patients" in offer([series(1), series(2, patient="p2")]).problem
    assert "too large" in offer([series(n, size=(512, 512, 600)) for n in (1, 2, 3)]).problem
    assert offer([series(1, size=(1024, 1024, 600))]).problem == ""
    look = offer([series(1, verdict=Verdict.VIEWABLE)])
    assert (look.text, look.problem) == ("Open to look only", "")
    assert look.caution


@pytest.mark.parametrize(
    ("spacing", "said"),
    [((0.5, 0.5, 5.0), "0.5 × 0.5 × 5"), ((1.0, 1.0, 1.0), "1"), ((0.488281, 0.488281, 4.0), "0.49 × 0.49 × 4")],
)
def test_voxels_are_said_shortly(spacing, said):
    assert spacing_text(series(spacing=spacing).summary) == said


def test_what_is_not_known_is_a_dash_and_pictures_count_as_slices():
    summary = series(size=None, verdict=Verdict.REFUSED).summary
    assert (matrix_text(summary), spacing_text(summary), slices_text(summary)) == ("–", "–", "20")
    assert matrix_text(series().summary) == "64 × 64"


def test_verdicts_are_sentences():
    for verdict in Verdict:
        sentence = verdict_sentence(series(verdict=verdict).summary)
        assert sentence.endswith(".")
        assert ("scout" in sentence) == (verdict is not Verdict.MEASURABLE)
    assert "cannot be opened because it is a scout" in spoken_row(series(verdict=Verdict.REFUSED))


@pytest.mark.parametrize(
    ("date", "said"), [("20200131", "31 Jan 2020"), ("", ""), ("20201331", ""), ("2020", ""), ("unknown!", "")]
)
def test_days(date, said):
    assert day_text(date) == said


def test_patients_and_studies_have_titles():
    found = catalogue(series())
    (patient,) = found.patients
    assert patient_text(patient, 3) == "Patient 3"
    assert patient_text(patient, 3, "Doe, Jane") == "Doe, Jane"
    assert patient_text(Patient("", ()), 3) == "Files that name no patient"
    assert study_text(patient.studies[0]) == "Study of 31 Jan 2020"
    assert study_text(Study("", "", "", (), Path("/data/mri"))) == "Folder mri"


def test_the_parts_of_a_series_have_one_title():
    parts = [
        dataclasses.replace(item, summary=dataclasses.replace(item.summary, label=f"MR series 4 (2D), time point {n}"))
        for n in range(1, 8)
        for item in [series(4)]
    ]
    assert family_text(parts).startswith("MR series 4 (2D) ")
    assert family_text(parts).endswith("7 parts")


def test_the_contents_and_what_was_left_out_are_said_in_a_line():
    items = (series(1), series(2, verdict=Verdict.VIEWABLE))
    left = (LeftOut("damaged or cut off", 2), LeftOut("not a scan", 1025))
    found = catalogue(*items, left_out=left)
    assert contents_text(found) == "1 patient · 1 study · 2 series, 1 measurable"
    assert left_out_text(found) == "1,027 files are no scans: 2 damaged or cut off, 1,025 not a scan."
    assert left_out_text(catalogue(*items, left_out=left[1:])) == "1,025 files are no scans."
    assert left_out_text(catalogue(*items)) == ""
