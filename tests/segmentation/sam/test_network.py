"""The whole way from a slice to logits equals a direct call of segment-anything's modules."""

import copy
import math
import threading

import numpy as np
import pytest
import torch

from hemaview.errors import Cancelled, ModelError
from hemaview.segmentation.device import ComputeDevice
from hemaview.segmentation.sam.network import SamNetwork
from hemaview.segmentation.sam.precision import checked_precision
from hemaview.segmentation.sam_modeling import MaskDecoder, TwoWayTransformer

CPU = ComputeDevice("cpu", 1)
NO_POINTS = (torch.zeros(0, 2), torch.zeros(0))
TWO_POINTS = (torch.tensor([[20.0, 30.0], [50.0, 8.0]]), torch.tensor([1.0, 0.0]))


@pytest.fixture
def stock(make_sam, tiny):
    """The same weights in segment-anything's own decoder."""
    net = make_sam()
    decoder = MaskDecoder(
        num_multimask_outputs=3,
        transformer=TwoWayTransformer(depth=2, embedding_dim=32, mlp_dim=tiny.decoder_mlp, num_heads=8),
        transformer_dim=32,
        iou_head_hidden_dim=32,
    )
    decoder.load_state_dict(net.mask_decoder.state_dict())
    net.mask_decoder = decoder.eval()
    return net


def pictures(count, seed=0):
    return list(np.random.default_rng(seed).random((count, 64, 64), dtype=np.float32))


def direct(net, picture, box, points=NO_POINTS):
    """MedSAM's inference, written down once more: no mean, no deviation, one box, the single-mask token."""
    with torch.inference_mode():
        image = torch.from_numpy(np.stack([picture] * 3))[None]
        embedding = net.image_encoder(image)
        prompt = (points[0][None], points[1][None]) if len(points[1]) else None
        sparse, dense = net.prompt_encoder(points=prompt, boxes=box[None, None], masks=None)
        logits, _ = net.mask_decoder(
            image_embeddings=embedding,
            image_pe=net.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
    return logits[0]


BOXES = [torch.tensor(b) for b in ([10.0, 12.0, 40.0, 30.0], [5.5, 20.25, 60.0, 61.0], [30.0, 30.0, 33.0, 35.0])]


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_answers_equal_the_stock_modules(stock, make_sam, batch):
    network = SamNetwork(make_sam(), CPU, batch=batch)
    shown = pictures(3)
    asked = [NO_POINTS, TWO_POINTS, NO_POINTS]
    embeddings = network.encode([network.start(picture) for picture in shown])
    found = network.decode(embeddings, BOXES, asked)
    for picture, box, points, logits in zip(shown, BOXES, asked, found, strict=True):
        expected = direct(stock, picture, box, points)
        assert logits.shape == (1, 16, 16)
        assert expected.std() > 1e-3
        assert (expected - logits).abs().max() <= 1e-5


def test_photo_values_are_what_sam_was_trained_with(stock, make_sam):
    network = SamNetwork(make_sam(), CPU, photo_values=True)
    picture = pictures(1)[0]
    embedding = network.encode([network.start(picture)])[0]
    colours = torch.from_numpy(np.stack([picture] * 3))[None] * 255
    with torch.inference_mode():
        # Sam.preprocess itself, with its constants filled in again.
        stock.pixel_mean = torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1)
        stock.pixel_std = torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1)
        expected = stock.image_encoder(stock.preprocess(colours))
    assert (expected - embedding).abs().max() <= 1e-5


def test_a_stopped_encoding_goes_on_where_it_was(make_sam):
    network = SamNetwork(make_sam(), CPU)
    picture = pictures(1)[0]
    calls = []
    (whole,) = network.encode([network.start(picture)], lambda: calls.append(1))
    total = len(calls)
    started = network.start(picture)
    left = []

    def stop_late():
        left.append(1)
        if len(left) >= total - 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        network.encode([started], stop_late)
    calls.clear()
    (found,) = network.encode([started], lambda: calls.append(1))
    assert torch.equal(found, whole)
    assert len(calls) <= total / 2


def test_decoding_can_be_stopped(make_sam):
    network = SamNetwork(make_sam(), CPU)
    embeddings = network.encode([network.start(pictures(1)[0])])
    calls = []

    def stop():
        calls.append(1)
        if len(calls) == 5:
            raise Cancelled

    with pytest.raises(Cancelled):
        network.decode(embeddings, BOXES[:1], [NO_POINTS], stop)
    assert len(calls) == 5


def test_a_check_belongs_to_its_own_thread(make_sam):
    network = SamNetwork(make_sam(), CPU)
    seen = set()
    network.encode([network.start(pictures(1)[0])], lambda: seen.add(threading.get_ident()))
    before = len(seen)
    thread = threading.Thread(target=network.encode, args=([network.start(pictures(1)[0])],))
    thread.start()
    thread.join()
    assert before == len(seen) == 1


def test_full_memory_is_survived_in_smaller_groups(make_sam):
    expected = SamNetwork(make_sam(), CPU)
    network = SamNetwork(make_sam(), CPU, batch=4)
    net = network._net
    forward, sizes = net.mask_decoder.forward, []

    def narrow(embeddings, *rest):
        sizes.append(len(embeddings))
        if len(embeddings) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(embeddings, *rest)

    net.mask_decoder.forward = narrow
    shown = pictures(3)
    answers = []
    for one in (expected, network):
        embeddings = one.encode([one.start(picture) for picture in shown])
        answers.append(one.decode(embeddings, BOXES, [NO_POINTS] * 3))
    assert sizes == [3, 1, 1, 1] or sizes == [3, 2, 1, 1, 1]
    for one, other in zip(*answers, strict=True):
        assert (one - other).abs().max() <= 1e-5


def test_memory_that_is_full_for_one_slice_is_one_sentence(make_sam):
    network = SamNetwork(make_sam(), CPU)
    network._net.image_encoder.neck.forward = lambda _: (_ for _ in ()).throw(torch.OutOfMemoryError("full"))
    with pytest.raises(ModelError, match="not enough memory"):
        network.encode([network.start(pictures(1)[0])])


def test_the_processor_uses_full_precision(make_sam):
    network = SamNetwork(make_sam(), CPU)
    assert not network.precision_is_open
    assert network.device_title == "CPU"


def _logits(delays, changed, clock):
    """Logits of a made-up network that takes ``delays[dtype]`` and moves ``changed`` pixels in the lower precision."""
    generator = torch.Generator().manual_seed(0)
    full = torch.randn(1, 32, 32, generator=generator)

    def logits(dtype):
        clock[0] += delays[dtype]
        answer = full.clone()
        if dtype is not None:
            answer.view(-1)[:changed] *= -1
        return answer

    return logits


@pytest.mark.parametrize(
    ("delays", "changed", "taken"),
    [((1.0, 0.5), 0, True), ((1.0, 0.99), 0, False), ((1.0, 0.5), 200, False), ((0.5, 1.0), 0, False)],
    ids=["faster and the same", "hardly faster", "another mask", "slower"],
)
def test_lower_precision_is_used_where_it_pays_and_agrees(delays, changed, taken, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("hemaview.segmentation.sam.precision.time.perf_counter", lambda: clock[0])
    dtypes = (None, torch.bfloat16)
    logits = _logits(dict(zip(dtypes, delays, strict=True)), changed, clock)
    found = checked_precision(logits, torch.bfloat16, lambda: None)
    assert found == (torch.bfloat16 if taken else None)


def test_lower_precision_that_overflows_or_fails_is_not_used():
    def overflowing(dtype):
        return torch.full((1, 4, 4), 1.0 if dtype is None else math.inf)

    def failing(dtype):
        if dtype is not None:
            raise RuntimeError("not implemented for 'BFloat16'")
        return torch.ones(1, 4, 4)

    assert checked_precision(overflowing, torch.float16, lambda: None) is None
    assert checked_precision(failing, torch.bfloat16, lambda: None) is None


def test_bfloat16_of_the_real_encoder_stays_close(make_sam):
    net = make_sam()
    picture = torch.from_numpy(np.stack([pictures(1)[0]] * 3))[None]
    SamNetwork(net, CPU)
    with torch.no_grad():
        full = copy.deepcopy(net.image_encoder)(picture)
        with torch.autocast("cpu", torch.bfloat16):
            lower = net.image_encoder(picture).float()
    assert torch.nn.functional.cosine_similarity(full.flatten(), lower.flatten(), dim=0) > 0.99


def test_precision_is_full_until_it_was_checked(make_sam, monkeypatch):
    monkeypatch.setattr("hemaview.segmentation.sam.network.candidate", lambda _: torch.bfloat16)
    # The processor under another name takes the path of a graphics card.
    network = SamNetwork(make_sam(), ComputeDevice("cpu:0", 1), batch=1)
    exact = SamNetwork(make_sam(), CPU)
    picture = pictures(1)[0]
    (expected,) = exact.encode([exact.start(picture)])
    assert network.precision_is_open
    (before,) = network.encode([network.start(picture)])
    assert (before - expected).abs().max() <= 1e-5

    def stop():
        raise Cancelled

    with pytest.raises(Cancelled):
        network.check_precision(picture, BOXES[0], stop)
    assert network.precision_is_open
    seen = []

    def chosen(logits, dtype, synchronise):
        seen.extend((logits(None), logits(dtype)))
        return dtype

    monkeypatch.setattr("hemaview.segmentation.sam.network.checked_precision", chosen)
    network.check_precision(picture, BOXES[0])
    assert not network.precision_is_open
    assert not torch.equal(*seen)
    assert network.device_title == "cpu:0, bfloat16"
    (after,) = network.encode([network.start(picture)])
    assert after.dtype == torch.float32
    assert 0 < (after - expected).abs().max() < 0.2
