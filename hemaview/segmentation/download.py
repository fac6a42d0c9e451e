"""Fetching one large file from its origin, only when the user asked for it: resumable, checked, whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import http.client
import json
import os
import queue
import shutil
import socket
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from hemaview import __version__
from hemaview.errors import ModelError
from hemaview.segmentation.contract import CancelToken
from hemaview.segmentation.model_files import Digests, ModelFile, Progress

TIMEOUT_S = 30.0
"""Without a byte for so long the connection is given up; what has arrived is kept."""
_BLOCK = 256 * 1024
_LOOK_S = 0.1
_KEPT = "what has arrived is kept, so start the download again to go on"
_NO_SUCH_RANGE = http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
_OTHER_FILE = "{host} no longer has the file whose download was begun; start it again from the beginning."
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def part_path(target: Path) -> Path:
    """Where an unfinished download of ``target`` waits to be resumed."""
    return target.with_name(target.name + ".part")


def arrived_bytes(target: Path) -> int:
    """Bytes of an unfinished download of ``target``; 0 when there is none."""
    try:
        return part_path(target).stat().st_size
    except OSError:
        return 0


def discard_part(target: Path) -> None:
    """Forget an unfinished download; raises ``OSError``."""
    for path in (part_path(target), _origin_path(target)):
        path.unlink(missing_ok=True)


def download(
    file: ModelFile,
    target: Path,
    *,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Digests:
    """Fetch ``file.url`` to ``target`` and return what the file turned out to be.

    A download that broke off is resumed where it stopped, if the origin still has the same file. The file takes its
    name only after its size and hashes were found to be right. ``progress`` gets bytes. Goes through the proxy that
    the environment or the system names. Raises ``ModelError`` with one sentence and ``Cancelled``; both keep what has
    arrived, unless it is wrong.
    """
    _require_safe(file.url)
    cancel = cancel or CancelToken()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target):
            try:
                return _fetch(file, target, progress, cancel, timeout_s)
            except _OtherFileError:
                discard_part(target)
                raise
    except OSError as error:
        raise ModelError(_disk_sentence(target, error)) from error


def _fetch(file: ModelFile, target: Path, progress: Progress | None, cancel: CancelToken, timeout_s: float) -> Digests:
    part = part_path(target)
    origin = _read_origin(target)
    if origin.get("url") != file.url or arrived_bytes(target) > file.size:
        discard_part(target)
        origin = {}
    kept = arrived_bytes(target)
    _require_space(target, file.size - kept)
    sums = _Sums()
    with part.open("ab") as out:
        if kept:
            for block in _blocks(part):
                cancel.raise_if_cancelled()
                sums.add(block)
        if kept < file.size:
            with _answer(file, kept, origin.get("etag", ""), cancel, timeout_s) as answer:
                if answer.start != kept:
                    # The origin begins again, because it cannot resume or its file is another one now.
                    out.truncate(0)
                    sums = _Sums()
                _write_origin(target, {"url": file.url, "etag": answer.etag})
                if answer.total is not None and answer.total != file.size:
                    raise _OtherFileError(_wrong_size(file, answer.total))
                for block in answer.blocks(cancel):
                    out.write(block)
                    sums.add(block)
                    if sums.size > file.size:
                        break
                    if progress is not None:
                        progress(sums.size, file.size)
        out.flush()
        os.fsync(out.fileno())
    found = sums.digests()
    if found.size < file.size:
        raise ModelError(f"The connection to {_host(file.url)} was lost; {_KEPT}.")
    if not file.is_content(found):
        raise _OtherFileError(
            f"What arrived from {_host(file.url)} is not the published file (its checksum is wrong), so it was thrown "
            "away; download it again, and if that fails add the file by hand."
        )
    part.replace(target)
    _origin_path(target).unlink(missing_ok=True)
    return found


class _OtherFileError(ModelError):
    """What arrived is not what was asked for, so that it is no use to go on from there."""


class _Sums:
    """Both hashes of what has passed."""

    def __init__(self) -> None:
        self._sha256, self._md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        self.size = 0

    def add(self, block: bytes) -> None:
        self._sha256.update(block)
        self._md5.update(block)
        self.size += len(block)

    def digests(self) -> Digests:
        return Digests(self._sha256.hexdigest(), self._md5.hexdigest(), self.size)


@dataclass(frozen=True, eq=False)
class _Answer:
    """The origin's answer: content from byte ``start`` of ``total`` (None: it does not say)."""

    start: int
    total: int | None
    etag: str
    _arriving: queue.Queue[bytes | BaseException | None]
    _host: str

    def blocks(self, cancel: CancelToken) -> Iterator[bytes]:
        """The content as it arrives; ends early where the connection does."""
        while (block := _next(self._arriving, cancel)) is not None:
            if isinstance(block, BaseException):
                if isinstance(block, TimeoutError):
                    raise ModelError(f"Nothing more came from {self._host}; {_KEPT}.") from block
                return
            yield block


@contextmanager
def _answer(file: ModelFile, start: int, etag: str, cancel: CancelToken, timeout_s: float) -> Iterator[_Answer]:
    """Ask for the file from byte ``start`` on.

    A thread waits for the network, so that cancelling never does: it is left behind and ends with its connection.
    """
    headers = {"User-Agent": f"HEMAVIEW/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if etag and not etag.startswith("W/"):
            headers["If-Range"] = etag
    request = urllib.request.Request(file.url, headers=headers)
    opened: queue.Queue[Any] = queue.Queue(1)
    arriving: queue.Queue[bytes | BaseException | None] = queue.Queue(8)
    stop = threading.Event()

    def put(item: bytes | BaseException | None) -> None:
        while not stop.is_set():
            with suppress(queue.Full):
                arriving.put(item, timeout=_LOOK_S)
                return

    def work() -> None:
        try:
            response = urllib.request.build_opener(_SafeRedirects).open(request, timeout=timeout_s)
        except Exception as error:
            opened.put(error)
            return
        with response:
            opened.put(response)
            try:
                while not stop.is_set() and (block := response.read1(_BLOCK)):
                    put(block)
                put(None)
            except Exception as error:
                put(error)

    threading.Thread(target=work, name="download", daemon=True).start()
    try:
        response = _next(opened, cancel)
        if isinstance(response, Exception):
            if isinstance(response, urllib.error.HTTPError) and response.code == _NO_SUCH_RANGE:
                raise _OtherFileError(_OTHER_FILE.format(host=_host(file.url))) from response
            raise ModelError(_network_sentence(file.url, response)) from response
        begins, total = _extent(response, start)
        yield _Answer(begins, total, response.headers.get("ETag", ""), arriving, _host(file.url))
    finally:
        stop.set()


def _next(source: queue.Queue[Any], cancel: CancelToken) -> Any:
    while True:
        cancel.raise_if_cancelled()
        with suppress(queue.Empty):
            return source.get(timeout=_LOOK_S)


def _extent(response: http.client.HTTPResponse, asked: int) -> tuple[int, int | None]:
    """First byte of what is sent, and the size of the whole file if the origin says it."""
    length = response.headers.get("Content-Length", "")
    size = int(length) if length.isdigit() else None
    if response.status != http.HTTPStatus.PARTIAL_CONTENT:
        return 0, size
    place, _, whole = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
    first = place.partition("-")[0]
    begins = int(first) if first.isdigit() else asked
    if whole.isdigit():
        return begins, int(whole)
    return begins, None if size is None else begins + size


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows the origin to where it keeps the file, but never off HTTPS."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        _require_safe(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _require_safe(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return
    if not url:
        raise ModelError("This model cannot be downloaded; add its file instead.")
    raise ModelError(f"{_host(url)} wants to send the file unprotected, which is refused; add the file by hand.")


def _host(url: str) -> str:
    return urllib.parse.urlsplit(url).hostname or "the origin"


def _wrong_size(file: ModelFile, total: int) -> str:
    return (
        f"{_host(file.url)} offers {total} bytes instead of the {file.size} that were published; the file there has "
        "changed or a page of your network answered, so add the file by hand."
    )


def _network_sentence(url: str, error: Exception) -> str:
    host = _host(url)
    if isinstance(error, ModelError):
        return str(error)
    if isinstance(error, urllib.error.HTTPError):
        if error.code in (http.HTTPStatus.NOT_FOUND, http.HTTPStatus.GONE):
            return f"{host} no longer has this file (answer {error.code}); get it elsewhere and add it by hand."
        if error.code == http.HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            return "The proxy of your network asks for a password; set it in HTTPS_PROXY or add the file by hand."
        if error.code in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
            return f"{host} refuses to send this file (answer {error.code}); get it there yourself and add it by hand."
        return f"{host} cannot send the file now (answer {error.code}); try again later."
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, ssl.SSLError):
        return f"The connection to {host} could not be secured, so nothing was fetched; ask who runs your network."
    if isinstance(reason, TimeoutError):
        return f"{host} did not answer in time; try again later or add the file by hand."
    if isinstance(reason, socket.gaierror):
        return f"{host} cannot be found; check the network connection, or add the file by hand."
    if "Tunnel connection failed" in str(reason):
        return f"The proxy of your network does not let {host} through; ask who runs it, or add the file by hand."
    if urllib.request.getproxies() and isinstance(reason, ConnectionError):
        return f"Neither {host} nor the proxy that is set answers; check HTTPS_PROXY, or add the file by hand."
    if isinstance(reason, http.client.HTTPException):
        return f"{host} gave an answer that cannot be understood; try again later or add the file by hand."
    return f"{host} cannot be reached ({reason}); check the network connection, or add the file by hand."


def _disk_sentence(target: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk with {target.parent} is full; free some space, {_KEPT}."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"The folder {target.parent} cannot be written to; name another one in HEMAVIEW_MODELS."
    return f"The file could not be saved in {target.parent} ({error.strerror or error}); check the disk."


def _require_space(target: Path, needed: int) -> None:
    free = shutil.disk_usage(target.parent).free
    if free < needed:
        raise ModelError(
            f"The download needs {needed / 1e6:.0f} MB more in {target.parent}, where only {free / 1e6:.0f} MB are "
            "free; free some space or name another folder in HEMAVIEW_MODELS."
        )


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Keep two windows from writing into the same unfinished file."""
    lock = FileLock(target.with_name(target.name + ".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ModelError(f"Another HEMAVIEW is downloading {target.name} already; wait for it to finish.") from None
    try:
        yield
    finally:
        lock.release()
        with suppress(OSError):
            Path(lock.lock_file).unlink()


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            yield block


def _origin_path(target: Path) -> Path:
    return target.with_name(target.name + ".part.json")


def _read_origin(target: Path) -> dict[str, str]:
    """Where the unfinished file came from; empty when that is not known."""
    try:
        content = json.loads(_origin_path(target).read_text(encoding="utf-8"))
        return {"url": str(content["url"]), "etag": str(content["etag"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _write_origin(target: Path, origin: dict[str, str]) -> None:
    _origin_path(target).write_text(json.dumps(origin), encoding="utf-8")
