"""Each connection's records stay in order and whole, however many connections there are."""

from support.load import Load, check_exactly_once

CONNECTIONS = 24
LINES = 5_000


def test_each_connection_keeps_its_order(daemon):
    loads = [Load(daemon.connect, f"c{index}", rate=1e9, count=LINES) for index in range(CONNECTIONS)]
    for load in loads:
        load.start()
    for load in loads:
        load.finish()
    now = daemon.quiesce(CONNECTIONS * LINES)
    assert now.dropped == 0
    output = b"\n".join(daemon.cat())
    for load in loads:
        check_exactly_once(output, LINES, load.name_in_lines)
    daemon.verify()


def test_sequence_numbers_are_dense_from_one(daemon):
    Load(daemon.connect, count=10_000, rate=1e9).run()
    daemon.quiesce(10_000)
    sequence = [record["seq"] for record in daemon.cat_json()]
    assert sequence == list(range(sequence[0], sequence[0] + 10_000))
