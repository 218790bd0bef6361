"""Where things are."""

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[3]
BIN = pathlib.Path(os.environ.get("FASTLOGD_BIN", ROOT / "build" / "release" / "bin"))
OUTPUT = ROOT / "build" / "bench"
PEERS = OUTPUT / "peers"
CORPUS = pathlib.Path(os.environ.get("FASTLOGD_CORPUS", ROOT.parent / "shared" / "corpus" / "HDFS.log"))


class Unavailable(Exception):
    """A contender can't take part; the text says why. The others go on."""


def tool(name: str) -> str:
    path = BIN / name
    if not path.exists():
        raise Unavailable(f"{path} is not built (./dev bench builds it)")
    return str(path)
