"""A mail server in a process of its own that accepts everything and keeps nothing: its CPU is not the sender's.

It does as little as a mail server can, so that what is measured is the sender. `XSEEN` answers how many mails came
and, by the machine's monotonic clock, when the first was accepted; then it counts anew.
"""

from __future__ import annotations

import asyncio
import smtplib
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Seen:
    mails: int = 0
    first_at: float = 0.0  # time.monotonic, which all processes of a machine share


class Conversation(asyncio.Protocol):
    """Enough of RFC 5321 for one polite client."""

    seen = Seen()

    def __init__(self) -> None:
        self._unread = b""
        self._is_in_message = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self._unread += data
        while True:
            end = b"\r\n.\r\n" if self._is_in_message else b"\r\n"
            read, found, rest = self._unread.partition(end)
            if not found:
                return
            self._unread = rest
            self._transport.write(self._accepted() if self._is_in_message else self._answer(read[:5].upper()))

    def _accepted(self) -> bytes:
        self._is_in_message = False
        self.seen.first_at = self.seen.first_at or time.monotonic()
        self.seen.mails += 1
        return b"250 OK\r\n"

    def _answer(self, verb: bytes) -> bytes:
        if verb == b"DATA":
            self._is_in_message = True
            return b"354 go ahead\r\n"
        if verb == b"XSEEN":
            seen, Conversation.seen = self.seen, Seen()
            return f"250 {seen.mails} {seen.first_at!r}\r\n".encode()
        return b"221 bye\r\n" if verb == b"QUIT" else b"250 OK\r\n"


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Conversation, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


class Sink:
    """The sink as seen from the bench."""

    def __init__(self, port: int) -> None:
        self.port = port

    def seen(self) -> Seen:
        """What came since the last time this was asked."""
        with smtplib.SMTP("127.0.0.1", self.port) as connection:
            _code, answer = connection.docmd("XSEEN")
        mails, first_at = answer.split()
        return Seen(int(mails), float(first_at))


@contextmanager
def running_sink() -> Iterator[Sink]:
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.sink"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Sink(int(process.stdout.readline()))
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    asyncio.run(serve())
