"""Weights come in from every form MedSAM and SAM have, and from nothing else."""

import hashlib
import os
import pickle

import pytest
import torch
from safetensors.torch import save_file

from hemaview.errors import ModelError
from hemaview.segmentation.sam import checkpoint as module
from hemaview.segmentation.sam.architecture import VIT_B, build_sam
from hemaview.segmentation.sam.checkpoint import identify_checkpoint, load_sam


class _Trap:
    """Runs a command where it is unpickled."""

    def __init__(self, target):
        self._target = target

    def __reduce__(self):
        return os.system, (f"touch {self._target}",)


def _refused(path):
    """The sentence both ways of reading refuse a file with."""
    with pytest.raises(ModelError) as error:
        load_sam(path)
    with pytest.raises(ModelError) as same:
        identify_checkpoint(path)
    assert str(error.value) == str(same.value)
    assert "\n" not in str(error.value)
    return str(error.value)


def _tensors(make_sam):
    return dict(make_sam().state_dict())


def _training_file(tensors):
    weights = [torch.nn.Parameter(torch.ones(3))]
    optimiser = torch.optim.AdamW(weights)
    weights[0].grad = torch.ones(3)
    optimiser.step()
    return {"model": tensors, "optimizer": optimiser.state_dict(), "epoch": 7}


FORMS = {
    "plain": lambda tensors: tensors,
    "training": _training_file,
    "prefixed": lambda tensors: {f"module.{name}": tensor for name, tensor in tensors.items()},
    "prefixed training": lambda tensors: _training_file({f"module.{n}": t for n, t in tensors.items()}),
    "half": lambda tensors: {name: tensor.half() for name, tensor in tensors.items()},
    "parameters": lambda tensors: {name: torch.nn.Parameter(tensor) for name, tensor in tensors.items()},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_every_known_form_gives_the_same_network(form, zipped, make_sam, tiny, tmp_path):
    tensors = _tensors(make_sam)
    path = tmp_path / "some.pth"
    torch.save(FORMS[form](tensors), path, _use_new_zipfile_serialization=zipped)
    net = load_sam(path)
    for name, tensor in net.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.allclose(tensor, tensors[name], atol=2e-3)
    assert not net.training
    assert not any(parameter.requires_grad for parameter in net.parameters())
    found = identify_checkpoint(path)
    assert found.architecture == tiny
    assert found.kind == ("training checkpoint" if "training" in form else "weights")
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.md5 == hashlib.md5(path.read_bytes()).hexdigest()
    assert found.size == path.stat().st_size


def test_safetensors_by_the_same_names_are_taken(make_sam, tmp_path):
    tensors = _tensors(make_sam)
    path = tmp_path / "some.safetensors"
    save_file(tensors, path)
    assert torch.equal(load_sam(path).image_encoder.pos_embed, tensors["image_encoder.pos_embed"])


def test_the_network_answers_after_the_file_is_gone(checkpoint):
    net = load_sam(checkpoint)
    checkpoint.write_bytes(b"")
    checkpoint.unlink()
    with torch.inference_mode():
        assert torch.isfinite(net.image_encoder(torch.rand(1, 3, 64, 64))).all()


def test_published_files_are_known_by_their_hashes(checkpoint, monkeypatch):
    content = checkpoint.read_bytes()
    monkeypatch.setattr(module, "MEDSAM_MD5", hashlib.md5(content).hexdigest())
    found = identify_checkpoint(checkpoint)
    assert (found.kind, found.title, found.licence) == ("medsam", "MedSAM ViT-B", "CC-BY-4.0")
    monkeypatch.undo()
    monkeypatch.setattr(module, "SAM_VIT_B_SHA256", hashlib.sha256(content).hexdigest())
    assert identify_checkpoint(checkpoint).kind == "sam_vit_b"


def test_vit_b_has_the_published_number_of_parameters():
    with torch.device("meta"):
        net = build_sam()
    parts = (net.image_encoder, net.prompt_encoder, net.mask_decoder)
    counts = [sum(p.numel() for p in part.parameters()) for part in parts]
    assert counts == [89_670_912, 6_220, 4_058_340]
    assert tuple(net.image_encoder.pos_embed.shape) == (1, 64, 64, 768)
    assert type(VIT_B).of(net.state_dict()) == VIT_B


def test_a_file_with_code_is_not_executed(tmp_path):
    for protocol in (2, 4):
        target = tmp_path / f"executed-{protocol}"
        path = tmp_path / f"medsam_vit_b-{protocol}.pth"
        path.write_bytes(pickle.dumps({"model": _Trap(target)}, protocol=protocol))
        assert "program code" in _refused(path) or "no PyTorch checkpoint" in _refused(path)
        zipped = tmp_path / f"zipped-{protocol}.pth"
        torch.save({"model": _Trap(target)}, zipped, pickle_protocol=protocol)
        assert "program code" in _refused(zipped)
        assert not target.exists()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_truncated_file_is_refused(share, zipped, make_sam, tmp_path):
    path = tmp_path / "medsam_vit_b.pth"
    torch.save(_tensors(make_sam), path, _use_new_zipfile_serialization=zipped)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "cut short" in _refused(path) or "program code" in _refused(path)


@pytest.mark.parametrize("content", [b"<html>quota exceeded</html>", b"PK\x03\x04", b"\x80\x02}q\x00.", bytes(4096)])
def test_what_is_no_checkpoint_is_refused(content, tmp_path):
    path = tmp_path / "medsam_vit_b.pth"
    path.write_bytes(content)
    assert "medsam_vit_b.pth" in _refused(path)


def test_damaged_bytes_never_raise_anything_else(checkpoint):
    content = bytearray(checkpoint.read_bytes())
    state = torch.Generator().manual_seed(4)
    for _ in range(60):
        damaged = bytearray(content)
        for where in torch.randint(0, len(content), (20,), generator=state).tolist():
            damaged[where] ^= 0xFF
        # The directory at the end of the file is where most of its structure is.
        for where in torch.randint(len(content) - 6000, len(content), (2,), generator=state).tolist():
            damaged[where] ^= 0x55
        checkpoint.write_bytes(damaged)
        try:
            load_sam(checkpoint)
        except ModelError as error:
            assert "\n" not in str(error)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    assert "missing" in _refused(tmp_path / "none.pth")
    assert "cannot be read" in _refused(tmp_path)


FOREIGN = {
    "LiteMedSAM": {"image_encoder.patch_embed.seq.0.c.weight": torch.zeros(3), "mask_decoder.a": torch.zeros(2)},
    "Hugging Face": {"vision_encoder.pos_embed": torch.zeros(1, 64, 64, 768), "mask_decoder.a": torch.zeros(2)},
    "SAM 2": {"image_encoder.trunk.blocks.0.norm1.weight": torch.zeros(3)},
    "ViT-H": {"image_encoder.pos_embed": torch.zeros(1, 64, 64, 1280)},
    "ViT-L": {"module.image_encoder.pos_embed": torch.zeros(1, 64, 64, 1024)},
    "adapter": {"w_a_000": torch.zeros(4, 768), "w_b_000": torch.zeros(768, 4)},
    "optimiser": {"state": {}, "param_groups": []},
    "without its image encoder": {"mask_decoder.iou_token.weight": torch.zeros(1, 256)},
    "no Segment Anything model": {"conv1.weight": torch.zeros(64, 3, 7, 7)},
    "no weights": {},
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("wrapped", [False, True], ids=["plain", "training"])
def test_other_models_are_named(kind, wrapped, tmp_path):
    content = FOREIGN[kind]
    path = tmp_path / "download.pth"
    torch.save({"model": content, "epoch": 1} if wrapped else content, path)
    text = _refused(path)
    assert kind in text
    assert "medsam_vit_b.pth" in text


@pytest.mark.parametrize("content", [[1, 2], "text", 7, torch.zeros(3), {"model": 3}, {1: torch.zeros(2)}, None])
def test_content_that_is_no_state_dict_is_refused(content, tmp_path):
    path = tmp_path / "download.pth"
    torch.save(content, path)
    assert "download.pth" in _refused(path)


def _without(tensors, name):
    return {n: t for n, t in tensors.items() if n != name}


CHANGES = {
    "missing": lambda t: _without(t, "mask_decoder.iou_token.weight"),
    "no position": lambda t: _without(t, "image_encoder.pos_embed"),
    "extra": lambda t: t | {"image_encoder.extra": torch.zeros(2)},
    "shape": lambda t: t | {"image_encoder.neck.1.weight": torch.zeros(5)},
    "no block": lambda t: {n: v for n, v in t.items() if ".blocks." not in n},
    "far block": lambda t: t | {"image_encoder.blocks.4000000000.norm1.weight": torch.zeros(2)},
    "empty": lambda t: t | {"image_encoder.pos_embed": torch.zeros(1, 0, 0, 32)},
    "integers": lambda t: t | {"image_encoder.neck.1.weight": torch.zeros(32, dtype=torch.int64)},
    "repeated": lambda t: t | {"image_encoder.pos_embed": torch.zeros(1, 1, 1, 1).expand(1, 4, 4, 32)},
    "huge": lambda t: t | {"image_encoder.pos_embed": torch.zeros(1).expand(1, 10**6, 10**6, 32)},
    "not a tensor": lambda t: t | {"image_encoder.neck.1.weight": 3.0},
    "larger": lambda t: t | {"image_encoder.pos_embed": torch.zeros(1, 80, 80, 32)},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_network_that_does_not_fit_is_refused(change, make_sam, tmp_path):
    path = tmp_path / "download.pth"
    torch.save(CHANGES[change](_tensors(make_sam)), path)
    assert "download.pth" in _refused(path)


def test_another_size_than_asked_for_is_refused(checkpoint):
    with pytest.raises(ModelError, match=r"another size .*\(1, 64, 64, 768\)"):
        load_sam(checkpoint, VIT_B)
