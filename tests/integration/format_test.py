"""src/segment/FORMAT.md is enough to read a log: a reader written from it sees what fastlogctl shows."""

from support.daemon import eventually
from support.segment_reader import index_entries, items


def records(directory):
    return [item for item in items(directory) if item[0] == "record"]


def test_an_independent_reader_sees_every_record(daemon):
    lines = [f"line {i} " + "x" * (i % 50) for i in range(2000)]
    with daemon.connect() as sender:
        sender.sendall("".join(line + "\n" for line in lines).encode())
    eventually(lambda: len(records(daemon.log_directory)) == len(lines))
    daemon.stop()
    found = records(daemon.log_directory)
    assert [record[3].decode() for record in found] == lines
    assert [record[1] for record in found] == list(range(1, len(lines) + 1))


def test_every_entry_of_an_index_names_a_record_and_no_stretch_is_left_out(daemon):
    with daemon.connect() as sender:
        for number in range(24):
            sender.sendall(b"%d " % number + b"x" * 40_000 + b"\n")
    daemon.quiesce(24)
    assert daemon.stop() == 0
    told, there = index_entries(next(daemon.log_directory.glob("*.flog")).read_bytes())
    assert len(there) == 24 and set(told) <= set(there)
    steps = {offset >> 16: (sequence, time, offset) for sequence, time, offset in reversed(there)}
    assert sorted(told) == sorted(steps.values())
