"""What belongs together stands together: a parser has its test, fuzzer and benchmark; a command its man page."""

import pathlib
import re

from support import source_tree


def parsers() -> list[str]:
    """Stems of src/wire that are a header and its code: each reads bytes from outside."""
    files = set(source_tree.tracked("src/wire/*"))
    return sorted(pathlib.PurePath(path).stem for path in files
                  if path.endswith(".hpp") and path.removesuffix(".hpp") + ".cpp" in files)


def test_every_parser_has_its_unit_test_fuzzer_and_benchmark():
    missing = [path for stem in parsers()
               for path in (f"tests/unit/wire/{stem}_test.cpp", f"tests/fuzz/{stem}_fuzz.cpp", f"tests/bench/{stem}_bench.cpp")
               if not (source_tree.ROOT / path).is_file()]
    assert parsers() and not missing


def test_every_fuzzer_has_seeds():
    fuzzers = [pathlib.PurePath(path).stem for path in source_tree.tracked("tests/fuzz/*_fuzz.cpp")]
    missing = [name for name in fuzzers if not any((source_tree.ROOT / "tests/fuzz/corpus" / name).glob("*"))]
    assert fuzzers and not missing


def test_every_command_is_in_the_man_page_and_every_man_page_command_exists():
    page = source_tree.read("docs/fastlogctl.1.scd")
    names = {pathlib.PurePath(path).stem.removesuffix("_command") for path in source_tree.tracked("src/ctl/*_command.cpp")}
    assert names
    missing = [name for name in names if not re.search(rf"\*{name}\b", page)]
    assert not missing


def test_every_configuration_key_is_in_the_commented_example():
    documented = source_tree.read("config/fastlogd.yaml")
    keys = {key for path in source_tree.tracked("src/*/*_options.hpp")
            for key in re.findall(r"\b(segment_bytes|bytes_max|age_max|keep_free|rotate_bytes|record_bytes_max|connections_max)\b",
                                  source_tree.read(path))}
    assert keys and not [key for key in keys if key not in documented]


ALWAYS_THERE = {"echo", "tail", "logger"}  # coreutils and bsdutils are essential in Debian


def programs(commands: list[str]) -> set[str]:
    """What a shell would start, by its own names: the first word of each part of a pipe."""
    words = [part.split()[0] for command in commands for part in command.split("#")[0].split("|")]
    return {word for word in words if "/" not in word}


def test_what_the_readme_starts_with_is_installed_by_dev_run():
    readme = source_tree.read("README.md").split("In a second terminal:\n")[1].split("\n## ")[0]
    used = programs(re.findall(r"^    (\S.*)", readme, re.MULTILINE))
    dev = source_tree.read("dev")
    help_text = dev.split("<<HELP\n")[1].split("\nHELP\n")[0]
    used |= programs(re.findall(r"^ {2}(?:log|tail|metrics| {8}) +((?:logger|echo|tail|curl|build/)\S* .*)", help_text, re.MULTILINE))
    run = dev.split("word_run() {")[1].split("\n}\n")[0]
    needed = {word for name in re.findall(r'need "\$\{(\w+)\[@\]\}"', run)
              for word in re.search(rf"^readonly {name}=\(([^)]*)\)", dev, re.MULTILINE)[1].split()}
    assert {"socat", "curl"} <= used
    assert not used - ALWAYS_THERE - needed


def test_what_the_manual_pages_refer_to_is_installed():
    """By README.md's list, which install_test holds against `cmake --install`."""
    listed = source_tree.read("README.md").split("\n## Install\n")[1].split("\n## ")[0]
    installed = set(re.findall(r"[\w-]+\.md", listed))
    pages = "\n".join(source_tree.read(path) for path in source_tree.tracked("docs/*.scd"))
    named = set(re.findall(r"[a-z][\w-]*\.md", pages))
    assert named and named <= installed
    assert "src/" not in pages
