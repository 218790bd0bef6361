"""fastlogctl: the filters, the formats, the exit codes, and what it asks the daemon to do."""

import json
import os
import pwd
import re
import subprocess
import time

import pytest
from support.daemon import BIN, eventually
from support.load import Load, numbers
from support.source_tree import ROOT

RECORDS = (b"<11>Nov 22 23:05:01 web[10]: disk failed\n<12>Nov 22 23:05:01 web[10]: Disk slow\n<14>Nov 22 23:05:01 db[20]: started\n"
           b"<15>Nov 22 23:05:01 db[20]: details\n<8>Nov 22 23:05:01 kernel: panic\nno header at all\n"
           b'<14>1 - host app 7 ID47 [a@1 user="alice" n="1"] logged in\n<14>1 - host app 7 ID48 [a@1 user="bob" n="2"] logged in\n')
ALL = [b"disk failed", b"Disk slow", b"started", b"details", b"panic", b"no header at all", b"logged in", b"logged in"]


@pytest.fixture
def filled(daemon):
    with daemon.connect() as connection:
        connection.sendall(RECORDS)
    daemon.quiesce(len(ALL))
    return daemon


@pytest.mark.parametrize(("options", "expected"), [
    ([], ALL), (["-p", "err"], [b"disk failed", b"panic"]), (["-p", "warning..err"], [b"disk failed", b"Disk slow"]),
    (["-p", "warning.."], [b"disk failed", b"Disk slow", b"panic"]), (["-p", "..err"], ALL[:4] + ALL[5:]),
    (["-p", "debug"], ALL), (["-t", "web"], [b"disk failed", b"Disk slow"]), (["-t", "web", "-t", "kernel"], [b"disk failed", b"Disk slow", b"panic"]),
    (["-T", "web", "-T", "db"], ALL[4:]), (["-g", "disk"], [b"disk failed", b"Disk slow"]), (["-g", "Disk"], [b"Disk slow"]),
    (["-g", "^start.*d$"], [b"started"]), (["-r"], ALL[::-1]), (["-S", "-1h"], ALL), (["-S", "yesterday", "-U", "tomorrow"], ALL),
    (["pid=7"], []), (["procid=7"], [b"logged in", b"logged in"]), (["msgid=ID48"], [b"logged in"]), (["user=alice"], [b"logged in"]),
    (["a@1.user=bob"], [b"logged in"]), (["identifier!=web", "severity=info"], [b"started", b"no header at all", b"logged in", b"logged in"]),
    (["-U", "2001-01-01"], []), (["-S", "tomorrow"], []), (["-t", "nobody"], []),
], ids=lambda value: " ".join(value) if value and isinstance(value[0], str) else None)
def test_filters(filled, options, expected):
    done = filled.ctl("cat", "-o", "cat", *options, check=False)
    assert done.stdout.split(b"\n")[:-1] == expected, done.stderr
    assert done.returncode == (0 if expected else 1)


def test_grep_finds_and_says_when_nothing_is_found(filled):
    assert filled.ctl("grep", "-o", "cat", "panic").stdout == b"panic\n"
    assert filled.ctl("grep", "-o", "cat", "nowhere", check=False).returncode == 1
    assert filled.ctl("grep", "-o", "cat", "(unclosed", check=False).returncode == 2
    assert filled.ctl("grep", "-o", "cat", "main", "panic", check=False).returncode == 2, "no stream is called panic"


@pytest.mark.parametrize(("words", "expected"), [
    (["panic"], [b"panic"]), (["-g", "panic"], [b"panic"]), (["panic", "main"], [b"panic"]), (["-g", "panic", "main"], [b"panic"]),
    (["main", "--grep", "disk"], [b"disk failed", b"Disk slow"]), (["-g", "disk", "severity=err"], [b"disk failed"]),
    (["disk", "main", "severity=err"], [b"disk failed"]), (["-g", "disk", "main", "severity=warning"], [b"Disk slow"]),
])
def test_grep_takes_its_pattern_as_a_word_or_an_option(filled, words, expected):
    assert filled.ctl("grep", "-o", "cat", *words).stdout.split(b"\n")[:-1] == expected


@pytest.mark.parametrize(("form", "pattern"), [
    ("short", rb"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ web\[10\]: disk failed"),
    ("short-iso", rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d \S+ web\[10\]: disk failed"),
    ("short-precise", rb"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d\.\d{6} \S+ web\[10\]: disk failed"),
    ("cat", rb"disk failed"), ("raw", rb"disk failed"),
])
def test_formats(filled, form, pattern):
    line = filled.ctl("cat", "-o", form).stdout.split(b"\n")[0]
    assert re.fullmatch(pattern, line), line


def test_json_has_what_the_sender_said(filled):
    records = filled.cat_json()
    last = records[-1]
    assert last["structured_data"] == {"a@1": {"user": "bob", "n": "2"}}
    assert (last["host"], last["identifier"], last["procid"], last["msgid"], last["severity"], last["facility"], last["format"]) == (
        "host", "app", "7", "ID48", "info", "user", "rfc5424")
    assert records[5].get("format") is None and records[5]["severity"] == "info"


def keys_of(value) -> set[str]:
    """Every key in a JSON value, at any depth, but what senders name."""
    if isinstance(value, list):
        return set().union(*map(keys_of, value))
    if not isinstance(value, dict):
        return set()
    return set(value).union(*(keys_of(inner) for key, inner in value.items() if key != "structured_data"))


def test_the_manual_names_every_key_of_the_stable_interfaces(filled):
    with filled.connect() as connection:
        connection.sendall(b"\xff not UTF-8\n<192>too high\n" + b"x" * 70_000 + b"\n")
    filled.quiesce(len(ALL) + 3)
    keys = keys_of(filled.cat_json()) | keys_of(json.loads(filled.ctl("status", "--json").stdout))
    assert {"truncated", "malformed", "message_base64", "msgid", "uid", "durable", "in_flight"} <= keys
    manual = (ROOT / "docs" / "fastlogctl.1.scd").read_text()
    assert {key for key in keys if f"*{key.removesuffix('_base64')}*" not in manual} == set()


def test_a_cursor_goes_on_where_it_was(filled):
    shown = filled.ctl("cat", "-o", "cat", "--show-cursor").stdout.split(b"\n")
    cursor = next(line for line in shown if b"cursor" in line).split(b": ", 1)[1].decode().strip()
    assert filled.ctl("cat", "-o", "cat", "--after-cursor", cursor, check=False).returncode == 1
    with filled.connect() as connection:
        connection.sendall(b"newer\n")
    filled.quiesce(len(ALL) + 1)
    for named in (cursor, f"-- cursor: {cursor}"):  # as the line says it, too: tail -n 1 makes it of a run's output
        assert filled.ctl("cat", "-o", "cat", "--after-cursor", named).stdout == b"newer\n"


def test_time_selects_by_receipt(daemon):
    with daemon.connect() as connection:
        connection.sendall(b"early\n")
        daemon.quiesce(1)
        time.sleep(1.1)
        middle = time.time()
        time.sleep(1.1)
        connection.sendall(b"late\n")
        daemon.quiesce(2)
    assert daemon.cat("-S", f"@{middle}") == [b"late"] and daemon.cat("-U", f"@{middle}") == [b"early"]


@pytest.mark.parametrize("arguments", [["--nonsense"], ["cat", "-o", "nonsense"], ["cat", "-p", "nonsense"], ["cat", "-S", "soonish"],
                                       ["nonsense"], ["tail", "-n", "many"], ["grep"], ["grep", "-r"], ["cat", "-g", "(unclosed"]])
def test_wrong_usage_exits_2_and_says_why(filled, arguments):
    done = subprocess.run([str(BIN / "fastlogctl"), *arguments, "--config", str(filled.config_path)], capture_output=True, timeout=20)
    assert done.returncode == 2 and done.stderr.startswith(b"fastlogctl: "), done


def test_no_log_and_no_configuration_are_said_clearly(folder):
    done = subprocess.run([str(BIN / "fastlogctl"), "cat", "--directory", str(folder / "nowhere")], capture_output=True, text=True, timeout=20)
    assert done.returncode not in (0, 3) and str(folder / "nowhere") in done.stderr
    done = subprocess.run([str(BIN / "fastlogctl"), "cat", "--config", str(folder / "nowhere.yaml")], capture_output=True, text=True, timeout=20)
    assert done.returncode == 78 and "nowhere.yaml" in done.stderr


def test_status_tells_what_runs(filled):
    status = json.loads(filled.ctl("status", "--json").stdout)
    assert "main" in json.dumps(status)
    lines = filled.ctl("status").stdout.decode().splitlines()
    assert "  - name: main" in lines and "    durability: interval" in lines
    assert not [line for line in lines if len(line.replace(str(filled.folder), "")) > 100]


def test_status_without_a_daemon_says_that_none_runs(filled):
    filled.stop()
    done = filled.ctl("status", check=False)
    assert done.returncode != 0 and done.stderr


def test_send_logs_what_it_is_given(daemon):
    daemon.ctl("send", "hello from send")
    daemon.quiesce(1)
    assert daemon.cat() == [b"hello from send"]


@pytest.mark.parametrize("takes", [{"framing": "octet-counting"}, {"format": "raw"}], ids=["counted", "raw"])
def test_send_writes_as_the_listener_takes_it(idle_daemon, takes):
    daemon = idle_daemon
    daemon.listener("app").update(takes)
    daemon.start()
    done = subprocess.run(daemon.ctl_command("send"), input=b"one\ntwo\n", check=True, capture_output=True, timeout=20)
    daemon.quiesce(2)
    assert daemon.cat() == [b"one", b"two"], done


@pytest.mark.parametrize("options", [[], ["--ack", "stored"]], ids=["syslog", "native"])
def test_send_sends_its_words_as_they_are(daemon, options):
    messages = [['["a","b"]'], ["[ERROR]", "disk"], ["[]"], ["count", "++", "done"], ["a", "", "b"], ["--", "-x", "--", "y"], ["tail"],
                ["-1"], [""]]
    for words in messages:
        daemon.ctl("send", *options, "-t", "words", *words)
    daemon.quiesce(len(messages))
    sent = [" ".join(words).removeprefix("-- ").encode() for words in messages]
    assert daemon.cat("-t", "words") == sent


@pytest.mark.parametrize("words", [["-x"], ["a", "--nonsense"], ["-i5"]])
def test_send_refuses_options_it_does_not_have(daemon, words):
    done = daemon.ctl("send", *words, check=False)
    assert done.returncode == 2 and done.stderr.startswith(b"fastlogctl: ") and daemon.cat() == []


def test_rotate_seals_and_sync_makes_durable(filled):
    before = len(list(filled.log_directory.glob("*.flog")))
    filled.ctl("rotate")
    eventually(lambda: len(list(filled.log_directory.glob("*.flog"))) > before)
    filled.ctl("sync")
    filled.verify()
    assert filled.cat() == ALL


def test_a_closed_pipe_ends_it_quietly(daemon):
    Load(daemon.connect, rate=1e9, count=200_000).run()
    daemon.quiesce(200_000)
    process = subprocess.Popen(daemon.ctl_command("cat"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(20) in (0, -13, 141) and process.stderr.read() == b""


@pytest.mark.parametrize("command", [["cat"], ["tail"], ["status"], ["streams"], ["segments"], ["usage"], ["verify"], ["--help"]],
                         ids=lambda words: words[0])
def test_output_that_can_not_be_written_is_no_success(filled, command):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([str(BIN / "fastlogctl"), *command] if command == ["--help"] else filled.ctl_command(*command),
                              stdout=full, stderr=subprocess.PIPE, timeout=20)
    assert done.returncode == 2 and b"No space left" in done.stderr, done


def test_a_table_longer_than_its_reader_wants_ends_quietly(filled):
    with filled.connect() as connection:
        for number in range(2000):
            connection.sendall(b"<13>Nov 22 23:05:01 a-name-that-takes-some-room-%d: hello\n" % number)
    filled.quiesce(len(ALL) + 2000)
    process = subprocess.Popen(filled.ctl_command("usage"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(20) == 0 and process.stderr.read() == b""


def test_a_terminal_never_sees_control_characters(daemon):
    with daemon.connect() as connection:
        connection.sendall(b"evil \x1b]0;title\x07 end\n")
    daemon.quiesce(1)
    done = subprocess.run(["script", "-qec", " ".join(daemon.ctl_command("cat")), "/dev/null"], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=20, env=os.environ | {"PAGER": "cat", "TERM": "xterm"})
    assert b"evil" in done.stdout and b"\x1b]0" not in done.stdout and b"\x07" not in done.stdout


def test_verify_shows_what_it_checked(daemon):
    Load(daemon.connect, rate=1e9, count=100_000).run()
    daemon.quiesce(100_000)
    assert "100000" in re.sub(r"[^0-9a-z\n]", "", daemon.ctl("verify").stdout.decode().lower())


def test_reading_backwards_over_segments_is_forwards_reversed(daemon):
    Load(daemon.connect, rate=1e9, count=100_000).run()
    daemon.quiesce(100_000)
    assert numbers(b"\n".join(daemon.cat("-r"))) == list(range(99_999, -1, -1))


def test_json_is_unicode_whatever_bytes_a_path_has(idle_daemon):
    daemon = idle_daemon
    daemon.stream["directory"] = f"{daemon.folder}/log/x@"
    text = daemon.write_config().read_bytes().replace(b"x@", b"x\xff\xfe")
    daemon.config_path.write_bytes(text)
    daemon.spawn()
    eventually(daemon.is_ready)
    for command in ("status", "streams"):
        found = json.loads(daemon.ctl(command, "--json").stdout.decode("utf-8", errors="strict"))
        streams = found["streams"] if command == "status" else found
        assert streams[0]["directory"] == f"{daemon.folder}/log/x\ufffd\ufffd"
    assert b"x\xef\xbf\xbd" in daemon.ctl("status").stdout
    daemon.stop()


@pytest.mark.parametrize(("arguments", "words"), [
    (["send", "--stream", "nope", "x"], b"no stream nope; there are: main"), (["bench", "--stream", "nope"], b"no stream nope; there are: main"),
    (["send", "x", "-f", "/etc/hostname"], b"a message and --file exclude each other"),
    (["send", "--ack", "stored", "x", "-f", "/etc/hostname"], b"a message and --file exclude each other"), (["bench", "-n", "0"], b"0"),
    (["send", "--ack", "stored", "--raw", "x"], b"--ack"), (["send", "--tcp", "127.0.0.1:1", "x"], b"excludes"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else None)
def test_a_sender_refuses_what_it_would_not_do(daemon, arguments, words):
    done = daemon.ctl(*arguments, check=False)
    assert done.returncode == 2 and words in done.stderr, done
    assert daemon.metrics().received == 0


def test_a_message_is_of_the_user_even_if_no_variable_says_who_that_is(daemon):
    environment = {key: value for key, value in os.environ.items() if key != "USER"}
    subprocess.run(daemon.ctl_command("send", "hello"), env=environment, check=True, timeout=20)
    subprocess.run(daemon.ctl_command("send", "hello"), env=environment | {"USER": "somebody"}, check=True, timeout=20)
    daemon.quiesce(2)
    assert [record["identifier"] for record in daemon.cat_json()] == [pwd.getpwuid(os.getuid()).pw_name, "somebody"]
