"""What a browser may load and run on our pages, and that no page of ours asks for more."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import Client as Browser
from django.urls import path, reverse
from django.utils import timezone

from agreements.models import ServiceAgreement
from config import content_policy
from config.models import User
from incidents import lifecycle
from incidents.models import Notice
from tests.cast import browser_of
from tests.incidents.test_admin import declared

TEMPLATES = [
    file
    for file in (settings.BASE_DIR / "templates").rglob("*.html")
    if file.parent.name != "notices"  # mail programs know styles only inline; their document has a policy of its own
]


def policy_of(answer: Any) -> dict[str, list[str]]:
    directives = (directive.split() for directive in answer["Content-Security-Policy"].split(";"))
    return {name: sources for name, *sources in directives}


def fault(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("A fault of ours.")


urlpatterns = [path("fault/", fault)]

UNLAWFUL = {
    "a style of its own": re.compile(r"\sstyle\s*=", re.I),
    "a style sheet within": re.compile(r"<style\b", re.I),
    "a script within": re.compile(r"<script\b(?![^>]*\bsrc=)(?![^>]*type=\"application/json\")", re.I),
    "an attribute that runs": re.compile(r"<[a-z][^>]*\son[a-z]+\s*=", re.I),
    "an address that runs": re.compile(r"javascript:", re.I),
    "a document within an attribute": re.compile(r"\ssrcdoc\s*=", re.I),
    "a place elsewhere": re.compile(r"\s(?:src|action)=[\"']?(?:https?:)?//", re.I),
}


def test_nothing_in_the_policy_is_unsafe_or_from_elsewhere() -> None:
    loading = {name: sources for name, sources in content_policy.PAGES.items() if name != "report-uri"}
    assert {source for sources in loading.values() for source in sources} == {"'self'", "'none'"}
    assert content_policy.PAGES["default-src"] == ["'none'"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/", 302),
        ("/healthz/live", 200),
        ("/admin/", 302),
        ("/admin/login/", 200),
        ("/admin/jsi18n/", 302),
        ("/static/due_notice/admin.css", 200),
        ("/nothing/here/", 404),
    ],
)
def test_every_answer_carries_the_policy_whoever_asks(client: Browser, address: str, status: int) -> None:
    answer = client.get(address)
    assert answer.status_code == status
    assert policy_of(answer) == content_policy.PAGES


@pytest.mark.django_db
@pytest.mark.parametrize(
    "address", ["/", "/healthz/live", "/admin/login/", "/static/due_notice/admin.css", "/nothing/"]
)
def test_every_answer_says_what_else_a_browser_may_do_with_it(client: Browser, address: str) -> None:
    answer = client.get(address)
    assert "camera=()" in answer["Permissions-Policy"]
    assert answer["Cross-Origin-Resource-Policy"] == "same-origin"
    if address in ("/", "/admin/login/", "/none/"):
        assert answer["Referrer-Policy"] == answer["Cross-Origin-Opener-Policy"] == "same-origin"
        assert answer["X-Frame-Options"] == "DENY"


def test_so_does_every_page_of_the_admin_and_every_refusal(aude: User) -> None:
    browser = browser_of(aude)
    refused = browser.get(reverse("admin:incidents_incident_add"))
    forged = Browser(enforce_csrf_checks=True).post(reverse("admin:login"), {})
    for answer, status in (
        (browser.get(reverse("admin:index")), 200),
        (browser.get(reverse("admin:incidents_incident_changelist")), 200),
        (refused, 403),
        (forged, 403),
    ):
        assert answer.status_code == status
        assert policy_of(answer) == content_policy.PAGES


@pytest.mark.urls(__name__)
@pytest.mark.django_db
def test_an_answer_to_a_fault_of_ours_carries_it_too() -> None:
    answer = Browser(raise_request_exception=False).get("/fault/")
    assert answer.status_code == 500
    assert policy_of(answer) == content_policy.PAGES


def test_the_mail_of_a_notice_is_a_document_of_its_own_without_rights(
    northwind: ServiceAgreement, olga: User, client: Browser
) -> None:
    lifecycle.notify_client(declared(olga), by=olga, now=timezone.now(), message="We are on it.")
    notice = Notice.objects.get()
    address = reverse("admin:incidents_notice_mail", args=[notice.pk])
    assert client.get(address).status_code == 302  # nobody reads it who has not signed in
    client.force_login(olga)
    mail = client.get(address)
    assert "We are on it." in mail.content.decode()
    assert mail["Content-Security-Policy"] == content_policy.MAIL
    assert "allow-scripts" not in content_policy.MAIL
    assert "allow-same-origin" not in content_policy.MAIL
    assert mail["X-Frame-Options"] == "SAMEORIGIN"
    assert client.post(address).status_code == 405
    assert client.get(reverse("admin:incidents_notice_mail", args=[notice.pk + 1])).status_code == 404
    nobody = User.objects.create_user("nobody", is_staff=True)
    client.force_login(nobody)
    assert client.get(address).status_code == 403


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(settings.BASE_DIR)))
def test_no_template_asks_for_what_the_policy_forbids(template: Path) -> None:
    text = template.read_text()
    assert [what for what, pattern in UNLAWFUL.items() if pattern.search(text)] == []


@pytest.mark.parametrize("what", UNLAWFUL)
def test_what_it_forbids_would_be_found(what: str) -> None:
    examples = {
        "a style of its own": '<b style="color: red">',
        "a style sheet within": "<style>b {}</style>",
        "a script within": "<script>run()</script>",
        "an attribute that runs": '<b id="b" onclick="run()">',
        "an address that runs": '<a href="javascript:run()">',
        "a document within an attribute": '<iframe srcdoc="<b>">',
        "a place elsewhere": '<script src="https://cdn.example/x.js"></script>',
    }
    assert UNLAWFUL[what].search(examples[what])
    assert not UNLAWFUL["a script within"].search('<script type="module" src="x.js"></script>')
    assert not UNLAWFUL["a script within"].search('<script id="d" type="application/json">{}</script>')
