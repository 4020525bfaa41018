"""Small changes of this lesson's answers that change nothing a check should look at, and why."""

EQUAL: dict[str, dict[str, str]] = {
    "batch_statistics": {"stop_gradient": "no loss is differentiated through it"},
    "smooth_counts": {"stop_gradient": "no loss is differentiated through it"},
    "update_codebook": {"stop_gradient": "no loss is differentiated through it"},
    "repair_start": {"stop_gradient": "no loss is differentiated through it"},
    "restart_dead_codes": {
        "stop_gradient": "no loss is differentiated through it",
        "-> `jnp.arange(len(counts))`": "JAX takes the last row for an index too large: one of the vectors",
    },
    "EMAVectorQuantizer": {
        "line 4: `1e-05` ->": "so small an epsilon, and none, differ by less than rounding",
        "zip(": "three names meet three values",
        "`True` -> `False`": "three names meet three values",
        "`0.05` ->": "any start that spreads the codes is as good",
        "stop_gradient(decay)": "the decay is chosen, not trained",
        "stop_gradient(epsilon)": "epsilon is chosen, not trained",
        "stop_gradient(is_training)": "a yes or no has no gradient",
        "stop_gradient(num_codes)": "a number of the layer has no gradient",
        "stop_gradient(code_dim)": "a number of the layer has no gradient",
        "line 16: `z_e` -> `jax": "an index has no gradient",
        "line 19: `z_e` -> `jax": "no loss is differentiated through it",
    },
    "cheapest_merge": {
        "stop_gradient": "nothing is differentiated through it",
        "dropped": "arrays of JAX are as good as NumPy's",
        "`np.asarray(": "arrays of JAX are as good as NumPy's",
        "`max(1, counts[i] + counts[j])`": "the larger of two has no order",
        "line 10: `1` -> `2`": "two codes that both have vectors have two of them at least",
        "`codebook[j] - codebook[i]`": "it is squared",
    },
}
