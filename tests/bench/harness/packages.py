"""Peers from Debian's archive: taken from the machine if they are there, else unpacked under build/bench/peers.

Nothing is installed, no service is started: packages are downloaded and unpacked with dpkg -x, with those of their
dependencies that the machine lacks.
"""

import dataclasses
import glob
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from harness.paths import PEERS, Unavailable


@dataclasses.dataclass
class Program:
    path: str
    root: pathlib.Path | None  # where its package is unpacked; None: it is the machine's own
    version: str

    @property
    def environment(self) -> dict[str, str]:
        """What an unpacked program needs to find its libraries."""
        if self.root is None:
            return dict(os.environ)
        folders = glob.glob(f"{self.root}/usr/lib/*-linux-gnu") + glob.glob(f"{self.root}/lib/*-linux-gnu")
        folders += glob.glob(f"{self.root}/usr/lib/syslog-ng")
        return os.environ | {"LD_LIBRARY_PATH": ":".join(folders), "SYSLOGNG_PREFIX": f"{self.root}/usr"}


def _apt(*arguments: str, cwd: pathlib.Path | None = None) -> str:
    # apt drops root rights for a download, so the folder would have to be writable for it.
    done = subprocess.run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", *arguments], cwd=cwd,
                          capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Unavailable(f"apt-get {' '.join(arguments)}: {done.stderr.strip().splitlines()[-1:]}")
    return done.stdout


def _unpack(package: str) -> pathlib.Path:
    root = PEERS / package
    if root.exists():
        return root
    if not shutil.which("apt-get"):
        raise Unavailable(f"{package} is not installed and there is no apt-get to fetch it with")
    print(f"unpacking {package} under {root}", flush=True)
    # A simulated run, not --print-uris: that leaves out what apt has in its cache already.
    listed = _apt("install", "--simulate", "--yes", "--no-install-recommends", "--reinstall", package)
    wanted = [f"{name}={version}" for name, version in
              re.findall(r"^Inst (\S+) (?:\[\S+\] )?\((\S+)", listed, re.MULTILINE)]
    names = [name.split("=")[0] for name in wanted] or [package]
    PEERS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        _apt("download", *names, cwd=pathlib.Path(folder))
        half = PEERS / f".{package}"
        shutil.rmtree(half, ignore_errors=True)
        for archive in pathlib.Path(folder).glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(archive), str(half)], check=True)
        versions = dict(one.split("=", 1) for one in wanted)
        (half / "version").write_text(versions.get(package, ""))
        half.rename(root)
    return root


def _version(program: str, environment: dict[str, str], *option: str) -> str:
    done = subprocess.run([program, *option], capture_output=True, text=True, env=environment)
    return next(iter((done.stdout or done.stderr).splitlines()), "").strip().split(" (")[0]


def find(name: str, package: str, version_option: str | None = "--version") -> Program:
    """The machine's own program, or the one in the unpacked package."""
    path, root = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"), None
    if path is None:
        root = _unpack(package)
        found = [root / folder / name for folder in ("usr/sbin", "usr/bin", "sbin", "bin")]
        path = next((str(candidate) for candidate in found if candidate.exists()), None)
        if path is None:
            raise Unavailable(f"no {name} in package {package}")
    program = Program(path, root, "")
    if root is None:
        done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
        program.version = done.stdout.strip() if done.returncode == 0 else ""
    elif (root / "version").exists():
        program.version = (root / "version").read_text()
    if not program.version and version_option:
        program.version = _version(path, program.environment, version_option)
    return program
