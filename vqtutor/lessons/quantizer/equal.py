"""Small changes of this lesson's answers that change nothing a check should look at, and why."""

EQUAL: dict[str, dict[str, str]] = {
    "nearest_code": {"stop_gradient": "an index has no gradient"},
    "look_up": {"jax.lax.stop_gradient(indices)": "an index has no gradient"},
    "straight_through": {
        "`z_q` -> `jax.lax.stop_gradient(z_q)`": "z_q is held still already",
        "`z_e` -> `jax.lax.stop_gradient(z_e)`": "it stands inside stop_gradient already",
    },
    "VectorQuantizer": {
        "`0.05` ->": "any start that spreads the codes is as good",
        "stop_gradient(num_codes)": "a number of the layer has no gradient",
        "stop_gradient(code_dim)": "a number of the layer has no gradient",
        "line 13: `z_e`": "an index has no gradient",
    },
    "gradient_reach": {
        "jnp.sum(layer(z_e, z_q)), argnu": "the order of arguments that are given by name",
        "`bool(": "a bool of JAX is as good",
        "`jnp.sum` -> `jnp.mean`": "a factor does not make a gradient 0",
        "stop_gradient((bool": "a yes or no has no gradient",
        "`z_e` -> `jax.lax.stop_gradient(z_e)`": "it holds the place still, not the gradient",
        "`z_q` -> `jax.lax.stop_gradient(z_q)`": "it holds the place still, not the gradient",
    },
    "as_products": {
        "stop_gradient": "products are compared, and not trained",
    },
}
