"""How an answer differs, in a sentence: each relation is told where it holds, and none where none does."""

import numpy as np
import pytest

from vqtutor.checking import Exercise, Misconception, Probe, judge, relations
from vqtutor.checking.exercise import Slip, Tried
from vqtutor.checking.made_of import array_of, calls, numbers_of, says_much
from vqtutor.checking.tried import behaves_as, fingerprint, fingerprints

_rng = np.random.default_rng(0)
A, B = (_rng.normal(size=shape).astype(np.float32) for shape in ((3, 4), (5, 2)))
MAPS = _rng.normal(size=(2, 6, 5, 3)).astype(np.float32)
COUNTS = np.array([3, 0, 4, 4, 1], np.int32)
YES = np.array([True, False, True])
NAN = np.where(np.arange(12).reshape(3, 4) == 5, np.nan, A)
INSIDE = MAPS.copy()
INSIDE[:, 1:-1, 1:-1] = 0
ZERO_AT = np.where(np.arange(12).reshape(3, 4) % 3 == 0, 0, A)


def relation(differences):
    """Return the sentence alone."""
    found = relations.relation(differences) or relations.whereabouts(differences)
    return found and found.says


TOLD = {
    "a factor of 2": ([A, B], [2 * A, 2 * B], "times 2: is something counted twice"),
    "half": ([A, B], [A / 2, B / 2], "times 0.5: is a 2 missing"),
    "ln 2": ([A], [A * np.log(2)], "nats"),
    "the sign": ([A, B], [-A, -B], "sign is the other way round"),
    "summed, not averaged": ([A, B], [12 * A, 10 * B], "added up that should be averaged"),
    "averaged, not summed": ([A, B], [A / 12, B / 10], "averaged that should be added up"),
    "a number": ([np.float32(2.5), np.float32(1.5)], [np.float32(12.5), np.float32(7.5)], "times 5"),
    "an offset": ([A, B], [A + 1.5, B + 1.5], "off by the same amount: 1.5 too large"),
    "counts from one": ([COUNTS], [COUNTS + 1], "do you count from 1"),
    "squared": ([A], [A**2], "squared"),
    "a root is missing": ([np.abs(A)], [A**2], "squared"),
    "without signs": ([A], [np.abs(A)], "without their signs"),
    "1 minus": ([A], [1 - A], "subtracted from 1"),
    "transposed": ([A, B], [A.T, B.T], "transposed"),
    "axes permuted": ([MAPS], [MAPS.transpose(0, 2, 1, 3)], "axes have changed places"),
    "an axis too many": ([A, B], [A[None], B[None]], "axis of length 1 is too many"),
    "an axis missing": ([A[:1]], [A[0]], "axis of length 1 is missing"),
    "flattened": ([A, B], [A.ravel(), B.ravel()], "but not their shape"),
    "summed over an axis": ([A, B], [A.sum(0), B.sum(0)], "summed over axis 0"),
    "averaged over everything": ([A, B], [A.mean(), B.mean()], "averaged over everything"),
    "not averaged": ([A.mean(1), B.mean(1)], [A, B], "averaged over axis 1, your result is the right one"),
    "not summed": ([A.sum(), B.sum()], [A, B], "summed over everything, your result is the right one"),
    "reversed": ([A, B], [A[::-1], B[::-1]], "reverse order along axis 0"),
    "one place later": ([np.arange(9.0) ** 2], [np.roll(np.arange(9.0) ** 2, 1)], "one place later along axis 0"),
    "the first for all": ([A, B], [np.tile(A[:1], (3, 1)), np.tile(B[:1], (5, 1))], "comes back for all of them"),
    "only the first": ([A, B], [A[0], B[0]], "Only the result for the first example"),
    "but for the border": ([MAPS], [MAPS + INSIDE], "not its border"),
    "zeros": ([A], [0 * A], "0 everywhere"),
    "one value": ([A], [0 * A + 3], "same value everywhere"),
    "NaN": ([A], [NAN], "NaN at 1 of 12 places, the first [1, 1]"),
    "NaN where 0 belongs": ([ZERO_AT], [np.where(ZERO_AT == 0, np.nan, ZERO_AT)], "NaN where it should be 0"),
    "another dtype": ([A], [A.astype(np.float64)], "as float64; they should be float32"),
    "negated": ([YES], [~YES], "Every yes is a no"),
    "another order": ([A], [np.sort(A, axis=None).reshape(3, 4)], "another order"),
    "off where 0 belongs": ([ZERO_AT], [np.where(ZERO_AT == 0, 7, ZERO_AT)], "off where they should be 0"),
    "the last row": ([A], [np.concatenate([A[:2], A[2:] * 3.3])], "Only the last along axis 0"),
    "a constant term for each row": ([A], [A + [[1], [2], [4]]], "along axis 0 and is the same along axis 1"),
    "a factor for each column": ([MAPS], [MAPS * np.array([1.5, 2.0, -3.0])], "by a factor that changes along axis 3"),
    "a line": ([A], [2 * A + 5], "the right ones times 2, and then +5"),
    "cut off": ([A], [np.minimum(A, 0.3)], "cut off above 0.3"),
    "the same in all rows": ([A], [np.tile(B.ravel()[:4], (3, 1))], "the same all along axis 0"),
    "some rows right": (
        [B],
        [B * np.array([[1], [3], [1], [0.2], [7]])],
        "only these places come out right: 0, 2. These do not: 1, 3, 4.",
    ),
    "the right order": ([A], [A**3 + A], "their order is right"),
    "one number for all": ([np.float32(2), np.float32(3)], [np.float32(1), np.float32(1)], "1 each time"),
    "only the second has a relation": ([A, B], [np.sin(9 * A) + A @ np.ones((4, 4)), 2 * B], "times 2"),
    "one row too many": ([A, B], [np.ones((4, 4)), np.ones((6, 2))], "One more along axis 0"),
}  # fmt: skip


@pytest.mark.parametrize("name", TOLD)
def test_a_relation_that_holds_everywhere_is_told(name):
    expected, observed, sentence = TOLD[name]
    pairs = [("values", np.asarray(e), np.asarray(o)) for e, o in zip(expected, observed, strict=True)]
    assert sentence in (relation(pairs) or "nothing")


def test_what_has_nothing_to_do_with_the_right_answer_is_not_told_a_relation():
    for seed in range(50):
        other = np.random.default_rng(100 + seed).normal(size=A.shape).astype(np.float32)
        assert relation([("values", A, other)]) is None


def test_numbers_that_have_nothing_to_do_with_the_right_ones_are_not_told_a_relation():
    for seed in range(300):
        rng = np.random.default_rng(seed)
        for count in (1, 2, 3):
            right, own = rng.lognormal(0, 2, size=(2, count)).astype(np.float32)
            assert relation([("value", *pair) for pair in zip(right, own, strict=True)]) is None


def test_what_comes_out_right_beside_what_is_off_is_told():
    both = Exercise(
        "a.both",
        lambda x: (x**2, np.sqrt(x) + x),
        ("x",),
        (Probe("a table", lambda answer: dict(zip(("squares", "roots"), answer(X), strict=True))),),
        (),
        {},
        (),
    )
    verdict = judge(both, lambda x: (x**2, np.sin(x * 9) * 40))
    assert verdict.message == 'With "a table", roots: squares comes out right, but not roots.' and verdict.is_relation
    swapped = judge(both, lambda x: (np.sqrt(x) + x, x**2))
    assert swapped.message == 'With "a table", squares: Your result is what roots should be.'
    handed_back = judge(both, lambda x: (x**2, x))
    assert handed_back.message == 'With "a table", roots: Your result is x, as it came in.'


def test_whatever_comes_back_a_sentence_or_nothing_is_told():
    """An answer chooses what comes back, in a class's grading as well: nothing in it stops the one who looks."""
    rng = np.random.default_rng(0)

    def any_array():
        shape = tuple(rng.integers(0, 5, size=rng.integers(0, 6)))
        values = np.asarray(rng.normal(size=shape) * rng.choice([1, 0, 1e30, 1e-30]))
        odd = rng.choice([np.nan, np.inf, -np.inf, 0])
        return np.where(rng.random(shape) < 0.3, odd, values) if rng.random() < 0.4 else values

    kinds = (np.float32, np.float64, np.int32, np.uint8, bool, np.float16)
    with np.errstate(all="ignore"):
        for _ in range(1_500):
            differences = []
            for _ in range(rng.integers(1, 4)):
                expected = np.nan_to_num(any_array()).astype(rng.choice(kinds[:3]))
                shuffled = rng.permutation(expected.ravel()).reshape(expected.shape)
                observed = (any_array() if rng.random() < 0.5 else shuffled).astype(rng.choice(kinds))
                differences.append(("x", expected, observed))
                fingerprint(observed)
            assert relation(differences) is None or relation(differences).endswith((".", "?"))


def test_a_statement_that_should_hold_is_told_by_its_name():
    assert relation([("every code has a vector of its own", np.bool_(True), np.bool_(False))]) == (
        "It should be so that every code has a vector of its own."
    )
    assert "there should be 3, and there are 5" in relation([("trainable numbers", np.int32(3), np.int32(5))])


X = np.arange(1.0, 7.0, dtype=np.float32).reshape(2, 3)
square = Exercise(
    id="a.square",
    reference=lambda x: x**2,
    arguments=("x",),
    probes=(
        Probe("a table", lambda answer: {"a table": answer(X)}),
        Probe("a row", lambda answer: {"a row": answer(X[0])}),
    ),
    misconceptions=(Misconception("doubled", "You double.", "Square.", lambda x: 2 * x),),
    alternatives={},
    hints=(),
)


def test_the_card_names_the_first_probe_that_differs_and_how():
    verdict = judge(square, lambda x: x**2 if x.ndim == 1 else x.T**2)
    assert verdict.message == (
        'With "a table": The values are right, but rows and columns have changed places: your result is transposed.'
    )
    assert verdict.is_relation and verdict.misconception is None and verdict.points == 1
    assert judge(square, lambda x: 2 * x).misconception == "doubled"
    plain = judge(square, lambda x: np.sin(x) * 40)
    assert not plain.is_relation and plain.message.startswith('With "a table": expected 1 at [0, 0], found')


@pytest.mark.parametrize(
    "odd", [np.array("abc"), np.full((2, 3), "a"), np.full((2, 3), 1j), np.zeros((0, 3)), np.True_]
)
def test_an_odd_array_is_rejected_and_stops_nothing(odd):
    assert not judge(square, lambda x: odd).passed


def test_a_slip_is_told_where_no_misconception_matches():
    from dataclasses import replace

    from vqtutor.checking import observe

    right, doubled, cubed, other = (
        tuple(observe(square, answer))
        for answer in (square.reference, lambda x: 2 * x, lambda x: x**3, lambda x: x**2 + 0.01)
    )
    slips = (Slip("a number that is off", "3 for 2.", "Look at it.", fingerprints(cubed)),)
    known = replace(square, tried=Tried(right, (fingerprints(doubled),), slips))
    verdict = judge(known, lambda x: x * x * x)
    assert (verdict.misconception, verdict.message) == ("a number that is off", "3 for 2.\nLook at it.")
    assert judge(known, lambda x: x * x).passed and judge(known, lambda x: x + x).misconception == "doubled"
    assert judge(known, lambda x: x**4).misconception is None
    # Where right looks different from when they were tried, nothing of that is trusted.
    elsewhere = replace(square, tried=Tried(other, (fingerprints(cubed),), slips))
    assert judge(elsewhere, lambda x: x * x).passed and judge(elsewhere, lambda x: x + x).misconception == "doubled"
    assert judge(elsewhere, lambda x: x * x * x).misconception is None


def test_fingerprints_are_shared_by_equal_arrays_only():
    assert behaves_as({"p": {"a": fingerprint(A)}}, {"p": {"a": fingerprint(A * (1 + 1e-7))}})
    for other in (A.T, A + 1e-2, A[::-1], A.astype(int), np.where(A == A[1, 2], A + 0.1, A), A[:2], -A, NAN):
        assert not behaves_as({"p": {"a": fingerprint(A)}}, {"p": {"a": fingerprint(other)}})
    assert not behaves_as({"p": {"a": fingerprint(A)}}, {"p": {"b": fingerprint(A)}}) and fingerprint(np.zeros((0, 3)))[
        0
    ] == [0, 3]


# -- what is made of the arguments -------------------------------------------------------------------------------------

Y = np.random.default_rng(1).normal(size=(5, 3))
CALL = {"x": Y, "y": Y[::-1] * 1.7 + 0.3, "scale": np.float64(0.3)}
OTHER = {"x": Y[:2], "y": Y[2:4], "scale": np.float64(2.0)}
RIGHT = np.cos(Y).astype(np.float32)


def test_an_array_that_is_made_of_the_arguments_is_told_as_an_expression():
    for made, sentence in (
        (Y, "Your result is x, as it came in."),
        (0.25 * (CALL["x"] - CALL["y"]), "Your result is 0.25 times x - y."),
        (RIGHT - 2 * CALL["y"], "Your result is the right one minus 2 times y."),
        (5 * RIGHT - 4 * CALL["x"], "Your result is 5 times the right one minus 4 times x."),
    ):
        assert array_of(RIGHT, made.astype(np.float32), [CALL]) == sentence
    assert says_much(RIGHT, RIGHT) and not says_much(RIGHT, NAN) and not says_much(RIGHT, RIGHT > 0)
    assert array_of(RIGHT, (RIGHT + Y @ Y.T @ Y).astype(np.float32), [CALL]) is None


def test_numbers_that_are_made_of_the_arguments_are_told_as_an_expression():
    x, y = CALL["x"], CALL["y"]
    assert numbers_of([np.float32(np.mean(abs(x - y)))], [CALL]) == "What you return is mean(abs(x - y))."
    both = [np.float32(np.max((call["x"] - call["y"]) ** 2) / call["scale"]) for call in (CALL, OTHER)]
    assert numbers_of(both, [CALL, OTHER]) == "What you return is max((x - y) ** 2), divided by scale."
    # One expression has to give all of them, from calls in the same order; a whole number is many things by chance.
    assert numbers_of(both[::-1], [CALL, OTHER]) is None
    assert numbers_of([both[0], np.float32(0.123)], [CALL, OTHER]) is None
    assert numbers_of([np.float32(3)], [{"x": np.arange(4.0)}]) is None


def test_what_has_nothing_to_do_with_the_arguments_is_not_told_an_expression():
    told = 0
    for seed in range(40):
        rng = np.random.default_rng(200 + seed)
        assert array_of(RIGHT, rng.normal(size=RIGHT.shape).astype(np.float32), [CALL, OTHER]) is None
        assert numbers_of(np.abs(rng.normal(size=2)), [CALL, OTHER]) is None
        told += numbers_of(np.abs(rng.normal(size=1)), [CALL]) is not None
    assert told <= 2  # of hundreds of expressions some come near a number


def test_the_calls_of_the_probes_are_seen_also_where_a_gradient_is_asked_for():
    import haiku as hk
    import jax

    def run(answer):
        return {"slope": jax.grad(lambda x: answer(x, 3, ("no", 2.5)).sum())(X)}

    one = Exercise("a.f", lambda x, n, pair: x * n, ("x", "n", "pair"), (Probe("slope", run),), (), {}, ())
    (call,) = calls(one, *one.probes)
    assert set(call) == {"x", "n", "pair[1]"} and np.array_equal(call["x"], X) and call["pair[1]"] == 2.5

    class Twice(hk.Module):
        def __call__(self, z):
            return 2 * z

    def call_layer(answer):
        return {"out": hk.transform(lambda z: answer()(z)).apply({}, None, X)}

    layer = Exercise("a.Twice", Twice, (), (Probe("out", call_layer),), (), {}, (), base=hk.Module)
    assert np.array_equal(calls(layer, *layer.probes)[0]["z"], X)
