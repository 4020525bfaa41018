"""Judge right answers on a machine that rounds the factors of every product to TF32, as fast accelerators do.

A program of its own (see test_answers.py): `python rounded.py` prints the right answers that were rejected, one a line.
"""

import sys

import jax
from jax import lax

_FULL = (lax.Precision.HIGHEST, lax.Precision.HIGH)


def round_products(primitive) -> None:
    """Make a primitive round its factors to TF32's ten bits of mantissa, unless it is asked for more."""
    bind = primitive.bind

    def rounding(*factors, precision=None, **options):
        asked = precision if isinstance(precision, tuple) else (precision,)
        if not any(one in _FULL for one in asked):
            factors = [
                lax.reduce_precision(x, exponent_bits=8, mantissa_bits=10) if x.dtype == "float32" else x
                for x in factors
            ]
        return bind(*factors, precision=precision, **options)

    primitive.bind = rounding


def main() -> None:
    for primitive in (lax.dot_general_p, lax.conv_general_dilated_p):
        round_products(primitive)

    import jax.numpy as jnp

    from vqtutor.checking import judge
    from vqtutor.lessons import EXERCISES

    third = jnp.full((1, 1), 1 / 3)
    with jax.default_matmul_precision("highest"):
        exact = third @ third
    print("a product is off by", float(abs(third @ third - exact)[0, 0]))
    # For each exercise one right answer; where the products are the answer, all of them.
    products = sys.argv[1:] or ["quantizer.squared_distances", "quantizer.nearest_code", "ema.batch_statistics"]
    for id in sys.argv[1:] or EXERCISES:
        for name, answer in list(EXERCISES[id].alternatives.items())[: None if id in products else 1]:
            if not judge(EXERCISES[id], answer).passed:
                print(f"{id}: {name}", flush=True)


if __name__ == "__main__":
    main()
