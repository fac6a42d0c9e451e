"""Adding, fetching, checking and removing models, on real files and over real HTTP."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hemaview.errors import Cancelled, ModelError
from hemaview.segmentation.contract import CancelToken
from hemaview.segmentation.download import part_path
from hemaview.segmentation.model_files import user_models_folder
from hemaview.segmentation.model_store import ModelState, ModelStore
from hemaview.segmentation.registry import available_engines, load_engine, model_records

sys.path.insert(0, str(Path(__file__).parent))

from origin import Origin, serve
from tiny_checkpoint import write_checkpoint

_ENTRY = """
[[model]]
name = "medsam"
title = "Test MedSAM"
engine = "hemaview.segmentation.sam.engine:MedSamSegmenter"
bundled = false
licence = "two licences"
origin = "random numbers"
trained_on = "nothing"
card = "medsam/MODEL_CARD.md"

[[model.file]]
role = "sam"
path = "medsam_vit_b.pth"
md5 = "{md5}"
bytes = {size}
url = "{url}"
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """The user's models folder of this test; not made yet."""
    monkeypatch.setenv("HEMAVIEW_MODELS", str(tmp_path / "mine"))
    return tmp_path / "mine"


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("published") / "download.pth")


@pytest.fixture
def origin(published, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    made = Origin(published.read_bytes())
    server = serve(made)
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
def store(own_registry, origin) -> ModelStore:
    """The untrained compact model and a tiny MedSAM that is not installed."""
    md5 = hashlib.md5(origin.content).hexdigest()
    with own_registry.open("a") as registry:
        registry.write(_ENTRY.format(md5=md5, size=len(origin.content), url=origin.url))
    return ModelStore(own_registry)


def refused(call, *arguments, **options) -> str:
    with pytest.raises(ModelError) as caught:
        call(*arguments, **options)
    text = str(caught.value)
    assert text.endswith(".")
    assert "\n" not in text
    return text


def test_the_shipped_registry_tells_what_every_model_is():
    models = {model.record.name: model for model in ModelStore().models()}
    assert list(models) == ["compact", "medsam", "sam_vit_b"]
    assert models["compact"].state is ModelState.BUNDLED
    medsam, sam = models["medsam"], models["sam_vit_b"]
    assert medsam.state is sam.state is ModelState.MISSING
    assert medsam.can_download
    assert "CC-BY-4.0" in medsam.record.licence
    assert "Apache-2.0" in medsam.record.licence
    assert "Nature Communications" in medsam.record.attribution
    assert "not on medical scans" in sam.record.trained_on
    for model in models.values():
        assert model.record.card_path.is_file()
        for file in model.record.files:
            assert not file.url or file.url.startswith("https://")


def test_what_is_not_installed_says_how_to_get_it(store, folder):
    record = store.model("medsam").record
    assert record.fingerprint == ""
    text = refused(record.checked_path, "sam")
    assert "hemaview models download medsam" in text
    assert "hemaview models add FILE" in text
    assert not folder.exists()


def test_a_model_is_fetched_checked_and_removed(store, origin, folder):
    seen = []
    model = store.download("medsam", progress=lambda done, total: seen.append((done, total)))
    assert model.state is ModelState.INSTALLED
    assert seen[-1] == (len(origin.content), len(origin.content))
    path = model.record.checked_path("sam")
    assert path == folder / "medsam_vit_b.pth"
    assert model.record.fingerprint == hashlib.sha256(origin.content).hexdigest()
    store.download("medsam")
    assert len(origin.asked) == 1
    store.remove("medsam")
    assert store.model("medsam").state is ModelState.MISSING
    assert list(folder.iterdir()) == []
    assert "nothing to remove" in refused(store.remove, "medsam")


def test_an_interrupted_download_shows_and_goes_on(store, origin, folder):
    origin.stop_after = 100_000
    assert "kept" in refused(store.download, "medsam")
    model = store.model("medsam")
    assert (model.state, model.arrived) == (ModelState.PARTIAL, 100_000)
    assert model.can_download
    origin.stop_after = None
    assert store.download("medsam").state is ModelState.INSTALLED
    assert origin.asked[-1]["range"] == "bytes=100000-"


def test_an_unfinished_download_can_be_thrown_away(store, origin, folder):
    origin.stop_after = 100_000
    refused(store.download, "medsam")
    store.remove("medsam")
    assert list(folder.iterdir()) == []


def test_an_altered_file_is_refused_and_told_how_to_mend(store, folder):
    store.download("medsam")
    path = folder / "medsam_vit_b.pth"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    text = refused(store.verify, "medsam")
    assert "has changed" in text
    assert "MD5" in text
    assert "hemaview models remove medsam" in text
    path.write_bytes(content[:1000])
    assert store.model("medsam").state is ModelState.DAMAGED
    assert store.download("medsam").state is ModelState.INSTALLED
    store.verify("medsam")


def test_the_published_file_is_known_by_its_content_whatever_it_is_called(store, published, folder):
    seen = []
    model = store.add_file(published, progress=lambda done, total: seen.append((done, total)))
    assert (model.record.name, model.state) == ("medsam", ModelState.INSTALLED)
    assert (folder / "medsam_vit_b.pth").read_bytes() == published.read_bytes()
    assert seen[-1][0] == seen[-1][1]
    assert store.add_file(published).record.name == "medsam"
    assert len(store.models()) == 2


def test_adding_the_file_ends_an_unfinished_download(store, origin, published, folder):
    origin.stop_after = 100_000
    refused(store.download, "medsam")
    store.add_file(published)
    assert [path.name for path in folder.iterdir()] == ["medsam_vit_b.pth"]


def test_a_checkpoint_of_ones_own_becomes_a_model(store, tmp_path, folder):
    path = write_checkpoint(tmp_path / "Our Clinic, 2026.pth", seed=1)
    model = store.add_file(path, title="Our\nclinic", trained_on='30 "own" scans', licence="ours")
    assert (model.record.name, model.state) == ("our_clinic_2026", ModelState.ADDED)
    path.unlink()
    record = next(r for r in model_records() if r.name == "our_clinic_2026")
    assert (record.title, record.trained_on, record.licence) == ("Our clinic", '30 "own" scans', "ours")
    assert record.checked_path("sam").is_relative_to(folder)
    assert len(record.fingerprint) == 64
    assert "our_clinic_2026" in available_engines()
    other = write_checkpoint(tmp_path / "our-clinic 2026.pth", seed=2)
    assert store.add_file(other).record.name == "our_clinic_2026_2"
    assert store.add_file(other).record.name == "our_clinic_2026_2"
    assert "not stated" in store.model("our_clinic_2026_2").record.trained_on
    store.remove("our_clinic_2026")
    assert [m.record.name for m in store.models()] == ["compact", "medsam", "our_clinic_2026_2"]
    store.remove("our_clinic_2026_2")
    assert not any((folder / "added").iterdir())


def test_an_altered_checkpoint_of_ones_own_is_refused(store, tmp_path):
    model = store.add_file(write_checkpoint(tmp_path / "mine.pth", seed=3))
    path = model.record.file_path(model.record.files[0])
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    assert "add it again" in refused(store.verify, "mine")
    path.unlink()
    assert store.model("mine").state is ModelState.DAMAGED
    assert "hemaview models remove mine" in refused(store.verify, "mine")
    store.remove("mine")


@pytest.mark.parametrize("content", [b"", b"just text", b"PK\x03\x04 not a zip", "other network", "truncated"])
def test_what_is_no_checkpoint_is_refused_and_leaves_nothing(store, tmp_path, published, folder, content):
    path = tmp_path / "file.pth"
    if content == "other network":
        torch.save({"layer.weight": torch.zeros(3, 3)}, path)
    elif content == "truncated":
        path.write_bytes(published.read_bytes()[:-5000])
    else:
        path.write_bytes(content)
    assert "file.pth" in refused(store.add_file, path)
    assert not folder.exists()


def test_a_missing_file_and_an_unknown_name_are_told(store, tmp_path):
    assert "none.pth" in refused(store.add_file, tmp_path / "none.pth")
    assert "choose one of: compact, medsam" in refused(store.download, "magic")
    assert "cannot be removed" in refused(store.remove, "compact")


def test_cancelling_a_copy_leaves_nothing(store, published, folder):
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        store.add_file(published, cancel=token)
    assert list(folder.rglob("*.p*")) == []


@pytest.mark.parametrize(
    "content",
    [
        "model = 3\n",
        "not toml [",
        '[[model]]\nname = "x"\n',
        '[[model]]\nname="x"\ntitle="x"\nengine="x"\nlicence=""\norigin=""\ntrained_on=""\n'
        f'[[model.file]]\nrole="sam"\npath="../secret"\nbytes=1\nsha256="{"0" * 64}"\n',
    ],
)
def test_a_damaged_list_of_added_models_leaves_the_others_usable(store, own_registry, folder, content):
    folder.mkdir()
    (folder / "added.toml").write_text(content)
    assert [model.record.name for model in store.models()] == ["compact", "medsam"]
    assert "damaged" in store.problem
    assert load_engine("compact", registry=own_registry).info.name == "compact"


def test_an_added_model_cannot_pose_as_a_shipped_one(store, tmp_path, folder):
    store.add_file(write_checkpoint(tmp_path / "own.pth", seed=4))
    added = folder / "added.toml"
    added.write_text(added.read_text().replace('name = "own"', 'name = "compact"'))
    assert [m.record.bundled for m in store.models() if m.record.name == "compact"] == [True]


def test_a_model_without_any_hash_is_refused(own_registry):
    own_registry.write_text(own_registry.read_text().replace("sha256", "sha"))
    assert "damaged" in refused(model_records, own_registry)


def test_the_folder_is_the_users_own_or_the_named_one(monkeypatch, folder):
    assert user_models_folder() == folder
    monkeypatch.delenv("HEMAVIEW_MODELS")
    assert user_models_folder().name == "models"
    assert "hemaview" in str(user_models_folder())


def test_an_engine_without_adapters_says_so(own_registry, tmp_path, monkeypatch):
    class Plain:
        @classmethod
        def from_record(cls, record):
            raise AssertionError("must not be reached")

    monkeypatch.setattr("hemaview.segmentation.compact.engine.CompactSegmenter", Plain)
    text = refused(load_engine, "compact", adapter=tmp_path / "a.safetensors", registry=own_registry)
    assert "takes no adapters" in text


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs private mounts")
@pytest.mark.parametrize(("mount", "says"), [("ro", "cannot be changed"), ("size=64k", "disk")])
def test_a_disk_that_takes_nothing_is_told(published, tmp_path, mount, says):
    probe = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    if shutil.which("unshare") is None or subprocess.run(probe, capture_output=True).returncode:
        pytest.skip("this machine does not allow private mounts")
    place = tmp_path / "disk"
    place.mkdir()
    run = f"'{sys.executable}' -m hemaview models"
    command = (
        f"mount -t tmpfs -o {mount} tmpfs '{place}' && export HEMAVIEW_MODELS='{place}/m' && "
        f"{run} --json >/dev/null && {run} add '{published}'; echo code $?"
    )
    ran = subprocess.run(["unshare", "-rm", "sh", "-c", command], capture_output=True, text=True, env=dict(os.environ))
    assert ran.stdout.endswith("code 5\n"), ran.stderr
    assert says in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_a_part_is_where_the_store_looks_for_it(store, folder):
    folder.mkdir()
    part_path(folder / "medsam_vit_b.pth").write_bytes(b"x" * 10)
    assert store.model("medsam").arrived == 10
