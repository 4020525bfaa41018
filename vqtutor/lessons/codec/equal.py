"""Small changes of this lesson's answers that change nothing a check should look at, and why."""

EQUAL: dict[str, dict[str, str]] = {
    "frequencies": {
        "stop_gradient": "whole numbers have no gradient",
        "line 10: `1` -> `2`": "the likeliest code gives back what was too much",
        "`total - num_codes` -> `total": "the likeliest code gives back what was too much",
        "`np.floor(shares * (total - num_codes))` ->": "turning it into whole numbers rounds down as well",
        "`shares.argmax` -> `shares.argmin`": "what is left over is less than one for each code, and may go to any",
        "`np.asarray(logits, np.float64)` -> `logits`": "rounded logits are exact as float32, too",
        "`rounded.max` -> `rounded.mean`": "any number may be taken away that keeps the exponentials in range",
        "`rounded.max` -> `rounded.min`": "any number may be taken away that keeps the exponentials in range",
    },
    "encode_maps": {"stop_gradient": "codes have no gradient"},
    "decode_maps": {
        "stop_gradient": "codes and shapes have no gradient",
        "`np.zeros` -> `np.ones`": "what is not read yet is not looked at",
        "`np.asarray(logits_fn(indices))` ->": "frequencies are made of any array",
    },
    "overhead": {"jnp.squeeze(": "a number has no axes", "stop_gradient": "nothing here is trained"},
    "fingerprint": {"stop_gradient": "the weights are the same"},
    "read_file": {"`tuple(shape)` -> `shape`": "a list is as good"},
    "safe_shift": {
        "stop_gradient": "a whole number has no gradient",
        "jnp.squeeze(": "a number has no axes",
        "`16` -> `17`": "a whole step leads back to where it began",
        "- step / 2`": "half a step to the left, or to the right, of a border is a multiple of the step",
        "> margin` -> `np.minimum(behind, step - behind) >=": "the two are never exactly equal",
        "`np.minimum(step - behind, behind)`": "the smaller of two has no order",
        "`np.asarray(logits, np.float64)` -> `logits`": "float32 is exact enough for any margin that makes sense",
    },
}
