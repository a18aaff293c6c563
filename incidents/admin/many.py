"""What can be done to many incidents or notices at once; each calls the verb of one."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from config.bulk import BulkForm
from config.forms import of
from config.models import User
from incidents import handling, lifecycle
from incidents.models import Incident, Notice, Responder


class IncidentsForm(BulkForm):
    """One verb for many incidents."""

    permission = "incidents.change_incident"

    def verb(self, incident: Incident, *, reason: str, now: dt.datetime) -> Incident:
        raise NotImplementedError

    def do(self, row: Incident, *, reason: str, now: dt.datetime, **parameters: Any) -> str:
        after = self.verb(row, reason=reason, now=now)
        return f"{row.get_status_display()} → {after.get_status_display()}"


class AcknowledgeMany(IncidentsForm):
    slug = "acknowledge-many"
    label = pgettext_lazy("verb", "Acknowledge")

    def verb(self, incident: Incident, *, reason: str, now: dt.datetime) -> Incident:
        return lifecycle.acknowledge(incident, by=self.by, now=now, reason=reason)


class CloseMany(IncidentsForm):
    slug = "close-many"
    label = pgettext_lazy("verb", "Close")

    def verb(self, incident: Incident, *, reason: str, now: dt.datetime) -> Incident:
        return lifecycle.close(incident, by=self.by, now=now, reason=reason)


class AssignMany(BulkForm):
    slug = "assign-many"
    label = _("Assign responder")
    permission = "incidents.change_incident"
    user = forms.ModelChoiceField(User.objects.to_choose(), label=_("Colleague"))
    role = of(Responder, "role")

    def do(self, row: Incident, *, reason: str, now: dt.datetime, **parameters: Any) -> str:
        responder = lifecycle.assign(row, by=self.by, now=now, reason=reason, **parameters)
        return _now("%(who)s joins.") % {"who": responder}


class SendManyAgain(BulkForm):
    slug = "send-many-again"
    label = _("Send again")
    permission = "incidents.change_notice"

    def do(self, row: Notice, *, reason: str, now: dt.datetime, **parameters: Any) -> str:
        before = row.get_state_display()
        after = handling.send_again(row, by=self.by, now=now, reason=reason)
        sent = {"before": before, "after": after.get_state_display(), "address": after.recipient_address}
        return _now("%(before)s → %(after)s, to %(address)s") % sent
