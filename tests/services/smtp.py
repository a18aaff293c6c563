"""A real mail server on 127.0.0.1 that keeps what it accepts, and refuses, drops and stalls as it is told."""

from __future__ import annotations

import asyncio
import email
import email.policy
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from enum import StrEnum
from functools import cached_property
from types import TracebackType
from typing import Any, AnyStr, NoReturn, Self, TypeVar, cast

import pytest
from aiosmtpd.smtp import MISSING, SMTP, AuthResult, Envelope, Session

T = TypeVar("T")


class Phase(StrEnum):
    """A moment of the conversation at which the server can misbehave."""

    CONNECT = "connect"  # before the greeting
    EHLO = "EHLO"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"  # before "354 go ahead"
    BODY = "body"  # after "354 go ahead", before the message was read
    DOT = "final dot"  # the whole message was read, and is not kept
    ANSWER = "answer"  # the message is kept, and "250 OK" was not yet said
    RSET = "RSET"
    QUIT = "QUIT"


@dataclass(frozen=True)
class ReceivedMail:
    """One message that the server took responsibility for, and its envelope."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    received_at: datetime
    connection: int  # the first connection is number 1

    @cached_property
    def message(self) -> EmailMessage:
        return email.message_from_bytes(self.raw, policy=email.policy.default)

    @property
    def message_id(self) -> str:
        return str(self.message["Message-ID"] or "")

    @property
    def subject(self) -> str:
        return str(self.message["Subject"] or "")

    @property
    def text(self) -> str:
        """The plain part, or nothing."""
        return self._part("plain")

    @property
    def html(self) -> str:
        """The HTML part, or nothing."""
        return self._part("html")

    def _part(self, kind: str) -> str:
        part = self.message.get_body(preferencelist=(kind,))
        return str(part.get_content()) if part is not None else ""


class Stall:
    """A client that is kept waiting in some phase until the test lets it go on."""

    def __init__(self, sink: SmtpSink) -> None:
        self._sink = sink
        self._reached = threading.Event()
        self._released = asyncio.Event()

    def wait_reached(self, timeout: float = 10) -> None:
        """Return once a client waits here; fail the test after `timeout` seconds."""
        if not self._reached.wait(timeout):
            pytest.fail(f"No client came to the stalled phase within {timeout:g} s.", pytrace=False)

    def release(self) -> None:
        """Let everybody who waits here, and who would, go on."""
        self._sink._in_loop(self._released.set)

    async def hold(self) -> None:
        self._reached.set()
        await self._released.wait()


@dataclass
class _Rule:
    """What to do in a phase, for whom, and how many more times (None: always)."""

    phase: Phase
    action: _Reply | _Drop | Stall
    recipient: str | None = None
    remaining: int | None = None

    def applies(self, phase: Phase, recipient: str | None) -> bool:
        return phase is self.phase and self.recipient in {None, recipient} and self.remaining != 0


@dataclass(frozen=True)
class _Reply:
    code: int
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


@dataclass(frozen=True)
class _Drop:
    pass


@dataclass
class _State:
    """All that a test reads or sets. Guarded by the sink's condition."""

    messages: list[ReceivedMail] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    rules: list[_Rule] = field(default_factory=list)
    delays: dict[Phase | None, float] = field(default_factory=dict)
    reached: Counter[Phase] = field(default_factory=Counter)
    connections: int = 0
    open_connections: int = 0


class SmtpSink:
    """A mail server for tests, in a thread of its own. Every method may be called from any thread.

    It accepts everything, also every login, until a test says otherwise. Rules apply in the order they were
    given; `times` says how often (None: always). After a stall the next rule of the same phase has its turn.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._state = _State()
        self._port = 0
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None
        self._server: asyncio.Server | None = None
        self._protocols: set[_Conversation] = set()

    # ── its life ────────────────────────────────────────────────────────────────────────────────────────────
    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._loop.run_forever, name="smtp-sink", daemon=True)
        self._thread.start()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._run(self._cancel_all())
        self._in_loop(self._loop.stop)
        if self._thread is not None:
            self._thread.join(10)
        self._loop.close()

    def start(self) -> None:
        """Listen, after a stop on the same port as before."""
        if self._server is None:
            self._server = self._run(self._listen())
            self._port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Refuse new connections and cut the open ones, as when the relay is down."""
        if self._server is not None:
            self._run(self._cut())
            self._server = None

    @property
    def port(self) -> int:
        return self._port

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self._port}"

    # ── what it received ────────────────────────────────────────────────────────────────────────────────────
    @property
    def messages(self) -> list[ReceivedMail]:
        """Every accepted message, in the order of acceptance."""
        with self._changed:
            return list(self._state.messages)

    @property
    def logins(self) -> list[tuple[str, str]]:
        """Every accepted name and password."""
        with self._changed:
            return list(self._state.logins)

    @property
    def connections(self) -> int:
        """How many connections were ever made."""
        with self._changed:
            return self._state.connections

    @property
    def open_connections(self) -> int:
        with self._changed:
            return self._state.open_connections

    def count(self, phase: Phase) -> int:
        """How often clients came to that phase."""
        with self._changed:
            return self._state.reached[phase]

    def by_message_id(self) -> dict[str, list[ReceivedMail]]:
        """The accepted messages under their Message-ID; more than one under the same are copies."""
        found: defaultdict[str, list[ReceivedMail]] = defaultdict(list)
        for mail in self.messages:
            found[mail.message_id].append(mail)
        return dict(found)

    def wait_for(self, count: int, timeout: float = 10) -> list[ReceivedMail]:
        """Return the messages once there are at least `count`; fail the test after `timeout` seconds."""
        self.wait_until(lambda: len(self.messages) >= count, timeout=timeout, what=f"{count} messages had arrived")
        return self.messages

    def wait_until(self, predicate: Callable[[], bool], *, timeout: float = 10, what: str) -> None:
        """Return once `predicate`, asked after every event here, is true; fail after `timeout` seconds."""
        with self._changed:
            if not self._changed.wait_for(predicate, timeout):
                subjects = "".join(f"\n  {mail.recipients}: {mail.subject}" for mail in self._state.messages)
                reached = ", ".join(f"{phase} ({times})" for phase, times in self._state.reached.items())
                pytest.fail(
                    f"Waited {timeout:g} s in vain until {what}. {len(self._state.messages)} messages came; "
                    f"clients reached: {reached or 'nothing'}.{subjects}",
                    pytrace=False,
                )

    def forget(self) -> None:
        """Forget what was received and counted; the rules stay."""
        with self._changed:
            self._state.messages.clear()
            self._state.logins.clear()
            self._state.reached.clear()
            self._state.connections = 0

    # ── how it behaves ──────────────────────────────────────────────────────────────────────────────────────
    def behave(self) -> None:
        """Drop all rules and delays, and release every stall."""
        with self._changed:
            rules, self._state.rules = self._state.rules, []
            self._state.delays.clear()
        for rule in rules:
            if isinstance(rule.action, Stall):
                rule.action.release()

    def refuse(self, recipient: str, code: int = 550, text: str = "no such user", times: int | None = None) -> None:
        """Refuse that recipient, compared without regard to case."""
        self._add(_Rule(Phase.RCPT, _Reply(code, text), recipient.lower(), times))

    def answer(
        self, code: int, text: str = "try again later", *, phase: Phase = Phase.RCPT, times: int | None = None
    ) -> None:
        """Answer whoever comes to that phase with an error. 421 closes the connection, as its meaning is."""
        if phase is Phase.BODY:
            raise ValueError("A client that is sending its message expects no answer: use Phase.DOT.")
        self._add(_Rule(phase, _Reply(code, text), remaining=times))

    def refuse_login(self, code: int = 535, text: str = "5.7.8 wrong credentials", times: int | None = None) -> None:
        self.answer(code, text, phase=Phase.AUTH, times=times)

    def drop(self, phase: Phase, times: int | None = 1) -> None:
        """Cut the connection in that phase."""
        self._add(_Rule(phase, _Drop(), remaining=times))

    def accept_then_drop(self, times: int | None = 1) -> None:
        """Keep the message and cut the connection before saying so: the sender cannot know."""
        self.drop(Phase.ANSWER, times)

    def stall(self, phase: Phase, times: int | None = 1) -> Stall:
        """Say nothing in that phase until the returned stall is released."""
        stall = Stall(self)
        self._add(_Rule(phase, stall, remaining=times))
        return stall

    def delay(self, seconds: float, phase: Phase | None = None) -> None:
        """Take that long before every answer, or before those of one phase, as a distant relay does."""
        with self._changed:
            self._state.delays[phase] = seconds

    def _add(self, rule: _Rule) -> None:
        with self._changed:
            self._state.rules.append(rule)

    # ── inside its thread ───────────────────────────────────────────────────────────────────────────────────
    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        done: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return done.result(10)

    def _in_loop(self, call: Callable[[], object]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call)

    async def _listen(self) -> asyncio.Server:
        return await self._loop.create_server(lambda: _Conversation(self), "127.0.0.1", self._port)

    async def _cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for protocol in list(self._protocols):
            protocol.abort()
        await self._server.wait_closed()

    async def _cancel_all(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _opened(self, protocol: _Conversation) -> int:
        self._protocols.add(protocol)
        with self._changed:
            self._state.connections += 1
            self._state.open_connections += 1
            self._changed.notify_all()
            return self._state.connections

    def _closed(self, protocol: _Conversation) -> None:
        self._protocols.discard(protocol)
        with self._changed:
            self._state.open_connections -= 1
            self._changed.notify_all()

    def _arrive(self, phase: Phase) -> float:
        """Count a client in that phase; how long to keep it waiting."""
        with self._changed:
            self._state.reached[phase] += 1
            self._changed.notify_all()
            return self._state.delays.get(phase, self._state.delays.get(None, 0.0))

    def _take(self, phase: Phase, recipient: str | None, passed: list[_Rule]) -> _Rule | None:
        """The first rule for this moment that this client has not passed, used once."""
        with self._changed:
            for rule in self._state.rules:
                if rule.applies(phase, recipient) and not any(rule is other for other in passed):
                    if rule.remaining is not None:
                        rule.remaining -= 1
                    return rule
        return None

    def _keep(self, mail: ReceivedMail) -> None:
        with self._changed:
            self._state.messages.append(mail)
            self._changed.notify_all()

    def _keep_login(self, name: str, password: str) -> None:
        with self._changed:
            self._state.logins.append((name, password))
            self._changed.notify_all()


class _Conversation(SMTP):
    """One client's connection: at every phase it asks the sink's rules, else it does as mail servers do."""

    def __init__(self, sink: SmtpSink) -> None:
        self._sink = sink
        self.number = 0
        super().__init__(
            _Answers(sink),
            hostname="sink.localhost",  # given, or every connection would look the host's name up
            ident="ESMTP",
            enable_SMTPUTF8=True,
            auth_require_tls=False,
            # One mechanism, so that a refused login is one refusal: clients try every mechanism on offer.
            auth_exclude_mechanism=["LOGIN"],
            authenticator=self._log_in,
            loop=sink._loop,
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.number = self._sink._opened(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._sink._closed(self)

    def abort(self) -> None:
        if self.transport is not None:
            cast(asyncio.Transport, self.transport).abort()

    async def pass_through(self, phase: Phase, recipient: str | None = None) -> str | None:
        """Do what the rules say at this moment; the refusal to answer with, or None to go on."""
        if seconds := self._sink._arrive(phase):
            await asyncio.sleep(seconds)
        passed: list[_Rule] = []
        while rule := self._sink._take(phase, recipient, passed):
            passed.append(rule)
            if isinstance(rule.action, Stall):
                await rule.action.hold()
            elif isinstance(rule.action, _Reply) and rule.action.code != 421:
                return str(rule.action)
            else:
                await self._hang_up(rule.action)
        return None

    async def _hang_up(self, action: _Reply | _Drop) -> NoReturn:
        if isinstance(action, _Reply):
            await self.push(str(action))
            cast(asyncio.Transport, self.transport).close()
        else:
            self.abort()
        await asyncio.Event().wait()  # the lost connection cancels us here
        raise AssertionError("nothing follows a lost connection")

    async def _handle_client(self) -> None:
        refusal = await self.pass_through(Phase.CONNECT)
        if refusal is None:
            await super()._handle_client()
        else:
            await self.push(refusal)
            cast(asyncio.Transport, self.transport).close()

    async def push(self, status: AnyStr) -> None:
        await super().push(status)
        if isinstance(status, str) and status.startswith("354 "):
            await self.pass_through(Phase.BODY)

    async def smtp_DATA(self, arg: str | None) -> None:
        # A DATA out of turn is refused by the server itself, whatever the rules say.
        refusal = await self.pass_through(Phase.DATA) if self.envelope and self.envelope.rcpt_tos else None
        if refusal is None:
            await super().smtp_DATA(arg)
        else:
            await self.push(refusal)

    def _log_in(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
        name, password = (getattr(data, part, b"").decode() for part in ("login", "password"))
        self._sink._keep_login(name, password)
        return AuthResult(success=True)


class _Answers:
    """The hooks that the server library calls before it answers a command."""

    def __init__(self, sink: SmtpSink) -> None:
        self._sink = sink

    async def handle_EHLO(
        self, server: _Conversation, session: Session, envelope: Envelope, hostname: str, answers: list[str]
    ) -> list[str]:
        refusal = await server.pass_through(Phase.EHLO)
        if refusal is not None:
            return [refusal]
        session.host_name = hostname
        return answers

    async def handle_HELO(self, server: _Conversation, session: Session, envelope: Envelope, hostname: str) -> str:
        refusal = await server.pass_through(Phase.EHLO)
        if refusal is None:
            session.host_name = hostname
        return refusal or "250 sink.localhost"

    async def handle_AUTH(
        self, server: _Conversation, session: Session, envelope: Envelope, words: list[str]
    ) -> object:
        return await server.pass_through(Phase.AUTH) or MISSING

    async def handle_MAIL(
        self, server: _Conversation, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        refusal = await server.pass_through(Phase.MAIL)
        if refusal is None:
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return refusal or "250 OK"

    async def handle_RCPT(
        self, server: _Conversation, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        refusal = await server.pass_through(Phase.RCPT, address.lower())
        if refusal is None:
            envelope.rcpt_tos.append(address)
        return refusal or "250 OK"

    async def handle_RSET(self, server: _Conversation, session: Session, envelope: Envelope) -> str:
        return await server.pass_through(Phase.RSET) or "250 OK"

    async def handle_QUIT(self, server: _Conversation, session: Session, envelope: Envelope) -> str:
        return await server.pass_through(Phase.QUIT) or "221 Bye"

    async def handle_DATA(self, server: _Conversation, session: Session, envelope: Envelope) -> str:
        refusal = await server.pass_through(Phase.DOT)
        if refusal is not None:
            return refusal
        raw = envelope.original_content or b""
        sender, recipients = envelope.mail_from or "", tuple(envelope.rcpt_tos)
        self._sink._keep(ReceivedMail(sender, recipients, raw, datetime.now(UTC), server.number))
        return await server.pass_through(Phase.ANSWER) or "250 OK: kept"
