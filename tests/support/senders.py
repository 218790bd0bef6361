"""Clients of other makers: logger(1), socat, Python's SysLogHandler and syslog-ng's loggen, in the modes they have."""

import dataclasses
import logging
import logging.handlers
import os
import pathlib
import shutil
import socket
import subprocess

import pytest

from support.source_tree import ROOT

_PEERS = ROOT / "build" / "peers"


@dataclasses.dataclass(frozen=True)
class Target:
    """Where to send: kind is unix-stream, unix-datagram, tcp or udp."""

    kind: str
    path: str = ""
    port: int = 0


def program(name: str) -> str:
    """A program's path, from the machine or unpacked under build/peers; skips the test when there is none."""
    found = shutil.which(name) or shutil.which(name, path=f"{_PEERS}/usr/bin:{_PEERS}/usr/sbin")
    if not found:
        pytest.skip(f"{name} is not installed (./dev test installs it)")
    return found


def peer_libraries() -> list[pathlib.Path]:
    """Where the libraries of unpacked programs are."""
    return sorted(_PEERS.glob("usr/lib/*-linux-gnu"))


def _run(command: list[str], stdin=subprocess.DEVNULL, **environment: str) -> None:
    done = subprocess.run(command, stdin=stdin, capture_output=True, timeout=60, env=os.environ | environment)
    assert done.returncode == 0, (command, done.stderr.decode(errors="replace"))


def logger(target: Target, file: pathlib.Path, *options: str) -> None:
    """logger(1) sends each line of the file."""
    where = {
        "unix-stream": ["--socket", target.path],
        "unix-datagram": ["--socket", target.path],
        "tcp": ["--server", "127.0.0.1", "--port", str(target.port), "--tcp"],
        "udp": ["--server", "127.0.0.1", "--port", str(target.port), "--udp"],
    }[target.kind]
    _run([program("logger"), *where, "--tag", "corpus", *options, "--file", str(file)])


def socat(target: Target, file: pathlib.Path) -> None:
    """socat copies the file's bytes into one connection."""
    where = f"UNIX-CONNECT:{target.path}" if target.kind == "unix-stream" else f"TCP:127.0.0.1:{target.port}"
    with file.open("rb") as content:
        _run([program("socat"), "-u", "-", where], stdin=content)


def syslog_handler(target: Target, file: pathlib.Path, append_nul: bool = True) -> None:
    """Python's SysLogHandler sends each line, by default ended with a NUL on every transport."""
    kind = socket.SOCK_STREAM if target.kind in ("unix-stream", "tcp") else socket.SOCK_DGRAM
    address = target.path or ("127.0.0.1", target.port)
    handler = logging.handlers.SysLogHandler(address=address, socktype=kind)
    handler.ident = "corpus: "
    handler.append_nul = append_nul
    handler.handleError = _fail
    log = logging.Logger("corpus")
    log.addHandler(handler)
    for line in file.read_bytes().split(b"\n"):
        log.info("%s", line.decode())
    handler.close()


def _fail(record: logging.LogRecord) -> None:
    raise AssertionError(f"SysLogHandler could not send {record.getMessage()!r}")


def loggen(target: Target, file: pathlib.Path, *options: str) -> None:
    """syslog-ng's loggen sends the file's lines as they are, or with its own header (-P)."""
    where = {
        "unix-stream": ["--unix", "--stream", target.path],
        "unix-datagram": ["--unix", "--dgram", target.path],
        "tcp": ["--inet", "--stream", "127.0.0.1", str(target.port)],
        "udp": ["--inet", "--dgram", "127.0.0.1", str(target.port)],
    }[target.kind]
    command = program("loggen")
    environment = {}
    if command.startswith(str(_PEERS)):
        environment = {"SYSLOGNG_PREFIX": f"{_PEERS}/usr", "LD_LIBRARY_PATH": f"{_PEERS}/usr/lib/syslog-ng"}
    _run([command, "--rate", "20000", "--interval", "30", "--quiet", "--read-file", str(file), "--dont-parse",
          *options, *where], **environment)
