"""`fastlogctl tail -f` and `tail -F` on the text file show every record exactly once: across rolls, rotations, a restart."""

import contextlib
import os
import pathlib
import socket
import subprocess
import time

import pytest
from support.daemon import Daemon, eventually
from support.load import Load, check_exactly_once, numbers
from support.processors import kept_waiting

PER_RUN = 300_000
READABLE_WITHIN = 0.1


@contextlib.contextmanager
def following(command: list[str], output: pathlib.Path):
    """Runs a follower with its output in a file until the block ends."""
    with output.open("wb") as out, output.with_suffix(".err").open("wb") as errors:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(10)


def last_number(output: pathlib.Path, name: str = "a") -> int:
    """The newest number that has come out, -1 before the first."""
    with output.open("rb") as file:
        file.seek(max(0, output.stat().st_size - 4096))
        found = numbers(file.read(), name)
    return found[-1] if found else -1


def send(daemon: Daemon, rate: float, first_run: bool) -> None:
    """A run of PER_RUN lines; the second goes on counting where the first ended."""
    load = Load(daemon.connect, rate=rate, count=PER_RUN if first_run else 2 * PER_RUN)
    load.sent = 0 if first_run else PER_RUN
    started = time.monotonic()
    load.start()
    load.finish()
    reached = PER_RUN / (time.monotonic() - started)
    print(f"{reached:.0f} lines a second")
    assert reached > rate / 2, "the test was to run at the rate it names, give or take a busy machine"


def both_runs(daemon: Daemon, rate: float, outputs: list[pathlib.Path]) -> None:
    """Two runs with a restart between them; each output must have shown all of one before the next thing happens."""
    send(daemon, rate, first_run=True)
    for output in outputs:
        eventually(lambda output=output: last_number(output) == PER_RUN - 1, 30)
    daemon.restart()
    send(daemon, rate, first_run=False)
    for output in outputs:
        eventually(lambda output=output: last_number(output) == 2 * PER_RUN - 1, 30)


def check_rolled_and_rotated(daemon: Daemon) -> None:
    assert len(list(daemon.log_directory.glob("*.flog"))) > 8, "segments were meant to roll"
    assert daemon.text_path.with_name("main.log.2").exists(), "the text file was meant to rotate"


def test_fastlogctl_tail_shows_every_record_once_at_100000_a_second(idle_daemon, folder):
    daemon = idle_daemon.with_text(rotate_bytes="8MiB", keep=20).start()
    output = folder / "followed"
    with following(daemon.ctl_command("tail", "-f", "-n", "all", "-o", "cat"), output) as follower:
        both_runs(daemon, 100_000, [output])
        assert follower.poll() is None
    check_exactly_once(output.read_bytes(), 2 * PER_RUN)
    check_rolled_and_rotated(daemon)


def test_tail_on_the_text_file_shows_every_record_once_at_25000_a_second(idle_daemon, folder):
    """And so does fastlogctl tail beside it."""
    daemon = idle_daemon.with_text(rotate_bytes="8MiB", keep=20).start()
    text, log = folder / "followed-text", folder / "followed-log"
    with following(["tail", "-n", "+1", "-F", str(daemon.text_path)], text), \
            following(daemon.ctl_command("tail", "-f", "-n", "all", "-o", "cat"), log):
        both_runs(daemon, 25_000, [text, log])
    for output in (text, log):
        check_exactly_once(output.read_bytes(), 2 * PER_RUN)
    check_rolled_and_rotated(daemon)


def test_the_text_files_together_are_the_log_after_a_kill(idle_daemon):
    """A kill in mid-write: the new daemon goes on at the byte where the old one stopped."""
    daemon = idle_daemon.with_text(rotate_bytes="2MiB", keep=100).start()
    for _ in range(3):
        load = Load(daemon.connect, rate=50_000)
        load.start()
        eventually(lambda: load.sent > 40_000)
        daemon.kill()
        load.stop()
        daemon.start()
    stored = daemon.quiesce()
    log = numbers(b"\n".join(daemon.cat()))

    def text() -> list[int]:
        names = sorted(daemon.text_path.parent.glob("main.log*"), key=lambda path: -int(path.suffix[1:] or 0)
                       if path.suffix[1:].isdigit() else 1)
        return numbers(b"".join(path.read_bytes() for path in names))

    eventually(lambda: len(text()) >= len(log), 20)
    assert text() == log
    assert stored.in_flight == 0


def test_tail_shows_the_newest_first_and_ends_without_f(daemon):
    Load(daemon.connect, rate=1e9, count=1000).run()
    daemon.quiesce(1000)
    assert numbers(daemon.ctl("tail", "-n", "3", "-o", "cat").stdout) == [997, 998, 999]
    assert len(daemon.ctl("tail", "-o", "cat").stdout.splitlines()) == 10
    assert len(daemon.ctl("tail", "-n", "all", "-o", "cat").stdout.splitlines()) == 1000


def probe(connection: socket.socket, output: pathlib.Path, pids: tuple[int, ...]) -> list[float]:
    """How long 50 records take to the follower. Where one takes longer than it may while these processes have waited for a
    processor half of that time, that is the machine's doing, and there is another one for it; but not for every second one."""
    delays: list[float] = []
    number = 0
    while len(delays) < 50:
        assert number < 100, f"too busy a machine to say anything: {number} records for {delays}"
        before = kept_waiting(*pids)
        connection.sendall(b"load-probe-%09d\n" % number)
        sent = time.monotonic()
        eventually(lambda number=number: last_number(output, "probe") == number, 5, 0.001)
        delay = time.monotonic() - sent
        if delay < READABLE_WITHIN or kept_waiting(*pids) - before < delay / 2:
            delays.append(delay)
        number += 1
        time.sleep(0.02)
    return delays


@pytest.mark.parametrize("background", [0, 100_000], ids=["idle", "at 100000 others a second"])
def test_a_record_is_readable_within_100_ms_of_its_receipt(daemon, folder, background):
    output = folder / "followed"
    load = Load(daemon.connect, "background", rate=max(background, 1))
    if background:
        load.start()
    # All, not only new ones: the first record may be stored before the follower has found the end.
    command = daemon.ctl_command("tail", "-f", "-n", "all", "-o", "cat", "-g", "load-probe-")
    with following(command, output) as follower, daemon.connect() as connection:
        delays = probe(connection, output, (daemon.process.pid, follower.pid, os.getpid()))
    if background:
        assert load.stop() > 10_000 and load.error is None
    delays = sorted(delays[5:])  # the first ones also start the follower
    print(f"median {delays[len(delays) // 2] * 1000:.1f} ms, largest {delays[-1] * 1000:.1f} ms")
    assert delays[-3] < READABLE_WITHIN, delays[-5:]
