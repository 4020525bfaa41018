"""What every test shares: programs that are compiled once, and nothing of whoever runs them is touched."""

import gc
import os
import re
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

# For all workers and kernels, and from run to run: two thirds of the tests' time is compiling. The sandbox has its own.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / "build" / "test-programs"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
os.environ.setdefault("JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES", "none")  # they would put the folder into programs' keys

# For kernels that train a few steps only: nothing is worth optimising then.
HURRY = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}


def pytest_sessionstart(session):
    """Compile as sandboxes do, whose programs are then the same; an older XLA stops at flags that it does not know."""
    if hasattr(session.config, "workerinput") and "XLA_FLAGS" not in os.environ and version("jaxlib") > "0.7":
        import jax

        from vqtutor.grading.worker import HASTY

        os.environ["XLA_FLAGS"] = HASTY

        jax.devices()  # reads the flags
        # One MLIR context for all programs: to make one takes as long as to find a program in the cache.
        mlir = import_module("jax._src.interpreters.mlir")
        if hasattr(mlir, "make_ir_context"):
            context = mlir.make_ir_context()
            mlir.make_ir_context = lambda: context


def pytest_collection_finish(session):
    """Collect garbage less often: there are a million objects, and nearly all stay."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def pytest_collection_modifyitems(items):
    """Begin with what takes longest."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None and item.path.suffix != ".ipynb")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """Train a few steps in nbval's kernels: what it compares is not of trainings, whose last digits differ among
    machines. `make run` has them in full."""
    with pytest.MonkeyPatch.context() as patch:
        if item.path.suffix == ".ipynb":
            patch.setenv("VQTUTOR_MAX_STEPS", "3")
        yield


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep with one worker what shares its work: a notebook's cells, an exercise's catalogue, a lesson's trainings."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduler(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file, _, test = nodeid.partition("::")
            # Of one kernel, of one server and browser, or of one class.
            if file.endswith((".ipynb", "test_browser.py", "tours.py", "test_class.py")):
                return file
            if exercise := re.search(r"\[((\w+)\.\w+)", test):
                return f"{file} {exercise[2 if file.endswith('test_notebooks.py') else 1]}"
            return nodeid

    return Scheduler(config, log)


def remembering(memory: Path) -> Path:
    """Return a grader's memory that is empty, but for the tests' compiled programs."""
    from vqtutor.grading.grade import course_version

    (place := memory / course_version()).mkdir(parents=True)
    programs = Path(os.environ["JAX_COMPILATION_CACHE_DIR"])
    programs.mkdir(parents=True, exist_ok=True)
    (place / "programs").symlink_to(programs)
    return memory


def pytest_sessionfinish(session):
    """Show the programs' folder again, which a sandbox hides."""
    if (
        not hasattr(session.config, "workerinput")
        and (programs := Path(os.environ["JAX_COMPILATION_CACHE_DIR"])).exists()
    ):
        programs.chmod(0o755)


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


@pytest.fixture(autouse=True)
def hurry(request):
    """Compile in a hurry: tests' programs run a few times. What tells compiled programs apart is marked `unhurried`."""
    import jax

    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", request.node.get_closest_marker("unhurried") is None)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
