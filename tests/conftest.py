"""What every test shares: nothing of whoever runs them is touched."""

import pytest


@pytest.fixture(autouse=True)
def progress_of_its_own(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("VQTUTOR_PROGRESS", str(tmp_path_factory.mktemp("progress") / "progress.json"))
    monkeypatch.setenv("VQTUTOR_PROGRESS_BAR", "off")
