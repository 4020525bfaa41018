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
    "touches": {
        "stop_gradient": "whole numbers have no gradient",
    },
    "Encoder": {
        "`jax.nn.relu(vqtutor": "one bend between the layers is enough",
        "-> `jax.nn.tanh`": "any function that bends does",
        "-> `jax.nn.sigmoid`": "any function that bends does",
        "line 9: `32` ->": "any width within the budget",
        "line 10: `64` ->": "any width within the budget",
        "line 9: `3` -> `2`": "any kernel that reaches what it should",
        "line 10: `3` -> `2`": "any kernel that reaches what it should",
        "stop_gradient(code_dim)": "a number of the layer has no gradient",
    },
    "Decoder": {
        "`jax.nn.relu(vqtutor": "one bend between the layers is enough",
        "-> `jax.nn.tanh`": "any function that bends does",
        "-> `jax.nn.sigmoid`": "any function that bends does",
        "line 5: `64` ->": "any width within the budget",
        "line 6: `32` ->": "any width within the budget",
        "line 7: `3` ->": "any kernel that reaches what it should",
        "line 5: `3` -> `2`": "any kernel that reaches what it should",
        "line 6: `3` -> `2`": "any kernel that reaches what it should",
    },
}
