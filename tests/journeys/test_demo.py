"""The demo as somebody starts it who has just met the product: one command, then the browser, then Ctrl-C."""

from __future__ import annotations

import datetime as dt
import http.cookiejar
import json
import os
import re
import signal
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

import pytest

from reviews.demo.inbox import Entry, Inbox
from tests.journeys.seeded import copy_sqlite
from tests.services import children
from tests.services.processes import Processes

UP = "Due Notice is up."
FACTS = (
    "import json; from incidents.models import Incident; from agreements.models import Client; "
    "from config.models import User; "
    "print(json.dumps([list(Incident.objects.order_by('pk').values_list('reference', flat=True)), "
    "Client.objects.count(), list(User.objects.order_by('pk').values_list('username', 'password'))]))"
)


class Demo:
    """`manage.py demo` on ports and in a folder of its own."""

    def __init__(self, processes: Processes) -> None:
        self.processes = processes
        self.inbox = Inbox(Path(processes.env["VAR_DIR"]) / "inbox")
        self.port, self.smtp_port = children.free_port(), children.free_port()
        self._seen = ""

    def start(self, *options: str) -> None:
        """Start it and wait until it says that it is up."""
        ports = ("--port", str(self.port), "--smtp-port", str(self.smtp_port))
        self._seen = self.processes.log("demo")
        self.processes.start("demo", "manage.py", "demo", *ports, *options)
        self.processes.wait_until(lambda: UP in self.said(), 90, "the demo was up")

    def said(self) -> str:
        """What it wrote since the last start."""
        return self.processes.log("demo")[len(self._seen) :]

    def everybody(self) -> list[int]:
        """The demo's process and all below it."""
        found = [self.processes.pid("demo")]
        for pid in found:
            found += _children_of(pid)
        return found

    def end(self, number: signal.Signals) -> int:
        """Send it the signal; its exit code, once it and all its processes are gone."""
        everybody = self.everybody()
        assert len(everybody) >= 4, "web server, its worker, worker and beat"
        os.kill(everybody[0], number)
        code = self.processes.wait_for_exit("demo", 30)
        assert [pid for pid in everybody if children.state_of(pid) is not None] == []
        return code

    def facts(self) -> object:
        return json.loads(self.processes.manage("shell", "-v0", "-c", FACTS).stdout)


def _children_of(parent: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # it ended while we looked
        if int(fields[1]) == parent:
            found.append(int(path.parent.name))
    return found


@pytest.fixture
def demo(processes: Processes) -> Demo:
    return Demo(processes)


class Browser:
    """Keeps cookies and follows redirects."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._cookies))

    def get(self, path: str) -> str:
        with self._opener.open(self.address + path, timeout=20) as answer:
            assert answer.status == 200
            return str(answer.read().decode())

    def sign_in(self, username: str, password: str) -> str:
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.get("/admin/login/?next=/admin/"))
        assert token is not None
        form = {"csrfmiddlewaretoken": token[1], "username": username, "password": password, "next": "/admin/"}
        request = urllib.request.Request(self.address + "/admin/login/", urlencode(form).encode())  # noqa: S310
        with self._opener.open(request, timeout=20) as answer:
            assert answer.url == self.address + "/admin/", "signed in"
            return str(answer.read().decode())


def _to_clients(entries: list[Entry], since: dt.datetime) -> list[Entry]:
    return [
        entry
        for entry in entries
        if entry.received_at > since and not any("@due-notice.example" in address for address in entry.recipients)
    ]


def test_one_command_shows_the_product_at_work_and_leaves_nothing_behind(demo: Demo) -> None:
    demo.start()
    up_at, started = dt.datetime.now(dt.UTC), time.monotonic()
    address = f"http://127.0.0.1:{demo.port}"
    for told in (address + "/admin/", address + "/demo/inbox/", f"smtp://127.0.0.1:{demo.smtp_port}", "due-notice"):
        assert told in demo.said()
    for login in ("olga", "max", "aude", "ada"):
        assert re.search(rf"^  {login} ", demo.said(), re.MULTILINE)
    assert "\x1b[" not in demo.said(), "no colours where there is no terminal"
    assert " INFO " not in demo.said(), "the story, and no log amid it"

    # Its pages answer, with their style, and the demo's people can sign in.
    browser = Browser(address)
    board = browser.sign_in("olga", "due-notice")
    assert "INC-" in board or "Due Notice" in board
    assert "font" in browser.get("/static/admin/css/base.css")
    listed = browser.get("/demo/inbox/?to=clients")
    path = re.search(r'href="(/demo/inbox/\d+/)"', listed)
    assert path is not None
    assert "As plain text" in browser.get(path[1])
    assert "<body" in browser.get(path[1] + "html/")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        browser.get("/demo/inbox/999999/")

    # Within a minute a client hears of a critical incident that nears its deadline, and nobody clicked.
    demo.processes.wait_until(
        lambda: any("northwind" in entry.recipients[0] for entry in _to_clients(demo.inbox.entries(), up_at)),
        60 - (time.monotonic() - started),
        "a client had a mail within a minute",
    )
    mail = next(e for e in _to_clients(demo.inbox.entries(), up_at) if "northwind" in e.recipients[0])
    message = demo.inbox.message(mail.number)
    text = message.get_body(("plain",)) if message else None
    assert text is not None
    assert "4 hours" in text.get_content()
    assert "Critical" in text.get_content()
    assert mail.subject in demo.said()

    facts, mails = demo.facts(), len(demo.inbox.entries())
    assert demo.end(signal.SIGINT) == 0
    assert "Stopped." in demo.said()

    # Started again it goes on where it was.
    demo.start()
    assert demo.facts() == facts
    assert len(demo.inbox.entries()) >= mails
    numbers = [entry.number for entry in demo.inbox.entries()]
    assert len(numbers) == len(set(numbers))
    assert demo.end(signal.SIGTERM) == 0


def test_when_a_part_dies_the_demo_says_which_and_ends_and_when_the_demo_dies_its_parts_end(
    demo: Demo, migrated_sqlite: Path
) -> None:
    copy_sqlite(migrated_sqlite, demo.processes)
    demo.start()
    everybody = demo.everybody()
    worker = next(pid for pid in everybody[1:] if b"celery" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(worker, signal.SIGKILL)
    assert demo.processes.wait_for_exit("demo", 30) == 1
    assert "The worker ended by itself (killed by SIGKILL)" in demo.said()
    assert [pid for pid in everybody if children.state_of(pid) is not None] == []

    # A second demo cannot share the folder, and --fresh forgets all but the folder.
    demo.start("--fresh")
    second = demo.processes.manage("demo", check=False)
    assert second.returncode == 1
    assert "A demo is running in" in second.stderr
    everybody = demo.everybody()
    demo.processes.kill9_parent("demo")
    demo.processes.wait_until(
        lambda: not any(children.state_of(pid) for pid in everybody), 30, "all parts of the killed demo had ended"
    )


def test_a_taken_port_that_was_named_is_refused_with_a_sentence(processes: Processes) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        for option in ("--port", "--smtp-port"):
            refused = processes.manage("demo", option, str(port), check=False)
            assert refused.returncode == 1
            assert f"Port {port} is taken" in refused.stderr
            assert option in refused.stderr
            assert "Traceback" not in refused.stderr


def test_any_database_but_its_own_is_refused_with_a_sentence(processes: Processes, tmp_path: Path) -> None:
    for url in ("postgres://somebody@127.0.0.1:1/real", f"sqlite:///{tmp_path / 'real.sqlite3'}"):
        refused = processes.manage("demo", check=False, env={"DATABASE_URL": url})
        assert refused.returncode == 1
        assert "DATABASE_URL names another" in refused.stderr
        assert "Traceback" not in refused.stderr


def test_a_database_in_use_that_the_demo_did_not_make_is_left_alone(
    processes: Processes, migrated_sqlite: Path
) -> None:
    copy_sqlite(migrated_sqlite, processes)
    make = "from agreements.models import Client; Client.objects.create(name='A real one', time_zone='UTC')"
    processes.manage("shell", "-v0", "-c", make)
    for options in ((), ("--fresh",)):
        refused = processes.manage("demo", *options, check=False)
        assert refused.returncode == 1
        assert "was not made by the demo" in refused.stderr
    count = "from agreements.models import Client; print(Client.objects.count())"
    assert processes.manage("shell", "-v0", "-c", count).stdout.strip() == "1"
