"""The source tree as the lint tests see it: what git tracks, the layer table, includes, functions."""

import dataclasses
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def tracked(*patterns: str) -> list[str]:
    """Paths git knows or would add, relative to the root, that still exist. Works in a fresh clone and before a commit."""
    out = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard", "--", *patterns],
        cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return sorted(path for path in out.splitlines() if (ROOT / path).is_file())


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@dataclasses.dataclass(frozen=True)
class Layer:
    """One line of the table in src/README.md."""

    folder: str
    may_include: str
    vendors: str


def layers() -> dict[str, Layer]:
    table = {}
    section = read("src/README.md").split("\n## Layers\n")[1].split("\n## ")[0]
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and len(cells) == 3 and re.fullmatch(r"[a-z]+", cells[0]) and cells[0] != "folder":
            table[cells[0]] = Layer(*cells)
    return table


def includes(path: str) -> list[tuple[int, str, bool]]:
    """(line, what, quoted) of each #include."""
    found = []
    for number, line in enumerate(read(path).splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
        if match:
            found.append((number, match[2], match[1] == '"'))
    return found


@dataclasses.dataclass(frozen=True)
class Function:
    path: str
    name: str
    line: int
    lines: int


def functions(paths: list[str]) -> list[Function]:
    """Every function with a body, by ctags."""
    out = subprocess.run(
        ["ctags", "-f", "-", "--languages=C++,C", "--langmap=C++:+.hpp.cpp", "--kinds-C++=f", "--kinds-C=f",
         "--fields=+ne", "--excmd=number", *paths],
        cwd=ROOT, check=True, capture_output=True, text=True).stdout
    found = []
    for row in out.splitlines():
        cells = row.split("\t")
        fields = dict(cell.split(":", 1) for cell in cells[3:] if ":" in cell)
        if "end" in fields:
            first, last = int(fields["line"]), int(fields["end"])
            found.append(Function(cells[1], cells[0], first, last - first + 1))
    return found
