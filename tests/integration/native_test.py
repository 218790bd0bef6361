"""The native protocol: what is acknowledged is there, what is not is refused with a reason, and nobody hurts others."""

import concurrent.futures
import contextlib
import json
import os
import signal
import socket
import struct
import time

import pytest
from support import native_client as native
from support.daemon import MIB, eventually
from support.faults import slowed
from support.mounts import small_ext4
from support.native_client import NativeClient

SO_SNDBUFFORCE = 32  # of asm-generic/socket.h


def tcp(daemon) -> socket.socket:
    return socket.create_connection(("127.0.0.1", daemon.target("tcp").port))


def durable_position(daemon) -> int:
    """As a stranger reads it: FORMAT.md of the segments, the control file."""
    lock = dict(line.split("=", 1) for line in (daemon.log_directory / "LOCK").read_text().splitlines())
    with open(lock["control"], "rb") as control:
        return struct.unpack_from("<Q", control.read(520), 384)[0]


@pytest.mark.parametrize("connect", [lambda daemon: daemon.connect(), tcp], ids=["unix-stream", "tcp"])
def test_what_is_acknowledged_as_stored_can_be_read(daemon, connect):
    with NativeClient(connect(daemon)) as client:
        for n in range(20):
            last = client.send([b"record %d" % (n * 10 + i) for i in range(10)])
            client.wait_stored(last)
            assert daemon.metrics().stored >= last
        assert client.welcome.number == 1
        client.finish()
        assert client.closed and client.error is None
    assert daemon.cat() == [b"record %d" % n for n in range(200)]
    daemon.quiesce(200)
    daemon.verify()


def test_pipelined_records_are_stored_once_in_order_and_byte_for_byte(daemon):
    texts = [os.urandom(n % 700) for n in range(20_000)]
    with NativeClient(daemon.connect()) as client:
        for at in range(0, len(texts), 37):
            client.send(texts[at:at + 37])
        client.wait_stored(len(texts))
        assert not client.refused
    reader = [text for text in stored_bytes(daemon)]
    assert reader == texts
    daemon.verify()


def stored_bytes(daemon) -> list[bytes]:
    from base64 import b64decode
    return [b64decode(one["message_base64"]) if "message_base64" in one else one["message"].encode()
            for one in daemon.cat_json()]


def test_what_a_dead_client_had_sent_is_stored_though_nobody_hears_of_it(idle_daemon):
    """Its acknowledgements find nobody while most of its records still lie in the socket, more than the ring holds."""
    if os.geteuid() != 0:
        pytest.skip("so large a buffer needs root")
    idle_daemon.config["io"] = {"ring_bytes": "2MiB"}
    daemon = idle_daemon.start()
    with NativeClient(daemon.connect()) as client:
        client.listen(lambda: client.welcome is not None)
        client.connection.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 64 * MIB)
        daemon.process.send_signal(signal.SIGSTOP)
        client.connection.settimeout(5)
        for number in range(5000):
            client.send([b"record %d " % number + b"x" * 2000])
    daemon.process.send_signal(signal.SIGCONT)
    daemon.quiesce(5000)
    assert [message.split(b"x")[0] for message in daemon.cat()] == [b"record %d " % n for n in range(5000)]


def test_fields_survive(daemon):
    with NativeClient(daemon.connect(), identifier=b"web", host=b"box7") as client:
        client.send([b"hello"], when=1_700_000_000_123_456_789, procid=b"42", msgid=b"REQ", priority=131,
                    data=b'[req@1 id="7" who="a\\"b"]')
        client.wait_stored(client.send([b"other"], identifier=b"worker"))
    first, second = daemon.cat_json()
    said = json.dumps(first)
    for part in ("web", "box7", "42", "REQ", "hello"):
        assert part in said, (part, said)
    assert daemon.ctl("cat", "-o", "cat", "id=7").stdout == b"hello\n"
    assert "worker" in json.dumps(second)
    assert daemon.ctl("cat", "-o", "cat", "-t", "worker").stdout == b"other\n"
    assert daemon.ctl("cat", "-o", "cat", "-p", "err..err").stdout == b"hello\n"


def test_the_number_goes_on_where_the_client_says(daemon):
    with NativeClient(daemon.connect(), first=1000) as client:
        client.wait_stored(client.send([b"a", b"b"]))
        assert client.welcome.number == 1000 and client.stored == 1001


def test_synced_is_said_only_of_what_is_on_disk(daemon):
    with NativeClient(daemon.connect()) as client:
        for _ in range(3):
            before = durable_position(daemon)
            last = client.send([b"x" * 100] * 5, native.SYNCED)
            client.wait_synced(last)
            assert durable_position(daemon) > before, "acknowledged before a sync"
            assert client.stored >= client.synced == last


def test_flush_syncs_what_was_only_to_be_stored(daemon):
    with NativeClient(daemon.connect()) as client:
        last = client.send([b"a"] * 3)
        client.wait_stored(last)
        client.flush()
        client.wait_synced(last)


def test_a_slow_disk_delays_synced_and_not_stored(idle_daemon):
    daemon = idle_daemon.start()
    with slowed(daemon, "fdatasync", seconds=1.5), NativeClient(daemon.connect()) as client:
        began = time.monotonic()
        last = client.send([b"slow"], native.SYNCED)
        client.wait_stored(last)
        stored_after = time.monotonic() - began
        assert client.synced < last, "synced was said before the sync could have ended"
        client.wait_synced(last)
        assert time.monotonic() - began > 1.4 > stored_after


def test_ping_is_answered_in_order(daemon):
    with NativeClient(daemon.connect()) as client:
        for n in range(100):
            client.ping(n)
        client.listen(lambda: len(client.pongs) == 100)
        assert client.pongs == list(range(100))


def test_what_is_too_large_or_makes_no_sense_is_refused_and_the_rest_goes_on(idle_daemon):
    daemon = idle_daemon
    daemon.config["limits"] = {"record_bytes_max": "1KiB"}
    daemon.start()
    with NativeClient(daemon.connect()) as client:
        client.send([b"one", b"x" * 1024, b"x" * 1025, b"four"])
        client.send([b"five"], priority=200)
        last = client.send([b"six"])
        client.wait_stored(last)
        assert client.refused == {3: native.TOO_LARGE, 5: native.MALFORMED}
    assert daemon.cat() == [b"one", b"x" * 1024, b"four", b"six"]
    now = daemon.quiesce(6)
    now.check_equation()
    assert (now.received, now.stored, now.dropped) == (6, 4, 2)
    eventually(lambda: b"sender_error" in daemon.ctl("gaps", check=False).stdout)
    daemon.verify()


def test_a_client_that_wants_nothing_hears_nothing(daemon):
    with NativeClient(daemon.connect()) as client:
        client.send([b"quiet"] * 1000, native.NOTHING)
        client.ping(1)
        client.listen(lambda: client.pongs)
        daemon.quiesce(1000)
        client.finish()
        assert client.stored == 0 and client.error is None


LIES = {
    "no HELLO": native.MAGIC + native.batch(1, [native.record(b"a")]),
    "a length of 0": native.hello() + bytes(16),
    "a length over the maximum": native.hello() + struct.pack("<IBBHQ", 1 << 30, 2, 0, 0, 1) + bytes(64),
    "a record over its batch": native.hello() + native.message(2, 1, struct.pack("<II", 1, 0) + native.record(b"abc")[:16]
                                                               .replace(b"\x03", b"\x60", 1) + bytes(8)),
    "more records than bytes": native.hello() + native.message(2, 1, struct.pack("<II", 99, 0) + native.record(b"a")),
    "a hole in the numbers": native.hello() + native.batch(2, [native.record(b"a")]),
    "an unknown type": native.hello() + native.message(77, 1),
    "version 9": native.hello(lowest=9, highest=9),
    "a FLUSH ahead": native.hello() + native.message(3, 5),
    "garbage": native.MAGIC + bytes(range(1, 200)),
}


@pytest.mark.parametrize("said", LIES, ids=LIES)
def test_a_peer_that_lies_is_told_why_and_closed(daemon, said):
    with NativeClient(daemon.connect(), greet=False) as client, NativeClient(daemon.connect()) as other:
        client.connection.sendall(LIES[said])
        client.listen(lambda: False)
        assert client.error and client.error[1], "an ERROR with a text was due"
        other.wait_stored(other.send([b"still served"]))
    assert daemon.metrics().sum("fastlogd_closed_connections_total", reason="abusive") == 1
    assert daemon.cat() == [b"still served"]


@pytest.mark.parametrize("format", ["syslog", "raw"])
def test_a_listener_for_text_refuses_it_with_a_reason(idle_daemon, format):
    daemon = idle_daemon
    daemon.listener("app")["format"] = format
    daemon.start()
    with NativeClient(daemon.connect()) as client:
        client.listen(lambda: False)
        assert client.error and client.error[0] == 4


def test_a_client_that_never_reads_is_not_read_and_then_closed(daemon):
    """Its answers fill the socket; from then on nothing is taken from it, and others are served."""
    with NativeClient(daemon.connect()) as deaf, NativeClient(daemon.connect()) as other:
        deaf.connection.settimeout(60)
        sent = 0
        began = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - began < 60:
                deaf.connection.sendall(b"".join(native.message(native.PING, n) for n in range(1000)))
                sent += 1000
        assert 10 < time.monotonic() - began < 55, "closed after half a minute of not reading"
        other.wait_stored(other.send([b"served"]))
    assert sent < 1_000_000, "what it sent had no bound"
    eventually(lambda: daemon.metrics().sum("fastlogd_closed_connections_total", reason="abusive") == 1)


def test_sixty_four_connections_each_get_their_own_acknowledgements(daemon):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(NativeClient(daemon.connect(), identifier=b"c%d" % n)) for n in range(64)]
        for turn in range(20):
            for n, client in enumerate(clients):
                client.send([b"%d.%d" % (n, turn)] * (1 + n % 3))
        for client in clients:
            client.wait_stored(client.next - 1)
    total = sum(20 * (1 + n % 3) for n in range(64))
    daemon.quiesce(total)
    assert len(daemon.cat()) == total
    daemon.verify()


def test_sigterm_stores_and_acknowledges_what_was_received(daemon):
    with NativeClient(daemon.connect()) as client:
        for n in range(500):
            client.send([b"%d" % n] * 20)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            stopped = pool.submit(daemon.stop)
            client.listen(lambda: False)  # meanwhile: up to 500 acknowledgements may be more than a socket holds unread
            assert stopped.result() == 0
        assert client.error and client.error[0] == 6, client.error
        heard = client.stored
    daemon.start()
    assert len(daemon.cat()) == heard, "what was read was acknowledged, and nothing else"
    daemon.verify()


def test_after_kill_9_every_acknowledged_record_is_there_and_sending_again_loses_none(daemon):
    connection, first = daemon.connect(), 1
    acknowledged = []
    for _ in range(4):
        with NativeClient(connection, first=first) as client:
            for n in range(200):
                client.send([b"n%06d" % (client.next + i) for i in range(5)])
            client.wait_stored(first + 300)
            daemon.kill()
            with contextlib.suppress(OSError):
                client.listen(lambda: False)
            acknowledged.append(client.stored)
            first = client.stored + 1
        daemon.start()
        there = set(daemon.cat())
        assert {b"n%06d" % n for n in range(1, client.stored + 1)} <= there
        connection = daemon.connect()
    with NativeClient(connection, first=first) as client:
        client.wait_stored(client.send([b"the end"]))
    daemon.verify()


def test_a_stream_that_drops_refuses_what_it_drops(idle_daemon):
    daemon = idle_daemon
    with small_ext4(daemon.folder / "disk", 24) as disk:
        (disk / "ballast").write_bytes(b"\0" * (6 * MIB))
        daemon.log_directory = disk / "main"
        daemon.stream.update(directory=str(daemon.log_directory), when_full="drop-newest",
                             retention={"bytes_max": "1GiB", "keep_free": "0"})
        daemon.start()
        with NativeClient(daemon.connect()) as client:
            while not client.refused:
                client.wait_stored(client.send([b"x" * 1000] * 100))
                assert client.stored < 100_000, "the disk was to be full"
            assert set(client.refused.values()) == {native.STREAM_FULL}
            stored = client.next - 1 - len(client.refused)
            now = daemon.quiesce(client.next - 1)
            assert now.stored == stored and now.dropped == len(client.refused)
            daemon.stop()
    # The file system is gone with the daemon: what was stored is what was acknowledged, by count.
