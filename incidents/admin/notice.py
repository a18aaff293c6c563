"""Notices: what was or will be mailed to whom, and every try at the mail server."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import django_filters
from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from agreements.models import Client
from config.admin import badge, link, zoned
from config.filters import DayFilter, FilteredAdmin
from config.forms import ActForm, Done, reason_field
from incidents import outbox
from incidents.admin import badges
from incidents.models import DeliveryAttempt, Notice
from incidents.models.notice import STUCK_STATES, NoticeKind, NoticeQuerySet, NoticeState, Outcome


class SendAgain(ActForm):
    slug = "send-again"
    label = _("Send again")
    permission = "incidents.change_notice"
    subject: Notice
    reason = reason_field(help_text=_("Why it will arrive this time. Kept in the audit trail."))

    @classmethod
    def is_lawful(cls, subject: Notice) -> bool:
        return subject.state in STUCK_STATES

    def explanation(self) -> str | Promise:
        return _now("The same message goes to %(address)s once more, with the same Message-ID.") % {
            "address": self.subject.recipient_address
        }

    def act(self, *, now: dt.datetime) -> Done:
        if outbox.send_again(self.subject, by=self.by, now=now, reason=self.cleaned_data["reason"]):
            return Done(_now("The notice is in the outbox again."))
        return Done(_now("Nothing was done: the notice needs nobody any more."), level=messages.WARNING)


class NoticeFilter(django_filters.FilterSet):  # type: ignore[misc]  # the library ships no types
    state = django_filters.ChoiceFilter(
        choices=(("stuck", _("Needs a person")), *NoticeState.choices),
        label=_("State"),
        empty_label=_("All"),
        method="by_state",
    )
    kind = django_filters.ChoiceFilter(choices=NoticeKind.choices, label=_("Kind"), empty_label=_("All"))
    client = django_filters.ModelChoiceFilter(queryset=Client.objects.all(), label=_("Client"), empty_label=_("All"))
    incident = django_filters.CharFilter(
        field_name="incident__reference", lookup_expr="iexact", label=_("Incident"), max_length=20
    )
    made_from = DayFilter("made_at", label=_("Made from"))
    made_until = DayFilter("made_at", label=_("Made until"), is_end=True)

    class Meta:
        model = Notice
        fields = ()

    def by_state(self, queryset: NoticeQuerySet, name: str, value: str) -> NoticeQuerySet:
        return queryset.needing_a_person() if value == "stuck" else queryset.filter(state=value)


class AttemptInline(admin.TabularInline):  # type: ignore[type-arg]
    """Every try at the mail server, the latest first."""

    model = DeliveryAttempt
    fields = ("when", "outcome_badge", "phase", "code", "answer", "worker", "elapsed_ms")
    readonly_fields = ("when", "outcome_badge")
    can_delete = False
    extra = 0

    @admin.display(description=_("at"))
    def when(self, attempt: DeliveryAttempt) -> str:
        return zoned(DeliveryAttempt, "at")(attempt)

    @admin.display(description=_("outcome"))
    def outcome_badge(self, attempt: DeliveryAttempt) -> SafeString:
        is_accepted = attempt.outcome == Outcome.ACCEPTED
        return badge(attempt.get_outcome_display(), "ok" if is_accepted else "high", "✓" if is_accepted else "!")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Notice)
class NoticeAdmin(FilteredAdmin):
    """Frozen when made: here they are read, and the stuck ones sent again."""

    is_read_only = True
    acts = (SendAgain,)
    filterset_class = NoticeFilter
    inlines = (AttemptInline,)
    list_select_related = ("incident", "client")
    ordering = ("-made_at", "-pk")
    readonly_fields = ("incident_link", "state_badge", "html_shown", "to", "deadline_link")
    fieldsets = (
        (None, {"fields": ("incident_link", "client", "kind", "deadline_link", "moment")}),
        (
            _("Where it is"),
            {
                "fields": (
                    "state_badge",
                    "state_reason",
                    "made_at",
                    "due_at",
                    "next_attempt_at",
                    "tries",
                    "ambiguous_tries",
                    "accepted_at",
                    "server_answer",
                )
            },
        ),
        (_("The message"), {"fields": ("to", "subject", "message_id", "thread_id", "text", "html_shown")}),
    )

    def get_list_display(self, request: HttpRequest) -> Sequence[Any]:
        return (
            zoned(Notice, "made_at"),
            "kind",
            "recipient_address",
            "client",
            "incident_reference",
            "state_badge",
            zoned(Notice, "accepted_at"),
            "server_answer",
        )

    @admin.display(description=_("incident"))
    def incident_reference(self, notice: Notice) -> SafeString | str:
        return link(notice.incident, notice.incident.reference) if notice.incident else "–"

    @admin.display(description=_("incident"))
    def incident_link(self, notice: Notice) -> SafeString | str:
        return link(notice.incident) if notice.incident else "–"

    @admin.display(description=_("deadline"))
    def deadline_link(self, notice: Notice) -> SafeString | str:
        return link(notice.deadline) if notice.deadline else "–"

    @admin.display(description=_("state"), ordering="state")
    def state_badge(self, notice: Notice) -> SafeString:
        return badges.notice_state(notice.state)

    @admin.display(description=_("to"))
    def to(self, notice: Notice) -> str:
        return f"{notice.recipient_name} <{notice.recipient_address}>"

    @admin.display(description=_("as a mail program shows it"))
    def html_shown(self, notice: Notice) -> SafeString:
        """In a frame without rights: no script, no form, no origin of ours."""
        return format_html(
            '<details><summary>{}</summary><iframe class="mail" sandbox="" title="{}" srcdoc="{}"></iframe></details>',
            _now("Show"),
            _now("The message as a mail program shows it"),
            notice.html,
        )
