"""Small changes of this lesson's answers that change nothing a check should look at, and why."""

EQUAL: dict[str, dict[str, str]] = {
    "k_means": {"stop_gradient": "a beginning, through which no loss is differentiated"},
    "cosine_look_up": {
        "`z` -> `jax": "an index has no gradient",
        "stop_gradient(z @": "an index has no gradient",
        "stop_gradient(directions.T)": "an index has no gradient",
        "stop_gradient(indices)": "an index has no gradient",
        "stop_gradient(jnp.argmax": "an index has no gradient",
    },
    "finite_scalar_quantize": {
        "stop_gradient(levels)": "a number of levels has no gradient",
        "/ (1 - 0.001)": "published codes have the bound a little wider or a little narrower",
        "-> `levels - 1`": "published codes have the bound a little wider or a little narrower",
        "`1 - 0.001` ->": "published codes have the bound a little wider or a little narrower",
        "`0.001` ->": "published codes have the bound a little wider or a little narrower",
    },
    "residual_quantize": {"stop_gradient": "whether a gradient passes is the student's choice"},
    "from_index": {"stop_gradient": "nothing is differentiated through it"},
}
