"""A click is followed from the web to the worker by its id, through logs that hold nothing of what was written."""

from __future__ import annotations

import http.cookiejar
import json
import re
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote, urlencode

from tests import cast
from tests.journeys.conftest import Product

MESSAGE = "planted-words-of-the-message"
CONTACTS = ("ops@northwind.example", "it@contoso.example", "duty@contoso.example")
NOBODY = "nobody@planted.example"


class Visitor:
    """A browser, as far as forms and cookies go."""

    def __init__(self, site: str) -> None:
        self.site = site
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def open(self, address: str, form: dict[str, Any] | None = None) -> tuple[int, str]:
        """Its status and its page. A form goes with the token of its page, if that has one."""
        if form is not None:
            token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.open(address)[1])
            form = form | ({"csrfmiddlewaretoken": token[1]} if token else {})
        body = urlencode(form, doseq=True).encode() if form is not None else None
        try:
            with self._opener.open(self.site + address, body, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


def lines(log: str) -> list[dict[str, Any]]:
    """What our format wrote; gunicorn's and Celery's greetings are their own."""
    return [json.loads(line) for line in log.splitlines() if line.startswith("{")]


def test_a_click_is_followed_to_the_worker_and_no_log_holds_what_was_written(small_product: Product) -> None:
    product = small_product
    product.processes.env |= {"LOG_FORMAT": "json", "LOG_LEVEL": "DEBUG"}
    product.act("declare()")
    product.inbox.refuse("it@contoso.example", text="5.1.1 <it@contoso.example> is unknown here")
    olga = Visitor(product.processes.start_web())
    product.start_workers("worker")

    olga.open("/admin/login/", {"username": NOBODY, "password": "planted-password"})
    olga.open("/admin/login/", {"username": "olga", "password": cast.PASSWORD, "next": "/admin/"})
    page = olga.open("/admin/incidents/incident/1/notify/")[1]
    clients = re.findall(r'name="clients" value="(\d+)"', page)
    pressed = olga.open("/admin/incidents/incident/1/notify/", {"clients": clients, "message": MESSAGE})
    assert pressed[0] == 200
    product.processes.wait_until(lambda: len(product.inbox.messages) >= 4, 60, "two were told, two alarmed")
    [mail] = [mail for mail in product.inbox.messages if "ops@northwind.example" in mail.recipients]
    assert MESSAGE in mail.text
    [link] = set(re.findall(r"/notice/\S+", mail.text))
    client = Visitor(olga.site)
    assert client.open(link)[0] == client.open(link, {})[0] == 200
    assert client.open(link[:-3])[0] == 404
    assert olga.open(f"/nowhere/{quote(NOBODY)}{link}?q={MESSAGE}")[0] == 404
    for process in ("worker-beat", "web", "worker"):
        product.processes.stop(process)

    web, worker = lines(product.processes.log("web")), lines(product.processes.log("worker"))
    [click] = [line for line in web if line.get("route") == "admin:incidents_incident_notify" and line["status"] == 302]
    facts = product.facts()["requests"]
    assert click["user"] == facts["olga"]
    followed = [line for line in worker if line.get("cause") == click["request_id"]]
    assert sum("was accepted" in line["message"] for line in followed) == 2
    assert sum("Refused" in line["message"] for line in followed) == 1
    assert {line["request_id"] for line in followed} >= set(facts["met_by_worker"]) != set()
    assert [line["status"] for line in web if line.get("route") == "incidents:acknowledge"] == [200, 200, 303, 200, 404]

    written = "".join(product.processes.log(name) for name in ("web", "worker", "worker-beat"))
    planted = (*CONTACTS, NOBODY, "olga@due-notice.example", MESSAGE, "Storage is down", "planted-password", link[8:40])
    assert not [words for words in planted if words in written]
    assert "…@…" not in written, "nothing had to be struck out"
    assert "/notice/…" not in written
