"""Prometheus text -> numbers, and the equation of the records."""

import re

_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)(?: \d+)?")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


class Metrics:
    """One scrape."""

    def __init__(self, text: str):
        self.text = text
        self._samples: list[tuple[str, dict[str, str], float]] = []
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, labels, value = _SAMPLE.fullmatch(line).groups()
                self._samples.append((name, dict(_LABEL.findall(labels or "")), float(value)))

    def names(self) -> set[str]:
        return {name for name, _, _ in self._samples}

    def sum(self, name: str, **labels: str) -> int:
        """Over every sample of that name whose labels contain these; a name never seen is an error."""
        found = [value for sample, has, value in self._samples if sample == name and labels.items() <= has.items()]
        if not found and name not in self.names():
            raise KeyError(f"no metric {name}")
        return int(sum(found))

    received = property(lambda self: self.sum("fastlogd_received_records_total"))
    stored = property(lambda self: self.sum("fastlogd_stored_records_total"))
    repeated = property(lambda self: self.sum("fastlogd_repeated_records_total"))
    dropped = property(lambda self: self.sum("fastlogd_dropped_records_total"))
    in_flight = property(lambda self: self.sum("fastlogd_in_flight_records"))
    reloads = property(lambda self: (self.sum("fastlogd_config_reload_success_total"),
                                     self.sum("fastlogd_config_reload_failure_total")))

    def check_equation(self) -> None:
        """received = stored + repeated + dropped + in_flight, at every scrape."""
        parts = {"stored": self.stored, "repeated": self.repeated, "dropped": self.dropped, "in_flight": self.in_flight}
        assert self.received == sum(parts.values()), f"received {self.received}, but {parts}"
        assert self.in_flight >= 0
