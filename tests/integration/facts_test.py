"""streams, segments, usage and gaps: what there is, who writes how much, what was lost; with a daemon and without."""

import json
import subprocess
import sys

import pytest
from support.daemon import BIN, eventually

SENT = {"web": 30, "db": 20, "cron": 10}


def offline(directory, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([str(BIN / "fastlogctl"), arguments[0], "--directory", str(directory), *arguments[1:]], capture_output=True,
                          text=True, timeout=60)


@pytest.fixture
def filled(daemon):
    with daemon.connect() as connection:
        for name, count in SENT.items():
            for number in range(count):
                connection.sendall(f"<14>Nov 22 23:05:01 {name}[1]: {number:03} {'x' * 96}\n".encode())
    daemon.quiesce(sum(SENT.values()))
    return daemon


@pytest.fixture(params=["running", "stopped"])
def ask(request, filled):
    """Runs a command with --json: through the configuration while the daemon runs, or on the directory alone."""
    if request.param == "stopped":
        assert filled.stop() == 0

    def run(*arguments: str, code: int = 0):
        if request.param == "running":
            done = filled.ctl(arguments[0], "--json", *arguments[1:], check=False)
        else:
            done = offline(filled.log_directory, arguments[0], "--json", *arguments[1:])
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)
    run.live = request.param == "running"
    return run


def test_usage_says_who_writes_how_much_largest_first(ask):
    rows = ask("usage")
    assert [(row["identifier"], row["records"], row["message_bytes"]) for row in rows] == [
        (name, count, count * 100) for name, count in SENT.items()]
    assert all(row["transport"] == "unix-stream" and row["uid"] is not None and row["last"] for row in rows)
    assert ask("usage", "-S", "tomorrow", code=1) == [] and ask("usage", "-U", "yesterday", code=1) == []


def test_usage_for_people_has_a_line_for_each(filled):
    lines = filled.ctl("usage").stdout.decode().splitlines()
    assert lines[0].split()[0] == "IDENTIFIER" and [line.split()[0] for line in lines[1:]] == list(SENT)


SENDER = """
import socket, sys
with open("/proc/self/comm", "wb") as name:
    name.write(b"a\\x1b[2J\\nb")
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
connection.sendall(b"without a header\\n")
sys.stdin.read()
"""


def test_usage_sends_no_terminal_what_senders_call_themselves(daemon):
    sender = subprocess.Popen([sys.executable, "-c", SENDER, daemon.target("unix-stream").path], stdin=subprocess.PIPE)
    daemon.quiesce(1)  # the name is looked up while the process lives
    sender.stdin.close()
    assert sender.wait(20) == 0
    (row,) = json.loads(daemon.ctl("usage", "--json").stdout)
    assert row["identifier"] == "a\x1b[2J\nb"
    shown = daemon.ctl("usage").stdout
    assert b"\x1b" not in shown and shown.splitlines()[1].startswith(rb"a\x1b[2J\nb "), shown


def test_streams_tells_what_the_files_hold(ask):
    (stream,) = ask("streams")
    assert (stream["stream"], stream["live"]) == ("main", ask.live)
    assert (stream["first"], stream["last"]) == (1, sum(SENT.values())) and stream["oldest"] <= stream["newest"]


def test_segments_lists_every_file_and_its_state(ask, filled):
    # More are made ready just after a start.
    assert eventually(lambda: len(ask("segments")) == len(list(filled.log_directory.glob("*.flog"))))
    rows = ask("segments")
    if ask.live:
        assert rows[0]["state"] == "active" and {row["state"] for row in rows[1:]} <= {"ready"}
        assert all(row[key] is None for row in rows for key in ("records", "first", "last", "oldest", "newest")), "no trailer says it yet"
    else:
        (row,) = rows
        assert (row["state"], row["records"], row["first"], row["last"]) == ("sealed", 60, 1, 60)
        assert row["file_bytes"] == 4 << 20 and row["disk_bytes"] < 1 << 20 and row["oldest"] <= row["newest"]


def test_gaps_says_when_there_are_none(filled, ask):
    assert ask("gaps", code=1) == []
    assert offline(filled.log_directory, "gaps").stdout == "no gaps\n"


def test_gaps_says_what_was_lost_and_why_once(filled):
    def begun() -> int:
        return sum(row["state"] in ("active", "sealed") for row in json.loads(filled.ctl("segments", "--json").stdout))

    filled.ctl("rotate")
    eventually(lambda: begun() > 1)  # where none was prepared yet, the old one goes on for a moment
    for number in range(2):
        with filled.connect() as connection:
            connection.sendall(b"in the next segment\n" * 5)
        filled.quiesce(60 + 5 * (number + 1))
        filled.ctl("rotate")
        eventually(lambda: begun() > number + 2)
    assert filled.stop() == 0
    victim = sorted(filled.log_directory.glob("*.flog"))[1]
    victim.unlink()
    before = json.loads(offline(filled.log_directory, "gaps", "--json").stdout)
    assert [(gap["first"], gap["last"], gap["records"]) for gap in before] == [(61, 65, 5)]
    filled.start()
    after = json.loads(filled.ctl("gaps", "--json").stdout)
    assert [(gap["reason"], gap["first"], gap["last"], gap["records"]) for gap in after] == [("damaged", 61, 65, 5)]
    assert after[0]["from"] and after[0]["to"] and after[0]["from"] <= after[0]["to"]
    text = filled.ctl("gaps").stdout.decode()
    assert "damaged" in text and text.endswith("5 records lost in all\n")
    assert filled.ctl("verify", check=False).returncode == 0
