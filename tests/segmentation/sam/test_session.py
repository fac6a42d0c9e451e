"""One scan opened for MedSAM: rectangles in, probabilities out, embeddings kept, neighbours computed ahead."""

import threading

import numpy as np
import pytest
import torch

from hemaview.errors import Cancelled
from hemaview.imaging import Geometry, Volume
from hemaview.segmentation.device import ComputeDevice
from hemaview.segmentation.guided.protocols import SliceQuestion
from hemaview.segmentation.sam.embedding_cache import EmbeddingCache
from hemaview.segmentation.sam.network import SamNetwork
from hemaview.segmentation.sam.pixels import slice_probability
from hemaview.segmentation.sam.preprocessing import GreyScale, SliceResizer, network_input
from hemaview.segmentation.sam.session import SamModel

CPU = ComputeDevice("cpu", 1)
RECTANGLE = (12.5, 7.5, 28.5, 20.5)
WINDOW = (slice(5, 24), slice(8, 35))
PATIENCE = 60


def never():
    """The check of somebody who does not cancel."""


class CountingNetwork(SamNetwork):
    """Counts the slices that go through the encoder to their end."""

    encoded = 0

    def encode(self, started, check=None):
        found = super().encode(started, check)
        self.encoded += len(found)
        return found


@pytest.fixture
def network(make_sam):
    return CountingNetwork(make_sam(), CPU)


@pytest.fixture
def model(network):
    return SamModel(network, "model", EmbeddingCache())


def ask(session, *slices, rectangle=RECTANGLE, points=(), window=WINDOW, check=never):
    return session.answer([SliceQuestion(k, rectangle, points) for k in slices], window, None, check)


def test_answer_equals_the_steps_written_down(model, scan, make_sam):
    (found,) = ask(model.open(scan), 3)
    net = make_sam()
    grey = GreyScale.of(scan).apply(scan.array[3])
    picture = network_input(grey, SliceResizer(30, 40, 64))
    with torch.inference_mode():
        embedding = net.image_encoder(torch.from_numpy(np.stack([picture] * 3))[None])
        box = torch.tensor([[13 / 40, 8 / 30, 28 / 40, 20 / 30]]) * 64
        sparse, dense = net.prompt_encoder(points=None, boxes=box[:, None], masks=None)
        logits, _ = net.mask_decoder(embedding, net.prompt_encoder.get_dense_pe(), sparse, dense, False)
        expected = slice_probability(logits, 30, 40)[0].numpy()[WINDOW]
    inside = (slice(3, 15), slice(5, 20))
    assert found.k == 3
    assert found.probability.dtype == np.float32
    assert found.probability.shape == (19, 27)
    assert np.abs(found.probability[inside] - expected[inside]).max() <= 1e-5


def test_nothing_lies_far_from_the_rectangle(model, scan):
    whole = (slice(0, 30), slice(0, 40))
    (found,) = ask(model.open(scan), 3, window=whole)
    assert found.probability.any()
    far = np.ones((30, 40), dtype=bool)
    far[5:24, 10:32] = False
    assert not found.probability[far].any()


def test_confidence_is_between_zero_and_one(model, scan):
    for answer in ask(model.open(scan), *range(7)):
        assert 0 <= answer.confidence <= 1


def test_several_questions_are_answered_in_their_order(model, scan):
    session = model.open(scan)
    together = ask(session, 4, 2, 4, 6)
    assert [answer.k for answer in together] == [4, 2, 4, 6]
    for answer in together:
        (alone,) = ask(session, answer.k)
        assert np.abs(alone.probability - answer.probability).max() <= 1e-6


def test_a_second_box_needs_the_decoder_only(model, network, scan):
    session = model.open(scan)
    (first,) = ask(session, 3)
    (second,) = ask(session, 3, rectangle=(14.5, 9.5, 22.5, 18.5))
    assert network.encoded == 1
    assert model.cache.counts.hits == 1
    assert not np.array_equal(first.probability, second.probability)


def test_the_same_scan_read_again_finds_its_embeddings(model, network, scan):
    ask(model.open(scan), 3)
    again = Volume(scan.array.copy(), Geometry(scan.geometry.size, (1.0, 1.0, 1.0)))
    assert model.open(again) is not model.open(scan)
    ask(model.open(again), 3)
    assert network.encoded == 1


def test_another_model_or_window_does_not(network, scan):
    cache = EmbeddingCache()
    for model in (SamModel(network, "one", cache), SamModel(network, "one with an adapter", cache)):
        ask(model.open(scan), 3)
    assert network.encoded == 2


def test_points_change_the_answer_and_are_noted(model, scan):
    session = model.open(scan)
    (without,) = ask(session, 3)
    assert session.take_notes() == ()
    (with_point,) = ask(session, 3, points=((20.0, 13.0, True),))
    (other,) = ask(session, 3, points=((20.0, 13.0, False),))
    assert not np.array_equal(without.probability, with_point.probability)
    assert not np.array_equal(other.probability, with_point.probability)
    (note,) = session.take_notes()
    assert "trained with boxes only" in note


def test_a_slice_of_one_value_is_empty_and_says_why(network, scan):
    array = scan.array.copy()
    array[2] = 100
    session = SamModel(network, "model", EmbeddingCache()).open(Volume(array, scan.geometry))
    empty, drawn = ask(session, 2, 3)
    assert not empty.probability.any()
    assert empty.probability.shape == drawn.probability.shape
    assert empty.confidence == 0
    assert network.encoded == 1
    assert session.take_notes() == ("Slice 3 holds a single grey value, so nothing was drawn on it.",)


def test_cancelling_stops_inside_the_encoder(model, network, scan):
    session = model.open(scan)
    calls = []

    def cancel():
        calls.append(1)
        if len(calls) > 10:
            raise Cancelled

    with pytest.raises(Cancelled):
        ask(session, 3, check=cancel)
    assert network.encoded == 0
    (found,) = ask(session, 3)
    assert np.array_equal(found.probability, ask(session, 3)[0].probability)


def test_neighbours_are_computed_ahead(model, network, scan):
    session = model.open(scan)
    session.prefetch([3, 4, 2, -1, 99, 4])
    assert session.wait_for_prefetch(PATIENCE)
    assert network.encoded == 3
    misses = model.cache.counts.misses
    ask(session, 2, 3, 4)
    assert network.encoded == 3
    assert model.cache.counts.misses == misses


def test_computing_ahead_leaves_no_note(network, scan):
    array = scan.array.copy()
    array[2] = 100
    session = SamModel(network, "model", EmbeddingCache()).open(Volume(array, scan.geometry))
    session.prefetch([2, 3])
    assert session.wait_for_prefetch(PATIENCE)
    assert session.take_notes() == ()


def test_a_request_interrupts_what_is_computed_ahead_and_takes_it_over(make_sam, scan):
    begun, stopped = threading.Event(), []

    class SlowNetwork(CountingNetwork):
        def encode(self, started, check=None):
            if threading.current_thread().name != "hemaview-prefetch":
                return super().encode(started, check)

            def wait_for_the_foreground():
                begun.set()
                # Stands for a long computation: goes on until the foreground wants the network.
                while not stopped:
                    try:
                        check()
                    except Cancelled:
                        stopped.append(1)
                        raise

            return super().encode(started, wait_for_the_foreground)

    network = SlowNetwork(make_sam(), CPU)
    session = SamModel(network, "model", EmbeddingCache()).open(scan)
    session.prefetch([3, 4])
    assert begun.wait(PATIENCE)
    (found,) = ask(session, 3)
    assert stopped
    assert session.wait_for_prefetch(PATIENCE)
    assert network.encoded == 2
    fresh = SamModel(SamNetwork(make_sam(), CPU), "model", EmbeddingCache()).open(scan)
    assert np.array_equal(found.probability, ask(fresh, 3)[0].probability)


def test_opening_another_scan_stops_what_was_asked_for(model, scan):
    session = model.open(scan)
    assert model.open(scan) is session
    session.prefetch(range(7))
    other = model.open(Volume(scan.array + 1, scan.geometry))
    assert other is not session
    assert session.wait_for_prefetch(PATIENCE)


def test_the_scan_is_not_changed(model, scan):
    before = scan.array.copy()
    ask(model.open(scan), *range(7))
    assert np.array_equal(scan.array, before)
