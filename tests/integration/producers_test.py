"""P8: nothing that a producer does crashes the daemon or holds up other producers."""

import contextlib
import os
import random
import signal
import socket
import struct
import threading
import time

from support.daemon import Daemon
from support.load import Load, check_exactly_once

SEED = int(os.environ.get("FASTLOGD_TEST_SEED", str(random.randrange(1 << 32))))
SILENCE_SECONDS_MAX = 3.0  # a machine under load may stand still itself for a while
NATIVE = bytes.fromhex("f5666c6f670d0a00")


def garbage(daemon: Daemon, chance: random.Random) -> None:
    with daemon.connect() as connection:
        connection.sendall(chance.choice((b"", b"<13>", b"5 <", NATIVE, b"\x16\x03\x01", b"\x80\x02")) + chance.randbytes(chance.randrange(20_000)))


def lie_about_lengths(daemon: Daemon, chance: random.Random) -> None:
    with socket.create_connection(("127.0.0.1", daemon.syslog_port)) as connection:
        connection.sendall(b"5 <1>ok" + str(chance.randrange(10**7)).encode() + b" <13>short")
    with daemon.connect() as connection:
        connection.sendall(NATIVE + struct.pack("<IBBHQ", chance.randrange(1 << 32), chance.randrange(256), 0, 0, chance.randrange(1 << 62)))


def reset(daemon: Daemon, _: random.Random) -> None:
    """Ends in the middle of a message, with a TCP reset."""
    connection = socket.create_connection(("127.0.0.1", daemon.syslog_port))
    connection.sendall(b"<13>half a mess")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def odd_datagrams(daemon: Daemon, chance: random.Random) -> None:
    target = daemon.target("unix-datagram").path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        sender.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            sender.sendto(b"", target)
            sender.sendto(chance.randbytes(chance.randrange(60_000)), target)
            socket.send_fds(sender, [b"uninvited"], [0, 1, 2], 0, target)
        udp.sendto(chance.randbytes(chance.randrange(1, 50_000)), ("127.0.0.1", daemon.syslog_port))


def hold_open(daemon: Daemon, chance: random.Random) -> None:
    """Many connections that say half a message and then nothing."""
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(daemon.connect()).sendall(chance.choice((b"<13>half", b"70 <13>x", NATIVE + b"\x28")))
        time.sleep(0.2)


ABUSES = (garbage, lie_about_lengths, reset, odd_datagrams, hold_open)


def abuse(daemon: Daemon, what, seed: int, ends: threading.Event) -> None:
    chance = random.Random(seed)
    while not ends.is_set():
        with contextlib.suppress(OSError):  # to be thrown out is what it asked for
            what(daemon, chance)
        time.sleep(0.005)


def longest_silence(daemon: Daemon, ends: float) -> float:
    """How long the count of well-behaved records stood still at most, in seconds, until the time `ends`."""
    longest, last, since = 0.0, -1, time.monotonic()
    while time.monotonic() < ends:
        done = daemon.ctl("tail", "-n", "1", "-o", "cat", "-g", "^load-good-", check=False)
        if done.stdout and done.stdout != last:
            last, since = done.stdout, time.monotonic()
        longest = max(longest, time.monotonic() - since)
        time.sleep(0.02)
    return longest


@contextlib.contextmanager
def abused(daemon: Daemon):
    """A well-behaved sender of 200 lines a second among all the others."""
    print(f"FASTLOGD_TEST_SEED={SEED}")
    ends = threading.Event()
    threads = [threading.Thread(target=abuse, args=(daemon, what, SEED + i, ends), daemon=True) for i, what in enumerate(ABUSES)]
    good = Load(daemon.connect, "good", rate=200, size=100)
    for thread in threads:
        thread.start()
    good.start()
    try:
        yield good
    finally:
        ends.set()
        for thread in threads:
            thread.join(30)


def test_P08_abuse_neither_crashes_the_daemon_nor_holds_up_others(daemon):
    with abused(daemon) as good:
        assert longest_silence(daemon, time.monotonic() + 4) < SILENCE_SECONDS_MAX
        sent = good.stop()
    daemon.quiesce()
    check_exactly_once(daemon.ctl("cat", "-o", "cat", "-g", "^load-good-").stdout, sent, "good")
    daemon.verify()
    assert daemon.stop() == 0


def test_P08_a_daemon_that_stands_still_is_caught(daemon):
    with abused(daemon) as good:
        stopped = threading.Timer(0.5, daemon.process.send_signal, [signal.SIGSTOP])
        stopped.start()
        assert longest_silence(daemon, time.monotonic() + 1 + 2 * SILENCE_SECONDS_MAX) >= SILENCE_SECONDS_MAX
        daemon.process.send_signal(signal.SIGCONT)
        good.stop()
