"""Loggers that a program calls: libfastlog through shared memory, and what keeps to its own process."""

import pathlib
import re
import subprocess
from collections.abc import Callable

from harness import servers
from harness.figures import Run
from harness.paths import CORPUS, Unavailable, tool
from harness.rounds import Folder, run_json, tool_round
from harness.scenarios import GIB, Contender, Pair, Scenario, Sizes, append_tool, collect


def _logger(mode: str, *options: str) -> Callable[[pathlib.Path], Run]:
    return lambda parent: tool_round(parent, "inprocess_tool", mode, *options)


def _fastlog(*options: str) -> Callable[[pathlib.Path], Run]:
    """libfastlog and a daemon of its own; the processor time is of both."""
    server = servers.Fastlogd()

    def run(parent: pathlib.Path) -> Run:
        with Folder(parent) as folder:
            server.start(folder, "unix-stream")
            try:
                before = server.process.cpu_seconds()
                found = run_json([tool("inprocess_tool"), "fastlog", "--socket", server.socket_path, *options,
                                  "--directory", str(folder), "--corpus", str(CORPUS)])
                server.process.check_alive()
                cpu = found["cpu_seconds"] + server.process.cpu_seconds() - before
                return Run(found["records"], found["seconds"], cpu, server.process.status_kib("VmHWM"),
                           server.process.status_kib("RssAnon"), found["call_ns"], {"record_bytes": found["record_bytes"]})
            finally:
                server.stop()
    return run


_SPDLOG = 'queue of 8192, block when full, pattern "%v", into a file'
_FASTLOG = "libfastlog, a ring of 4 MiB, to a daemon with segments of 256 MiB, durability none, else defaults"


def _quill(*options: str) -> Callable[[], Contender]:
    def quill() -> Contender:
        said = subprocess.run([tool("inprocess_tool"), "--help"], capture_output=True, text=True).stdout
        if not re.search(r"\{[^}]*\bquill\b", said):  # among the modes, not in the title
            raise Unavailable("the build found no quill (find_package)")
        return Contender("quill", "bounded queue of 1 MiB, block when full, a backend that never sleeps, into a file",
                         _logger("quill", *options))
    return quill


def shared_memory(sizes: Sizes) -> Scenario:
    """A burst through shared memory, against what copying costs and against loggers with a file of their own."""
    messages = sizes.burst_bytes // 160
    count = ["--messages", str(messages)]
    return collect(Scenario(
        "shared", f"Shared memory to segment, 128-byte messages, a burst of {sizes.burst_bytes / GIB:g} GiB of frames",
        "One thread calls fastlog_write until the last message is readable in the log; spdlog and quill write the same "
        "messages to a file; memcpy is that of `append`. CPU is of the program and the daemon together.",
        "messages", "one call to log (every eighth)",
        [Contender("fastlog", _FASTLOG, _fastlog(*count)),
         Contender("memcpy, helper", "MADV_HUGEPAGE, populated ahead", append_tool(["--bytes", str(sizes.burst_bytes)], "memcpy")),
         Contender("spdlog async", _SPDLOG, _logger("spdlog", *count))],
        [Pair("fastlog", "memcpy, helper", 0.35, 0.5), Pair("fastlog", "quill", 8), Pair("fastlog", "spdlog async", 15)]),
        [_quill(*count)])


def calls(sizes: Sizes, rate: int) -> Scenario:
    """What a call costs at a rate, in bursts that fit the ring."""
    seconds = 0.2 if sizes.quick else 3
    options = ["--messages", str(int(rate * seconds)), "--rate", str(rate), "--burst", "1000"]
    return collect(Scenario(
        f"calls-{rate // 1000}k", f"A call to log at {rate:,} a second, in bursts of 1,000",
        "Every call of 128 bytes is timed, by the time-stamp counter.", "messages", "one call to log",
        [Contender("fastlog", _FASTLOG, _fastlog(*options)),
         Contender("spdlog async", _SPDLOG, _logger("spdlog", *options))], []),
        [_quill(*options)])


def visible(sizes: Sizes) -> Scenario:
    """From the call until the caller itself sees its record in the log."""
    seconds = 0.3 if sizes.quick else 3

    def at(rate: int, setup: str) -> Contender:
        server = servers.Fastlogd()

        def run(parent: pathlib.Path) -> Run:
            with Folder(parent) as folder:
                server.start(folder, "unix-stream")
                try:
                    before = server.process.cpu_seconds()
                    found = run_json([tool("shared_tool"), "--socket", server.socket_path, "--rate", str(rate), "--records",
                                      str(int(rate * seconds)), "--visible", str(folder / "log")])
                    return Run(found["records"], found["called_s"], server.process.cpu_seconds() - before,
                               server.process.status_kib("VmHWM"), server.process.status_kib("RssAnon"),
                               {name: found[f"call_{key}_ns"] for name, key in _VISIBLE.items()})
                finally:
                    server.stop()
        return Contender(f"{rate:,} a second", setup, run)

    tool("shared_tool")
    return Scenario(
        "visible", "From a call to log until the record is visible",
        "The thread that calls fastlog_write (128 bytes) then looks into the mapped log until its record is there; the next one "
        "is due at the rate, but is not sent before. CPU and memory are the daemon's.", "records", "call until visible",
        [at(100_000, "the daemon is awake: it looks on between two records"),
         at(10_000, "a record every 100 us: at the edge of what it looks on for, it naps between two records"),
         at(1_000, "the daemon sleeps when the record comes")], [])


_VISIBLE = {"p50": "p50", "p99": "p99", "p99.9": "p999", "p99.99": "p9999", "max": "max"}


def in_process(sizes: Sizes) -> Scenario:
    def contender(name: str, mode: str, setup: str) -> Contender:
        return Contender(name, setup, _logger(mode, "--messages", str(sizes.in_process)))

    return collect(Scenario(
        "inprocess", "128-byte messages inside one process, one logging thread",
        "Until the last message is readable in the log or in the file; nobody syncs.", "messages",
        "one call to log (every eighth)",
        [contender("ring+appender", "ring", "one ring entry per message, segments of 256 MiB"),
         contender("spdlog async", "spdlog", _SPDLOG),
         contender("write(2)", "write", "one write per message, O_APPEND")],
        [Pair("ring+appender", "spdlog async"), Pair("ring+appender", "write(2)"), Pair("ring+appender", "quill")]),
        [_quill("--messages", str(sizes.in_process))])


ALL: dict[str, Callable[[Sizes], Scenario]] = {
    "inprocess": in_process,
    "shared": shared_memory,
    "visible": visible,
    "calls-100k": lambda sizes: calls(sizes, 100_000),
    "calls-1000k": lambda sizes: calls(sizes, 1_000_000),
}
