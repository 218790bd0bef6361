"""What no well-meaning client sends: each is kept or refused with a count, and disturbs nobody else."""

import array
import base64
import os
import re
import socket

import pytest
from support.daemon import eventually

KIB = 1024


def send(daemon, data: bytes, kind: str = "unix-stream") -> None:
    target = daemon.target(kind)
    if kind == "unix-stream":
        with daemon.connect() as connection:
            connection.sendall(data)
    elif kind == "tcp":
        with socket.create_connection(("127.0.0.1", target.port)) as connection:
            connection.sendall(data)
    else:
        family = socket.AF_UNIX if kind == "unix-datagram" else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sender:
            sender.sendto(data, target.path or ("127.0.0.1", target.port))


def messages(daemon, count: int) -> list[bytes]:
    """Exact bytes of all stored messages."""
    daemon.quiesce(count)
    return [base64.b64decode(record["message_base64"]) if "message_base64" in record else record["message"].encode()
            for record in daemon.cat_json()]


@pytest.mark.parametrize("kind", ["unix-stream", "unix-datagram", "tcp", "udp"])
@pytest.mark.parametrize("message", [
    b"081109 203615 148 INFO a log line that starts with digits", b"", b"\xff\xfe not UTF-8 \x80", b"tab\tand \x1b[31m escape",
    b"carriage return at the end\r", b"<999>too high", b"<>", b"<", b"<13", b"<13>", b"<013>leading zero", b"<html>not a PRI",
    b"<-1>minus", b"a" * 60_000, "über".encode(), b"trailing spaces   ",
], ids=lambda value: repr(value[:16]) if isinstance(value, bytes) else value)
def test_any_message_is_kept(daemon, kind, message):
    send(daemon, message + b"\n", kind)
    assert messages(daemon, 1) == [b"" if message == b"<13>" else message]


@pytest.mark.parametrize(("sent", "expected"), [
    (b"a\0b\nc\0", [b"a", b"b\nc"]),
    (b"a\nb\0c\n", [b"a", b"b\0c"]),
    (b"a\n\0b\n\0", [b"a", b"b"]),
    (b"no delimiter at all", [b"no delimiter at all"]),
    (b"5 <1>ab7 <1>cdef", [b"ab", b"cdef"]),
    (b"6 <1>ab\n", [b"ab"]),
    (b"5 bottles\n6 bottles\n", [b"5 bottles", b"6 bottles"]),
    (b"a\n\n\nb\n", [b"a", b"", b"", b"b"]),
], ids=repr)
def test_framing_follows_the_connections_first_bytes(daemon, sent, expected):
    send(daemon, sent)
    assert messages(daemon, len(expected)) == expected


@pytest.mark.parametrize("lie", [
    b"20 <13>short", b"9999999 <13>much too little", b"5 <13>longer than it says 7 <13>x", b"0 <13>zero", b"12345678 <13>eight digits",
    b"3 <13", b"5 <1>ab99x not a count",
], ids=repr)
def test_an_octet_count_that_lies_costs_only_its_own_connection(daemon, lie):
    send(daemon, b"5 <1>ok" + lie)
    send(daemon, b"another connection\n")
    eventually(lambda: now_has(daemon, b"another connection"))
    assert b"ok" in daemon.cat()
    daemon.quiesce(2)
    daemon.verify()


def now_has(daemon, message: bytes) -> bool:
    return message in daemon.cat()


@pytest.mark.parametrize("kind", ["unix-stream", "tcp"])
def test_a_message_over_the_limit_is_cut_flagged_and_counted(daemon, kind):
    send(daemon, b"x" * (100 * KIB) + b"\nnext\n", kind)
    daemon.quiesce(2)
    long, following = daemon.cat_json()
    assert (len(long["message"]), long["truncated"], following["message"]) == (64 * KIB, True, "next")
    assert daemon.metrics().sum("fastlogd_truncated_records_total") == 1


def test_a_long_datagram_is_cut_flagged_and_counted(idle_daemon):
    idle_daemon.config["limits"] = {"record_bytes_max": "1KiB"}
    idle_daemon.start()
    send(idle_daemon, b"y" * 5000, "unix-datagram")
    idle_daemon.quiesce(1)
    (record,) = idle_daemon.cat_json()
    assert (len(record["message"]), record["truncated"]) == (1024, True)


def test_a_source_without_end_and_delimiter_is_cut_again_and_again(daemon):
    with daemon.connect() as connection:
        for _ in range(64):
            connection.sendall(b"z" * (256 * KIB))
        send(daemon, b"somebody else\n")
        eventually(lambda: now_has(daemon, b"somebody else"))
    daemon.quiesce(2)
    assert max(map(len, daemon.cat())) <= 64 * KIB
    assert daemon.metrics().sum("fastlogd_truncated_records_total") >= 1


def test_one_byte_at_a_time_makes_the_same_records(daemon):
    with daemon.connect() as connection:
        for byte in b"<13>Nov 22 23:05:01 slow: one by one\nsecond\n":
            connection.send(bytes([byte]))
    assert messages(daemon, 2) == [b"one by one", b"second"]


def test_an_unfinished_line_waits_and_others_do_not(daemon):
    with daemon.connect() as slow:
        slow.sendall(b"first\nbegun, ")  # who has sent a delimiter is waited for without limit
        send(daemon, b"quick\n")
        eventually(lambda: now_has(daemon, b"quick"))
        slow.sendall(b"ended\n")
    found = messages(daemon, 3)
    assert sorted(found) == [b"begun, ended", b"first", b"quick"] and found[-1] == b"begun, ended"


def test_malformed_headers_are_kept_whole_and_counted(daemon):
    broken = [b"<13>1 2026-11-22T25:61:61Z host app - - [unclosed text", b"<192>one too high"]
    send(daemon, b"\n".join(broken) + b"\n")
    assert messages(daemon, 2) == broken
    assert [record.get("malformed") for record in daemon.cat_json()] == [True, True]
    assert daemon.metrics().sum("fastlogd_malformed_records_total") == 2


@pytest.mark.parametrize("hello", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"\x1f\x8b\x08\x00\x00\x00\x00\x00", b"\x78\x9c\x4b\x4c\x4a\x06\x00"],
                         ids=["tls", "gzip", "zlib"])
def test_a_peer_that_does_not_speak_text_is_refused_with_the_reason(daemon, hello):
    send(daemon, hello * 4, "tcp")
    eventually(lambda: daemon.metrics().sum("fastlogd_closed_connections_total", reason="not_text") == 1)
    assert not daemon.cat()
    assert re.search(r"listener tcp: the connection of 127\.0\.0\.1:\d+ was refused: the peer s", daemon.stderr())


def test_each_reason_is_said_however_often_another_is(daemon):
    for _ in range(20):
        send(daemon, b"\x1f\x8b\x08\x00\x00\x00\x00\x00", "tcp")
    send(daemon, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", "tcp")
    send(daemon, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc")
    send(daemon, b"5 <1>abnonsense")
    eventually(lambda: daemon.metrics().sum("fastlogd_closed_connections_total", reason="not_text") == 22)
    eventually(lambda: daemon.metrics().sum("fastlogd_closed_connections_total", reason="abusive") == 1)
    said = daemon.stderr()
    assert (said.count("raw gzip stream"), said.count("speaks TLS"), said.count("no octet count")) == (1, 2, 1), said
    assert f"listener app: the connection of uid {os.getuid()}, pid {os.getpid()} was" in said


def open_descriptors(daemon) -> int:
    return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))


@pytest.mark.parametrize("kind", ["unix-stream", "unix-datagram"])
@pytest.mark.parametrize("gifts", [8, 253], ids=["a few", "as many as the kernel lets through"])
def test_uninvited_descriptors_are_closed_and_the_record_is_kept(daemon, kind, gifts):
    send(daemon, b"warm up\n", kind)
    daemon.quiesce(1)
    eventually(lambda: daemon.metrics().sum("fastlogd_open_connections") == 0)
    before = open_descriptors(daemon)
    socket_type = socket.SOCK_STREAM if kind == "unix-stream" else socket.SOCK_DGRAM
    with open("/dev/null", "rb") as null, socket.socket(socket.AF_UNIX, socket_type) as sender:
        sender.connect(daemon.target(kind).path)
        gift = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [null.fileno()] * gifts))]
        for _ in range(50):
            sender.sendmsg([b"with a gift\n"], gift)
    now = daemon.quiesce(51)
    assert (now.stored, daemon.cat()) == (51, [b"warm up"] + [b"with a gift"] * 50)
    assert {record["pid"] for record in daemon.cat_json()} == {os.getpid()}, "the kernel's word is not lost over it"
    eventually(lambda: open_descriptors(daemon) <= before + 2)  # a scrape may be open at either time
    if kind == "unix-datagram":
        cut = 0 if gifts == 8 else 50
        assert now.sum("fastlogd_control_truncated_datagrams_total") == cut
        assert now.sum("fastlogd_closed_descriptors_total") >= (50 * gifts if not cut else 50)
