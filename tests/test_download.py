"""The network, as students find it: whatever it does, data come within seconds, and nothing half is ever kept."""

import contextlib
import os
import shutil
import signal
import socket
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from made_data import begin, small_set, the_same, web, well

from vqtutor.data import NAMES, datasets, files, load_dataset, prepared
from vqtutor.data.catalogue import MNIST, PUBLIC

REAL = Path(os.environ.get("VQTUTOR_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
CONNECT = socket.create_connection


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    """A home of its own for each test, no way out of this machine, and the digits drawn: only the waiting is timed."""
    for name in ("VQTUTOR_DATA", "VQTUTOR_DATASET", "VQTUTOR_MIRROR", "http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VQTUTOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(prepared, "has_array_record", lambda: False)  # test_data has both roads
    load_dataset("strokes")

    def only_here(address, *arguments, **options):
        if address[0] != "127.0.0.1":
            raise ConnectionRefusedError("nobody is listening")
        return CONNECT(address, *arguments, **options)

    monkeypatch.setattr(socket, "create_connection", only_here)


def falls_back(capsys, name="mnist", seconds=5):
    """Load a set; assert that the built-in digits come whole, in time, with one line, and return that line."""
    start = time.monotonic()
    data = load_dataset(name)
    took = time.monotonic() - start
    assert data.name == "strokes" and the_same(data, load_dataset("strokes"))
    out, err = capsys.readouterr()
    assert out.startswith(PUBLIC[name].title) and "built-in pen-stroke digits" in out and out.count("\n") == 1
    assert "Traceback" not in err
    assert took < seconds, f"{took:.1f} s: {out}"
    return out


def kept(tmp_path):
    return sorted(file.name for file in (tmp_path / "cache").rglob("*") if file.is_file())


def hang(*_, **__):
    time.sleep(60)
    raise TimeoutError("nobody ever answered")


def silent(handler, body):
    handler.server.over.wait(60)


def trickle(handler, body):
    begin(handler, len(body))
    for byte in body:
        handler.wfile.write(bytes([byte]))
        if handler.server.over.wait(1):
            return


def drip(handler, body):
    """10 kB/s: MNIST would take twenty minutes."""
    begin(handler, len(body))
    for start in range(0, len(body), 1000):
        handler.wfile.write(body[start : start + 1000])
        if handler.server.over.wait(0.1):
            return


def trickle_headers(handler, body):
    for byte in b"HTTP/1.1 200 OK\r\n" + b"X-Patience: yes\r\n" * 1000:
        handler.wfile.write(bytes([byte]))
        if handler.server.over.wait(0.2):
            return


def stall(handler, body):
    begin(handler, len(body))
    handler.wfile.write(body[: len(body) // 2])
    handler.server.over.wait(60)


def stall_at_the_third_file(handler, body):
    (silent if "t10k-images" in handler.path else well)(handler, body)


def truncate(handler, body):
    well(handler, body[: len(body) // 2], length=len(body))


def endless(handler, body):
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.over.is_set():
        handler.wfile.write(body)


def login_page(handler, body):
    well(handler, b"<html>Please log in</html>")


def endless_page(handler, body):
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.over.wait(0.01):
        handler.wfile.write(b"<p>Please log in</p>" * 50)


def redirect(handler, body):
    handler.send_response(302)
    handler.send_header("Location", handler.path)
    handler.end_headers()


def altered(handler, body):
    well(handler, body[:-9] + bytes([body[-9] ^ 1]) + body[-8:])


def garbage(handler, body):
    handler.wfile.write(b"\x16\x03\x01 no HTTP at all\r\n\r\n")


WRONG = {
    "silent": (silent, "cannot be reached (no answer in 3.5 s)"),
    "trickle": (trickle, "could not be downloaded"),
    "drip": (drip, "could not be downloaded"),
    "trickling headers": (trickle_headers, "cannot be reached (no answer in 3.5 s)"),
    "stall": (stall, "could not be downloaded"),
    "stall at the third file": (stall_at_the_third_file, "cannot be reached"),
    "truncated": (truncate, "not the original file"),
    "endless": (endless, "not the original file"),
    "endless page": (endless_page, "not the original file"),
    "login page": (login_page, "not the original file"),
    "altered": (altered, "not the original file"),
    "redirect loop": (redirect, "could not be downloaded (HTTP Error 302"),
    "garbage": (garbage, "cannot be reached"),
    "error 500": (lambda handler, body: handler.send_error(500), "HTTP Error 500"),
    "error 404": (lambda handler, body: handler.send_error(404), "HTTP Error 404"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_whatever_a_server_does_the_built_in_digits_come(wrong, tmp_path, monkeypatch, capsys):
    behave, words = WRONG[wrong]
    small = small_set(tmp_path / "web", monkeypatch)
    with web(tmp_path / "web", behave) as server:
        monkeypatch.setenv("VQTUTOR_MIRROR", f"http://{server.address}")
        assert words in falls_back(capsys)
        assert kept(tmp_path) == (list(small.sha256)[:2] if "third" in wrong else [])
        server.over.set()  # the one left behind gets what it still waits for
        deadline = time.monotonic() + 10
        while any(thread.name.endswith("(_listen)") for thread in threading.enumerate()):
            assert time.monotonic() < deadline, "the download is still running"
            time.sleep(0.05)
    assert kept(tmp_path) == (list(small.sha256)[:2] if "third" in wrong else [])
    assert capsys.readouterr() == ("", "")


@contextlib.contextmanager
def deaf():
    """A place that drops packets: the queue of those who may connect is full."""
    with contextlib.ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()


def test_packets_dropped_on_several_addresses_cost_seconds_in_all(monkeypatch, capsys):
    with deaf() as address:
        answer = (socket.AF_INET, socket.SOCK_STREAM, 6, "", address)
        monkeypatch.setattr(socket, "create_connection", CONNECT)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [answer] * 8)
        assert "cannot be reached" in falls_back(capsys)


def test_a_handshake_that_stalls_costs_seconds(tmp_path, monkeypatch, capsys):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # connections are made, and nobody ever speaks
        monkeypatch.setenv("VQTUTOR_MIRROR", f"https://127.0.0.1:{listener.getsockname()[1]}/")
        assert "127.0.0.1 cannot be reached (no answer in 3.5 s)" in falls_back(capsys)


@pytest.mark.parametrize("place", ["connection", "name"])
def test_a_firewall_that_drops_packets_costs_seconds_not_minutes(place, monkeypatch, capsys):
    if place == "connection":
        monkeypatch.setattr(socket, "create_connection", hang)
    else:
        monkeypatch.setattr(socket, "create_connection", CONNECT)
        monkeypatch.setattr(socket, "getaddrinfo", hang)
    assert "cannot be reached" in falls_back(capsys, "fashion_mnist")


@pytest.mark.parametrize("name", [name for name in NAMES if name != "strokes"])
def test_without_network_the_built_in_digits_come_with_a_notice(name, capsys):
    assert "cannot be reached" in falls_back(capsys, name)


def test_the_digits_are_drawn_while_the_network_keeps_one_waiting(tmp_path, monkeypatch, capsys):
    small_set(tmp_path / "web", monkeypatch)
    drawn, draw = [], datasets.strokes.draw

    def slowly(count):
        drawn.append(drawn or time.sleep(2.5))  # as on a slow machine; the second time they are ready
        return draw(count)

    monkeypatch.setattr(datasets.strokes, "draw", slowly)
    with web(tmp_path / "web", silent) as server:
        monkeypatch.setenv("VQTUTOR_MIRROR", f"http://{server.address}")
        falls_back(capsys)  # 3.5 s, where one after the other takes 6


def test_a_slow_connection_is_waited_for_with_a_progress_bar(tmp_path, monkeypatch, capsys):
    def slow(handler, body):
        if len(handler.server.asked) == 1:
            handler.server.over.wait(2)  # a name looked up far away, a handshake by satellite
        begin(handler, len(body))
        for start in range(0, len(body), 15_000):  # 300 kB/s: MNIST takes 40 s
            handler.wfile.write(body[start : start + 15_000])
            handler.server.over.wait(0.05)

    small_set(tmp_path / "web", monkeypatch)
    with web(tmp_path / "web", slow) as server:
        monkeypatch.setenv("VQTUTOR_MIRROR", f"http://{server.address}")
        start = time.monotonic()
        assert load_dataset("mnist").name == "mnist"
        assert time.monotonic() - start > 5
    out, err = capsys.readouterr()
    assert out == "" and "MNIST train-images-idx3-ubyte.gz:" in err and "%" in err


def test_a_download_is_verified_and_kept_and_needs_no_network_again(tmp_path, monkeypatch, capsys):
    small = small_set(tmp_path / "web", monkeypatch)
    monkeypatch.setitem(PUBLIC, "mnist", replace(small, url=(tmp_path / "web").as_uri() + "/"))
    first = load_dataset("mnist")
    shutil.rmtree(tmp_path / "web")
    assert first.name == "mnist" and the_same(first, load_dataset("mnist"))
    for road in ("tfds", "plain"):
        shutil.rmtree(tmp_path / "cache" / road, ignore_errors=True)
    assert the_same(first, load_dataset("mnist"))
    assert capsys.readouterr().out == ""


def test_what_came_whole_is_not_asked_for_again(tmp_path, monkeypatch, capsys):
    small_set(tmp_path / "web", monkeypatch)
    downloads = tmp_path / "cache" / "downloads" / "mnist"
    with web(tmp_path / "web", well) as server:
        monkeypatch.setenv("VQTUTOR_MIRROR", f"http://{server.address}/")
        (tmp_path / "web" / "t10k-images-idx3-ubyte.gz").rename(tmp_path / "later")
        falls_back(capsys)
        (tmp_path / "later").rename(tmp_path / "web" / "t10k-images-idx3-ubyte.gz")
        (downloads / "train-labels-idx1-ubyte.gz").write_bytes(b"damaged since")
        server.asked.clear()
        assert load_dataset("mnist").name == "mnist"
        wanted = ("train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")
        assert server.asked == [f"/mnist/{name}" for name in wanted]


def test_a_page_of_a_login_portal_is_not_taken_for_data(tmp_path, monkeypatch, capsys):
    small = small_set(tmp_path / "web", monkeypatch)
    (tmp_path / "web" / "t10k-images-idx3-ubyte.gz").write_text("<html>Please log in</html>")
    monkeypatch.setitem(PUBLIC, "mnist", replace(small, url=(tmp_path / "web").as_uri() + "/"))
    assert "could not be downloaded" in falls_back(capsys)
    assert kept(tmp_path) == ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"]


def test_a_proxy_is_asked_where_there_is_one(tmp_path, monkeypatch):
    small_set(tmp_path / "web", monkeypatch)
    with web(tmp_path / "web", well) as server:
        monkeypatch.setenv("http_proxy", f"http://{server.address}")
        monkeypatch.setenv("VQTUTOR_MIRROR", "http://data.example/")
        assert load_dataset("mnist").name == "mnist"
        assert server.asked[0] == "http://data.example/mnist/train-images-idx3-ubyte.gz"


def test_a_cache_that_cannot_be_written_does_not_keep_data_away(tmp_path, monkeypatch, capsys):
    small_set(tmp_path / "web", monkeypatch)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("VQTUTOR_CACHE", str(tmp_path / "file"))
    with web(tmp_path / "web", well) as server:
        monkeypatch.setenv("VQTUTOR_MIRROR", f"http://{server.address}/")
        assert load_dataset("mnist").name == "mnist"
        assert "set VQTUTOR_CACHE" in capsys.readouterr().out
        assert load_dataset("mnist").name == "mnist" and len(server.asked) == 4


@pytest.mark.skipif(sys.platform == "win32", reason="a signal cannot be sent to oneself there")
@pytest.mark.parametrize("behave", [silent, trickle])
def test_ctrl_c_ends_a_download_at_once(behave, tmp_path, monkeypatch):
    small_set(tmp_path / "web", monkeypatch)
    with web(tmp_path / "web", behave) as server:
        monkeypatch.setenv("VQTUTOR_MIRROR", f"http://{server.address}/")
        threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()
        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            load_dataset("mnist")
        assert time.monotonic() - start < 3
    assert kept(tmp_path) == []


@pytest.mark.skipif(not files.find(MNIST, [REAL / "mnist"]), reason=f"no MNIST files in {REAL}/mnist")
def test_real_mnist_comes_from_a_mirror(monkeypatch, capsys):
    with web(REAL / "mnist", well) as server:
        monkeypatch.setenv("VQTUTOR_MIRROR", f"http://{server.address}/")
        data = load_dataset()
    assert (data.name, len(data.train_images), int(data.train_images.sum())) == ("mnist", 60_000, 1567298545)
    assert capsys.readouterr().out == ""
