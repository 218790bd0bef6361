"""The text file: one line per record, nothing in it that could break a line or a terminal, rotated as tail -F needs it."""

import pathlib
import subprocess

from support.daemon import Daemon, eventually


def lines_when(path: pathlib.Path, count: int) -> list[bytes]:
    eventually(lambda: path.exists() and path.read_bytes().count(b"\n") >= count)
    return path.read_bytes().splitlines()


def test_a_record_is_one_line_whatever_it_holds(idle_daemon):
    daemon = idle_daemon.with_text().start()
    with daemon.connect() as connection:
        connection.sendall(b"first\0two\nlines\0\x1b[31mred\0windows\r\0tab\there\0")
    lines = lines_when(daemon.text_path, 5)
    assert len(lines) == 5
    for line, end in zip(lines, [b"first", rb"two\nlines", rb"\x1b[31mred", b"windows", b"tab\there"]):
        assert line.endswith(end), (line, end)


def test_the_file_is_there_when_the_daemon_is_ready(idle_daemon):
    """Whatever its thread has come to: a tail -F that begins without its file only polls, and loses rotations."""
    obstacle = idle_daemon.log_directory / "text.cursor"
    obstacle.mkdir(parents=True)
    daemon = idle_daemon.with_text().start()
    assert daemon.text_path.exists()
    eventually(lambda: daemon.metrics().sum("fastlogd_text_failing") == 1)


def test_a_line_reads_as_syslog_files_do(idle_daemon):
    daemon = idle_daemon.with_text().start()
    subprocess.run(["logger", "--socket", daemon.target("unix-datagram").path, "--tag", "app", "--id=42", "hello there"], check=True)
    (line,) = lines_when(daemon.text_path, 1)
    assert line.endswith(b" app[42]: hello there")


def test_rotation_keeps_as_many_files_as_it_was_told(idle_daemon):
    daemon = idle_daemon.with_text(rotate_bytes="64KiB", keep=3).start()
    names = [daemon.text_path.with_name(f"main.log.{number}") for number in range(1, 5)]
    with daemon.connect() as connection:
        def send_until_rotated() -> bool:
            connection.sendall(b"r" * 99 + b"\n" + b"s" * 9900 + b"\n")
            return daemon.metrics().sum("fastlogd_text_rotations_total") >= 5
        eventually(send_until_rotated, 30)
    assert [name.exists() for name in names] == [True, True, True, False]
    assert not daemon.text_path.is_symlink()


def test_rotate_on_request_starts_a_new_file(idle_daemon):
    daemon = idle_daemon.with_text().start()
    with daemon.connect() as connection:
        connection.sendall(b"before\n")
        lines_when(daemon.text_path, 1)
        daemon.ctl("rotate")
        eventually(lambda: daemon.text_path.with_name("main.log.1").exists())
        connection.sendall(b"after\n")
        assert lines_when(daemon.text_path, 1)[-1].endswith(b"after")


def test_a_reload_adds_moves_and_removes_the_text_file(daemon):
    with daemon.connect() as connection:
        connection.sendall(b"before there was one\n")
        daemon.quiesce(1)
        daemon.with_text().write_config()
        eventually(lambda: daemon.metrics().reloads[0] == 1)  # the file is there before the reload is in force
        assert daemon.text_path.exists()
        connection.sendall(b"into the first\n")
        eventually(lambda: b"into the first" in daemon.text_path.read_bytes())
        other = daemon.text_path.with_name("other.log")
        daemon.stream["text"]["path"] = str(other)
        daemon.write_config()
        eventually(lambda: daemon.metrics().reloads[0] == 2)
        assert other.exists()
        connection.sendall(b"into the second\n")
        eventually(lambda: b"into the second" in other.read_bytes())
        assert b"into the second" not in daemon.text_path.read_bytes()
        del daemon.stream["text"]
        daemon.write_config()
        eventually(lambda: daemon.metrics().reloads[0] == 3)
        connection.sendall(b"into none\n")
        daemon.quiesce(4)
    assert b"into none" not in other.read_bytes()


def test_the_trouble_of_a_text_file_ends_when_a_reload_removes_it(idle_daemon):
    obstacle = idle_daemon.log_directory / "text.cursor"
    obstacle.mkdir(parents=True)
    daemon = idle_daemon.with_text().start()
    eventually(lambda: daemon.metrics().sum("fastlogd_text_failing") == 1)
    with daemon.connect() as connection:
        connection.sendall(b"not in the file\n")
    daemon.quiesce(1)
    del daemon.stream["text"]
    daemon.write_config()
    eventually(lambda: daemon.metrics().reloads[0] == 1)
    now = daemon.metrics()
    assert now.sum("fastlogd_text_failing") == 0 and now.sum("fastlogd_text_lag_bytes") == 0


def test_of_two_daemons_with_one_text_file_the_second_waits(idle_daemon, folder):
    first = idle_daemon.with_text().start()
    (folder / "b").mkdir()
    second = Daemon(folder / "b")
    second.text_path = first.text_path
    second.with_text().start()
    try:
        with first.connect() as to_first, second.connect() as to_second:
            for number in range(200):
                to_first.sendall(b"first %d\n" % number)
                to_second.sendall(b"second %d\n" % number)
        eventually(lambda: second.metrics().sum("fastlogd_text_failing") == 1)
        assert "text file" in second.get("/healthz")[1]
        eventually(lambda: str(first.text_path) in second.stderr())
        lines = lines_when(first.text_path, 200)
        assert [line.split(b" ")[-2:] for line in lines] == [[b"first", b"%d" % number] for number in range(200)]
        second.quiesce(200)
        assert first.stop() == 0
        lines = lines_when(first.text_path, 400)
        assert [line.split(b" ")[-2:] for line in lines[200:]] == [[b"second", b"%d" % number] for number in range(200)]
        eventually(lambda: second.metrics().sum("fastlogd_text_failing") == 0)
        assert second.stop() == 0
    finally:
        if second.process.poll() is None:
            second.kill()
