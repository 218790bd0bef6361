"""src/README.md's layer table is law: each #include in src is held against it."""

import collections
import pathlib

import pytest
from support import source_tree

LAYERS = source_tree.layers()

# First part of a vendor header's path -> the name the table uses. fmt may be included everywhere.
VENDORS = {
    "boost/system": "Boost.System", "boost/asio": "Boost.Asio", "boost/beast": "Boost.Beast",
    "boost/json": "Boost.JSON", "re2": "RE2", "yaml-cpp": "yaml-cpp", "prometheus": "prometheus-cpp",
    "spdlog": "spdlog", "systemd": "libsystemd", "CLI": "CLI11", "isa-l": "isa-l", "isa-l.h": "isa-l",
    "zstd.h": "zstd", "libpmem.h": "libpmem", "fmt": None,
}
SYSTEM_FOLDERS = {"sys", "linux", "netinet", "arpa", "net", "asm"}
# Beast stands on Asio: who may have the one has the other.
IMPLIED = {"Boost.Beast": {"Boost.Asio"}}


def vendor_of(header: str) -> str | None:
    """The table's name for a vendor header; None for the system's, the language's and fmt."""
    parts = header.removesuffix(".hpp").split("/")
    for known in ("/".join(parts[:2]), parts[0]):
        if known in VENDORS:
            return VENDORS[known]
    if len(parts) == 1 or parts[0] in SYSTEM_FOLDERS:
        return None
    return header


def allowed_vendors(folder: str) -> set[str]:
    line = LAYERS[folder].vendors
    names = {name for name in VENDORS.values() if name and name in line}
    return names.union(*(IMPLIED.get(name, set()) for name in names))


def is_private(path: str) -> bool:
    """A header that says `Private to metrics/*.cpp` in its first lines shares a vendor's types within its folder."""
    folder = pathlib.PurePath(path).parts[1]
    return f"Private to {folder}/*.cpp" in source_tree.read(path).split("#pragma once")[0]


def only_in_cpp(folder: str, vendor: str) -> bool:
    """`X, in .cpp` binds the names before it; Beast is always confined to one .cpp of a folder."""
    line = LAYERS[folder].vendors
    return vendor == "Boost.Beast" or (".cpp" in line and vendor in line and vendor not in ("Boost.Asio", "CLI11"))


def may_include(folder: str, header: str) -> bool:
    other = header.split("/")[0]
    if other == folder:
        return True
    rule = LAYERS[folder].may_include
    if rule == "everything but ctl and client":
        return other in LAYERS and other not in ("ctl", "client")
    if other == "fastlog":
        return "include/fastlog" in rule
    for kind in ("_options.hpp", "_counters.hpp"):
        if f"`*{kind}`" in rule and header.endswith(kind):
            return True
    return other in [word.strip(" ,") for word in rule.replace(" and ", ",").split(",")]


def sources() -> list[str]:
    return source_tree.tracked("src/*.hpp", "src/*.cpp")


def test_every_folder_of_src_has_a_row_and_every_row_a_folder():
    folders = {pathlib.PurePath(path).parts[1] for path in sources()}
    assert folders <= set(LAYERS)
    assert set(LAYERS) <= folders


def test_a_folder_includes_only_what_its_row_lists():
    wrong = []
    for path in sources():
        folder = pathlib.PurePath(path).parts[1]
        for line, header, quoted in source_tree.includes(path):
            if quoted and not may_include(folder, header):
                wrong.append(f"{path}:{line}: {folder} may not include {header}")
    assert not wrong, "\n".join(wrong)


def test_quoted_includes_are_written_from_src():
    wrong = [f"{path}:{line}: {header}" for path in sources()
             for line, header, quoted in source_tree.includes(path)
             if quoted and not any((source_tree.ROOT / top / header).is_file() for top in ("src", "include"))]
    assert not wrong, "\n".join(wrong)


def test_a_vendor_header_appears_only_where_its_row_allows():
    wrong = []
    for path in sources():
        folder = pathlib.PurePath(path).parts[1]
        for line, header, quoted in source_tree.includes(path):
            vendor = None if quoted else vendor_of(header)
            if vendor and vendor not in allowed_vendors(folder):
                wrong.append(f"{path}:{line}: {vendor} is not for {folder}")
            elif vendor and path.endswith(".hpp") and only_in_cpp(folder, vendor) and not is_private(path):
                wrong.append(f"{path}:{line}: {vendor} only in a .cpp of {folder}")
    assert not wrong, "\n".join(wrong)


def test_private_headers_stay_in_their_folders_cpp_files():
    private = {path.removeprefix("src/") for path in sources() if path.endswith(".hpp") and is_private(path)}
    wrong = [f"{path}:{line}: {header}" for path in sources() for line, header, quoted in source_tree.includes(path)
             if quoted and header in private and not (pathlib.PurePath(path).parts[1] == header.split("/")[0] and
                                                      (path.endswith(".cpp") or is_private(path)))]
    assert not wrong, "\n".join(wrong)


def test_options_and_counters_are_headers_that_include_base_alone():
    wrong = [f"{path}:{line}: {header}" for path in sources() if path.endswith(("_options.hpp", "_counters.hpp"))
             for line, header, quoted in source_tree.includes(path) if quoted and not header.startswith("base/")]
    assert not wrong, "\n".join(wrong)


def test_beast_costs_one_unit_a_folder():
    units = collections.defaultdict(set)
    for path in sources():
        for _, header, quoted in source_tree.includes(path):
            if not quoted and vendor_of(header) == "Boost.Beast":
                units[pathlib.PurePath(path).parts[1]].add(path)
    assert all(len(paths) == 1 for paths in units.values()), dict(units)


@pytest.mark.parametrize(("folder", "header", "allowed"), [
    ("base", "record/source.hpp", False), ("record", "base/result.hpp", True), ("wire", "ring/byte_ring.hpp", False),
    ("config", "ingest/ingest_options.hpp", True), ("config", "ingest/listener.hpp", False),
    ("metrics", "append/append_counters.hpp", True), ("metrics", "append/stream_options.hpp", False),
    ("daemon", "ctl/command.hpp", False), ("daemon", "http/server.hpp", True), ("ctl", "fastlog/fastlog.h", True),
    ("segment", "fastlog/fastlog.h", False),
])
def test_the_rules_mean_what_the_table_says(folder, header, allowed):
    assert may_include(folder, header) is allowed


@pytest.mark.parametrize(("header", "vendor"), [
    ("vector", None), ("sys/socket.h", None), ("unistd.h", None), ("fmt/format.h", None), ("yaml-cpp/yaml.h", "yaml-cpp"),
    ("boost/beast/http.hpp", "Boost.Beast"), ("boost/lockfree/queue.hpp", "boost/lockfree/queue.hpp"),
])
def test_a_header_is_known_for_whose_it_is(header, vendor):
    assert vendor_of(header) == vendor
