"""What is measured: contenders, the pairs whose ratio matters, and what the ratio has to be."""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
from collections.abc import Callable

from harness import servers
from harness.figures import Run
from harness.paths import CORPUS, Unavailable, tool
from harness.rounds import Folder, run_json, socket_round, tool_round

GIB = 1 << 30


@dataclasses.dataclass
class Contender:
    name: str
    setup: str
    run: Callable[[pathlib.Path], Run]


@dataclasses.dataclass
class Pair:
    ours: str
    peer: str
    at_least: float | None = None
    goal: float | None = None


@dataclasses.dataclass
class Scenario:
    name: str
    title: str
    what: str  # what the clock sees, in a sentence or two
    unit: str  # of a rate: "records", "messages", "entries"
    calls: str | None  # what the percentiles are of
    contenders: list[Contender]
    pairs: list[Pair]
    missing: dict[str, str] = dataclasses.field(default_factory=dict)  # contender -> why it isn't there
    tables: Callable[[dict[str, list[Run | None]]], str] | None = None  # more than every scenario has
    tables_alone: bool = False  # instead of the row for each contender


@dataclasses.dataclass
class Sizes:
    """How much is sent. Quick is for seeing that everything runs: its numbers mean nothing."""

    quick: bool = False
    burst_bytes: int = 2 * GIB
    sustained_bytes: int = 20 * GIB
    stream_messages: int = 4_000_000
    datagrams: int = 1_000_000
    slow_share: float = 0.2  # of the datagrams that the slow peers get: a rate needs no more
    in_process: int = 4_000_000

    @classmethod
    def small(cls) -> "Sizes":
        return cls(True, 64 << 20, 256 << 20, 100_000, 20_000, 0.25, 200_000)


def collect(scenario: Scenario, makers: list[Callable[[], Contender]]) -> Scenario:
    """Adds the contenders that this machine has; the others are listed with the reason."""
    for make in makers:
        try:
            scenario.contenders.append(make())
        except Unavailable as reason:
            scenario.missing[make.__name__] = str(reason)
    present = {contender.name for contender in scenario.contenders}
    scenario.pairs = [pair for pair in scenario.pairs if {pair.ours, pair.peer} <= present]
    return scenario


def append_tool(parent_arguments: list[str], mode: str, *options: str) -> Callable[[pathlib.Path], Run]:
    return lambda parent: tool_round(parent, "append_tool", mode, *parent_arguments, *options)


def append_burst(sizes: Sizes) -> Scenario:
    size = ["--bytes", str(sizes.burst_bytes)]
    large = ["--segment-bytes", str(sizes.burst_bytes // 2)]
    return Scenario(
        "append", f"Append of 128-byte records, a burst of {sizes.burst_bytes / GIB:g} GiB of frames, no sync",
        "Frame-sized (160-byte) memcpy of the same source into one fresh mapping of the same size, allocated and advised "
        "like a segment, is what the memory allows. `writer` calls SegmentWriter directly on segments prepared before the "
        "clock starts, one thread and the populating helper. `ring+appender` is a producer thread, a ring, and the "
        "stream's own threads, until the last record is readable; preparing and sealing segments goes on meanwhile.",
        "records", "one append or memcpy (every 64th); for ring+appender the hand-over of one block of 64 records",
        [
            Contender("memcpy, helper", "MADV_HUGEPAGE, populated ahead", append_tool(size, "memcpy")),
            Contender("writer", "segments of 256 MiB, MADV_HUGEPAGE, populated ahead", append_tool(size, "writer")),
            Contender("ring+appender", "segments of 256 MiB (default), blocks of 64", append_tool(size, "appender")),
            Contender("ring+appender, large segments", f"segments of {sizes.burst_bytes // 2 >> 20} MiB, blocks of 64",
                      append_tool(size, "appender", *large)),
            Contender("memcpy, no helper", "MADV_HUGEPAGE", append_tool(size, "memcpy", "--no-populate")),
            Contender("writer, no helper", "segments of 256 MiB, MADV_HUGEPAGE", append_tool(size, "writer", "--no-populate")),
        ],
        [
            Pair("writer", "memcpy, helper", 0.35, 0.5),
            Pair("ring+appender", "memcpy, helper", 0.35, 0.5),
            Pair("ring+appender, large segments", "memcpy, helper", 0.35, 0.5),
            Pair("writer, no helper", "memcpy, no helper", 0.35, 0.5),
            Pair("ring+appender", "memcpy, no helper"),
        ])


def sustained(sizes: Sizes) -> Scenario:
    keep = 8 * GIB if not sizes.quick else 64 << 20
    segment = 256 << 20 if not sizes.quick else 16 << 20
    options = ["--bytes", str(sizes.sustained_bytes), "--keep-bytes", str(keep), "--segment-bytes", str(segment)]

    def checked(mode: str, *more: str) -> Callable[[pathlib.Path], Run]:
        def run(parent: pathlib.Path) -> Run:
            free = shutil.disk_usage(parent).free
            if free < keep + 6 * segment:
                raise Unavailable(f"{free >> 30} GiB are free, {(keep + 6 * segment) >> 30} are needed")
            return append_tool(options, mode, *more)(parent)
        return run

    return Scenario(
        "sustained", f"Sustained append of {sizes.sustained_bytes / GIB:g} GiB against the disk's own rate",
        f"`ring+appender` stores 128-byte records with retention at {keep / GIB:g} GiB; the clock stops when everything is "
        "on disk (fdatasync). `disk` writes as many bytes by pwrite(2) of 1 MiB into allocated files of a segment's "
        "size, an fdatasync(2) behind each, the oldest removed alike.",
        "records", "ring+appender: hand-over of a block of 64 records; disk: one pwrite of 1 MiB",
        [Contender("ring+appender", f"segments of {segment >> 20} MiB, durability none, a sync at the end",
                   checked("appender", "--durable")),
         Contender("disk", "pwrite 1 MiB, fdatasync per file", checked("disk"))],
        [Pair("ring+appender", "disk")])


def _over_sockets(scenario: Scenario, transport: str, header: str, messages: int,
                  peers: list[tuple[Callable[[], servers.Server], float]]) -> Scenario:
    """`peers` are makers of servers, and the share of the messages each gets."""
    for make, share in peers:
        name = getattr(make, "name", "") or make.__name__.replace("_", " ").lower()
        try:
            server = make()
        except Unavailable as reason:
            scenario.missing[name] = str(reason)
            continue
        count = max(1000, int(messages * share))
        run = lambda parent, server=server, count=count: socket_round(  # noqa: E731
            parent, server, transport, header, count, max(1000, count // 10))
        scenario.contenders.append(Contender(server.name, f"{server.setup}; {count} messages", run))
    present = {contender.name for contender in scenario.contenders}
    scenario.pairs = [pair for pair in scenario.pairs if {pair.ours, pair.peer} <= present]
    return scenario


_UNTIL = ("One connection, batches of 64 messages per system call, flat out, from the sender's first call until the last "
          "message is readable: in the log (fastlogd), in the output file (peers), received (discard). CPU and memory "
          "are the server's alone. ")


def fastlogd_with_text() -> servers.Server:
    return servers.Fastlogd(text=True)


def fastlogd_interval() -> servers.Server:
    return servers.Fastlogd(interval=True)


def unix_stream(sizes: Sizes) -> Scenario:
    ours, text = "fastlogd", "fastlogd with text file"
    return _over_sockets(Scenario(
        "stream", "Unix stream, HDFS lines", _UNTIL + "Lines as they are.", "messages", "the sender's write of 64 lines", [],
        [Pair(ours, servers.Discard.name, 0.6), Pair(ours, servers.S6Log.name, 3), Pair(text, servers.Discard.name, 0.6),
         Pair(text, servers.S6Log.name, 3), Pair("fastlogd, durability interval", servers.Discard.name),
         Pair(servers.ReceiveAndWrite.name, servers.Discard.name), Pair(ours, servers.ReceiveAndWrite.name),
         Pair(text, servers.ReceiveAndWrite.name)]),
        "unix-stream", "", sizes.stream_messages,
        [(servers.Fastlogd, 1), (servers.Discard, 1), (fastlogd_with_text, 1), (servers.S6Log, 1), (fastlogd_interval, 1),
         (servers.ReceiveAndWrite, 1)])


def unix_stream_syslog(sizes: Sizes) -> Scenario:
    ours, text = "fastlogd", "fastlogd with text file"
    return _over_sockets(Scenario(
        "syslog", "Unix stream, HDFS lines with a <13> header", _UNTIL + "Every line starts with `<13>`.", "messages",
        "the sender's write of 64 lines", [],
        [Pair(ours, servers.Rsyslog.name, 7, 10), Pair(ours, servers.SyslogNg.name, 7, 10),
         Pair(text, servers.Rsyslog.name), Pair(text, servers.SyslogNg.name)]),
        "unix-stream", "<13>", sizes.stream_messages,
        [(servers.Fastlogd, 1), (servers.Rsyslog, 0.5), (servers.SyslogNg, 0.5), (fastlogd_with_text, 1)])


def unix_datagram(sizes: Sizes) -> Scenario:
    ours = "fastlogd"
    return _over_sockets(Scenario(
        "datagram", "Unix datagrams, HDFS lines with a <13> header", _UNTIL + "sendmmsg(2) of 64 datagrams.", "messages",
        "the sender's sendmmsg of 64 datagrams", [],
        [Pair(ours, servers.Discard.name, 0.8), Pair(ours, servers.Rsyslog.name), Pair(ours, servers.SyslogNg.name),
         Pair(ours, servers.Journald.name)]),
        "unix-datagram", "<13>", sizes.datagrams,
        [(servers.Fastlogd, 1), (servers.Discard, 1), (servers.Rsyslog, sizes.slow_share),
         (servers.SyslogNg, sizes.slow_share), (servers.Journald, sizes.slow_share)])


def latency(sizes: Sizes) -> Scenario:
    seconds = 5 if not sizes.quick else 0.5

    def at(rate: int, transport: str) -> Contender:
        def run(parent: pathlib.Path) -> Run:
            server = servers.Fastlogd()
            count = int(rate * seconds)
            with Folder(parent) as folder:
                try:
                    server.start(folder, transport)
                    cpu_before = server.process.cpu_seconds()
                    found = run_json([tool("latency_tool"), "--to", f"{transport}:{server.socket_path}", "--log",
                                      str(folder / "log"), "--corpus", str(CORPUS), "--rate", str(rate),
                                      "--messages", str(count), "--warm-up", str(count // 10)])
                    cpu = (server.process.cpu_seconds() - cpu_before) / 1.1  # the warm-up's share
                    return Run(count, count / rate, cpu, server.process.status_kib("VmHWM"),
                               server.process.status_kib("RssAnon"), found["latency_ns"])
                finally:
                    server.stop()
        return Contender(f"{rate:,}/s, {transport}", "one record per system call; defaults, durability none", run)

    tool("fastlogd")
    return Scenario(
        "latency", "From send to readable at a set rate",
        "Each record carries the time at which it was due to be sent; a LogReader follows the log as `fastlogctl tail -f` "
        "does. The rate is given, not measured.", "records", "due until read",
        [at(rate, transport) for transport in ("unix-stream", "unix-datagram") for rate in (1_000, 25_000, 100_000)], [])


def ring(sizes: Sizes) -> Scenario:
    """Wraps ring_bench (Google Benchmark). A benchmark's first iteration lasts longer than the least time it is given
    here, so a process runs exactly one, and its CPU time is that iteration's."""
    program = tool("ring_bench")
    repeats = 1 if sizes.quick else 5

    def contender(name: str) -> Contender:
        def run(parent: pathlib.Path) -> Run:
            del parent
            entries, seconds, cpu, peak = 0, 0.0, 0.0, 0
            for _ in range(repeats):
                found, cpu_seconds, peak_kib = _run_benchmark(program, f"^{name}$")
                took = found["real_time"] * 1e-9 * found["iterations"]
                entries += int(found["items_per_second"] * took + 0.5)
                seconds, cpu, peak = seconds + took, cpu + cpu_seconds, max(peak, peak_kib)
            return Run(entries, seconds, cpu, peak)
        setup = "boost::lockfree::spsc_queue<128 bytes, capacity 8192>" if _is_boost(name) else "ring::ByteRing of 1 MiB"
        return Contender(name.removesuffix("/real_time"), setup, run)

    names = _benchmark_names(program)
    return Scenario(
        "ring", "Ring hand-over between two threads",
        "ring_bench: one thread hands entries of 128 bytes to another, one copy in and one out; 8192 fit in. CPU is of both "
        "threads, waiting included.", "entries", None,
        [contender(name) for name in names], _ring_pairs([name.removesuffix("/real_time") for name in names]))


def _is_boost(name: str) -> bool:
    return "boost" in name.lower() or "spsc" in name.lower()


def _ring_pairs(names: list[str]) -> list[Pair]:
    """The layout that the daemon uses (doubled) has to keep up with each way to use Boost's queue."""
    return [Pair(ours, peer, 1.0 if "doubled" in ours else None)
            for ours in names if not _is_boost(ours) for peer in names if _is_boost(peer)]


def _benchmark_names(program: str) -> list[str]:
    done = subprocess.run([program, "--benchmark_list_tests=true"], capture_output=True, text=True, check=True)
    return done.stdout.split()


def _run_benchmark(program: str, pattern: str) -> tuple[dict, float, int]:
    """One iteration: what it reports, the process's CPU seconds and its peak memory in KiB."""
    process = subprocess.Popen([program, f"--benchmark_filter={pattern}", "--benchmark_min_time=0.001",
                                "--benchmark_format=json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    if process.returncode != 0:
        raise RuntimeError(f"{program} ended with {process.returncode}")
    return json.loads(said)["benchmarks"][0], usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def open_large(sizes: Sizes) -> Scenario:
    """A stream of 100 GiB that is mostly holes: what a start and what a jump cost."""
    segments = ["--segments", "40" if sizes.quick else "400"]

    def contender(name: str, setup: str, mode: str, calls: int, *options: str) -> Contender:
        return Contender(name, setup, lambda parent: tool_round(parent, "open_tool", mode, *segments, "--calls", str(calls), *options))

    return Scenario(
        "open", "Opening a sealed stream of 400 segments of 256 MiB, and jumping in it",
        "open_tool makes the stream (a few records in each block, the rest of it a hole), syncs, and calls. `stat` opens every file "
        "and reads its first and last page. `recover` is what a start does before it can store. `since` opens the log as fastlogctl "
        "does, jumps to a random time and reads that record; `walk` reads on to it from the start of its segment. Cold: the files' "
        "pages are dropped from the page cache before each call; inodes and directory stay.",
        "calls", "one call",
        [
            contender("stat", "every file, first and last page", "stat", 30),
            contender("recover", "page cache warm", "recover", 30),
            contender("since", "page cache warm", "since", 2000),
            contender("since, no INDEX", "page cache warm", "since", 2000, "--no-index"),
            contender("walk", "page cache warm", "walk", 200),
            contender("stat, cold", "every file, first and last page", "stat", 5, "--cold"),
            contender("recover, cold", "", "recover", 5, "--cold"),
            contender("since, cold", "", "since", 50, "--cold"),
            contender("since, cold, no INDEX", "", "since", 50, "--cold", "--no-index"),
        ],
        [
            Pair("recover", "stat", 0.15),
            Pair("recover, cold", "stat, cold", 0.3),
            Pair("since", "stat", 4),
            Pair("since, cold", "stat, cold", 4),
            Pair("since", "walk"),
            Pair("since", "since, no INDEX"),
            Pair("since, cold", "since, cold, no INDEX"),
        ])


ALL: dict[str, Callable[[Sizes], Scenario]] = {
    "ring": ring,
    "append": append_burst,
    "sustained": sustained,
    "stream": unix_stream,
    "syslog": unix_stream_syslog,
    "datagram": unix_datagram,
    "latency": latency,
    "open": open_large,
}
