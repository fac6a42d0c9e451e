"""An HTTP server on this machine that stands for a model's origin, and can be told to misbehave."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from hemaview.segmentation.model_files import ModelFile


@dataclass
class Origin:
    """Serves ``content`` under /file; every other attribute is a way to fail, to be set while it runs."""

    content: bytes
    etag: str = '"first"'
    ranges: bool = True
    status: int = 200
    redirect: str = ""
    stop_after: int | None = None
    """Bytes after which the connection is cut."""
    pause: threading.Event | None = None
    """Waited for in the middle of the content."""
    length: bool = True
    asked: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    def file(self, **changes) -> ModelFile:
        """The registry's entry of the file as it should be."""
        facts = {
            "role": "sam",
            "path": "model.pth",
            "sha256": hashlib.sha256(self.content).hexdigest(),
            "size": len(self.content),
            "url": self.url,
            "md5": hashlib.md5(self.content).hexdigest(),
        }
        return ModelFile(**(facts | changes))


def serve(origin: Origin) -> ThreadingHTTPServer:
    """Start the server on a free port of the loopback device; ``shutdown`` and ``server_close`` end it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            origin.asked.append({name.lower(): value for name, value in self.headers.items()} | {"path": self.path})
            if origin.redirect and self.path == "/file":
                self.send_response(302)
                self.send_header("Location", origin.redirect)
                self.end_headers()
                return
            if origin.status != 200:
                self.send_error(origin.status)
                return
            content, start = origin.content, 0
            wanted = self.headers.get("Range", "")
            if origin.ranges and wanted and self.headers.get("If-Range", origin.etag) == origin.etag:
                start = int(wanted.removeprefix("bytes=").partition("-")[0])
                if start >= len(content):
                    self.send_error(416)
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            else:
                self.send_response(200)
            if origin.length:
                self.send_header("Content-Length", str(len(content) - start))
            if origin.etag:
                self.send_header("ETag", origin.etag)
            self.end_headers()
            end = len(content) if origin.stop_after is None else min(len(content), start + origin.stop_after)
            half = (start + end) // 2
            try:
                self.wfile.write(content[start:half])
                self.wfile.flush()
                if origin.pause is not None:
                    origin.pause.wait(20)
                self.wfile.write(content[half:end])
            except OSError:
                pass

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    origin.url = f"http://127.0.0.1:{server.server_port}/file"
    return server
