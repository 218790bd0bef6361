"""Power cuts in a small virtual machine: with a disk whose cache is volatile, and with an NVDIMM mapped by MAP_SYNC.

Heavy: only with FASTLOGD_HEAVY=1 (a short form) or FASTLOGD_VM_ROUNDS=N: N kills of each kind. FASTLOGD_VM_CUTS disks are
made of every boot with a volatile disk; FASTLOGD_VM_SEED repeats the choices (what the machine does meanwhile differs).
"""

import itertools
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

# Passes on each acknowledgement as it arrives.
SEND_ACKNOWLEDGED = "lines NAME | fastlogctl send --config /fastlogd.yaml --ack synced --print-acks >$ACKNOWLEDGEMENTS\n"
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


WRITES = itertools.cycle(("mapping", "pwrite"))  # in turns


def files(mode: str, **more: bytes) -> dict[str, bytes]:
    """The configuration: small segments, so that every boot rolls and seals; nothing is ever removed."""
    stream = {"directory": "/log/main", "segment_bytes": "1MiB", "durability": {"mode": mode}, "write": next(WRITES),
              "retention": {"bytes_max": "0", "keep_free": "0"}, "when_full": "block"}
    listener = {"name": "app", "transport": "unix-stream", "path": "/run/app.sock", "stream": "main"}
    configuration = {"runtime_directory": "/run", "streams": {"main": stream}, "listeners": [listener],
                     "http": {"address": "127.0.0.1", "port": 9514}}
    return {"fastlogd.yaml": json.dumps(configuration).encode()} | {f"{name}.so": content for name, content in more.items()}


# A volatile disk. One boot gives one write log, and many disks that cuts during it could have left.


def cuts_of_a_boot(trial: VolatileDiskTrial, job: str, contents: dict[str, bytes], chance: random.Random) -> list[Cut]:
    """One boot that does so, and as many of the disks it may have left as FASTLOGD_VM_CUTS says."""
    trial.run(job.replace("NAME", "r0"), contents, chance.uniform(0, 6))
    cuts = []
    for number in range(CUTS):
        cuts.append(cut := trial.cut(chance))
        print(f"cut {number}: {cut.how}: {cut.acknowledged} acknowledged, {cut.found} found")
    return cuts


def check_nothing_lost(kind: str, cuts: list[Cut]) -> None:
    total = sum(cut.acknowledged for cut in cuts)
    busy = sum(cut.unflushed > 0 for cut in cuts)
    print(f"{kind}: {len(cuts)} cuts, {busy} of them with unflushed writes, {total} acknowledged records looked for")
    assert not [cut for cut in cuts if cut.lost]
    assert total


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_P02_acknowledged_records_survive_a_power_cut_of_a_machine(folder, initramfs, chance, kind):
    trial = VolatileDiskTrial(folder, kind, initramfs)
    job = f"plain_disk {kind}\ndaemon\n" + SEND_ACKNOWLEDGED
    check_nothing_lost(kind, [cut for _ in range(ROUNDS) for cut in cuts_of_a_boot(trial, job, files("group"), chance)])


def test_P02_what_a_sync_vouched_for_survives_a_power_cut_of_a_machine(folder, initramfs, chance):
    trial = VolatileDiskTrial(folder, "ext4", initramfs)
    check_nothing_lost("sync", cuts_of_a_boot(trial, "plain_disk ext4\ndaemon\n" + SEND_AND_SYNC, files("none"), chance))


def test_P02_a_daemon_that_acknowledges_before_the_sync_is_caught_by_a_power_cut(folder, initramfs, liar, chance):
    trial = VolatileDiskTrial(folder, "ext4", initramfs)
    job = "plain_disk ext4\ndaemon LD_PRELOAD=/liar.so LIES=sync\n" + SEND_ACKNOWLEDGED
    cuts = cuts_of_a_boot(trial, job, files("group", liar=liar), chance)
    assert any(cut.lost for cut in cuts), "a daemon that does not sync was to lose what it acknowledged"


# An NVDIMM. Every boot checks what the kills before it have left, then goes on until it is killed. Only MAP_SYNC makes
# the file system remember where a store went: with `commit=300` ext4 writes its journal when asked and not otherwise.


@pytest.fixture
def boot_dax(folder, chance):
    """boot_dax(trial, KIND and mount options, daemon): one boot up to its kill; what it found of the rounds before."""

    def boot(trial: NvdimmTrial, kind: str, daemon: str = "daemon") -> list[int]:
        found = trial.boot(f"dax_disk {kind}\n{daemon}\n", SEND_ACKNOWLEDGED, chance.uniform(0, 4))
        print(f"{kind}, {daemon}: {trial.acknowledged} acknowledged, {found} found")
        return found

    return boot


def mapped_by_map_sync(trial: NvdimmTrial) -> bool:
    """As the kernel sees it, and the daemon says the same."""
    in_force = bool(trial.flags) and all("sf" in flags for flags in trial.flags)
    assert trial.status["streams"][0]["durability"] == ("dax" if in_force else "group"), (trial.status, trial.flags)
    return in_force


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_P02_acknowledged_records_survive_the_death_of_a_machine_with_an_nvdimm(folder, initramfs, boot_dax, kind):
    trial = NvdimmTrial(folder, initramfs, files("dax"))
    for _ in range(ROUNDS + 1):
        found = boot_dax(trial, kind)
        assert mapped_by_map_sync(trial)
        assert not trial.lost(found)


def test_P02_without_syncs_map_sync_alone_keeps_acknowledged_records(folder, initramfs, liar, boot_dax):
    trial = NvdimmTrial(folder, initramfs, files("dax", liar=liar))
    for _ in range(2):
        found = boot_dax(trial, "ext4 commit=300", "daemon LD_PRELOAD=/liar.so LIES=sync")
    assert not trial.lost(found)


def test_P02_without_map_sync_acknowledged_records_are_lost_and_missed(folder, initramfs, liar, boot_dax):
    trial = NvdimmTrial(folder, initramfs, files("dax", liar=liar))
    for _ in range(2):
        found = boot_dax(trial, "ext4 commit=300", "daemon LD_PRELOAD=/liar.so LIES=sync,mapping")
        assert not any("sf" in flags for flags in trial.flags), "the daemon believes it has MAP_SYNC; the kernel knows better"
    assert trial.lost(found), f"{trial.acknowledged} acknowledged, {found} found"
