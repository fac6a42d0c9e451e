"""Work in the background goes on while nobody asks and stops when somebody does."""

import threading
import time

import pytest

from hemaview.errors import Cancelled
from hemaview.segmentation.sam import prefetching
from hemaview.segmentation.sam.prefetching import Prefetcher

PATIENCE = 20


class Job:
    """Work that runs until it is allowed to end, and looks at its check meanwhile."""

    def __init__(self):
        self.free = threading.Event()
        self.begun = threading.Event()
        self.done = []
        self.stopped = []

    def __call__(self, item, check):
        self.begun.set()
        while not self.free.is_set():
            try:
                check()
            except Cancelled:
                self.stopped.append(item)
                raise
            time.sleep(0.001)
        self.done.append(item)


def test_items_are_done_in_order():
    job = Job()
    job.free.set()
    prefetcher = Prefetcher(job)
    prefetcher.ask([3, 1, 2])
    assert prefetcher.wait(PATIENCE)
    assert job.done == [3, 1, 2]


def test_the_foreground_stops_it_and_it_goes_on_afterwards():
    job = Job()
    prefetcher = Prefetcher(job)
    prefetcher.ask([5, 6])
    assert job.begun.wait(PATIENCE)
    with prefetcher.held_off():
        assert job.stopped == [5]
        job.free.set()
        assert not prefetcher.wait(0.05)
        assert job.done == []
    assert prefetcher.wait(PATIENCE)
    assert job.done == [5, 6]


def test_new_items_replace_old_ones():
    job = Job()
    prefetcher = Prefetcher(job)
    prefetcher.ask([1, 2, 3])
    assert job.begun.wait(PATIENCE)
    prefetcher.ask([8])
    job.free.set()
    assert prefetcher.wait(PATIENCE)
    assert job.done in ([8], [1, 8])


def test_an_empty_list_stops_it():
    job = Job()
    prefetcher = Prefetcher(job)
    prefetcher.ask([1, 2])
    assert job.begun.wait(PATIENCE)
    prefetcher.ask([])
    assert prefetcher.wait(PATIENCE)
    assert job.done == []


def test_a_failure_is_left_to_the_foreground():
    done = []

    def work(item, check):
        if item == 1:
            raise RuntimeError("no memory")
        done.append(item)

    prefetcher = Prefetcher(work)
    prefetcher.ask([1, 2])
    assert prefetcher.wait(PATIENCE)
    assert done == [2]


def test_its_thread_ends_when_there_is_nothing_to_do(monkeypatch):
    monkeypatch.setattr(prefetching, "_IDLE_SECONDS", 0.05)
    threads = []
    prefetcher = Prefetcher(lambda item, check: threads.append(threading.current_thread()))
    prefetcher.ask([1])
    assert prefetcher.wait(PATIENCE)
    threads[0].join(PATIENCE)
    assert not threads[0].is_alive()
    prefetcher.ask([2])
    assert prefetcher.wait(PATIENCE)
    assert len(threads) == 2


@pytest.mark.parametrize("count", [1, 4])
def test_any_number_of_foreground_threads_keep_it_stopped(count):
    job = Job()
    prefetcher = Prefetcher(job)
    prefetcher.ask([1])
    assert job.begun.wait(PATIENCE)
    inside = threading.Barrier(count + 1)
    leave = threading.Event()

    def foreground():
        with prefetcher.held_off():
            inside.wait(PATIENCE)
            leave.wait(PATIENCE)

    threads = [threading.Thread(target=foreground) for _ in range(count)]
    for thread in threads:
        thread.start()
    inside.wait(PATIENCE)
    job.free.set()
    assert not prefetcher.wait(0.05)
    leave.set()
    for thread in threads:
        thread.join()
    assert prefetcher.wait(PATIENCE)
    assert job.done == [1]
