"""``hemaview models``: list, add, download, remove, where, adapters; and using one from the shell."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "segmentation"))

from origin import Origin, serve
from tiny_checkpoint import write_checkpoint


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("HEMAVIEW_MODELS", str(tmp_path / "mine"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "mine"


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("published") / "medsam_vit_b.pth")


@pytest.fixture
def origin(own_models, published):
    """The registry's medsam as a tiny file on a server of this machine."""
    made = Origin(published.read_bytes())
    server = serve(made)
    registry = own_models / "registry.toml"
    text = registry.read_text()
    text = text.replace("3bb6db55bd0c9ca30b61248bca72f8d6", hashlib.md5(made.content).hexdigest())
    text = text.replace("bytes = 375049145", f"bytes = {len(made.content)}")
    text = text.replace("https://zenodo.org/records/10689643/files/medsam_vit_b.pth", made.url)
    registry.write_text(text)
    yield made
    if made.pause is not None:
        made.pause.set()
    server.shutdown()
    server.server_close()


def listed(run) -> dict:
    return {entry["name"]: entry for entry in json.loads(run("models", "--json").out)}


def test_the_list_says_what_is_there_and_how_to_get_the_rest(run):
    ran = run("models")
    assert ran.code == 0
    assert ran.err == ""
    assert "medsam: MedSAM ViT-B (not installed)" in ran.out
    assert "hemaview models download medsam" in ran.out
    assert "CC-BY-4.0" in ran.out
    assert "not on medical scans" in ran.out
    assert run("models", "list").out == ran.out
    entries = listed(run)
    assert list(entries) == ["compact", "medsam", "sam_vit_b"]
    assert [entry["installed"] for entry in entries.values()] == [True, False, False]


def test_download_list_use_and_remove(run, origin, folder):
    ran = run("models", "download", "medsam")
    assert ran.code == 0
    assert "Licence: weights CC-BY-4.0" in ran.err
    assert listed(run)["medsam"]["sha256"] == hashlib.sha256(origin.content).hexdigest()
    assert "MedSAM ViT-B (installed, files checked)" in run("models").out
    assert "already" in run("models", "download", "medsam").out
    assert len(origin.asked) == 1
    assert run("models", "remove", "medsam").code == 0
    assert not (folder / "medsam_vit_b.pth").exists()
    ran = run("models", "remove", "medsam")
    assert ran.code == 5
    assert "nothing to remove" in ran.sentence


def test_a_broken_download_is_told_listed_and_resumed(run, origin):
    origin.stop_after = 100_000
    ran = run("models", "download", "medsam")
    assert ran.code == 5
    assert "start the download again" in ran.sentence
    entry = listed(run)["medsam"]
    assert (entry["state"], entry["arrived_bytes"]) == ("partly downloaded", 100_000)
    origin.stop_after = None
    assert run("models", "download", "medsam").code == 0
    assert origin.asked[-1]["range"] == "bytes=100000-"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_control_c_stops_a_download_and_keeps_what_arrived(origin, folder, own_models):
    origin.pause = threading.Event()
    code = (
        f"import sys; sys._MEIPASS = {str(own_models.parent)!r}\n"
        "from hemaview.cli import main\nsys.exit(main(['models', 'download', 'medsam']))"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    part = folder / "medsam_vit_b.pth.part"
    while not part.exists() or not part.stat().st_size:
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate()
    assert child.returncode == 130
    assert said.splitlines()[-1] == "hemaview: Cancelled; nothing was changed."
    assert part.stat().st_size > 0


def test_a_file_is_added_whatever_it_is_called(run, origin, published, tmp_path, folder):
    usb = tmp_path / "copy of model (1).pth"
    usb.write_bytes(published.read_bytes())
    ran = run("models", "add", usb)
    assert ran.code == 0
    assert ran.out.startswith("medsam: MedSAM ViT-B is in")
    own = write_checkpoint(tmp_path / "ours.pth", seed=1)
    ran = run("models", "add", own, "--title", "Ours", "--trained-on", "30 scans", "--licence", "in-house")
    assert ran.code == 0
    assert "--engine ours" in ran.out
    entry = listed(run)["ours"]
    assert (entry["title"], entry["trained_on"], entry["licence"]) == ("Ours", "30 scans", "in-house")
    assert entry["state"] == "added by you"
    assert run("models", "remove", "ours").code == 0
    assert "ours" not in listed(run)


@pytest.mark.parametrize("name", ["letter.pth", "missing.pth"])
def test_what_is_no_checkpoint_is_refused(run, tmp_path, name):
    (tmp_path / "letter.pth").write_text("The patient came in at night.")
    ran = run("models", "add", tmp_path / name)
    assert ran.code == 5
    assert name in ran.sentence


def test_an_altered_added_model_is_listed_as_damaged(run, tmp_path, folder):
    run("models", "add", write_checkpoint(tmp_path / "ours.pth", seed=2))
    path = folder / "added" / "ours.pth"
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    ran = run("models")
    assert ran.code == 5
    assert "(damaged)" in ran.out
    assert "has changed" in ran.sentence


def test_a_model_that_is_not_here_says_how_to_get_it(run, scan, box, tmp_path):
    ran = run("segment", scan, "--box", *box, "--engine", "medsam", "--out", tmp_path / "out")
    assert ran.code == 5
    assert "hemaview models download medsam" in ran.sentence


def test_where_names_the_folders(run, folder):
    ran = run("models", "where")
    assert ran.code == 0
    assert str(folder) in ran.out
    assert str(folder / "adapters") in ran.out


@pytest.mark.parametrize(
    "arguments",
    [("add",), ("download",), ("remove",), ("adapters", "add"), ("adapters", "remove"), ("adapters", "x"), ("magic",)],
)
def test_wrong_use_is_one_sentence_and_code_2(run, arguments):
    ran = run("models", *arguments)
    assert ran.code == 2
    assert "--help" in ran.sentence


@pytest.mark.parametrize("arguments", [("list",), ("add",), ("download",), ("remove",), ("where",), ("adapters",)])
def test_every_help_names_the_exit_codes(run, arguments):
    ran = run("models", *arguments, "--help")
    assert ran.code == 0
    assert "exit codes:" in ran.out


@pytest.mark.parametrize("arguments", [("remove", "magic"), ("download", "magic"), ("adapters", "remove", "magic")])
def test_unknown_names_are_told(run, arguments):
    ran = run("models", *arguments)
    assert ran.code == 5
    assert '"magic"' in ran.sentence


def test_adapters_are_listed_added_used_and_removed(run, scan, box, tmp_path, folder):
    import torch

    from hemaview.segmentation.adapters import AdapterCard, AdapterConfig, ConvLoraConfig, save_adapter
    from hemaview.segmentation.adapters.inject import inject
    from hemaview.segmentation.compact.coarse import CoarseNet
    from hemaview.segmentation.registry import model_records

    assert run("models", "adapters").out.startswith("No adapter is in")
    torch.manual_seed(0)
    config = AdapterConfig(conv_lora=ConvLoraConfig())
    facts = {"title": "Site B", "base_name": "compact", "config": config, "trained_on": "phantoms", "program": "test"}
    facts |= {"figures": {"verdict": -1.0}, "created": "2026-11-22T20:00:00+00:00"}
    nets = {"coarse": inject(CoarseNet(), config)}
    path = tmp_path / "site-b.safetensors"
    save_adapter(path, nets, AdapterCard(base_sha256="0" * 64, **facts))
    ran = run("models", "adapters", "add", path)
    assert ran.code == 5
    assert "another version of HEMAVIEW compact" in ran.sentence
    save_adapter(path, nets, AdapterCard(base_sha256=model_records()[0].fingerprint, **facts))
    assert run("models", "add", path).code == 0
    ran = run("models", "adapters")
    assert ran.code == 0
    assert "site-b: Site B (worse than its base model)" in ran.out
    assert json.loads(run("models", "adapters", "--json").out)[0]["base"] == "compact"
    assert listed(run)["compact"]["adapters"] == ["site-b"]
    ran = run("segment", scan, "--box", *box, "--adapter", "magic", "--out", tmp_path / "out")
    assert ran.code == 5
    assert "site-b" in ran.sentence
    ran = run("segment", scan, "--box", *box, "--adapter", "site-b", "--json", "--quiet", "--out", tmp_path / "out")
    assert ran.code == 0
    assert json.loads(ran.out)["engine"]["adapter"].startswith("Site B (")
    ran = run("segment", scan, "--box", *box, "--adapter", path, "--engine", "medsam", "--out", tmp_path / "out")
    assert ran.code == 5
    assert run("models", "adapters", "remove", "site-b").code == 0
    assert not list((folder / "adapters").iterdir())


def test_nothing_but_download_names_a_place_on_the_network():
    import hemaview

    sources = Path(hemaview.__file__).parent.rglob("*.py")
    users = {
        p.name
        for p in sources
        if re.search(r"^\s*(import|from) (urllib\.request|http|socket|ssl)\b", p.read_text("utf-8"), re.M)
    }
    assert users == {"download.py"}
