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


def test_readme_and_changelog_name_every_command():
    """README.md in backquotes, the changelog in any of its lines about fastlogctl."""
    names = {pathlib.PurePath(path).stem.removesuffix("_command") for path in source_tree.tracked("src/ctl/*_command.cpp")}
    readme = source_tree.read("README.md")
    assert not [name for name in names if not re.search(rf"`(?:fastlogctl )?{name}\b|fastlogctl {name}\b", readme)]
    changes = re.split(r"^- ", source_tree.read("CHANGELOG.md"), flags=re.MULTILINE)
    told = " ".join(change for change in changes if change.startswith("`fastlogctl"))
    assert not [name for name in names if not re.search(rf"\b{name}\b", told)]


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


# Which functions of src/ctl add options for several commands.
OPTION_ADDERS = re.compile(r"\b(add_\w+_(?:options|argument|arguments)|add_formats)\(")


def options_in(text: str) -> set[str]:
    """`-x` and `--xyz` that a C++ text gives to CLI11."""
    names = re.findall(r'(?:add_option|add_flag|set_version_flag)\(\s*"(-[^"]*)"', text)
    return {option for option in ",".join(names).split(",") if option}


def body_of(function: str) -> str:
    """Its definition, wherever in src/ctl it is."""
    for path in source_tree.tracked("src/ctl/*.cpp"):
        if found := re.search(rf"^void {function}\(.*?^}}", source_tree.read(path), re.MULTILINE | re.DOTALL):
            return found[0]
    raise AssertionError(f"no definition of {function}")


def options_of(command_text: str) -> set[str]:
    called = set(OPTION_ADDERS.findall(command_text))
    return options_in(command_text).union(*(options_of(body_of(name).split("{", 1)[1]) for name in called))


def manual() -> dict[str, str]:
    """Of each command: its own entry, what its group shares and what all commands share."""
    texts = {}
    sections = dict(re.findall(r"^# ([A-Z ]+)\n(.*?)(?=^# |\Z)", source_tree.read("docs/fastlogctl.1.scd"), re.MULTILINE | re.DOTALL))
    for heading in ("READING", "WHAT THERE IS", "SENDING", "CONTROL"):
        first, *entries = re.split(r"^(?=\*[a-z]+\*(?: .*)?$)", sections[heading], flags=re.MULTILINE)
        for entry in entries:
            name = re.match(r"\*([a-z]+)\*", entry)[1]
            shared = sections[heading] if heading == "READING" else first
            texts[name] = entry + shared + sections["COMMON OPTIONS"]
    return texts


def options_named(text: str, mark: str = "") -> set[str]:
    """Behind `mark`, which is an asterisk for what is printed bold."""
    return set(re.findall(rf"(?<![\w-]){mark}(--?[A-Za-z][a-z0-9-]*)", text))


def test_the_man_page_and_the_commands_name_the_same_options():
    commands = {pathlib.PurePath(path).stem.removesuffix("_command"): options_of(source_tree.read(path))
                for path in source_tree.tracked("src/ctl/*_command.cpp")}
    pages = manual()
    assert set(pages) == set(commands) and {"--stream", "--window"} <= commands["bench"]
    undocumented = {name: options - options_named(pages[name]) for name, options in commands.items()}
    assert not {name: options for name, options in undocumented.items() if options}
    general = options_in(source_tree.read("src/ctl/main.cpp")) | {"-h", "--help"}
    page = source_tree.read("docs/fastlogctl.1.scd")
    assert "--version" in general and not general - options_named(page, r"\*")
    named = options_named(page.split("# READING")[1].split("# EXAMPLES")[0], r"\*")
    assert not named - general.union(*commands.values())


def test_the_three_that_read_take_the_same_options():
    reading = source_tree.read("docs/fastlogctl.1.scd").split("These three take")[1].split("\n# ")[0]
    shared = options_named("\n".join(line for line in reading.splitlines() if line.startswith("*-") and "(tail only)" not in line))
    assert {"-g", "--after-cursor"} <= shared
    for name in ("tail", "cat", "grep"):
        assert not shared - options_of(source_tree.read(f"src/ctl/{name}_command.cpp")), name


def test_coverage_runs_tests_that_exist_and_none_that_loads_libfastlog():
    """A library that is built with a sanitizer can't be loaded into a Python that is not, nor is it built there."""
    names = re.findall(r"^  (?:local )?tests\+?='\|?([a-z_|]+)'", source_tree.read("dev"), re.MULTILINE)
    paths = [f"tests/integration/{name}_test.py" for name in "|".join(names).split("|")]
    assert len(paths) > 10
    assert not [path for path in paths if not (source_tree.ROOT / path).is_file()]
    assert not [path for path in paths if re.search(r"support(\.| import )fastlog\b", source_tree.read(path))]
