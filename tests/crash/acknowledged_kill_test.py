"""kill -9 while records are acknowledged: nothing acknowledged is lost, and a sender that sends again what was not
acknowledged ends with nothing lost at all, and nothing twice.

FASTLOGD_KILL_ROUNDS sets how often (10 unless said otherwise; 1000 for acceptance); FASTLOGD_KILL_SEED repeats a run.
"""

import os
import random
import re
import shutil
import time

from support.daemon import Daemon
from support.native_sender import NativeSender

ROUNDS = int(os.environ.get("FASTLOGD_KILL_ROUNDS", "10"))
SEED = int(os.environ.get("FASTLOGD_KILL_SEED", str(random.randrange(1 << 32))))
ROUNDS_A_LOG = 10  # then a new one: reading everything again takes longer the more there is


def found_numbers(daemon: Daemon, names: list[str]) -> dict[str, set[int]]:
    """The numbers in the log, by sender; each whole, or it does not count."""
    numbers: dict[str, set[int]] = {name: set() for name in names}
    for name, number, filling in re.findall(rb"^(\w+)-(\d+) (f*)$", b"\n".join(daemon.cat()), re.MULTILINE):
        if name.decode() in numbers:
            assert len(filling) == (int(number) + 1) * 7919 % 1500, f"{name}-{number} is another"
            assert int(number) not in numbers[name.decode()], f"{name}-{number} is there twice"
            numbers[name.decode()].add(int(number))
    return numbers


def check_acknowledged(daemon: Daemon, acknowledged: dict[str, int]) -> None:
    found = found_numbers(daemon, list(acknowledged))
    for name, count in acknowledged.items():
        missing = set(range(count)) - found[name]
        assert not missing, f"{name}: {count} acknowledged, {len(missing)} of them missing, the first {min(missing)}"


def spawn_and_kill(daemon: Daemon, chance: random.Random) -> None:
    """Lets a few starts come to nothing: before, during and after recovery."""
    for _ in range(chance.randrange(3)):
        daemon.spawn()
        time.sleep(chance.uniform(0, 0.03))
        daemon.kill()


def senders_of(daemon: Daemon, log: int) -> list[NativeSender]:
    # One who wants to know at once, one who wants it on disk.
    return [NativeSender(daemon.connect, f"l{log}w{i}", wanted, SEED + log, resends=True)
            for i, wanted in enumerate(("stored", "synced"))]


def live_through(daemon: Daemon, log: int, rounds: int, chance: random.Random) -> None:
    """One log, killed again and again under the same senders, which never give up."""
    daemon.start()
    senders = senders_of(daemon, log)
    for sender in senders:
        sender.start()
    for number in range(rounds):
        time.sleep(chance.uniform(0.02, 0.25))
        daemon.kill()
        acknowledged = {sender.name: sender.acknowledged for sender in senders}
        spawn_and_kill(daemon, chance)
        daemon.start()
        if number % 5 == 0 or number == rounds - 1:
            check_acknowledged(daemon, acknowledged)
        assert all(sender.failure is None for sender in senders), [sender.failure for sender in senders]
    for sender in senders:
        sender.finish()
    check_acknowledged(daemon, {sender.name: sender.sent for sender in senders})
    assert all(sender.sent > 0 and sender.reconnections > 0 for sender in senders)
    daemon.verify()
    print(f"log {log}: {rounds} kills, {sum(sender.sent for sender in senders)} records, all there")


def test_P01_nothing_acknowledged_is_lost_and_who_sends_again_loses_nothing(idle_daemon):
    print(f"FASTLOGD_KILL_SEED={SEED} FASTLOGD_KILL_ROUNDS={ROUNDS}")
    chance = random.Random(SEED)
    for log, first in enumerate(range(0, ROUNDS, ROUNDS_A_LOG)):
        daemon = idle_daemon
        daemon.log_directory = daemon.folder / "log" / f"log-{log}"
        daemon.stream.update(directory=str(daemon.log_directory), segment_bytes="1MiB", durability={"mode": "group"},
                             write=("mapping", "pwrite")[log % 2])
        live_through(daemon, log, min(ROUNDS_A_LOG, ROUNDS - first), chance)
        assert daemon.stop() == 0
        shutil.rmtree(daemon.log_directory)


def test_P01_a_daemon_that_acknowledges_what_it_has_only_received_is_caught(idle_daemon):
    """The same check, told that everything sent had been acknowledged: with 4000 records on their way it must fail."""
    daemon = idle_daemon.start()
    for _ in range(20):
        sender = NativeSender(daemon.connect, "early", "stored", SEED)
        sender.start()
        time.sleep(0.2)
        daemon.kill()
        sender.stop()
        daemon.start()
        found = found_numbers(daemon, ["early"])["early"]
        if set(range(sender.sent)) - found:
            return
    raise AssertionError("what was on its way when the daemon was killed was always stored")
