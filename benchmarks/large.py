"""What a tokenizer's codebook costs: the nearest of 65,536 codes for 100,000 vectors, statistics and perplexity.

Prints seconds of processor time, compilation apart, and the memory that the process took at its peak.
"""

import argparse
import resource
import time

import jax

from vqtutor.models.ema import batch_statistics
from vqtutor.models.losses import perplexity
from vqtutor.models.quantizer import nearest_code


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--codes", type=int, default=65_536)
    parser.add_argument("--dim", type=int, default=16)
    options = parser.parse_args()
    keys = jax.random.split(jax.random.key(0))
    z = jax.random.normal(keys[0], (options.vectors, options.dim))
    codebook = jax.random.normal(keys[1], (options.codes, options.dim))

    def measure(name, function, *arguments):
        before = _memory()
        compiled = jax.jit(function).lower(*arguments).compile()
        start, clock = time.process_time(), time.monotonic()
        out = jax.block_until_ready(compiled(*arguments))
        spent, took = time.process_time() - start, time.monotonic() - clock
        print(f"{name}: {spent:.2f} s of processor time, {took:.2f} s; peak {_memory():,.0f} MB, before {before:,.0f}")
        return out

    indices = measure("nearest_code", nearest_code, z, codebook)
    measure("batch_statistics", lambda z, i: batch_statistics(z, i, options.codes), z, indices)
    used = measure("perplexity", lambda i: perplexity(i, options.codes), indices)
    full = 4 * options.vectors * options.codes / 1e9
    print(f"perplexity {used:,.0f}; all distances at once would take {full:.1f} GB")


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
