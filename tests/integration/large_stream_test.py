"""A stream of 100 GiB (sparse, sealed): the daemon starts on it and fastlogctl jumps in it without reading it. Bounds are
generous, for busy machines; `./dev bench open` measures."""

import json
import re
import shutil
import subprocess
import time

import pytest
from support.daemon import BIN
from support.processors import seconds_to_start
from support.sparse_log import SparseLog


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    log = SparseLog(tmp_path_factory.mktemp("large") / "main").write()
    yield log
    shutil.rmtree(log.directory)


def ctl(log: SparseLog, *arguments: str) -> list[str]:
    started = time.monotonic()
    done = subprocess.run([str(BIN / "fastlogctl"), arguments[0], "--directory", str(log.directory), *arguments[1:]],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started < 1.0
    return done.stdout.splitlines()


def records(first: int, last: int) -> list[str]:
    return [f"record {number}" for number in range(first, last + 1)]


def at(log: SparseLog, sequence: int) -> str:
    return f"@{log.time_of(sequence) / 1e9:.3f}"


def test_it_has_a_hundred_gibibytes_and_is_sound(large):
    assert sum(path.stat().st_size for path in large.directory.iterdir()) == 100 << 30
    done = subprocess.run([str(BIN / "fastlogctl"), "verify", "--directory", str(large.directory)], capture_output=True, text=True)
    assert done.returncode == 0 and f"{large.records} records" in done.stdout, done.stdout


def test_since_until_and_tail_find_their_records(large):
    for first in (1, 2, 700, large.records // 2, large.records - 9):
        assert ctl(large, "cat", "-o", "cat", "-S", at(large, first), "-U", at(large, first + 9)) == records(first, first + 9)
        assert ctl(large, "cat", "-o", "cat", "-r", "-S", at(large, first), "-U", at(large, first + 9)) == records(first, first + 9)[::-1]
    assert ctl(large, "tail", "-o", "cat", "-n", "5") == records(large.records - 4, large.records)
    assert ctl(large, "tail", "-o", "cat", "-n", "2", "-U", at(large, 100)) == records(99, 100)
    assert ctl(large, "tail", "-o", "cat", "-n", "40", "-S", at(large, large.records - 2)) == records(large.records - 2, large.records)


def test_a_cursor_goes_on_where_it_was(large):
    shown = ctl(large, "cat", "-o", "cat", "-S", at(large, 3000), "-U", at(large, 3001), "--show-cursor")
    cursor = shown[-1].removeprefix("-- cursor: ")
    assert ctl(large, "cat", "-o", "cat", "-U", at(large, 3005), "--after-cursor", cursor) == records(3002, 3005)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("arguments", [["cat", "-S", "{}", "-U", "{}"], ["cat", "-r", "-S", "{}", "-U", "{}"], ["tail", "-n", "10"],
                                       ["tail", "-n", "3", "-U", "{}"], ["cat", "-r", "-S", "{}"]], ids=" ".join)
def test_a_jump_opens_a_few_files_only(large, arguments):
    near_the_end = arguments == ["cat", "-r", "-S", "{}"]
    words = [word.format(at(large, large.records - 3 if near_the_end else 3000)) for word in arguments]
    done = subprocess.run(["strace", "-f", "-e", "trace=openat", str(BIN / "fastlogctl"), words[0], "--directory", str(large.directory),
                           *words[1:]], capture_output=True, text=True, timeout=60)
    opened = re.findall(r"openat\(.*\.flog", done.stderr)
    assert done.returncode == 0 and 0 < len(opened) < 60, len(opened)


def test_the_daemon_starts_on_it(idle_daemon, large):
    daemon = idle_daemon
    for path in large.directory.iterdir():
        (daemon.log_directory / path.name).parent.mkdir(exist_ok=True)
        (daemon.log_directory / path.name).hardlink_to(path)
    daemon.stream.update(segment_bytes="256MiB", retention={"bytes_max": "200GiB", "keep_free": "0"})
    assert seconds_to_start(daemon) < 3.0
    with daemon.connect() as connection:
        connection.sendall(b"after a hundred gibibytes\n")
    daemon.quiesce(1)
    assert daemon.cat("-r", "-S", "-1h") == [b"after a hundred gibibytes"]
    facts = json.loads(daemon.ctl("streams", "--json").stdout)[0]
    assert (facts["first"], facts["last"]) == (1, large.records + 1)
    assert daemon.stop() == 0
