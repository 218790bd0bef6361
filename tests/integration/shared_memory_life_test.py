"""Shared memory when programs fork, daemons restart or die, and producers lie."""

import array
import json
import mmap
import os
import random
import signal
import socket
import struct
import threading
import time

import pytest
from support import fastlog
from support.daemon import Daemon, eventually
from support.fastlog import Client
from support.mounts import nearly_full_disk

MAGIC = b"\xf5flog\r\n\0"
PAGE = 4096


def test_a_forked_child_has_memory_of_its_own(daemon: Daemon):
    with fastlog.opened(daemon) as log:
        assert log.write(b"parent before") == fastlog.OK
        child = os.fork()
        if child == 0:
            good = log.write(b"child") == fastlog.OK and log.flush() == fastlog.OK and log.counts().written == 1
            os._exit(0 if good else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert log.write(b"parent after") == fastlog.OK
        assert log.flush() == fastlog.OK
        assert log.counts().written == 2
    records = {record["message"]: record["pid"] for record in daemon.cat_json()}
    assert records["parent before"] == records["parent after"] == os.getpid()
    assert records["child"] == child
    daemon.quiesce(received=3).check_equation()


def test_a_thread_that_ends_leaves_its_records(daemon: Daemon):
    with fastlog.opened(daemon) as log:
        for number in range(20):
            thread = threading.Thread(target=log.write, args=(b"%d" % number,))
            thread.start()
            thread.join()
        eventually(lambda: log.counts().threads == 1)
        eventually(lambda: daemon.metrics().sum("fastlogd_open_connections") == 1)
        assert log.counts().written == 20
    daemon.quiesce(received=20)
    assert sorted(map(int, daemon.cat())) == list(range(20))


def is_stuck_with_more(daemon: Daemon, log: fastlog.Log) -> bool:
    """The disk is full to its end, and the daemon holds what it can't store."""
    while log.write(b"x" * 1000) == fastlog.OK:
        pass
    before = daemon.metrics().stored
    time.sleep(0.3)
    now = daemon.metrics()
    return now.stored == before and now.in_flight > 0 and now.sum("fastlogd_disk_full") == 1


def test_what_a_client_still_holds_at_a_stop_is_not_counted_lost_and_the_next_daemon_stores_it(idle_daemon):
    daemon = idle_daemon
    with nearly_full_disk(daemon) as ballast:
        daemon.start()
        with fastlog.opened(daemon, flags=fastlog.DROP) as log:
            eventually(lambda: is_stuck_with_more(daemon, log), 60)
            written = log.counts().written
            assert daemon.stop() == 0
            balance = daemon.last_balance()
            assert balance["dropped"] == 0 and balance["in flight"] > 0, balance
            ballast.unlink()
            daemon.start()
            assert log.flush(timeout_ms=30_000) == fastlog.OK
            assert log.counts().written == written
        assert b"shutdown" not in daemon.ctl("gaps", "--json").stdout
        assert len(daemon.cat()) == written
        daemon.verify()
        daemon.kill()


@pytest.mark.parametrize("flags", [0, fastlog.SOCKET_ONLY], ids=["shared", "socket"])
def test_a_flush_to_disk_is_one_of_what_ended_threads_wrote_too(idle_daemon: Daemon, flags: int):
    idle_daemon.stream["durability"] = {"mode": "none"}
    daemon = idle_daemon.start()
    with fastlog.opened(daemon, flags=flags) as log:
        thread = threading.Thread(target=lambda: [log.write(b"%d" % number) for number in range(100)])
        thread.start()
        thread.join()
        daemon.quiesce(received=100)
        if flags:  # what ended asked for that, and is known to be stored: nobody has asked for more
            eventually(lambda: daemon.metrics().sum("fastlogd_acknowledgements_total") > 0)
        assert log.flush(fastlog.SYNCED) == fastlog.OK
        stream, = json.loads(daemon.ctl("status", "--json").stdout)["streams"]
        assert stream["durable"] == stream["committed"]


@pytest.mark.parametrize("flags", [0, fastlog.SOCKET_ONLY], ids=["shared", "socket"])
def test_what_a_removed_listener_took_is_on_disk_when_its_client_comes_back(idle_daemon: Daemon, flags: int):
    """The client of the listener that comes later asks for nothing: to it, what was given back before is on disk."""
    idle_daemon.stream["durability"] = {"mode": "none"}
    daemon = idle_daemon.start()
    listeners = daemon.config["listeners"]
    with fastlog.opened(daemon, flags=flags) as log:
        assert all(log.write(b"%d" % number) == fastlog.OK for number in range(100))
        assert log.flush(fastlog.STORED) == fastlog.OK
        daemon.config["listeners"] = [listener for listener in listeners if listener["name"] != "app"]
        daemon.write_config()
        eventually(lambda: daemon.metrics().sum("fastlogd_closed_connections_total", reason="removed") == 1)
        daemon.config["listeners"] = listeners
        daemon.write_config()
        assert log.flush(fastlog.SYNCED) == fastlog.OK
        stream, = json.loads(daemon.ctl("status", "--json").stdout)["streams"]
        assert stream["durable"] == stream["committed"]


def test_a_restart_under_load_loses_nothing_and_repeats_nothing(daemon: Daemon):
    clients = [Client(daemon, threads=2, records=records, size=100, rate=rate)
               for records, rate in ((400_000, 60_000), (1500, 200))]
    for _ in range(6):
        time.sleep(1)
        daemon.restart()
    for client, records in zip(clients, (400_000, 1500)):
        result = client.result()
        assert (result["flushed"], result["closed"], result["dropped"]) == (0, 0, 0)
        assert client.returned() == [records, records]
    for numbers in fastlog.numbers(daemon).values():
        assert len(numbers) == 401_500
        assert sorted(numbers) == sorted([*range(1, 400_001), *range(1, 1501)])
    daemon.verify()


def test_a_killed_daemon_loses_nothing_and_repeats_nothing(daemon: Daemon):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    moments = random.Random(seed)
    # As fast as they can: what the daemon has copied and not yet published is what a kill could take.
    client = Client(daemon, threads=2, records=600_000, size=400)
    fastlog.wait_until_all_log(client)
    for _ in range(4):
        time.sleep(0.05 + moments.random() * 0.15)
        daemon.kill()
        daemon.start()
    result = client.result()
    assert (result["flushed"], result["closed"], result["dropped"]) == (0, 0, 0)
    for numbers in fastlog.numbers(daemon).values():
        assert numbers == list(range(1, 600_001))
    daemon.verify()


def test_a_forked_child_is_another_client_to_the_next_daemon(daemon: Daemon):
    with fastlog.opened(daemon) as log:
        assert log.write(b"parent 1") == fastlog.OK and log.flush() == fastlog.OK
        child = os.fork()
        if child == 0:
            good = log.write(b"child 1") == fastlog.OK and log.flush() == fastlog.OK
            while good and os.getppid() != 1 and not (daemon.folder / "again").exists():
                time.sleep(0.01)
            good = good and log.write(b"child 2") == fastlog.OK and log.flush() == fastlog.OK
            os._exit(0 if good else 1)
        assert log.write(b"parent 2") == fastlog.OK and log.flush() == fastlog.OK
        eventually(lambda: len(daemon.cat()) == 3)
        daemon.kill()
        daemon.start()
        (daemon.folder / "again").touch()
        assert os.waitpid(child, 0)[1] == 0
        assert log.write(b"parent 3") == fastlog.OK and log.flush() == fastlog.OK
    assert sorted(daemon.cat()) == [b"child 1", b"child 2", b"parent 1", b"parent 2", b"parent 3"]


def test_records_wait_in_memory_while_there_is_no_daemon(daemon: Daemon):
    with fastlog.opened(daemon) as log:
        assert log.write(b"before") == fastlog.OK
        assert log.flush() == fastlog.OK
        daemon.stop()
        assert log.write(b"meanwhile") == fastlog.OK
        assert log.flush(timeout_ms=100) == fastlog.CLOSED
        daemon.start()
        assert eventually(lambda: log.flush() == fastlog.OK)
    assert daemon.cat() == [b"before", b"meanwhile"]


def test_full_memory_drops_and_counts_or_waits_as_wanted(daemon: Daemon):
    with fastlog.opened(daemon, flags=fastlog.DROP, ring_bytes=1) as drops, \
         fastlog.opened(daemon, ring_bytes=1, wait_ms_max=50) as waits:
        daemon.stop()
        results = [drops.write(b"x" * 1000) for _ in range(1000)]
        assert set(results) == {fastlog.OK, fastlog.FULL}
        assert results.index(fastlog.FULL) > 200 and results[-1] == fastlog.FULL
        while waits.write(b"x" * 60000) == fastlog.OK:
            pass
        before = time.monotonic()
        assert waits.write(b"x" * 60000) == fastlog.TIMEOUT
        assert 0.04 < time.monotonic() - before < 20
        lost = drops.counts().dropped + waits.counts().dropped
        assert drops.counts().dropped == results.count(fastlog.FULL)
        daemon.start()
        assert eventually(lambda: drops.flush() == fastlog.OK) and eventually(lambda: waits.flush() == fastlog.OK)
    told = "fastlogd_lost_before_receipt_records_total"
    eventually(lambda: daemon.metrics().sum(told, where="client") == lost)


def test_what_memory_holds_goes_over_the_socket_when_the_next_daemon_gives_none(daemon: Daemon):
    """Also one that is kept from reading again and again: what waits then waits in the memory of before."""
    client = Client(daemon, threads=2, records=30_000, size=500, rate=15_000)
    eventually(lambda: min(client.returned()) > 2000)
    daemon.stop()
    eventually(lambda: min(client.returned()) > 3000)
    daemon.config["limits"] = {"shared_rings_max": 0}
    daemon.start()
    for _ in range(10):
        daemon.process.send_signal(signal.SIGSTOP)
        time.sleep(0.1)
        daemon.process.send_signal(signal.SIGCONT)
        time.sleep(0.02)
    result = client.result()
    assert (result["flushed"], result["closed"], result["dropped"], result["shared"]) == (0, 0, 0, 0)
    assert fastlog.numbers(daemon) == {0: list(range(1, 30_001)), 1: list(range(1, 30_001))}
    daemon.quiesce().check_equation()
    daemon.verify()


def test_open_says_why_it_fails_or_waits_for_a_daemon(idle_daemon: Daemon):
    log = fastlog.Log(idle_daemon)
    assert log.opened == -3 and "app.sock" in log.error
    with fastlog.opened(idle_daemon, flags=fastlog.CONNECT_LATER) as later:
        assert later.write(b"lost") == fastlog.CLOSED
        daemon = idle_daemon.start()
        assert eventually(lambda: later.write(b"there") == fastlog.OK)
        assert later.flush() == fastlog.OK
    assert daemon.cat() == [b"there"]


class Producer:
    """Shared memory without the library: everything in it can be forged."""

    def __init__(self, daemon: Daemon, wanted: int = 1 << 18, client: bytes = b""):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(daemon.listener("app")["path"])
        hello = struct.pack("<IBBHQHHIBBB5x", 32 + len(client), 1, 0, 0, 1, 1, 1, 0, 0, 0, len(client))
        self.socket.sendall(MAGIC + hello + client + struct.pack("<IBBHQ", 16, 6, 1, 0, wanted))
        answer, files = b"", array.array("i")
        while len(answer) < 56:
            more, ancillary, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(8))
            assert more
            answer += more
            for _, _, data in ancillary:
                files.frombytes(data)
        self.capacity = struct.unpack_from("<Q", answer, 40)[0]
        self.files = list(files)
        self.memory = mmap.mmap(self.files[0], PAGE + self.capacity)

    def frame(self, at: int, text: bytes, number: int, length: int | None = None, flags: int = 0,
              priority: int = 14) -> int:
        padded = (24 + len(text) + 7) // 8 * 8
        head = struct.pack("<IIQIBBBB", padded if length is None else length, flags, number, 0, priority, 0,
                           padded - 24 - len(text), 0)
        self.memory[PAGE + at:PAGE + at + padded] = (head + text).ljust(padded, b"\0")
        return at + padded

    def commit(self, position: int) -> None:
        self.memory[0:8] = struct.pack("<Q", position)
        try:
            self.socket.send(struct.pack("<IBBHQ", 16, 7, 0, 0, 0))
        except OSError:
            pass

    def wait_until_read(self, position: int) -> None:
        page = mmap.mmap(self.files[1], PAGE, prot=mmap.PROT_READ)
        eventually(lambda: struct.unpack("<Q", page[0:8])[0] == position)

    def ended(self) -> bool:
        try:
            return not self.socket.recv(4096, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True


def lies() -> dict:
    """Name -> what is done to the memory; each must cost the liar its ring, after one good record."""
    def forged(**wrong):
        return lambda p: p.commit(p.frame(p.frame(0, b"good", 1), b"bad", **{"number": 2, **wrong}))
    return {
        "a length of nothing": forged(length=0),
        "a length over the position": forged(length=1 << 16),
        "a length of no multiple of 8": forged(length=33),
        "the longest length": forged(length=0xfffffff8),
        "unknown flags": forged(flags=6),
        "a number too high": forged(number=3),
        "a number again": forged(number=1),
        "a position beyond the memory": lambda p: (p.frame(0, b"good", 1), p.commit(32), p.wait_until_read(32),
                                                   p.commit(32 + p.capacity + 8)),
        "a position that goes back": lambda p: (p.frame(0, b"good", 1), p.commit(32), p.wait_until_read(32), p.commit(8)),
        "an odd position": lambda p: (p.frame(0, b"good", 1), p.commit(32), p.wait_until_read(32), p.commit(33)),
        "memory that was punched": lambda p: (p.frame(0, b"good", 1), p.commit(32), p.wait_until_read(32),
                                              os.posix_fadvise(p.files[0], 0, 0, 4), p.frame(32, b"", 2, length=0),
                                              p.commit(64)),
    }


@pytest.mark.parametrize("lie", lies())
def test_a_lie_ends_the_liars_memory_with_a_gap_and_nobody_elses(daemon: Daemon, lie: str):
    with fastlog.opened(daemon) as honest:
        assert honest.write(b"honest") == fastlog.OK
        liar = Producer(daemon)
        lies()[lie](liar)
        eventually(liar.ended)
        assert honest.write(b"still honest") == fastlog.OK
        assert honest.flush() == fastlog.OK
    metrics = daemon.quiesce()
    metrics.check_equation()
    assert metrics.sum("fastlogd_shared_violations_total") == 1
    assert {b"honest", b"good", b"still honest"} == set(daemon.cat())
    eventually(lambda: b"sender_error" in daemon.ctl("gaps", check=False).stdout)
    daemon.verify()


def test_a_vandal_who_writes_everywhere_all_the_time_hurts_himself_alone(daemon: Daemon):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    client = Client(daemon, threads=1, records=100_000, size=100, rate=40_000)
    end = time.monotonic() + 2
    while time.monotonic() < end:
        vandal = Producer(daemon)
        at = 0
        for number in range(1, 40):
            at = vandal.frame(at, b"v" * chance.randrange(200), number)
        vandal.commit(at)
        for _ in range(300):
            place = chance.choice((0, 128, 256, PAGE + chance.randrange(vandal.capacity // 8) * 8))
            value = chance.choice((chance.randrange(1 << 64), chance.randrange(1 << 12) * 8, 0))
            vandal.memory[place:place + 8] = struct.pack("<Q", value)
        vandal.commit(chance.choice((at, at + chance.randrange(1 << 12) * 8)))
    assert client.result()["dropped"] == 0
    assert fastlog.numbers(daemon)[0] == list(range(1, 100_001))
    daemon.quiesce().check_equation()
    daemon.verify()


def test_what_lies_in_memory_again_is_passed_over_and_what_was_refused_leaves_the_numbers_right(daemon: Daemon):
    client = bytes(range(16))

    def write(producer: Producer, texts: list[bytes]) -> None:
        at = 0
        for number, text in enumerate(texts, 1):
            at = producer.frame(at, text, number, priority=255 if text == b"malformed" else 14)
        producer.commit(at)

    write(Producer(daemon, client=client), [b"one", b"malformed", b"three"])
    eventually(lambda: len(daemon.cat()) == 2)
    daemon.kill()
    daemon.start()
    write(Producer(daemon, client=client), [b"one", b"malformed", b"three", b"four"])
    eventually(lambda: len(daemon.cat()) == 3)
    write(Producer(daemon), [b"one"])
    eventually(lambda: len(daemon.cat()) == 4)
    assert daemon.cat() == [b"one", b"three", b"four", b"one"]
    daemon.quiesce().check_equation()
    daemon.verify()


def test_what_a_client_had_committed_when_it_hung_up_is_stored(daemon: Daemon):
    producer = Producer(daemon)
    producer.memory[0:8] = struct.pack("<Q", producer.frame(0, b"last words", 1))
    producer.socket.close()
    eventually(lambda: daemon.metrics().sum("fastlogd_open_connections") == 0)
    assert daemon.cat() == [b"last words"]


def test_the_daemons_page_can_only_be_read(daemon: Daemon):
    producer = Producer(daemon)
    with pytest.raises(PermissionError):
        mmap.mmap(producer.files[1], PAGE)
    page = mmap.mmap(producer.files[1], PAGE, prot=mmap.PROT_READ)
    assert page[0:8] == bytes(8)
    with pytest.raises(OSError):
        os.ftruncate(producer.files[0], 0)
