"""fastlogctl for a user who may not ask the daemon, or not read the log: told so, never that nothing is there."""

import json
import os
import shutil
import subprocess

import pytest
from support.daemon import BIN

NOBODY = 65534

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def ask(daemon):
    """Runs fastlogctl as nobody, who may read the configuration. The program is copied to where nobody may go."""
    program = daemon.folder / "fastlogctl"
    shutil.copy(BIN / "fastlogctl", program)
    for path in (daemon.folder, program):
        path.chmod(0o755)
    daemon.config_path.chmod(0o644)
    with daemon.connect() as connection:
        connection.sendall(b"a line\n")
    daemon.quiesce(1)

    def run(*arguments: str, config: bool = True) -> subprocess.CompletedProcess:
        more = ["--config", str(daemon.config_path)] if config else []
        return subprocess.run([str(program), *arguments, *more], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                              user=NOBODY, group=NOBODY, extra_groups=[])
    return run


@pytest.mark.parametrize("words", [["status"], ["status", "--json"], ["reload"], ["rotate"], ["sync"]], ids=" ".join)
def test_a_socket_that_may_not_be_opened_is_no_daemon_that_does_not_run(ask, words):
    done = ask(*words)
    assert done.returncode == 2 and "Permission denied" in done.stderr and "control.sock" in done.stderr, done
    assert "not running" not in done.stderr and "no answer" not in done.stderr


@pytest.mark.parametrize("command", ["streams", "segments", "usage", "gaps", "verify", "cat", "tail"])
def test_a_log_that_may_not_be_read_is_told(daemon, ask, command):
    daemon.log_directory.chmod(0o700)
    for done in (ask(command), ask(command, "--directory", str(daemon.folder / "log"), config=False),
                 ask(command, "--directory", str(daemon.log_directory), config=False)):
        assert done.returncode == 2 and "Permission denied" in done.stderr and str(daemon.log_directory) in done.stderr, done


def test_files_that_may_not_be_read_are_told(daemon, ask):
    daemon.log_directory.chmod(0o755)
    for segment in daemon.log_directory.glob("*.flog"):
        segment.chmod(0o600)
    done = ask("streams", "--json")
    assert done.returncode == 2 and "Permission denied" in done.stderr
    assert json.loads(done.stdout)[0]["first"] is None


def test_the_status_of_files_that_may_not_be_read_says_not_whether_a_daemon_runs(daemon, ask):
    assert daemon.stop() == 0
    daemon.log_directory.chmod(0o700)
    done = ask("status", "--json")
    assert done.returncode == 2 and "Permission denied" in done.stderr and "not running" not in done.stderr, done
    assert "running" not in json.loads(done.stdout)
