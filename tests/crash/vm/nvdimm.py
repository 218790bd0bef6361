"""One NVDIMM and a daemon on it: boots again and again, each boot checks what the kills before it have left."""

import json
import pathlib

from support.load import numbers

from vm.machine import Machine, nvdimm

NVDIMM_MIB = 512

CHECK = """
fastlogctl status --json --config /fastlogd.yaml | say status
say maps /proc/$daemon_pid/smaps
fastlogctl cat -o cat --config /fastlogd.yaml | cut -b -20 | say records
{ fastlogctl verify --config /fastlogd.yaml 2>&1; echo "exit $?"; } | say verify
"""


def segment_flags(maps: bytes) -> list[set[str]]:
    """VmFlags (proc(5)) of each segment that is mapped to be written."""
    found, writable = [], False
    for line in maps.decode().splitlines():
        words = line.split()
        if not words[0].endswith(":"):
            writable = "w" in words[1] and words[-1].endswith(".flog")
        elif writable and words[0] == "VmFlags:":
            found.append(set(words[1:]))
    return found


class NvdimmTrial:
    """`acknowledged[n]` records of round n were acknowledged before its kill; `status` and `flags` are of the last boot."""

    def __init__(self, folder: pathlib.Path, initramfs: pathlib.Path, files: dict[str, bytes]):
        self._folder, self._initramfs, self._files = folder, initramfs, files
        self._image = folder / "nvdimm"
        with self._image.open("wb") as file:
            file.truncate(NVDIMM_MIB << 20)
        self.acknowledged: list[int] = []
        self.status: dict = {}
        self.flags: list[set[str]] = []

    def boot(self, start: str, send: str, seconds: float) -> list[int]:
        """`start` brings up a daemon, `send` sends records NAME and says what is acknowledged; the kill comes `seconds` after
        its first word. Returns how many records of each earlier round are there."""
        job = start + CHECK + send.replace("NAME", f"r{len(self.acknowledged):02}")
        with Machine(self._folder, self._initramfs, nvdimm(self._image), job, self._files) as machine:
            self.status = json.loads(machine.said("status"))
            self.flags = segment_flags(machine.said("maps"))
            records, verified = machine.said("records"), machine.said("verify")
            assert verified.endswith(b"exit 0\n"), verified.decode()
            machine.wait_for_acknowledgements(1)
            machine.wait(seconds)
            machine.cut_power()
        found = [numbers(records, f"r{number:02}") for number in range(len(self.acknowledged))]
        for number, of_round in enumerate(found):
            assert of_round == list(range(len(of_round))), f"round {number}: not a prefix of what was sent"
        self.acknowledged.append(max(item.number for item in machine.acknowledged))
        return [len(of_round) for of_round in found]

    def lost(self, found: list[int]) -> int:
        """Acknowledged records that are not there."""
        return sum(max(0, acknowledged - kept) for acknowledged, kept in zip(self.acknowledged, found, strict=False))
