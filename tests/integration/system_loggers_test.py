"""Programs that log as they always did: the C library's syslog(3), and an rsyslog that forwards to us.

A socket that only records gets the same; what is stored reads as the record of it says.
"""

import json
import os
import pathlib
import socket
import subprocess
import sys

import pytest
from support import oracle
from support.daemon import eventually
from support.recorder import Recorder
from support.senders import peer_libraries, program

LINES = ["plain", "with: a colon", "  leading blanks", "tab\tinside", "ümläut €", "", "<13>no priority", "x" * 900, "[sd] like", "100 %m",
         "Nov 22 23:05:01 host other[1]: a header inside"]
# Nothing but the C library: facilities, options and identities as programs set them.
SYSLOG = """
import json, sys, syslog
syslog.openlog("program", syslog.LOG_PID | syslog.LOG_NDELAY, syslog.LOG_LOCAL3)
for number, line in enumerate(json.loads(sys.argv[1])):
    syslog.syslog(number % 8, line)
syslog.openlog("other", 0, syslog.LOG_USER)
syslog.syslog("the last")
"""


def by_the_c_library(dev_log: str) -> None:
    """syslog(3) knows one address, /dev/log: in a mount namespace of its own it is the given socket."""
    script = 'mount -t tmpfs none /dev && touch /dev/log && mount --bind "$1" /dev/log && shift && exec "$@"'
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
        pytest.skip("a mount namespace needs root")
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", dev_log, sys.executable, "-c", SYSLOG, json.dumps(LINES)],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode(errors="replace")


@pytest.mark.parametrize(("kind", "listener"), [("unix-datagram", "devlog"), ("unix-stream", "app")])
def test_what_the_c_library_sends_comes_back_byte_for_byte(daemon, folder, kind, listener):
    with Recorder(kind, str(folder / "recorder.sock")) as recorder:
        by_the_c_library(recorder.path)
    by_the_c_library(daemon.listener(listener)["path"])
    expected = oracle.messages(recorder)
    assert len(expected) == len(LINES) + 1 and expected[-1] == b"the last"
    now = daemon.quiesce(len(expected))
    assert (now.stored, now.dropped) == (len(expected), 0)
    assert daemon.cat() == expected
    rows = daemon.cat_json()
    assert {(row["facility"], row["identifier"]) for row in rows} == {("local3", "program"), ("user", "other")}
    assert [row["severity"] for row in rows][:8] == ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"]


def start_rsyslog(folder: pathlib.Path, framing: str, template: str, ports: list[int]) -> subprocess.Popen:
    """It listens at folder/in.sock and forwards each line to all the ports, in the same order."""
    command = [program("rsyslogd"), "-n", "-f", str(folder / "rsyslog.conf"), "-i", str(folder / "rsyslog.pid")]
    libraries = peer_libraries()
    modules = [path / "rsyslog" for path in libraries if (path / "rsyslog").is_dir()]
    if modules:
        command += ["-M", str(modules[0])]
    forward = "\n".join(f'action(type="omfwd" target="127.0.0.1" port="{port}" protocol="tcp" tcp_framing="{framing}" '
                        f'template="{template}" action.resumeRetryCount="-1")' for port in ports)
    (folder / "rsyslog.conf").write_text(f"""global(workDirectory="{folder}" maxMessageSize="64k")
module(load="imptcp")
input(type="imptcp" path="{folder}/in.sock" unlink="on" rateLimit.interval="0")
{forward}
""")
    environment = os.environ | ({"LD_LIBRARY_PATH": ":".join(map(str, libraries))} if libraries else {})
    with (folder / "rsyslog.errors").open("wb") as errors:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, env=environment)


@pytest.mark.parametrize("template", ["RSYSLOG_TraditionalForwardFormat", "RSYSLOG_SyslogProtocol23Format"], ids=["rfc3164", "rfc5424"])
@pytest.mark.parametrize("framing", ["octet-counted", "traditional"])
def test_what_rsyslog_forwards_comes_back_byte_for_byte(daemon, folder, framing, template):
    count = 2000
    with Recorder("tcp") as recorder:
        rsyslog = start_rsyslog(folder, framing, template, [recorder.port, daemon.syslog_port])
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                eventually(lambda: rsyslog.poll() is not None or connection.connect_ex(str(folder / "in.sock")) == 0, 30)
                assert rsyslog.poll() is None, (folder / "rsyslog.errors").read_text()
                for number in range(count):
                    text = f"<{number % 192}>Nov 22 23:05:01 host program[{number}]: {number} {LINES[number % len(LINES)]}\n"
                    connection.sendall(text.encode())
            daemon.quiesce(count, 60)
            eventually(lambda: sum(map(len, recorder.connections)) > 0 and len(oracle.messages(recorder)) >= count, 30, 0.2)
        finally:
            rsyslog.terminate()
            rsyslog.wait(30)
    expected = oracle.messages(recorder)
    assert len(expected) == count and all(str(number).encode() in message for number, message in enumerate(expected))
    now = daemon.quiesce()
    assert (now.stored, now.dropped) == (count, 0)
    assert daemon.cat() == expected
    rows = daemon.cat_json()
    assert [row["identifier"] for row in rows] == ["program"] * count
