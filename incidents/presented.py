"""Whether a text that somebody presents is what was sent: byte for byte, by the digest of what was.

A mail may be encoded anew on its way, its lines may end otherwise, and empty lines may be added or lost at its end (as
RFC 6376, 3.4.3, has it); none of that counts. Nothing else may differ. So it also holds for texts that were given up.
"""

from __future__ import annotations

import email
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message

from django.db import models
from django.utils.translation import gettext_lazy as _

from incidents import acknowledgement_link, letter, retention
from incidents.models import Notice

LARGEST = 256 * 1024  # bytes; no notice comes near
MOST_PLACES = 100  # where the sentence that a mail is late may have been left out
_PLAIN, _HTML = "text/plain", "text/html"
_NAMES = {_PLAIN: "text", _HTML: "html"}


class Answer(models.TextChoices):
    """The value is the fact that the trail keeps."""

    AS_SENT = "as_sent", _("As it was sent")
    NOT_AS_SENT = "not_as_sent", _("Not as it was sent")
    UNDECIDED = "undecided", _("Cannot be said")


class Part(models.TextChoices):
    TEXT = "text", _("Text")
    HTML = "html", _("HTML")
    EITHER = "either", _("Text or HTML")
    SUBJECT = "subject", _("Subject")
    MESSAGE_ID = "message_id", _("Message-ID")
    OTHER = "other", _("Something that the mail did not have")


@dataclass(frozen=True)
class Finding:
    part: Part
    answer: Answer


@dataclass(frozen=True)
class Verdict:
    findings: tuple[Finding, ...]

    @property
    def answer(self) -> Answer:
        """As sent, if all of it is."""
        answers = {one.answer for one in self.findings}
        if Answer.NOT_AS_SENT in answers:
            return Answer.NOT_AS_SENT
        return Answer.UNDECIDED if Answer.UNDECIDED in answers else Answer.AS_SENT


def compare(notice: Notice, presented: bytes) -> Verdict:
    """Of a whole mail with its headers, or of the text or the HTML of one."""
    mail = email.message_from_bytes(presented.lstrip())
    if "Message-ID" in mail and "From" in mail:
        return Verdict(tuple(_of_mail(notice, mail)))
    content = _decoded(presented, "utf-8-sig")
    answers = {part: _answer(notice, part, content) for part in (Part.TEXT, Part.HTML)}
    as_sent = next((part for part, answer in answers.items() if answer == Answer.AS_SENT), None)
    if as_sent is not None:
        return Verdict((Finding(as_sent, Answer.AS_SENT),))
    is_open = Answer.UNDECIDED in answers.values()
    return Verdict((Finding(Part.EITHER, Answer.UNDECIDED if is_open else Answer.NOT_AS_SENT),))


def _of_mail(notice: Notice, mail: Message) -> Iterator[Finding]:
    yield Finding(Part.MESSAGE_ID, _same(_header(mail, "Message-ID"), notice.message_id))
    yield Finding(Part.SUBJECT, _same(_header(mail, "Subject"), notice.subject))
    bodies = 0
    for leaf in mail.walk():
        if leaf.is_multipart():
            continue
        name = None if leaf.get_content_disposition() == "attachment" else _NAMES.get(leaf.get_content_type())
        if name is None:
            yield Finding(Part.OTHER, Answer.NOT_AS_SENT)
            continue
        bodies += 1
        payload = leaf.get_payload(decode=True)
        content = _decoded(payload if isinstance(payload, bytes) else b"", leaf.get_content_charset("utf-8"))
        yield Finding(Part(name), _answer(notice, Part(name), content))
    if not bodies:
        yield Finding(Part.EITHER, Answer.NOT_AS_SENT)


def _header(mail: Message, name: str) -> str:
    """As people read it: unfolded, its encoded words decoded."""
    raw = re.sub(r"\r?\n(?=[ \t])", "", str(mail.get(name, ""))).strip()
    try:
        return str(make_header(decode_header(raw)))
    except (HeaderParseError, LookupError, UnicodeError, ValueError):
        return raw


def _same(presented: str, sent: str) -> Answer:
    return Answer.AS_SENT if presented == sent else Answer.NOT_AS_SENT


def _decoded(content: bytes, charset: str) -> str | None:
    try:
        return content.decode(charset)
    except (LookupError, UnicodeDecodeError):
        return None


def _answer(notice: Notice, part: Part, content: str | None) -> Answer:
    digest = _digest_of_what_was(notice, part)
    if digest is None:
        return Answer.UNDECIDED
    found = content is not None and any(
        hashlib.sha256(candidate.encode("utf-8", "surrogatepass")).hexdigest() == digest
        for candidate in _candidates(notice, part, content)
    )
    return Answer.AS_SENT if found else Answer.NOT_AS_SENT


def _digest_of_what_was(notice: Notice, part: Part) -> str | None:
    """None where what is kept is not signed by our key, which proves nothing."""
    left = retention.remains(notice)
    if left is None:
        return hashlib.sha256(str(getattr(notice, part.value)).replace("\r\n", "\n").encode()).hexdigest()
    return left.digests.get(part.value, "") if left.is_signed else None


def _candidates(notice: Notice, part: Part, content: str) -> Iterator[str]:
    """What would have to stand in the notice, if this is what went out; nothing else makes the same mail."""
    lines = content.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
    if not lines.strip():
        return
    for linked in acknowledgement_link.unmasked(lines, notice.message_id):
        for whole in (f"{linked}\n", linked, f"{linked}\n\n"):
            yield from _composed(notice, part, whole)


def _composed(notice: Notice, part: Part, sent: str) -> Iterator[str]:
    """Undoes incidents/letter.py, which puts in the sentence that it is late."""
    if part == Part.TEXT:
        note = f"{notice.late_note}\n\n" if notice.is_marked_late else ""
        if sent.startswith(note):
            yield sent.removeprefix(note)
        return
    note = letter.late_note_of(notice)
    yield sent.replace(note, letter.LATE_NOTE_PLACE, 1) if note else sent
    if not note:
        for match, _number in zip(re.finditer(r"^$|(?<=<body>)", sent, re.MULTILINE), range(MOST_PLACES), strict=False):
            yield sent[: match.start()] + letter.LATE_NOTE_PLACE + sent[match.start() :]
