"""Stored samples, batches and the training loop, on a handful of samples."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open

from hemaview.adaptation import shards as store
from hemaview.adaptation.batches import box_batch, coarse_batch, draw, mask_faces, prompted_batch, with_points
from hemaview.adaptation.prompting import spoiled_plane
from hemaview.adaptation.scoring import measure_weights, table
from hemaview.adaptation.train_compact import main
from hemaview.adaptation.training import Plan, coarse_loss, fine_loss, save_weights, train
from hemaview.errors import HemaviewError
from hemaview.segmentation.compact.coarse import CoarseNet
from hemaview.segmentation.compact.tiny_sam import TinySam


@pytest.fixture(scope="module")
def folder(head, tmp_path_factory):
    path = tmp_path_factory.mktemp("shards")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "SHARD_SIZE", 6)
        store.write_shards(path, 1, [head], shards=1, report=lambda line: None)
    return path


@pytest.fixture(scope="module")
def shards(folder):
    return store.open_shards(folder)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_shards_give_back_what_was_made(head, shards, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "SHARD_SIZE", 6)
    store.write_shards(tmp_path, 1, [head], shards=1, report=lambda line: None)
    again = store.open_shards(tmp_path)
    assert len(shards[0]) == len(again[0]) == 6
    for number in range(6):
        assert np.array_equal(shards[0][number].image, again[0][number].image)
        assert np.array_equal(shards[0][number].mask, again[0][number].mask)
        assert shards[0][number].mask.any()


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(HemaviewError, match="no training samples"):
        store.open_shards(tmp_path)


def test_mask_faces_lie_on_the_outer_voxel_faces():
    mask = np.zeros((5, 6, 7), dtype=bool)
    mask[1:3, 2:6, 4] = True
    lower, upper = mask_faces(mask)
    assert lower.tolist() == [0.5, 1.5, 3.5]
    assert upper.tolist() == [2.5, 5.5, 4.5]


def test_coarse_batch_has_targets_inside_its_crops(shards):
    crops, targets = coarse_batch(np.random.default_rng(1), shards, 4)
    assert crops.shape == (4, 3, 24, 48, 48)
    assert targets.shape == (4, 24, 48, 48)
    assert bool((targets.sum((1, 2, 3)) > 0).all())
    assert 0 <= float(targets.min()) <= float(targets.max()) <= 1 + 1e-5


def test_evidence_never_contradicts_the_truth_at_its_points(shards):
    rng = np.random.default_rng(8)
    crops, targets = coarse_batch(rng, shards, 12, told=1.0)
    evidence = crops[:, 2]
    # A rectangle asked for where there is no lesion says nothing.
    assert int((evidence.abs().amax((1, 2, 3)) > 0.5).sum()) >= 9
    assert -1 <= float(evidence.min()) < 0 < float(evidence.max()) <= 1
    assert float(targets[evidence > 0.9].mean()) > float(targets[evidence < -0.9].mean()) + 0.4
    untold, _ = coarse_batch(rng, shards, 3, told=0.0)
    assert not untold[:, 2].any()


def test_points_correct_the_answer_that_they_follow(shards):
    batch = box_batch(np.random.default_rng(9), shards, 8)

    def too_large(crops, boxes, prompt, points):
        return torch.full((len(crops), 1, 96, 96), 5.0), torch.ones(len(crops))

    asked = with_points(np.random.default_rng(10), batch, too_large)
    coordinates, labels = asked.points
    assert coordinates.shape == (8, 4, 2)
    used = labels >= 0
    assert bool(used.any(dim=1).all())
    for item in range(8):
        for (x, y), label in zip(coordinates[item].tolist(), labels[item].tolist(), strict=True):
            if label >= 0:
                assert bool(batch.targets[item, 0, int(y), int(x)] > 0.5) == bool(label)
    assert int((labels == 0).sum()) > int((labels == 1).sum())


def test_points_can_follow_a_made_up_answer_near_the_truth(shards):
    batch = box_batch(np.random.default_rng(11), shards, 8)
    guess = torch.stack([spoiled_plane(np.random.default_rng(n), target) for n, target in enumerate(batch.targets)])
    mask, truth = guess > 0, batch.targets > 0.5
    overlap = float(2 * (mask & truth).sum() / (mask.sum() + truth.sum()))
    assert 0.5 < overlap < 0.99
    asked = with_points(np.random.default_rng(12), batch, None)
    assert set(asked.points[1].unique().tolist()) <= {-1, 0, 1}


def test_cores_alone_are_drawn_wider_at_times():
    image = np.zeros((1, 5, 24, 24), dtype=np.uint8)
    mask = np.zeros((1, 5, 24, 24), dtype=bool)
    mask[:, 1:4, 8:16, 8:16] = True
    volumes = {}
    for kind in ("core", "whole"):
        shard = store.Shard(image, np.packbits(mask, axis=-1), np.array([5]), np.ones((1, 3)), np.array([kind]))
        rng = np.random.default_rng(1)
        volumes[kind] = [int(draw(rng, [shard]).mask.sum()) for _ in range(20)]
    assert set(volumes["whole"]) == {192}
    assert set(volumes["core"]) == {192, 288}


def test_box_batch_has_its_targets_in_their_boxes(shards):
    batch = box_batch(np.random.default_rng(2), shards, 8)
    assert batch.prompts is None
    for target, (x0, y0, x1, y1) in zip(batch.targets, batch.boxes.tolist(), strict=True):
        rows, columns = np.nonzero(target[0].numpy() > 0.5)
        assert len(rows)
        margin = 0.35 * max(x1 - x0, y1 - y0) + 3
        assert x0 - margin <= columns.min() <= columns.max() <= x1 + margin
        assert y0 - margin <= rows.min() <= rows.max() <= y1 + margin


def test_prompts_resemble_the_truth_they_are_made_from(shards):
    batch = prompted_batch(np.random.default_rng(3), shards, 8, None)
    guess, truth = batch.prompts > 0, batch.targets > 0.5
    assert float(2 * (guess & truth).sum() / (guess.sum() + truth.sum())) > 0.5


def test_prompts_can_come_from_a_coarse_network(shards):
    def oracle(crops):
        return (crops[:, 1] - 0.5) * 8

    batch = prompted_batch(np.random.default_rng(4), shards, 6, oracle)
    assert batch.prompts.shape == (6, 1, 96, 96)
    assert float(batch.prompts.max()) > 0


def test_losses_are_lowest_for_the_truth():
    truth = torch.zeros(1, 24, 48, 48)
    truth[:, 8:16, 10:30, 10:30] = 1
    right, nothing, everything = (truth - 0.5) * 20, torch.full_like(truth, -10), torch.full_like(truth, 10)
    assert coarse_loss(right, truth) < 0.05
    assert coarse_loss(nothing, truth) > 1
    assert coarse_loss(everything, truth) > coarse_loss(nothing, truth)
    flat = truth[:, 12:13]
    assert fine_loss(right[:, 12:13], torch.ones(1), flat) < 0.05
    assert fine_loss(right[:, 12:13], torch.zeros(1), flat) > 0.1


def test_training_writes_usable_weights_and_resumes(shards, tmp_path):
    lines = []
    rng = np.random.default_rng(5)
    plan = Plan(0.02, 1e-3, tmp_path / "state.pt", tmp_path / "coarse.safetensors", {"role": "coarse"})

    def step_loss(net):
        crops, targets = coarse_batch(rng, shards, 1)
        return coarse_loss(net(crops), targets)

    train(CoarseNet(), plan, step_loss, lambda net: 0.5, lines.append)
    assert json.loads(lines[-1])["held_out_dice"] == 0.5
    with safe_open(plan.weights, "pt") as stored:
        assert stored.metadata()["role"] == "coarse"
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - not a mapping
    assert tensors["head.weight"].dtype == torch.float16
    CoarseNet().load_state_dict(tensors)
    lines.clear()
    train(CoarseNet(), plan, step_loss, lambda net: 0.5, lines.append)
    assert lines[0].startswith("resumed")


def test_fine_network_learns_from_a_batch(shards):
    torch.manual_seed(0)
    net = TinySam()
    batch = prompted_batch(np.random.default_rng(6), shards, 4, None)
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-3)
    losses = []
    for _ in range(8):
        loss = fine_loss(*net(batch.crops, batch.boxes, batch.prompts), batch.targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_blend_averages_weights_and_keeps_their_description(tmp_path):
    torch.manual_seed(0)
    first, second = CoarseNet(), CoarseNet()
    for number, net in enumerate((first, second)):
        save_weights(net, tmp_path / f"{number}.safetensors", {"role": "coarse"})
    files = [str(tmp_path / f"{number}.safetensors") for number in range(2)]
    out = tmp_path / "mean.safetensors"
    assert main(["blend", "coarse", *files, "--out", str(out)]) == 0
    with safe_open(out, "pt") as stored:
        assert stored.metadata() == {"role": "coarse", "blend_of": "2"}
        found = stored.get_tensor("head.weight").float()
    expected = (first.head.weight + second.head.weight).detach() / 2
    assert torch.allclose(found, expected, atol=2e-3)


def test_scoring_names_every_prompt_and_asks_all_weights_the_same(shards):
    torch.manual_seed(0)
    coarse, fine = CoarseNet().eval(), TinySam().eval()
    rows, calibration = measure_weights(coarse, fine, shards)
    again, _ = measure_weights(coarse, fine, shards)
    assert [row.dice for row in rows] == [row.dice for row in again]
    assert {"coarse, box", "coarse, box and slices", "fine, box", "fine, box, own mask, 3 points"} <= {
        row.prompt for row in rows
    }
    assert all(0 <= row.dice <= 1 for row in rows)
    assert -1 <= calibration.correlation <= 1
    assert rows[0].prompt in table(rows, calibration)


def test_blend_takes_shares_of_its_own_for_the_image_encoder(tmp_path):
    torch.manual_seed(0)
    nets = TinySam(), TinySam()
    for number, net in enumerate(nets):
        save_weights(net, tmp_path / f"{number}.safetensors", {"role": "fine"})
    files = [str(tmp_path / f"{number}.safetensors") for number in range(2)]
    out = tmp_path / "mean.safetensors"
    shares = ["--shares", "0.25", "0.75", "--encoder-shares", "1", "0"]
    assert main(["blend", "fine", *files, "--out", str(out), *shares]) == 0
    states = [net.state_dict() for net in nets]
    encoder = next(name for name in states[0] if name.startswith("image_encoder") and name.endswith("weight"))
    decoder = "mask_decoder.mask_tokens.weight"
    with safe_open(out, "pt") as stored:
        assert torch.allclose(stored.get_tensor(encoder).float(), states[0][encoder], atol=2e-3)
        expected = 0.25 * states[0][decoder] + 0.75 * states[1][decoder]
        assert torch.allclose(stored.get_tensor(decoder).float(), expected, atol=4e-3)
