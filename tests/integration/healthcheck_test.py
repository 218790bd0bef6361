"""The HEALTHCHECK of docker/Dockerfile: what it says of each answer, and of a real daemon."""

import os
import re
import subprocess

import pytest
from support.daemon import BIN
from support.source_tree import ROOT

SOCKET = "/run/fastlogd/control.sock"


def command() -> str:
    """What docker gives to /bin/sh -c."""
    lines = (ROOT / "docker" / "Dockerfile").read_text().replace("\\\n", " ")
    found = re.search(r"^HEALTHCHECK .*?CMD (.*)$", lines, re.MULTILINE)[1]
    assert SOCKET in found and not found.startswith("[")
    return found


def exit_code(line: str, programs) -> int:
    path = f"{programs}:{os.environ['PATH']}"
    return subprocess.run(["/bin/sh", "-c", line], stdin=subprocess.DEVNULL, env=os.environ | {"PATH": path}, timeout=30).returncode


@pytest.mark.parametrize(("answer", "expected"), [
    ('{"running":true,"health":"ok","reasons":[]}', 0), ('{"running":true,"health":"degraded","reasons":["a \\"failed\\" sync"]}', 0),
    ('{"running":true,"health":"failed","reasons":["\\"health\\":\\"ok\\""]}', 1), ('{"running":false,"streams":[]}', 1), ("", 1),
])
def test_it_fails_where_a_restart_can_help(folder, answer, expected):
    (folder / "answer").write_text(answer + "\n")
    program = folder / "fastlogctl"
    program.write_text(f"#!/bin/sh\ncat {folder}/answer\n")
    program.chmod(0o755)
    assert exit_code(command(), folder) == expected


def test_it_knows_a_running_daemon_from_none(daemon):
    line = command().replace(SOCKET, f"{daemon.folder}/run/control.sock")
    assert exit_code(line, BIN) == 0
    daemon.kill()
    assert exit_code(line, BIN) == 1
