"""Small changes of this lesson's answers that change nothing a check should look at, and why."""

EQUAL: dict[str, dict[str, str]] = {
    "to_unit_range": {"stop_gradient": "nothing is differentiated with respect to pictures"}
}
