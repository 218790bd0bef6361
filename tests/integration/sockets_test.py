"""Unix socket files: stale ones are replaced, living ones respected, modes set."""

import os
import socket
import stat

from support.daemon import Daemon


def test_a_stale_socket_file_is_replaced(idle_daemon):
    idle_daemon.start()
    idle_daemon.kill()
    assert os.path.exists(idle_daemon.target("unix-stream").path)
    idle_daemon.start()
    with idle_daemon.connect() as connection:
        connection.sendall(b"served\n")
    idle_daemon.quiesce(1)


def test_a_socket_that_somebody_answers_is_refused_with_the_reason(idle_daemon):
    path = idle_daemon.target("unix-stream").path
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(path)
        other.listen()
        idle_daemon.write_config()
        assert idle_daemon.spawn().wait(20) not in (0, -6, -11)
    assert path in idle_daemon.stderr()


def test_a_file_that_is_no_socket_is_not_removed(idle_daemon):
    path = idle_daemon.target("unix-stream").path
    with open(path, "w") as file:
        file.write("precious")
    idle_daemon.write_config()
    assert idle_daemon.spawn().wait(20) not in (0, -6, -11)
    assert open(path).read() == "precious"


def test_the_mode_is_the_configured_one_whatever_the_umask(idle_daemon):
    idle_daemon.listener("app")["mode"] = "0660"
    idle_daemon.listener("devlog")["mode"] = "0666"
    old = os.umask(0o077)
    try:
        idle_daemon.start()
    finally:
        os.umask(old)
    for kind, mode in (("unix-stream", 0o660), ("unix-datagram", 0o666)):
        assert stat.S_IMODE(os.stat(idle_daemon.target(kind).path).st_mode) == mode


def test_the_kernel_says_who_sent_it(daemon):
    with daemon.connect() as connection:
        connection.sendall(b"from a stream\n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"from a datagram", daemon.target("unix-datagram").path)
    daemon.quiesce(2)
    for record in daemon.cat_json():
        assert (record["uid"], record["gid"], record["pid"]) == (os.getuid(), os.getgid(), os.getpid())


def test_the_network_attests_nobody(daemon):
    with socket.create_connection(("127.0.0.1", daemon.syslog_port)) as connection:
        connection.sendall(b"from afar\n")
    daemon.quiesce(1)
    (record,) = daemon.cat_json()
    assert not {"uid", "gid", "pid"} & set(record)
    assert record["transport"] == "tcp"


def test_two_daemons_side_by_side_do_not_meet(daemon, folder):
    (folder / "b").mkdir()
    other = Daemon(folder / "b").start()
    with other.connect() as connection:
        connection.sendall(b"for the other\n")
    other.quiesce(1)
    assert other.cat() == [b"for the other"] and daemon.cat() == []
    assert other.stop() == 0
