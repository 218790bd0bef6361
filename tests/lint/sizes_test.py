"""Files stay under 400 lines and functions under 40, as a ratchet: what was longer when the rule came may only shrink."""

from support import source_tree

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 40

# path -> lines and "path function" -> lines that were there before the rule. Lower or delete a line when it shrinks.
LONGER_FILES: dict[str, int] = {}
LONGER_FUNCTIONS: dict[str, int] = {}


def test_no_file_grows_past_its_limit():
    paths = source_tree.tracked("src/*.[ch]pp", "include/*.h", "tests/*.cpp", "tests/*.hpp", "tests/*.c", "tests/*.py", "dev")
    sizes = {path: len(source_tree.read(path).splitlines()) for path in paths}
    wrong = {path: lines for path, lines in sizes.items() if lines > LONGER_FILES.get(path, FILE_LINES_MAX)}
    assert not wrong


def test_no_function_grows_past_its_limit():
    longest: dict[str, int] = {}
    for function in source_tree.functions(source_tree.tracked("src/*.[ch]pp", "include/*.h")):
        key = f"{function.path} {function.name}"
        longest[key] = max(longest.get(key, 0), function.lines)
    wrong = {key: lines for key, lines in longest.items() if lines > LONGER_FUNCTIONS.get(key, FUNCTION_LINES_MAX)}
    assert not wrong


def test_the_ratchet_lists_nothing_that_no_longer_needs_it():
    for path, lines in LONGER_FILES.items():
        assert FILE_LINES_MAX < len(source_tree.read(path).splitlines()) == lines
    lengths = {f"{f.path} {f.name}": f.lines for f in source_tree.functions(source_tree.tracked("src/*.[ch]pp"))}
    for key, lines in LONGER_FUNCTIONS.items():
        assert FUNCTION_LINES_MAX < lengths.get(key, 0) <= lines


def test_functions_are_really_measured():
    found = source_tree.functions(["src/base/file_system.cpp"])
    assert len(found) > 5 and all(function.lines >= 1 for function in found)
