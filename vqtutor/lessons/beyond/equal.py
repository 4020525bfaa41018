"""Small changes of this lesson's answers that change nothing a check should look at, and why."""

EQUAL: dict[str, dict[str, str]] = {
    "k_means": {
        "stop_gradient": "a beginning, through which no loss is differentiated",
        "`jnp.maximum(1, counts)`": "the larger of two has no order",
        "-> `counts`": "where a count is 0, the old code is taken, not what was divided by 0",
        "`1` -> `0`": "where a count is 0, the old code is taken, not what was divided by 0",
    },
    "cosine_look_up": {
        "`-1` -> `1`": "a codebook has two axes",
        "`z` -> `jax": "an index has no gradient",
    },
    "rotate_to": {
        "stop_gradient(z_e)": "what is made of it is held still already",
        "stop_gradient(codes)": "codes are held still already",
        "dot(z_e, ": "a product has no order",
    },
    "finite_scalar_quantize": {
        "stop_gradient(levels)": "a number of levels has no gradient",
        "/ (1 - 0.001)": "published codes have the bound a little wider or a little narrower",
        "-> `levels - 1`": "published codes have the bound a little wider or a little narrower",
        "`1 - 0.001` ->": "published codes have the bound a little wider or a little narrower",
        "`0.001` ->": "published codes have the bound a little wider or a little narrower",
    },
    "repair_stages": {"stop_gradient(beta)": "beta is chosen, not trained"},
    "residual_quantize": {"stop_gradient": "whether a gradient passes is the student's choice"},
    "from_index": {"stop_gradient": "nothing is differentiated through it"},
}
