"""A mail server of the demo's own: it speaks real SMTP on 127.0.0.1 and keeps every message in a folder.

The folder holds one .eml file per message, exactly as it was received, and `index.jsonl` with one line per message.
A file appears under its name only when it is whole, and its line is added after that; a reader may look at any time.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
import os
import re
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from django.utils import timezone

INDEX = "index.jsonl"
_FILE_NAME = re.compile(r"\d{6,12}\.eml")
LARGEST = 10 * 1024 * 1024  # bytes of one message


@dataclass(frozen=True)
class Entry:
    """One received message. `sent_at` is its Date header, or `received_at` where that cannot be read."""

    number: int
    received_at: dt.datetime
    sent_at: dt.datetime
    sender: str
    recipients: tuple[str, ...]
    subject: str
    message_id: str

    def to_line(self) -> str:
        return json.dumps(asdict(self), default=dt.datetime.isoformat)

    @classmethod
    def from_line(cls, line: str) -> Entry:
        """Raises ValueError, TypeError or KeyError for a line that was not written whole."""
        data = json.loads(line)
        for name in ("received_at", "sent_at"):
            data[name] = dt.datetime.fromisoformat(data[name])
        return cls(**{**data, "recipients": tuple(data["recipients"])})


class Inbox:
    """The folder. One process writes; any number read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._last = 0  # the number of the last message kept; `open` finds it out

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def entries(self) -> list[Entry]:
        """All messages, in the order in which they were received."""
        try:
            lines = (self.folder / INDEX).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        return list(_readable(lines))

    def raw(self, number: int) -> bytes | None:
        """The message as it was received; None if there is none of that number."""
        try:
            return self._path(number).read_bytes()
        except FileNotFoundError:
            return None

    def message(self, number: int) -> EmailMessage | None:
        raw = self.raw(number)
        return None if raw is None else parsed(raw)

    # ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def open(self) -> None:
        """Make the folder, and add to the index what was kept just before the last stop and did not get its line."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for leftover in self.folder.glob("*.part"):
            leftover.unlink()
        known = {entry.number for entry in self.entries()}
        numbers = sorted(int(path.stem) for path in self.folder.glob("*.eml") if _FILE_NAME.fullmatch(path.name))
        self._last = max(numbers, default=0)
        for number in numbers:
            if number not in known:
                self._mend(number)

    def keep(self, raw: bytes, sender: str, recipients: Sequence[str], received_at: dt.datetime) -> Entry:
        """Keep the message for good: when this returns it would survive a loss of power."""
        self._last += 1
        path = self._path(self._last)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        entry = _entry(self._last, raw, sender, recipients, received_at)
        self._add_line(entry)
        return entry

    def clear(self) -> None:
        """Remove every message."""
        for path in (*self.folder.glob("*.eml"), *self.folder.glob("*.part"), self.folder / INDEX):
            path.unlink(missing_ok=True)
        self._last = 0

    def _mend(self, number: int) -> None:
        """The envelope is lost with the line, so the headers have to say from whom and to whom it was."""
        raw = self._path(number).read_bytes()
        received_at = dt.datetime.fromtimestamp(self._path(number).stat().st_mtime, dt.UTC)
        message = parsed(raw)
        self._add_line(_entry(number, raw, header(message, "From"), [header(message, "To")], received_at))

    def _add_line(self, entry: Entry) -> None:
        with (self.folder / INDEX).open("ab") as file:
            file.write(b"" if _ends_whole(self.folder / INDEX) else b"\n")
            file.write(entry.to_line().encode() + b"\n")

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.eml"


def _readable(lines: Sequence[str]) -> Iterator[Entry]:
    for line in lines:
        try:
            yield Entry.from_line(line)
        except (ValueError, TypeError, KeyError):
            continue  # written half when the power went; `open` adds it anew


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _entry(number: int, raw: bytes, sender: str, recipients: Sequence[str], received_at: dt.datetime) -> Entry:
    message = parsed(raw)
    sent_at = _date(header(message, "Date")) or received_at
    subject, message_id = header(message, "Subject"), header(message, "Message-ID")
    return Entry(number, received_at, sent_at, sender, tuple(recipients), subject, message_id)


def parsed(raw: bytes) -> EmailMessage:
    return message_from_bytes(raw, policy=policy.default)


def header(message: EmailMessage, name: str) -> str:
    """The header in one line; empty if it is missing or cannot be read. Anybody may send anything to a mail server."""
    try:
        return " ".join(str(message.get(name, "")).split())
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""


def _date(value: str) -> dt.datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=dt.UTC)


# ── the server ──────────────────────────────────────────────────────────────────────────────────────────────────────


class MailServer(Controller):
    """Listens on a socket that is already bound and keeps what comes in a thread of its own: start(), stop().

    `on_mail` is called in that thread with every message after it was kept.
    """

    def __init__(self, inbox: Inbox, bound: socket.socket, on_mail: Callable[[Entry], None]) -> None:
        logging.getLogger("mail.log").setLevel(logging.WARNING)  # the library tells every line of every conversation
        self._bound = bound
        host, port = bound.getsockname()
        super().__init__(
            _Keeper(inbox, on_mail),
            hostname=host,
            port=port,
            server_hostname="inbox.localhost",  # given, or every connection would look the machine's name up
            ident="ESMTP",
            enable_SMTPUTF8=True,
            data_size_limit=LARGEST,
        )

    def _create_server(self) -> Awaitable[asyncio.AbstractServer]:
        return self.loop.create_server(self._factory_invoker, sock=self._bound)


class _Keeper:
    """Says 250 only once the message is kept."""

    def __init__(self, inbox: Inbox, on_mail: Callable[[Entry], None]) -> None:
        self._inbox = inbox
        self._on_mail = on_mail

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        raw: Any = envelope.original_content or b""
        entry = self._inbox.keep(raw, envelope.mail_from or "", envelope.rcpt_tos, timezone.now())
        self._on_mail(entry)
        return f"250 OK: kept as {entry.number}"
