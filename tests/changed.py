#!/usr/bin/python3
"""Runs the tests that have not passed yet with what they use now; `./dev test` calls it.

    changed.py BUILD_FOLDER [--all] [CTEST OPTION...]

ctest says what each test runs. A unit test depends on its program; a test of the daemon on the programs and libraries
that were built, its script, and every file outside of src and of the other tests; a lint test on every file of the tree.
All of them depend on the FASTLOGD_ variables. A fingerprint of that is kept in BUILD_FOLDER/passed.json when a test has
passed; a failed or skipped one runs again. With --all or an option of ctest, everything that is asked for runs.
"""

import hashlib
import json
import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
OWN_INPUTS_ONLY = ("src/", "tests/unit/", "tests/lint/", "tests/fuzz/", "tests/bench/", "tests/integration/", "tests/crash/")


class Fingerprints:
    """What the tests depend on, each file read once."""

    def __init__(self, build: pathlib.Path):
        listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                                stdout=subprocess.PIPE, check=True).stdout.decode()
        self._tree = sorted({ROOT / name for name in listed.split("\0") if name})
        self._built = sorted(path for folder in ("bin", "lib") for path in (build / folder).glob("*")
                             if not path.name.startswith("unit_"))
        self._files: dict[pathlib.Path, bytes] = {}
        self._groups: dict[str, bytes] = {}
        self._variables = "\n".join(f"{name}={value}" for name, value in sorted(os.environ.items())
                                    if name.startswith("FASTLOGD_"))

    def of(self, test: dict) -> str:
        command = test["command"]
        sum_of = hashlib.blake2b(json.dumps([command, self._variables]).encode(), digest_size=20)
        for argument in command:
            path = pathlib.Path(argument)
            if path.is_file() and not argument.startswith("/usr/"):
                sum_of.update(self._file(path))
        kind = test["name"].split(".")[0]
        if kind in ("lint", "integration", "crash"):
            sum_of.update(self._group(kind))
        return sum_of.hexdigest()

    def _file(self, path: pathlib.Path) -> bytes:
        if path not in self._files:
            self._files[path] = hashlib.blake2b(path.read_bytes() if path.is_file() else b"gone").digest()
        return self._files[path]

    def _group(self, kind: str) -> bytes:
        if kind not in self._groups:
            paths = self._tree if kind == "lint" else self._built + [
                path for path in self._tree if not str(path.relative_to(ROOT)).startswith(OWN_INPUTS_ONLY) or
                (kind == "crash" and (ROOT / "tests/crash") in path.parents)]
            self._groups[kind] = b"".join(str(path).encode() + self._file(path) for path in paths)
        return self._groups[kind]


class Report:
    """What ctest wrote of a run, its JUnit file."""

    def __init__(self, path: pathlib.Path):
        self._cases = list(xml.etree.ElementTree.parse(path).getroot().iter("testcase"))

    def passed(self) -> set[str]:
        """Names of the tests that ran and neither failed nor were skipped."""
        return {case.get("name") for case in self._cases
                if case.get("status") == "run" and case.find("failure") is None and case.find("skipped") is None}

    def print_failed(self, lines: int) -> None:
        """The last lines of every failed test: what they printed stands far above, between the ones that passed."""
        for case in self._cases:
            if case.find("failure") is not None:
                output = (case.findtext("system-out") or "").splitlines()
                print(f"\n{case.get('name')} failed:", *output[-lines:], sep="\n    ", flush=True)


def main() -> int:
    build = pathlib.Path(sys.argv[1]).resolve()
    options = [argument for argument in sys.argv[2:] if argument != "--all"]
    everything = len(sys.argv) > 2
    shown = subprocess.run(["ctest", "--test-dir", str(build), "--show-only=json-v1", *options], check=True,
                           stdout=subprocess.PIPE).stdout
    tests = json.loads(shown)["tests"]
    fingerprints = Fingerprints(build)
    wanted = {test["name"]: fingerprints.of(test) for test in tests}
    memory = build / "passed.json"
    passed = json.loads(memory.read_text()) if memory.exists() else {}
    due = [number for number, test in enumerate(tests, 1) if everything or passed.get(test["name"]) != wanted[test["name"]]]
    if len(due) < len(tests):
        print(f"{len(tests) - len(due)} of {len(tests)} tests have passed and nothing they use has changed since "
              "(./dev test --all runs them too)", flush=True)
    if tests and not due:
        return 0
    report = build / "tests.xml"
    report.unlink(missing_ok=True)
    chosen = [] if len(due) == len(tests) else ["-I", "0,0,0," + ",".join(map(str, due))]
    code = subprocess.run(["ctest", "--test-dir", str(build), "-j", "2", "--output-on-failure", "--no-tests=error",
                           "--output-junit", str(report), *chosen, *options]).returncode
    if report.exists():
        told = Report(report)
        passed |= {name: wanted[name] for name in told.passed() if name in wanted}
        memory.write_text(json.dumps(passed, indent=0, sort_keys=True) + "\n")
        told.print_failed(lines=30)
    return code


if __name__ == "__main__":
    sys.exit(main())
