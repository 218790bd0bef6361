"""The tree that `cmake --install` makes."""

import os
import pathlib
import shutil
import subprocess

import pytest

from support.daemon import BIN

BUILD = BIN.parent


def install(destination: pathlib.Path, prefix: str = "/usr") -> None:
    if not (BUILD / "cmake_install.cmake").exists() or not shutil.which("cmake"):
        pytest.skip("FASTLOGD_BIN is not in a build folder, or there is no cmake")
    done = subprocess.run(["cmake", "--install", str(BUILD), "--prefix", prefix], env=os.environ | {"DESTDIR": str(destination)},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
