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
    "residual_quantize": {"stop_gradient": "whether a gradient passes is the student's choice"},
    "from_index": {"stop_gradient": "nothing is differentiated through it"},
}
