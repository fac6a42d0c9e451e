"""What every test shares: its own display, one thread, no file of the user's, and where the real scans are."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parents[1]

# Tests are imported by path, so what several folders of them share is found only this way.
sys.path.insert(0, str(ROOT / "tests"))

# Read when the libraries load, so set before any test module imports them. Two workers with two threads each would
# spin against one another on two cores.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")


def _own_display() -> None:
    """Give this worker its own virtual display, so that focus and pointer of two windows never meet."""
    displays = os.environ.get("HEMAVIEW_TEST_DISPLAYS", "").split()
    if displays:
        worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
        os.environ["DISPLAY"] = displays[int(worker.removeprefix("gw")) % len(displays)]
        os.environ.pop("WAYLAND_DISPLAY", None)


_own_display()

hypothesis.settings.register_profile(
    "hemaview", deadline=None, max_examples=40, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile("ci", hypothesis.settings.get_profile("hemaview"), derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "hemaview")


def _screen() -> bool:
    """Whether a Qt window can be opened here."""
    if not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail, rather than skip or let Qt abort the process, where a window test has no screen."""
    if {"qapp", "qtbot"} & set(getattr(item, "fixturenames", ())) and not _screen():
        pytest.fail("no display: run the tests with 'python3 packaging/dev.py test', which brings one", pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def _no_user_files() -> Iterator[None]:
    """Point settings, cases and caches of the user at an empty folder for the whole run."""
    home = Path(tempfile.mkdtemp(prefix="hemaview-test-home-"))
    patch = pytest.MonkeyPatch()
    for variable in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        patch.setenv(variable, str(home / variable.lower()))
    yield
    patch.undo()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real scans: HEMAVIEW_SHARED, or ../shared/data beside the checkout."""
    named = os.environ.get("HEMAVIEW_SHARED")
    for folder in (Path(named), Path(named) / "data") if named else (ROOT.parent / "shared" / "data",):
        if (folder / "mr_lesion").is_dir():
            return folder
    pytest.skip(f"no real scans in {named or ROOT.parent / 'shared' / 'data'}; set HEMAVIEW_SHARED to their folder")
