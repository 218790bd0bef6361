"""Every header compiles alone, so that including it never depends on what came before.

A header that was found good is looked at again only when it or one that it includes has changed.
"""

import concurrent.futures
import hashlib
import os
import subprocess

from support import source_tree

FLAGS = ["-std=c++20", "-fsyntax-only", "-x", "c++", "-Wall", "-Wextra", "-Werror", "-Wno-pragma-once-outside-header",
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


def test_every_header_compiles_alone():
    headers = [path.removeprefix("src/") for path in source_tree.tracked("src/*.hpp")]
    stamps = source_tree.ROOT / "build" / "headers"
    stamps.mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        wrong = [said for said in pool.map(lambda header: compile_alone(header, stamps), headers) if said]
    assert not wrong, "\n".join(wrong)
