"""jit with less compiling: half of what a lesson waits for is the compiler."""

from collections.abc import Callable
from functools import cache

import jax

_LEVEL, _EMITTERS = "xla_backend_optimization_level", "xla_cpu_use_fusion_emitters"


@cache
def _known(**options: int) -> dict[str, int]:
    """Return those compiler options that this JAX has."""
    known = {}
    for name, value in options.items():
        try:
            jax.jit(lambda: 0, compiler_options={name: value}).lower().compile()
        except Exception:  # which kind is the compiler's choice
            continue
        known[name] = value
    return known


def quick_jit(function: Callable, **options) -> Callable:
    """Return `jax.jit(function, **options)` with fast compilation: for what runs once, such as a network's init.

    It compiles in a third of the time or less, and runs two to three times as long.
    """
    return jax.jit(function, compiler_options=_known(**{_LEVEL: 0, _EMITTERS: False}), **options)


def steady_jit(function: Callable, **options) -> Callable:
    """Return `jax.jit(function, **options)` for a program that runs for seconds.

    On a CPU it is as fast as with all optimisations, after half the time of compiling: most of a network's time goes
    into products of matrices, which are compiled already.
    """
    on_cpu = jax.default_backend() == "cpu"
    return jax.jit(function, compiler_options=_known(**{_LEVEL: 1}) if on_cpu else {}, **options)
