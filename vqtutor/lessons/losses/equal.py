"""Small changes of this lesson's answers that change nothing a check should look at, and why."""

EQUAL: dict[str, dict[str, str]] = {
    "reconstruction_loss": {
        "jnp.squeeze(jnp.mean": "a number has no axes",
        "`x - x_hat` -> `x_hat - x`": "a square has no sign",
        "stop_gradient(variance)": "the variance is a number of the data",
        "`x` -> `jax.lax.stop_gradient(x)`": "pictures are not trained",
    },
    "codebook_loss": {
        "jnp.squeeze(jnp.mean": "a number has no axes",
        "`codes - jax.lax.stop_gradient(z_e)`": "a square has no sign",
        "`z_e` -> `jax.lax.stop_gradient(z_e)`": "it is held still already",
    },
    "commitment_loss": {
        "jnp.squeeze(jnp.mean": "a number has no axes",
        "`jax.lax.stop_gradient(codes) - z_e`": "a square has no sign",
        "`codes` -> `jax.lax.stop_gradient(codes)`": "it is held still already",
    },
    "vq_loss": {
        "jnp.squeeze(": "a number has no axes",
        "stop_gradient(beta)": "beta is chosen, not trained",
        "`z_e` -> `jax.lax.stop_gradient(z_e)`": "the part that it stands in holds it still already",
        "`codes` -> `jax.lax.stop_gradient(codes)`": "the part that it stands in holds it still already",
    },
    "repair_quantizer": {
        "stop_gradient(beta)": "beta is chosen, not trained",
        "line 3: `z_e` -> `jax.lax.stop_gradient(z_e)`": "an index has no gradient",
        "line 3: `codebook` -> `jax.lax.stop_gradient(codebook)`": "an index has no gradient",
    },
    "bernoulli_nll": {"jnp.squeeze(jnp.mean": "a number has no axes", "stop_gradient(x)": "pictures are not trained"},
    "uniform_prior_nats": {
        "jnp.squeeze(": "a number has no axes",
        "`num_latents * np.log(num_codes)`": "NumPy's number is as good as Python's",
        "stop_gradient": "nothing here is trained",
    },
    "perplexity": {
        "jnp.squeeze(": "a number has no axes",
        "stop_gradient": "an index has no gradient",
        "`jnp.bincount(indices.reshape(-1))`": "a code that is not used adds nothing",
        "`share > 0` -> `share >= 0`": "a share of 0 adds nothing either way: one of two guards is enough",
        "`0.0` -> ": "it is multiplied by a share of 0",
        "`0` -> `-1`": "a share of 0 adds nothing either way: one of two guards is enough",
        "`1.0` -> ": "it stands for a share of 0, which adds nothing",
    },
    "worth_of_place": {
        "stop_gradient": "nothing is differentiated through it",
        "jnp.squeeze(": "a number has no axes",
        "line 3: `1` -> `2`": "NumPy takes any negative size for the one to be found",
        "`(0, 1)` -> `(1, 0)`": "a mean over two axes has no order",
        "line 5: `1` -> `2`": "it stands where the share is 0, which makes a product of 0",
    },
}
