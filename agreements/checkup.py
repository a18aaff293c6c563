"""What the doctor looks at on this floor: agreements that bind and cannot be kept, or soon will not be there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from agreements.models import Client, ServiceAgreement, ServiceCalendar
from agreements.models.calendar import RUNNING_OUT_DAYS
from config import doctor, zones
from config.doctor import Finding, error, ok, warning
from config.models import User

ENDING_DAYS = 60


@doctor.register(gettext_lazy("calendars"))
def calendars_reach_far_enough(now: dt.datetime) -> Iterator[Finding]:
    found = list(ServiceCalendar.objects.running_out(now))
    if found:
        yield warning(
            _("Calendars in use whose last closure is past or within %(days)d days: %(count)d.")
            % {"days": RUNNING_OUT_DAYS, "count": len(found)},
            _("Enter the holidays of the coming year on their pages; else they count as days that are open."),
            *(calendar.name for calendar in found),
        )
    else:
        yield ok(_("None in use runs out of closures within %(days)d days.") % {"days": RUNNING_OUT_DAYS})


@doctor.register(gettext_lazy("contacts"))
def agreements_in_force_have_contacts(now: dt.datetime) -> Iterator[Finding]:
    bound = Client.objects.filter(agreements__in=ServiceAgreement.objects.in_force(now)).distinct()
    unreachable = bound.filter(models.Q(is_active=False) | models.Q(pk__in=Client.objects.unreachable().values("pk")))
    if found := list(unreachable):
        yield error(
            _("Clients with an agreement in force whom nobody can mail: %(count)d.") % {"count": len(found)},
            _("Enter a contact who gets mail on their page, or end the agreement."),
            *found,
        )
    else:
        yield ok(_("Every client with an agreement in force can be mailed."))


@doctor.register(gettext_lazy("agreements"))
def agreements_go_on(now: dt.datetime) -> Iterator[Finding]:
    in_force = ServiceAgreement.objects.in_force(now)
    later = ServiceAgreement.objects.filter(
        reference=models.OuterRef("reference"), effective_at__gte=models.OuterRef("ends_at")
    )
    ending = in_force.filter(~models.Exists(later), ends_at__lte=now + dt.timedelta(days=ENDING_DAYS))
    if found := list(ending):
        yield warning(
            _("Agreements that end within %(days)d days, with no version after them: %(count)d.")
            % {"days": ENDING_DAYS, "count": len(found)},
            _("Ask their owner; amend those that go on. What begins after their end starts no deadline."),
            *found,
        )
    if not in_force.exists():
        yield warning(
            _("No agreement is in force, so that no incident starts a deadline."),
            _("Enter one under Service agreements."),
        )
    elif not found:
        yield ok(_("None ends within %(days)d days without a version after it.") % {"days": ENDING_DAYS})


@doctor.register(gettext_lazy("zones in use"))
def zones_are_known(now: dt.datetime) -> Iterator[Finding]:
    holders = (Client, ServiceCalendar, User)
    used = {name for holder in holders for name in holder._default_manager.values_list("time_zone", flat=True)}
    if unknown := sorted(name for name in used if not zones.is_known(name)):
        yield error(
            _("Time zones are in use that the rules do not know: %(count)d.") % {"count": len(unknown)},
            _("Choose others on the pages of those clients, calendars or colleagues, or upgrade `tzdata`."),
            *unknown,
        )
    else:
        yield ok(_("The rules know every one of them."))
