"""Tables for people, JSON for programs."""

import dataclasses
import datetime
import json
import pathlib
import re

from harness.figures import PERCENTILES, Run, Spread, duration, percentiles, ratio, spread
from harness.scenarios import Pair, Scenario

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


@dataclasses.dataclass
class Result:
    scenario: Scenario
    runs: dict[str, list[Run | None]]  # contender -> one per round; None: that round failed
    errors: dict[str, str]


def _rate(rates, unit: str) -> str:
    found = spread(rates)
    if found is None:
        return "–"
    scale, prefix = (1e-6, "M") if found.median >= 1e5 else (1e-3, "k")
    return f"{found.text(2, scale)} {prefix} {unit}/s"


def _gigabytes(runs: list[Run], key: str) -> str:
    found = spread([run.rate * run.more[key] for run in runs if run and key in run.more])
    return found.text(2, 1e-9) if found else "–"


def _memory(peak: Spread | None, anonymous: Spread | None) -> str:
    if peak is None:
        return "–"
    return f"{peak.median / 1024:.0f}" + (f" ({anonymous.median / 1024:.0f})" if anonymous else "")


def _in_force(result: Result) -> str:
    """What a store says of itself: without it a slow run can't be understood."""
    lines = []
    for name, runs in result.runs.items():
        facts = [run.more for run in runs if run and "segment_waits" in run.more]
        if facts:
            waits = spread([fact["segment_waits"] for fact in facts])
            lines.append(f"- {name}: huge pages in force in {sum(fact['huge_pages'] for fact in facts)} of {len(facts)} "
                         f"rounds, waited for a prepared segment {waits.text(0)} times")
    return "\n".join(lines)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def _contender_rows(result: Result) -> str:
    scenario = result.scenario
    every = [run for runs in result.runs.values() for run in runs if run]
    in_bytes = any("frame_bytes" in run.more for run in every)
    has_process = any(run.cpu_seconds is not None for run in every)
    head = ["", f"{scenario.unit}, median (min–max)"]
    if in_bytes:
        head += ["GB/s of frames", "GB/s of messages"]
    if has_process:
        head += ["CPU per record", "peak memory (anonymous), MiB"]
    if scenario.calls:
        head += list(PERCENTILES)
    rows = []
    for contender in scenario.contenders:
        runs = [run for run in result.runs.get(contender.name, []) if run]
        if not runs:
            continue
        row = [contender.name, _rate([run.rate for run in runs], scenario.unit)]
        if in_bytes:
            row += [_gigabytes(runs, "frame_bytes"), _gigabytes(runs, "record_bytes")]
        if has_process:
            cpu = spread([run.cpu_nanos for run in runs])
            peak = spread([run.peak_kib for run in runs])
            anonymous = spread([run.anonymous_kib for run in runs])
            row += [duration(cpu.median) if cpu else "–",
                    _memory(peak, anonymous)]
        if scenario.calls:
            row += [duration(percentiles(runs, name)) for name in PERCENTILES]
        rows.append(row)
    return _table(head, rows)


def _verdict(median: float, pair: Pair) -> str:
    if pair.at_least is None:
        return ""
    if median < pair.at_least:
        return "missed"
    return "goal reached" if pair.goal is not None and median >= pair.goal else "reached"


def pair_figures(result: Result) -> list[dict]:
    figures = []
    for pair in result.scenario.pairs:
        found = ratio(result.runs.get(pair.ours, []), result.runs.get(pair.peer, []))
        if found is not None:
            figures.append({"ours": pair.ours, "peer": pair.peer, "median": found.median, "min": found.low,
                            "max": found.high, "at_least": pair.at_least, "goal": pair.goal,
                            "verdict": _verdict(found.median, pair)})
    return figures


def _pair_rows(result: Result) -> str:
    rows = []
    for figure in pair_figures(result):
        demanded = "–" if figure["at_least"] is None else f"at least {figure['at_least']:g}"
        if figure["goal"] is not None:
            demanded += f", goal {figure['goal']:g}"
        rows.append([f"{figure['ours']} / {figure['peer']}",
                     f"**{figure['median']:.2f}** ({figure['min']:.2f}–{figure['max']:.2f})", demanded, figure["verdict"]])
    return _table(["ratio of rates, round by round", "median (min–max)", "demanded", ""], rows) if rows else ""


def markdown(result: Result) -> str:
    scenario = result.scenario
    parts = [f"### {scenario.title}", scenario.what, "" if scenario.tables_alone else _contender_rows(result)]
    if scenario.calls:
        parts.append(f"Percentiles (medians over the rounds) are of: {scenario.calls}.")
    if scenario.tables:
        parts.append(scenario.tables(result.runs))
    parts += [_pair_rows(result), _in_force(result)]
    setups = [f"- {contender.name}: {contender.setup}" for contender in scenario.contenders if contender.setup]
    setups += [f"- {name}: **not measured**: {why}" for name, why in scenario.missing.items()]
    setups += [f"- {name}: **failed**: {' '.join(why.split())}" for name, why in result.errors.items()]
    parts.append("\n".join(setups))
    return "\n\n".join(part for part in parts if part) + "\n"


def headed(result: Result, machine: dict[str, str], rounds: int, quick: bool) -> str:
    """One benchmark for the document: below its title, when and where it was measured."""
    title, rest = markdown(result).split("\n\n", 1)
    return f"{title}\n\n<details><summary>when and where</summary>\n\n{head(machine, rounds, quick)}\n</details>\n\n{rest}"


def head(machine: dict[str, str], rounds: int, quick: bool) -> str:
    today = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    lines = [f"Measured {today}, {rounds} round{'s' if rounds != 1 else ''} in turns."]
    if quick:
        lines.append("**Quick mode: the volumes are too small for conclusions.**")
    lines.append("\n".join(f"- {key}: {value}" for key, value in machine.items()))
    return "\n\n".join(lines) + "\n"


def as_json(machine: dict[str, str], results: list[Result], quick: bool) -> str:
    return json.dumps({
        "quick": quick,
        "machine": machine,
        "scenarios": [{
            "name": result.scenario.name,
            "title": result.scenario.title,
            "setups": {contender.name: contender.setup for contender in result.scenario.contenders},
            "missing": result.scenario.missing,
            "errors": result.errors,
            "runs": {name: [run and dataclasses.asdict(run) | {"rate": run.rate} for run in runs]
                     for name, runs in result.runs.items()},
            "ratios": pair_figures(result),
        } for result in results],
    }, indent=1) + "\n"


def write_into(document: pathlib.Path, text_of: dict[str, str], order: list[str]) -> None:
    """Puts each benchmark's text between the marks, in place of what it left there before; the others' stay."""
    before, rest = document.read_text().split(BEGIN, 1)
    old, after = rest.split(END, 1)
    found = dict(re.findall(r"<!-- result: ([\w-]+) -->\n(.*?)(?=<!-- result: |\Z)", old, re.DOTALL)) | text_of
    parts = [f"<!-- result: {name} -->\n{found[name].strip()}" for name in order if name in found]
    document.write_text("\n\n".join([before + BEGIN, *parts, END + after]))
