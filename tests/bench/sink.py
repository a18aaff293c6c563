"""A mail server in a process of its own that accepts everything and keeps nothing: its CPU is not the sender's.

It does as little as a mail server can, so that what is measured is the sender; with a delay it thinks that long before
every answer, as a relay far away does. `XCOUNT` answers how many mails came; `XSEEN` one line for each of them, with
its recipient and the instant of its acceptance by the machine's monotonic clock, and then it counts anew.
"""

from __future__ import annotations

import argparse
import asyncio
import smtplib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

GREETING = b"220 sink\r\n"


@dataclass(frozen=True)
class Seen:
    """When each mail was accepted, in that order: time.monotonic, which all processes of a machine share."""

    accepted: list[tuple[str, float]]

    @property
    def mails(self) -> int:
        return len(self.accepted)

    @property
    def first_at(self) -> float:
        return self.accepted[0][1]

    @property
    def last_at(self) -> float:
        return self.accepted[-1][1]

    @property
    def rate(self) -> float:
        """Mails a second between the first and the last of them."""
        return (self.mails - 1) / (self.last_at - self.first_at)


class Conversation(asyncio.Protocol):
    """Enough of RFC 5321 for one polite client."""

    delay = 0.0  # seconds before every answer, the greeting too
    accepted: list[bytes] = []

    def __init__(self) -> None:
        self._unread = b""
        self._recipient = b""
        self._is_in_message = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._say(GREETING)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        while True:
            end = b"\r\n.\r\n" if self._is_in_message else b"\r\n"
            read, found, rest = self._unread.partition(end)
            if not found:
                return
            self._unread = rest
            if self._is_in_message:
                self._is_in_message = False
                self._later(self._accept)
            else:
                self._answer(read)

    def _answer(self, command: bytes) -> None:
        verb = command[:4].upper()
        if verb == b"XCOU":
            self._transport.write(b"250 %d\r\n" % len(self.accepted))
        elif verb == b"XSEE":
            self._transport.write(b"".join(self.accepted) + b"250 that is all\r\n")
            self.accepted.clear()
        elif verb == b"DATA":
            self._is_in_message = True
            self._say(b"354 go ahead\r\n")
        else:
            if verb == b"RCPT":
                self._recipient = command.partition(b"<")[2].partition(b">")[0]
            self._say(b"221 bye\r\n" if verb == b"QUIT" else b"250 OK\r\n")

    def _accept(self) -> None:
        self.accepted.append(b"250-%s %r\r\n" % (self._recipient, time.monotonic()))
        self._transport.write(b"250 OK\r\n")

    def _say(self, answer: bytes) -> None:
        self._later(self._transport.write, answer)

    def _later(self, do: Callable[..., object], *arguments: object) -> None:
        if self.delay:
            asyncio.get_running_loop().call_later(self.delay, do, *arguments)
        else:
            do(*arguments)


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
        lines = [line.split() for line in answer.decode().splitlines()[:-1]]
        return Seen([(recipient, float(at)) for recipient, at in lines])

    def wait_for(self, mails: int, *, timeout: float) -> None:
        """Return once so many came since `seen` was asked; SystemExit if they do not come in time."""
        until = time.monotonic() + timeout
        with smtplib.SMTP("127.0.0.1", self.port) as connection:
            while (came := int(connection.docmd("XCOUNT")[1])) < mails:
                if time.monotonic() > until:
                    sys.exit(f"Only {came} of {mails} mails came within {timeout:g} s.")
                time.sleep(0.05)


@contextmanager
def running_sink(*, delay: float = 0.0) -> Iterator[Sink]:
    """A sink that waits so many seconds before every answer."""
    command = [sys.executable, "-m", "tests.bench.sink", "--delay", str(delay)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Sink(int(process.stdout.readline()))
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--delay", type=float, default=0.0, help="seconds before every answer (0)")
    Conversation.delay = options.parse_args().delay
    asyncio.run(serve())
