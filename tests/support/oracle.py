"""What a record should read, from the bytes a client really sent. Written from the RFCs and docs, not from src/wire."""

import re

_PRI = re.compile(rb"<(\d{1,3})>")
_RFC3164_TIME = re.compile(rb"([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[-+:.\dZ]*) ")
_TAG = re.compile(rb"([^\s:\[]{1,128})(\[[^\]\s]*\])?:( |$)")
_HOST = re.compile(rb"([^\s:\[]+) ")
_SD_ELEMENT = re.compile(rb'\[(?:[^\]"\\]|"(?:[^"\\\]]|\\.)*")*\]', re.DOTALL)
_OCTET_COUNT = re.compile(rb"([1-9][0-9]{0,6}) ")


def split_stream(sent: bytes) -> list[bytes]:
    """The messages of one connection. Octet counting only if it starts with a count and '<'; otherwise the first LF
    or NUL is the delimiter of the whole connection, and the stream's end ends a message."""
    if re.match(rb"[1-9][0-9]{0,6} <", sent):
        return _split_counted(sent)
    first = re.search(rb"[\n\0]", sent)
    if not first:
        return [sent] if sent else []
    pieces = sent.split(first[0])
    return pieces if pieces[-1] else pieces[:-1]


def _split_counted(sent: bytes) -> list[bytes]:
    messages = []
    while sent:
        count = _OCTET_COUNT.match(sent)
        if not count:
            raise ValueError(f"no octet count at {sent[:40]!r}")
        end = count.end() + int(count[1])
        messages.append(_without_delimiter(sent[count.end():end]))
        sent = sent[end:]
    return messages


def _without_delimiter(message: bytes) -> bytes:
    return message[:-1] if message[-1:] in (b"\n", b"\0") else message


def message_of(arrived: bytes) -> bytes:
    """The text that `-o cat` prints for one message as it arrived."""
    arrived = _without_delimiter(arrived)
    pri = _PRI.match(arrived)
    if not pri or int(pri[1]) > 191:
        return arrived
    rest = arrived[pri.end():]
    if rest.startswith(b"1 "):
        return _rfc5424_message(rest)
    time = _RFC3164_TIME.match(rest)
    if time:
        rest = rest[time.end():]
        host = _HOST.match(rest)
        if host and _TAG.match(rest, host.end()):
            rest = rest[host.end():]
    tag = _TAG.match(rest)
    return rest[tag.end():] if tag else rest


def _rfc5424_message(rest: bytes) -> bytes:
    fields = rest.split(b" ", 6)  # version, time, host, application, process, message id, and what follows
    tail = fields[6]
    if tail.startswith(b"-"):
        tail = tail[1:]
    else:
        while element := _SD_ELEMENT.match(tail):
            tail = tail[element.end():]
    tail = tail.removeprefix(b" ")
    return tail.removeprefix(b"\xef\xbb\xbf")


def messages(recorder) -> list[bytes]:
    """Everything a Recorder saw, as messages, connection by connection."""
    arrived = [piece for sent in recorder.connections for piece in split_stream(bytes(sent))]
    return [message_of(piece) for piece in arrived + recorder.datagrams]
