"""No heap allocation per record: malloc counted in the real daemon's io and appender threads, over every kind of input."""

import contextlib
import os
import signal
import socket
import subprocess
import time

import pytest
from support import native_client as native
from support.daemon import Daemon, eventually
from support.native_client import NativeClient
from support.source_tree import ROOT

CONNECTIONS = 64
RECORDS = 100_000
LINES = b"".join(b"081109 203615 %06d INFO dfs.DataNode$PacketResponder: PacketResponder 1 terminating\n" % n for n in range(500))
RFC3164 = b"".join(b"<13>Nov 22 23:05:01 host%d app%d[%d]: message number %d\n" % (n % 7, n % 11, n, n) for n in range(500))
RFC5424 = b"".join(b'<165>1 2026-11-22T22:14:15.003Z host%d app%d %d ID%d [a@1 x="y z" n="%d"][b@2 q="\\"w\\""] text %d\n'
                   % (n % 7, n % 11, n, n % 47, n, n) for n in range(500))


@pytest.fixture
def counted(idle_daemon):
    """A daemon under the malloc counter; its threads' counts come from allocations()."""
    library = idle_daemon.folder / "malloc_counter.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(ROOT / "tests/support/malloc_counter.c")], check=True)
    return idle_daemon.start(LD_PRELOAD=str(library), MALLOC_COUNTS=str(idle_daemon.folder / "counts"))


def allocations(daemon: Daemon) -> dict[str, int]:
    """Allocations since the last call in the threads of the record path."""
    path = daemon.folder / "counts"
    path.unlink(missing_ok=True)
    daemon.process.send_signal(signal.SIGUSR2)
    eventually(lambda: path.exists() and path.read_text().endswith("end 0\n"))
    counts: dict[str, int] = {}
    for line in path.read_text().splitlines():
        name, _, count = line.rpartition(" ")
        if name.startswith(("fl-io", "fl-append")):
            counts[name] = counts.get(name, 0) + int(count)
    return counts


def test_the_counter_sees_the_threads_of_the_record_path(counted):
    with counted.connect() as connection:
        connection.sendall(LINES)
    counted.quiesce(500)
    tasks = f"/proc/{counted.process.pid}/task"
    names = {open(f"{tasks}/{task}/comm").read().strip() for task in os.listdir(tasks)}
    assert any(name.startswith("fl-io") for name in names) and any(name.startswith("fl-append") for name in names), names


@pytest.mark.parametrize("batch", [LINES, RFC3164, RFC5424], ids=["lines", "rfc3164", "rfc5424"])
def test_streams_allocate_nothing_per_record(counted, batch):
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(counted.connect()) for _ in range(CONNECTIONS)]
        per_round = CONNECTIONS * 500

        def send(rounds: int) -> int:
            for _ in range(rounds):
                for connection in connections:
                    connection.sendall(batch)
            return rounds * per_round

        for connection in connections:  # a message in two reads: each session gets its tail buffer, once in its life
            connection.sendall(batch[:40])
        time.sleep(0.3)
        for connection in connections:
            connection.sendall(batch[40:])
        sent = per_round + send(2)
        counted.quiesce(sent)
        before = len(list(counted.log_directory.glob("*.flog")))
        allocations(counted)
        sent += send(RECORDS * 2 // per_round)
        counted.quiesce(sent)
        counts = allocations(counted)
    assert len(list(counted.log_directory.glob("*.flog"))) > before, "a roll was to be part of it"
    assert sum(counts.values()) == 0, counts


def test_native_records_and_their_acknowledgements_allocate_nothing_per_record(counted):
    plain = [native.record(b"PacketResponder %d terminating" % n) for n in range(250)]
    rich = [native.record(b"text %d" % n, wanted=native.STORED, when=n + 1, identifier=b"app%d" % (n % 11), procid=b"%d" % n,
                          msgid=b"ID%d" % (n % 47), data=b'[a@1 n="%d"]' % n) for n in range(250)]
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(NativeClient(counted.connect())) for _ in range(CONNECTIONS)]

        def send(rounds: int) -> None:
            for _ in range(rounds):
                for client in clients:
                    client.connection.sendall(native.batch(client.next, plain + rich))
                    client.next += 500
                for client in clients:
                    client.wait_stored(client.next - 1)

        send(3)
        allocations(counted)
        send(RECORDS * 2 // (500 * CONNECTIONS))
        counts = allocations(counted)
    assert sum(counts.values()) == 0, counts


def test_datagrams_from_changing_pids_allocate_nothing_per_record(counted):
    def send(processes: int) -> None:
        for _ in range(processes):
            child = os.fork()
            if child == 0:
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                    sender.connect(counted.target("unix-datagram").path)
                    for number in range(200):
                        sender.send(b"<13>app: datagram number %d" % number)
                os._exit(0)
            os.waitpid(child, 0)

    send(20)
    counted.quiesce(20 * 200)
    allocations(counted)
    send(100)
    counted.quiesce(120 * 200)
    counts = allocations(counted)
    assert sum(counts.values()) == 0, counts
