"""The compact engine with an adapter: said in its answers, exact when untrained, and gone when switched off."""

import numpy as np
import pytest

from hemaview.errors import ModelError
from hemaview.imaging import Geometry, Volume
from hemaview.segmentation import BoxPrompt
from hemaview.segmentation.adapters import (
    AdapterCard,
    AdapterConfig,
    ConvLoraConfig,
    LoraConfig,
    read_adapter,
    save_adapter,
)
from hemaview.segmentation.adapters.inject import inject
from hemaview.segmentation.compact.weights import load_coarse, load_fine
from hemaview.segmentation.registry import load_engine, model_records

CONFIG = AdapterConfig(lora=LoraConfig(), conv_lora=ConvLoraConfig(), adabn=True, refinement=True)


@pytest.fixture
def record(untrained_registry):
    return model_records(untrained_registry)[0]


@pytest.fixture
def save(tmp_path, record, train):
    """Writes an adapter of the compact model, trained or not, and gives its path."""

    def write(name, trained, base=None):
        nets = {"coarse": load_coarse(record), "fine": load_fine(record, folded=False)}
        adapted = {role: inject(net, CONFIG) for role, net in nets.items()}
        if trained:
            for net in adapted.values():
                train(net)
        card = AdapterCard(
            "Site B", "compact", base or record.fingerprint, CONFIG, "synthetic balls", {}, "2026-11-22", "test"
        )
        save_adapter(tmp_path / name, adapted, card)
        return tmp_path / name

    return write


def probability(engine):
    """What an engine answers to a box round a bright ball; the confidence goes with it."""
    k, j, i = np.ogrid[:8, :40, :40]
    ball = ((k - 4) / 3) ** 2 + ((j - 20) / 9) ** 2 + ((i - 20) / 9) ** 2 <= 1
    noise = np.random.default_rng(0).normal(0, 0.1, ball.shape)
    volume = Volume((ball + noise).astype(np.float32), Geometry((40, 40, 8), (0.8, 0.8, 4.0)))
    prompt = BoxPrompt.from_index_bounds(volume.geometry, (10.5, 10.5, 0.5), (29.5, 29.5, 7.5))
    return engine.segment(volume, prompt).probability


def test_an_untrained_adapter_answers_bit_by_bit_as_the_base(untrained_registry, save):
    base = load_engine("compact", registry=untrained_registry)
    adapted = load_engine("compact", adapter=save("a.safetensors", trained=False), registry=untrained_registry)
    assert np.array_equal(probability(adapted), probability(base))


def test_a_trained_adapter_changes_the_answer_and_leaves_no_trace_when_switched_off(untrained_registry, save):
    before = probability(load_engine("compact", registry=untrained_registry))
    path = save("b.safetensors", trained=True)
    engine = load_engine("compact", adapter=path, registry=untrained_registry)
    assert not np.array_equal(probability(engine), before)
    assert np.array_equal(probability(load_engine("compact", registry=untrained_registry)), before)


def test_the_engine_says_which_adapter_is_in_it(untrained_registry, record, save):
    path = save("c.safetensors", trained=True)
    info = load_engine("compact", adapter=path, registry=untrained_registry).info
    assert info.adapter == f"Site B ({read_adapter(path).sha256[:12]})"
    assert info.sha256 == record.fingerprint
    assert load_engine("compact", registry=untrained_registry).info.adapter == ""


def test_an_adapter_of_another_model_is_refused(untrained_registry, save):
    path = save("d.safetensors", trained=False, base="0" * 64)
    with pytest.raises(ModelError, match="made for another model"):
        load_engine("compact", adapter=path, registry=untrained_registry)
