"""A configuration that can't be used: a clear message with file, line and column, and exit code 78."""

import os
import re
import subprocess

import pytest
from support.daemon import BIN, Daemon
from support.source_tree import ROOT

BAD = {
    "empty": b"", "only a comment": b"# nothing\n", "not yaml": b"streams: {main: [\n", "a list": b"- a\n- b\n", "binary": b"\x7fELF\0\1\2",
    "unknown key": b"listners: []\n", "duplicate key": b"http: {port: 1}\nhttp: {port: 2}\n",
    "wrong type": b"http: {address: 127.0.0.1, port: [9514]}\n", "port too high": b"http: {port: 70000}\n",
    "bad size": b"streams: {main: {directory: /tmp/x, segment_bytes: 64 apples}}\n",
    "not a power of two": b"streams: {main: {directory: /tmp/x, segment_bytes: 3MiB}}\n",
    "bad duration": b"streams: {main: {directory: /tmp/x, durability: {mode: interval, interval: soon}}}\n",
    "an unknown mode": b"streams: {main: {directory: /tmp/x, durability: {mode: fsync}}}\n",
    "unknown transport": b"listeners: [{name: a, transport: pigeon, stream: main}]\n",
    "listener without stream": b"streams: {main: {directory: /tmp/x}}\nlisteners: [{name: a, transport: tcp, address: 127.0.0.1, port: 1, stream: other}]\n",
    "two listeners of one name": b"listeners:\n  - {name: a, transport: unix-stream, path: /tmp/a, stream: main}\n  - {name: a, transport: unix-stream, path: /tmp/b, stream: main}\n",
    "a later feature": b"listeners: [{name: a, transport: journald, path: /tmp/a, stream: main}]\n",
}


def check(path) -> subprocess.CompletedProcess:
    return subprocess.run([str(BIN / "fastlogd"), "--config", str(path), "--check"], capture_output=True, text=True, timeout=20)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_with_its_place(folder, name):
    path = folder / "fastlogd.yaml"
    path.write_bytes(BAD[name])
    done = check(path)
    assert done.returncode == 78, done
    said = done.stdout + done.stderr
    place = rf"{re.escape(str(path))}:\d+:\d+: " if BAD[name].strip() and name != "only a comment" else re.escape(str(path))
    assert re.search(place, said), said


@pytest.mark.parametrize("name", ["unknown key", "not yaml"])
def test_the_daemon_does_not_start_on_it(folder, name):
    path = folder / "fastlogd.yaml"
    path.write_bytes(BAD[name])
    done = subprocess.run([str(BIN / "fastlogd"), "--config", str(path)], capture_output=True, text=True, timeout=20)
    assert done.returncode == 78 and re.search(rf"{re.escape(str(path))}:\d+:\d+: ", done.stderr), done


def test_a_misspelled_key_gets_a_suggestion(folder):
    path = folder / "fastlogd.yaml"
    path.write_bytes(BAD["unknown key"])
    assert "listeners" in check(path).stderr


def test_a_missing_or_unreadable_file_is_named(folder):
    assert check(folder / "nowhere.yaml").returncode == 78
    assert str(folder / "nowhere.yaml") in check(folder / "nowhere.yaml").stderr
    (folder / "directory.yaml").mkdir()
    assert check(folder / "directory.yaml").returncode == 78
    (folder / "secret.yaml").write_text("http: {port: 1}\n")
    (folder / "secret.yaml").chmod(0)
    done = subprocess.run(["setpriv", "--bounding-set=-dac_override,-dac_read_search", str(BIN / "fastlogd"), "--config",
                           str(folder / "secret.yaml"), "--check"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 78 and f"{folder}/secret.yaml:1:1: cannot be opened: Permission denied" in done.stderr


def test_a_good_file_passes(folder):
    path = Daemon(folder).write_config()
    done = check(path)
    assert done.returncode == 0, done


def test_the_published_examples_pass():
    examples = sorted((ROOT / "config").glob("*.yaml"))
    assert examples
    for path in examples:
        assert check(path).returncode == 0, path


def test_version_and_usage(folder):
    version = subprocess.run([str(BIN / "fastlogd"), "--version"], capture_output=True, text=True, timeout=20)
    assert version.returncode == 0 and re.search(r"\d+\.\d+\.\d+", version.stdout)
    assert subprocess.run([str(BIN / "fastlogd"), "--nonsense"], capture_output=True, timeout=20).returncode == 2
    assert os.listdir(folder) == []
