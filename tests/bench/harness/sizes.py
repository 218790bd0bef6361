"""Sizes and producers: how much a daemon takes through shared memory, as a table and a plot."""

import pathlib
import shutil
import subprocess
import time

from harness import servers
from harness.figures import Run
from harness.paths import OUTPUT, tool
from harness.rounds import Folder, run_json
from harness.scenarios import Contender, Scenario, Sizes

MESSAGE_BYTES = (16, 64, 128, 512, 2048, 8192, 65536)
PRODUCERS = {"1 thread": (1, 1), "2 threads": (1, 2), "4 threads": (1, 4), "16 threads": (1, 16), "64 threads": (1, 64),
             "4 processes": (4, 1), "16 processes": (16, 1), "64 processes": (64, 1)}
RING_BYTES = 1 << 20
PLOT = OUTPUT / "sizes.svg"


def _name(producers: str, size: int) -> str:
    return f"{producers}, {size} B"


def _contender(producers: str, size: int, whole_bytes: int, records_max: int) -> Contender:
    processes, threads = PRODUCERS[producers]
    each = max(1, min(whole_bytes // size, records_max) // (processes * threads))
    server = servers.Fastlogd()
    command = ["--records", str(each), "--bytes", str(size), "--threads", str(threads), "--ring-bytes", str(RING_BYTES)]

    def run(parent: pathlib.Path) -> Run:
        with Folder(parent) as folder:
            server.start(folder, "unix-stream")
            try:
                before = server.process.cpu_seconds()
                seconds = _produce([tool("shared_tool"), "--socket", server.socket_path, *command], processes)
                server.process.check_alive()
                return Run(each * processes * threads, seconds, server.process.cpu_seconds() - before,
                           server.process.status_kib("VmHWM"), server.process.status_kib("RssAnon"), more={"size": size})
            finally:
                server.stop()

    return Contender(_name(producers, size), "", run)


def _produce(command: list[str], processes: int) -> float:
    """Until everything is stored. Of one process its own figure; of more, with their starts and ends."""
    if processes == 1:
        found = run_json(command)
        _check(found)
        return found["stored_s"]
    started = time.monotonic()
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(processes)]
    ended = [one.communicate() for one in running]
    seconds = time.monotonic() - started
    if any(one.returncode for one in running):
        raise RuntimeError(next(error for _, error in ended if error).strip())
    return seconds


def _check(found: dict) -> None:
    if found["dropped"] != 0 or found["shared"] == 0:  # of the threads only the first one is still there to be counted
        raise RuntimeError(f"{found['dropped']} records dropped, shared memory in {found['shared']} threads")


def sizes(wanted: Sizes) -> Scenario:
    whole, records = (8 << 20, 20_000) if wanted.quick else (1 << 30, 4_000_000)
    tool("shared_tool")
    return Scenario(
        "sizes", "Sizes and producers: shared memory to segment",
        f"Every producer calls fastlog_write as fast as it can, {whole >> 20} MiB or {records} messages in all, until all are "
        f"readable; a ring of {RING_BYTES >> 20} MiB each, a daemon with segments of 256 MiB and durability none. Threads are of "
        "one process; processes are counted from their start to their end. CPU and memory are the daemon's.",
        "messages", None,
        [_contender(producers, size, whole, records) for producers in PRODUCERS for size in MESSAGE_BYTES], [],
        tables=_tables, tables_alone=True)


def _tables(runs: dict[str, list[Run | None]]) -> str:
    rates = {name: max((run.rate for run in each if run), default=None) for name, each in runs.items()}
    plotted = _plot(rates)
    return "\n\n".join([
        "MB/s of messages, the best round:", _matrix(rates, lambda rate, size: f"{rate * size / 1e6:,.0f}"),
        "Million messages a second:", _matrix(rates, lambda rate, size: f"{rate / 1e6:.2f}"),
        f"![MB/s by size and producers]({PLOT.name})" if plotted else "No plot: gnuplot is not installed."])


def _matrix(rates: dict[str, float | None], shown) -> str:
    lines = ["| | " + " | ".join(f"{size} B" for size in MESSAGE_BYTES) + " |", "|" + "---|" * (len(MESSAGE_BYTES) + 1)]
    for producers in PRODUCERS:
        found = [(rates.get(_name(producers, size)), size) for size in MESSAGE_BYTES]
        lines.append(f"| {producers} | " + " | ".join(shown(rate, size) if rate else "–" for rate, size in found) + " |")
    return "\n".join(lines)


def _plot(rates: dict[str, float | None]) -> bool:
    if not shutil.which("gnuplot"):
        return False
    blocks, titles = [], []
    for producers in PRODUCERS:
        points = [f"{size} {rates[_name(producers, size)] * size / 1e6}" for size in MESSAGE_BYTES if rates.get(_name(producers, size))]
        if points:
            blocks.append("\n".join(points))
            titles.append(producers)
    script = [f"$p{i} << EOD\n{block}\nEOD" for i, block in enumerate(blocks)]
    script += ["set terminal svg size 900,560 background 'white' font 'sans,13'", f"set output '{PLOT}'", "set logscale xy",
               "set xlabel 'bytes of a message'", "set ylabel 'MB/s of messages, until readable'", "set grid", "set key left top",
               "set xtics (" + ", ".join(f"'{size}' {size}" for size in MESSAGE_BYTES) + ")",
               "plot " + ", ".join(f"$p{i} with linespoints title '{title}'" for i, title in enumerate(titles))]
    subprocess.run(["gnuplot"], input="\n".join(script) + "\n", text=True, check=True)
    return True


ALL = {"sizes": sizes}
