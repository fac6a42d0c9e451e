"""Adapters in their folder: listed by their cards, added only to the model they were made for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from hemaview.errors import ModelError
from hemaview.segmentation.adapter_store import AdapterStore, look_at
from hemaview.segmentation.adapters import AdapterCard, AdapterConfig, ConvLoraConfig, save_adapter
from hemaview.segmentation.adapters.inject import inject
from hemaview.segmentation.compact.coarse import CoarseNet
from hemaview.segmentation.registry import model_records


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("HEMAVIEW_MODELS", str(tmp_path / "mine"))
    return tmp_path / "mine" / "adapters"


@pytest.fixture
def make(tmp_path):
    """Write an adapter of the shipped compact model: ``make("name", verdict=1.0, base_sha256=...)``."""
    (tmp_path / "made").mkdir()

    def write(stem: str, *, verdict: float = 1.0, seed: int = 0, **changes) -> Path:
        torch.manual_seed(seed)
        config = AdapterConfig(conv_lora=ConvLoraConfig())
        record = model_records()[0]
        facts = {
            "title": f"Adapter {stem}",
            "base_name": record.name,
            "base_sha256": record.fingerprint,
            "config": config,
            "trained_on": "nothing",
            "figures": {"verdict": verdict, "dice_before": 0.7, "dice_after": 0.8},
            "created": "2026-11-22T20:00:00+00:00",
            "program": "HEMAVIEW",
        }
        path = tmp_path / "made" / f"{stem}.safetensors"
        save_adapter(path, {"coarse": inject(CoarseNet(), config)}, AdapterCard(**(facts | changes)))
        return path

    return write


def refused(call, *arguments) -> str:
    with pytest.raises(ModelError) as caught:
        call(*arguments)
    text = str(caught.value)
    assert text.endswith(".")
    assert "\n" not in text
    return text


def test_there_is_nothing_at_first():
    assert AdapterStore().adapters() == ()
    assert "none is installed" in refused(AdapterStore().find, "magic")


def test_an_adapter_is_added_listed_found_and_removed(make, folder):
    store = AdapterStore()
    source = make("clinic")
    added = store.add(source)
    source.unlink()
    assert added.path == folder / "clinic.safetensors"
    assert [adapter.name for adapter in store.adapters()] == ["clinic"]
    assert added.title == "Adapter clinic"
    assert added.card.figures["dice_after"] == 0.8
    assert store.find("clinic") == added.path
    compact, medsam, *_ = model_records()
    assert added.fits(compact)
    assert not added.fits(medsam)
    store.remove("clinic")
    assert store.adapters() == ()
    assert "no adapter called" in refused(store.remove, "clinic")


def test_a_path_is_an_adapter_too(make):
    path = make("loose")
    assert AdapterStore().find(str(path)) == path


def test_two_adapters_of_one_name_live_side_by_side_but_not_twice(make, tmp_path):
    store = AdapterStore()
    first = make("clinic")
    store.add(first)
    assert store.add(first).name == "clinic"
    second = make("clinic", title="Another")
    assert store.add(second).name == "clinic_2"
    assert len(store.adapters()) == 2


def test_an_adapter_of_another_model_is_refused(make, folder):
    store = AdapterStore()
    assert "another version of HEMAVIEW compact" in refused(store.add, make("old", base_sha256="0" * 64))
    foreign = make("foreign", base_name="elsewhere", base_sha256="1" * 64)
    assert 'the model "elsewhere", which is not here' in refused(store.add, foreign)
    assert not folder.exists()


def test_what_is_no_adapter_is_refused_and_shown(make, folder, tmp_path):
    store = AdapterStore()
    text = tmp_path / "letter.safetensors"
    text.write_bytes(b"The patient came in at night.\n" * 50)
    assert "letter.safetensors" in refused(store.add, text)
    cut = make("cut")
    cut.write_bytes(cut.read_bytes()[:-100])
    assert "cut" in refused(store.add, cut)
    folder.mkdir(parents=True)
    shutil.copy(text, folder)
    (adapter,) = store.adapters()
    assert adapter.card is None
    assert adapter.problem
    assert adapter.title == "letter"


def test_a_worse_adapter_is_known_as_such(make):
    assert look_at(make("worse", verdict=-1.0)).is_worse
    assert not look_at(make("same", verdict=0.0)).is_worse


def test_a_name_cannot_leave_the_folder(make, folder):
    AdapterStore().add(make("clinic"))
    outside = folder.parent / "other.safetensors"
    outside.write_bytes(b"")
    assert "no adapter called" in refused(AdapterStore().remove, "../other")
    assert outside.exists()
