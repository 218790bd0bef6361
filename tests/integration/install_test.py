"""`cmake --install`: what README.md says is installed is, nothing else is, and it fits together."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest
from support.installed import BUILD, install
from support.source_tree import ROOT, read


def promised() -> set[str]:
    """The paths in README.md's section on installing, with {a,b} spelt out."""
    section = read("README.md").split("\n## Install\n")[1].split("\n## ")[0]
    found = set()
    for path in re.findall(r"^    (/\S+)", section, re.MULTILINE):
        braces = re.search(r"\{(.*?)\}", path)
        found |= {path.replace(braces[0], part) for part in braces[1].split(",")} if braces else {path}
    return found


def test_what_the_readme_says_is_installed_and_nothing_else(folder):
    install(folder)
    there = {f"/{path.relative_to(folder)}" for path in folder.rglob("*") if not path.is_dir()}
    pages = {path for path in promised() if "/man/" in path}
    if not (BUILD / "man").exists():  # no scdoc
        assert not {path for path in there if "/man/" in path}
        there |= pages
    assert there == promised() and pages


def test_the_units_name_programs_that_are_there(folder):
    for number, prefix in enumerate(("/usr", "/opt/fastlogd")):
        root = folder / str(number)
        install(root, prefix)
        units = root / prefix[1:] / "lib/systemd/system"
        commands = re.findall(r"^Exec\w+=(/\S+)", (units / "fastlogd.service").read_text(), re.MULTILINE)
        ours = [command for command in commands if command != "/bin/sh"]
        assert len(ours) >= 2
        for command in ours:
            program = root / command[1:]
            assert subprocess.run([program, "--version"], capture_output=True, timeout=20).returncode == 0, command
        for name in re.findall(r"fastlogd-\w+\.socket", (units / "fastlogd.service").read_text()):
            assert (units / name).exists(), name


def test_the_installed_configuration_is_good_and_an_edited_one_stays(folder):
    install(folder)
    config = folder / "etc/fastlogd/fastlogd.yaml"
    checked = subprocess.run([folder / "usr/bin/fastlogd", "--config", config, "--check"], capture_output=True, text=True, timeout=20)
    assert checked.returncode == 0, checked.stderr
    config.write_text("# mine\n")
    install(folder)
    assert config.read_text() == "# mine\n"
    assert (folder / "usr/share/doc/fastlogd/examples/fastlogd.yaml").read_bytes() == (ROOT / "config/fastlogd.yaml").read_bytes()


PROGRAM = """
#include <fastlog/fastlog_reader.h>
#include <stdio.h>

int main(int argc, char** argv) {
  struct fastlog_reader* reader;
  struct fastlog_record record;
  if (fastlog_reader_open(argv[argc - 1], NULL, &reader) != FASTLOG_OK) {
    puts(fastlog_reader_error(NULL));
    return fastlog_abi_version() == FASTLOG_ABI_VERSION ? 3 : 4;
  }
  return fastlog_reader_poll(reader, &record, 1, 0) < 0;
}
"""

PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(user LANGUAGES C)
find_package(fastlog 0.1 REQUIRED)
add_executable(shared user.c)
target_link_libraries(shared PRIVATE fastlog::fastlog)
add_executable(static user.c)
target_link_libraries(static PRIVATE fastlog::fastlog_static)
"""


def run_user(program: pathlib.Path, library: pathlib.Path) -> None:
    """It finds no log in an empty folder, and says so by the library's words."""
    done = subprocess.run([program, program.parent], env=os.environ | {"LD_LIBRARY_PATH": str(library)}, capture_output=True,
                          text=True, timeout=20)
    assert done.returncode == 3 and "no log here" in done.stdout, (done.returncode, done.stdout, done.stderr)


def output_of(*command, **environment: str) -> str:
    done = subprocess.run(command, env=os.environ | environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("prefix", ["/usr", "/opt/fastlogd"])
def test_a_c_program_is_built_with_pkg_config_and_with_find_package(folder, prefix):
    if not shutil.which("cc") or not shutil.which("pkg-config"):
        pytest.skip("no C compiler or no pkg-config")
    root = folder / "root"
    install(root, prefix)
    library = root / prefix[1:] / "lib"
    (folder / "user.c").write_text(PROGRAM)
    (folder / "CMakeLists.txt").write_text(PROJECT)
    flags = [*output_of("pkg-config", "--cflags", "--libs", "fastlog", PKG_CONFIG_PATH=str(library / "pkgconfig"),
                        PKG_CONFIG_ALLOW_SYSTEM_CFLAGS="1", PKG_CONFIG_ALLOW_SYSTEM_LIBS="1").split()]
    for standard in ("c99", "c17"):
        output_of("cc", f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror", folder / "user.c", "-o", folder / "by_pkg_config", *flags)
        run_user(folder / "by_pkg_config", library)
    static = output_of("pkg-config", "--static", "--cflags", "--libs", "fastlog", PKG_CONFIG_PATH=str(library / "pkgconfig")).split()
    static = ["-l:libfastlog.a" if flag == "-lfastlog" else flag for flag in static]
    output_of("cc", folder / "user.c", "-o", folder / "static_by_pkg_config", *static)
    run_user(folder / "static_by_pkg_config", folder)
    output_of("cmake", "-S", folder, "-B", folder / "build", f"-DCMAKE_PREFIX_PATH={root / prefix[1:]}")
    output_of("cmake", "--build", folder / "build")
    run_user(folder / "build/shared", library)
    run_user(folder / "build/static", folder)


def test_the_shared_library_exports_its_c_interface_and_nothing_else(folder):
    install(folder)
    symbols = output_of("nm", "-D", "--defined-only", folder / "usr/lib/libfastlog.so").splitlines()
    names = {line.split()[-1] for line in symbols} - {"FASTLOG_1"}
    headers = "".join(path.read_text() for path in (folder / "usr/include/fastlog").glob("*.h"))
    promised_names = set(re.findall(r"FASTLOG_API[^;]*?\b(fastlog_\w+)\(", headers))
    assert promised_names and names == {f"{name}@@FASTLOG_1" for name in promised_names}
    assert "libfastlog.so.1" in output_of("readelf", "-d", folder / "usr/lib/libfastlog.so")
