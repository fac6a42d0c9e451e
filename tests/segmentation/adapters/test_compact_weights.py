"""The compact model's networks as the engine loads them, with an adapter merged in before batch norms are folded."""

import pytest
import torch

from hemaview.errors import ModelError
from hemaview.segmentation.adapters import AdapterCard, AdapterConfig, ConvLoraConfig, LoraConfig, save_adapter
from hemaview.segmentation.adapters.adapter_file import read_adapter
from hemaview.segmentation.adapters.inject import inject
from hemaview.segmentation.compact.weights import load_coarse, load_fine
from hemaview.segmentation.registry import model_records

CONFIG = AdapterConfig(lora=LoraConfig(), conv_lora=ConvLoraConfig(), adabn=True, refinement=True)


@pytest.fixture
def record(untrained_registry):
    return model_records(untrained_registry)[0]


@pytest.fixture
def nets(record):
    """Both networks as training gets them: batch norms live."""
    return {"coarse": load_coarse(record), "fine": load_fine(record, folded=False)}


def saved(folder, record, adapted):
    card = AdapterCard("Test", record.name, record.fingerprint, CONFIG, "nothing", {}, "2026-11-22", "test")
    save_adapter(folder / "a.safetensors", adapted, card)
    return read_adapter(folder / "a.safetensors")


def ask_fine(net):
    crops = torch.randn(2, 1, 96, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return net(crops, torch.tensor([[20.0, 20, 70, 70], [10, 30, 60, 80]]))[0]


def ask_coarse(net):
    with torch.no_grad():
        return net(torch.randn(1, 3, 24, 48, 48, generator=torch.Generator().manual_seed(1)))


def test_an_untrained_adapter_leaves_the_folded_networks_bit_equal(tmp_path, record, nets):
    adapter = saved(tmp_path, record, {role: inject(net, CONFIG) for role, net in nets.items()})
    assert torch.equal(ask_fine(load_fine(record, adapter)), ask_fine(load_fine(record)))
    assert torch.equal(ask_coarse(load_coarse(record, adapter)), ask_coarse(load_coarse(record)))


def test_folded_with_an_adapter_answers_as_it_was_trained(tmp_path, record, nets, train):
    adapted = {role: train(inject(net, CONFIG)) for role, net in nets.items()}
    adapted["fine"].adapt_batch_norm([torch.randn(4, 1, 96, 96) * 1.5 + 0.5], forward=nets["fine"].encode)
    adapter = saved(tmp_path, record, adapted)
    wanted = ask_fine(nets["fine"])
    got = ask_fine(load_fine(record, adapter))
    assert (got - wanted).abs().max() <= 1e-4 * wanted.abs().max()
    assert (got - ask_fine(load_fine(record))).abs().max() > 1e-2 * wanted.abs().max()
    torch.testing.assert_close(
        ask_coarse(load_coarse(record, adapter)), ask_coarse(nets["coarse"]), rtol=1e-4, atol=1e-4
    )


def test_an_adapter_of_other_networks_is_refused(tmp_path, record, nets):
    adapter = saved(tmp_path, record, {"fine": inject(nets["coarse"], CONFIG)})
    with pytest.raises(ModelError, match="does not fit this model"):
        load_fine(record, adapter)
