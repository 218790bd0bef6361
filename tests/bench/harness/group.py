"""Acknowledgements a second in group commit: on the disk under measurement, and on one whose flush takes its time."""

import pathlib
from collections.abc import Callable

from harness import servers
from harness.figures import Run
from harness.paths import CORPUS, Unavailable, tool
from harness.redis import Redis
from harness.rounds import Folder, run_json, tool_round
from harness.scenarios import Contender, Pair, Scenario, Sizes
from harness.slow_disk import require, slow_disk

CLIENTS = (1, 8, 64)
FLUSH_MICROS = 1000
LOOP, DAEMON, STORE, REDIS = ("pwrite + fdatasync, one after the other", "fastlogd, {} native clients", "store, {} waiting",
                              "Redis stream, {} clients")


def _tool(sizes: Sizes, mode: str, clients: int, *options: str):
    return lambda parent: tool_round(parent, "group_tool", mode, "--clients", str(clients), "--seconds", _seconds(sizes), *options)


def _seconds(sizes: Sizes) -> str:
    return "0.5" if sizes.quick else "5"


def _clients(sizes: Sizes, protocol: str, socket_path: str, clients: int, folder: pathlib.Path, process) -> Run:
    """Clients that wait for a server, which has just been started. The CPU time is the server's."""
    cpu_before = process.cpu_seconds()
    found = run_json([tool("group_tool"), protocol, "--socket", socket_path, "--clients", str(clients), "--seconds",
                      _seconds(sizes), "--directory", str(folder), "--corpus", str(CORPUS)])
    return Run(found["records"], found["seconds"], process.cpu_seconds() - cpu_before, process.status_kib("VmHWM"),
               process.status_kib("RssAnon"), found["call_ns"])


def _redis(sizes: Sizes, redis: Redis, clients: int):
    def run(parent: pathlib.Path) -> Run:
        with Folder(parent) as folder:
            try:
                redis.start(folder)
                return _clients(sizes, "redis", str(redis.socket_path), clients, folder, redis.process)
            finally:
                redis.stop()
    return run


def _fastlogd(sizes: Sizes, clients: int):
    def run(parent: pathlib.Path) -> Run:
        server = servers.Fastlogd(group=True)
        with Folder(parent) as folder:
            try:
                server.start(folder, "unix-stream")
                return _clients(sizes, "native", str(server.socket_path), clients, folder, server.process)
            finally:
                server.stop()
    return run


def _contenders(sizes: Sizes) -> tuple[list[Contender], list[Pair], dict[str, str]]:
    contenders = [Contender(LOOP, "one thread, 160 bytes each into an allocated file", _tool(sizes, "loop", 1))]
    for clients in CLIENTS:
        contenders.append(Contender(DAEMON.format(clients), "Unix socket, one record each in flight, synced; durability group",
                                    _fastlogd(sizes, clients)))
        contenders.append(Contender(STORE.format(clients), "in the process, one record each in flight",
                                    _tool(sizes, "store", clients)))
    contenders.append(Contender(f"{STORE.format(64)}, mapping", "the same, written otherwise",
                                _tool(sizes, "store", 64, "--write", "mapping")))
    pairs = [Pair(DAEMON.format(clients), LOOP, 30 if clients == 64 else None) for clients in CLIENTS]
    pairs += [Pair(STORE.format(clients), LOOP) for clients in CLIENTS]
    missing: dict[str, str] = {}
    try:
        redis = Redis()
        for clients in CLIENTS:
            contenders.append(Contender(REDIS.format(clients), redis.setup, _redis(sizes, redis, clients)))
            pairs.append(Pair(DAEMON.format(clients), REDIS.format(clients)))
    except Unavailable as reason:
        missing["Redis"] = str(reason)
    return contenders, pairs, missing


_WHAT = ("Every client has one record of 128 bytes in flight and sends the next when that one is on disk. `pwrite + "
         "fdatasync` writes 160 bytes (a frame of the same record) behind each other into an allocated file and calls "
         "fdatasync(2) after each: what one waiting client gets from this disk without a log.")


def group(sizes: Sizes) -> Scenario:
    return Scenario("group", "Group commit: acknowledgements a second while every record waits for the disk", _WHAT,
                    "records", "send until acknowledged", *_contenders(sizes))


def _on_slow_disk(run: Callable[[pathlib.Path], Run]):
    def elsewhere(parent: pathlib.Path) -> Run:
        with slow_disk(parent, FLUSH_MICROS) as disk:
            return run(disk)
    return elsewhere


def group_slow(sizes: Sizes) -> Scenario:
    require()
    contenders, pairs, missing = _contenders(sizes)
    for contender in contenders:
        contender.run = _on_slow_disk(contender.run)
    return Scenario("group-slow", "Group commit on a disk whose flush takes 1 ms",
                    f"As `group`, on ext4 on a disk in memory that keeps every flush waiting for {FLUSH_MICROS} µs "
                    "(volatile_disk through FUSE and a loop device): a solid state disk without a protected cache. "
                    "`group` shows what acknowledging costs the CPU, this what sharing a flush saves.",
                    "records", "send until acknowledged", contenders, pairs, missing)


ALL = {"group": group, "group-slow": group_slow}
