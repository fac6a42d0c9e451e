"""The threads behind the window: newest wins, cancel, errors, clean end."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from PySide6.QtCore import Signal

from hemaview.errors import ScanError
from hemaview.gui.derived_worker import head_outline
from hemaview.gui.newest_wins import NewestWinsThread
from hemaview.gui.scan_reading import Wanted, find_scans, read_scans
from hemaview.gui.task_thread import Task, TaskQueue, TaskThread
from hemaview.imaging import Geometry, Volume


class Recorder(NewestWinsThread[int]):
    """Waits at each job for the gate, or until it is cancelled."""

    done = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.began = threading.Event()

    def process(self, job, cancel) -> None:
        self.began.set()
        while not self.gate.wait(0.005):
            cancel.raise_if_cancelled()
        cancel.raise_if_cancelled()
        self.done.emit(job)


def test_only_the_newest_job_is_answered(qtbot):
    worker = Recorder()
    answers = []
    worker.done.connect(answers.append)
    worker.submit(1)
    assert worker.began.wait(10)
    for job in (2, 3, 4):
        worker.submit(job)
    worker.gate.set()
    qtbot.waitUntil(lambda: answers != [], timeout=10_000)
    worker.close()
    assert answers == [4]


def test_close_stops_a_running_job_and_takes_no_more(qtbot):
    worker = Recorder()
    worker.submit(1)
    assert worker.began.wait(10)
    worker.close()
    assert worker.isFinished()
    worker.submit(2)
    assert worker.isFinished()


def test_a_job_that_fails_does_not_end_the_thread(qtbot):
    class Fragile(Recorder):
        def process(self, job, cancel) -> None:
            if job == 1:
                raise RuntimeError
            super().process(job, cancel)

    worker = Fragile()
    worker.gate.set()
    answers = []
    worker.done.connect(answers.append)
    worker.submit(1)
    worker.submit(2)
    qtbot.waitUntil(lambda: answers == [2], timeout=10_000)
    worker.close()


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (ScanError("The scan is cut off; copy it again."), "The scan is cut off; copy it again."),
        (
            OSError(5, "Input/output error"),
            "The disk answered with an error (Input/output error); check it and try again.",
        ),
        (KeyError("inside"), "Opening stopped unexpectedly (KeyError); nothing was changed."),
        (None, None),
    ],
)
def test_a_task_is_answered_once_with_a_result_or_a_sentence(qtbot, failure, expected):
    def work(report):
        report(0.5)
        if failure is not None:
            raise failure
        return 42

    thread = TaskThread()
    with qtbot.waitSignal(thread.answered, timeout=10_000) as answer:
        thread.submit(Task("Opening", work, lambda result: None))
    thread.close()
    _, result, sentence = answer.args
    assert sentence == expected
    assert result == (42 if failure is None else None)


def test_a_cancelled_task_has_an_empty_sentence(qtbot):
    running = threading.Event()

    def work(report):
        running.set()
        while True:
            report(0.1)

    thread = TaskThread()
    with qtbot.waitSignal(thread.answered, timeout=10_000) as answer:
        thread.submit(Task("Opening", work, lambda result: None))
        assert running.wait(10)
        thread.cancel()
    thread.close()
    assert answer.args[2] == ""


def test_the_head_outline_lies_where_the_head_is():
    geometry = Geometry((80, 90, 40), (2.0, 2.0, 4.0), (-70.0, 11.0, -33.0))
    k, j, i = np.indices(geometry.shape)
    centre, radii = (40.0, 45.0, 20.0), (30.0, 36.0, 15.0)
    inside = ((i - centre[0]) / radii[0]) ** 2 + ((j - centre[1]) / radii[1]) ** 2 + (
        (k - centre[2]) / radii[2]
    ) ** 2 < 1
    volume = Volume(np.where(inside, 500, 0).astype(np.int16), geometry)
    outline = head_outline(volume)
    middle = (outline.points.max(axis=0) + outline.points.min(axis=0)) / 2
    np.testing.assert_allclose(middle, geometry.index_to_lps(centre), atol=4)
    np.testing.assert_allclose(outline.size_mm, 2 * np.array(radii) * geometry.spacing, atol=12)


def test_a_scan_without_a_head_has_no_outline():
    geometry = Geometry((30, 30, 30), (2.0, 2.0, 2.0))
    assert head_outline(Volume(np.zeros(geometry.shape, dtype=np.int16), geometry)) is None
    assert head_outline(Volume(np.full((2, 30, 30), 5, dtype=np.int16), Geometry((30, 30, 2), (1.0, 1.0, 5.0)))) is None


def test_a_zip_with_one_series_to_measure_among_others_opens_that_one(shared_data):
    archive = shared_data / "dicom_series" / "philips_ct_phantom_multiseries_dicomdir.zip"
    seen, counts = [], []
    found = find_scans([archive], seen.append, lambda done, total: counts.append((done, total)))
    (scan,) = found.scans.scans
    assert scan.volume.geometry.size == (512, 512, 28)
    assert "only this one" in found.others_hint
    assert seen == sorted(seen)
    assert counts[-1][0] == counts[-1][1] > 30


def test_a_folder_with_several_series_to_measure_leaves_the_choice(shared_data):
    folder = shared_data / "dicom_series"
    names = ("ge_hispeed_ct_head_tilt.zip", "philips_ct_phantom_multiseries_dicomdir.zip")
    found = find_scans([folder / name for name in names], lambda share: None, lambda done, total: None)
    assert found.scans is None
    wanted = [Wanted.of(item) for item in found.catalogue if item.summary.measurable]
    seen = []
    read = read_scans(wanted, seen.append)
    assert [scan.path.name for scan in read.scans] == sorted(names)
    assert read.problems == ()
    assert seen == sorted(seen)


def test_tasks_are_carried_out_in_turn_and_the_latest_opening_wins(qtbot):
    gate = threading.Event()
    queue = TaskQueue()
    results = []

    def waits(value):
        def work(report):
            while not gate.wait(0.005):
                report(0.5)
            return value

        return work

    for value in (1, 2, 3):
        queue.run(Task("Opening", waits(value), results.append, replaceable=True))
    for value in (4, 5):
        queue.run(Task("Saving", waits(value), results.append))
    gate.set()
    qtbot.waitUntil(lambda: len(results) == 3, timeout=10_000)
    assert results == [3, 4, 5]
    assert not queue.is_busy
    queue.close()


def test_cancel_leaves_nothing_waiting_even_before_the_first_task_began(qtbot):
    queue = TaskQueue()
    labels, results = [], []
    queue.changed.connect(lambda label, fraction: labels.append(label))
    for value in (1, 2, 3):
        queue.run(Task("Saving", lambda report, value=value: value, results.append))
    queue.cancel()
    assert not queue.is_busy
    assert labels[-1] == ""
    queue.run(Task("Saving", lambda report: 4, results.append))
    qtbot.waitUntil(lambda: results != [], timeout=10_000)
    queue.close()
    assert results == [4]


def test_a_report_for_each_of_many_files_does_not_flood_the_window(qtbot):
    told, ended = [], []
    queue = TaskQueue()
    queue.changed.connect(lambda label, fraction: told.append(fraction))

    def work(report) -> None:
        for number in range(5000):
            report(number / 5000)

    queue.run(Task("Looking", work, ended.append))
    qtbot.waitUntil(lambda: ended != [], timeout=20_000)
    queue.close()
    assert 2 <= len(told) < 1000
