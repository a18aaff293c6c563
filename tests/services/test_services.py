"""The services are what the other tests stand on: each does what it is told, and none is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import smtplib
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import psycopg
import pytest
import redis

from tests.services import children
from tests.services.postgres import PostgresServer, wheel_binaries
from tests.services.processes import ROOT, Processes
from tests.services.redis import RedisServer, wheel_binary
from tests.services.smtp import Phase, SmtpSink


def letter(subject: str = "Priority 1 declared") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = (
        "notices@due-notice.example",
        "ann@northwind.example",
        subject,
    )
    message["Message-ID"] = "<1@due-notice.example>"
    message.set_content("The portal is down — since 10:00.")
    message.add_alternative("<p>The portal is down</p>", subtype="html")
    return message


@contextlib.contextmanager
def client(sink: SmtpSink, timeout: float = 5) -> Iterator[smtplib.SMTP]:
    connection = smtplib.SMTP("127.0.0.1", sink.port, timeout=timeout)
    try:
        yield connection
    finally:
        connection.close()


# ── mail ────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_mail_arrives_with_its_envelope_and_both_parts(smtp_sink: SmtpSink) -> None:
    with client(smtp_sink) as connection:
        connection.send_message(letter())
    [mail] = smtp_sink.wait_for(1)
    assert (mail.sender, mail.recipients) == ("notices@due-notice.example", ("ann@northwind.example",))
    assert mail.text.strip() == "The portal is down — since 10:00."
    assert "<p>The portal is down</p>" in mail.html
    assert smtp_sink.by_message_id() == {"<1@due-notice.example>": [mail]}


def test_a_connection_that_is_kept_is_counted_once(smtp_sink: SmtpSink) -> None:
    with client(smtp_sink) as connection:
        for _ in range(3):
            connection.send_message(letter())
        assert smtp_sink.open_connections == 1
    smtp_sink.wait_until(lambda: smtp_sink.open_connections == 0, what="the client was gone")
    assert (smtp_sink.connections, len(smtp_sink.messages), smtp_sink.count(Phase.DOT)) == (1, 3, 3)


def test_one_recipient_is_refused_and_the_others_are_not(smtp_sink: SmtpSink) -> None:
    smtp_sink.refuse("Bob@northwind.example", 550, "5.1.1 unknown")
    with client(smtp_sink) as connection:
        refused = connection.send_message(letter(), to_addrs=["bob@northwind.example", "ann@northwind.example"])
    assert refused == {"bob@northwind.example": (550, b"5.1.1 unknown")}
    assert smtp_sink.messages[0].recipients == ("ann@northwind.example",)


@pytest.mark.parametrize("phase", [Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.DOT])
def test_an_error_is_answered_as_often_as_told_and_then_all_is_well(smtp_sink: SmtpSink, phase: Phase) -> None:
    smtp_sink.answer(451, phase=phase, times=2)
    with client(smtp_sink) as connection:
        for _ in range(2):
            with pytest.raises((smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused), match="451"):
                connection.send_message(letter())
            connection.rset()  # smtplib leaves a refused DATA half-way
        connection.send_message(letter())
    assert len(smtp_sink.messages) == 1


def test_a_login_is_refused_and_then_accepted(smtp_sink: SmtpSink) -> None:
    smtp_sink.refuse_login(times=1)
    with client(smtp_sink) as connection:
        with pytest.raises(smtplib.SMTPAuthenticationError, match="535"):
            connection.login("olga", "right")
        connection.login("olga", "right")
    assert smtp_sink.logins == [("olga", "right")]


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase not in {Phase.AUTH, Phase.RSET, Phase.QUIT}])
def test_the_connection_is_cut_in_the_phase_that_was_named(smtp_sink: SmtpSink, phase: Phase) -> None:
    smtp_sink.drop(phase)
    with (
        pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)),
        client(smtp_sink) as connection,
    ):
        connection.send_message(letter())
    assert smtp_sink.count(phase) == 1
    assert len(smtp_sink.messages) == (1 if phase is Phase.ANSWER else 0)
    with client(smtp_sink) as connection:
        connection.send_message(letter())  # once only


def test_a_closing_greeting_is_answered_and_the_connection_closed(smtp_sink: SmtpSink) -> None:
    smtp_sink.answer(421, "too busy", phase=Phase.CONNECT, times=1)
    with pytest.raises(smtplib.SMTPConnectError, match="421"), client(smtp_sink):
        pass


@pytest.mark.parametrize("phase", [Phase.CONNECT, Phase.RCPT, Phase.BODY, Phase.DOT, Phase.ANSWER])
def test_a_client_is_kept_waiting_until_it_is_released(smtp_sink: SmtpSink, phase: Phase) -> None:
    stall = smtp_sink.stall(phase)

    def send() -> None:
        with client(smtp_sink) as connection:
            connection.send_message(letter())

    sender = threading.Thread(target=send)
    sender.start()
    stall.wait_reached()
    assert sender.is_alive()
    assert len(smtp_sink.messages) == (1 if phase is Phase.ANSWER else 0)
    stall.release()
    smtp_sink.wait_for(1)
    sender.join(5)
    assert not sender.is_alive()


def test_a_client_with_a_timeout_gives_up_on_a_stalled_server(smtp_sink: SmtpSink) -> None:
    smtp_sink.stall(Phase.DOT)
    with client(smtp_sink, timeout=0.2) as connection, pytest.raises(OSError, match="timed out"):
        connection.send_message(letter())
    assert smtp_sink.messages == []


def test_a_stopped_mail_server_refuses_connections_and_comes_back_on_its_port(smtp_sink: SmtpSink) -> None:
    with client(smtp_sink) as connection:
        connection.ehlo()
        smtp_sink.stop()
        with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
            connection.noop()
    with pytest.raises(ConnectionRefusedError), client(smtp_sink):
        pass
    smtp_sink.start()
    with client(smtp_sink) as connection:
        connection.send_message(letter())
    assert len(smtp_sink.messages) == 1


# ── PostgreSQL ──────────────────────────────────────────────────────────────────────────────────────────────
def test_two_databases_know_nothing_of_each_other(postgres: PostgresServer, postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE only_here (id int)")
    other, copy = postgres.create_database(), postgres.create_database(template=postgres_url)
    found = []
    for url in (other, copy):
        with psycopg.connect(url) as connection:
            found.append(connection.execute("SELECT to_regclass('only_here')::text").fetchone())
        postgres.drop_database(url)
    assert found == [(None,), ("only_here",)]


@pytest.mark.parametrize("mode", ["fast", "kill"])
def test_what_was_committed_survives_the_death_of_postgresql(
    postgres: PostgresServer, postgres_url: str, mode: str
) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE kept (id int)")
    with postgres.stopped("kill" if mode == "kill" else "fast"), pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgres_url)
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_the_postgresql_of_the_wheel_serves_where_the_machine_has_none() -> None:
    binaries = wheel_binaries()
    if binaries is None:
        pytest.skip("The wheel with PostgreSQL is not made for this platform.")
    with PostgresServer(binaries=binaries) as server, psycopg.connect(server.create_database()) as connection:
        assert connection.info.server_version >= 150000


# ── Redis ───────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_redis_comes_back_empty_on_the_port_it_had(redis_server: RedisServer, end: str) -> None:
    with redis.Redis.from_url(redis_server.url) as connection:
        assert connection.dbsize() == 0
        connection.set("doorbell", "rung")
        getattr(redis_server, end)()
        with pytest.raises(redis.ConnectionError):
            connection.ping()
        redis_server.start()
        assert connection.dbsize() == 0


def test_a_test_finds_redis_running_and_empty_whatever_the_last_one_did(
    redis_module: RedisServer, request: pytest.FixtureRequest
) -> None:
    redis_module.start()
    with redis.Redis.from_url(redis_module.url) as connection:
        connection.set("left", "behind")
        redis_server = request.getfixturevalue("redis_server")
        assert connection.dbsize() == 0
    assert redis_server is redis_module


def test_a_frozen_redis_takes_connections_and_never_answers(redis_server: RedisServer) -> None:
    with (
        redis_server.frozen(),
        redis.Redis.from_url(redis_server.url, socket_timeout=0.2, retry=None) as connection,
        pytest.raises(redis.TimeoutError),
    ):
        connection.ping()


def test_the_redis_of_the_wheel_serves_where_the_machine_has_none() -> None:
    binary = wheel_binary()
    if binary is None:
        pytest.skip("The wheel with Redis is not made for this platform.")
    with RedisServer(binary=binary) as server, redis.Redis.from_url(server.url) as connection:
        assert connection.ping()


# ── processes ───────────────────────────────────────────────────────────────────────────────────────────────
FAMILY = textwrap.dedent(
    """
    import signal, subprocess, sys
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], process_group=0)
    print("child", child.pid, flush=True)
    signal.pause()
    """
)


def start_family(processes: Processes, name: str = "family") -> list[int]:
    """A process whose child left its process group; the ids of both."""
    process = processes.start(name, "-c", FAMILY)
    processes.wait_for_log(name, "child")
    return [process.pid, int(processes.log(name).split()[-1])]


def test_a_killed_process_is_noticed_at_once_with_the_end_of_its_log(processes: Processes) -> None:
    pid, _child = start_family(processes)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(pytest.fail.Exception, match="family ended with -9") as failure:
        processes.wait_until(lambda: False, timeout=30, what="the notice was sent")
    assert "the notice was sent" in str(failure.value)
    assert "child" in str(failure.value)


def test_waiting_in_vain_says_for_what_and_shows_the_logs(processes: Processes) -> None:
    start_family(processes)
    with pytest.raises(pytest.fail.Exception, match=r"in vain until the moon rose(?s:.)*family(?s:.)*child"):
        processes.wait_until(lambda: False, timeout=0.1, what="the moon rose")


@pytest.mark.parametrize("end", ["kill9", "stop"])
def test_ending_a_process_ends_its_children_too(processes: Processes, end: str) -> None:
    family = start_family(processes)
    getattr(processes, end)("family")
    assert [pid for pid in family if children.state_of(pid)] == []
    assert not processes.is_running("family")


def test_a_frozen_process_stands_still_with_its_children(processes: Processes) -> None:
    family = start_family(processes)
    with processes.frozen("family"):
        assert [children.state_of(pid) for pid in family] == ["T", "T"]
    processes.stop("family")


def test_no_process_outlives_the_block_it_was_started_in(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        family = start_family(processes)
    assert [pid for pid in family if children.state_of(pid)] == []


def test_nothing_outlives_a_test_run_that_was_killed(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import pathlib, signal, sys
        from tests.services import children
        folder = pathlib.Path(sys.argv[1])
        (folder / "data").mkdir()
        sleeper = [sys.executable, "-c", "import signal; signal.pause()"]
        print(children.start(sleeper, log=folder / "log", remove=folder / "data").pid, flush=True)
        signal.pause()
        """
    )
    run = subprocess.Popen([sys.executable, "-c", program, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    with run.stdout:
        started = int(run.stdout.readline())
    assert children.state_of(started)
    run.kill()
    run.wait(10)
    children.wait_until(
        lambda: not children.state_of(started) and not (tmp_path / "data").exists(),
        timeout=10,
        what="the rescuer had done it",
    )


# ── what is missing ─────────────────────────────────────────────────────────────────────────────────────────
def test_a_missing_service_fails_in_ci_and_is_skipped_with_a_sentence_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="There is no Redis"):
        children.unavailable("There is no Redis.")
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="There is no Redis"):
        children.unavailable("There is no Redis.")


def test_a_server_that_is_not_ours_is_used_and_not_stopped(
    redis_server: RedisServer, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    monkeypatch.setenv("DATABASE_URL", postgres.url)
    with RedisServer() as theirs, PostgresServer() as other, redis.Redis.from_url(theirs.url) as connection:
        connection.set("made", "by the test")
        database = other.create_database()
        for server in (theirs, other):
            with pytest.raises(pytest.fail.Exception, match="not ours"):
                server.stop()
    with redis.Redis.from_url(redis_server.url) as connection:
        assert connection.dbsize() == 0
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(database)


def test_free_ports_are_free() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", children.free_port()))
