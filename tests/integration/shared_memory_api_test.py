"""What fastlog.h and its C++ headers promise beside delivery: fields, formatting in place, no system call, no allocation."""

import ctypes
import os
import pathlib
import re
import shlex
import signal
import subprocess
import time

from support import fastlog
from support.daemon import BIN, Daemon, eventually
from support.fastlog import Client
from support.source_tree import ROOT

LIBRARY = BIN.parent / "lib"


def test_fields_are_found_by_their_names(daemon: Daemon):
    with fastlog.opened(daemon) as log:
        assert log.write_fields({b"user": b"me", b"path": b'a"b\\c]d'}, b"logged in") == fastlog.OK
        assert log.write_fields({b"user": b"you"}, b"") == fastlog.OK
        assert log.write_fields({}, b"without") == fastlog.OK
        assert log.write_fields({b"bad name": b"x"}, b"never") == fastlog.ARGUMENT
        assert log.flush() == fastlog.OK
    assert daemon.cat() == [b"logged in", b"", b"without"]
    assert daemon.cat("user=me") == [b"logged in"] and daemon.cat('path=a"b\\c]d') == [b"logged in"]


def test_a_message_is_formatted_in_its_place(daemon: Daemon):
    with fastlog.opened(daemon) as log:
        room, result = log.reserve(100, severity=3)
        assert room and result == fastlog.OK
        assert log.write(b"in between") == fastlog.FULL, "the thread's next call is to be commit or cancel"
        assert log.reserve(100, severity=7) == (None, fastlog.FULL), "as a formatter does that logs what it formats"
        ctypes.memmove(room, b"formatted, and more", 19)
        assert log.commit(101) == fastlog.ARGUMENT
        assert log.commit(9) == fastlog.OK
        assert log.commit(9) == fastlog.ARGUMENT, "nothing is reserved"
        assert log.reserve(100)[0]
        log.cancel()
        assert log.reserve(1 << 20) == (None, fastlog.TOO_LARGE)
        assert log.write(b"after") == fastlog.OK
        assert log.flush() == fastlog.OK
        assert (log.counts().written, log.counts().dropped) == (2, 3)
    assert daemon.cat() == [b"formatted", b"after"]
    assert [record["severity"] for record in daemon.cat_json() if "severity" in record] == ["err", "info"]  # beside gaps


def test_arguments_that_cannot_be_are_refused(daemon: Daemon):
    with fastlog.opened(daemon) as log:
        assert log.write(b"x", severity=8) == log.write(b"x", severity=-1) == fastlog.ARGUMENT
        assert log.flush(level=3) == fastlog.ARGUMENT
    assert fastlog.Log(daemon, flags=1 << 20).opened == fastlog.ARGUMENT
    assert fastlog.library().fastlog_close(None) == fastlog.OK


def test_the_time_of_the_call_is_kept_if_wanted(daemon: Daemon):
    with fastlog.opened(daemon, flags=fastlog.TIMES) as log:
        assert log.write(b"x") == fastlog.OK
        assert log.flush() == fastlog.OK
    record, = daemon.cat_json()
    assert record["sender_time"] <= record["time"]


def test_a_call_makes_no_system_call(daemon: Daemon, folder):
    """Of 200,000 calls at 50,000 a second, between the two lines that the program writes. All there may be is a bell for a
    daemon that fell asleep because nothing came for a while, when the program was kept from running; and a look at a daemon
    that has taken nothing of a sixteenth of the ring, when that one was."""
    trace = folder / "trace"
    client = Client(daemon, records=200_000, rate=50_000, flags=fastlog.MARKED,
                    prefix=("strace", "-f", "-o", str(trace)))
    assert client.result()["dropped"] == 0
    thread, calls, pauses = re.fullmatch(r'(?:.*\n)?(\d+) [^\n]*"begin\\n"[^\n]*\n((?:.*\n)?)[^\n]*"end (\d+)\\n".*', trace.read_text(),
                                         re.DOTALL).groups()
    # The main thread may still be on its way from starting this one to waiting for it.
    names = [re.match(r"\d+ +(?:<\.\.\. )?(\w+)", line)[1] for line in calls.splitlines()
             if line.startswith(f"{thread} ") and not line.endswith("---")]
    print(len(names), set(names), pauses)
    assert int(pauses) < 20_000, "too busy a machine to say anything"
    assert names.count("sendto") <= int(pauses) and names.count("poll") <= 200 and set(names) <= {"sendto", "poll"}


def bells_behind(log: fastlog.Log, trace: pathlib.Path, records: int, silence: float, longest: float) -> int:
    """How many of 50 silences behind so many records end with a bell. One that was longer, because this program was kept from
    running, says nothing, and there is another one for it."""
    def rung() -> int:
        return trace.read_text().count("sendto(")

    bells = judged = 0
    end = time.monotonic() + 60
    while judged < 50:
        assert time.monotonic() < end, f"too busy a machine to say anything: {judged} short silences"
        for _ in range(records):
            assert log.write(b"x" * 128) == fastlog.OK
        began, before = time.monotonic(), rung()
        time.sleep(max(0.0, began + silence - time.monotonic()))
        lasted = time.monotonic() - began
        assert log.write(b"x" * 128) == fastlog.OK
        if lasted <= longest:
            judged += 1
            bells += rung() - before
    return bells


def test_a_burst_behind_a_short_silence_rings_no_bell(daemon: Daemon, folder):
    """The daemon looks on for some 15 ms behind a thousand records, and sleeps behind a single one."""
    trace = folder / "trace"
    with fastlog.opened(daemon) as log:
        for _ in range(1000):
            assert log.write(b"x" * 128) == fastlog.OK
        with subprocess.Popen(["strace", "-f", "-e", "trace=sendto", "-o", str(trace), "-p", str(os.getpid())],
                              stderr=subprocess.PIPE) as tracer:
            assert b"attached" in tracer.stderr.readline()
            bells = [bells_behind(log, trace, 1000, 0.005, longest=0.01), bells_behind(log, trace, 1, 0.05, longest=60)]
            tracer.send_signal(signal.SIGINT)  # before anything is judged: who leaves the block waits for it
    print(bells)
    assert bells[0] <= 20 and bells[1] >= 40


def test_a_call_allocates_nothing(daemon: Daemon, folder):
    counter, counts = folder / "malloc_counter.so", folder / "counts"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", str(counter), str(ROOT / "tests/support/malloc_counter.c")],
                   check=True)
    client = Client(daemon, threads=2, rate=20_000, LD_PRELOAD=str(counter), MALLOC_COUNTS=str(counts))
    eventually(lambda: min(client.returned()) > 1000)
    found = []
    for calls in (0, 50_000):
        before = client.returned()
        eventually(lambda calls=calls, before=before: client.returned()[0] >= before[0] + calls, timeout=60)
        counts.unlink(missing_ok=True)
        client.process.send_signal(signal.SIGUSR2)
        found.append(eventually(lambda: counts.exists() and counts.read_text().endswith("end 0\n") and counts.read_text()))
    client.kill()
    assert sum(int(line.split()[-1]) for line in found[0].splitlines()) > 0, "connecting allocates, and is counted"
    assert sum(int(line.split()[-1]) for line in found[1].splitlines()) == 0, found[1]


def test_the_cpp_example_does_what_it_says(daemon: Daemon, folder):
    flags = shlex.split(f"-I{ROOT}/include -L{LIBRARY} -lfastlog -lfmt -Wl,-rpath,{LIBRARY}")
    for compiler in ("g++", "clang++-19"):
        program = folder / compiler
        if subprocess.run(["which", compiler], capture_output=True).returncode != 0:
            continue
        subprocess.run([compiler, "-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror",
                        "-DSPDLOG_FMT_EXTERNAL", str(ROOT / "docs/examples/log.cpp"), *flags, "-o", str(program)], check=True)
        subprocess.run([str(program)], check=True, env={**os.environ, "FASTLOG_SOCKET": daemon.listener("app")["path"]})
        records = daemon.cat_json()[-5:]
        assert [record["message"] for record in records] == [
            "plain", "97 of 100 are in use", "x" * 5000, "logged in", "disk sda is full"]
        assert [record["severity"] for record in records] == ["info", "warning", "info", "notice", "err"]
        assert daemon.cat("logger=app")[-1] == b"disk sda is full" and daemon.cat("user=me")[-1] == b"logged in"


def test_the_header_is_c(folder):
    source = folder / "header.c"
    source.write_text("#include <fastlog/fastlog.h>\nstruct fastlog_options options = FASTLOG_OPTIONS_INIT;\n")
    for standard in ("c99", "c11", "c17"):
        subprocess.run(["cc", f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only",
                        f"-I{ROOT}/include", str(source)], check=True)
