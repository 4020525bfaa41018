"""Files of code maps: exact, as short as the prior says, and never silently wrong."""

import re
import struct
import subprocess
import sys
import zlib
from html.parser import HTMLParser

import haiku as hk
import jax
import numpy as np
import pytest

import vqtutor
from vqtutor.models import coding, gated
from vqtutor.show import figures

K, MODEL = 12, 0xC0DEC0DE
_TABLE = np.random.default_rng(0).normal(scale=2.5, size=(60, K, K))


def prior(maps):
    """A causal prior in NumPy: what a code is likely to be depends on its place and on the code before it."""
    flat = np.asarray(maps).reshape(len(maps), -1)
    before = np.concatenate([np.zeros_like(flat[:, :1]), flat[:, :-1]], axis=1)
    return _TABLE[np.arange(flat.shape[1]), before].reshape(*np.shape(maps), K)


def drawn(count, shape=(5, 6), seed=1):
    """Draw code maps from the prior."""
    rng, maps = np.random.default_rng(seed), np.zeros((count, *shape), np.int32)
    for row, column in np.ndindex(*shape):
        logits = prior(maps)[:, row, column]
        maps[:, row, column] = np.argmax(logits + rng.gumbel(size=logits.shape), axis=-1)
    return maps


def nats(maps):
    logits = prior(maps)
    logs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return -np.take_along_axis(logs, maps[..., None], axis=-1).mean()


MAPS = drawn(40)
FILE = coding.save_maps(prior, MAPS, MODEL)


def test_a_thousand_maps_come_back_and_take_what_the_prior_says():
    maps = drawn(1000, seed=2)
    file = coding.save_maps(prior, maps, MODEL)
    assert np.array_equal(coding.load_maps(prior, file, MODEL), maps)
    assert 0 < coding.overhead(len(file), nats(maps), maps.shape) < 0.01
    assert coding.overhead(len(file) - coding.HEADER, nats(maps), maps.shape) < 0.004  # rounded logits, whole numbers


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 7), (3, 7, 1), (1, 5, 6), (300, 2, 3)], ids=str)
def test_maps_of_any_shape_come_back(shape):
    maps = drawn(shape[0], shape[1:])
    file = coding.save_maps(prior, maps, MODEL)
    assert np.array_equal(coding.load_maps(prior, file, MODEL), maps) and len(file) >= coding.HEADER
    jax_maps = coding.save_maps(prior, jax.numpy.asarray(maps), MODEL)
    assert jax_maps == file


def test_codes_that_the_prior_thinks_impossible_can_be_written():
    sure = lambda maps: np.broadcast_to(np.float32([0.0, *[-1e4] * (K - 1)]), (*np.shape(maps), K))  # noqa: E731
    maps = np.full((2, 3, 3), K - 1)
    assert np.array_equal(coding.load_maps(sure, coding.save_maps(sure, maps, 1), 1), maps)


def refused(data, model=MODEL):
    """Return the sentence with which a file is refused."""
    with pytest.raises(ValueError) as info:
        coding.load_maps(prior, data, model)
    assert re.fullmatch(r"[A-Z].{15,}\.", str(info.value)), info.value
    return str(info.value)


def test_every_changed_byte_is_noticed():
    for i in range(len(FILE)):
        for change in (1, 0x80, 0xFF):
            refused(FILE[:i] + bytes([FILE[i] ^ change]) + FILE[i + 1 :])


def test_every_missing_or_added_byte_is_noticed():
    for i in range(len(FILE)):
        refused(FILE[:i])
        refused(FILE[:i] + FILE[i + 1 :])
    for more in (b"\0", b"VQ", FILE):
        refused(FILE + more)


def test_noise_and_other_formats_are_refused():
    rng = np.random.default_rng(3)
    for size in range(40):
        refused(rng.bytes(size))
        refused(b"VQ\x01" + rng.bytes(size))
    assert "other bytes" in refused(b"\x89PNG\r\n\x1a\n" + bytes(80))


def sealed(file, payload):
    """Return a file with another payload, and a CRC-32 that fits."""
    head = file[: coding.HEADER - 4]
    return head + struct.pack(">I", zlib.crc32(head + payload)) + payload


def test_what_the_bytes_checksum_cannot_see_the_codes_checksum_does():
    """A payload that was changed on purpose is another stream: it reads as other maps, or cannot be read."""
    payload, silent = FILE[coding.HEADER :], 0
    for i in range(len(payload)):
        file = sealed(FILE, payload[:i] + bytes([payload[i] ^ 0x10]) + payload[i + 1 :])
        try:
            silent += not np.array_equal(coding.load_maps(prior, file, MODEL), MAPS)
        except ValueError:
            pass
    assert silent == 0
    for cut in range(len(payload)):
        if "codes are lost" not in (said := refused(sealed(FILE, payload[:cut]))):
            assert "other frequencies" in said


def test_another_model_and_another_version_are_told_by_name():
    assert refused(FILE, MODEL + 1) == "Another model made the file: its fingerprint is c0dec0de, and yours c0dec0df."
    head = FILE[:2] + b"\x02" + FILE[3:13]
    assert "version 2" in refused(head + struct.pack(">I", zlib.crc32(head + b"")))


def test_a_prior_that_computes_something_else_is_noticed():
    for change in (1.0005, 0.99):
        with pytest.raises(ValueError, match="codes are lost|other frequencies"):
            coding.load_maps(lambda maps, change=change: change * prior(maps), FILE, MODEL)


def test_last_digits_do_not_matter():
    """Without rounding, noise of a millionth breaks most maps; what rounding leaves over, a safe shift removes."""
    logits = prior(drawn(400, seed=5))
    noisy = logits + np.random.default_rng(4).uniform(-1e-5, 1e-5, logits.shape)
    exact = lambda x: np.round(2**24 * np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True))  # noqa: E731
    broken = lambda make, a, b: np.mean(np.any(make(a) != make(b), axis=(1, 2, 3)))  # noqa: E731
    assert broken(exact, logits, noisy) > 0.9 and broken(coding.frequencies, logits, noisy) < 0.05
    for one, other in zip(logits, noisy, strict=True):
        shift = coding.safe_shift(one, margin=2e-5)
        assert shift >= 0
        moved = [coding.frequencies(x + shift * coding.STEP / 16) for x in (one, other)]
        assert np.array_equal(*moved)


@pytest.mark.parametrize("num_codes, total", [(1, 1), (2, 2), (5, 5), (64, 2**16), (512, 2**16), (1000, 1001)])
def test_frequencies_are_whole_and_add_up(num_codes, total):
    logits = np.random.default_rng(num_codes).normal(scale=20, size=(50, num_codes))
    counts = coding.frequencies(logits, total)
    assert counts.dtype.kind == "i" and counts.min() >= 1 and np.all(counts.sum(axis=-1) == total)
    with pytest.raises(ValueError, match=f"a total of {num_codes} at least"):
        coding.frequencies(logits, num_codes - 1)


def test_a_header_that_cannot_hold_the_maps_is_refused():
    for shape in ((70_000, 7, 7), (1, 256, 7), (-1, 7, 7)):
        with pytest.raises(ValueError, match="cannot hold maps of shape"):
            coding.write_file(b"", shape, MODEL, 0)


def test_a_real_network_reads_what_it_wrote_and_not_what_another_batch_wrote_in_silence():
    def forward(maps):
        return gated.GatedPixelCNN(K, channels=8, blocks=2, first_kernel=3)(maps)

    network = hk.without_apply_rng(hk.transform(forward))
    params = network.init(jax.random.key(0), MAPS[:8])
    run = vqtutor.quick_jit(lambda maps: 4 * network.apply(params, maps))
    model = coding.fingerprint(params)
    file = coding.save_maps(run, MAPS[:8], model)
    assert np.array_equal(coding.load_maps(run, file, model), MAPS[:8])
    one_by_one = lambda maps: np.concatenate([run(maps[i : i + 1]) for i in range(len(maps))])  # noqa: E731
    try:
        assert np.array_equal(coding.load_maps(one_by_one, file, model), MAPS[:8])
    except ValueError as error:
        assert "codes are lost" in str(error)


def test_nothing_loads_the_range_coder_before_it_is_used():
    code = "import sys, vqtutor.models.coding; print('constriction' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


class Page(HTMLParser):
    """Collects what a page consists of."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.texts, self.open = [], [], []
        self.feed(path.read_text())
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_about_a_codec_is_one_file_that_anybody_can_read(tmp_path, capsys):
    picture = figures.rows_of_images({"a": np.zeros((2, 4, 4))}, 'Two "black" squares <b>.')
    path = vqtutor.report_page(
        tmp_path / "page.html",
        title="Mine & <mine>",
        words={
            "What I built": "A <script>alert(1)</script> codec.\n\nIt is\n small.",
            "Next": ...,
            "Später": "Größer.",
        },
        table=[
            {"format": "mine", "bytes": 12.345, "lost": np.float32(0.04)},
            {"format": "PNG", "bytes": 250.0, "lost": 0},
        ],
        caption="Bytes a picture",
        pictures={"Typical": picture},
        language="de",
    )
    page = Page(path)
    names = [tag for tag, _ in page.tags]
    assert names.count("h1") == 1 and "script" not in names and "link" not in names and "main" in names
    assert dict(page.tags)["html"] == {"lang": "de"}
    (image,) = (attrs for tag, attrs in page.tags if tag == "img")
    assert image["alt"] == 'Two "black" squares <b>.' and image["src"].startswith("data:image/png;base64,")
    assert not re.search(r"(src|href)=.?http", path.read_text())
    assert [attrs["scope"] for tag, attrs in page.tags if tag == "th"] == ["col"] * 3 + ["row"] * 2
    assert {"Mine & <mine>", "It is small.", "Not written yet.", "Größer.", "12.3", "0.04", "250"} <= set(page.texts)
    assert "A <script>alert(1)</script> codec." in page.texts
    assert "Not written yet: Next" in capsys.readouterr().out
    with pytest.raises(ValueError, match="same columns"):
        vqtutor.report_page(path, title="", words={}, table=[{"a": 1}, {"b": 2}])


def test_other_formats_are_measured_where_they_lose_as_little(monkeypatch, tmp_path):
    monkeypatch.setenv("VQTUTOR_PROGRESS", str(tmp_path / "p.json"))
    data = vqtutor.load_dataset("strokes")
    found = {row["system"].split(",")[0]: row for row in vqtutor.ledger.as_good_as(data, 0.05, pictures=100)}
    smallest = {row["system"]: row for row in vqtutor.ledger.formats(data)}
    assert set(found) == {"JPEG", "WebP"}
    for name, row in found.items():
        assert row["distortion"] <= 0.05 and row["theirs"] is None
        assert (row["bits"] > smallest[name]["bits"]) == (smallest[name]["distortion"] > 0.05)
    assert vqtutor.ledger.as_good_as(data, 0.0, pictures=100) == []  # only what loses nothing would do
    size, back = vqtutor.ledger.through(data.test_images[0, :, :, 0], "PNG")
    assert size > 100 and np.array_equal(back, data.test_images[0, :, :, 0])
