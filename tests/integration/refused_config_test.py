"""A configuration edited into something the daemon refuses, or will only take at a restart: the tools still find it."""

import json
import subprocess

import pytest
from support.daemon import BIN, Daemon

MISTAKES = {
    "an unknown key": lambda text: text.replace('"listeners"', '"listenres"'),
    "a value": lambda text: text.replace('"1s"', '"soon"'),
    "a stream's directory": lambda text: text.replace('"directory": "/', '"directory": "'),
    "the syntax": lambda text: f"runtime_directory: {json.loads(text)['runtime_directory']}\nstreams:\n  main: {{directory: [\n",
    "a second document": lambda text: text + "---\n{}\n",
}


@pytest.fixture
def filled(daemon) -> Daemon:
    daemon.ctl("send", "here it is")
    daemon.quiesce(1)
    return daemon


def rewrite(daemon: Daemon, change) -> None:
    daemon.config_path.write_text(change(daemon.config_path.read_text()))


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda name: name.replace(" ", "-"))
def test_a_refused_file_still_leads_to_the_daemon_that_refused_it(filled, mistake):
    rewrite(filled, MISTAKES[mistake])
    status = filled.ctl("status", "--json")
    assert json.loads(status.stdout)["running"] is True
    assert b"not usable" in status.stderr and str(filled.folder / "run/control.sock").encode() in status.stderr
    assert filled.ctl("tail", "-o", "cat").stdout == b"here it is\n"
    filled.ctl("sync")
    before = len(list(filled.log_directory.glob("*.flog")))
    filled.ctl("rotate", "main")
    assert len(list(filled.log_directory.glob("*.flog"))) >= before
    done = filled.ctl("reload", check=False)
    assert done.returncode == 78 and f"{filled.config_path}:".encode() in done.stderr
    assert filled.ctl("rotate", "nowhere", check=False).returncode == 2


def test_a_refused_file_never_leads_to_a_daemon_that_runs_by_another_one(filled):
    other = filled.write_config(filled.folder / "other.yaml")
    other.write_text(MISTAKES["a value"](other.read_text()))
    for command in ("status", "rotate", "sync", "reload", "tail"):
        done = subprocess.run([str(BIN / "fastlogctl"), command, "--config", str(other)], capture_output=True, text=True, timeout=20)
        assert done.returncode == 78, done
        assert f"{other}:" in done.stderr and f"runs by {filled.config_path}" in done.stderr
        assert "--socket" in done.stderr and "--directory" in done.stderr


def test_without_a_daemon_a_refused_file_is_told_with_what_to_do(filled):
    rewrite(filled, MISTAKES["a value"])
    filled.stop()
    for command in ("status", "rotate", "tail"):
        done = filled.ctl(command, check=False)
        assert done.returncode == 78 and f"{filled.config_path}:".encode() in done.stderr
        assert b"--socket" in done.stderr and b"--directory" in done.stderr


def test_a_daemon_that_was_not_restarted_is_not_called_absent(filled):
    filled.config["runtime_directory"] = str(filled.folder / "elsewhere")
    filled.write_config()
    done = filled.ctl("status", check=False)
    assert done.returncode == 1 and b" live " in done.stdout
    assert b"not running" not in done.stderr and b"--socket" in done.stderr
    assert f"(pid {filled.process.pid}) has stream main open".encode() in done.stderr
    assert json.loads(filled.ctl("status", "--json", check=False).stdout)["running"] is True
    for command in ("rotate", "sync", "reload"):
        done = filled.ctl(command, check=False)
        assert done.returncode == 1 and b"--socket" in done.stderr, done
        filled.ctl(command, "--socket", str(filled.folder / "run" / "control.sock"))
    filled.stop()
    done = filled.ctl("status", check=False)
    assert done.returncode == 1 and b"fastlogd is not running" in done.stderr
    assert json.loads(filled.ctl("status", "--json", check=False).stdout)["running"] is False


def test_a_directory_that_was_changed_is_told_with_what_to_do(filled):
    filled.stream["directory"] = str(filled.folder / "log" / "new")
    filled.write_config()
    done = filled.ctl("tail", check=False)
    assert done.returncode == 1 and b"--socket" in done.stderr
    socket = str(filled.folder / "run" / "control.sock")
    assert filled.ctl("tail", "-o", "cat", "--socket", socket).stdout == b"here it is\n"


def test_status_of_a_directory_says_that_the_daemon_was_not_asked(filled):
    done = subprocess.run([str(BIN / "fastlogctl"), "status", "--directory", str(filled.log_directory)], capture_output=True, text=True,
                          timeout=20)
    assert done.returncode == 1 and " live " in done.stdout
    assert done.stderr == "fastlogctl: the daemon was not asked, because --directory was given\n"
