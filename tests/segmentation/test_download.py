"""Fetching a file over real HTTP: whole, resumed, interrupted, corrupted, refused."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from hemaview.errors import Cancelled, ModelError
from hemaview.segmentation.contract import CancelToken
from hemaview.segmentation.download import arrived_bytes, download, part_path

sys.path.insert(0, str(Path(__file__).parent))

from origin import Origin, serve

CONTENT = np.random.default_rng(5).bytes(3_000_000)


@pytest.fixture
def origin(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    made = Origin(CONTENT)
    server = serve(made)
    yield made
    if made.pause is not None:
        made.pause.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "models" / "model.pth"


def refused(file, target, **options) -> str:
    """The one sentence with which a download fails."""
    with pytest.raises(ModelError) as caught:
        download(file, target, **options)
    text = str(caught.value)
    assert text.endswith(".")
    assert "\n" not in text
    assert not target.exists()
    return text


def break_off(origin, target, after=1_000_000) -> None:
    origin.stop_after = after
    assert "was lost; what has arrived is kept" in refused(origin.file(), target)
    origin.stop_after = None
    assert arrived_bytes(target) == after


def test_a_file_arrives_whole_with_progress(origin, target):
    seen = []
    found = download(origin.file(), target, progress=lambda done, total: seen.append((done, total)))
    assert target.read_bytes() == CONTENT
    assert (found.sha256, found.md5, found.size) == (origin.file().sha256, origin.file().md5, len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [path.name for path in target.parent.iterdir()] == ["model.pth"]


def test_a_lost_connection_is_resumed_where_it_stopped(origin, target):
    break_off(origin, target)
    seen = []
    download(origin.file(), target, progress=lambda done, total: seen.append(done))
    assert target.read_bytes() == CONTENT
    assert origin.asked[-1]["range"] == "bytes=1000000-"
    assert origin.asked[-1]["if-range"] == '"first"'
    assert min(seen) > 1_000_000
    assert [path.name for path in target.parent.iterdir()] == ["model.pth"]


def test_an_origin_without_ranges_is_asked_for_everything_again(origin, target):
    break_off(origin, target)
    origin.ranges = False
    download(origin.file(), target)
    assert target.read_bytes() == CONTENT


def test_an_origin_without_length_and_etag_will_do(origin, target):
    origin.length, origin.etag = False, ""
    break_off(origin, target)
    download(origin.file(), target)
    assert target.read_bytes() == CONTENT


def test_a_finished_part_needs_no_network(origin, target):
    break_off(origin, target)
    part_path(target).write_bytes(CONTENT)
    asked = len(origin.asked)
    download(origin.file(), target)
    assert target.read_bytes() == CONTENT
    assert len(origin.asked) == asked


def test_a_part_from_another_place_is_not_resumed(origin, target):
    target.parent.mkdir()
    part_path(target).write_bytes(b"x" * 1000)
    download(origin.file(), target)
    assert target.read_bytes() == CONTENT
    assert "range" not in origin.asked[-1]


def test_a_file_that_changed_meanwhile_is_told_and_not_mixed_with_the_old_one(origin, target):
    file = origin.file()
    break_off(origin, target)
    origin.content, origin.etag = bytes(reversed(CONTENT)), '"second"'
    assert "not the published file" in refused(file, target)
    assert arrived_bytes(target) == 0


@pytest.mark.parametrize("wrong", ["sha256", "md5"])
def test_a_corrupted_file_is_thrown_away(origin, target, wrong):
    file = origin.file(**{wrong: "0" * (64 if wrong == "sha256" else 32)})
    assert "checksum is wrong" in refused(file, target)
    assert list(target.parent.iterdir()) == []


def test_an_md5_alone_is_checked(origin, target):
    file = origin.file(sha256="")
    download(file, target)
    target.unlink()
    origin.content = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    assert "checksum is wrong" in refused(file, target)


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x", b"<html>Please log in to the network</html>"])
def test_a_file_of_another_size_is_refused_before_it_is_fetched(origin, target, content):
    file = origin.file()
    origin.content = content
    assert f"offers {len(content)} bytes instead of the {len(CONTENT)}" in refused(file, target)
    assert arrived_bytes(target) == 0


def test_an_endless_file_is_cut(origin, target):
    file = origin.file()
    origin.content, origin.length = CONTENT * 3, False
    assert "not the published file" in refused(file, target)


def test_a_part_longer_than_what_the_origin_has_now_is_dropped(origin, target):
    file = origin.file()
    break_off(origin, target, 2_000_000)
    origin.content = CONTENT[:1_000_000]
    assert "no longer has the file whose download was begun" in refused(file, target)
    assert arrived_bytes(target) == 0


@pytest.mark.parametrize(
    ("status", "says"),
    [(404, "no longer has this file"), (403, "refuses to send"), (503, "cannot send the file now"), (407, "proxy")],
)
def test_the_origin_refuses(origin, target, status, says):
    break_off(origin, target)
    origin.status = status
    assert says in refused(origin.file(), target)
    assert arrived_bytes(target) == 1_000_000


def test_a_redirect_is_followed(origin, target):
    origin.redirect = "/elsewhere"
    download(origin.file(), target)
    assert target.read_bytes() == CONTENT
    assert [asked["path"] for asked in origin.asked] == ["/file", "/elsewhere"]


@pytest.mark.parametrize("place", ["http://example.org/model.pth", "ftp://127.0.0.1/model.pth"])
def test_a_redirect_off_https_is_refused(origin, target, place):
    origin.redirect = place
    assert "unprotected" in refused(origin.file(), target)


@pytest.mark.parametrize(("url", "says"), [("http://example.org/x", "unprotected"), ("", "cannot be downloaded")])
def test_only_https_is_asked(origin, target, url, says):
    assert says in refused(origin.file(url=url), target)


def test_nobody_answers(origin, target):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/file"
        assert "cannot be reached" in refused(origin.file(url=url), target)


def test_a_proxy_that_is_not_there_is_named(origin, target, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused.getsockname()[1]}")
        monkeypatch.setenv("no_proxy", "")
        assert "HTTPS_PROXY" in refused(origin.file(), target)


def test_the_proxy_of_the_environment_is_used(origin, target, monkeypatch):
    monkeypatch.setenv("http_proxy", origin.url.removesuffix("/file"))
    monkeypatch.setenv("no_proxy", "")
    download(origin.file(url="http://127.0.0.1:9/file"), target)
    assert target.read_bytes() == CONTENT
    assert origin.asked[-1]["path"] == "http://127.0.0.1:9/file"


def test_silence_ends_in_a_sentence_and_keeps_what_arrived(origin, target):
    origin.pause = threading.Event()
    assert "Nothing more came" in refused(origin.file(), target, timeout_s=0.5)
    assert arrived_bytes(target) == len(CONTENT) // 2
    origin.pause.set()
    download(origin.file(), target)
    assert target.read_bytes() == CONTENT


def test_cancelling_does_not_wait_for_a_silent_origin(origin, target):
    origin.pause = threading.Event()
    token = CancelToken()
    with pytest.raises(Cancelled):
        download(origin.file(), target, progress=lambda done, total: token.cancel(), cancel=token, timeout_s=1e4)
    assert 0 < arrived_bytes(target) <= len(CONTENT) // 2
    assert not target.exists()


def test_two_downloads_of_one_file_do_not_meet(origin, target):
    origin.pause = threading.Event()
    token, begun = CancelToken(), threading.Event()

    def first():
        with pytest.raises(Cancelled):
            download(origin.file(), target, progress=lambda done, total: begun.set(), cancel=token)

    thread = threading.Thread(target=first)
    thread.start()
    assert begun.wait(20)
    assert "already" in refused(origin.file(), target)
    token.cancel()
    thread.join(20)
    assert not thread.is_alive()


def test_a_full_disk_is_told_before_the_download(origin, target, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 99, 1_000_000))
    assert "needs 3 MB more" in refused(origin.file(), target)
    assert origin.asked == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs private mounts")
@pytest.mark.parametrize(("mount", "says"), [("size=1m", "MB are free"), ("ro", "cannot be written to")])
def test_a_disk_that_takes_nothing(origin, tmp_path, mount, says):
    probe = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    if shutil.which("unshare") is None or subprocess.run(probe, capture_output=True).returncode:
        pytest.skip("this machine does not allow private mounts")
    script = tmp_path / "fetch.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\n"
        "from hemaview.errors import ModelError\n"
        "from hemaview.segmentation.download import download\n"
        "from hemaview.segmentation.model_files import ModelFile\n"
        f"file = {origin.file()!r}\n"
        "try:\n    download(file, Path(sys.argv[1]) / 'model.pth')\n"
        "except ModelError as error:\n    print(error)\n"
    )
    folder = tmp_path / "small"
    folder.mkdir()
    command = f"mount -t tmpfs -o {mount} tmpfs '{folder}' && exec '{sys.executable}' '{script}' '{folder}'"
    ran = subprocess.run(["unshare", "-rm", "sh", "-c", command], capture_output=True, text=True, env=dict(os.environ))
    assert ran.stderr == ""
    assert says in ran.stdout
