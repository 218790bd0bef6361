"""fastlogd and the programs it is measured against, each in its best documented set-up, in a folder of its own.

A server is made once (it looks for its program then and raises Unavailable if there is none) and started afresh for
every round. `wait` says how await_tool sees that records are there.
"""

import http.client
import json
import os
import pathlib
import shutil
import socket

from harness import packages
from harness.paths import Unavailable, tool
from harness.process import Process


class Server:
    name = ""
    setup = ""  # one line for the report
    counts_bytes = False  # await_tool's target is bytes, not records

    def __init__(self):
        self.process: Process | None = None
        self.folder = pathlib.Path()
        self.socket_path = ""

    def start(self, folder: pathlib.Path, transport: str) -> None:
        self.folder = folder
        self.socket_path = str(folder / "in.sock")
        (folder / "out").mkdir()
        self._start(transport)
        self.process.wait_for(self._is_ready)

    def _start(self, transport: str) -> None:
        raise NotImplementedError

    def _is_ready(self) -> bool:
        return os.path.exists(self.socket_path)

    def connected(self) -> None:
        """The sender has connected."""

    def wait(self) -> list[str]:
        return ["--lines", str(self.folder / "out")]

    def first(self) -> int:
        """What await_tool counts before the first message."""
        return 0

    def stop(self) -> None:
        if self.process:
            self.process.stop()
            self.process = None


class Discard(Server):
    name = "receive and discard"
    setup = "discard_tool: recv(2) into 256 KiB, recvmmsg(2) of 64 datagrams, no credentials"
    arguments: tuple[str, ...] = ()

    def __init__(self):
        super().__init__()
        self.program = tool("discard_tool")
        self.transport = ""

    def _start(self, transport: str) -> None:
        self.transport = transport
        self.counts_bytes = transport == "unix-stream"
        self.process = Process([self.program, "--at", f"{transport}:{self.socket_path}",
                                "--counter", str(self.folder / "counter"), *self.arguments], self.folder)

    def wait(self) -> list[str]:
        return ["--counter", str(self.folder / "counter")] + ([] if self.counts_bytes else ["--messages"])


class ReceiveAndWrite(Discard):
    """The simplest program that stores: no records, no checksums, nothing that finds them again."""
    name = "receive and write"
    setup = "discard_tool --write: recv(2) into 256 KiB and one write(2) of it to a file"
    arguments = ("--write", "out/stream")


class Fastlogd(Server):
    def __init__(self, text: bool = False, interval: bool = False, group: bool = False):
        super().__init__()
        self.program = tool("fastlogd")
        self.text = text
        self.durability = ({"mode": "group"} if group else {"mode": "interval", "interval": "1s"} if interval
                           else {"mode": "none"})
        self.name = "fastlogd" + (" with text file" if text else "") + (", durability interval" if interval else "")
        self.setup = ("segments of 256 MiB, durability " + " ".join(self.durability.values()) +
                      (", text file on: measured until the last line is in it" if text else ", text file off") +
                      ", else defaults")
        self.http_port = 0

    def _start(self, transport: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.http_port = probe.getsockname()[1]
        (self.folder / "run").mkdir()
        stream = {
            "directory": str(self.folder / "log"),
            "segment_bytes": "256MiB",
            "durability": self.durability,
            "retention": {"bytes_max": "64GiB", "keep_free": "256MiB"},
        }
        if self.text:
            stream["text"] = {"path": str(self.folder / "out" / "main.log"), "rotate_bytes": "16GiB", "keep": 2}
        config = {
            "runtime_directory": str(self.folder / "run"),
            "streams": {"main": stream},
            "listeners": [{"name": "in", "transport": transport, "path": self.socket_path, "stream": "main"}],
            "http": {"address": "127.0.0.1", "port": self.http_port},
        }
        path = self.folder / "fastlogd.yaml"
        path.write_text(json.dumps(config, indent=2) + "\n")
        self.process = Process([self.program, "--config", str(path)], self.folder)

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def wait(self) -> list[str]:
        if self.text:
            return ["--lines", str(self.folder / "out"), "--prefix", "main.log"]
        return ["--log", str(self.folder / "log")]


class S6Log(Server):
    name = "s6-log"

    def __init__(self):
        super().__init__()
        self.program = packages.find("s6-log", "s6", None)
        self.setup = f"s6 {self.program.version}: s6-log n20 s268435455 DIR, the accepted connection is its standard input"
        self.listener: socket.socket | None = None

    def start(self, folder: pathlib.Path, transport: str) -> None:
        if transport != "unix-stream":
            raise Unavailable("s6-log reads a stream only")
        self.folder, self.socket_path = folder, str(folder / "in.sock")
        (folder / "out").mkdir()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.socket_path)
        self.listener.listen(1)
        self.listener.settimeout(20)

    def connected(self) -> None:
        connection, _ = self.listener.accept()
        self.listener.close()
        connection.setblocking(True)
        with connection:
            self.process = Process([self.program.path, "n20", "s268435455", str(self.folder / "out")], self.folder,
                                   self.program.environment, stdin=connection)

    def stop(self) -> None:
        if self.listener:
            self.listener.close()
        super().stop()


class Rsyslog(Server):
    name = "rsyslog"

    def __init__(self):
        super().__init__()
        self.program = packages.find("rsyslogd", "rsyslog", "-v")
        self.setup = (f"{self.program.version}: imptcp or imuxsock with flow control, rate limits off; ruleset queue "
                      "FixedArray of 200000, dequeue batch 4096, one worker; omfile, buffer 256k, template %rawmsg%")

    def _start(self, transport: str) -> None:
        if transport == "unix-stream":
            source = f"""module(load="imptcp" threads="1")
input(type="imptcp" path="{self.socket_path}" unlink="on" ruleset="store" rateLimit.interval="0" flowControl="on")"""
        else:
            source = f"""module(load="imuxsock" sysSock.use="off")
input(type="imuxsock" socket="{self.socket_path}" unlink="on" ruleset="store" rateLimit.interval="0" flowControl="on")"""
        (self.folder / "rsyslog.conf").write_text(f"""global(workDirectory="{self.folder}" maxMessageSize="64k")
template(name="line" type="string" string="%rawmsg%\\n")
ruleset(name="store" queue.type="FixedArray" queue.size="200000" queue.dequeueBatchSize="4096"
        queue.workerThreads="1" queue.timeoutEnqueue="600000") {{
  action(type="omfile" file="{self.folder}/out/rsyslog.log" template="line" ioBufferSize="256k")
}}
{source}
""")
        command = [self.program.path, "-n", "-f", str(self.folder / "rsyslog.conf"), "-i", str(self.folder / "pid")]
        if self.program.root:
            modules = next(self.program.root.glob("usr/lib/*-linux-gnu/rsyslog"))
            command += ["-M", str(modules)]
        self.process = Process(command, self.folder, self.program.environment)


class SyslogNg(Server):
    """A window of 1000 messages a connection: with the default of 100 it reached less than half, with 2000 and more
    as little, and not parsing changed nothing."""

    name = "syslog-ng"

    def __init__(self):
        super().__init__()
        self.program = packages.find("syslog-ng", "syslog-ng-core")
        self.setup = (f"{self.program.version}: threaded, flow-control, no DNS, log-iw-size 10000 for 10 connections, "
                      "log-fetch-limit 100, flush-lines 1000, log-fifo-size 20000, template ${MSGHDR}${MESSAGE}")

    def _start(self, transport: str) -> None:
        source = {"unix-stream": "unix-stream", "unix-datagram": "unix-dgram"}[transport]
        sizes = ("log-iw-size(10000) max-connections(10)" if transport == "unix-stream" else "log-iw-size(1000)")
        config = self.folder / "syslog-ng.conf"
        config.write_text(f"""@version: 3.38
options {{ threaded(yes); use-dns(no); keep-hostname(yes); stats-freq(0); log-fifo-size(20000); flush-lines(1000);
          log-msg-size(65536); }};
source in {{ {source}("{self.socket_path}" {sizes} log-fetch-limit(100)); }};
destination out {{ file("{self.folder}/out/syslog-ng.log" template("${{MSGHDR}}${{MESSAGE}}\\n")); }};
log {{ source(in); destination(out); flags(flow-control); }};
""")
        command = [self.program.path, "-F", "--no-caps", "--cfgfile", str(config),
                   "--persist-file", str(self.folder / "persist"), "--pidfile", str(self.folder / "pid"),
                   "--control", str(self.folder / "control")]
        if self.program.root:
            command += ["--module-path", str(next(self.program.root.glob("usr/lib/syslog-ng/*")))]
        self.process = Process(command, self.folder, self.program.environment)


class Journald(Server):
    """In a mount namespace of its own: /run is an empty tmpfs, /var/log is the round's folder. Needs root."""

    name = "systemd-journald"
    _PROGRAM = "/lib/systemd/systemd-journald"

    def __init__(self):
        super().__init__()
        if not os.path.exists(self._PROGRAM):
            raise Unavailable(f"{self._PROGRAM} is not installed")
        if os.geteuid() != 0 or not shutil.which("unshare"):
            raise Unavailable("journald can only be run privately by root (a mount namespace of its own)")
        version = packages.find("systemd-run", "systemd").version
        self.setup = f"systemd {version}: Storage=persistent, rate limit off, forwarding off, in a private mount namespace"
        self._entries_before = 0

    def _start(self, transport: str) -> None:
        if transport != "unix-datagram":
            raise Unavailable("journald's syslog socket takes datagrams only")
        (self.folder / "journald.conf").write_text(
            "[Journal]\nStorage=persistent\nRateLimitIntervalSec=0\nRateLimitBurst=0\nReadKMsg=no\nAudit=no\n"
            "ForwardToSyslog=no\nForwardToKMsg=no\nForwardToConsole=no\nForwardToWall=no\nSystemMaxUse=16G\n"
            "SystemKeepFree=256M\n")
        (self.folder / "out" / "journal").mkdir()
        script = (f"mount --make-rprivate / && mount --bind '{self.folder}/out' /var/log && "
                  f"mount --bind '{self.folder}/journald.conf' /etc/systemd/journald.conf && "
                  "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal && touch /run/systemd/journal/flushed && "
                  f"exec {self._PROGRAM}")
        self.process = Process(["unshare", "--mount", "sh", "-c", script], self.folder)
        self.socket_path = f"/proc/{self.process.pid}/root/run/systemd/journal/dev-log"

    def first(self) -> int:
        return -1  # it logs its own start: ask

    def wait(self) -> list[str]:
        return ["--journal", str(self.folder / "out" / "journal")]
