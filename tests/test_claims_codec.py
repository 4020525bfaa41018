"""What lesson 08 says in prose, captions and alternative texts, held to the numbers in its stored outputs."""

import re

from test_claims_priors import alt, found, printed

CODEC = "08_codec"


def formats():
    """Return {format: (bytes a picture, distortion)} of the table that the lesson prints."""
    table = re.findall(r"^ +(\S.*?) +([\d.]+)  ([\d.]+)$", printed(CODEC, "ledger"), re.MULTILINE)
    return {name: (float(size), float(lost)) for name, size, lost in table}


def test_08_a_file_comes_back_exactly_and_a_thousand_pictures_take_what_the_prior_says():
    assert found(CODEC, "thousand", r"^1,000 pictures in (\d) files") == [4]
    assert found(CODEC, "thousand", r"of the last file, (\d+) of (\d+) pictures came back exactly") == [250, 250]
    assert 0 < found(CODEC, "thousand", r"([\d.]+)% more than the prior's nats")[0] < 2  # with four headers
    assert 0 < found(CODEC, "promise", r"([\d.]+)% longer")[0] < 1


def test_08_rounding_costs_next_to_nothing_if_the_total_is_large():
    pattern = r"as they are: ([\d.]+) bits a picture\n.*65,536: ([\d.]+)\n.*1,024: ([\d.]+)"
    exact, large, small = found(CODEC, "price", pattern)
    assert exact < large < 1.003 * exact and small > 1.03 * exact


def test_08_hardly_any_picture_goes_astray_with_rounding_and_nearly_all_without():
    without, rounded = (
        found(CODEC, "trap", pattern)[0] for pattern in (r"rounding: (\d+)%", r"frequencies: ([\d.]+)%")
    )
    assert without >= 95 and rounded <= 3
    assert float(re.search(r"by (\S+) at most", printed(CODEC, "trap"))[1]) <= 2e-5
    assert found(CODEC, "shifts", r"go astray with it.*: ([\d.]+)%")[0] <= rounded


def test_08_a_file_read_astray_is_full_of_wrong_codes():
    assert int(re.search(r"(\d+)% of the codes are wrong", alt(CODEC, "astray"))[1]) > 20


def test_08_every_damaged_file_is_refused_in_a_sentence():
    lines = printed(CODEC, "damage").strip().splitlines()
    assert lines[0] == "as it is: True" and len(lines) == 5
    assert all(re.search(r": [A-Z].{15,}\.$", line) for line in lines[1:])


def test_08_files_are_a_tenth_of_the_smallest_png_and_lose_less_than_the_smallest_webp():
    table = formats()
    (shared, lost), (single, _) = table.pop("yours, files of 250"), table.pop("yours, a file each")
    assert single <= 0.1 * table["PNG"][0] and shared < 0.1 * table["PNG, 400 in one file"][0]
    assert all(shared < single < size for name, (size, _) in table.items() if "in one file" not in name)
    assert all(shared < size for size, _ in table.values())
    assert lost < table["WebP"][1] < table["JPEG"][1] and table["PNG"][1] == 0
    as_good = [distortion for name, (_, distortion) in table.items() if "quality" in name]
    assert len(as_good) == 2 and all(distortion <= 1.02 * lost for distortion in as_good)


def test_08_the_own_part_runs_as_it_stands():
    card = printed(CODEC, "own-card")
    assert "came back exactly: True" in card
    assert found(CODEC, "own-card", r"more than the nats: ([\d.]+)%")[0] < 2
    cost, before = found(CODEC, "own-card", r"bytes a picture: ([\d.]+)\n +bytes without a prior: ([\d.]+)")
    assert cost < before / 2
