"""What every Python test shares: a short temporary folder, a daemon in it, and honest skips."""

import pathlib
import shutil
import tempfile

import pytest
from support.daemon import Daemon

_NO_TESTS_RAN = 5  # pytest's exit code, and tests/CMakeLists.txt's SKIP_RETURN_CODE


@pytest.fixture
def folder():
    """A temporary folder with a path short enough for Unix sockets (pytest's own are not)."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="fastlogd-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def idle_daemon(folder):
    """A daemon that is configured and not started. What it said is shown when the test fails."""
    daemon = Daemon(folder)
    yield daemon
    if daemon.process and daemon.process.poll() is None:
        daemon.kill()
    print(daemon.stderr()[-8000:])


@pytest.fixture
def daemon(idle_daemon):
    """A started daemon with the default configuration of support/daemon.py."""
    return idle_daemon.start()


def pytest_sessionfinish(session, exitstatus):
    """A file whose tests were all skipped is shown as skipped by ctest, not as passed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus == pytest.ExitCode.OK and reporter.stats.get("skipped") and not reporter.stats.get("passed"):
        session.exitstatus = _NO_TESTS_RAN
