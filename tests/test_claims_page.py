"""docs/claims.md lists the tests of test_claims*.py with what they read in the stored outputs."""

import claims
import pytest
import test_claims


def test_the_list_of_claims_is_what_the_tests_read():
    assert claims.FILE.read_text(encoding="utf-8") == claims.page(), "run `python tests/claims.py`"


def test_a_claim_that_does_not_hold_is_not_listed(monkeypatch):
    monkeypatch.setattr(test_claims, "said", lambda name, cell: "8% of the variance, 26% of the variance")
    with pytest.raises(AssertionError):
        claims.page()
