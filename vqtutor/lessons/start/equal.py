"""Small changes of this lesson's answers that change nothing a check should look at, and why."""

EQUAL: dict[str, dict[str, str]] = {
    "to_unit_range": {"stop_gradient": "nothing is differentiated with respect to pictures"},
    "two_greys": {
        "stop_gradient": "nothing is differentiated through it",
        "`int(np.argmin(errors))` ->": "NumPy's number is as good an index as Python's",
        "`np.asarray(pixels, float)` -> `pixels`": "bytes have the same mean and variance",
        "line 3: `1` -> `2`": "NumPy takes any negative size for the one to be found",
    },
}
