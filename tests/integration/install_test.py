"""`cmake --install`: what README.md says is installed is, nothing else is, and it fits together."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest
from support.daemon import BIN
from support.source_tree import ROOT, read

BUILD = BIN.parent


def install(destination: pathlib.Path, prefix: str = "/usr") -> None:
    if not (BUILD / "cmake_install.cmake").exists() or not shutil.which("cmake"):
        pytest.skip("FASTLOGD_BIN is not in a build folder, or there is no cmake")
    done = subprocess.run(["cmake", "--install", str(BUILD), "--prefix", prefix], env=os.environ | {"DESTDIR": str(destination)},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


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
        assert len(commands) >= 2
        for command in commands:
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
