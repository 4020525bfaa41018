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
}
