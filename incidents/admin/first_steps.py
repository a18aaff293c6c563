"""The last steps of setting up: mail goes out, and a drill shows how an incident goes."""

from __future__ import annotations

from django.urls import reverse
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from agreements.models import Severity
from config.admin import list_of
from config.first_steps import Step, prefilled
from config.models import User
from config.site import site
from incidents.models import Incident, Notice, Sending


@site.register_step(70)
def mail() -> Step:
    return Step(
        _("Mail that goes out"),
        _(
            "Set EMAIL_URL, and CANARY_ADDRESS to a mailbox of yours, and start a worker: this is done when the mail "
            "server has accepted the first mail."
        ),
        Notice.objects.filter(accepted_at__isnull=False),
        "incidents.view_sending",
        lambda user: list_of(Sending),
    )


@site.register_step(80)
def first_incident() -> Step:
    return Step(
        _("A first incident: a drill"),
        _("Declare one, see its deadlines begin, acknowledge and resolve it. Mails go to the client’s contacts."),
        Incident.objects.all(),
        "incidents.add_incident",
        _drill,
    )


def _drill(user: User) -> str:
    """Declared as critical, which is what most agreements are about."""
    return prefilled(
        reverse("admin:incidents_incident_add"),
        title=_now("Drill: nothing is wrong"),
        severity=Severity.CRITICAL.value,
    )
