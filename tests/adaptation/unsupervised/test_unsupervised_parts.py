"""Parts of the unsupervised adaptation: head, self-given labels, what each arm trains, scanners and scores."""

import numpy as np
import pytest
import torch

from hemaview.adaptation.unsupervised.arms import Arm, prepare
from hemaview.adaptation.unsupervised.batches import CROP, crops_in_turn, labelled_crops, unlabelled_crops
from hemaview.adaptation.unsupervised.head import EarlyHead, HeadedUNet
from hemaview.adaptation.unsupervised.pseudo_labels import pseudo_labels, self_training_loss, soft_agreement
from hemaview.adaptation.unsupervised.scanners import SCANNER_A, SCANNER_B
from hemaview.adaptation.unsupervised.scoring import score
from hemaview.adaptation.unsupervised.slices import SliceSet, blood, synthetic_slices
from hemaview.segmentation.unet import ResidualUNet


def _model(level=3):
    torch.manual_seed(0)
    return HeadedUNet(ResidualUNet(), EarlyHead(level)).requires_grad_(False).eval()


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_early_logits_have_the_size_of_the_slice_at_every_level(level):
    final, early = _model(level).both(torch.rand(2, 1, 48, 32))
    assert final.shape == early.shape == (2, 1, 48, 32)


def test_early_logits_depend_on_nothing_after_their_level():
    model, image = _model(), torch.rand(1, 1, 32, 32)
    final, early = model.both(image)
    with torch.no_grad():
        for block in (model.net.up3, model.net.up2, model.net.up1, model.net.out_path):
            for parameter in block.parameters():
                parameter.add_(0.5)
    changed_final, same_early = model.both(image)
    assert torch.equal(early, same_early)
    assert not torch.equal(final, changed_final)


def test_labels_are_soft_and_cut_off_from_the_gradient():
    logits = torch.tensor([-4.0, 0.3, 4.0], requires_grad=True)
    labels = pseudo_labels(logits)
    assert torch.equal(labels.target, torch.sigmoid(logits.detach()))
    assert not labels.target.requires_grad
    assert not labels.sure.requires_grad


def test_no_gradient_reaches_the_layers_after_the_head_through_the_labels():
    model = _model().requires_grad_(True)
    final, early = model.both(torch.rand(2, 1, 32, 32))
    labels = pseudo_labels(final)
    labels.sure.fill_(1)
    self_training_loss(early, labels).backward()
    assert all(p.grad is None for p in model.net.up1.parameters())
    assert all(p.grad is not None for p in model.net.init_path.parameters())


def test_only_sure_pixels_count():
    logits = torch.logit(torch.tensor([0.05, 0.11, 0.5, 0.89, 0.95]))
    labels = pseudo_labels(logits)
    assert labels.sure.tolist() == [1, 0, 0, 0, 1]
    early = torch.zeros(5, requires_grad=True)
    loss = self_training_loss(early, labels)
    loss.backward()
    assert loss.item() == pytest.approx(np.log(2))
    assert (early.grad != 0).tolist() == [True, False, False, False, True]


def test_without_a_sure_pixel_the_loss_is_zero():
    labels = pseudo_labels(torch.zeros(4))
    assert self_training_loss(torch.ones(4, requires_grad=True), labels).item() == 0


def test_agreement_is_one_only_for_equal_and_sure_maps():
    sure = torch.tensor([1.0, 0.0, 1.0])
    assert soft_agreement(sure, sure) == 1
    assert soft_agreement(sure, 1 - sure) == 0
    assert soft_agreement(torch.full((3,), 0.01), torch.full((3,), 0.01)) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("arm", "trained"),
    [
        (Arm.NONE, 0),
        (Arm.LORA, 1_970),
        (Arm.CONV_LORA, 3_762),
        (Arm.ADABN, 0),
        (Arm.CONV_LORA_ADABN, 3_762),
        (Arm.FULL, 2_434_771),
    ],
)
def test_each_arm_trains_its_own_parameters_and_starts_as_the_source(arm, trained):
    source, image = _model(), torch.rand(1, 1, 32, 32)
    prepared = prepare(source, arm)
    assert prepared.trained == trained
    assert {id(p) for p in prepared.parameters} == {id(p) for p in prepared.model.parameters() if p.requires_grad}
    with torch.no_grad():
        assert torch.equal(prepared.model(image), source(image))


@pytest.fixture(scope="module")
def both_scanners(head):
    return [synthetic_slices(3, 2, head, scanner, blood) for scanner in (SCANNER_A, SCANNER_B)]


def test_the_same_seed_gives_the_same_lesions_on_both_scanners_and_other_images(both_scanners):
    first, second = both_scanners
    assert np.array_equal(first.truths, second.truths)
    assert first.truths.any()
    assert first.images.shape == second.images.shape
    assert not torch.allclose(first.images, second.images, atol=0.05)
    for slices in both_scanners:
        assert slices.images.min() == 0
        assert slices.images.max() <= 1
        assert set(slices.images[:, 1].unique().tolist()) == {0, 1}
        assert slices.truths.shape[1:] == tuple(2 * side for side in slices.images.shape[2:])


def test_every_kept_slice_has_its_lesion_inside_the_box(both_scanners):
    for slices in both_scanners:
        box = np.repeat(np.repeat(slices.images[:, 1].numpy() > 0, 2, axis=1), 2, axis=2)
        assert (slices.truths & ~box).sum() <= 0.02 * slices.truths.sum()
        for scan in np.unique(slices.scans):
            own = slices.scans == scan
            assert slices.truths[own][0].any()
            assert slices.truths[own][-1].any()
            assert box[own].sum() < 8 * slices.truths[own].sum() + 4000


def test_crops_hold_the_centre_of_the_box(both_scanners):
    rng = np.random.default_rng(0)
    crops, truth = labelled_crops(rng, both_scanners[0], 20)
    assert crops.shape == (20, 2, CROP, CROP)
    assert truth.shape == (20, 1, CROP, CROP)
    assert crops[:, 1].amax(dim=(1, 2)).min() == 1
    assert ((truth > 0.5) & (crops[:, 1:] == 0)).sum() <= 0.05 * (truth > 0.5).sum()
    passes = list(crops_in_turn(rng, both_scanners[0], 4, 2))
    assert sum(len(batch) for batch in passes) == 2 * len(both_scanners[0])
    assert unlabelled_crops(rng, both_scanners[0], 3).shape == (3, 2, CROP, CROP)


def test_synthetic_slices_repeat(head, both_scanners):
    again = synthetic_slices(3, 2, head, SCANNER_B, blood)
    assert torch.equal(again.images, both_scanners[1].images)


def test_slices_come_back_from_disk(tmp_path, both_scanners):
    both_scanners[0].save(tmp_path / "slices.npz")
    stored = SliceSet.load(tmp_path / "slices.npz")
    assert torch.equal(stored.images, both_scanners[0].images)
    assert np.array_equal(stored.truths, both_scanners[0].truths)
    assert np.array_equal(stored.scans, both_scanners[0].scans)
    assert stored.step_mm == both_scanners[0].step_mm


class _Oracle(torch.nn.Module):
    """Answers with the truth of the slices it was made for."""

    def __init__(self, slices):
        super().__init__()
        self._truth = torch.from_numpy(slices.truths[:, ::2, ::2].astype(np.float32))[:, None]

    def forward(self, x):
        answer, self._truth = self._truth[: len(x)], self._truth[len(x) :]
        return 20 * answer - 10


def test_scores_of_a_perfect_and_of_an_empty_answer():
    truth = np.zeros((3, 32, 32), np.bool_)
    truth[1:, 8:20, 10:22] = True
    blocks = np.repeat(np.repeat(truth[:, ::2, ::2], 2, axis=1), 2, axis=2)
    slices = SliceSet(torch.zeros(3, 1, 16, 16), blocks, np.zeros(3, np.int64), 4.0)
    found = score(_Oracle(slices), slices)
    assert found.dice > 0.95
    assert found.surface_dice_1mm > 0.95
    nothing = score(lambda x: torch.full_like(x, -5.0), slices)
    assert (nothing.dice, nothing.surface_dice_2mm, nothing.empty) == (0, 0, 1)
