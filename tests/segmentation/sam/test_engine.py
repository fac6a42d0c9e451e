"""The MedSAM engine keeps the contract of every engine, whatever its weights have learned."""

import threading

import numpy as np
import pytest
import torch

from hemaview.errors import Cancelled, ModelError
from hemaview.imaging import Geometry, LabelMap, Volume
from hemaview.segmentation import BoxPrompt, CancelToken, FixedSlice, PointPrompt, Prompt
from hemaview.segmentation.adapters import AdapterCard, AdapterConfig, ConvLoraConfig, LoraConfig, save_adapter
from hemaview.segmentation.adapters.inject import inject
from hemaview.segmentation.compact.coarse import CoarseNet
from hemaview.segmentation.device import ComputeDevice
from hemaview.segmentation.guided.coarse_guide import CoarseGuide
from hemaview.segmentation.model_files import digests_of
from hemaview.segmentation.registry import ModelFile, ModelRecord
from hemaview.segmentation.sam.embedding_cache import EmbeddingCache
from hemaview.segmentation.sam.engine import MedSamSegmenter
from hemaview.segmentation.sam.network import SamNetwork
from hemaview.segmentation.sam.session import SamModel

GRIDS = {
    "isotropic": Geometry((48, 44, 12), (1.0, 1.0, 1.0), (-20.0, 5.0, 9.0)),
    "thick": Geometry((64, 50, 9), (0.5, 0.8, 5.0), (3.0, -80.0, 12.0), (-1, 0, 0, 0, -1, 0, 0, 0, 1)),
}


@pytest.fixture
def record(checkpoint):
    """A registry entry for the tiny model."""
    found = digests_of(checkpoint)
    file = ModelFile("sam", checkpoint.name, found.sha256, found.size)
    engine = "hemaview.segmentation.sam.engine:MedSamSegmenter"
    return ModelRecord(
        "tiny", "Tiny SAM", engine, (file,), "none", "random numbers", "nothing", "card.md", checkpoint.parent
    )


@pytest.fixture
def guide():
    torch.manual_seed(0)
    return CoarseGuide(CoarseNet().eval().requires_grad_(False), 1)


@pytest.fixture(autouse=True)
def _on_the_processor(monkeypatch):
    monkeypatch.setenv("HEMAVIEW_DEVICE", "cpu")
    monkeypatch.setenv("HEMAVIEW_THREADS", "1")


@pytest.fixture
def engine(record, guide):
    return MedSamSegmenter.from_record(record, guide=guide)


def scan_with_ball(geometry, seed=0):
    """Noise with a brighter ellipsoid in the middle third of the grid; the scan and the ellipsoid's mask."""
    grid = np.indices(geometry.shape, dtype=np.float64)
    size = np.array(geometry.shape).reshape(3, 1, 1, 1)
    mask = (((grid - (size - 1) / 2) / (size / 4)) ** 2).sum(0) <= 1
    noise = np.random.default_rng(seed).normal(0, 1, geometry.shape)
    return Volume((noise + 4 * mask).astype(np.float32), geometry), LabelMap(mask, geometry)


@pytest.mark.parametrize("name", GRIDS)
def test_answer_stays_near_the_box_and_is_not_empty(engine, name):
    volume, mask = scan_with_ball(GRIDS[name])
    prompt = BoxPrompt.around(mask)
    events = []
    found = engine.segment(volume, prompt, on_slice=events.append)
    assert found.probability.dtype == np.float32
    assert 0 <= found.probability.min() <= found.probability.max() <= 1
    assert found.mask().voxel_count > 0
    assert {event.k for event in events} == set(range(found.region[0].start, found.region[0].stop))
    lower, upper = prompt.index_bounds(volume.geometry)
    allowed = 0.13 * (upper - lower)
    outside = found.mask().array.copy()
    k, j, i = (
        slice(max(0, int(np.ceil(low - extra))), int(np.floor(high + extra)) + 1)
        for low, high, extra in zip(lower[::-1], upper[::-1], allowed[::-1], strict=True)
    )
    outside[k, j, i] = False
    assert not outside.any()


def test_what_answered_is_told(engine, record):
    volume, mask = scan_with_ball(GRIDS["thick"])
    info = engine.segment(volume, BoxPrompt.around(mask)).engine
    assert (info.name, info.device, info.adapter) == ("tiny", "CPU", "")
    assert info.sha256 == record.fingerprint
    assert info == engine.info


def test_points_fixed_slices_and_rectangles_are_taken(engine):
    volume, mask = scan_with_ball(GRIDS["thick"])
    geometry = volume.geometry
    inside = tuple(float(v) for v in geometry.index_to_lps((31, 24, 4)))
    drawn = FixedSlice(5, mask.array[5])
    redrawn = BoxPrompt.from_index_bounds(geometry, (20.5, 15.5, 2.5), (40.5, 30.5, 3.5))
    prompt = Prompt((BoxPrompt.around(mask),), (redrawn,), (PointPrompt(inside),), (drawn,))
    found = engine.segment(volume, prompt)
    assert np.array_equal(found.mask().array[5], mask.array[5])
    assert any("trained with boxes only" in note for note in found.notes)


def test_a_second_box_finds_the_embeddings_of_the_first(engine):
    volume, mask = scan_with_ball(GRIDS["thick"])
    engine.segment(volume, BoxPrompt.around(mask))
    before = engine._sam.cache.counts
    engine.segment(volume, BoxPrompt.around(mask))
    after = engine._sam.cache.counts
    assert after.misses == before.misses
    assert after.hits > before.hits


def test_prefetched_slices_are_not_computed_again(engine):
    volume, _ = scan_with_ball(GRIDS["thick"])
    engine.prefetch(volume, 4, reach=1)
    assert engine._open(volume).session.wait_for_prefetch(60)
    before = engine._sam.cache.counts.misses
    assert before == 3
    engine.segment_slice(volume, 5, (20.5, 15.5, 40.5, 30.5))
    assert engine._sam.cache.counts.misses == before


def test_cancelled_from_another_thread(engine):
    volume, mask = scan_with_ball(GRIDS["isotropic"])
    token = CancelToken()
    thread = threading.Thread(target=token.cancel)
    with pytest.raises(Cancelled):
        engine.segment(volume, BoxPrompt.around(mask), on_slice=lambda _: thread.start(), cancel=token)
    thread.join()
    assert engine.segment(volume, BoxPrompt.around(mask)).mask().voxel_count > 0


def test_a_full_card_ends_on_the_processor_and_says_so(engine, guide, make_sam):
    volume, mask = scan_with_ball(GRIDS["thick"])
    # The processor under another name stands for a card: its memory is full whatever is asked of it.
    net, card = make_sam(), ComputeDevice("cpu:0", 1)
    network = SamNetwork(net, card, batch=4)
    asked = []

    def full(module, inputs):
        asked.append((network.device_title, len(inputs[0])))
        if network.device_title == "cpu:0":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    net.image_encoder.neck.register_forward_pre_hook(full)
    on_card = MedSamSegmenter(engine.info, guide, SamModel(network, "tiny", EmbeddingCache()))
    assert on_card.info.device == "cpu:0"
    found = on_card.segment(volume, BoxPrompt.around(mask))
    assert found.engine.device == "CPU"
    assert any("memory is full" in note and "processor" in note for note in found.notes)
    assert ("cpu:0", 1) in asked
    assert all(title == "CPU" for title, _ in asked[-3:])
    again = on_card.segment(volume, BoxPrompt.around(mask))
    assert not any("memory" in note for note in again.notes)
    expected = engine.segment(volume, BoxPrompt.around(mask))
    assert np.abs(expected.probability - found.probability).max() <= 1e-5


def test_a_file_that_changed_is_refused(record, guide, checkpoint):
    content = bytearray(checkpoint.read_bytes())
    content[-100] ^= 1
    checkpoint.write_bytes(content)
    with pytest.raises(ModelError, match="changed"):
        MedSamSegmenter.from_record(record, guide=guide)


def test_a_setting_that_names_no_device_is_one_sentence(record, guide, monkeypatch):
    monkeypatch.setenv("HEMAVIEW_DEVICE", "quantum")
    with pytest.raises(ModelError, match="quantum"):
        MedSamSegmenter.from_record(record, guide=guide)


PARTS = {
    "lora": AdapterConfig(lora=LoraConfig(rank=2, alpha=2)),
    "conv_lora": AdapterConfig(conv_lora=ConvLoraConfig(rank=2, alpha=2)),
    "refinement": AdapterConfig(refinement=True),
    "decoder": AdapterConfig(decoder=True),
}


def _adapter(path, net, sha256, config=PARTS["lora"], noise=0.3):
    adapted = inject(net, config)
    for parameter in adapted.parameters():
        torch.nn.init.normal_(parameter, std=noise)
    card = AdapterCard("Test adapter", "tiny", sha256, config, "random numbers", {}, "2026-11-22T20:00:00", "test")
    save_adapter(path, {"sam": adapted}, card)
    return path


@pytest.mark.parametrize("part", PARTS)
def test_an_adapter_changes_the_answer_and_is_named(part, record, guide, engine, make_sam, tmp_path):
    volume, _ = scan_with_ball(GRIDS["thick"])
    path = _adapter(tmp_path / "a.safetensors", make_sam(), record.fingerprint, PARTS[part])
    adapted = MedSamSegmenter.from_record(record, adapter=path, guide=guide)
    assert adapted.info.adapter.startswith("Test adapter (")
    rectangle = (20.5, 15.5, 40.5, 30.5)
    base, changed = (one.segment_slice(volume, 4, rectangle) for one in (engine, adapted))
    assert not np.allclose(base, changed, atol=1e-4)
    assert adapted._sam.model_hash != engine._sam.model_hash


def test_an_adapter_of_another_model_is_refused(record, guide, make_sam, tmp_path):
    path = _adapter(tmp_path / "a.safetensors", make_sam(), "0" * 64)
    with pytest.raises(ModelError, match="another model"):
        MedSamSegmenter.from_record(record, adapter=path, guide=guide)
