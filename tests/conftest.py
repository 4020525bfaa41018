"""What every test shares: nothing of whoever runs them is touched."""

import pytest


@pytest.fixture(autouse=True)
def progress_of_its_own(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("VQTUTOR_PROGRESS", str(tmp_path_factory.mktemp("progress") / "progress.json"))
    monkeypatch.setenv("VQTUTOR_PROGRESS_BAR", "off")


@pytest.fixture(scope="module", autouse=True)
def forget_programs():
    """Let go of what a file's tests compiled: a thousand tests' programs would fill gigabytes."""
    yield
    import jax

    jax.clear_caches()
