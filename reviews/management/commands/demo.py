"""`manage.py demo`: the whole product on one machine, with an invented world and nothing to set up."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.client
import json
import logging
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.management.color import no_style
from django.db import connection
from django.utils import timezone

from config.celery import app as celery
from config.env import MailRelay
from incidents import outbox
from reviews.demo import story, world
from reviews.demo.inbox import Entry, Inbox, MailServer
from reviews.demo.processes import HOST, Children, Trouble, bind, port_of, sole_user_of

WEB_PORT, SMTP_PORT = 8000, 1025  # the usual ones
START_LIMIT = 60.0  # seconds for the web server to answer
LOOK_EVERY = 0.3  # seconds
STALE_AFTER = dt.timedelta(hours=3)  # by then everything in the story is over


class Command(BaseCommand):
    help = (
        "Start the whole product with an invented world: database, web server, worker and a mail server to read what "
        "clients receive. Ctrl-C stops it; the next start goes on where this one ended."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=_port, help=f"port of the pages (default: {WEB_PORT} or the next free one)")
        parser.add_argument(
            "--smtp-port", type=_port, help=f"port of the mail server (default: {SMTP_PORT} or the next free one)"
        )
        parser.add_argument("--fresh", action="store_true", help="forget what an earlier demo kept and start over")

    def handle(self, *args: Any, **options: Any) -> None:
        var: Path = settings.VAR_DIR
        if os.environ.get("NO_COLOR"):  # https://no-color.org/, which Django does not know
            self.style = no_style()
        try:
            _refuse_foreign_settings(var)
            with _stopping_on_signals(), sole_user_of(var):
                self._run(var, **options)
        except Trouble as trouble:
            raise CommandError(str(trouble)) from trouble

    def _run(self, var: Path, *, port: int | None, smtp_port: int | None, fresh: bool, **_others: Any) -> None:
        inbox, children = Inbox(var / "inbox"), None
        self._is_up = False
        with contextlib.ExitStack() as stack:
            logging.disable(logging.INFO)  # here the story is told; what each part logs is in its file
            stack.callback(logging.disable, logging.NOTSET)
            try:
                _refuse_foreign_database(var)
                web = stack.enter_context(bind(WEB_PORT, named=port, what="the pages", option="--port"))
                smtp = stack.enter_context(
                    bind(SMTP_PORT, named=smtp_port, what="the mail server", option="--smtp-port")
                )
                self._tell_other_ports(web, port, smtp, smtp_port)
                if fresh:
                    self._step("Forgetting the earlier demo")
                    _forget(var)
                self._open_mail(inbox, smtp, stack)
                web_port, mail_port = port_of(web), port_of(smtp)
                self._load(var, inbox, web_port, mail_port)
                children = Children(_environment(var, web_port, mail_port), var / "logs")
                self._start(children, web)
                self._welcome(web_port, mail_port, var)
                self._is_up = True
                while True:
                    children.refuse_dead()
                    time.sleep(LOOK_EVERY)
            except KeyboardInterrupt:
                self.stdout.write("")
                self._step("Stopping")
            finally:
                killed = children.stop() if children else []
        if killed:
            raise Trouble(f"Had to be killed, as it did not end by itself: {', '.join(killed)}.")
        if not self._is_up:
            self.stdout.write("Stopped before it was up. The next start does what is missing.")
            return
        self.stdout.write("Stopped. Everything is kept; the next start goes on from here, --fresh starts over.")

    # ── the start ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _tell_other_ports(
        self, web: socket.socket, port: int | None, smtp: socket.socket, smtp_port: int | None
    ) -> None:
        for bound, named, usual, what in (
            (web, port, WEB_PORT, "the pages are"),
            (smtp, smtp_port, SMTP_PORT, "the mail server is"),
        ):
            if named is None and port_of(bound) != usual:
                self._warn(f"Port {usual} is taken by another program, so {what} at port {port_of(bound)}.")

    def _open_mail(self, inbox: Inbox, smtp: socket.socket, stack: contextlib.ExitStack) -> None:
        self._step(f"Opening the mail server at {HOST}:{port_of(smtp)}")
        inbox.open()
        server = MailServer(inbox, smtp, self._tell_mail)
        server.start()
        stack.callback(server.stop)

    def _load(self, var: Path, inbox: Inbox, web_port: int, mail_port: int) -> None:
        self._step(f"Bringing the database {_shown(var / 'db.sqlite3')} up to date")
        (var / "demo.json").write_text(json.dumps({"made_by": "manage.py demo"}) + "\n")
        call_command("migrate", interactive=False, verbosity=0)
        now = timezone.now().replace(microsecond=0)
        self._step("Looking after clients, agreements and colleagues")
        world.load(now)
        # The mails of the past go to our own mail server and nowhere else, with the addresses of this start in them.
        settings.MAIL_RELAY = MailRelay(HOST, mail_port, "none")
        settings.PUBLIC_URL = _address(web_port)
        celery.conf["broker_url"] = "memory://"  # nobody needs to be woken while the past is played
        if story.must_be_told():
            self._step("Playing the last thirty days: twelve incidents, and every mail that went out")
            inbox.clear()  # what a start that was interrupted has left
            story.load(now)
            story.look_back(now)
        outbox.hang_up()
        connection.close()

    def _start(self, children: Children, web: socket.socket) -> None:
        self._step("Starting the worker, which looks every second for what is due")
        children.start("worker", "celery", *_WORKER)
        self._step(f"Starting the web server at {_address(port_of(web))}/")
        children.start("web server", "gunicorn", *_WEB, "--bind", f"fd://{web.fileno()}", sockets=[web])
        port = port_of(web)
        web.close()  # the web server has it now: when that is gone, nobody may wait here in vain
        until = time.monotonic() + START_LIMIT
        while not _answers(port):
            children.refuse_dead()
            if time.monotonic() > until:
                raise Trouble(f"The web server did not answer within {START_LIMIT:g} seconds.")
            time.sleep(LOOK_EVERY)

    # ── what people read ────────────────────────────────────────────────────────────────────────────────────────────

    def _step(self, text: str) -> None:
        self.stdout.write(f"  {text} …")
        self.stdout.flush()

    def _warn(self, text: str) -> None:
        self.stdout.write(self.style.WARNING(text))

    def _tell_mail(self, entry: Entry) -> None:
        """One line per mail once the demo is up; called by the mail server's thread."""
        if not self._is_up:
            return
        with contextlib.suppress(OSError, ValueError):  # a terminal that is gone must not refuse a mail
            time_of_day = timezone.localtime(entry.received_at).strftime("%H:%M:%S")
            self.stdout.write(f"{time_of_day}  mail to {', '.join(entry.recipients)}: {entry.subject}")
            self.stdout.flush()

    def _welcome(self, port: int, smtp_port: int, var: Path) -> None:
        bold = self.style.MIGRATE_HEADING
        address = _address(port)
        lines = [
            "",
            bold("Due Notice is up."),
            f"  What is due next   {address}/admin/",
            f"  Mails received     {address}/demo/inbox/",
            f"  Mail server        smtp://{HOST}:{smtp_port} (kept in {_shown(var / 'inbox')})",
            "",
            bold(f"Sign in with the password “{world.PASSWORD}” as"),
            *(f"  {login:<6} {first} {last}, {role}" for login, first, last, role, _zone in world.PEOPLE),
            "",
            bold("What to look at first"),
            *(f"  {number}. {line}" for number, line in enumerate(_first_looks(address), start=1)),
            "",
            f"Logs are in {_shown(var / 'logs')}. Ctrl-C stops everything. Mails appear below as they arrive (UTC).",
            "",
        ]
        self.stdout.write("\n".join(lines))
        self.stdout.flush()


_WORKER = (
    *("-A", "config", "worker", "--beat", "--hostname", "demo@localhost"),
    # Threads: a slow mail server must not keep the next look from happening. One process, so that little is started.
    *("--pool", "threads", "--concurrency", "2"),
    *("--without-gossip", "--without-mingle", "--without-heartbeat"),  # there is no other worker to talk to
)
_WEB = (
    *("config.wsgi:application", "--worker-class", "gthread", "--threads", "8", "--workers", "1"),
    *("--graceful-timeout", "3", "--log-level", "warning", "--no-control-socket"),
)


def _first_looks(address: str) -> list[str]:
    now = timezone.now()
    coming = story.next_client_warning(now)
    newest = story.newest_incident_at()
    connection.close()
    looks = []
    if newest is not None and now - newest > STALE_AFTER:
        looks.append("Much of this world has become overdue since it was made; --fresh starts over with a new one.")
    if coming is not None:
        seconds = max(int((coming - now).total_seconds()), 0)
        when = f"{seconds} seconds" if seconds < 120 else f"{seconds // 60} minutes"
        looks.append(f"Wait at {address}/demo/inbox/?to=clients: in {when} a client is warned, and nobody clicked.")
    looks += [
        f"Sign in as olga: {address}/admin/ shows what is due next; open an incident and notify its client.",
        "Leave the API control plane incident alone: before its hour is over a holding notice goes out by itself.",
        "Sign in as aude: the review queue asks about six things, and the audit trail has who changed what and why.",
    ]
    return looks


# ── whose folder it is ──────────────────────────────────────────────────────────────────────────────────────────────


def _refuse_foreign_settings(var: Path) -> None:
    if not settings.DEMO:
        raise Trouble("Start it as `python manage.py demo`; nothing else may call it.")
    database = settings.DATABASES["default"]
    if database["ENGINE"] != "django.db.backends.sqlite3" or Path(database["NAME"]) != var / "db.sqlite3":
        raise Trouble(
            "The demo uses nothing but a database of its own, and DATABASE_URL names another. "
            "Unset it (`env -u DATABASE_URL python manage.py demo`) and start again."
        )


def _refuse_foreign_database(var: Path) -> None:
    """A database that the demo did not make may hold real clients: neither mixed with invented ones nor removed."""
    if (var / "demo.json").exists() or not (var / "db.sqlite3").exists():
        return
    try:
        tables = connection.introspection.table_names()
        models = [apps.get_model(label) for label in ("config.User", "agreements.Client")]
        is_used = any(model._meta.db_table in tables and model._default_manager.exists() for model in models)
    finally:
        connection.close()
    if is_used:
        raise Trouble(
            f"{_shown(var / 'db.sqlite3')} was not made by the demo and is left alone. "
            "Set VAR_DIR to another folder for the demo, for example VAR_DIR=var/demo."
        )


def _forget(var: Path) -> None:
    """Remove what an earlier demo made, and nothing else."""
    connection.close()
    for pattern in ("db.sqlite3", "db.sqlite3-wal", "db.sqlite3-shm", "celerybeat-schedule*", "demo.json"):
        for path in var.glob(pattern):
            path.unlink()
    for folder in ("broker", "inbox", "logs"):
        shutil.rmtree(var / folder, ignore_errors=True)


# ── small things ────────────────────────────────────────────────────────────────────────────────────────────────────


def _environment(var: Path, port: int, smtp_port: int) -> dict[str, str]:
    """The children's environment: the caller's, but nothing in it leads out of this folder and this machine."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DEMO": "1",
        "DEBUG": "0",
        "VAR_DIR": str(var),
        "PUBLIC_URL": _address(port),
        "ALLOWED_HOSTS": f"{HOST},localhost",
        "EMAIL_URL": f"smtp://{HOST}:{smtp_port}",
        "DATABASE_URL": "",
        "REDIS_URL": "",
        "BROKER_DIR": "",
        "CSRF_TRUSTED_ORIGINS": "",
        "BEHIND_PROXY": "",
        "GUNICORN_CMD_ARGS": "",
        "PYTHONUNBUFFERED": "1",
    }


def _address(port: int) -> str:
    return f"http://{HOST}:{port}"


def _answers(port: int) -> bool:
    client = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        client.request("GET", "/admin/login/")
        return client.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        client.close()


def _shown(path: Path) -> str:
    """As short as it can be told."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _port(value: str) -> int:
    if not value.isdecimal() or not 1 <= int(value) <= 65535:
        raise ValueError
    return int(value)


_port.__name__ = "port number"  # argparse says: invalid port number value


@contextlib.contextmanager
def _stopping_on_signals() -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed terminal all stop the demo the same way; a second one changes nothing."""
    if threading.current_thread() is not threading.main_thread():
        raise Trouble("The demo has to run in the main thread.")

    def stop(signum: int, frame: FrameType | None) -> NoReturn:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # which nohup sets
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
