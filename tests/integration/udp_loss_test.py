"""UDP that the kernel dropped before the daemon could read it is counted, exactly: sent = received + lost."""

import signal
import socket

import pytest
from support.daemon import eventually

SENT = 60_000


@pytest.mark.parametrize("idle_afterwards", [False, True], ids=["another datagram follows", "nothing follows"])
def test_what_the_kernel_drops_is_counted(daemon, idle_afterwards):
    daemon.process.send_signal(signal.SIGSTOP)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", daemon.syslog_port))
        for number in range(SENT):
            sender.send(b"datagram %06d " % number + b"x" * 500)
        daemon.process.send_signal(signal.SIGCONT)
        total = SENT
        if not idle_afterwards:
            daemon.quiesce(1)
            sender.send(b"one more")
            total += 1

    def lost() -> int:
        return daemon.metrics().sum("fastlogd_lost_before_receipt_records_total", where="kernel")

    eventually(lambda: daemon.metrics().received + lost() == total)
    now = daemon.quiesce()
    assert lost() > 0 and now.stored + lost() == total
    # The appender looks for losses every 25 ms.
    eventually(lambda: "gap" in daemon.ctl("cat", "-o", "short").stdout.decode())
    daemon.verify()
