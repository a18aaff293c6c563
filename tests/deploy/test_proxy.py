"""Several web nodes behind nginx: what reaches them, what does not, and a restart of all of them while people save."""

from __future__ import annotations

import datetime as dt
import http.client
import socket
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.front import NAME, Front, Visitor
from tests.journeys.conftest import Product
from tests.journeys.conftest import real_product as real_product  # a fixture

DECLARE = "/admin/incidents/incident/add/"


@pytest.fixture
def front(real_product: Product, tmp_path: Path) -> Iterator[Front]:
    folder = tmp_path / "nginx"
    folder.mkdir()
    front = Front(real_product, folder)
    yield front
    front.stop()
    print(front.log())  # shown for a failed test only


def declaration(front: Front, title: str, ago: dt.timedelta = dt.timedelta(minutes=5)) -> dict[str, object]:
    [(service,)] = front.rows("SELECT id FROM agreements_service WHERE name = 'Object storage'")
    return {
        "token": str(uuid.uuid4()),
        "title": title,
        "services": service,
        "severity": "critical",
        "category": "outage",
        "detected_at": f"{dt.datetime.now(dt.UTC) - ago:%Y-%m-%dT%H:%M:%S}",
    }


def test_what_comes_from_outside_is_secured_and_limited(front: Front) -> None:
    front.change("        allow 127.0.0.0/8;\n", "")  # so that this machine is outside
    front.change("client_header_timeout 10s;", "client_header_timeout 1s;")
    front.change("zone=sign_in:1m rate=2r/s", "zone=sign_in:1m rate=1r/m")
    front.change("zone=sign_in burst=60 delay=5", "zone=sign_in burst=5 nodelay")
    front.start_node("first")
    front.start()

    plain = http.client.HTTPConnection("127.0.0.1", front.plain_port, timeout=10)
    plain.request("GET", "/admin/?q=1", headers={"Host": NAME})
    redirect = plain.getresponse()
    assert (redirect.status, redirect.headers["Location"]) == (308, f"https://{NAME}/admin/?q=1")
    plain.close()

    visitor = Visitor(front)
    lies = {"X_Forwarded_Proto": "http", "X_Forwarded_For": "192.0.2.66", "X_Forwarded_Host": "evil.test"}
    page, _text = visitor.ask("GET", "/admin/login/", None, **lies)
    assert page.status == 200, "it is not sent to HTTPS again, whatever it says of itself"
    assert page.headers["Strict-Transport-Security"].startswith("max-age=31536000")
    visitor.sign_in("olga")
    assert all(morsel["secure"] for morsel in visitor.cookies.values())
    assert front.rows("SELECT count(*) FROM config_event WHERE address = '192.0.2.66'") == [(0,)]
    saved, text = visitor.ask("POST", DECLARE, declaration(front, "Storage is down"))
    assert saved.status == 302, text
    assert front.rows("SELECT title FROM incidents_incident") == [("Storage is down",)]

    for inside in ("/healthz/ready", "/healthz/delivery", "/healthz", "/metrics", "/metrics/"):
        assert visitor.ask("GET", inside)[0].status == 403
    huge, _text = visitor.ask("POST", DECLARE, None, Content_Length=str(20 * 1024 * 1024))
    assert huge.status == 413

    slow = [socket.create_connection(("127.0.0.1", front.port), timeout=10) for _ in range(50)]
    slow = [visitor.context().wrap_socket(each, server_hostname=NAME) for each in slow]
    for each in slow:
        each.sendall(f"GET /admin/ HTTP/1.1\r\nHost: {NAME}\r\nX-".encode())
    assert visitor.ask("GET", "/admin/")[0].status == 200, "nobody else waits for them"
    assert [each.recv(100) for each in slow] == [b""] * 50, "and they are shown the door"

    guesses = [Visitor(front).ask("POST", "/admin/login/") for _number in range(20)]
    assert [answer.status for answer, _text in guesses[:5]] == [403] * 5, "without the form's token, but let through"
    refused = [(answer.headers["Retry-After"], text) for answer, text in guesses if answer.status == 429]
    assert refused
    assert refused[0][0] == "5"
    assert "Wait a few seconds" in refused[0][1]
    two = f"due_notice_session=made-up; due_notice_session={visitor.cookies['due_notice_session'].value}"
    assert visitor.ask("GET", "/admin/", None, Cookie=two)[0].status == 400, "no limit is got round by another session"
    front.change("zone=person:4m rate=5r/s", "zone=person:4m rate=1r/m")
    front.change("zone=person burst=40 delay=20", "zone=person burst=2 nodelay")
    front.reload()
    pages = [visitor.ask("GET", "/admin/")[0].status for _number in range(5)]
    assert (pages[0], pages[-1]) == (200, 429)
    assert Visitor(front).ask("GET", "/admin/login/")[0].status == 200, "nobody else is kept waiting"


class Colleague(threading.Thread):
    """Saves one declaration after the other, and notes what was answered."""

    def __init__(
        self, front: Front, number: int, ago: dt.timedelta = dt.timedelta(minutes=5), pause: float = 0
    ) -> None:
        super().__init__(daemon=True)
        self._pause = pause
        self.visitor, self.number = Visitor(front), number
        self.enough = threading.Event()
        self.answers: list[int] = []
        self.visitor.sign_in("olga")
        self._form = declaration(front, "", ago)

    def run(self) -> None:
        while not self.enough.wait(self._pause):
            form = {**self._form, "token": str(uuid.uuid4()), "title": f"{self.number}/{len(self.answers)}"}
            self.answers.append(self.visitor.ask("POST", DECLARE, form)[0].status)


def test_all_nodes_are_restarted_while_people_save_and_nobody_notices(front: Front) -> None:
    for node in ("first", "second"):
        front.start_node(node)
    front.start()
    colleagues = [Colleague(front, number) for number in range(2)]
    for colleague in colleagues:
        colleague.start()
    for node in ("first", "second"):
        front.reload_node(node)
    for node in ("first", "second"):
        front.restart_node(node)
    for colleague in colleagues:
        colleague.enough.set()
        colleague.join(30)
    answers = [status for colleague in colleagues for status in colleague.answers]
    assert len(answers) > 20
    assert set(answers) == {302}
    saved = sorted(str(title) for (title,) in front.rows("SELECT title FROM incidents_incident"))
    assert saved == sorted(f"{c.number}/{n}" for c in colleagues for n in range(len(c.answers))), "each once"
