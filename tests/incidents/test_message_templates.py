"""Message templates: who keeps them, what is refused when they are saved, what their trail says."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client as Browser
from django.urls import reverse

from config.models import User
from incidents.models import MessageTemplate
from incidents.models.notice import NoticeKind
from tests.cast import browser_of
from tests.incidents.test_admin import shown

ADD = "admin:incidents_messagetemplate_add"
TYPED = {
    "name": "Investigating",
    "kind": "update",
    "language": "en",
    "text": "We look into {title}.",
    "is_active": "on",
}


@pytest.fixture
def manager(max_: User) -> Browser:
    return browser_of(max_)


def page(template: MessageTemplate, name: str = "change") -> str:
    return reverse(f"admin:incidents_messagetemplate_{name}", args=[template.pk])


def test_a_manager_keeps_templates_and_every_version_stays(manager: Browser) -> None:
    assert manager.post(reverse(ADD), TYPED).status_code == 302
    template = MessageTemplate.objects.get()
    changed = {**TYPED, "text": "{title}: we look into it."}
    assert "reason" in manager.post(page(template), changed).context["adminform"].form.errors
    assert manager.post(page(template), {**changed, "reason": "Shorter"}).status_code == 302
    versions = template.history.values_list("text", "actor_name", "history_change_reason")
    assert list(versions) == [
        ("{title}: we look into it.", "Max Weber (max)", "Shorter"),
        ("We look into {title}.", "Max Weber (max)", ""),
    ]
    assert "Shorter" in shown(manager.get(page(template, "history")))


def test_an_operator_and_an_auditor_read_them_and_can_type_nothing(olga: User, aude: User) -> None:
    template = MessageTemplate.objects.create(**{**TYPED, "is_active": True})
    for user in (olga, aude):
        browser = browser_of(user)
        text = shown(browser.get(page(template)))
        assert "We look into {title}." in text
        assert "We look into Object storage is down." in text
        assert "<textarea" not in text
        assert browser.post(page(template), {**TYPED, "text": "x", "reason": "x"}).status_code == 403
        assert browser.get(reverse(ADD)).status_code == 403


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("text", "Dear {client},\r\nwe look into {titel}.", "Line 2: {titel} is no placeholder. Did you mean {title}?"),
        ("text", "{client.__class__}", "{client.__class__} is no placeholder"),
        ("text", "{{ title }}", "{{ title }} is no placeholder. Did you mean {title}?"),
        ("text", "{% now 'Y' %}", "is no placeholder"),
        ("text", "", "This field is required"),
        ("text", "x" * 5_001, "at most 5000 characters"),
        ("text", "bell \x07", "Control characters are not allowed"),
        ("name", "Down\r\nBcc: eve@example.com", "Write it on one line"),
        ("kind", "alarm", "is not one of the available choices"),
        ("language", "tlh", "is not one of the available choices"),
    ],
)
def test_what_cannot_be_is_refused_on_its_field_and_what_was_typed_stays(
    manager: Browser, field: str, value: str, sentence: str
) -> None:
    response = manager.post(reverse(ADD), {**TYPED, "name": "kept", field: value})
    form = response.context["adminform"].form
    assert sentence in " ".join(form.errors[field])
    assert form["name"].value() == (value if field == "name" else "kept")
    assert form[field].value() == value
    assert not MessageTemplate.objects.exists()


def test_one_name_stands_once_for_a_kind_and_language(manager: Browser) -> None:
    manager.post(reverse(ADD), TYPED)
    again = manager.post(reverse(ADD), {**TYPED, "name": "INVESTIGATING"})
    assert "There is a template of that name" in shown(again)
    assert manager.post(reverse(ADD), {**TYPED, "language": "de"}).status_code == 302
    assert MessageTemplate.objects.count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize("wrong", [{"text": ""}, {"kind": "warning"}])
def test_the_database_itself_refuses_what_is_no_template(wrong: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        MessageTemplate.objects.create(**{**TYPED, "is_active": True, **wrong})


def test_a_template_can_start_from_a_text_that_comes_with_the_product(manager: Browser) -> None:
    page = manager.get(reverse(ADD))
    assert "Start from" in shown(page)
    assert "?preset=resolved-fr" in shown(page)
    form = manager.get(reverse(ADD), {"preset": "resolved-fr"}).context["adminform"].form
    assert form["text"].value().startswith("L’incident a été résolu le {resolved_at}.")
    assert (form["name"].value(), form["kind"].value(), form["language"].value()) == ("Resolved", "update", "fr")
    assert manager.get(reverse(ADD), {"preset": "nonsense"}).status_code == 200


def test_those_that_are_offered_stand_one_language_after_the_other(db: None) -> None:
    for name, language, kind, is_active in (
        ("Resolved", "en", "update", True),
        ("Monitoring", "en", "update", True),
        ("Resolved", "de", "update", True),
        ("Old", "en", "update", False),
        ("First notice", "en", "client_notice", True),
    ):
        MessageTemplate.objects.create(name=name, language=language, kind=kind, text="x", is_active=is_active)
    offered = MessageTemplate.objects.offered_for(NoticeKind.UPDATE)
    assert [(each.language, each.name) for each in offered] == [
        ("de", "Resolved"),
        ("en", "Monitoring"),
        ("en", "Resolved"),
    ]


def test_markup_in_a_template_is_shown_as_it_was_typed(manager: Browser) -> None:
    manager.post(reverse(ADD), {**TYPED, "text": "<script>alert(1)</script> {title}"})
    template = MessageTemplate.objects.get()
    for address in (page(template), reverse("admin:incidents_messagetemplate_changelist")):
        assert "<script>alert(1)" not in manager.get(address).content.decode()
