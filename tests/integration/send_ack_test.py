"""fastlogctl send --ack and bench: what they say is acknowledged is there, and they say so when something is not."""

import json
import subprocess

import pytest
from support.daemon import BIN, eventually


def run(daemon, *arguments: str, lines: bytes = b"") -> subprocess.CompletedProcess:
    return subprocess.run(daemon.ctl_command(*arguments), input=lines, capture_output=True, timeout=60)


def test_every_line_is_acknowledged_and_stored(daemon):
    lines = [b"line %d" % n for n in range(5000)]
    done = run(daemon, "send", "--ack", "stored", "--print-acks", "-p", "local3.err", "-t", "acker", lines=b"\n".join(lines))
    assert done.returncode == 0, done.stderr
    numbers = [int(number) for number in done.stdout.split()]
    assert numbers == sorted(set(numbers)) and numbers[-1] == 5000
    assert daemon.cat("-t", "acker", "-p", "err..err") == lines


def test_an_acknowledgement_is_printed_while_the_input_is_still_open(daemon):
    sender = subprocess.Popen(daemon.ctl_command("send", "--ack", "stored", "--print-acks"),
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    for n in range(1, 4):
        sender.stdin.write(b"one more\n")
        sender.stdin.flush()
        assert sender.stdout.readline() == b"%d\n" % n
        assert len(daemon.cat()) == n, "what is printed can be read"
    sender.stdin.close()
    assert sender.wait(10) == 0


def test_a_message_on_the_command_line_over_tcp(daemon):
    done = subprocess.run([str(BIN / "fastlogctl"), "send", "--tcp", f"127.0.0.1:{daemon.syslog_port}", "--ack", "stored",
                           "hello", "world"], capture_output=True, timeout=30)
    assert done.returncode == 0 and daemon.cat() == [b"hello world"]


def test_a_refused_line_is_an_error_and_no_number_behind_it_is_printed(idle_daemon):
    daemon = idle_daemon
    daemon.config["limits"] = {"record_bytes_max": "1KiB"}
    daemon.start()
    done = run(daemon, "send", "--ack", "stored", "--print-acks", lines=b"a\nb\n" + b"x" * 2000 + b"\nd\n")
    assert done.returncode == 1 and b"too_large" in done.stderr and b"number 3" in done.stderr, done.stderr
    assert all(int(number) <= 2 for number in done.stdout.split())
    assert daemon.cat() == [b"a", b"b", b"d"]


def test_a_daemon_that_dies_is_an_error_that_says_how_far_it_came(daemon):
    sender = subprocess.Popen(daemon.ctl_command("send", "--ack", "stored", "--print-acks"),
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    sender.stdin.write(b"first\n")
    sender.stdin.flush()
    assert sender.stdout.readline() == b"1\n"
    daemon.kill()
    assert sender.wait(20) == 1, "without waiting for the end of the input"
    assert b"acknowledged up to 1 of 1" in sender.stderr.read()
    sender.stdin.close()
    daemon.start()
    assert daemon.cat() == [b"first"]


@pytest.mark.parametrize("arguments", [("--print-acks", "x"), ("--ack", "stored", "--raw", "x"), ("--ack", "later", "x")])
def test_what_does_not_go_together_is_wrong_usage(daemon, arguments):
    assert run(daemon, "send", *arguments).returncode == 2


def test_acknowledgements_of_a_listener_for_text_are_refused_with_its_reason(idle_daemon):
    daemon = idle_daemon
    daemon.listener("app")["format"] = "raw"
    daemon.start()
    path = daemon.target("unix-stream").path
    done = subprocess.run([str(BIN / "fastlogctl"), "send", "--socket", path, "--ack", "stored", "x"],
                          capture_output=True, timeout=30)
    assert done.returncode == 1 and b"format is not auto" in done.stderr, done.stderr


def test_bench_counts_what_the_daemon_counts(daemon):
    done = run(daemon, "bench", "--records", "20000", "--clients", "8", "--window", "100", "--size", "200", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["sent"] == said["acknowledged"] == 20_000 and said["refused"] == 0
    latency = said["ack_latency_ns"]
    assert 0 < latency["p50"] <= latency["p99"] <= latency["p99.99"] <= latency["max"]
    now = eventually(lambda: daemon.quiesce(20_000))
    assert now.stored == 20_000
    assert set(map(len, daemon.cat())) == {200}


def test_bench_keeps_its_rate(daemon):
    done = run(daemon, "bench", "--rate", "2000", "--duration", "2s", "--json")
    assert done.returncode == 0, done.stderr
    assert 3000 < json.loads(done.stdout)["sent"] <= 4001
