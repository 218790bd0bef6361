"""Starting on directories as they are found: missing, read-only, damaged, foreign. Nothing is deleted, nothing is served
that can't be trusted, and the daemon starts wherever it can."""

import os
import subprocess

import pytest
from support.daemon import BIN, Daemon, eventually
from support.load import Load, check_exactly_once, numbers
from support.mounts import mounted

LINES = 120_000  # several segments of 4 MiB


def filled(daemon: Daemon) -> Daemon:
    """Started, filled over several segments, stopped."""
    daemon.start()
    Load(daemon.connect, rate=1e9, count=LINES).run()
    daemon.quiesce(LINES)
    assert daemon.stop() == 0
    return daemon


def segments(daemon: Daemon) -> list:
    return sorted(daemon.log_directory.glob("*.flog"))


def found_damage(daemon: Daemon) -> bool:
    """What an operator sees of it: the gauges and /healthz, which say the same."""
    metrics = daemon.metrics()
    notes, damage = metrics.sum("fastlogd_recovery_notes"), metrics.sum("fastlogd_recovery_damage_notes")
    status, page = daemon.get("/healthz")
    assert status == 200 and notes >= damage
    assert page.startswith("degraded\n" if damage else "ok\n"), page
    assert ("the last start found damage" in page) == (damage > 0), page
    return damage > 0


def goes_on(daemon: Daemon, damaged: bool = False) -> None:
    """A restarted daemon stores and finds its own log sound, but for what the test damaged."""
    before = daemon.metrics().stored
    with daemon.connect() as connection:
        connection.sendall(b"after the damage\n")
    eventually(lambda: daemon.metrics().stored > before)
    assert b"after the damage" in daemon.cat(damaged=damaged)


def test_a_missing_directory_is_made_with_its_parents(idle_daemon):
    idle_daemon.stream["directory"] = str(idle_daemon.folder / "log/a/b/c")
    idle_daemon.start()
    goes_on(idle_daemon)


def test_a_second_start_goes_on_where_the_first_ended(idle_daemon):
    daemon = filled(idle_daemon)
    daemon.start()
    assert not found_damage(daemon)
    goes_on(daemon)
    check_exactly_once(b"\n".join(daemon.cat()), LINES)
    daemon.verify()


@pytest.mark.parametrize("where", ["header", "first frames", "middle", "end"])
def test_a_damaged_sealed_segment_is_found_by_verify_and_the_rest_is_read(idle_daemon, where):
    daemon = filled(idle_daemon)
    victim = segments(daemon)[1]
    size = victim.stat().st_size
    offset = {"header": 100, "first frames": 4096 + 200, "middle": size // 2, "end": size - 4096 + 16}[where]
    victim.chmod(0o640)
    with victim.open("r+b") as file:
        file.seek(offset)
        old = file.read(64)
        file.seek(offset)
        file.write(bytes(byte ^ 0xFF for byte in old))
    verified = daemon.ctl("verify", check=False)
    assert verified.returncode == 3 and victim.name.removesuffix(".flog") in (verified.stdout + verified.stderr).decode()
    daemon.start()
    # What recovery could mend (a trailer) or set aside with a gap (a header) is sound again; frames stay damaged.
    stays_damaged = where in ("first frames", "middle")
    goes_on(daemon, stays_damaged)
    found = numbers(b"\n".join(daemon.cat(damaged=stays_damaged)))
    assert found == sorted(set(found)) and found[0] == 0 and found[-1] == LINES - 1
    shown = daemon.ctl("cat", "-o", "short", check=False)
    assert len(found) == LINES or "gap" in shown.stdout.decode()
    for command in ("verify", "cat", "usage"):
        assert daemon.ctl(command, check=False).returncode == (3 if stays_damaged else 0), command


def test_foreign_and_cut_files_are_set_aside_and_not_deleted(idle_daemon):
    daemon = filled(idle_daemon)
    directory = daemon.log_directory
    last = int(segments(daemon)[-1].name.split(".")[0])
    strangers = {
        directory / f"{last + 1:020d}.flog": b"not a segment at all" * 1000,
        directory / f"{last + 2:020d}.flog": b"",
        directory / "notes.txt": b"somebody's notes",
        directory / "core": b"\x7fELF",
    }
    for path, content in strangers.items():
        path.write_bytes(content)
    daemon.start()
    assert found_damage(daemon)
    goes_on(daemon)
    check_exactly_once(b"\n".join(daemon.cat()), LINES)
    assert (directory / "notes.txt").read_bytes() == b"somebody's notes"
    everything = b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file() and path.stat().st_size == 20_000)
    assert b"not a segment at all" in everything, "the foreign file's bytes were to be kept"


def test_a_missing_middle_segment_is_a_gap_that_says_so(idle_daemon):
    daemon = filled(idle_daemon)
    segments(daemon)[1].unlink()
    daemon.start()
    assert found_damage(daemon)
    goes_on(daemon)
    found = numbers(b"\n".join(daemon.cat()))
    missing = sorted(set(range(LINES)) - set(found))
    assert missing and missing == list(range(missing[0], missing[-1] + 1))
    assert "gap" in daemon.ctl("cat", "-o", "short", check=False).stdout.decode() + daemon.stderr()


def test_a_segment_from_another_log_is_not_served(idle_daemon, folder):
    daemon = filled(idle_daemon)
    other_folder = folder / "o"
    other_folder.mkdir()
    other = Daemon(other_folder).start()
    Load(other.connect, name="foreign", rate=1e9, count=LINES).run()
    other.quiesce(LINES)
    other.stop()
    victim = segments(daemon)[1]
    victim.chmod(0o640)
    victim.write_bytes(segments(other)[1].read_bytes())
    daemon.start()
    goes_on(daemon)
    assert not numbers(b"\n".join(daemon.cat()), "foreign")


def test_a_read_only_file_system_stops_the_start_with_its_reason(idle_daemon):
    with mounted(idle_daemon.folder / "ro", "-t", "tmpfs", "-o", "ro", "tmpfs") as path:
        idle_daemon.stream["directory"] = str(path / "main")
        idle_daemon.write_config()
        process = idle_daemon.spawn()
        assert process.wait(20) not in (0, -6, -11)
        assert str(path) in idle_daemon.stderr() and "ead-only" in idle_daemon.stderr()


def test_a_file_where_the_directory_should_be_stops_the_start_with_its_reason(idle_daemon):
    idle_daemon.log_directory.write_text("a file")
    idle_daemon.write_config()
    assert idle_daemon.spawn().wait(20) not in (0, -6, -11)
    assert str(idle_daemon.log_directory) in idle_daemon.stderr()


def test_a_second_daemon_on_the_same_directory_is_refused(daemon, folder):
    other_folder = folder / "second"
    other_folder.mkdir()
    second = Daemon(other_folder)
    second.stream["directory"] = str(daemon.log_directory)
    second.write_config()
    assert second.spawn().wait(20) != 0
    assert "lock" in second.stderr().lower() or "another" in second.stderr().lower()
    goes_on(daemon)


def test_the_log_is_read_without_a_daemon_and_without_configuration(idle_daemon):
    daemon = filled(idle_daemon)
    done = subprocess.run([str(BIN / "fastlogctl"), "cat", "-o", "cat", "--directory", str(daemon.log_directory)],
                          capture_output=True, check=True, timeout=60)
    check_exactly_once(done.stdout, LINES)


def test_segments_and_text_are_for_their_group_only(idle_daemon):
    daemon = filled(idle_daemon.with_text())
    for path in [*segments(daemon), daemon.text_path]:
        assert os.stat(path).st_mode & 0o007 == 0, path
