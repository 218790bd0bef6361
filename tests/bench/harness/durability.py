"""Stalls at a set rate, by how frames are written and when they are synced."""

import math

from harness.figures import Run, duration, percentiles
from harness.rounds import tool_round
from harness.scenarios import Contender, Scenario, Sizes

WAYS = {
    "mapping": ("huge pages, populated ahead", []),
    "mapping, small pages": ("pages of 4 KiB, populated ahead", ["--write", "small-pages"]),
    "mapping, small pages, no helper": ("pages of 4 KiB, the appender takes the faults",
                                        ["--write", "small-pages", "--no-populate"]),
    "pwrite": ("a buffer, one pwrite(2) per batch", ["--write", "pwrite"]),
}
SYNCS = {"none": "no sync", "1s": "every 1 s", "10ms": "every 10 ms", "group": "group commit"}
ACK_PERCENTILES = ("p50", "p99", "p99.9", "p99.99", "p99.999", "max")
_BAR = 40


def _stall(sizes: Sizes, sync: str, options: list[str]):
    seconds = "1" if sizes.quick else "20"
    return lambda parent: tool_round(parent, "stall_tool", "--sync", sync, "--seconds", seconds, *options)


def durability(sizes: Sizes) -> Scenario:
    contenders = [Contender(f"{way}, {said}", setup, _stall(sizes, sync, options))
                  for sync, said in SYNCS.items() for way, (setup, options) in WAYS.items()]
    return Scenario(
        "durability", "Stalls at 200,000 records/s: how frames are written, and when they are synced",
        "Records of 128 to 256 bytes, 50 due every 250 µs, segments of 64 MiB, retention at 512 MiB: every second or two "
        "a roll, a seal and a removal. Every latency counts from the time its batch was *due*, so a stall is charged with "
        "all the batches it keeps waiting. One thread sends and appends; it sleeps until 60 µs before a batch is due and "
        "spins from there, so of two cores one is left to the store's helpers.",
        "records", "a store: due until published (readable)", contenders, [], tables=_tables)


def _tables(runs: dict[str, list[Run | None]]) -> str:
    return "\n\n".join([_latencies("Stored: due until published", "calls", runs),
                        _latencies("Acknowledged: due until durable", "ack_ns", runs),
                        _latencies("Of these, the machine: due until the idle sender got to it", "late_ns", runs),
                        _histograms(runs)])


def _latencies(title: str, key: str, runs: dict[str, list[Run | None]]) -> str:
    lines = [f"{title}; medians over the rounds, the maximum of all", "",
             "| | " + " | ".join(ACK_PERCENTILES) + " |", "|" + "---|" * (len(ACK_PERCENTILES) + 1)]
    for name, each in runs.items():
        found = [run.calls if key == "calls" else run.more.get(key) for run in each if run]
        found = [values for values in found if values]
        if not found:
            continue
        as_runs = [Run(1, 1, calls=values) for values in found]
        row = [duration(percentiles(as_runs, percentile)) for percentile in ACK_PERCENTILES[:-1]]
        row.append(duration(max(values["max"] for values in found)))
        lines.append(f"| {name} | " + " | ".join(row) + " |")
    return "\n".join(lines) if len(lines) > 4 else ""


def _histograms(runs: dict[str, list[Run | None]]) -> str:
    parts = []
    for name, each in runs.items():
        sums: dict[int, int] = {}
        for run in each:
            for upper, count in (run.more.get("store_histogram") or []) if run else []:
                sums[upper] = sums.get(upper, 0) + count
        if sums:
            parts.append(f"{name}\n{_histogram(sums)}")
    if not parts:
        return ""
    return ("Batches by how long their store took, all rounds; a bar's length is the logarithm of the count\n\n```text\n"
            + "\n\n".join(parts) + "\n```")


def _histogram(sums: dict[int, int]) -> str:
    """One line per bucket: its upper end, how many, and a bar in which one more tenth of it is ten times as many."""
    longest = math.log10(max(sums.values())) or 1.0
    return "\n".join(f"  <= {duration(upper):>7} {count:>9} {'#' * max(1, round(_BAR * math.log10(count) / longest))}"
                     for upper, count in sorted(sums.items()) if count)


ALL = {"durability": durability}
