"""The transport: the only module that speaks SMTP (RFC 5321), one recipient per message.

What matters is when the conversation broke: until the server has said "go ahead" to DATA no copy can exist, from then
on nobody can know. And whose fault it is: what breaks before a recipient is named would meet every other mail too.
"""

from __future__ import annotations

import contextlib
import re
import smtplib
import ssl
import time
from collections.abc import Callable, Iterator
from typing import NoReturn

from config.env import MailRelay
from incidents.models.notice import DeliveryPhase, Outcome

CLOSING = 421  # the server's code for "I am closing this conversation", whatever was asked
BEFORE_A_RECIPIENT = (
    DeliveryPhase.CONNECT,
    DeliveryPhase.GREETING,
    DeliveryPhase.STARTTLS,
    DeliveryPhase.AUTH,
    DeliveryPhase.SENDER,
)
IDLE_LIMIT = 20.0  # seconds; servers drop idle clients, so an older connection is asked before it is trusted


class DeliveryError(Exception):
    """The message was not accepted. `outcome` says what that means, `phase` how far it came, `answer` what was said."""

    def __init__(self, outcome: Outcome, phase: DeliveryPhase, answer: str, code: int | None = None) -> None:
        super().__init__(answer)
        self.outcome = outcome
        self.phase = phase
        self.answer = answer
        self.code = code

    @property
    def meets_every_mail(self) -> bool:
        """Whether the server or our configuration is at fault, so that no other mail would fare better."""
        if self.outcome == Outcome.TRANSPORT_DOWN:
            return self.phase in BEFORE_A_RECIPIENT or self.code == CLOSING
        return self.outcome == Outcome.CONFIGURATION


class Transport:
    """A connection to the relay that is kept alive between messages. Not to be shared between threads."""

    def __init__(self, relay: MailRelay, *, timeout: float) -> None:
        self._relay = relay
        self._timeout = timeout  # seconds, for every single wait of the conversation
        self._connection: smtplib.SMTP | None = None
        self._used_at = 0.0

    def send(self, content: bytes, *, sender: str, recipient: str, before_data: Callable[[], bool]) -> str:
        """Hand over one message; returns the server's answer to it, or raises DeliveryError.

        `before_data` is called once the server has taken the envelope: the last moment at which nothing was sent.
        If it returns False the message is not transmitted, and an empty string is returned.
        """
        self._offer_envelope(sender, recipient)
        try:
            may_go = before_data()
        except BaseException:
            self._drop()  # its envelope must not stand open for the next message
            raise
        if not may_go:
            self._reset()
            return ""
        return self._transmit(content)

    def sign_in(self) -> None:
        """Connect, secure the connection and sign in, as before a message; raises DeliveryError."""
        self._ready_connection()

    def close(self) -> None:
        """Say goodbye; errors on the way out do not matter."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                connection.quit()

    # ── phases ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _offer_envelope(self, sender: str, recipient: str) -> None:
        code, answer = self._name_sender(sender)
        if code != 250:
            self._refuse(DeliveryPhase.SENDER, code, answer)
        connection = self._ready_connection()
        with self._phase(DeliveryPhase.RECIPIENT):
            code, answer = connection.rcpt(recipient)
        if code not in (250, 251):
            self._refuse(DeliveryPhase.RECIPIENT, code, answer)

    def _name_sender(self, sender: str) -> tuple[int, bytes]:
        was_kept = self._connection is not None
        connection = self._ready_connection()
        try:
            with self._phase(DeliveryPhase.SENDER):
                return connection.mail(sender)
        except DeliveryError as error:
            if not (was_kept and error.outcome == Outcome.TRANSPORT_DOWN):
                raise
        # The server had closed the kept connection: that is no fault, a new one is tried once.
        connection = self._ready_connection()
        with self._phase(DeliveryPhase.SENDER):
            return connection.mail(sender)

    def _transmit(self, content: bytes) -> str:
        connection = self._connection
        assert connection is not None  # noqa: S101 - the envelope was offered on it
        with self._phase(DeliveryPhase.DATA):
            code, answer = connection.docmd("DATA")
        if code != 354:
            self._refuse(DeliveryPhase.DATA, code, answer)
        with self._phase(DeliveryPhase.BODY, ambiguous=True):
            connection.send(_stuffed(content))
            code, answer = connection.getreply()
        self._used_at = time.monotonic()
        if code != 250:
            self._refuse(DeliveryPhase.BODY, code, answer)
        return f"{code} {_as_text(answer)}"

    def _ready_connection(self) -> smtplib.SMTP:
        if self._connection is not None and time.monotonic() - self._used_at > IDLE_LIMIT and not self._is_alive():
            self._drop()
        if self._connection is None:
            self._connection = self._connect()
            self._used_at = time.monotonic()
        return self._connection

    def _is_alive(self) -> bool:
        assert self._connection is not None  # noqa: S101 - asked only of a kept connection
        try:
            return bool(self._connection.noop()[0] == 250)
        except (OSError, smtplib.SMTPException):
            return False

    def _connect(self) -> smtplib.SMTP:
        relay = self._relay
        with self._phase(DeliveryPhase.CONNECT):
            if relay.encryption == "tls":
                connection: smtplib.SMTP = smtplib.SMTP_SSL(
                    relay.host, relay.port, timeout=self._timeout, context=ssl.create_default_context()
                )
            else:
                connection = smtplib.SMTP(relay.host, relay.port, timeout=self._timeout)
        with self._phase(DeliveryPhase.GREETING):
            connection.ehlo_or_helo_if_needed()
        if relay.encryption == "starttls":
            with self._phase(DeliveryPhase.STARTTLS):
                connection.starttls(context=ssl.create_default_context())
                connection.ehlo()
        if relay.username:
            with self._phase(DeliveryPhase.AUTH):
                connection.login(relay.username, relay.password)
        return connection

    # ── what an answer means ────────────────────────────────────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def _phase(self, phase: DeliveryPhase, *, ambiguous: bool = False) -> Iterator[None]:
        """Turns what smtplib raises in this phase into a DeliveryError; the connection is not used again."""
        try:
            yield
        except smtplib.SMTPDataError as error:  # the server answered, so it is certain that it did not accept
            self._refuse(phase, error.smtp_code, error.smtp_error)
        except (smtplib.SMTPAuthenticationError, smtplib.SMTPNotSupportedError, ssl.SSLError) as error:
            self._drop()
            code = getattr(error, "smtp_code", None)
            raise DeliveryError(Outcome.CONFIGURATION, phase, _describe(error), code) from error
        except smtplib.SMTPResponseException as error:
            self._drop()
            raise DeliveryError(Outcome.TRANSPORT_DOWN, phase, _describe(error), error.smtp_code) from error
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            outcome = Outcome.AMBIGUOUS if ambiguous else Outcome.TRANSPORT_DOWN
            raise DeliveryError(outcome, phase, _describe(error)) from error
        except UnicodeError as error:
            self._drop()
            # What cannot be written in ASCII is ours (the password, our address) until a recipient is named.
            outcome = Outcome.CONFIGURATION if phase in BEFORE_A_RECIPIENT else Outcome.POISON
            raise DeliveryError(outcome, phase, _describe(error)) from error

    def _refuse(self, phase: DeliveryPhase, code: int, answer: bytes | str) -> NoReturn:
        """A plain answer: it is certain that nothing was accepted."""
        outcome = _meaning(phase, code)
        if outcome in (Outcome.TRANSPORT_DOWN, Outcome.CONFIGURATION):
            self._drop()
        else:
            self._reset()
        raise DeliveryError(outcome, phase, _as_text(answer), code)

    def _reset(self) -> None:
        """Forget the envelope and keep the connection for the next message."""
        connection = self._connection
        if connection is None:
            return
        try:
            connection.rset()
            self._used_at = time.monotonic()
        except (OSError, smtplib.SMTPException):
            self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _meaning(phase: DeliveryPhase, code: int) -> Outcome:
    """421 closes the conversation, 530–538 is about us, and so is whatever is said to our sender; 4xx is for now."""
    if code == CLOSING or code < 0:
        return Outcome.TRANSPORT_DOWN
    is_for_now = 400 <= code < 500
    if phase == DeliveryPhase.SENDER:
        return Outcome.TRANSPORT_DOWN if is_for_now else Outcome.CONFIGURATION
    if 530 <= code <= 538:
        return Outcome.CONFIGURATION
    return Outcome.REFUSED_FOR_NOW if is_for_now else Outcome.REFUSED


def _stuffed(content: bytes) -> bytes:
    """The message as it goes over the wire: lines that begin with a dot get another, and a dot ends it (RFC 5321)."""
    end = b".\r\n" if content.endswith(b"\r\n") else b"\r\n.\r\n"
    return re.sub(rb"(?m)^\.", b"..", content) + end


def _as_text(answer: bytes | str) -> str:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    return " ".join(text.split())[:500]


def _describe(error: Exception) -> str:
    answer = getattr(error, "smtp_error", None)
    return _as_text(answer) if answer else _as_text(f"{type(error).__name__}: {error}")
