"""The demo's world: believable, complete, and never told twice."""

from __future__ import annotations

import datetime as dt

import pytest
from django.apps import apps

from agreements.models import Client, Contact, ServiceAgreement
from config import roles
from config.audit import verification
from config.history import AuditedModel, Caller
from config.models import Concern, LookedAt, User
from config.models.concern import ConcernKind
from incidents.models import Deadline, Incident, Notice, Standing
from incidents.models.incident import Status
from incidents.models.notice import NoticeKind, NoticeState
from reviews import lifecycle
from reviews.demo import story, world
from reviews.models import ClientEdition, CorrectiveAction, PostIncidentReview
from tests import cast
from tests.services.smtp import SmtpSink

NOW = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


def rows() -> dict[str, int]:
    """How many rows every model has, history included."""
    return {model._meta.label: model._default_manager.count() for model in apps.get_models()}


@pytest.fixture
def loaded(roles: None) -> None:
    world.load(NOW)


@pytest.fixture
def told(loaded: None, relay: SmtpSink) -> SmtpSink:
    story.load(NOW)
    return relay


@pytest.mark.usefixtures("loaded")
def test_loading_the_world_again_adds_nothing_and_resets_nothing() -> None:
    contact = Contact.objects.get(address="ops@northwind.example")
    contact.phone = "+1 212 555 0000"
    cast.save(contact)
    olga = User.objects.get(username="olga")
    olga.set_password("something else")
    cast.save(olga)
    before = rows()
    world.load(NOW + dt.timedelta(days=40))
    assert rows() == before
    contact.refresh_from_db()
    olga.refresh_from_db()
    assert contact.phone == "+1 212 555 0000"
    assert olga.check_password("something else")


@pytest.mark.usefixtures("loaded")
def test_each_role_has_somebody_who_can_sign_in() -> None:
    for login, role in (
        ("olga", roles.OPERATOR),
        ("max", roles.MANAGER),
        ("aude", roles.AUDITOR),
        ("ada", roles.ADMINISTRATOR),
    ):
        user = User.objects.get(username=login)
        assert user.is_staff
        assert user.check_password(world.PASSWORD)
        assert [group.name for group in user.groups.all()] == [role]
        assert user.is_superuser == (login == "ada")


@pytest.mark.usefixtures("loaded")
def test_every_client_has_contacts_and_an_agreement_with_a_notice_in_force() -> None:
    for client in Client.objects.all():
        assert Contact.objects.usable().filter(client=client).exists()
        in_force = ServiceAgreement.objects.in_force(NOW).filter(client=client)
        assert in_force.filter(commitments__obligation="notify", commitments__severity="critical").exists()
    assert Client.objects.count() == 4


def test_somebody_hears_of_a_critical_incident_within_a_minute_and_the_past_is_as_it_was(told: SmtpSink) -> None:
    first_warning = story.next_client_warning(NOW)
    assert first_warning is not None
    assert NOW < first_warning <= NOW + MINUTE
    near = [d for d in Deadline.objects.open() if d.standing(first_warning) == Standing.AT_RISK]
    assert any(d.client.name == "Northwind" and d.incident.severity == "critical" for d in near)
    holding = [
        m.at
        for d in Deadline.objects.open()
        for m in d.planned_moments()
        if m.kind == "holding" and not d.was_raised(m)
    ]
    assert min(holding) <= NOW + 2 * MINUTE

    # The mails of the past went out in the past, each once.
    assert set(Notice.objects.values_list("state", flat=True)) <= {NoticeState.SENT, NoticeState.CANCELLED}
    sent = Notice.objects.filter(state=NoticeState.SENT)
    assert len(told.messages) == sent.count()
    assert all(notice.accepted_at and notice.accepted_at < NOW + MINUTE for notice in sent)
    assert sent.filter(kind=NoticeKind.OVERDUE).exists()

    # The trail tells it in the order of time.
    dates = list(Incident.history.order_by("history_id").values_list("history_date", flat=True))
    assert dates == sorted(dates)
    assert dates[0] < NOW - dt.timedelta(days=29)
    assert dates[-1] <= NOW
    assert not hasattr(AuditedModel, "_history_date")


@pytest.mark.usefixtures("told")
def test_the_incidents_stand_at_every_stage_and_are_never_told_twice() -> None:
    assert set(Incident.objects.values_list("status", flat=True)) == set(Status.values) - {Status.MERGED}
    assert Incident.objects.count() == 12
    overdue = [d for d in Deadline.objects.open() if d.standing(NOW) == Standing.MISSED]
    assert overdue
    assert CorrectiveAction.objects.overdue(NOW.date()).exists()
    # An incident from before the amendment is counted by the version that was in force then.
    assert Incident.objects.filter(agreements__reference="AW-2025-01", agreements__version=1).count() == 1
    assert Incident.objects.filter(agreements__reference="AW-2025-01", agreements__version=2).count() == 3
    before = rows()
    assert not story.must_be_told()
    story.load(NOW + MINUTE)
    assert rows() == before


def test_reviews_stand_at_every_stage_and_actions_went_their_way_by_their_verbs(told: SmtpSink) -> None:
    reviews = PostIncidentReview.objects.all()
    assert sorted(reviews.values_list("status", flat=True)) == ["closed", "draft", "in_review", "shared", "waived"]
    assert all(review.why_owed.startswith("Policy: Every critical incident.") for review in reviews)
    assert reviews.get(status="waived").history.latest("history_id").history_change_reason.startswith("A drill")
    waits = reviews.get(status="in_review")
    assert lifecycle.may_approve(waits, User.objects.get(username="max"))

    edition = ClientEdition.objects.get()
    (mail,) = edition.attachment.notices.all()
    assert (mail.state, edition.review.status) == (NoticeState.SENT, "shared")
    assert any("Report:" in one.subject and mail.recipient_address in one.recipients for one in told.messages)
    report = Deadline.objects.get(incident=edition.review.incident, obligation="report")
    assert report.met_at == mail.accepted_at

    actions = CorrectiveAction.objects.all()
    done = actions.filter(done_on__isnull=False)
    assert all(action.evidence and action.check_on for action in done)
    assert done.filter(check_on__gt=NOW.date(), effect="").exists()
    assert done.filter(effect="helped").count() == 1
    again = actions.open().get(effect="recurred")
    assert again.history.filter(done_on__isnull=False).exists()
    assert again.due_on > NOW.date()
    assert Notice.objects.filter(kind=NoticeKind.ACTION_EFFECT, moment__contains="recurred").count() == 1
    assert Notice.objects.filter(kind=NoticeKind.OUTSTANDING).exists()


@pytest.mark.usefixtures("told")
def test_the_auditor_finds_a_queue_of_which_one_thing_is_looked_at_and_a_trail_that_verifies() -> None:
    story.look_back(NOW)
    kinds = ConcernKind
    assert set(Concern.objects.open().values_list("kind", flat=True)) == {
        kinds.EXCUSED,
        kinds.TIME_MOVED,
        kinds.LOWERED,
        kinds.EMPTY_REASON,
        kinds.REFUSED,
    }
    assert [seen.concern.kind for seen in LookedAt.objects.all()] == [kinds.EXPORTED]
    assert not verification.verify().findings
    by_people = Incident.history.filter(history_user__isnull=False)
    assert set(by_people.values_list("caller", flat=True)) == {Caller.ADMIN}


def test_what_is_told_lies_in_the_past() -> None:
    with pytest.raises(ValueError, match="past"):
        story.Story(NOW).add(NOW + MINUTE, lambda: None)
