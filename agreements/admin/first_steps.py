"""The steps of setting up that belong to this floor: by what time is counted, for whom, and what is owed."""

from __future__ import annotations

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from agreements.models import Client, Commitment, Contact, Service, ServiceAgreement, ServiceCalendar
from config.admin import act_url, page_of
from config.first_steps import Step, prefilled
from config.models import User
from config.site import site


@site.register_step(10)
def calendar() -> Step:
    return Step(
        _("A service calendar"),
        _("The hours by which business time is counted. The page begins with round the clock; change what differs."),
        ServiceCalendar.objects.filter(hours__isnull=False),
        "agreements.add_servicecalendar",
        lambda user: prefilled(
            reverse("admin:agreements_servicecalendar_add"),
            name=_now("Round the clock"),
            time_zone=user.time_zone,
            week="always",
        ),
    )


@site.register_step(20)
def client() -> Step:
    return Step(
        _("A client"),
        _("Whom you have an agreement with; with the zone and the language of the mails to them."),
        Client.objects.filter(is_active=True),
        "agreements.add_client",
        lambda user: prefilled(
            reverse("admin:agreements_client_add"), time_zone=user.time_zone, language=user.language
        ),
    )


def _client(user: User) -> str:
    return prefilled(reverse("admin:agreements_client_add"), time_zone=user.time_zone, language=user.language)


@site.register_step(30)
def contacts() -> Step:
    return Step(
        _("Contacts who get mail"),
        _("On the client’s page. Enter addresses that are read day and night, the first to be tried first."),
        Contact.objects.usable(),
        "agreements.change_client",
        lambda user: _page_of_a_client() or _client(user),
    )


@site.register_step(40)
def service() -> Step:
    return Step(
        _("A service"),
        _("What you provide and what can break. An incident affects services, and agreements cover them."),
        Service.objects.filter(is_active=True),
        "agreements.add_service",
        lambda user: prefilled(reverse("admin:agreements_service_add")),
    )


@site.register_step(50)
def agreement() -> Step:
    return Step(
        _("An agreement with commitments"),
        _("Copy the clause, then pick a preset: it fills in what is owed, and each commitment can be edited."),
        Commitment.objects.all(),
        "agreements.add_serviceagreement",
        _agreement,
    )


def _agreement(user: User) -> str:
    """The presets of an agreement that lacks commitments, or a new agreement with what there is only one of."""
    bare = ServiceAgreement.objects.filter(commitments__isnull=True).order_by("pk").first()
    if bare is not None:
        return prefilled(act_url(bare, "add-commitments"))
    return prefilled(
        reverse("admin:agreements_serviceagreement_add"),
        client=_only(Client),
        calendar=_only(ServiceCalendar),
        services=_only(Service),
        owner=user.pk,
        effective_at=f"{timezone.localdate().isoformat()}T00:00",
    )


def _only(model: type[Client | ServiceCalendar | Service]) -> int | None:
    """The key of the only row; None where there is a choice."""
    found = list(model._default_manager.values_list("pk", flat=True)[:2])
    return found[0] if len(found) == 1 else None


def _page_of_a_client() -> str:
    first = Client.objects.filter(is_active=True).order_by("pk").first()
    return prefilled(page_of(first)) if first else ""
