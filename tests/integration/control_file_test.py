"""The watermarks' files of killed daemons: the next one on the same log leaves none of them behind."""

import json
import os
import pathlib
import subprocess

from support.daemon import Daemon
from support.mounts import mounted


def files_of(daemon: Daemon) -> list[pathlib.Path]:
    """Control and wait file, as LOCK names them or beside those it names."""
    lock = dict(line.split("=", 1) for line in (daemon.log_directory / "LOCK").read_text().splitlines())
    places = {pathlib.Path(lock["control"]).parent, pathlib.Path("/dev/shm"), pathlib.Path(daemon.config["runtime_directory"])}
    names = {pathlib.Path(lock[key]).name for key in ("control", "wait")}
    names |= {f"fastlogd-{lock['log']}.{end}" for end in ("control", "wait")}
    return sorted(path for place in places for path in place.iterdir() if path.name in names)


def file_system(path: pathlib.Path) -> str:
    return subprocess.run(["stat", "-f", "-c", "%T", path], check=True, capture_output=True, text=True).stdout.strip()


def killed_and_started(daemon: Daemon) -> None:
    daemon.kill()
    daemon.start()


def test_a_start_after_a_kill_replaces_them_and_a_stop_removes_them(daemon):
    before = files_of(daemon)
    assert len(before) == 2
    old = [os.stat(path).st_ino for path in before]
    killed_and_started(daemon)
    assert files_of(daemon) == before and [os.stat(path).st_ino for path in before] != old
    assert daemon.stop() == 0
    assert files_of(daemon) == []


def test_a_start_with_another_runtime_directory_removes_the_old_ones(idle_daemon):
    daemon = idle_daemon
    disk = daemon.folder / "run"
    with mounted(daemon.folder / "memory", "-t", "tmpfs", "tmpfs") as memory:
        for place in (memory, disk, memory):
            daemon.config["runtime_directory"] = str(place)
            if daemon.process:
                killed_and_started(daemon)
            else:
                daemon.start()
            (stream,) = json.loads(daemon.ctl("status", "--json").stdout)["streams"]
            moved = file_system(place) != "tmpfs"
            assert stream["control_file_moved"] == moved
            assert stream["control_file"].startswith("/dev/shm/" if moved else str(place))
            said = f"{place} is not on tmpfs; the control file is {stream['control_file']}"
            assert (said in daemon.stderr()) == moved
            left = files_of(daemon)
            assert len(left) == 2, left
            assert not [path for path in (memory, disk) for path in path.glob("*.control") if path not in left]
        assert daemon.stop() == 0


def test_what_lock_names_is_removed_only_if_it_is_this_logs(daemon, folder):
    daemon.kill()
    strangers = [folder / "somebodys.control", folder / "run" / "precious.control", folder / "run" / "precious.wait"]
    for path in strangers:
        path.write_bytes(b"FLOGCTL1" + b"\0" * 4088)
    lock = daemon.log_directory / "LOCK"
    kept = lock.read_text()
    for path in strangers:
        lines = [f"control={path}" if line.startswith("control=") else line for line in kept.splitlines()]
        lock.write_text("\n".join(lines) + "\n")
        daemon.start()
        assert path.exists()
        daemon.kill()
    daemon.start()
