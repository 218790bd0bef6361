"""A hundred reloads under full load: every live-changeable kind by every way a file is rewritten, bad files in between.

FASTLOGD_RELOAD_RATE sets the lines a second of the first of two senders (100000; 1e9 for as many as there can be);
FASTLOGD_RELOAD_SEED repeats a run.
"""

import itertools
import os
import random
import socket

from support.daemon import Daemon, eventually
from support.load import Load, check_exactly_once
from support.rewrites import WAYS, text_of

RATE = float(os.environ.get("FASTLOGD_RELOAD_RATE", "100000"))
SEED = int(os.environ.get("FASTLOGD_RELOAD_SEED", str(random.randrange(1 << 32))))
GOOD, BAD_ONES = 75, 25


def extra(daemon: Daemon) -> dict:
    """The listener that comes, changes and goes; added if it isn't there."""
    for listener in daemon.config["listeners"]:
        if listener["name"] == "extra":
            return listener
    listener = {"name": "extra", "transport": "unix-stream", "path": str(daemon.folder / "run/extra.sock"), "stream": "main"}
    daemon.config["listeners"].append(listener)
    return listener


def text(daemon: Daemon) -> dict:
    return daemon.with_text().stream["text"] if "text" not in daemon.stream else daemon.stream["text"]


def limits(daemon: Daemon) -> dict:
    return daemon.config.setdefault("limits", {})


def add_or_remove_a_listener(daemon: Daemon, n: int) -> None:
    count = len(daemon.config["listeners"])
    extra(daemon)
    if len(daemon.config["listeners"]) == count:
        daemon.config["listeners"].pop()


def add_or_remove_the_text_file(daemon: Daemon, n: int) -> None:
    if daemon.stream.pop("text", None) is None:
        daemon.with_text()


# n is never the same twice.
KINDS = {
    "a listener comes or goes": add_or_remove_a_listener,
    "a listener moves": lambda daemon, n: extra(daemon).update(path=str(daemon.folder / f"run/extra{n}.sock")),
    "a listener's transport": lambda daemon, n: extra(daemon).update(
        transport={"unix-stream": "unix-datagram", "unix-datagram": "unix-stream"}[extra(daemon)["transport"]]),
    "a listener's mode": lambda daemon, n: extra(daemon).update(mode=f"06{n // 8 % 8}{n % 8}"),
    "a listener's format": lambda daemon, n: extra(daemon).update(
        format={"auto": "raw", "raw": "syslog", "syslog": "auto"}[extra(daemon).get("format", "auto")]),
    "retention by bytes": lambda daemon, n: daemon.stream["retention"].update(bytes_max=f"{40 + n}GiB"),
    "retention by age": lambda daemon, n: daemon.stream["retention"].update(age_max=f"{30 + n}d"),
    "retention by free space": lambda daemon, n: daemon.stream["retention"].update(keep_free=f"{1 + n}MiB"),
    "when full": lambda daemon, n: daemon.stream.update(
        when_full={"block": "drop-newest", "drop-newest": "delete-oldest", "delete-oldest": "block"}[daemon.stream.get("when_full", "block")]),
    "the text file comes or goes": add_or_remove_the_text_file,
    "the text file moves": lambda daemon, n: text(daemon).update(path=str(daemon.folder / f"log/text{n}.log")),
    "the text file's rotation": lambda daemon, n: text(daemon).update(rotate_bytes=f"{20 + n}MiB", keep=n),
    "the largest record": lambda daemon, n: limits(daemon).update(record_bytes_max=f"{32 + n}KiB"),
    "the most connections": lambda daemon, n: limits(daemon).update(connections_max=1000 + n),
    "diagnostics": lambda daemon, n: daemon.config.update(diagnostics={"level": ["debug", "info", "warning", "error"][n % 4]}),
    "the sync interval": lambda daemon, n: daemon.stream["durability"].update(interval=f"{500 + n}ms"),
}
BAD = ("", "streams: [", "nonsense: true\n", "- a list\n", "\0binary\1", "http: {address: 127.0.0.1, port: 99999}\n",
       '{"streams": {"main": {"directory": 7, "segment_bytes": "3MiB"}}}', "listeners: [{name: a, transport: pigeon, stream: main}]\n")


def plan(chance: random.Random) -> list[tuple[str | None, str, object]]:
    """(kind, bad content, way): every kind and every bad file by every way, in any order; the last one is good. No empty file
    follows another: the same bytes again are no reload."""
    good = list(itertools.islice(itertools.cycle((kind, "", way) for kind in KINDS for way in WAYS), GOOD - 1))
    bad = list(itertools.islice(itertools.cycle((None, content, way) for content in BAD for way in WAYS), BAD_ONES))
    rounds = good + bad
    chance.shuffle(rounds)
    while any(one[:2] == next_one[:2] == (None, "") for one, next_one in itertools.pairwise(rounds)):
        chance.shuffle(rounds)
    return [*rounds, ("diagnostics", "", WAYS[0])]


def test_a_hundred_reloads_under_load_lose_nothing(idle_daemon):
    print(f"FASTLOGD_RELOAD_SEED={SEED} FASTLOGD_RELOAD_RATE={RATE:.0f}")
    assert len(KINDS) * len(WAYS) < GOOD and len(BAD) * len(WAYS) < BAD_ONES
    idle_daemon.config["listeners"] = [one for one in idle_daemon.config["listeners"] if one["name"] != "udp"]
    daemon = idle_daemon.with_text().start()
    tcp = ("127.0.0.1", daemon.syslog_port)
    loads = [Load(daemon.connect, "app", rate=RATE), Load(lambda: socket.create_connection(tcp), "tcp", rate=RATE / 5)]
    for load in loads:
        load.start()
    good = bad = 0
    for n, (kind, content, write) in enumerate(plan(random.Random(SEED))):
        if kind is None:
            write(daemon, f"{content}# {n}\n" if content else "")
            bad += 1
        else:
            before = daemon.metrics().sum("fastlogd_config_generation")
            KINDS[kind](daemon, n)
            write(daemon, f"{text_of(daemon)}# {n}\n")
            good += 1
        eventually(lambda: sum(daemon.metrics().reloads) == good + bad, 5)
        now = daemon.metrics()
        assert now.reloads == (good, bad), (kind or content, write.__name__)
        assert now.sum("fastlogd_config_last_reload_successful") == (kind is not None)
        assert kind is None or now.sum("fastlogd_config_generation") == before + 1
    sent = [load.stop() for load in loads]
    assert [load.error for load in loads] == [None, None], "a connection on an unchanged listener was dropped"
    now = daemon.quiesce(sum(sent))
    assert (good, bad) == (GOOD, BAD_ONES) == now.reloads
    assert (now.received, now.stored, now.dropped) == (sum(sent), sum(sent), 0)
    print(f"{sum(sent)} lines while {good + bad} reloads were asked for")
    output = daemon.ctl("cat", "-o", "cat", timeout=300).stdout
    for load, count in zip(loads, sent):
        check_exactly_once(output, count, load.name_in_lines)
    daemon.verify()
