"""Sending as a whole: the switch that holds it, and what its page says of a fault that every mail would meet."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from config import times
from config.admin import AuditedModelAdmin, badge, list_of
from config.forms import ActForm, Done, reason_field
from incidents import handling
from incidents.admin.decisions import ATTENTION, in_lines
from incidents.models import Sending
from incidents.models.notice import Outcome


def waiting_in_words() -> str:
    """`12 notices wait to be sent; the nearest of those owed to a client is due 24 Nov 2026, 14:00 UTC.`"""
    count, due_at = handling.held_back()
    if not count:
        return _now("No notice waits to be sent.")
    waiting = ngettext("%d notice waits to be sent", "%d notices wait to be sent", count) % count
    if due_at is None:
        return _now("%(waiting)s; none of them is owed to a client.") % {"waiting": waiting}
    nearest = {"waiting": waiting, "due": times.for_reader(due_at)}
    return _now("%(waiting)s; the nearest of those owed to a client is due %(due)s.") % nearest


def what_to_do(sending: Sending) -> str:
    """About a fault, for whoever can mend it."""
    if sending.fault == Outcome.CONFIGURATION:
        return _now(
            "The mail server refuses us, not a recipient: check the name, the password and the certificate in "
            "EMAIL_URL, and whether the server knows our sender’s address. Then restart the workers."
        )
    return _now(
        "The mail server cannot be reached or breaks off: check that it runs and that our workers can connect to it. "
        "Nothing has to be sent again by hand; it goes out as soon as a probe succeeds."
    )


class Hold(ActForm):
    slug = "hold"
    label = _("Hold sending")
    permission = "incidents.change_sending"
    reason = reason_field(help_text=_("Shown to everybody while it is held, and kept in the audit trail."))

    @classmethod
    def is_lawful(cls, subject: Sending) -> bool:
        return not subject.is_held

    def explanation(self) -> str | Promise:
        effect = _now(
            "From now on nothing is mailed to anybody, clients included, until somebody releases it. Deadlines run "
            "on: tell clients by other means meanwhile. A mail that is being transmitted right now still goes out."
        )
        return in_lines([(_now("What happens"), effect), (_now("What waits"), waiting_in_words())])

    def act(self, *, now: dt.datetime) -> Done:
        handling.hold(by=self.by, now=now, **self.cleaned_data)
        return Done(_now("Sending is held. Nothing goes out until it is released."))


class Release(ActForm):
    slug = "release"
    label = _("Release sending")
    permission = "incidents.change_sending"
    reason = reason_field(help_text=_("Why mail may go out again. Kept in the audit trail."))

    @classmethod
    def is_lawful(cls, subject: Sending) -> bool:
        return subject.is_held

    def explanation(self) -> str | Promise:
        effect = _now(
            "Mail goes out again at once, what is owed to clients first; what is late says so. After a backup was "
            "restored, what had been sent between that backup and the loss is sent a second time, with the same "
            "Message-ID: tell the clients that a copy may come."
        )
        facts = [(_now("What happens"), effect), (_now("What waits"), waiting_in_words())]
        if self.subject.held_at is not None:
            why = {"why": self.subject.hold_reason, "at": times.for_reader(self.subject.held_at)}
            facts.append((_now("Why it is held"), _now("%(why)s (since %(at)s)") % why))
        return in_lines(facts)

    def act(self, *, now: dt.datetime) -> Done:
        handling.release(by=self.by, now=now, **self.cleaned_data)
        return Done(_now("Sending is released: what waits goes out now."), then=reverse(ATTENTION))


@admin.register(Sending)
class SendingAdmin(AuditedModelAdmin):
    """One row, so its list is its page. Read here; held and released by verbs."""

    is_read_only = True
    acts = (Hold, Release)
    readonly_fields = ("state_badge", "waiting", "fault_in_words")
    fieldsets = (
        (None, {"fields": ("state_badge", "held_at", "hold_reason", "waiting")}),
        (
            _("A fault that every mail would meet"),
            {"fields": ("fault_in_words", "fault_answer", "fault_since", "retry_at", "failures")},
        ),
    )

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return self.change_view(request, str(Sending.THE_ONE), extra_context=extra_context)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Sending | None:
        """The row, or how it reads until somebody holds or a fault stops it: whoever only looks writes nothing."""
        found: Sending | None = super().get_object(request, object_id, from_field)
        return found or (Sending() if object_id == str(Sending.THE_ONE) else None)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Nothing was written before somebody held it or a fault stopped it, so there may be no history yet."""
        if not Sending.objects.exists():
            self.message_user(request, _now("Sending was never held and never at fault: there is no history yet."))
            return HttpResponseRedirect(list_of(Sending))
        return super().history_view(request, object_id, extra_context)

    @admin.display(description=_("sending"))
    def state_badge(self, sending: Sending) -> SafeString:
        if sending.is_held:
            return badge(_now("Held"), "crit", "❚❚")
        if sending.fault:
            return badge(_now("At fault"), "crit", "!")
        return badge(_now("Goes out"), "ok", "✓")

    @admin.display(description=_("waiting"))
    def waiting(self, sending: Sending) -> str:
        return waiting_in_words()

    @admin.display(description=_("fault"))
    def fault_in_words(self, sending: Sending) -> str:
        return f"{sending.get_fault_display()}. {what_to_do(sending)}" if sending.fault else _now("none")
