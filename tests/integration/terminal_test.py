"""fastlogctl on a real terminal: a pager for what ends, none for what goes on, and no surprises when it is left."""

import contextlib
import os
import pty
import select
import signal
import subprocess
import time

import pytest
from support.daemon import Daemon, eventually
from support.load import Load, numbers


class Screen:
    """A pseudo-terminal as the standard streams of one command."""

    def __init__(self, command: list[str], **environment: str):
        self.ours, theirs = pty.openpty()
        self.shown = b""
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
                                        preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # makes it the terminal
                                        env=os.environ | {"TERM": "xterm"} | environment)
        os.close(theirs)

    def read(self) -> bytes:
        """What has been shown so far."""
        with contextlib.suppress(OSError):  # EIO: everybody has left
            while select.select([self.ours], [], [], 0)[0] and (more := os.read(self.ours, 65536)):
                self.shown += more
        return self.shown

    def type(self, keys: bytes) -> None:
        os.write(self.ours, keys)

    def left(self, timeout: float = 20) -> int:
        """The exit code; what is still shown is read meanwhile, or the command would wait for us."""
        eventually(lambda: self.read() is not None and self.process.poll() is not None, timeout, 0.001)
        self.read()
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        os.close(self.ours)


@pytest.fixture
def screen(filled):
    made: list[Screen] = []

    def run(*arguments: str, **environment: str) -> Screen:
        made.append(Screen(filled.ctl_command(*arguments), **environment))
        return made[-1]
    yield run
    for one in made:
        one.close()


@pytest.fixture
def filled(daemon) -> Daemon:
    Load(daemon.connect, rate=1e9, count=5_000).run()
    daemon.quiesce(5_000)
    return daemon


def test_what_ends_goes_through_the_pager(screen):
    cat = screen("cat", PAGER="sed -n '1s/^/paged: /p;$p'")
    assert cat.left() == 0
    assert b"paged: " in cat.shown and numbers(cat.shown) == [0, 4_999]


def test_a_pager_that_is_left_early_ends_it_quietly(screen):
    cat = screen("cat", PAGER="head -n 3")
    assert cat.left() == 0
    assert numbers(cat.shown) == [0, 1, 2] and b"ipe" not in cat.shown


def test_an_interrupt_belongs_to_the_pager(screen):
    """As with less: Ctrl-C there stops a search; leaving the pager ends fastlogctl."""
    pager = "trap 'echo interrupted' INT; head -n 1; echo ready; until read -r key </dev/tty; do :; done; echo left"
    cat = screen("cat", PAGER=pager)
    eventually(lambda: b"ready" in cat.read())
    cat.type(b"\x03")
    eventually(lambda: b"interrupted" in cat.read())
    assert cat.process.poll() is None
    cat.type(b"q\n")
    assert cat.left() == 0 and b"left" in cat.shown


@pytest.mark.parametrize(("options", "environment"), [
    (["--no-pager"], {}), ([], {"PAGER": "cat"}), ([], {"PAGER": ""}), ([], {"TERM": "dumb"}),
], ids=["--no-pager", "cat", "empty", "dumb terminal"])
def test_without_a_pager_everything_is_shown_at_once(screen, options, environment):
    cat = screen("cat", *options, **({"PAGER": "echo paged; cat"} | environment))
    assert cat.left() == 0
    assert numbers(cat.shown) == list(range(5_000)) and b"paged" not in cat.shown


def test_a_follower_has_no_pager_and_ends_at_an_interrupt(filled, screen):
    tail = screen("tail", "-f", "-n", "1", PAGER="echo paged; cat")
    eventually(lambda: numbers(tail.read()) == [4_999])
    with filled.connect() as connection:
        connection.sendall(b"one more\n")
    eventually(lambda: b"one more" in tail.read())
    tail.type(b"\x03")
    assert tail.left() in (0, -signal.SIGINT, 130) and b"paged" not in tail.shown


def test_a_pager_that_does_not_exist_is_said(screen):
    cat = screen("cat", PAGER="/nowhere/pager")
    started = time.monotonic()
    cat.left()
    assert time.monotonic() - started < 10
    assert b"/nowhere/pager" in cat.shown
