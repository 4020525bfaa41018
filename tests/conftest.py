"""What every test shares: programs that are compiled once, and nothing of whoever runs them is touched."""

import os
from pathlib import Path

import pytest

# For all workers and kernels, and from run to run: two thirds of the tests' time is compiling. The sandbox has its own.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / "build" / "test-programs"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the groups
def pytest_collection_modifyitems(items):
    """Keep together what shares its work: a notebook's cells, an exercise's answers; begin with what takes longest."""
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker(pytest.mark.xdist_group(item.path.name))
    items.sort(key=lambda item: item.get_closest_marker("long") is None and item.path.suffix != ".ipynb")


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


@pytest.fixture
def hurry():
    """Compile in a hurry: right for programs that run a few times, wrong for long trainings."""
    import jax

    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
