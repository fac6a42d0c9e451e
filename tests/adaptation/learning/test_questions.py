"""What the networks learn from is what they see in use."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hemaview.adaptation.learning.coarse_questions import CoarseTrainee
from hemaview.adaptation.learning.fine_questions import FineTrainee
from hemaview.adaptation.learning.methods import METHODS, method_called
from hemaview.adaptation.learning.sam_questions import SamTrainee
from hemaview.adaptation.learning.student import Student
from hemaview.errors import HemaviewError, ModelError
from hemaview.imaging import Geometry, LabelMap, Modality, Volume
from hemaview.segmentation.compact.coarse import CoarseNet
from hemaview.segmentation.compact.slices import CompactSlices
from hemaview.segmentation.compact.tiny_sam import TinySam
from hemaview.segmentation.guided.protocols import SliceQuestion
from hemaview.segmentation.sam.architecture import build_sam

sys.path.insert(0, str(Path(__file__).parents[2] / "segmentation"))

from tiny_checkpoint import TINY_SAM


@pytest.fixture(scope="module")
def scan():
    geometry = Geometry((48, 44, 12), (0.8, 0.8, 3.0))
    k, j, i = np.mgrid[:12, :44, :48]
    mask = ((i - 22) * 0.8 / 11) ** 2 + ((j - 20) * 0.8 / 8) ** 2 + ((k - 6) * 3.0 / 12) ** 2 < 1
    array = np.random.default_rng(3).normal(300, 25, mask.shape) + 250 * mask
    return Volume(array.astype(np.int16), geometry, Modality.MR, "ball"), LabelMap(mask, geometry)


def _oracle(crops):
    """A coarse network that finds what is bright."""
    return 6 * crops[:, 0].clamp(-1, 1) - 2


def _nobody():
    """Nobody cancels."""


class Recording(nn.Module):
    """Stands for the fine network and keeps what it was shown."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Identity()

    def forward(self, crops, boxes, prompts=None, points=None):
        self.seen = (crops.clone(), boxes.clone(), prompts)
        return self.layer(torch.zeros(len(crops), 1, 96, 96)), torch.zeros(len(crops))


def test_fine_questions_are_those_of_the_engine(scan):
    volume, mask = scan
    questions = FineTrainee(_oracle).questions(volume, mask, np.random.default_rng(1), 12)
    assert len(questions) == 12
    assert sum(bool(question["hinted"]) for question in questions) == 6
    net = Recording()
    session = CompactSlices(net, threads=1).open(volume)
    window = (slice(0, 44), slice(0, 48))
    for question in questions:
        k, *rectangle = question["asked"].tolist()
        session.answer([SliceQuestion(int(k), tuple(rectangle))], window, None, _nobody)
        assert torch.allclose(net.seen[0][0], question["crop"], atol=1e-4)
        assert torch.allclose(net.seen[1][0], question["box"], atol=1e-3)
        hint = question["hint"] > 0
        target = question["target"] > 0.5
        if question["hinted"] and target.any():
            assert float(2 * (hint & target).sum() / (hint.sum() + target.sum())) > 0.6
        else:
            assert not hint.any()
    again = FineTrainee(_oracle).questions(volume, mask, np.random.default_rng(1), 12)
    assert all(torch.equal(a["crop"], b["crop"]) for a, b in zip(questions, again, strict=True))


def _filled(box, size=96):
    """The pixels whose centres lie in a box (x0, y0, x1, y1)."""
    x0, y0, x1, y1 = box.tolist()
    index = torch.arange(size)
    return (((index >= y0) & (index <= y1))[:, None] & ((index >= x0) & (index <= x1))[None]).float()


@pytest.mark.parametrize("seed", range(12))
def test_turning_a_question_turns_its_box_and_answer_alike(seed):
    box = torch.tensor([10.5, 20.5, 40.5, 71.5])
    picture = _filled(box)[None]
    question = {"crop": picture, "box": box, "target": picture, "hint": picture, "hinted": torch.tensor(True)}
    turned = FineTrainee(_oracle).varied(question, np.random.default_rng(seed))
    assert torch.equal(turned["target"][0], _filled(turned["box"]))
    assert torch.equal(turned["hint"], turned["target"])


def test_coarse_questions_hold_the_lesion_in_their_box(scan):
    volume, mask = scan
    trainee = CoarseTrainee()
    rng = np.random.default_rng(2)
    questions = trainee.questions(volume, mask, rng, 20)
    assert len({float(question["crop"][1].max()) for question in questions}) == 2
    for question in (*questions, *(trainee.varied(question, rng) for question in questions)):
        crop, target = question["crop"], question["target"]
        assert crop.shape[1:] == target.shape == (24, 48, 48)
        inside = crop[1] > 0
        assert float(target[inside].sum() / target.sum()) > 0.8
        assert float(crop[0][target > 0.5].mean()) > float(crop[0][target < 0.5].mean()) + 0.5


@pytest.mark.parametrize("role", ["fine", "coarse"])
def test_losses_have_gradients_for_the_adapter_only(scan, role):
    torch.manual_seed(0)
    net, trainee = (TinySam(), FineTrainee(_oracle)) if role == "fine" else (CoarseNet(), CoarseTrainee())
    student = Student(net.eval(), role, METHODS["conv_lora"], 0)
    questions = trainee.questions(*scan, np.random.default_rng(4), 4)
    batch = {name: torch.stack([question[name] for question in questions]) for name in questions[0]}
    student.train()
    trainee.loss(student.net, batch).backward()
    parameters = student.named_parameters()
    assert student.trainable < 0.1 * student.base_size
    # A is multiplied by B, which is zero at first, so only B has a gradient then.
    assert any(float(p.grad.abs().max()) > 0 for name, p in parameters.items() if name.endswith(".b"))
    learning = {id(parameter) for parameter in parameters.values()}
    assert all(p.grad is None for p in student.net.parameters() if id(p) not in learning)
    assert trainee.dice(student.net, batch).shape == (4,)


def test_a_method_without_a_place_is_refused():
    with pytest.raises(ModelError, match='"lora" has no place in the coarse network'):
        Student(CoarseNet(), "coarse", METHODS["lora"], 0)
    with pytest.raises(HemaviewError, match="no method"):
        method_called("magic")
    with pytest.raises(HemaviewError, match="has no rank"):
        method_called("decoder", rank=4)
    assert method_called("lora", rank=2).config.lora.rank == 2


@pytest.fixture
def tiny_sam():
    torch.manual_seed(1)
    return build_sam(TINY_SAM).eval().requires_grad_(False)


def test_medsam_learns_its_decoder_from_slices_encoded_once(scan, tiny_sam):
    volume, mask = scan
    once = SamTrainee(tiny_sam, encode_once=True)
    questions = once.questions(volume, mask, np.random.default_rng(5), 6)
    pictures = SamTrainee(tiny_sam, encode_once=False).questions(volume, mask, np.random.default_rng(5), 6)
    assert questions[0]["seen"].shape == (32, 4, 4)
    assert pictures[0]["seen"].shape == (1, 64, 64)
    batch = {name: torch.stack([question[name] for question in questions]) for name in questions[0]}
    seen = {name: torch.stack([question[name] for question in pictures]) for name in pictures[0]}
    student = Student(tiny_sam, "sam", METHODS["decoder"], 0)
    with torch.inference_mode():
        both = once.loss(tiny_sam, batch), SamTrainee(tiny_sam, encode_once=False).loss(tiny_sam, seen)
    assert float(both[0]) == pytest.approx(float(both[1]), abs=1e-4)
    optimiser = torch.optim.AdamW(student.named_parameters().values(), lr=3e-3)
    losses = []
    for _ in range(25):
        loss = once.loss(tiny_sam, batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]


def test_medsams_boxes_move_inwards_and_outwards_but_never_inside_out(scan, tiny_sam):
    volume, mask = scan
    trainee = SamTrainee(tiny_sam, encode_once=True)
    question = trainee.questions(volume, mask, np.random.default_rng(5), 1)[0]
    tight = question["box"]
    boxes = torch.stack([trainee.varied(question, np.random.default_rng(seed))["box"] for seed in range(60)])
    grown = (boxes - tight) * torch.tensor([-1.0, -1.0, 1.0, 1.0])
    assert bool((grown > 0).any()) and bool((grown < 0).any())
    assert float(grown.max()) <= 20 * 64 / 1024 + 1e-4
    assert bool((boxes[:, 2:] > boxes[:, :2]).all())
