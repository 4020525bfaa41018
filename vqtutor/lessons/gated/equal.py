"""Small changes of this lesson's answers that change nothing a check should look at, and why."""

EQUAL: dict[str, dict[str, str]] = {
    "stack_masks": {"stop_gradient": "a mask has no gradient"},
    "GatedBlock": {
        "zip(": "names of parameters may stand in any order",
        "`('above', 'left')` ->": "names of parameters may stand in any order",
        "`'above'` ->": "a parameter may have any name",
        "`'left'` ->": "a parameter may have any name",
        "`True` -> `False`": "two names meet two masks",
        "`left + hk.Linear(2 * self.channels)(above)` -> `left - ": "the weights of a layer take any sign",
        "-> `above - hk.Linear(2 * self.channels)(condition)": "the weights of a layer take any sign",
        "-> `left - hk.Linear(2 * self.channels)(condition)": "the weights of a layer take any sign",
        "`1.0` ->": "any start is as good that is alive",
        "`jnp.asarray(mask)` -> `mask`": "a NumPy array is as good",
        "stop_gradient(channels)": "a number of the layer has no gradient",
        "stop_gradient(kernel_size)": "a number of the layer has no gradient",
        "stop_gradient(residual)": "a yes or no has no gradient",
        "line 21: `condition`": "it is asked only whether there is one",
    },
    "complete": {
        "stop_gradient": "a draw has no gradient",
        "`0` -> `-1`": "the place that is drawn too early is drawn again",
        "`jnp.asarray(indices, jnp.int32)` -> `indices`": "integers go in",
    },
    "guide": {
        "stop_gradient": "nothing is differentiated through it",
    },
    "which_class": {
        "stop_gradient": "nothing is differentiated through it",
        "`jax.nn.softmax(-jnp.stack(nats, axis=1))`": "softmax takes the last axis by itself",
        "`jnp.take_along_axis(log_shares, indices[..., None])`": "it takes the last axis by itself",
        "`(1, 2, 3)` -> `(2, 1, 3)`": "a sum over axes has no order",
        "`(1, 2, 3)` -> `(1, 3, 2)`": "a sum over axes has no order",
    },
}
