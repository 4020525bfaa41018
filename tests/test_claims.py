"""What lessons 00 to 04, 07 and 08 say of their results is held to what they printed and drew: outputs in solutions/.

Every decimal and every percentage in a text cell is listed below, with what it is: a setting, something published, or
arithmetic. Results stand in outputs, where they are computed; what the texts make of them is tested here. Whole numbers
of all lessons stand in the code or in an output of the same lesson, or are reckoned below.
"""

import inspect
import math
import re
from functools import cache
from pathlib import Path

import pytest

from vqtutor import authoring, train_codec
from vqtutor.data import pictures

ROOT = Path(__file__).parents[1]
LESSONS = ("00_start_here", "01_quantizer", "02_losses", "03_vqvae", "04_ema_codebook", "07_beyond", "08_codec")
SETTING, PUBLISHED, MATHS = "a setting", "published, or in docs/measurements.md", "arithmetic"
NUMBERS = {
    "00_start_here": {},
    "01_quantizer": {"3.1": PUBLISHED, "3.2": PUBLISHED, "-0.05": SETTING, "0.05": SETTING},
    "02_losses": {"3.2": PUBLISHED, "0.25": SETTING, "0.1": PUBLISHED},
    "03_vqvae": {"4.2": PUBLISHED, "-0.5": SETTING, "0.5": SETTING, "0.001": PUBLISHED, "0.0001": PUBLISHED},
    "04_ema_codebook": {
        "0.99": SETTING,
        "0.9": SETTING,
        "0.5": SETTING,
        "0.1": SETTING,
        "0.25": SETTING,
        ".1": PUBLISHED,  # appendix A.1
        "0.00004": MATHS,  # 0.99 ** 1000
        **dict.fromkeys(("0.0399", "0.0395", "16.8", "0.0314", "0.0311", "35.1"), PUBLISHED),
    },
    "07_beyond": {"0.001": SETTING},
    "08_codec": {200: "2 % of the built-in digits' PNGs are smaller, and 14 % of MNIST's"},
}
# Whole numbers of two digits and more that stand in no code and no output of their lesson, and what they come from.
WHOLE = {
    "00_start_here": {49: 7 * 7, 2048: 64 * 32, 200: pictures.ENOUGH},
    "00b_primer": {},
    "01_quantizer": {6272: 28 * 28 * 8, 12845056: 128 * 49 * 128 * 16, 51: round(128 * 49 * 128 * 16 * 4 / 1e6)},
    "02_losses": {65025: 255**2, 150: "where float32's sigmoid is 1, see below"},
    "03_vqvae": {
        19856: PUBLISHED,
        28033: PUBLISHED,
        30000: SETTING,
        300: 900 // 3,
        30: PUBLISHED,
        469: 60_000 // 128 + 1,
        20000: PUBLISHED,
    },
    "04_ema_codebook": {109: round(math.log(1e-5) / math.log(0.9)), 4096: 64**2, 784: 28 * 28},
    "05_pixelcnn_prior": {
        900: inspect.signature(train_codec).parameters["steps"].default,
        24: 49 // 2,
        30: PUBLISHED,
        60000: "MNIST's training images",
        72: round(1.0174 * 49 / math.log(2)),  # bits of the published prior
    },
    "06_gated_pixelcnn": {},
    "07_beyond": {3136: 64 * 7 * 7, 900: "steps of lessons 03 to 05", 256: SETTING},
    "08_codec": {},
}


@cache
def notebook(name):
    return authoring.read(ROOT / "solutions" / f"{name}.ipynb")


@cache
def said(name, cell):
    """Return all that a cell printed, and its pictures' alternative texts."""
    (cell,) = (one for one in notebook(name).cells if one.id == cell)
    outputs = [out.get("text") or out.get("data", {}).get("text/plain", "") for out in cell.outputs]
    assert outputs, f"{name}, {cell.id}: nothing is stored; run `make release`"
    return "".join(outputs)


def numbers(pattern, name, cell):
    """Return the numbers of each match of a pattern in what a cell said."""
    found = re.findall(pattern, said(name, cell))
    assert found, f"{name}, {cell}: no {pattern!r} in {said(name, cell)!r}"
    found = [one if isinstance(one, tuple) else (one,) for one in found]
    return [tuple(float(number.replace(",", "").rstrip(".")) for number in one) for one in found]


def number(pattern, name, cell):
    ((value,), *_) = numbers(pattern, name, cell)
    return value


@pytest.mark.parametrize("name", LESSONS)
def test_every_decimal_and_percentage_of_the_texts_is_known(name):
    for cell in notebook(name).cells:
        if cell.cell_type == "markdown" and authoring.about(cell).get("role") in ("opening", "text"):
            text = re.sub(r"`[^`]*`|\(data:[^)]*\)|\(http[^)]*\)", "", cell.source)
            for token in re.findall(r"-?\d*\.\d+|\d+(?:\.\d+)? ?%", text):
                assert token in NUMBERS[name], f"{name}, {cell.id}: {token!r} is held to nothing"


@pytest.mark.parametrize("name", WHOLE)
def test_every_whole_number_of_the_texts_is_known(name):
    wrong = {
        number: source for number, source in WHOLE[name].items() if source != number and not isinstance(source, str)
    }
    assert not wrong, "what a number comes from gives another one"
    known = set(WHOLE[name])
    for cell in notebook(name).cells:
        if cell.cell_type == "code" and authoring.about(cell).get("role") != "setup":
            outputs = [out.get("text") or out.get("data", {}).get("text/plain", "") for out in cell.outputs]
            printed = re.findall(r"\d[\d,_]*", "\n".join([cell.source, *outputs]))
            known |= {int(re.sub("[,_]", "", token)) for token in printed}
    for cell in notebook(name).cells:
        if cell.cell_type == "markdown" and authoring.about(cell).get("role") in ("text", "header"):
            text = re.sub(r"(?m)^\*(importance|bonus|difficulty).*$", "", cell.source)  # its effort, and a tip
            text = re.sub(r"`[^`]*`|\(data:[^)]*\)|\]\([^)]*\)|\b0\db?\b|\b(19|20)\d\d\b", "", text)
            for token in re.findall(r"(?<![\w.])\d(?:[\d,]|\\,)*\d(?!\d*\.\d)", text):
                number = int(re.sub(r"[,\\]", "", token))
                assert number in known, f"{name}, {cell.id}: {number} is held to nothing"


def test_00_fewer_numbers_lose_more_and_bits_by_use_lose_less():
    lost = [one for (one,) in numbers(r"(\d+)% of the variance", "00_start_here", "squeeze-errors")]
    assert len(lost) == 4 and lost == sorted(lost)
    for percent in lost:
        assert f"{percent:.0f}% with" in said("00_start_here", "squeeze")
    (_, each), (bits, by_use) = numbers(r"(\d+) bits, distortion ([\d.]+)", "00_start_here", "rounded")
    assert by_use < each and 300 < bits <= 343


def test_00_formats_are_there_for_scale_and_headers_are_a_good_part_of_small_files():
    for name in ("PNG", "JPEG", "WebP"):
        ((alone, _),) = numbers(rf"{name} ([\d,]+) bits, distortion ([\d.]+)", "00_start_here", "ledger")
        ((together, lost),) = numbers(
            rf"{name}, 400 in one file ([\d,]+) bits, distortion ([\d.]+)", "00_start_here", "ledger"
        )
        assert together < 0.7 * alone and (lost == 0) == (name == "PNG")


def kmeans():
    return number(r"used; ([\d.]+) of the variance", "01_quantizer", "patch-ledger")


def test_01_k_means_takes_343_bits_and_loses_more_than_pca_with_bits_by_use():
    assert "= 343 bits" in said("01_quantizer", "patch-picture")
    assert kmeans() > number(r"PCA, bits by use \d+ bits, distortion ([\d.]+)", "01_quantizer", "patch-ledger")


def test_01_the_toys_codes_spread_and_its_distortion_does_not_simply_fall():
    stages = numbers(r"step \d+: distortion ([\d.]+), (\d) of 8", "01_quantizer", "stages")
    assert stages[0][1] < 8 == stages[-1][1] and stages[-1][0] > min(distortion for distortion, _ in stages)
    assert "with 4 steps" in said("01_quantizer", "slope") and "its slope: 0 everywhere" in said(
        "01_quantizer", "slope"
    )
    assert "its slope: 1 everywhere" in said("01_quantizer", "slope-again")


def test_02_the_broken_layer_trains_and_only_its_reconstruction_gets_better():
    pattern = r"reconstruction ([\d.]+) -> ([\d.]+), whole loss ([\d.,]+) -> ([\d.,]+), codes moved by ([\d.]+)"
    broken, mended = numbers(pattern, "02_losses", "broken-training")
    assert broken[1] < broken[0] and broken[3] > 10 * broken[2] and broken[4] == 0
    assert mended[1] < broken[1] and mended[3] < mended[2] and mended[4] > 0
    assert "gradient to the codebook: 0.0" in said("02_losses", "broken")
    assert "nearer to their codes: False" in said("02_losses", "broken")


def test_02_beta_holds_vectors_near_their_codes_and_barely_changes_the_toys_reconstruction():
    pattern = r"reconstruction ([\d.]+), spread of z_e ([\d.]+), distortion ([\d.]+)"
    costs, spreads, distortions = zip(*numbers(pattern, "02_losses", "toy-training"), strict=True)
    assert max(costs) - min(costs) < 0.02
    assert list(spreads) == sorted(spreads, reverse=True) and list(distortions) == sorted(distortions, reverse=True)


def test_02_an_average_image_saves_most_of_one_bit_a_pixel():
    even, average = numbers(r"that is +([\d.]+) bits", "02_losses", "nats")
    assert even == (784,) and average[0] < 784 / 2


def test_03_the_codebook_collapses_and_most_codes_stay_where_they_began():
    assert number(r"(\d+) of 128 codes are where", "03_vqvae", "codebook") > 64
    assert number(r"(\d+) times as far", "03_vqvae", "codebook") > 5
    pattern = r"vq loss begins at ([\d.]+), is at most ([\d.]+) and ends at ([\d.]+)"
    ((begin, most, end),) = numbers(pattern, "03_vqvae", "curves")
    assert most > begin > end
    ((first, last),) = numbers(r"Reconstruction goes from ([\d.]+) to ([\d.]+)", "03_vqvae", "curves")
    assert last < first


def test_03_a_second_start_uses_the_codes_and_ends_ahead_of_k_means_at_equal_bits():
    pattern = r"([\d.]+) of the variance lost, held out; (\d+) of 128 codes used"
    (as_it_was, few), (again, many) = numbers(pattern, "03_vqvae", "fit-again")
    assert few < 64 < 96 <= many and again < kmeans() and again < as_it_was
    ((sooner, _),) = numbers(pattern, "03_vqvae", "reconstructions")
    assert as_it_was < sooner  # training the old codebook for longer helps as well
    for row in ("VQ-VAE, collapsed 343 bits", "VQ-VAE, restarted 343 bits", "ten codes 163 bits"):
        assert row in said("03_vqvae", "ledger-again")
    assert number(r"4 x 4 of 16 64 bits, distortion ([\d.]+)", "03_vqvae", "ledger-again") > as_it_was


def test_03_ten_codes_are_drawn_twice():
    assert len(numbers(r": (\d+) codes beside the neighbour", "03_vqvae", "ten-network")) == 2


def test_04_three_seeds_put_the_three_codebooks_in_order():
    lost, used = {}, {}
    for name in ("gradient", "EMA", "EMA, revival"):
        rows = numbers(rf"(?m)^{name} +seed \d: ([\d.]+) of the variance lost, +(\d+) of", "04_ema_codebook", "table")
        assert len(rows) == 3
        lost[name], used[name] = zip(*rows, strict=True)
    assert max(used["gradient"]) < min(used["EMA"]) and max(used["EMA"]) < min(used["EMA, revival"])
    assert max(lost["EMA, revival"]) < min(lost["EMA"]) and max(lost["EMA"]) < min(lost["gradient"])


def test_04_without_commitment_the_encoder_spreads():
    free, usual, held = (one for (one,) in numbers(r"spread of z_e ([\d.]+)", "04_ema_codebook", "beta"))
    assert free > usual > held
    without, *_ = (one for (one,) in numbers(r"([\d.]+) lost, \d+ codes", "04_ema_codebook", "beta"))
    seeds = numbers(r"(?m)^EMA, revival +seed \d: ([\d.]+)", "04_ema_codebook", "table")
    assert without > max(seed for (seed,) in seeds)


def test_04_more_codes_are_in_use_and_lose_less():
    rows = numbers(r"(\d+) codes, +\d+ bits: ([\d.]+) lost, (\d+) used", "04_ema_codebook", "number-of-codes")
    assert [codes for codes, _, _ in rows] == [8, 128, 512] and rows[0][1] > 2 * rows[1][1]
    assert 0.75 * rows[1][1] < rows[2][1] < rows[1][1]
    assert rows[2][2] > 128 and all(used > 0.8 * codes for codes, _, used in rows[:2])


def test_04_it_ends_ahead_of_k_means_and_of_pca_at_equal_bits():
    ((lost, used),) = numbers(r"([\d.]+) of the variance lost, held out; (\d+) of 128", "04_ema_codebook", "whole")
    assert used >= 120 and lost < kmeans()
    assert lost < number(r"PCA, bits by use \d+ bits, distortion ([\d.]+)", "04_ema_codebook", "ledger")
    assert number(r"k-means on patches 343 bits, distortion ([\d.]+)", "04_ema_codebook", "ledger") == kmeans()


def test_04_a_broken_start_throws_codes_far_away_and_64_codes_are_64_pictures():
    ((x, _), *_) = numbers(r"the other at \[(-?[\d.]+), (-?[\d.]+)\]", "04_ema_codebook", "broken")
    assert 90_000 < -x < 110_000
    assert "64 different pictures" in said("04_ema_codebook", "letters-drawn")
    assert (
        number(r"(\d+)% of 1,000", "04_ema_codebook", "letters-picture") < 90
    )  # a good part is not even of their kind


def test_07_no_more_is_claimed_than_the_seeds_bear():
    rows = re.findall(
        r"(\w+) +([\d.]+) \(([\d.]+)-([\d.]+)\) +(\d+) +([\d.]+) +([\d.]+) \(([\d.]+)-([\d.]+)\)",
        said("07_beyond", "table"),
    )
    lost = {name: [float(x) for x in (mean, least, most)] for name, mean, least, most, *_ in rows}
    used, bits = {row[0]: int(row[4]) for row in rows}, {row[0]: float(row[6]) for row in rows}
    assert list(lost) == ["gradient", "EMA", "revival", "rotation", "FSQ", "residual"]
    assert max(lost, key=lambda name: lost[name][0]) == "gradient" == min(used, key=used.get) == min(bits, key=bits.get)
    close = [lost[name] for name in ("revival", "rotation", "FSQ")]
    widest = max(most - least for _, least, most in close)
    assert max(mean for mean, *_ in close) - min(mean for mean, *_ in close) < widest
    pairs = dict(
        re.findall(r"^(\w+) +((?:[+-][\d.]+ +){3}) +with every seed", said("07_beyond", "pairs"), re.MULTILINE)
    )
    for name in ("gradient", "EMA"):  # behind revival with every seed
        assert pairs[name].count("+") == 3


def test_07_beginnings_directions_and_stages_show_what_they_are_there_for():
    (few, lost), (_, _), (many, least) = re.findall(
        r"(\d+) of 64 codes chosen, ([\d.]+)", said("07_beyond", "beginnings")
    )
    assert int(few) < 40 < int(many) and float(least) < float(lost) / 5
    by_distance, by_angle = map(int, re.findall(r"(\d+) of 64 rows", said("07_beyond", "cosine-work")))
    assert by_angle > by_distance
    broken, mended = (
        [float(x) for x in re.findall(r"size ([\d.]+)", said("07_beyond", cell))] for cell in ("broken", "repaired")
    )
    assert broken[0] > 0 == max(broken[1:]) and min(mended) > 0 and broken[0] == mended[0]
    by_stages = [float(x) for x in re.findall(r": ([\d.]+) of the variance", said("07_beyond", "residual-work"))]
    assert by_stages == sorted(by_stages, reverse=True) and by_stages[1] > float(least)  # 6 bits, in 16 rows and in 64
