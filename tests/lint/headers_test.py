"""Every header compiles alone, so that including it never depends on what came before.

A header that a .cpp includes before anything else is proven by the build, warnings as errors, at no cost here; the
others are compiled. One that was found good is looked at again only when it or one that it includes has changed.
"""

import concurrent.futures
import hashlib
import os
import subprocess

from support import source_tree

FLAGS = ["-std=c++20", "-fsyntax-only", "-x", "c++", "-Wall", "-Wextra", "-Werror", "-Wno-pragma-once-outside-header", "-Wno-missing-field-initializers",
         "-Isrc", "-Iinclude", '-DFASTLOGD_VERSION="0"', "-fmax-errors=3"]


def with_what_it_includes(header: str, seen: set[str]) -> set[str]:
    """The header and ours that it includes, directly or not."""
    if header not in seen and (source_tree.ROOT / "src" / header).is_file():
        seen.add(header)
        for _, other, quoted in source_tree.includes(f"src/{header}"):
            if quoted:
                with_what_it_includes(other, seen)
    return seen


def compile_alone(header: str, stamps) -> str:
    """Empty when fine, else what the compiler said."""
    text = "".join(source_tree.read(f"src/{path}") for path in sorted(with_what_it_includes(header, set())))
    stamp = stamps / hashlib.sha256((header + text).encode()).hexdigest()[:40]
    if stamp.exists():
        return ""
    done = subprocess.run(["g++", *FLAGS, "-"], input=f'#include "{header}"\n', cwd=source_tree.ROOT,
                          capture_output=True, text=True)
    if done.returncode == 0:
        stamp.touch()
        return ""
    return f"{header}:\n{done.stderr}"


def proven_by_the_build() -> set[str]:
    """Headers that are the first include of a source file; src/CMakeLists.txt builds every one there is."""
    includes = (source_tree.includes(path)[:1] for path in source_tree.tracked("src/*.cpp"))
    return {what for first in includes for _, what, quoted in first if quoted}


def test_a_source_file_includes_its_own_header_first():
    """Which also is what lets the build prove most headers."""
    wrong = []
    for path in source_tree.tracked("src/*.cpp"):
        own = path.removeprefix("src/").removesuffix(".cpp") + ".hpp"
        if (source_tree.ROOT / "src" / own).is_file() and source_tree.includes(path)[0][1:] != (own, True):
            wrong.append(f"{path}: {own} is to come first")
    assert not wrong, "\n".join(wrong)


def test_every_header_compiles_alone():
    headers = [path.removeprefix("src/") for path in source_tree.tracked("src/*.hpp")]
    proven = proven_by_the_build()
    stamps = source_tree.ROOT / "build" / "headers"
    stamps.mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        said = pool.map(lambda header: compile_alone(header, stamps), [path for path in headers if path not in proven])
        wrong = [message for message in said if message]
    assert not wrong, "\n".join(wrong)
