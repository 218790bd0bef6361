"""docs/testing.md says which tests show each property of the store: all of them exist, and none has been forgotten."""

import pathlib
import re

from support import source_tree

PROPERTIES = [f"P{number}" for number in range(1, 13)]


def table() -> dict[str, tuple[list[str], list[str]]]:
    """Property -> (tests, tests of variants that are broken on purpose), as the document lists them."""
    rows = {}
    for line in source_tree.read("docs/testing.md").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if len(cells) == 3 and (found := re.match(r"(P\d+) ", cells[0])):
            rows[found[1]] = tuple(re.findall(r"`([^`]+)`", cell) for cell in cells[1:])
    return rows


def unit_tests() -> set[str]:
    """`Suite.Test` of every GoogleTest in the tree."""
    return {f"{suite}.{name}" for path in source_tree.tracked("tests/unit/*.cpp")
            for suite, name in re.findall(r"\bTEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\)", source_tree.read(path))}


def python_tests() -> set[str]:
    """`file::function` of every Python test in the tree."""
    return {f"{pathlib.PurePath(path).name}::{name}" for path in source_tree.tracked("tests/*_test.py")
            for name in re.findall(r"^def (test_\w+)", source_tree.read(path), re.MULTILINE)}


def test_every_property_has_a_test_and_a_broken_variant():
    rows = table()
    assert list(rows) == PROPERTIES
    assert not [name for name, (tests, broken) in rows.items() if not tests or not broken]


def test_every_test_that_the_table_names_exists():
    there = unit_tests() | python_tests()
    missing = [name for tests, broken in table().values() for name in tests + broken if name not in there]
    assert len(there) > 300 and not missing


def test_every_property_can_be_found_in_the_list_of_tests():
    """`ctest -N | grep P07`, or the name of a Python test."""
    named = {f"P{int(number)}" for name in unit_tests() | python_tests() for number in re.findall(r"P(\d\d)(?=_|[A-Z])", name)}
    assert named == set(PROPERTIES)
