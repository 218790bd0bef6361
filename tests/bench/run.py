#!/usr/bin/python3
"""Measures fastlogd against what a reader knows; `./dev bench` calls it.

Every benchmark is run in rounds: in each round all contenders take their turn, in an order that is reversed from round
to round, and a ratio is made of the two runs of the same round. Printed are medians with the spread. docs/benchmarks.md
says what each figure means. Everything runs in temporary folders, on loopback and temporary sockets.
"""

import argparse
import pathlib
import shutil
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from harness import durability, group, loggers, machine, report, scenarios, sizes  # noqa: E402
from harness.paths import CORPUS, OUTPUT, ROOT, Unavailable  # noqa: E402


SCENARIOS = scenarios.ALL | loggers.ALL | sizes.ALL | durability.ALL | group.ALL


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("benchmark", nargs="*", metavar="BENCHMARK",
                        help=f"which ones, of {', '.join(SCENARIOS)}; all if left out")
    parser.add_argument("--rounds", type=int, default=7, help="how often every contender takes its turn (7)")
    parser.add_argument("--quick", action="store_true", help="tiny volumes, one round: only shows that everything runs")
    parser.add_argument("--only", action="append", default=[], metavar="TEXT",
                        help="only contenders whose name contains TEXT; may be repeated")
    parser.add_argument("--sustained-gib", type=int, default=20, help="volume of the benchmark sustained (20)")
    parser.add_argument("--directory", type=pathlib.Path, default=pathlib.Path("/var/tmp"),
                        help="where data goes: a folder on the disk to measure (/var/tmp)")
    parser.add_argument("--write-docs", action="store_true", help="put the tables into docs/benchmarks.md")
    parser.add_argument("--list", action="store_true", help="what there is, then end")
    given = parser.parse_args()
    unknown = [name for name in given.benchmark if name not in SCENARIOS]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    if given.quick:
        given.rounds = 1
    return given


def measure(scenario: scenarios.Scenario, rounds: int, parent: pathlib.Path) -> report.Result:
    """All rounds. A contender that fails is told of and left out from then on; the others go on."""
    result = report.Result(scenario, {contender.name: [] for contender in scenario.contenders}, {})
    for number in range(rounds):
        order = scenario.contenders if number % 2 == 0 else scenario.contenders[::-1]
        for contender in order:
            if contender.name in result.errors:
                continue
            started = time.monotonic()
            try:
                run = contender.run(parent)
            except Unavailable as reason:
                scenario.missing[contender.name] = result.errors[contender.name] = str(reason)
                continue
            except Exception as error:  # noqa: BLE001: whatever it is, it belongs into the report
                result.errors[contender.name] = f"round {number + 1}: {error}"
                print(f"  {contender.name}: {error}", flush=True)
                continue
            result.runs[contender.name].append(run)
            print(f"  round {number + 1}/{rounds}  {contender.name:32} {run.rate / 1e6:9.3f} M {scenario.unit}/s"
                  f"  ({time.monotonic() - started:.1f} s in all)", flush=True)
    for runs in result.runs.values():
        runs.extend([None] * (rounds - len(runs)))
    return result


def selected(scenario: scenarios.Scenario, texts: list[str]) -> scenarios.Scenario:
    if texts:
        scenario.contenders = [one for one in scenario.contenders if any(text in one.name for text in texts)]
    return scenario


def main() -> int:
    given = arguments()
    volumes = scenarios.Sizes.small() if given.quick else scenarios.Sizes(sustained_bytes=given.sustained_gib << 30)
    if not CORPUS.exists():
        print(f"no corpus at {CORPUS}; set FASTLOGD_CORPUS to a file of log lines", file=sys.stderr)
        return 1
    if machine.is_busy() and not given.list:
        print("warning: the machine is busy; results will say so (load before)", file=sys.stderr)
    described = machine.describe(given.directory)
    results: list[report.Result] = []
    parent = pathlib.Path(tempfile.mkdtemp(prefix="fl-bench-", dir=given.directory))
    try:
        for name in given.benchmark or SCENARIOS:
            try:
                scenario = selected(SCENARIOS[name](volumes), given.only)
            except Unavailable as reason:
                print(f"\n{name}: not measured: {reason}", flush=True)
                continue
            if given.list:
                print(f"{name}: {' | '.join(contender.name for contender in scenario.contenders)}")
                continue
            print(f"\n{scenario.title}", flush=True)
            results.append(measure(scenario, given.rounds, parent))
            print("\n" + report.markdown(results[-1]), flush=True)
            save(described, results, given)  # after each: a run that is cut short keeps what it has
    except KeyboardInterrupt:
        print("cut short", file=sys.stderr)
    finally:
        shutil.rmtree(parent, ignore_errors=True)
    missed = [figure for result in results for figure in report.pair_figures(result) if figure["verdict"] == "missed"]
    return 1 if (missed or any(result.errors for result in results)) and not given.quick else 0


def save(described: dict[str, str], results: list[report.Result], given: argparse.Namespace) -> None:
    OUTPUT.mkdir(parents=True, exist_ok=True)
    text = report.head(described, given.rounds, given.quick) + "\n" + "\n".join(map(report.markdown, results))
    (OUTPUT / "results.md").write_text(text)
    (OUTPUT / "results.json").write_text(report.as_json(described, results, given.quick))
    if given.write_docs:
        texts = {result.scenario.name: report.headed(result, described, given.rounds, given.quick) for result in results}
        report.write_into(ROOT / "docs" / "benchmarks.md", texts, list(SCENARIOS))
        if "sizes" in texts and sizes.PLOT.exists():
            shutil.copy(sizes.PLOT, ROOT / "docs")


if __name__ == "__main__":
    sys.exit(main())
