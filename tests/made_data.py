"""Data sets of a few images, and a web server that holds them, or misbehaves."""

import contextlib
import gzip
import hashlib
import http.server
import threading
from dataclasses import replace

import numpy as np

from vqtutor.data.catalogue import MNIST, PUBLIC


def the_same(one, other):
    parts = ("train_images", "train_labels", "test_images", "test_labels")
    return all(np.array_equal(getattr(one, part), getattr(other, part)) for part in parts)


def idx(array, path):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))


def small_set(folder, monkeypatch):
    """A public set of a few images, verified by digests of its own."""
    folder.mkdir(parents=True)
    rng, digests = np.random.default_rng(0), {}
    for (images, labels), count in zip([list(MNIST.sha256)[:2], list(MNIST.sha256)[2:]], (2300, 40), strict=True):
        idx(rng.integers(0, 256, (count, 28, 28), dtype=np.uint8), folder / images)
        idx(rng.integers(0, 10, count, dtype=np.uint8), folder / labels)
    for name in MNIST.sha256:
        digests[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    small = replace(MNIST, sha256=digests)
    monkeypatch.setitem(PUBLIC, "mnist", small)
    return small


@contextlib.contextmanager
def web(folder, behave):
    """Serve `folder` on loopback; yields the address.

    `behave(handler, body)` answers each request; `handler.server.over` is an event that ends all waiting, and
    `handler.server.asked` the list of paths that were asked for.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append(self.path)
            file = folder / self.path.rpartition("mnist/")[2]
            with contextlib.suppress(OSError):  # the other side has left
                behave(self, file.read_bytes() if file.is_file() else None)

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_):
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        server.over, server.asked = threading.Event(), []
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            server.address = f"127.0.0.1:{server.server_port}"
            yield server
        finally:
            server.over.set()
            server.shutdown()


def well(handler, body, status=200, length=None):
    """Answer as one should."""
    begin(handler, len(body) if length is None else length, status)
    handler.wfile.write(body)


def begin(handler, length, status=200):
    handler.send_response(status)
    handler.send_header("Content-Length", str(length))
    handler.end_headers()
