"""Programs that log through libfastlog and shared memory, with the real daemon."""

import os
import random
import signal
import threading
import time

from support import fastlog
from support.daemon import Daemon, eventually
from support.fastlog import Client

ROUNDS = min(50, int(os.environ.get("FASTLOGD_KILL_ROUNDS", "10")))  # each reads everything before it once more
SEED = int(os.environ.get("FASTLOGD_KILL_SEED", str(random.randrange(1 << 32))))


def test_what_is_written_is_in_the_log(daemon: Daemon):
    with fastlog.opened(daemon) as log:
        assert log.write(b"hello") == fastlog.OK
        assert log.write(b"") == fastlog.OK
        assert log.write(b"three\nlines\0x", severity=3) == fastlog.OK
        assert log.flush(fastlog.STORED) == fastlog.OK
        assert daemon.cat_json()[0]["message"] == "hello"
        counts = log.counts()
        assert (counts.written, counts.dropped, counts.threads, counts.shared) == (3, 0, 1, 1)
    records = daemon.cat_json()
    assert [record["message"] for record in records][0:2] == ["hello", ""]
    assert records[0]["identifier"] == "client" and records[0]["transport"] == "shared-memory"
    assert (records[0]["severity"], records[2]["severity"]) == ("info", "err")
    metrics = daemon.quiesce(received=3)
    metrics.check_equation()
    assert metrics.sum("fastlogd_shared_connections_total") == 1
    daemon.verify()


def test_a_flush_to_disk_reaches_the_disk(daemon: Daemon):
    with fastlog.opened(daemon) as log:
        for level in (fastlog.ACCEPTED, fastlog.STORED, fastlog.SYNCED):
            assert log.flush(level) == fastlog.OK, "nothing was written"
            assert log.write(b"x") == fastlog.OK
            assert log.flush(level) == fastlog.OK
            assert log.flush(level) == fastlog.OK, "a second time, nothing new"


def test_many_threads_and_processes_lose_nothing_and_keep_their_order(daemon: Daemon):
    clients = [Client(daemon, threads=4, records=20000, size=100) for _ in range(3)]
    for client in clients:
        result = client.result()
        assert result["flushed"] == 0 and result["dropped"] == 0
        assert result["written"] == 80000
    daemon.quiesce(received=240000).check_equation()
    found = fastlog.numbers(daemon)
    assert sorted(found) == [0, 1, 2, 3]
    for thread in found.values():
        assert sorted(thread) == sorted(list(range(1, 20001)) * 3)
    daemon.verify()


def test_large_records_and_small_rings(daemon: Daemon):
    with fastlog.opened(daemon, ring_bytes=1) as log:
        texts = [bytes([65 + i % 26]) * (i * 997 % 65536) for i in range(200)]
        assert all(log.write(text) == fastlog.OK for text in texts)
        assert log.write(b"x" * 65537) == fastlog.TOO_LARGE
        assert log.flush() == fastlog.OK
        assert log.counts().dropped == 1
    assert daemon.cat() == texts
    eventually(lambda: daemon.metrics().sum("fastlogd_lost_before_receipt_records_total", where="client") == 1)
    eventually(lambda: b"client" in daemon.ctl("gaps", check=False).stdout)


def test_every_record_whose_call_had_returned_survives_sigkill_of_the_program(daemon: Daemon):
    print("seed", SEED)
    moments = random.Random(SEED)
    for round_number in range(ROUNDS):
        client = Client(daemon, threads=2, size=40 + 50 * (round_number % 20), rate=moments.choice((0, 0, 20000, 300)))
        eventually(lambda client=client: min(client.returned()) > 0)
        time.sleep(moments.random() * 0.1)
        client.kill()
        # Closed when all that the memory held is stored; until it is read nobody knows that it is there.
        eventually(lambda: daemon.metrics().sum("fastlogd_open_connections") == 0)
        found = fastlog.numbers(daemon)
        for thread, returned in enumerate(client.returned()):
            latest = last_run(found[thread])
            assert latest == list(range(1, len(latest) + 1)), "dense and in order"
            assert returned <= len(latest) <= returned + 1, f"round {round_number}"
    daemon.metrics().check_equation()
    daemon.verify()


def last_run(numbers: list[int]) -> list[int]:
    """From the last 1 on."""
    return numbers[len(numbers) - 1 - numbers[::-1].index(1):]


def test_a_program_that_dies_while_it_flushes_loses_nothing(idle_daemon: Daemon):
    """What it has asked to be told is still to be said, to nobody, while its records lie in the memory: more of them than
    the daemon can take at once."""
    idle_daemon.config["io"] = {"ring_bytes": "2MiB"}
    daemon = idle_daemon.start()
    with fastlog.opened(daemon) as log:
        assert log.write(b"parent") == fastlog.OK and log.flush() == fastlog.OK
    child = os.fork()
    if child == 0:
        mine = fastlog.Log(daemon, ring_bytes=16 << 20)
        good = mine.write(b"0") == fastlog.OK and mine.flush() == fastlog.OK
        os.kill(daemon.process.pid, signal.SIGSTOP)
        good = good and all(mine.write(b"%d " % number + b"x" * 450) == fastlog.OK for number in range(1, 20_000))
        good = good and mine.flush(timeout_ms=100) == fastlog.TIMEOUT
        os.kill(os.getpid(), signal.SIGKILL if good else signal.SIGUSR1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    daemon.process.send_signal(signal.SIGCONT)
    daemon.quiesce(received=20_001)
    assert [message.split()[0] for message in daemon.cat()] == [b"parent", *(b"%d" % number for number in range(20_000))]


def test_without_shared_memory_records_go_over_the_socket(idle_daemon: Daemon):
    idle_daemon.config["limits"] = {"shared_rings_max": 0}
    daemon = idle_daemon.start()
    with fastlog.opened(daemon) as log:
        assert log.write(b"over the socket") == fastlog.OK
        assert log.write_fields({b"user": b"me"}, b"with a field") == fastlog.OK
        assert log.flush() == fastlog.OK
        assert log.counts().shared == 0
    records = daemon.cat_json()
    assert [record["message"] for record in records] == ["over the socket", "with a field"]
    assert records[0]["transport"] == "unix-stream"
    assert daemon.metrics().sum("fastlogd_refused_shares_total", reason="off") == 1


def test_over_the_socket_one_thread_may_flush_while_others_write(daemon: Daemon):
    with fastlog.opened(daemon, flags=fastlog.SOCKET_ONLY) as log:
        threads = [threading.Thread(target=lambda: [log.write(b"x" * 3000) for _ in range(3000)]) for _ in range(3)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            assert log.flush() == fastlog.OK
        for thread in threads:
            thread.join()
        assert log.flush() == fastlog.OK
        assert log.counts().dropped == 0
    daemon.quiesce(received=9000).check_equation()
    assert daemon.metrics().sum("fastlogd_refused_shares_total") == 0


def test_a_user_has_no_more_memory_than_the_quota(idle_daemon: Daemon):
    idle_daemon.config["limits"] = {"shared_rings_max": 3}
    daemon = idle_daemon.start()
    first = Client(daemon, threads=3, records=0, rate=100)
    eventually(lambda: daemon.metrics().sum("fastlogd_shared_connections_total") == 3)
    second = Client(daemon, threads=2, records=50).result()
    assert second["flushed"] == 0 and second["dropped"] == 0
    assert daemon.metrics().sum("fastlogd_refused_shares_total", reason="quota") > 0
    first.kill()
    eventually(lambda: Client(daemon, threads=1, records=50).result()["shared"] > 0)
    idle_daemon.config["limits"] = {"shared_rings_max": 100, "shared_bytes_max": "1MiB"}
    daemon.write_config()
    eventually(lambda: Client(daemon, threads=1, records=1).result()["shared"] == 0)


def test_an_idle_client_costs_nothing(daemon: Daemon):
    with fastlog.opened(daemon) as log:
        assert log.write(b"zero") == fastlog.OK
        time.sleep(1.5)  # the first segments are being made ahead, and the first second is synced
        for text in (b"one", b"two"):
            assert log.write(text) == fastlog.OK
            assert log.flush() == fastlog.OK
            before = cpu_seconds(daemon)
            time.sleep(2)
            assert cpu_seconds(daemon) - before < 0.04, "0.5 % of two seconds, and some for the clock's grain"


def cpu_seconds(daemon: Daemon) -> float:
    fields = (daemon.folder / f"/proc/{daemon.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100
