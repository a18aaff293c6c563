"""What Sentry gets of an error, seen by a server that stands for it; and that nobody else needs its library."""

from __future__ import annotations

import gzip
import http.server
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.seeded import copy_sqlite
from tests.services.processes import Processes

PLANTED = (
    *("anna@planted.example", "planted-body", "planted-query", "planted-cookie", "planted-key"),
    *("planted-local", "planted-words", "planted-argument", "planted-header"),
)

#: Run inside the product: a page that fails and a line that tells of an error, with secrets wherever they may be.
SCRIPT = """
import logging, sys
from django.conf import settings
from django.test import Client
from django.urls import path
import sentry_sdk

def broken(request, key):
    secret = "planted-local"
    raise ValueError("planted-words for anna@planted.example")

urlpatterns = [path("broken/<str:key>/", broken, name="broken")]
sys.modules["broken_pages"] = type(sys)("broken_pages")
sys.modules["broken_pages"].urlpatterns = urlpatterns
settings.ROOT_URLCONF = "broken_pages"
browser = Client(raise_request_exception=False, headers={"host": "127.0.0.1", "x-secret": "planted-header"})
browser.cookies["due_notice_session"] = "planted-cookie"
answer = browser.post("/broken/planted-key/?q=planted-query", {"message": "planted-body"})
print(answer["X-Request-ID"])
logging.getLogger("incidents.outbox").error("Notice %s failed.", 7, extra={"more": "planted-argument"})
sentry_sdk.flush(10)
"""


class Receiver(http.server.ThreadingHTTPServer):
    """Keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Keep)
        self.received: list[str] = []


class _Keep(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        text = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        self.server.received.append(f"{self.headers}\n{text.decode()}")
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def events(receiver: Receiver) -> list[dict[str, Any]]:
    found = [json.loads(line) for text in receiver.received for line in text.splitlines() if line.startswith("{")]
    return [item for item in found if "level" in item]


def test_an_error_arrives_with_its_place_and_none_of_what_was_sent(
    processes: Processes, receiver: Receiver, migrated_sqlite: Path
) -> None:
    copy_sqlite(migrated_sqlite, processes)
    processes.env["SENTRY_DSN"] = f"http://public@127.0.0.1:{receiver.server_port}/1"
    request_id = processes.manage("shell", "-v0", "-c", SCRIPT).stdout.strip()

    broken, said = events(receiver)
    [error] = broken["exception"]["values"]
    assert (error["type"], error["value"]) == ("ValueError", "ValueError")
    assert error["stacktrace"]["frames"][-1]["function"] == "broken"
    assert (broken["transaction"], "request" in broken) == ("/broken/{key}/", False)
    assert broken["tags"] == {"request_id": request_id}
    assert said["logentry"] == {"message": "Notice 7 failed."}
    everything = "\n".join(receiver.received)
    assert not [secret for secret in PLANTED if secret in everything]


def test_without_an_address_the_library_is_not_even_imported() -> None:
    assert "sentry_sdk" not in sys.modules
