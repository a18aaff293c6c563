"""Managers word the questions otherwise in a new version, and start a policy from one that is ready-made."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from config.models import User
from reviews import policy_presets, questions
from reviews.models import QuestionSet, ReviewPolicy
from tests import cast

pytestmark = pytest.mark.django_db

ADD = "/admin/reviews/questionset/add/"


def rows(*texts: str) -> dict[str, Any]:
    sent: dict[str, Any] = {"questions-TOTAL_FORMS": len(texts), "questions-INITIAL_FORMS": 0}
    for number, text in enumerate(texts):
        sent |= {f"questions-{number}-position": number + 1, f"questions-{number}-text": text}
    return sent


@pytest.fixture
def manager(max_: User) -> Browser:
    return cast.browser_of(max_)


def test_a_new_version_begins_with_what_is_asked_now(manager: Browser) -> None:
    page = manager.get(ADD).content.decode()
    assert all(str(question.text) in page for question in questions.PRESETS)
    manager.post(ADD, rows("What now?"))
    page = manager.get(ADD).content.decode()
    assert "What now?" in page
    assert str(questions.PRESETS[0].text) not in page


def test_each_version_has_the_next_number_and_is_never_changed(manager: Browser) -> None:
    questions.in_force(timezone.now())
    assert manager.post(ADD, rows("What now?", "What then?")).status_code == 302
    newest = QuestionSet.objects.all().in_force()
    assert newest is not None
    assert (newest.version, [str(asked) for asked in newest.questions.all()]) == (2, ["What now?", "What then?"])
    address = reverse("admin:reviews_questionset_change", args=[newest.pk])
    assert manager.post(address, rows("Otherwise?")).status_code == 403
    assert newest.questions.first().history.get().actor_name == "Max Weber (max)"  # type: ignore[union-attr]


def test_a_version_without_a_question_is_refused(manager: Browser) -> None:
    response = manager.post(ADD, rows())
    assert response.status_code == 200
    assert "at least 1" in response.content.decode()
    assert not QuestionSet.objects.exists()


@pytest.mark.parametrize("preset", policy_presets.PRESETS, ids=lambda preset: preset.key)
def test_a_ready_made_policy_can_be_saved_as_it_is(manager: Browser, preset: policy_presets.PolicyPreset) -> None:
    address = reverse("admin:reviews_reviewpolicy_add")
    assert f"?preset={preset.key}" in manager.get(address).content.decode()
    form = manager.get(address, {"preset": preset.key}).context["adminform"].form
    sent = {name: form[name].value() for name in form.fields}
    sent = {name: value for name, value in sent.items() if value not in (None, False)}
    assert manager.post(address, sent).status_code == 302
    made = ReviewPolicy.objects.get()
    assert made.name == str(preset.name)
    assert {name: getattr(made, name) for name in preset.terms} == preset.terms
