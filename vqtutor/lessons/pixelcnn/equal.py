"""Small changes of this lesson's answers that change nothing a check should look at, and why."""

EQUAL: dict[str, dict[str, str]] = {
    "causal_mask": {"stop_gradient": "a mask has no gradient"},
    "MaskedConv2D": {
        "- b`": "a bias takes any sign",
        "`causal_mask(self.kernel_shape, self.mask_type)`": "a NumPy array is as good",
        "`'w'` ->": "a parameter may have any name",
        "`'b'` ->": "a parameter may have any name",
        "`jnp.zeros` -> `jnp.ones`": "any start is as good that is alive",
        "`1.0` ->": "any start is as good that is alive",
        "stop_gradient(output_channels)": "a number of the layer has no gradient",
        "stop_gradient(kernel_shape)": "a number of the layer has no gradient",
        "line 12: `x` -> `jax": "a shape has no gradient",
    },
    "receptive_field": {
        "stop_gradient": "nothing is differentiated through a field",
        "line 4: ": "any input in general position shows the same",
        "line 6: `0` -> `1`": "JAX takes the last one for an index that is too large, and there is one",
        "line 6: `0` -> `-1`": "of one, the first is the last",
        "line 5: `0` -> `1`": "JAX takes the last one for an index that is too large, and there is one",
        "line 5: `0` -> `-1`": "of one, the first is the last",
        ".sum` -> `network(x)[0, row, column].mean`": "a factor does not make a gradient 0",
    },
    "prior_loss": {
        "jnp.squeeze(": "a number has no axes",
        "jax.lax.stop_gradient(indices)": "an index has no gradient",
    },
    "nats_to_bits_per_image": {"jnp.squeeze(": "a number has no axes", "stop_gradient": "nothing here is trained"},
    "sample": {
        "stop_gradient": "a draw has no gradient",
        "`0` -> `-1`": "the place that is drawn too early is drawn again",
        "`jnp.zeros` -> `jnp.ones`": "what is not drawn yet is not looked at",
    },
    "waves": {
        "stop_gradient": "nothing is differentiated through it",
        "`np.zeros` -> `np.ones`": "every place is written before it is read",
        "`max(column - reach, 0)`": "the larger of two has no order",
        "`max(row - reach, 0)`": "the larger of two has no order",
        "`[*wave[row, left:column], *before.ravel()]`": "a maximum has no order",
        "-> `:column + reach + 1`": "what lies farther to the left is drawn earlier",
        "`column + reach` -> `reach`": "behind the first place of a row, the one to its left is the last to come",
    },
}
