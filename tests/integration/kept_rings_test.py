"""Shared memory in a service manager's keeping: what a client had written survives daemon and client, and is stored once."""

import os
import pathlib
import random
import signal
import time

import pytest
from support import fastlog
from support.daemon import Daemon, eventually
from support.fastlog import Client
from support.faults import slowed
from support.service_manager import ServiceManager

ROUNDS = int(os.environ.get("FASTLOGD_RESTARTS", "6"))


@pytest.fixture
def manager(folder) -> ServiceManager:
    return ServiceManager(folder)


@pytest.fixture
def daemon(idle_daemon: Daemon, manager) -> Daemon:
    return idle_daemon.start(NOTIFY_SOCKET=manager.path)


def kept_names(manager: ServiceManager) -> list[str]:
    manager.listen()
    return list(manager.kept)


def nothing_kept(manager: ServiceManager) -> bool:
    return not kept_names(manager)


def has_ended(pid: int) -> bool:
    """A process that is another one's to wait for."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"


def orphan(daemon: Daemon, how: signal.Signals, records: int) -> None:
    """A program that writes one record, is there when the daemon ends, writes more, and dies before the next one starts."""
    child = os.fork()
    if child == 0:
        log = fastlog.Log(daemon)
        good = log.write(b"0") == fastlog.OK and log.flush() == fastlog.OK
        os.kill(daemon.process.pid, how)  # Popen does it for its own children alone
        eventually(lambda: has_ended(daemon.process.pid))
        good = good and all(log.write(b"%d" % number) == fastlog.OK for number in range(1, records))
        os.kill(os.getpid(), signal.SIGKILL if good else signal.SIGUSR1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    daemon.process.wait(10)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_what_a_dead_client_wrote_while_there_was_no_daemon_is_stored(daemon: Daemon, manager, how):
    orphan(daemon, how, 3000)
    manager.start(daemon)
    eventually(lambda: daemon.metrics().sum("fastlogd_resumed_rings_total") == 1)
    eventually(lambda: len(daemon.cat()) >= 3000)
    assert daemon.cat() == [b"%d" % number for number in range(3000)]
    assert eventually(lambda: nothing_kept(manager))
    first, last = daemon.cat_json()[0], daemon.cat_json()[-1]
    assert {key: first[key] for key in ("pid", "uid", "transport")} == {key: last[key] for key in ("pid", "uid", "transport")}
    daemon.quiesce().check_equation()
    daemon.verify()


def test_a_client_that_lives_and_says_nothing_is_in_the_log_all_the_same(daemon: Daemon, manager):
    with fastlog.opened(daemon) as log:
        assert log.write(b"before") == fastlog.OK and log.flush() == fastlog.OK
        before_the_kill, = kept_names(manager)
        daemon.kill()
        assert log.write(b"meanwhile") == fastlog.OK
        manager.start(daemon)
        eventually(lambda: daemon.cat() == [b"before", b"meanwhile"])
        assert daemon.metrics().sum("fastlogd_open_connections") == 0, "a ring that came back is none"
        time.sleep(0.5)
        assert not nothing_kept(manager), "it may write into that memory yet"
        assert all(log.write(b"after %d" % number) == fastlog.OK for number in range(100)) and log.flush() == fastlog.OK
        assert daemon.cat() == [b"before", b"meanwhile", *(b"after %d" % number for number in range(100))]
        eventually(lambda: before_the_kill not in kept_names(manager))
        assert len(manager.kept) == 1, "the ring it has now"
    assert eventually(lambda: nothing_kept(manager))


def test_what_was_drained_is_not_drained_again(daemon: Daemon, manager):
    """Killed before it could have the ring removed, and started with it once more."""
    orphan(daemon, signal.SIGKILL, 2000)
    for _ in range(3):
        manager.start(daemon)
        kept = {name: [os.dup(fd) for fd in descriptors] for name, descriptors in manager.kept.items()}
        eventually(lambda: len(daemon.cat()) >= 2000)
        assert eventually(lambda: nothing_kept(manager))
        daemon.kill()
        manager.kept = kept
    manager.start(daemon)
    assert daemon.cat() == [b"%d" % number for number in range(2000)]


def test_a_client_that_lives_finds_its_records_stored_once_and_in_order(daemon: Daemon, manager):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    moments = random.Random(seed)
    clients = [Client(daemon, threads=2, records=records, size=200, rate=rate)
               for records, rate in ((0, 0), (0, 3000))]
    fastlog.wait_until_all_log(*clients)
    for number in range(ROUNDS):
        time.sleep(0.1 + moments.random() * 0.3)
        if number % 2:
            daemon.kill()
        else:
            assert daemon.stop() == 0
        time.sleep(moments.random() * 0.2)
        manager.start(daemon)
    time.sleep(0.3)
    returned = []
    for client in clients:
        client.kill()
        returned.append(client.returned())
    assert daemon.stop() == 0
    manager.start(daemon)  # who died between two rings may have left something in the first
    assert eventually(lambda: nothing_kept(manager))
    daemon.quiesce()
    for thread, numbers in fastlog.numbers(daemon).items():
        each = split_by_start(numbers)
        assert len(each) == len(clients), "each client's numbers, once and in their order"
        ends = sorted(one[-1] for one in each)
        for end, called in zip(ends, sorted(counts[thread] for counts in returned)):
            assert end - called in (0, 1), "a call that had returned, and at most the one that had not"
    daemon.verify()


def split_by_start(numbers: list[int]) -> list[list[int]]:
    """Two sequences 1, 2, 3, ... that were mixed, taken apart; a number that goes on with neither begins a new one."""
    sequences: list[list[int]] = []
    for number in numbers:
        for sequence in sequences:
            if sequence[-1] + 1 == number:
                sequence.append(number)
                break
        else:
            sequences.append([number])
    return sequences


def test_a_ring_is_given_away_before_its_client_has_it(daemon: Daemon, manager):
    """Whatever keeps the main thread, which tells the service manager everything else."""
    with slowed(daemon, "sendmsg", seconds=3, every_thread=False), fastlog.opened(daemon) as log:
        assert log.write(b"one") == fastlog.OK
        manager.listen()
        assert len(manager.kept) == 1
    assert eventually(lambda: nothing_kept(manager))


def test_clients_that_end_leave_nothing_behind(daemon: Daemon, manager):
    with fastlog.opened(daemon) as log:
        assert log.write(b"one") == fastlog.OK and log.flush() == fastlog.OK
        eventually(lambda: manager.listen() or len(manager.kept) == 1)
        assert len(manager.kept[next(iter(manager.kept))]) == 2
    assert eventually(lambda: nothing_kept(manager))
    assert daemon.stop() == 0


def test_what_is_no_ring_is_named_and_let_go(daemon: Daemon, manager):
    assert daemon.stop() == 0
    for number, sizes in enumerate(((4096, 8192), (4096, 1 << 20), (0, 0), (4096,))):
        files = [os.memfd_create("odd") for _ in sizes]
        for file, size in zip(files, sizes):
            os.truncate(file, size)
        manager.kept[f"fastlogd-ring-odd-{number}"] = files
    manager.start(daemon)
    assert eventually(lambda: nothing_kept(manager))
    for number in range(3):
        assert f"fastlogd-ring-odd-{number}" in daemon.stderr()
    assert "half of the ring fastlogd-ring-odd-3" in daemon.stderr()
    with daemon.connect() as connection:
        connection.sendall(b"served\n")
    daemon.quiesce(1)
    assert daemon.cat() == [b"served"]


def test_a_ring_whose_stream_nobody_feeds_waits_until_somebody_does(daemon: Daemon, manager):
    orphan(daemon, signal.SIGKILL, 10)
    daemon.config["streams"]["other"] = daemon.config["streams"].pop("main") | {"directory": str(daemon.folder / "other")}
    for listener in daemon.config["listeners"]:
        listener["stream"] = "other"
    manager.start(daemon)
    assert "no listener feeds stream main any more" in daemon.stderr()
    assert daemon.stop() == 0
    for listener in daemon.config["listeners"]:
        listener["stream"] = "main"
    daemon.config["streams"]["main"] = daemon.config["streams"]["other"] | {"directory": str(daemon.log_directory)}
    manager.start(daemon)
    eventually(lambda: len(daemon.ctl("cat", "main", "-o", "cat").stdout.splitlines()) == 10)
    assert eventually(lambda: nothing_kept(manager))
