"""Power cuts in a small virtual machine: with a disk whose cache is volatile, and with an NVDIMM mapped by MAP_SYNC.

Heavy: only with FASTLOGD_HEAVY=1 (a short form) or FASTLOGD_VM_ROUNDS=N: N boots of each kind. FASTLOGD_VM_CUTS disks are
made of every boot with a volatile disk; FASTLOGD_VM_SEED repeats the choices (what the machine does meanwhile differs).
"""

import json
import os
import pathlib
import random
import subprocess
import tempfile

import pytest
from vm import parts
from vm.volatile_disk import VolatileDiskTrial

HEAVY = os.environ.get("FASTLOGD_HEAVY") == "1"
ROUNDS = int(os.environ.get("FASTLOGD_VM_ROUNDS", "1"))
CUTS = int(os.environ.get("FASTLOGD_VM_CUTS", "5"))
SEED = int(os.environ.get("FASTLOGD_VM_SEED", str(random.randrange(1 << 32))))

# Says how many records `fastlogctl sync` has vouched for.
SEND_AND_SYNC = """
lines NAME | fastlogctl send --config /fastlogd.yaml --raw &
while :; do
  last=$(fastlogctl tail -n 1 -o cat --config /fastlogd.yaml | sed 's/load-NAME-0*\\([0-9]*\\) .*/\\1/')
  fastlogctl sync --config /fastlogd.yaml && [ -n "$last" ] && echo "$last" >$ACKNOWLEDGEMENTS
done
"""

pytestmark = pytest.mark.skipif(not HEAVY and "FASTLOGD_VM_ROUNDS" not in os.environ,
                                reason="heavy: set FASTLOGD_HEAVY=1 or FASTLOGD_VM_ROUNDS=N to run it")


@pytest.fixture(scope="module")
def initramfs():
    with tempfile.TemporaryDirectory(prefix="fastlogd-") as folder:
        path = pathlib.Path(folder) / "initramfs"
        parts.initramfs(path)
        yield path


@pytest.fixture(scope="module")
def liar():
    with tempfile.TemporaryDirectory(prefix="fastlogd-") as folder:
        path = pathlib.Path(folder) / "liar.so"
        source = pathlib.Path(__file__).parent / "vm" / "liar.c"
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", str(path), str(source)], check=True)
        yield path.read_bytes()


@pytest.fixture
def chance():
    print(f"FASTLOGD_VM_SEED={SEED} FASTLOGD_VM_ROUNDS={ROUNDS} FASTLOGD_VM_CUTS={CUTS}")
    return random.Random(SEED)


def files(mode: str, **more: bytes) -> dict[str, bytes]:
    """The configuration: small segments, so that every boot rolls and seals; nothing is ever removed."""
    stream = {"directory": "/log/main", "segment_bytes": "1MiB", "durability": {"mode": mode},
              "retention": {"bytes_max": "0", "keep_free": "0"}, "when_full": "block"}
    listener = {"name": "app", "transport": "unix-stream", "path": "/run/app.sock", "stream": "main"}
    configuration = {"runtime_directory": "/run", "streams": {"main": stream}, "listeners": [listener],
                     "http": {"address": "127.0.0.1", "port": 9514}}
    return {"fastlogd.yaml": json.dumps(configuration).encode()} | {f"{name}.so": content for name, content in more.items()}


def cuts_of_a_boot(trial: VolatileDiskTrial, job: str, contents: dict[str, bytes], chance: random.Random):
    """One boot, and as many of the disks it may have left as FASTLOGD_VM_CUTS says."""
    trial.run(job, contents, chance.uniform(0.5, 6))
    for number in range(CUTS):
        cut = trial.cut(chance)
        print(f"cut {number}: {cut.how}: {cut.acknowledged} acknowledged, {cut.found} found")
        yield cut


def test_what_a_sync_vouched_for_survives_a_power_cut_with_a_volatile_disk(folder, initramfs, chance):
    trial = VolatileDiskTrial(folder, "ext4", initramfs)
    cuts = list(cuts_of_a_boot(trial, "plain_disk ext4\ndaemon\n" + SEND_AND_SYNC.replace("NAME", "r0"), files("none"), chance))
    assert not any(cut.lost for cut in cuts)
    assert any(cut.acknowledged for cut in cuts)


def test_acknowledging_before_the_sync_is_caught(folder, initramfs, liar, chance):
    trial = VolatileDiskTrial(folder, "ext4", initramfs)
    start = "plain_disk ext4\ndaemon LD_PRELOAD=/liar.so LIES=sync\n"
    cuts = list(cuts_of_a_boot(trial, start + SEND_AND_SYNC.replace("NAME", "r0"), files("none", liar=liar), chance))
    assert any(cut.lost for cut in cuts), "a daemon that does not sync was to lose what it vouched for"
