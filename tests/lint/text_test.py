"""What must not stand in the tree: unfinished marks, paths of somebody's machine, two guards against one include."""

import re

from support import source_tree

MARKS = re.compile("|".join(["TO" + "DO", "FIX" + "ME", r"\bXX" + "X", "not imple" + "mented", "place" + "holder",
                             "for " + r"now\b", r"\bst" + "ub"]), re.IGNORECASE)
MACHINE_PATHS = re.compile("|".join(["/wo" + "rk/", "/ho" + r"me/\w", "/fa" + "rm/", "/tmp/st" + "udio"]))


def lines_with(pattern: re.Pattern, paths: list[str]) -> list[str]:
    found = []
    for path in paths:
        for number, line in enumerate(source_tree.read(path).splitlines(), 1):
            if pattern.search(line):
                found.append(f"{path}:{number}: {line.strip()}")
    return found


def test_nothing_calls_itself_unfinished():
    paths = source_tree.tracked("src", "include", "docs", "systemd", "docker", "config", "dev", "README.md")
    assert not lines_with(MARKS, paths)


def test_no_path_of_a_machine_is_written_down():
    paths = [path for path in source_tree.tracked() if not path.startswith("tests/fuzz/corpus/")]
    assert not lines_with(MACHINE_PATHS, paths)


def test_every_header_starts_with_what_it_is_and_one_pragma_once():
    wrong = []
    for path in source_tree.tracked("src/*.hpp"):
        text = source_tree.read(path)
        if text.count("#pragma once") != 1 or not text.startswith("//"):
            wrong.append(path)
    assert not wrong


def test_every_source_ends_in_one_newline_and_has_no_trailing_space():
    paths = source_tree.tracked("src", "include", "tests/*.cpp", "tests/*.hpp", "tests/*.py", "dev", "*.md", "*.yaml")
    wrong = [path for path in paths if not source_tree.read(path).endswith("\n") or
             source_tree.read(path).endswith("\n\n") or re.search(r"[ \t]+$", source_tree.read(path), re.MULTILINE)]
    assert not wrong
