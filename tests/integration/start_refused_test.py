"""What the daemon can't start with: one clear message with where and why, the exit code, and nothing broken by the try."""

import dataclasses
import os
import signal
from collections.abc import Callable

import pytest
from support.daemon import Daemon, eventually

# As root, but bound by permissions like anybody else.
_BOUND = ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner")
CONFIGURATION, FAILURE = 78, 1


def _text_in(daemon: Daemon, mode: int | None) -> str:
    """Puts the text file into a folder of this mode, or one that isn't there."""
    folder = daemon.folder / "texts"
    if mode is not None:
        folder.mkdir()
        folder.chmod(mode)
    daemon.with_text(path=str(folder / "main.log"))
    return f"{folder}/main.log: "


def _with_mode(path, mode: int) -> str:
    path.mkdir(exist_ok=True)
    path.chmod(mode)
    return str(path)


def _below_a_file(daemon: Daemon) -> str:
    (daemon.folder / "log/file").write_text("a file")
    daemon.stream["directory"] = str(daemon.folder / "log/file/main")
    return f"{daemon.folder}/log/file/main: Not a directory"


def _unreadable_segment(daemon: Daemon) -> str:
    """Not damage: with the right permission it is served, so it is not set aside."""
    daemon.log_directory.mkdir()
    path = daemon.log_directory / f"{1:020d}.flog"
    path.write_bytes(b"x" * 9000)
    path.chmod(0)
    return f"{path}: Permission denied"


def _lock_is_a_fifo(daemon: Daemon) -> str:
    daemon.log_directory.mkdir()
    os.mkfifo(daemon.log_directory / "LOCK")
    return f"{daemon.log_directory}/LOCK is no regular file"


def _setting(change: Callable[[Daemon], None], said: str) -> Callable[[Daemon], str]:
    def arrange(daemon: Daemon) -> str:
        change(daemon)
        return said
    return arrange


@dataclasses.dataclass(frozen=True)
class Case:
    """`arrange` prepares the folder and says what the message must hold."""

    arrange: Callable[[Daemon], str]
    exit_code: int = FAILURE


CASES = {
    "the log's directory can't be written": Case(lambda daemon: f"{_with_mode(daemon.log_directory, 0o555)}/LOCK: Permission denied"),
    "the log's directory can't be listed": Case(lambda daemon: f"{_with_mode(daemon.log_directory, 0o333)}: Permission denied"),
    "the log's directory can't be made": Case(lambda daemon: f"{_with_mode(daemon.log_directory.parent, 0o555)}/main: Permission denied"),
    "the log's directory is below a file": Case(_below_a_file),
    "a segment can't be read": Case(_unreadable_segment),
    "LOCK is a FIFO": Case(_lock_is_a_fifo),
    "the runtime directory can't be written": Case(
        lambda daemon: f"{_with_mode(daemon.folder / 'run', 0o555)}/app.sock: Permission denied"),
    "the text file's folder is missing": Case(lambda daemon: _text_in(daemon, None) + "No such file"),
    "the text file's folder can't be written": Case(lambda daemon: _text_in(daemon, 0o555) + "Permission denied"),
    "the text file is a folder": Case(lambda daemon: _with_mode(daemon.with_text().text_path, 0o755) + ": Is a directory"),
    "the listener's address is not ours": Case(_setting(
        lambda daemon: daemon.listener("tcp").update(address="203.0.113.7"), "listener tcp (tcp 203.0.113.7:")),
    "the HTTP address is not ours": Case(_setting(
        lambda daemon: daemon.config["http"].update(address="203.0.113.7"), "http 203.0.113.7:")),
    "a value of the wrong type": Case(_setting(
        lambda daemon: daemon.stream.update(retention="much"), "'streams.main.retention' must hold keys"), CONFIGURATION),
}


@pytest.mark.parametrize("name", CASES)
def test_it_says_where_and_why_and_ends(idle_daemon, name):
    said = CASES[name].arrange(idle_daemon)
    idle_daemon.write_config()
    process = idle_daemon.spawn(prefix=_BOUND)
    assert process.wait(20) == CASES[name].exit_code, idle_daemon.stderr()
    errors = [line for line in idle_daemon.stderr().splitlines() if " error: " in line]
    assert len(errors) == 1 and said in errors[0], errors
    assert not list(idle_daemon.folder.glob("run/*")), "what it had opened was to be removed"


def test_a_configuration_that_can_not_be_read_is_named(idle_daemon):
    idle_daemon.write_config().chmod(0)
    assert idle_daemon.spawn(prefix=_BOUND).wait(20) == CONFIGURATION
    assert f"{idle_daemon.config_path}:1:1: cannot be opened: Permission denied" in idle_daemon.stderr()


def test_a_configuration_that_can_no_longer_be_read_leaves_the_old_one_in_force(idle_daemon):
    daemon = idle_daemon.start(prefix=_BOUND)
    daemon.config_path.chmod(0)
    daemon.process.send_signal(signal.SIGHUP)
    eventually(lambda: daemon.metrics().reloads == (0, 1))
    assert f"{daemon.config_path}:1:1: cannot be opened: Permission denied" in daemon.stderr()
    with daemon.connect() as connection:
        connection.sendall(b"as before\n")
    daemon.quiesce(1)


@pytest.mark.parametrize("kind", ["fifo", "folder", "symbolic link", "dangling link", "socket", "enormous"])
def test_what_only_looks_like_a_segment_is_set_aside_with_the_reason(idle_daemon, kind):
    daemon = idle_daemon
    daemon.log_directory.mkdir()
    path = daemon.log_directory / f"{1:020d}.flog"
    {"fifo": lambda: os.mkfifo(path), "folder": path.mkdir, "symbolic link": lambda: path.symlink_to("/etc/passwd"),
     "dangling link": lambda: path.symlink_to("/nowhere"), "socket": lambda: os.mknod(path, 0o140600),
     "enormous": lambda: (path.touch(), os.truncate(path, 1 << 40))}[kind]()
    daemon.start()
    (said,) = [line for line in daemon.stderr().splitlines() if "set aside" in line]
    reason = {"enormous": "not a fastlogd segment", "fifo": "not a regular file", "folder": "not a regular file",
              "socket": "No such device or address"}.get(kind, "symbolic link")
    assert str(path) + ".damaged" in said and reason in said, said
    assert os.path.lexists(f"{path}.damaged")
    with daemon.connect() as connection:
        connection.sendall(b"beside the stranger\n")
    daemon.quiesce(1)
    assert daemon.cat() == [b"beside the stranger"]
    daemon.verify()
