"""The corpus, sent by other people's clients, comes back byte for byte; the same client against a recorder says what."""

import pytest
from support import corpus, oracle, senders
from support.recorder import Recorder
from support.senders import Target

# name -> client, its options, transports. Octet counting and lines, both headers, with and without structured data.
CLIENTS = {
    "socat": (senders.socat, (), ("unix-stream", "tcp")),
    "logger": (senders.logger, (), ("unix-stream", "unix-datagram", "tcp", "udp")),
    "logger-octet-count": (senders.logger, ("--octet-count",), ("unix-stream", "tcp")),
    "logger-rfc3164": (senders.logger, ("--rfc3164",), ("unix-stream", "unix-datagram", "tcp", "udp")),
    "logger-rfc5424": (senders.logger, ("--rfc5424",), ("unix-stream", "unix-datagram", "tcp")),
    "logger-rfc5424-bare": (senders.logger, ("--rfc5424=notime,notq,nohost",), ("unix-stream", "tcp")),
    "logger-fields": (senders.logger, ("--rfc5424", "--msgid", "ID7", "--sd-id", "origin@1", "--sd-param", 'a="b c"',
                                       "--sd-param", 'd="e"', "--octet-count"), ("unix-stream", "tcp")),
    "logger-pid": (senders.logger, ("--id=4711", "--priority", "local3.warning"), ("unix-stream", "unix-datagram")),
    "logger-skip-empty": (senders.logger, ("--skip-empty", "--size", "100"), ("unix-stream",)),
    "python": (senders.syslog_handler, (), ("unix-stream", "unix-datagram", "tcp")),
    "loggen": (senders.loggen, (), ("unix-stream", "unix-datagram", "tcp")),
}
CASES = [(name, kind) for name, (_, _, kinds) in CLIENTS.items() for kind in kinds]


@pytest.mark.parametrize(("name", "kind"), CASES, ids=lambda value: value)
def test_the_corpus_comes_back_byte_for_byte(daemon, folder, name, kind):
    client, options, _ = CLIENTS[name]
    expected, sent = [], 0
    for file in map(corpus.file, corpus.NAMES):
        with Recorder(kind, str(folder / f"{file.stem}.sock")) as recorder:
            client(Target(kind, recorder.path if kind.startswith("unix") else "", recorder.port), file, *options)
        messages = oracle.messages(recorder)
        assert len(messages) >= len(corpus.lines(file.stem)) > 1000
        client(daemon.target(kind), file, *options)
        expected += messages
        sent += len(messages)
        daemon.quiesce(sent)
    stored = daemon.cat()
    different = [(number, got, want) for number, (got, want) in enumerate(zip(stored, expected)) if got != want]
    assert not different, different[:3]
    assert len(stored) == len(expected)
    daemon.verify()
    now = daemon.quiesce()
    assert (now.received, now.stored, now.dropped) == (sent, sent, 0)


def test_lines_of_the_corpus_sent_raw_are_the_files(daemon):
    """Without any header, what is stored is the file itself: no oracle in between."""
    for name in corpus.NAMES:
        senders.socat(daemon.target("unix-stream"), corpus.file(name))
        daemon.quiesce()
    assert daemon.cat() == [line for name in corpus.NAMES for line in corpus.lines(name)]
