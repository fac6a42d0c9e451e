"""Adapters in whole networks: nothing changes at first, only their own parts learn, and they leave no trace."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from hemaview.errors import ModelError
from hemaview.segmentation.adapters import AdapterConfig, ConvLoraConfig, LoraConfig
from hemaview.segmentation.adapters.adabn import AdaBnResult
from hemaview.segmentation.adapters.config import DECODER_ATTENTION, FUSED_QKV
from hemaview.segmentation.adapters.inject import inject
from hemaview.segmentation.compact.coarse import CoarseNet
from hemaview.segmentation.compact.tiny_sam import TinySam
from hemaview.segmentation.sam.encoder import speed_up

BOTH = AdapterConfig(lora=LoraConfig(targets=FUSED_QKV + DECODER_ATTENTION), conv_lora=ConvLoraConfig())
EVERYTHING = AdapterConfig(lora=LoraConfig(), conv_lora=ConvLoraConfig(), adabn=True, refinement=True, decoder=True)
CONFIGS = {
    "lora": AdapterConfig(lora=LoraConfig()),
    "conv lora": AdapterConfig(lora=None, conv_lora=ConvLoraConfig()),
    "lora and conv lora": BOTH,
    "refinement": AdapterConfig(lora=None, refinement=True),
    "decoder": AdapterConfig(lora=None, decoder=True),
    "everything": EVERYTHING,
}


@pytest.fixture(params=CONFIGS.values(), ids=CONFIGS.keys())
def config(request):
    return request.param


def snapshot(net):
    return {name: value.clone() for name, value in net.state_dict().items()}


def same(net, before):
    after = net.state_dict()
    return list(after) == list(before) and all(torch.equal(after[name], before[name]) for name in before)


def test_step_zero_is_exactly_the_base(build, kind, config):
    net, ask = build(kind)
    with torch.no_grad():
        before = ask(net)
        inject(net, config)
        assert (ask(net) - before).abs().max() == 0


def test_removal_leaves_the_base_bit_by_bit(build, train, kind, config):
    net, ask = build(kind)
    before, kinds = snapshot(net), [type(module) for module in net.modules()]
    with torch.no_grad():
        answer = ask(net)
        adapted = train(inject(net, config))
        if adapted.trainable:
            assert not torch.equal(ask(net), answer)
        adapted.merge()
        adapted.remove()
        adapted.remove()
        assert same(net, before)
        assert [type(module) for module in net.modules()] == kinds
        assert torch.equal(ask(net), answer)
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_merged_answers_as_unmerged_and_unmerging_is_exact(build, train, kind, config):
    net, ask = build(kind)
    with torch.no_grad():
        adapted = train(inject(net, config))
        apart, weights = ask(net), snapshot(net)
        adapted.merge()
        merged = ask(net)
        assert (merged - apart).abs().max() <= 1e-5 * max(1.0, float(apart.abs().max()))
        adapted.merge()
        assert torch.equal(ask(net), merged)
        adapted.unmerge()
        assert same(net, weights)
        assert torch.equal(ask(net), apart)


def test_merging_puts_the_bases_own_layers_back(build):
    net, _ = build("compact fine")
    kinds = [type(module) for module in net.modules()]
    adapted = inject(net, BOTH)
    assert [type(module) for module in net.modules()] != kinds
    adapted.merge()
    assert adapted.merged
    assert [type(module) for module in net.modules()] == kinds


def test_exactly_the_named_parameters_learn(build):
    net, ask = build("sam")
    config = AdapterConfig(
        lora=LoraConfig(targets=("*qkv", "mask_decoder.*.q_proj")), conv_lora=ConvLoraConfig(), refinement=True
    )
    adapted = inject(net, config)
    qkv = [f"lora.image_encoder.blocks.{n}.attn.qkv.{p}" for n in (0, 1) for p in ("a_q", "b_q", "a_v", "b_v")]
    attention = "mask_decoder.transformer.layers.{}.{}.q_proj.{}"
    sides = ("self_attn", "cross_attn_token_to_image", "cross_attn_image_to_token")
    decoder = ["lora." + attention.format(n, side, p) for n in (0, 1) for side in sides for p in "ab"]
    decoder += [f"lora.mask_decoder.transformer.final_attn_token_to_image.q_proj.{p}" for p in "ab"]
    places = ("image_encoder.neck.0", "image_encoder.neck.2")
    places += ("mask_decoder.output_upscaling.0", "mask_decoder.output_upscaling.3")
    convs = [f"conv_lora.{place}.{p}" for place in places for p in "ab"]
    layers = ("layers.0", "layers.2", "last")
    head = [f"refinement.{layer}.{p}" for layer in layers for p in ("weight", "bias")]
    assert sorted(name for name, _ in adapted.named_parameters()) == sorted(qkv + decoder + convs + head)
    learning = {id(p) for p in net.parameters() if p.requires_grad}
    assert learning == {id(p) for p in adapted.parameters()}
    ask(net).square().sum().backward()
    assert {id(p) for p in net.parameters() if p.grad is not None} <= learning
    assert all(p.grad is not None for p in adapted.parameters())


def test_training_the_parts_lowers_a_loss_and_leaves_the_base_alone(build):
    net, ask = build("compact fine")
    before = snapshot(net)
    adapted = inject(net, AdapterConfig(lora=LoraConfig(), conv_lora=ConvLoraConfig(), refinement=True)).train()
    optimiser = torch.optim.AdamW(adapted.parameters(), lr=1e-2)
    wanted = torch.zeros(2, 1, 48, 48)
    wanted[..., 15:30, 15:30] = 1
    losses = []
    for _ in range(12):
        optimiser.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(ask(net), wanted)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    adapted.remove()
    assert same(net, before)


def test_training_keeps_the_bases_batch_norms_in_inference(build):
    net, ask = build("unet")
    before = snapshot(net)
    adapted = inject(net, AdapterConfig(lora=None, conv_lora=ConvLoraConfig())).train()
    ask(net)
    assert not any(module.training for module in net.modules() if isinstance(module, nn.BatchNorm2d))
    assert net.down[0].training
    adapted.remove()
    assert same(net, before)


def test_counts_on_the_real_vit_b(vit_b):
    adapted = inject(vit_b, AdapterConfig(lora=LoraConfig(rank=4), conv_lora=ConvLoraConfig(rank=2)))
    assert adapted.base_size == 93_735_472
    assert adapted.counts() == {"lora": 147_456, "conv_lora": 14_592}
    assert adapted.trainable == 162_048
    assert 100 * adapted.trainable / adapted.base_size == pytest.approx(0.173, abs=5e-4)
    sizes = {}
    for name, parameter in adapted.named_parameters():
        place = name.removeprefix("conv_lora.").rpartition(".")[0]
        sizes[place] = sizes.get(place, 0) + parameter.numel()
    assert sizes["image_encoder.neck.0"] == 2_048
    assert sizes["image_encoder.neck.2"] == 9_216
    assert sizes["mask_decoder.output_upscaling.0"] == 2_560
    assert sizes["mask_decoder.output_upscaling.3"] == 768


@pytest.mark.parametrize("rank", [1, 4, 8, 16, 64])
def test_lora_on_the_real_vit_b_counts_36864_per_rank(vit_b, rank):
    assert inject(vit_b, AdapterConfig(lora=LoraConfig(rank=rank))).trainable == 36_864 * rank


def test_refinement_and_decoder_on_the_real_vit_b(vit_b):
    assert inject(vit_b, AdapterConfig(lora=None, refinement=True, decoder=True)).counts() == {
        "refinement": 7_105,
        "decoder": 4_058_340,
    }


def test_counts_on_the_compact_networks():
    fine = inject(TinySam(), EVERYTHING)
    assert fine.counts()["lora"] == 2 * 2 * 4 * (128 + 128)
    assert fine.counts()["refinement"] == 4_801
    assert fine.counts()["adabn"] == sum(b.numel() for n, b in fine.net.named_buffers() if ".running_" in n)
    assert fine.skipped == {}
    coarse = inject(CoarseNet(), EVERYTHING)
    assert set(coarse.counts()) == {"conv_lora"}
    assert set(coarse.skipped) == {"lora", "adabn", "refinement", "decoder"}
    assert all(reason.startswith("This network has no") for reason in coarse.skipped.values())


def test_segment_anything_says_that_adabn_does_nothing_there(vit_b):
    adapted = inject(vit_b, AdapterConfig(lora=LoraConfig(), adabn=True))
    assert "no batch norm" in adapted.skipped["adabn"]


def test_nothing_low_rank_goes_into_a_decoder_that_learns_as_a_whole(build):
    net, _ = build("compact fine")
    adapted = inject(net, AdapterConfig(lora=LoraConfig(targets=("*",)), conv_lora=ConvLoraConfig(), decoder=True))
    places = [name for name, _ in adapted.named_parameters() if not name.startswith("decoder.")]
    assert places
    assert not any("mask_decoder" in name for name in places)
    assert adapted.counts()["decoder"] == sum(p.numel() for p in net.mask_decoder.parameters())


def test_adapted_batch_statistics_belong_to_the_adapter(build):
    net, ask = build("unet")
    with torch.no_grad():
        before, answer = snapshot(net), ask(net)
        adapted = inject(net, AdapterConfig(lora=None, conv_lora=ConvLoraConfig(), adabn=True))
        result = adapted.adapt_batch_norm([torch.randn(4, 1, 16, 16) * 3 + 5 for _ in range(3)])
        assert isinstance(result, AdaBnResult)
        assert not torch.equal(ask(net), answer)
        tensors = adapted.tensors()
        assert torch.equal(tensors["adabn.down.1.running_var"], net.down[1].running_var)
        assert sum(name.startswith("adabn.") for name in tensors) == 4
        adapted.remove()
        assert same(net, before)
    other = inject(net, AdapterConfig(lora=None, conv_lora=ConvLoraConfig()))
    with pytest.raises(ModelError, match="without AdaBN"):
        other.adapt_batch_norm([])


def test_tensors_carry_the_adapter_to_another_copy_of_the_base(build, train, kind):
    net, ask = build(kind)
    adapted = train(inject(net, EVERYTHING))
    other, _ = build(kind)
    with torch.no_grad():
        assert not torch.equal(ask(other), ask(net))
        copy = inject(other, EVERYTHING)
        copy.load_tensors(adapted.tensors())
        assert torch.equal(ask(other), ask(net))


def test_tensors_that_do_not_fit_are_refused_in_one_sentence(build):
    adapted = inject(build("unet")[0], BOTH)
    tensors = adapted.tensors()
    first = next(iter(tensors))
    for wrong, words in (
        ({**tensors, "lora.more.a": torch.zeros(1)}, "too much: lora.more.a"),
        ({n: t for n, t in tensors.items() if n != first}, f"lacks {first}"),
        ({**tensors, first: torch.zeros(3, 3)}, "wrong size"),
        ({}, "and 7 more"),
    ):
        with pytest.raises(ModelError, match=words):
            adapted.load_tensors(wrong)


def test_a_network_carries_one_adapter_at_a_time(build):
    net, _ = build("compact fine")
    adapted = inject(net, BOTH)
    with pytest.raises(ModelError, match="already carries an adapter"):
        inject(net, BOTH)
    adapted.remove()
    inject(net, BOTH)


def test_a_kernel_that_is_not_square_leaves_the_network_as_it_was():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, (1, 3)))
    with pytest.raises(ModelError, match="as wide as it is high"):
        inject(net, AdapterConfig(lora=None, conv_lora=ConvLoraConfig()))
    assert [type(module) for module in net] == [nn.Conv2d, nn.Conv2d]
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert inject(net, AdapterConfig(lora=None, conv_lora=ConvLoraConfig(skip=("1",)))).counts() == {"conv_lora": 54}


@pytest.mark.parametrize(
    "make",
    [
        lambda: LoraConfig(rank=0),
        lambda: LoraConfig(rank=100_000),
        lambda: LoraConfig(alpha=float("nan")),
        lambda: ConvLoraConfig(alpha=-1),
        lambda: LoraConfig(dropout=1.0),
        lambda: LoraConfig(targets=("*" * 500,)),
        lambda: AdapterConfig(lora=None),
    ],
)
def test_settings_out_of_range_are_refused(make):
    with pytest.raises(ModelError):
        make()


def test_the_refining_head_sees_features_and_changes_the_logits(build):
    net, ask = build("sam")
    adapted = inject(net, AdapterConfig(lora=None, refinement=True))
    with torch.no_grad():
        before = ask(net)
        net.mask_decoder.refinement.last.bias.fill_(0.75)
        torch.testing.assert_close(ask(net), before + 0.75)
        net.mask_decoder.refinement.last.weight.fill_(1.0)
        assert (ask(net) - before).std() > 0
        adapted.remove()
        assert torch.equal(ask(net), before)
    assert not hasattr(net.mask_decoder, "refinement")


def test_a_deep_copy_is_a_network_of_its_own(build, train):
    net, ask = build("compact fine")
    train(inject(net, EVERYTHING))
    with torch.no_grad():
        answer = ask(net)
        copy = deepcopy(net)
        assert torch.equal(ask(copy), answer)
        copy.mask_decoder.refinement.last.bias.add_(1.0)
        torch.testing.assert_close(ask(copy), answer + 1.0)
        assert torch.equal(ask(net), answer)


def test_the_faster_encoder_takes_adapters_as_the_original_does(build, train):
    config = AdapterConfig(lora=LoraConfig(), conv_lora=ConvLoraConfig())
    net, ask = build("sam")
    fast, _ = build("sam")
    speed_up(fast.image_encoder)
    adapted = train(inject(net, config))
    inject(fast, config).load_tensors(adapted.tensors())
    with torch.no_grad():
        torch.testing.assert_close(ask(fast), ask(net), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ask(fast), ask(net), rtol=1e-4, atol=1e-5)
