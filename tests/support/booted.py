"""A small Debian of its own under build/heavy, and a real systemd booted in a copy of it by systemd-nspawn.

Heavy: only with FASTLOGD_HEAVY=1, as root, and with the network when the root is made for the first time.
"""

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from support.daemon import BIN
from support.mounts import mounted
from support.source_tree import ROOT

HEAVY = ROOT / "build" / "heavy"
PACKAGES = ("systemd,systemd-sysv,dbus,bsdutils,curl,libspdlog1.10,libfmt9,libyaml-cpp0.7,libprometheus-cpp-core1.0,"
            "libre2-9,libisal2,ca-certificates")
MIRROR = "http://deb.debian.org/debian"

_PROBE_UNIT = """
[Unit]
Description=What the test does inside
After=network.target dbus.service
[Service]
Type=oneshot
ExecStart=/bin/bash /probe
ExecStopPost=/bin/systemctl --no-block exit 0
StandardOutput=journal
TimeoutStartSec=120
"""


def require_heavy(*programs: str) -> None:
    if os.environ.get("FASTLOGD_HEAVY") != "1":
        pytest.skip("heavy: set FASTLOGD_HEAVY=1 to run it")
    if os.geteuid() != 0:
        pytest.skip("needs root")
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed (FASTLOGD_HEAVY=1 ./dev test installs it)")


def debian_root() -> pathlib.Path:
    """The cached root; made by debootstrap the first time."""
    root = HEAVY / "root"
    if not (HEAVY / "root.made").exists():
        shutil.rmtree(root, ignore_errors=True)
        HEAVY.mkdir(parents=True, exist_ok=True)
        made = subprocess.run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root), MIRROR],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert made.returncode == 0, made.stdout[-2000:] + made.stderr
        (HEAVY / "root.made").touch()
    return root


@contextlib.contextmanager
def copy_of_root():
    """A writable copy that costs nothing: an overlay over the cached root."""
    base = pathlib.Path(tempfile.mkdtemp(prefix="fastlogd-root-"))
    for part in ("upper", "work", "root"):
        (base / part).mkdir()
    layers = f"lowerdir={debian_root()},upperdir={base}/upper,workdir={base}/work"
    try:
        with mounted(base / "root", "-t", "overlay", "overlay", "-o", layers) as root:
            yield root
    finally:
        shutil.rmtree(base, ignore_errors=True)


def install(root: pathlib.Path) -> None:
    """Puts the programs, the example configuration and everything of systemd/ where a package would."""
    for program in ("fastlogd", "fastlogctl"):
        shutil.copy(BIN / program, root / "usr/bin" / program)
    (root / "etc/fastlogd").mkdir(parents=True)
    shutil.copy(ROOT / "config" / "fastlogd.yaml", root / "etc/fastlogd/fastlogd.yaml")
    places = {".service": "usr/lib/systemd/system", ".socket": "usr/lib/systemd/system", "sysusers.conf": "usr/lib/sysusers.d",
              "tmpfiles.conf": "usr/lib/tmpfiles.d"}
    for path in sorted((ROOT / "systemd").iterdir()):
        for end, place in places.items():
            if path.name.endswith(end):
                name = path.name if end.startswith(".") else "fastlogd.conf"
                (root / place).mkdir(parents=True, exist_ok=True)
                shutil.copy(path, root / place / name)


def boot(root: pathlib.Path, probe: str, results: pathlib.Path) -> None:
    """Boots, runs the bash script `probe` (it may write below /results), and powers off."""
    (root / "probe").write_text(probe)
    (root / "etc/systemd/system/probe.service").write_text(_PROBE_UNIT)
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (wants / "probe.service").symlink_to("../probe.service")
    done = subprocess.run(
        ["systemd-nspawn", "--quiet", f"--directory={root}", "--boot", "--register=no", "--keep-unit", "--private-network",
         f"--bind={results}:/results", "--console=read-only"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=200)
    assert (results / "end").exists(), done.stdout[-3000:] + done.stderr[-2000:]
