"""Adapters on disk: what goes out comes back, on the right base only, and hostile files get one sentence."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save

from hemaview.errors import ExportError, ModelError
from hemaview.segmentation.adapters import (
    AdapterCard,
    AdapterConfig,
    ConvLoraConfig,
    LoraConfig,
    read_adapter,
    read_card,
    save_adapter,
)
from hemaview.segmentation.adapters.inject import inject

CONFIG = AdapterConfig(lora=LoraConfig(rank=2, alpha=3.5, dropout=0.1), conv_lora=ConvLoraConfig(), refinement=True)
BASE = "ab" * 32


def card(config=CONFIG, **changes):
    entries = {
        "title": "Site B, 1.5 T",
        "base_name": "compact",
        "base_sha256": BASE,
        "config": config,
        "trained_on": "12 synthetic T2* scans",
        "figures": {"dice_before": 0.81, "dice_after": 0.88, "cases": 12},
        "created": "2026-11-22T20:00:00+00:00",
        "program": "HEMAVIEW 1.0",
    }
    return AdapterCard(**{**entries, **changes})


@pytest.fixture
def saved(tmp_path, build, train):
    """A trained adapter of both compact networks on disk, and the networks it is in."""
    nets = {role: train(inject(build(f"compact {role}")[0], CONFIG)) for role in ("coarse", "fine")}
    path = tmp_path / "site-b.safetensors"
    save_adapter(path, nets, card())
    return path, nets


def damaged_copy(path, tensors=None, metadata=None, raw=None):
    """A neighbour of ``path`` with other tensors, another header or other bytes."""
    other = path.with_name("other.safetensors")
    if raw is None:
        arrays = load(path.read_bytes()) if tensors is None else tensors
        raw = save(arrays, metadata=card().to_metadata() if metadata is None else metadata)
    other.write_bytes(raw)
    return other


def test_what_was_saved_is_read_back(saved):
    path, nets = saved
    adapter = read_adapter(path)
    assert adapter.card == card()
    assert read_card(path) == card()
    assert set(adapter.roles) == {"coarse", "fine"}
    assert adapter.size == path.stat().st_size
    assert adapter.label == f"Site B, 1.5 T ({adapter.sha256[:12]})"
    for role, net in nets.items():
        expected = net.tensors()
        assert adapter.tensors[role].keys() == expected.keys()
        for name, array in adapter.tensors[role].items():
            assert array.dtype == np.float32
            assert np.array_equal(array, expected[name].numpy())


@pytest.mark.parametrize("role", ["coarse", "fine"])
def test_merged_into_a_fresh_base_it_answers_as_where_it_was_trained(saved, build, role):
    path, nets = saved
    net, ask = build(f"compact {role}")
    before = {name: value.clone() for name, value in net.state_dict().items()}
    random_numbers = torch.random.get_rng_state()
    with torch.no_grad():
        plain = ask(net)
        merged = read_adapter(path).merge_into(role, net)
        assert torch.equal(torch.random.get_rng_state(), random_numbers)
        torch.testing.assert_close(ask(net), ask(nets[role].net), rtol=0, atol=1e-4)
        assert not torch.allclose(ask(net), plain)
        assert not any(parameter.requires_grad for parameter in merged.parameters())
        merged.remove()
        assert torch.equal(ask(net), plain)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_an_untrained_adapter_changes_nothing_at_all(tmp_path, build):
    config = AdapterConfig(lora=LoraConfig(), conv_lora=ConvLoraConfig(), adabn=True, refinement=True, decoder=True)
    net, ask = build("compact fine")
    with torch.no_grad():
        before = ask(net)
        save_adapter(tmp_path / "a.safetensors", {"fine": inject(net, config)}, card(config))
        other, _ = build("compact fine")
        assert read_adapter(tmp_path / "a.safetensors").merge_into("fine", other) is not None
        assert torch.equal(ask(other), before)


def test_a_role_it_has_no_part_for_is_left_alone(saved, build):
    net, _ = build("unet")
    kinds = [type(module) for module in net.modules()]
    assert read_adapter(saved[0]).merge_into("sam", net) is None
    assert [type(module) for module in net.modules()] == kinds


def test_the_file_is_small(tmp_path, build):
    net = inject(build("compact fine")[0], AdapterConfig(lora=LoraConfig(rank=4)))
    save_adapter(tmp_path / "a.safetensors", {"fine": net}, card(net.config))
    size = (tmp_path / "a.safetensors").stat().st_size
    assert 4 * net.trainable < size < 4 * net.trainable + 4096


def test_another_base_is_refused(saved):
    adapter = read_adapter(saved[0])
    adapter.check_base(BASE.upper(), ("coarse", "fine"))
    with pytest.raises(ModelError, match=r"made for another model \(compact, abababababab…\); switch it off"):
        adapter.check_base("cd" * 32)
    with pytest.raises(ModelError, match="a network called coarse"):
        adapter.check_base(BASE, ("sam",))


def one_sentence(error):
    text = str(error.value)
    return text.endswith(".") and "\n" not in text and "Traceback" not in text and len(text) < 300


def header(content):
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return len(text).to_bytes(8, "little") + text


NOT_ADAPTERS = {
    "empty": b"",
    "text": b"hello, I am no adapter at all",
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(500),
    "endless header": b"\xff" * 8 + b"{}",
    "header of no length": bytes(8),
    "header longer than the file": (10_000).to_bytes(8, "little") + b"{}",
    "header that is no JSON": header(b"{{{{"),
    "header that is a list": header([1, 2]),
    "no metadata": header({"a": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}),
    "metadata of another program": save({"a": np.zeros(2, np.float32)}, metadata={"format": "pt"}),
    "metadata that is a number": header({"__metadata__": 5}),
    "nested without end": header(b"[" * 100_000),
    "not UTF-8": header(b"\xff\xfe\x00"),
}


@pytest.mark.parametrize("content", NOT_ADAPTERS.values(), ids=NOT_ADAPTERS.keys())
def test_what_is_no_adapter_is_refused(tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    for read in (read_adapter, read_card):
        with pytest.raises(ModelError, match="is not an adapter of HEMAVIEW; choose one") as error:
            read(path)
        assert one_sentence(error)


def test_missing_files_and_folders_are_refused(tmp_path):
    for read in (read_adapter, read_card):
        with pytest.raises(ModelError, match="is missing"):
            read(tmp_path / "none.safetensors")
        with pytest.raises(ModelError, match="cannot be read"):
            read(tmp_path)


@pytest.mark.parametrize("version", ["2", "", "1.0", "one"])
def test_an_unknown_version_is_refused(saved, version):
    path = damaged_copy(saved[0], metadata={**card().to_metadata(), "hemaview_adapter": version})
    for read in (read_adapter, read_card):
        with pytest.raises(ModelError, match="update HEMAVIEW") as error:
            read(path)
        assert one_sentence(error)


def card_with(**changes):
    return {**json.loads(card().to_metadata()["card"]), **changes}


def config_with(part, **changes):
    config = CONFIG.to_json()
    return card_with(config={**config, part: {**config[part], **changes}})


BAD_CARDS = {
    "no JSON": "{",
    "a list": [],
    "nothing": {},
    "null": None,
    "title with two lines": card_with(title="a\nb"),
    "title that is a number": card_with(title=5),
    "title without end": card_with(title="x" * 10_000),
    "an escape sequence": card_with(trained_on="\x1b[31mred"),
    "no hash": card_with(base_sha256="ff"),
    "another hash": card_with(base_sha256="g" * 64),
    "no date": card_with(created="yesterday"),
    "a figure that is text": card_with(figures={"dice": "good"}),
    "a figure that is true": card_with(figures={"dice": True}),
    "a figure without end": card_with(figures={"dice": float("inf")}),
    "figures as a list": card_with(figures=[1.0]),
    "an entry too many": card_with(more=1),
    "rank out of range": config_with("lora", rank=10**9),
    "rank that is a fraction": config_with("lora", rank=2.5),
    "rank that is true": config_with("lora", rank=True),
    "alpha that is no number": config_with("conv_lora", alpha=float("nan")),
    "targets that are text": config_with("lora", targets="*"),
    "targets that are numbers": config_with("lora", targets=[1]),
    "an unknown setting": config_with("lora", more=1),
    "no parts": card_with(config={**CONFIG.to_json(), "lora": None, "conv_lora": None, "refinement": False}),
    "an unknown part": card_with(config={**CONFIG.to_json(), "more": 1}),
    "a flag that is a number": card_with(config={**CONFIG.to_json(), "adabn": 1}),
}


@pytest.mark.parametrize("content", BAD_CARDS.values(), ids=BAD_CARDS.keys())
def test_a_damaged_card_is_refused(saved, content):
    text = content if isinstance(content, str) else json.dumps(content)
    path = damaged_copy(saved[0], metadata={"hemaview_adapter": "1", "card": text})
    for read in (read_adapter, read_card):
        with pytest.raises(ModelError, match="card of the adapter") as error:
            read(path)
        assert one_sentence(error)


def test_a_missing_card_is_refused(saved):
    with pytest.raises(ModelError, match="card of the adapter"):
        read_card(damaged_copy(saved[0], metadata={"hemaview_adapter": "1"}))


def with_first(arrays, change):
    name = next(iter(arrays))
    return {**arrays, name: change(arrays[name])}


BAD_TENSORS = {
    "not a number": lambda a: with_first(a, lambda t: np.full_like(t, np.nan)),
    "infinite": lambda a: with_first(a, lambda t: np.full_like(t, np.inf)),
    "half precision": lambda a: with_first(a, lambda t: t.astype(np.float16)),
    "whole numbers": lambda a: with_first(a, lambda t: t.astype(np.int64)),
    "none": lambda _: {},
    "a name without a role": lambda a: {**a, "weight": np.zeros(1, np.float32)},
    "a name that is a path": lambda a: {**a, "../../fine/x": np.zeros(1, np.float32)},
    "negative variance": lambda a: {**a, "fine/adabn.x.running_var": np.full(2, -1, np.float32)},
}


@pytest.mark.parametrize("change", BAD_TENSORS.values(), ids=BAD_TENSORS.keys())
def test_unusable_tensors_are_refused(saved, change):
    path = damaged_copy(saved[0], tensors=change(load(saved[0].read_bytes())))
    with pytest.raises(ModelError, match=r'"other\.safetensors" is damaged') as error:
        read_adapter(path)
    assert one_sentence(error)


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_refused(saved, share):
    content = saved[0].read_bytes()
    path = damaged_copy(saved[0], raw=content[: int(share * len(content))])
    with pytest.raises(ModelError, match="is damaged"):
        read_adapter(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a, name: {n: t for n, t in a.items() if n != name}, "lacks lora"),
        (lambda a, name: {**a, "fine/lora.more.a": a[name]}, "too much: lora.more.a"),
        (lambda a, name: {**a, name: a[name][:, :-1]}, "wrong size of lora"),
    ],
)
def test_tensors_that_do_not_fit_the_network_leave_it_as_it_was(saved, build, change, words):
    arrays = load(saved[0].read_bytes())
    name = next(n for n in arrays if n.startswith("fine/lora"))
    adapter = read_adapter(damaged_copy(saved[0], tensors=change(arrays, name)))
    net, ask = build("compact fine")
    with torch.no_grad():
        before, kinds = ask(net), [type(module) for module in net.modules()]
        with pytest.raises(ModelError, match=words) as error:
            adapter.merge_into("fine", net)
        assert one_sentence(error)
        assert [type(module) for module in net.modules()] == kinds
        assert torch.equal(ask(net), before)


def test_another_kind_of_network_is_refused(saved, build):
    with pytest.raises(ModelError, match="does not fit this model"):
        read_adapter(saved[0]).merge_into("fine", build("unet")[0])


def test_what_diverged_is_not_saved(tmp_path, build):
    net = inject(build("unet")[0], CONFIG)
    with torch.no_grad():
        next(net.parameters()).fill_(float("nan"))
    with pytest.raises(ModelError, match="lower learning rate"):
        save_adapter(tmp_path / "a.safetensors", {"unet": net}, card())
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_save_and_nowhere_to_save_it(tmp_path, build):
    config = AdapterConfig(lora=LoraConfig())
    with pytest.raises(ModelError, match="nothing to save"):
        save_adapter(tmp_path / "a.safetensors", {"unet": inject(build("unet")[0], config)}, card(config))
    net = inject(build("compact fine")[0], config)
    with pytest.raises(ExportError, match="does not exist"):
        save_adapter(tmp_path / "none" / "a.safetensors", {"fine": net}, card(config))
    with pytest.raises(ValueError, match="another adapter"):
        save_adapter(tmp_path / "a.safetensors", {"fine": net}, card())


def test_cards_are_read_without_torch(saved):
    code = (
        "import sys; from pathlib import Path; from hemaview.segmentation.adapters import read_card; "
        "print(read_card(Path(sys.argv[1])).title, 'torch' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code, saved[0]], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "Site B, 1.5 T False"
