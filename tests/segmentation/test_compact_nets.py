"""The compact model's networks: shapes, prompts, and that they stay small."""

import sys

import pytest
import torch

from hemaview.segmentation.compact.coarse import CoarseNet, with_evidence
from hemaview.segmentation.compact.tiny_sam import PROMPT_LOGIT_LIMIT, TinySam


@pytest.fixture(scope="module")
def fine():
    torch.manual_seed(0)
    return TinySam().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def coarse():
    torch.manual_seed(0)
    return CoarseNet().eval().requires_grad_(False)


def parameters(net):
    return sum(p.numel() for p in net.parameters())


def test_networks_are_small_enough_to_ship(fine, coarse):
    assert parameters(fine) < 2_000_000
    assert parameters(coarse) < 1_500_000
    assert "torchvision" not in sys.modules


def test_fine_network_answers_one_box_per_image(fine):
    torch.manual_seed(1)
    images = torch.randn(3, 1, 96, 96)
    boxes = torch.tensor([[20.0, 20, 70, 70], [10, 30, 60, 80], [40, 40, 60, 50]])
    logits, iou = fine(images, boxes)
    assert logits.shape == (3, 1, 96, 96)
    assert iou.shape == (3,)
    for number in range(3):
        alone, _ = fine(images[number : number + 1], boxes[number : number + 1])
        assert torch.allclose(alone[0], logits[number], atol=1e-4)


def test_fine_network_listens_to_its_box_and_its_mask_prompt(fine):
    torch.manual_seed(2)
    embedding = fine.encode(torch.randn(1, 1, 96, 96))
    box = torch.tensor([[20.0, 20, 70, 70]])
    plain, _ = fine.decode(embedding, box)
    moved, _ = fine.decode(embedding, box + 10)
    prompt = torch.full((1, 1, 96, 96), -PROMPT_LOGIT_LIMIT)
    prompt[..., 30:60, 30:60] = PROMPT_LOGIT_LIMIT
    prompted, _ = fine.decode(embedding, box, prompt)
    limited, _ = fine.decode(embedding, box, prompt * 100)
    assert not torch.allclose(plain, moved)
    assert not torch.allclose(plain, prompted)
    assert torch.equal(prompted, limited)


def test_fine_network_listens_to_points_and_not_to_their_order_or_padding_place(fine):
    torch.manual_seed(4)
    embedding = fine.encode(torch.randn(1, 1, 96, 96))
    box = torch.tensor([[20.0, 20, 70, 70]])
    places = torch.tensor([[[30.0, 40.0], [60.0, 25.0], [0.0, 0.0]]])

    def answer(labels, order=(0, 1, 2)):
        chosen = list(order)
        return fine.decode(embedding, box, points=(places[:, chosen], torch.tensor([labels])[:, chosen]))[0]

    positive = answer([1, 0, -1])
    assert not torch.allclose(positive, answer([0, 1, -1]))
    assert not torch.allclose(positive, fine.decode(embedding, box)[0])
    assert torch.allclose(positive, answer([1, 0, -1], (2, 1, 0)), atol=1e-4)
    alone, _ = fine(
        torch.zeros(2, 1, 96, 96), box.expand(2, 4), None, (places[:, :1].expand(2, 1, 2), torch.ones(2, 1))
    )
    assert alone.shape == (2, 1, 96, 96)


def test_coarse_network_listens_to_evidence_and_does_without(coarse):
    torch.manual_seed(5)
    crops = torch.randn(1, 3, 24, 48, 48)
    crops[:, 2] = 0
    known = crops.clone()
    known[:, 2, 10:14, 20:30, 20:30] = 1
    assert torch.equal(coarse(crops), coarse(crops[:, :2]))
    assert not torch.allclose(coarse(crops), coarse(known))


def test_weights_from_before_evidence_answer_as_they_did(coarse):
    tensors = coarse.state_dict()
    older = {**tensors, "down.0.0.weight": tensors["down.0.0.weight"][:, :8]}
    net = CoarseNet().eval()
    net.load_state_dict(with_evidence(older))
    crops = torch.randn(1, 3, 24, 48, 48, generator=torch.Generator().manual_seed(6))
    blind = crops.clone()
    blind[:, 2] = 0
    assert torch.allclose(net(crops), coarse(blind), atol=1e-5)
    again = with_evidence(tensors)
    assert again["down.0.0.weight"].shape == tensors["down.0.0.weight"].shape


def test_coarse_network_answers_on_its_crop_and_forgets_other_items(coarse):
    torch.manual_seed(3)
    crops = torch.randn(2, 2, 24, 48, 48)
    logits = coarse(crops)
    assert logits.shape == (2, 24, 48, 48)
    assert torch.allclose(coarse(crops[1:])[0], logits[1], atol=1e-4)


def test_coarse_network_keeps_positions(coarse):
    """Moving a spot in the plane moves the response: folding and unfolding must not shuffle pixels."""
    base = torch.zeros(1, 2, 24, 48, 48)
    spot = base.clone()
    spot[0, 0, 12, 31, 14] = 50.0
    change = (coarse(spot) - coarse(base)).abs()[0]
    k, j, i = (int(v) for v in torch.unravel_index(change.argmax(), change.shape))
    assert abs(k - 12) <= 3
    assert abs(j - 31) <= 5
    assert abs(i - 14) <= 5
