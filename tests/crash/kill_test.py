"""kill -9 under full load, again and again: what was readable stays, numbers are dense, the loss is one ring at most.

FASTLOGD_KILL_ROUNDS sets how often (10 unless said otherwise, and at most 50); FASTLOGD_KILL_SEED repeats a run.
"""

import json
import os
import random
import shutil
import statistics
import subprocess
import time

import pytest
from support.daemon import BIN, MIB, Daemon, eventually
from support.load import Load, numbers
from support.processors import seconds_to_start
from support.source_tree import ROOT

ROUNDS = min(50, int(os.environ.get("FASTLOGD_KILL_ROUNDS", "10")))  # each reads everything before it once more
SEED = int(os.environ.get("FASTLOGD_KILL_SEED", str(random.randrange(1 << 32))))
LINE_BYTES = 100
# base/limits.hpp kRingBytesDefault, one read of a stream socket on its way into it, and the socket's own buffer.
LOSS_LINES_MAX = (8 * MIB + MIB) // LINE_BYTES


def of_round(daemon: Daemon, number: int, begun: float, ended: float) -> list[int]:
    """What is stored of a round's lines, which were received between these two times: the log is long in the end."""
    span = ("-S", f"@{begun - 1:.3f}", "-U", f"@{ended + 1:.3f}")
    done = daemon.ctl("cat", "-o", "cat", *span, "-g", f"load-r{number}-", check=False)
    assert done.returncode in (0, 1), done.stderr
    return numbers(done.stdout, f"r{number}")


def last_line(path, name: str) -> int:
    """The newest number a follower has shown, -1 before the first."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        return max(numbers(file.read(), name), default=-1)


def kill_under_load(daemon: Daemon, number: int, seconds: float) -> tuple[int, int]:
    """One round up to the kill: (newest number that had been readable, lines whose sending had returned)."""
    name = f"r{number}"
    shown = daemon.folder / "shown"
    with shown.open("wb") as out:
        follower = subprocess.Popen(daemon.ctl_command("tail", "-f", "-n", "0", "-o", "cat"), stdout=out, stderr=subprocess.DEVNULL)
        load = Load(daemon.connect, name, rate=1e9, size=LINE_BYTES)
        load.start()
        time.sleep(seconds)
        readable = last_line(shown, name)
        daemon.kill()
        sent = load.stop()
        follower.terminate()
        follower.wait(10)
    return readable, sent


def check_dense_around_the_crash(daemon: Daemon) -> None:
    """Sequence numbers go up by one, or a gap stands between and names what is missing."""
    with daemon.connect() as connection:
        connection.sendall(b"after the crash\n")
    eventually(lambda: daemon.ctl("tail", "-n", "1", "-o", "cat").stdout == b"after the crash\n")
    items = [json.loads(line) for line in daemon.ctl("tail", "-n", "3000", "-o", "json").stdout.splitlines()]
    expected = None
    for item in items:
        if "gap" in item:
            expected = item["gap"]["last"] + 1 if item["gap"].get("last") else expected
        else:
            assert expected in (None, item["seq"]), f"{item['seq']} where {expected} was due"
            expected = item["seq"] + 1


def test_what_was_readable_survives_a_kill(idle_daemon):
    print(f"FASTLOGD_KILL_SEED={SEED} FASTLOGD_KILL_ROUNDS={ROUNDS}")
    chance = random.Random(SEED)
    daemon = idle_daemon
    daemon.stream["segment_bytes"] = "16MiB"
    daemon.start()
    kept: list[tuple[int, float, float]] = []
    seen = 0
    for number in range(ROUNDS):
        begun = time.time()
        seconds = chance.uniform(0.1, 1.0)
        readable, sent = kill_under_load(daemon, number, seconds)
        assert (restart := seconds_to_start(daemon)) < 1.0, f"{restart:.2f} s to restart"
        times = begun, time.time()
        found = of_round(daemon, number, *times)
        assert found == list(range(len(found))), f"round {number}: not a prefix of what was sent"
        assert len(found) > readable, f"round {number}: {readable} had been readable, {len(found)} are left"
        assert sent - len(found) <= LOSS_LINES_MAX, f"round {number}: {sent - len(found)} of {sent} lines lost"
        check_dense_around_the_crash(daemon)
        daemon.verify()
        print(f"round {number}: {sent} sent, {sent / seconds:.0f} a second, {readable + 1} seen before the kill, {len(found)} stored")
        kept.append((len(found), *times))
        seen += readable + 1
    for number, (count, *times) in enumerate(kept):
        assert len(of_round(daemon, number, *times)) == count, f"round {number} was whole after its own restart"
    assert seen > ROUNDS * 1000, "the follower was to see something before the kills"


def test_a_kill_while_recovering_changes_nothing(idle_daemon):
    daemon = idle_daemon.start()
    begun = time.time()
    readable, _ = kill_under_load(daemon, 0, 0.5)
    for delay in (0.0, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1):
        daemon.spawn()
        time.sleep(delay)
        daemon.kill()
    daemon.start()
    found = of_round(daemon, 0, begun, time.time())
    assert found == list(range(len(found))) and len(found) > readable
    daemon.verify()


def test_segments_do_not_pile_up_over_many_short_lives(idle_daemon):
    daemon = idle_daemon
    for _ in range(15):
        daemon.start()
        with daemon.connect() as connection:
            connection.sendall(b"one record\n")
        daemon.quiesce(1)
        daemon.kill()
    daemon.start()
    assert daemon.cat() == [b"one record"] * 15
    used = sum(path.stat().st_blocks * 512 for path in daemon.log_directory.glob("*.flog"))
    assert used < 15 * MIB + 6 * 4 * MIB, "sealed segments were to give back what they never used"
    daemon.verify()


PERIOD_LINES = 100_000  # the benchmark's sender begins its file again behind them
RESULTS = ROOT / "build" / "bench" / "results.json"


def send_flat_out(daemon: Daemon, corpus, messages: int) -> subprocess.Popen:
    """The benchmark's own sender, over one connection."""
    return subprocess.Popen([str(BIN / "sender_tool"), "--to", f"unix-stream:{daemon.target('unix-stream').path}", "--corpus", str(corpus),
                             "--messages", str(messages)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


def rate_without_a_kill(daemon: Daemon, corpus) -> float:
    """Messages a second that come in here and now; or what the benchmark has found on this machine, if that is less."""
    messages = 2_000_000
    began = time.monotonic()
    assert send_flat_out(daemon, corpus, messages).wait(120) == 0
    daemon.quiesce(messages, 120)
    rate = messages / (time.monotonic() - began)
    if RESULTS.exists():
        for scenario in json.loads(RESULTS.read_text())["scenarios"]:
            if scenario["name"] == "stream":
                rate = min(rate, statistics.median(run["rate"] for run in scenario["runs"]["fastlogd"]))
    return rate


def kill_flat_out(daemon: Daemon, corpus, seconds: float) -> tuple[int, float]:
    """(newest sequence number a reader has seen before the kill, messages a second up to it)."""
    sender = send_flat_out(daemon, corpus, 10**9)
    eventually(lambda: daemon.metrics().stored > 0)
    began, before = time.monotonic(), daemon.metrics().stored
    time.sleep(seconds)
    readable = json.loads(daemon.ctl("tail", "-n", "1", "-o", "json").stdout)["seq"]
    stored = daemon.metrics().stored
    ended = time.monotonic()
    daemon.kill()
    sender.communicate(timeout=30)
    return readable, (stored - before) / (ended - began)


def count_of_prefix(daemon: Daemon, period: bytes) -> int:
    """How many lines are stored; they are what was sent, from its first line on."""
    reader = subprocess.Popen(daemon.ctl_command("cat", "-o", "cat"), stdout=subprocess.PIPE)
    stored = 0
    while piece := reader.stdout.read(len(period)):
        assert period.startswith(piece), f"behind {stored // LINE_BYTES} lines something else follows"
        stored += len(piece)
    assert reader.wait(30) == 0 and stored % LINE_BYTES == 0
    return stored // LINE_BYTES


def test_a_kill_at_the_rate_of_the_benchmark(idle_daemon):
    if not (BIN / "sender_tool").exists():
        pytest.skip("sender_tool is not built (./dev build)")
    print(f"FASTLOGD_KILL_SEED={SEED}")
    chance = random.Random(SEED)
    daemon = idle_daemon
    daemon.stream["segment_bytes"] = "64MiB"
    corpus = daemon.folder / "lines"
    period = b"".join(b"load-f-%09d " % number + b"x" * 82 + b"\n" for number in range(PERIOD_LINES))
    corpus.write_bytes(period)
    reference = rate_without_a_kill(daemon.start(), corpus)
    rates = []
    for number in range(3):
        daemon.kill()
        shutil.rmtree(daemon.log_directory)
        readable, rate = kill_flat_out(daemon.start(), corpus, chance.uniform(0.3, 0.8))
        rates.append(rate)
        stored = count_of_prefix(daemon.start(), period)
        print(f"round {number}: {rate:.0f} a second of {reference:.0f}, {readable} seen before the kill, {stored} stored")
        assert stored >= readable > 0
        check_dense_around_the_crash(daemon)
        daemon.verify()
    assert max(rates) >= reference / 2, f"{rates} are less than half of {reference:.0f}: the kills were to come under full load"
