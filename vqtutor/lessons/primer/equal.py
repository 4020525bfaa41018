"""Small changes of this lesson's answers that change nothing a check should look at, and why."""

EQUAL: dict[str, dict[str, str]] = {
    "all_differences": {"stop_gradient": "the exercise is about shapes, and NumPy will do: no gradient is asked for"},
    "weighted_mean": {
        "jnp.squeeze(": "a number has no axes",
        "`weights` -> `jax.lax.stop_gradient(weights)`": "they are held still already",
    },
    "drop_some": {
        "`key` -> `jax.lax.stop_gradient(key)`": "a key has no gradient",
        "`share` -> `jax.lax.stop_gradient(share)`": "the share is chosen, not trained",
        "line 3: `x` -> `jax.lax.stop_gradient(x)`": "a shape has no gradient",
    },
    "slide": {
        "line 3: `kernel` -> `jax.lax.stop_gradient(kernel)`": "a length has no gradient",
        "line 4: `signal` -> `jax.lax.stop_gradient(signal)`": "a length has no gradient",
        "line 4: `kernel` -> `jax.lax.stop_gradient(kernel)`": "a length has no gradient",
    },
    "mean_nats": {
        "jnp.squeeze(": "a number has no axes",
        "`outcomes` -> `jax.lax.stop_gradient(outcomes)`": "whole numbers have no gradient",
    },
    "Counted": {"line 5: `x` -> `jax.lax.stop_gradient(x)`": "a shape has no gradient"},
    "descend": {"stop_gradient": "nobody differentiates a step of training"},
    "reveal_kernel": {
        "stop_gradient": "nothing is differentiated through it",
        "`jnp.zeros` -> `jnp.ones`": "a sum of products has the same slope everywhere",
        "`0` -> `1`": "there is one place only, and JAX takes it for any index",
        "`0` -> `-1`": "there is one place only, and JAX takes it for any index",
    },
}
