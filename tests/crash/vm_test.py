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
from vm.nvdimm import NvdimmTrial
from vm.volatile_disk import Cut, VolatileDiskTrial

HEAVY = os.environ.get("FASTLOGD_HEAVY") == "1"
ROUNDS = int(os.environ.get("FASTLOGD_VM_ROUNDS", "1"))
CUTS = int(os.environ.get("FASTLOGD_VM_CUTS", "5"))
SEED = int(os.environ.get("FASTLOGD_VM_SEED", str(random.randrange(1 << 32))))

# Says how many records `fastlogctl sync` has vouched for.
SEND_AND_SYNC = """
lines NAME | fastlogctl send --config /fastlogd.yaml --raw &
while :; do
  last=$(fastlogctl tail -n 1 -o cat --config /fastlogd.yaml | sed -n 's/load-NAME-0*\\([0-9]*\\) .*/\\1/p')
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


# A volatile disk. One boot gives one write log, and many disks that cuts during it could have left.


def cuts_of_a_boot(trial: VolatileDiskTrial, start: str, contents: dict[str, bytes], chance: random.Random) -> list[Cut]:
    """One boot that starts a daemon so, and as many of the disks it may have left as FASTLOGD_VM_CUTS says."""
    trial.run(start + SEND_AND_SYNC.replace("NAME", "r0"), contents, chance.uniform(0.5, 6))
    cuts = []
    for number in range(CUTS):
        cuts.append(cut := trial.cut(chance))
        print(f"cut {number}: {cut.how}: {cut.acknowledged} acknowledged, {cut.found} found")
    return cuts


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_what_was_acknowledged_survives_a_power_cut_with_a_volatile_disk(folder, initramfs, chance, kind):
    trial = VolatileDiskTrial(folder, kind, initramfs)
    cuts = [cut for _ in range(ROUNDS) for cut in cuts_of_a_boot(trial, f"plain_disk {kind}\ndaemon\n", files("none"), chance)]
    total = sum(cut.acknowledged for cut in cuts)
    busy = sum(cut.unflushed > 0 for cut in cuts)
    print(f"{kind}: {ROUNDS} boots, {len(cuts)} cuts, {busy} of them with unflushed writes, {total} acknowledged records looked for")
    assert not [cut for cut in cuts if cut.lost]
    assert total


def test_acknowledging_before_the_sync_is_caught(folder, initramfs, liar, chance):
    trial = VolatileDiskTrial(folder, "ext4", initramfs)
    cuts = cuts_of_a_boot(trial, "plain_disk ext4\ndaemon LD_PRELOAD=/liar.so LIES=sync\n", files("none", liar=liar), chance)
    assert any(cut.lost for cut in cuts), "a daemon that does not sync was to lose what it acknowledged"


# An NVDIMM. Every boot checks what the kills before it have left, then goes on until it is killed.


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_what_was_acknowledged_survives_the_death_of_a_machine_with_an_nvdimm(folder, initramfs, chance, kind):
    trial = NvdimmTrial(folder, initramfs, files("none"))
    for _ in range(ROUNDS + 1):
        found = trial.boot(f"dax_disk {kind}\ndaemon\n", SEND_AND_SYNC, chance.uniform(0, 4))
        print(f"{kind}: {trial.acknowledged} acknowledged, {found} found")
        assert not trial.lost(found)


def test_acknowledging_before_the_sync_is_caught_on_an_nvdimm(folder, initramfs, liar, chance):
    trial = NvdimmTrial(folder, initramfs, files("none", liar=liar))
    for _ in range(2):
        found = trial.boot("dax_disk ext4 commit=300\ndaemon LD_PRELOAD=/liar.so LIES=sync\n", SEND_AND_SYNC, chance.uniform(0, 2))
    assert trial.lost(found), f"{trial.acknowledged} acknowledged, {found} found"
