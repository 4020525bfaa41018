"""Small changes of this lesson's answers that change nothing a check should look at, and why."""

EQUAL: dict[str, dict[str, str]] = {
    "code_map_shape": {"stop_gradient": "nothing here is trained"},
    "bits_per_image": {
        "jnp.squeeze(": "a number has no axes",
        "`code_map_shape[0] * code_map_shape[1] * np.log2(num_codes)`": "NumPy's number is as good as Python's",
        "stop_gradient": "nothing here is trained",
    },
    "make_train_step": {
        "optax.apply_updates(updates, params)": "a sum has no order",
        "`metrics | {'loss': loss}`": "the loss may be among the metrics, and need not",
        "`{'loss': loss}` -> `{}`": "the loss may be among the metrics, and need not",
        "stop_gradient": "nothing is differentiated through a step",
    },
    "patch_of": {
        "stop_gradient": "whole numbers have no gradient",
    },
}
