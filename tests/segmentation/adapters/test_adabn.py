"""AdaBN: the pooled statistics, nothing else touched, and the source back when it does not finish."""

import copy

import pytest
import torch
from torch import nn

from hemaview.errors import Cancelled, ModelError
from hemaview.segmentation.adapters.adabn import (
    AdaBnResult,
    NotApplicable,
    adapt_batch_norm,
    read_statistics,
    write_statistics,
)
from hemaview.segmentation.compact.coarse import CoarseNet
from hemaview.segmentation.compact.tiny_sam import TinySam
from hemaview.segmentation.contract import CancelToken


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def source_net():
    """A small network whose statistics were learned on the source domain, with affine parameters of its own."""
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6)
    )
    with torch.no_grad():
        for norm in (net[1], net[5]):
            norm.weight.uniform_(0.5, 2)
            norm.bias.normal_()
    net.train()
    with torch.no_grad():
        for _ in range(20):
            net(torch.randn(8, 1, 12, 12))
    return net.eval()


def target_batches():
    """The same pictures through another scanner: gain and offset differ from scan to scan, so do batch sizes."""
    shifts = ((1.7, 3.0, 5), (0.4, -6.0, 2), (2.5, 11.0, 7))
    return [torch.randn(count, 1, 12, 12) * gain + offset for gain, offset, count in shifts]


def buffers(net):
    return {name: value.clone() for name, value in net.named_buffers()}


def test_statistics_are_those_of_all_values_together():
    net, batches = source_net(), target_batches()
    result = adapt_batch_norm(net, batches)
    with torch.no_grad():
        seen = torch.cat([net[0](batch).transpose(0, 1).flatten(1) for batch in batches], dim=1).double()
    torch.testing.assert_close(net[1].running_mean.double(), seen.mean(1), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(net[1].running_var.double(), seen.var(1, unbiased=True), rtol=1e-6, atol=1e-6)
    assert result == AdaBnResult(3, {"1": 14 * 100, "5": 14 * 64}, ())


def test_statistics_are_the_published_pooling_formula():
    net, batches = source_net(), target_batches()
    adapt_batch_norm(net, batches)
    with torch.no_grad():
        parts = [net[0](batch).transpose(0, 1).flatten(1).double() for batch in batches]
    n = torch.tensor([part.shape[1] for part in parts], dtype=torch.float64)[:, None]
    means = torch.stack([part.mean(1) for part in parts])
    variances = torch.stack([part.var(1, unbiased=False) for part in parts])
    mean = (n * means).sum(0) / n.sum()
    biased = (n * (variances + means**2)).sum(0) / n.sum() - mean**2
    torch.testing.assert_close(net[1].running_mean.double(), mean, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(net[1].running_var.double(), biased * n.sum() / (n.sum() - 1), rtol=1e-6, atol=1e-6)
    within_only = (n * variances).sum(0) / n.sum()
    assert (net[1].running_var > 1.5 * within_only).all(), "the toy must tell pooling from averaging"


def test_the_shifted_domain_is_normalised_again():
    net = nn.Sequential(nn.BatchNorm2d(1)).eval()
    batches = [torch.randn(6, 1, 20, 20) * 3 + 40 for _ in range(4)]
    adapt_batch_norm(net, batches)
    answer = net(torch.cat(batches)).detach()
    assert abs(float(answer.mean())) < 1e-5
    assert float(answer.std()) == pytest.approx(1, abs=1e-3)


def test_nothing_but_the_statistics_changes():
    net = source_net()
    net[1].momentum, net[3].training = 0.37, True
    before, others = copy.deepcopy(dict(net.named_parameters())), buffers(net)
    adapt_batch_norm(net, target_batches())
    assert all(torch.equal(parameter, before[name]) for name, parameter in net.named_parameters())
    assert net[1].momentum == 0.37
    assert [module.training for module in net] == [False, False, False, True, False, False]
    changed = {name for name, value in buffers(net).items() if not torch.equal(value, others[name])}
    assert changed == {"1.running_mean", "1.running_var", "5.running_mean", "5.running_var"}
    assert not any(parameter.grad is not None for parameter in net.parameters())


def test_dropout_stays_off():
    first = source_net()
    second = copy.deepcopy(first)
    batches = target_batches()
    adapt_batch_norm(first, batches)
    torch.manual_seed(99)
    adapt_batch_norm(second, batches)
    assert all(torch.equal(a, b) for a, b in zip(first.buffers(), second.buffers(), strict=True))


def test_batches_may_come_one_by_one():
    from_list = source_net()
    from_stream = copy.deepcopy(from_list)
    batches = target_batches()
    adapt_batch_norm(from_list, batches)
    adapt_batch_norm(from_stream, (batch for batch in batches), forward=from_stream.forward)
    assert torch.equal(from_list[5].running_var, from_stream[5].running_var)


def test_cancelling_brings_the_source_back():
    net, token = source_net(), CancelToken()
    before = buffers(net)

    def batches():
        for batch in target_batches():
            yield batch
            token.cancel()

    with pytest.raises(Cancelled):
        adapt_batch_norm(net, batches(), cancel=token)
    assert all(torch.equal(value, before[name]) for name, value in buffers(net).items())
    assert not net.training


def test_a_failing_stream_brings_the_source_back():
    net = source_net()
    before = buffers(net)

    def batches():
        yield torch.randn(2, 1, 12, 12)
        raise OSError("the disk is gone")

    with pytest.raises(OSError):
        adapt_batch_norm(net, batches())
    assert all(torch.equal(value, before[name]) for name, value in buffers(net).items())


@pytest.mark.parametrize(
    ("batches", "words"),
    [
        ([], "at least one scan"),
        ([torch.randn(1, 4, 1, 1)], "two values per channel"),
        ([torch.full((2, 4, 3, 3), float("nan"))], "not numbers"),
        ([torch.full((2, 4, 3, 3), float("inf"))], "not numbers"),
    ],
)
def test_unusable_data_is_refused_and_the_source_stays(batches, words):
    net = nn.Sequential(nn.BatchNorm2d(4)).eval()
    before = buffers(net)
    with pytest.raises(ModelError, match=words):
        adapt_batch_norm(net, batches)
    assert all(torch.equal(value, before[name]) for name, value in buffers(net).items())


def test_networks_without_batch_norm_say_so():
    for net in (CoarseNet(), nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))):
        result = adapt_batch_norm(net, [torch.randn(2, 3)])
        assert isinstance(result, NotApplicable)
        assert "no batch norm" in result.reason


def test_a_layer_that_keeps_no_statistics_is_no_target():
    assert isinstance(adapt_batch_norm(nn.BatchNorm2d(3, track_running_stats=False), []), NotApplicable)


def test_layers_the_data_never_reached_are_named_and_keep_the_source():
    net = source_net()
    before = buffers(net)
    result = adapt_batch_norm(net, target_batches(), forward=net[:4])
    assert result.unreached == ("5",)
    assert torch.equal(net[5].running_mean, before["5.running_mean"])


def test_the_compact_networks_encoder_adapts():
    net = TinySam().eval()
    result = adapt_batch_norm(net, [torch.randn(2, 1, 96, 96) * 2 + 1 for _ in range(2)], forward=net.encode)
    assert isinstance(result, AdaBnResult)
    assert result.unreached == ()
    assert len(result.values) == 13  # three in each of four stages and one at the end


def test_statistics_can_be_kept_and_put_back():
    net = source_net()
    kept = read_statistics(net)
    adapt_batch_norm(net, target_batches())
    assert not torch.equal(net[1].running_mean, kept["1.running_mean"])
    write_statistics(net, kept)
    assert all(torch.equal(net.state_dict()[name], value) for name, value in kept.items())
