"""Numbers from rounds: medians, spreads, ratios of what was measured in the same round."""

import dataclasses
import statistics

PERCENTILES = ("p50", "p99", "p99.9", "p99.99", "max")


@dataclasses.dataclass
class Run:
    """One contender in one round. `rate` is records a second; times are nanoseconds, memory KiB."""

    records: int
    seconds: float
    cpu_seconds: float | None = None  # of the measured process alone
    peak_kib: int | None = None  # VmHWM: pages of mapped files included
    anonymous_kib: int | None = None  # RssAnon at the end
    calls: dict | None = None  # percentiles of single calls or latencies
    more: dict = dataclasses.field(default_factory=dict)

    @property
    def rate(self) -> float:
        return self.records / self.seconds

    @property
    def cpu_nanos(self) -> float | None:
        return None if self.cpu_seconds is None else self.cpu_seconds / self.records * 1e9


@dataclasses.dataclass
class Spread:
    median: float
    low: float
    high: float

    def text(self, digits: int = 2, scale: float = 1.0) -> str:
        low, median, high = (value * scale for value in (self.low, self.median, self.high))
        return f"{median:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def spread(values) -> Spread | None:
    known = [value for value in values if value is not None]
    return Spread(statistics.median(known), min(known), max(known)) if known else None


def ratio(ours: list[Run | None], peers: list[Run | None]) -> Spread | None:
    """The spread of the pairwise ratios of rates: round by round, each round's two runs being neighbours in time."""
    return spread(a.rate / b.rate for a, b in zip(ours, peers) if a and b)


def percentiles(runs: list[Run], name: str) -> float | None:
    """The median over the rounds of one percentile."""
    known = [run.calls[name] for run in runs if run and run.calls]
    return statistics.median(known) if known else None


def duration(nanos: float | None) -> str:
    """Three digits and a unit: 812 ns, 16.4 µs, 1.25 ms."""
    if nanos is None:
        return "–"
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if nanos >= size:
            return f"{nanos / size:.3g} {unit}"
    return f"{nanos:.0f} ns"
