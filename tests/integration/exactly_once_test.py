"""A daemon that is killed or restarted under load, and clients that number their records: all are there, once, in order.

FASTLOGD_KILL_ROUNDS says how often it is killed, FASTLOGD_KILL_SEED when.
"""

import os
import random
import re
import socket
import time

import pytest
from support import fastlog
from support.daemon import Daemon
from support.fastlog import Client
from support.native_client import NativeClient
from support.native_sender import NativeSender

ROUNDS = int(os.environ.get("FASTLOGD_KILL_ROUNDS", "5"))
SEED = int(os.environ.get("FASTLOGD_KILL_SEED", random.randrange(1 << 32)))
THREADS, RATE = 2, 20_000
CLIENT = bytes(range(1, 17))


def found_of(daemon: Daemon, senders: list[NativeSender]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {sender.name: [] for sender in senders}
    for message in daemon.cat():
        if match := re.match(rb"([a-z]+)-(\d+) ", message):
            found[match[1].decode()].append(int(match[2]))
    return found


def connect_tcp(daemon: Daemon) -> socket.socket:
    return socket.create_connection(("127.0.0.1", daemon.syslog_port))


def senders_of(daemon: Daemon) -> list[NativeSender]:
    wanted = {"stored": daemon.connect, "synced": daemon.connect, "tcp": lambda: connect_tcp(daemon)}
    return [NativeSender(connect, name, "synced" if name == "synced" else "stored", SEED + number, resends=True)
            for number, (name, connect) in enumerate(wanted.items())]


def kill(daemon: Daemon, chance: random.Random) -> None:
    daemon.kill()
    for _ in range(chance.choice((0, 0, 1, 2))):  # some live too short to hear from their clients
        daemon.spawn()
        time.sleep(chance.uniform(0, 0.08))
        daemon.kill()
    daemon.start()


def restart(daemon: Daemon, _: random.Random) -> None:
    daemon.restart()


@pytest.mark.parametrize("write", ["mapping", "pwrite"])
@pytest.mark.parametrize("ends", [kill, restart])
def test_every_record_is_there_once_and_in_order(idle_daemon: Daemon, ends, write: str):
    print(f"FASTLOGD_KILL_SEED={SEED} FASTLOGD_KILL_ROUNDS={ROUNDS}")
    chance = random.Random(SEED)
    daemon = idle_daemon
    daemon.stream.update(segment_bytes="1MiB", write=write)
    daemon.start()
    records = int(RATE * 0.4 * ROUNDS)
    # One as fast as its memory is given back, one that sends a little now and then.
    clients = [Client(daemon, threads=THREADS, records=records, size=200, rate=RATE),
               Client(daemon, threads=1, records=ROUNDS * 40, size=60, rate=100)]
    senders = senders_of(daemon)
    for sender in senders:
        sender.start()
    fastlog.wait_until_all_log(*clients)
    for _ in range(ROUNDS):
        time.sleep(chance.uniform(0.02, 0.3))
        ends(daemon, chance)
    for sender in senders:
        sender.finish()
    for client in clients:
        result = client.result(timeout=120 + 2 * ROUNDS)
        assert (result["flushed"], result["closed"], result["dropped"]) == (0, 0, 0)
    for name, numbers in found_of(daemon, senders).items():
        sent = next(sender.sent for sender in senders if sender.name == name)
        assert sent > 0 and numbers == list(range(sent)), (name, "missing or twice or out of order")
    fast, slow = (list(range(1, count + 1)) for count in (records, ROUNDS * 40))
    logged = fastlog.numbers(daemon)
    assert logged[1] == fast
    assert sorted(logged[0]) == sorted(fast + slow)
    daemon.verify()


def resend(daemon: Daemon, texts: list[bytes], first: int = 1, client: bytes = CLIENT) -> NativeClient:
    sender = NativeClient(daemon.connect(), first, client=client)
    sender.send(texts)
    sender.wait_stored(first + len(texts) - 1)
    return sender


def test_who_says_nothing_of_itself_gets_its_records_as_often_as_it_sends_them(daemon: Daemon):
    resend(daemon, [b"one", b"two"], client=b"")
    daemon.kill()
    daemon.start()
    resend(daemon, [b"one", b"two"], client=b"")
    assert daemon.cat() == [b"one", b"two"] * 2


def test_it_is_remembered_over_a_second_kill_a_stop_and_segments_that_came_between(daemon: Daemon):
    resend(daemon, [b"one", b"two"]).connection.close()
    resend(daemon, [b"other"], client=bytes(range(2, 18))).connection.close()
    daemon.kill()
    daemon.start()
    daemon.kill()
    daemon.start()
    daemon.ctl("rotate")
    daemon.restart()
    daemon.restart()
    again = resend(daemon, [b"one", b"two", b"three"])
    assert again.stored == 3
    again.flush()
    again.wait_synced(3)
    resend(daemon, [b"other", b"others"], client=bytes(range(2, 18)))
    assert daemon.cat() == [b"one", b"two", b"other", b"three", b"others"]
    daemon.quiesce().check_equation()
    daemon.verify()


@pytest.mark.parametrize("connect", [Daemon.connect, connect_tcp], ids=["unix", "tcp"])
def test_a_connection_that_breaks_leaves_nothing_twice_though_the_daemon_lives(idle_daemon: Daemon, connect):
    """Its client goes on from anywhere behind what it has been told, while another thread may still read what it had sent before."""
    print(f"FASTLOGD_KILL_SEED={SEED}")
    chance = random.Random(SEED)
    daemon = idle_daemon
    daemon.config["io"] = {"threads": 2}
    daemon.start()
    texts = [b"record %d" % number for number in range(1, 20_001)]
    heard = sent = 0
    while heard < len(texts):
        with NativeClient(connect(daemon), heard + 1, client=CLIENT) as sender:
            for _ in range(chance.randrange(1, 4)):
                some = texts[sender.next - 1:][:chance.randrange(1, 2000)]
                sender.send(some) if some else None
            sent += sender.next - 1 - heard
            if chance.random() < 0.7:
                sender.wait_stored(chance.randrange(heard, sender.next))
            heard = sender.stored
    with NativeClient(connect(daemon), len(texts) - 99, client=CLIENT) as sender:  # whatever chance has brought so far
        sender.send(texts[-100:])
        sent += 100
        sender.wait_stored(len(texts))
    now = daemon.quiesce()
    now.check_equation()
    assert now.stored == len(texts) and 100 <= now.repeated <= sent - len(texts)
    assert daemon.cat() == texts
    daemon.verify()


def test_what_was_refused_between_leaves_the_others_their_numbers(daemon: Daemon):
    sender = NativeClient(daemon.connect(), client=CLIENT)
    sender.send([b"one", b"two", b"x" * (1 << 20 >> 3), b"four"])  # over record_bytes_max
    sender.wait_stored(4)
    assert list(sender.refused) == [3]
    daemon.kill()
    daemon.start()
    again = resend(daemon, [b"four", b"five"], first=4)
    assert again.stored == 5
    assert daemon.cat() == [b"one", b"two", b"four", b"five"]


def test_a_client_id_of_another_length_ends_the_connection(daemon: Daemon):
    with NativeClient(daemon.connect(), client=b"short") as sender:
        sender.listen(lambda: False)
        assert sender.error is not None and sender.error[0] == 1
