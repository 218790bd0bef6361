"""The corpus: log files of real systems. FASTLOGD_CORPUS names their folder, else shared/corpus beside the project."""

import os
import pathlib

import pytest

from support.source_tree import ROOT

FOLDER = pathlib.Path(os.environ.get("FASTLOGD_CORPUS", ROOT.parent / "shared" / "corpus"))
NAMES = ("Apache", "HDFS", "Linux", "OpenSSH", "Spark")


def file(name: str) -> pathlib.Path:
    """The file, or the test is skipped and says so."""
    path = FOLDER / f"{name}.log"
    if not path.is_file():
        pytest.skip(f"no corpus: {path} is missing (set FASTLOGD_CORPUS)")
    return path


def lines(name: str) -> list[bytes]:
    """Without the delimiter; the files have CRLF ends, and the CR belongs to the line."""
    found = file(name).read_bytes().split(b"\n")
    return found[:-1] if found[-1] == b"" else found
