"""A start takes under a second with 10 GiB of sealed segments behind it: only what is unsealed is read."""

from support.daemon import eventually
from support.processors import seconds_to_start

SEGMENTS = 40


def test_ten_gibibytes_of_sealed_segments_do_not_slow_the_start(idle_daemon):
    idle_daemon.stream.update(segment_bytes="256MiB", retention={"bytes_max": "100GiB", "keep_free": "0"})
    daemon = idle_daemon.start()
    with daemon.connect() as connection:
        for number in range(SEGMENTS):
            connection.sendall(b"in segment %d\n" % number)
            daemon.quiesce(number + 1)
            daemon.ctl("rotate")
            eventually(lambda number=number: len(list(daemon.log_directory.glob("*.flog"))) > number + 1, 20)
    assert daemon.stop() == 0
    total = sum(path.stat().st_size for path in daemon.log_directory.glob("*.flog"))
    assert total >= 10 << 30
    assert seconds_to_start(daemon) < 1.0
    assert len(daemon.cat()) == SEGMENTS
    daemon.verify()
