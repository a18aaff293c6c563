"""Notices: what was or will be mailed to whom, and every try at the mail server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import django_filters
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404
from django.template.defaultfilters import linebreaksbr
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from config import times
from config.admin import READING_METHODS, Button, act_url, badge, both_zones, link, page_of, zoned
from config.admin.values import Link
from config.content_policy import mail_document
from config.erased import shown
from config.filters import FilteredAdmin, NameFilter, Tab, days
from incidents import acknowledgement_link, handling, retention
from incidents.admin import attention, badges, presented
from incidents.admin import retention as retention_page
from incidents.admin.decisions import DECISIONS, RevokeLink, buttons_for
from incidents.admin.files import as_file
from incidents.admin.many import SendManyAgain
from incidents.models import Acknowledgement, DeliveryAttempt, Incident, Notice
from incidents.models.notice import NoticeKind, NoticeQuerySet, NoticeState, Outcome

MAIL = "incidents_notice_mail"
ATTACHMENT = "incidents_notice_attachment"
_BODIES = {"text": _("text"), "html": _("HTML")}


class NoticeFilter(django_filters.FilterSet):  # type: ignore[misc]  # the library ships no types
    state = django_filters.ChoiceFilter(
        choices=(("stuck", _("Needs a person")), ("waiting", _("Not yet sent")), *NoticeState.choices),
        label=_("State"),
        empty_label=_("All"),
        method="by_state",
    )
    kind = django_filters.ChoiceFilter(choices=NoticeKind.choices, label=_("Kind"), empty_label=_("All"))
    to = django_filters.ChoiceFilter(
        choices=(("clients", _("Clients")), ("colleagues", _("Colleagues"))),
        label=_("To"),
        empty_label=_("All"),
        method="by_side",
    )
    is_fallback = django_filters.ChoiceFilter(
        choices=(("yes", _("Plain fallback")),), label=_("Form"), empty_label=_("All"), method="by_form"
    )
    client = NameFilter(Notice.client.field, label=_("Client"))
    incident = django_filters.CharFilter(label=_("Incident"), max_length=20, method="by_incident")
    made_from, made_until = days("made_at", since=_("Made from"), until=_("Made until"))

    class Meta:
        model = Notice
        fields = ()

    def by_state(self, queryset: NoticeQuerySet, name: str, value: str) -> NoticeQuerySet:
        if value == "waiting":
            return queryset.waiting()
        return queryset.needing_a_person() if value == "stuck" else queryset.filter(state=value)

    def by_incident(self, queryset: NoticeQuerySet, name: str, value: str) -> NoticeQuerySet:
        """By its whole reference, which an index finds."""
        return queryset.filter(incident__in=Incident.objects.filter(reference=value.upper()).order_by())

    def by_side(self, queryset: NoticeQuerySet, name: str, value: str) -> NoticeQuerySet:
        return queryset.filter(contact__isnull=value == "colleagues")

    def by_form(self, queryset: NoticeQuerySet, name: str, value: str) -> NoticeQuerySet:
        return queryset.filter(is_fallback=True)


def _to(notice: Notice) -> tuple[str, str]:
    return shown(notice.recipient_name), shown(notice.recipient_address)


class AttemptInline(admin.TabularInline):  # type: ignore[type-arg]
    """Every try at the mail server, the latest first."""

    model = DeliveryAttempt
    fields = ("when", "outcome_badge", "phase", "code", "said", "server", "worker", "elapsed_ms")
    readonly_fields = ("when", "outcome_badge", "said")
    can_delete = False
    extra = 0

    @admin.display(description=_("at"))
    def when(self, attempt: DeliveryAttempt) -> str:
        return zoned(DeliveryAttempt, "at")(attempt)

    @admin.display(description=_("server's answer"))
    def said(self, attempt: DeliveryAttempt) -> str:
        return str(shown(attempt.answer) or "–")

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
    """Frozen when made: here they are read, and people decide about the stuck ones."""

    instead_of_deleting = _("Set the notice aside, with the reason.")
    is_read_only = True
    acts = (*DECISIONS, RevokeLink)
    filterset_class = NoticeFilter
    tabs = (
        Tab(_("Needs a person"), {"state": "stuck"}),
        Tab(_("Not yet sent"), {"state": "waiting"}),
        Tab(_("Sent"), {"state": NoticeState.SENT.value}),
        Tab(_("All"), {}),
    )
    bulk_forms = (SendManyAgain,)
    search_fields = ("incident__words",)
    search_help_text = _("Reference of the incident, words of its title, client, mail address of a contact")
    export_columns = (
        "made_at",
        "kind",
        "incident__reference",
        "client__name",
        "recipient_name",
        "recipient_address",
        "subject",
        "state",
        "state_reason",
        "due_at",
        "accepted_at",
        "tries",
        "server_answer",
        "message_id",
    )
    inlines = (AttemptInline,)
    list_select_related = ("incident", "client")
    ordering = ("-made_at", "-pk")
    readonly_fields = (
        "incident_link",
        "state_badge",
        "text_shown",
        "html_shown",
        "attachment_shown",
        "to",
        "deadline_link",
        "sent_instead",
        "sent_instead_of",
        "acknowledged",
        "late_note_shown",
        "form_badge",
    )
    fieldsets = (
        (None, {"fields": ("incident_link", "client", "kind", "deadline_link", "moment")}),
        (
            _("Where it is"),
            {
                "fields": (
                    "state_badge",
                    "state_reason",
                    "sent_instead",
                    "sent_instead_of",
                    "made_at",
                    "due_at",
                    "rank",
                    "next_attempt_at",
                    "tries",
                    "ambiguous_tries",
                    "accepted_at",
                    "server_answer",
                    "acknowledged",
                    "link_revoked_at",
                )
            },
        ),
        (
            _("The message"),
            {
                "fields": (
                    "to",
                    "subject",
                    "form_badge",
                    "late_note_shown",
                    "message_id",
                    "thread_id",
                    "text_shown",
                    "html_shown",
                    "attachment_shown",
                )
            },
        ),
    )

    def read_on(self, request: HttpRequest, obj: Notice) -> list[Link]:
        """Attempts and the confirmation are their own record, which its page shows."""
        return [Link(_now("Its attempts and its confirmation"), page_of(obj)), *super().read_on(request, obj)]

    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view(attention.page)
        mail = self.admin_site.admin_view(self.mail_view)
        attachment = self.admin_site.admin_view(self.attachment_view)
        return [
            path("attention/", page, name="incidents_attention"),
            path("<int:object_id>/mail/", mail, name=MAIL),
            path("<int:object_id>/attachment/", attachment, name=ATTACHMENT),
            path("retention/", self.admin_site.admin_view(retention_page.page), name=retention_page.PAGE),
            path("check/<int:object_id>/", self.admin_site.admin_view(self.check_view), name=presented.PAGE),
            *super().get_urls(),
        ]

    def buttons(self, request: HttpRequest, obj: models.Model) -> list[Button]:
        """Asks once for all decisions what there is to decide."""
        assert isinstance(obj, Notice)  # noqa: S101 - this is its admin
        by: Any = request.user  # the site lets nobody in who is not signed in
        buttons = buttons_for(handling.case_of(obj), by)
        if by.has_perm(RevokeLink.permission) and RevokeLink.is_lawful(obj):
            buttons.append(Button(RevokeLink.label, act_url(obj, RevokeLink.slug), RevokeLink.slug))
        if presented.may_check(by):
            buttons.append(Button(presented.LABEL, presented.address_of(obj), "check"))
        return buttons

    def check_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Whether a text that somebody presents is what was sent, for whoever may see the notice."""
        return presented.page(request, self.get_queryset(request).filter(pk=object_id).first())

    def get_list_display(self, request: HttpRequest) -> Sequence[Any]:
        return (
            zoned(Notice, "made_at"),
            "kind",
            "state_badge",
            "to_whom",
            "incident_reference",
            "due_in_both_zones",
            "accepted",
        )

    def with_columns(self, rows: models.QuerySet[Any], reader: Any) -> models.QuerySet[Any]:
        return rows.defer("text", "html")

    @admin.display(description=_("to"), ordering="recipient_address")
    def to_whom(self, notice: Notice) -> SafeString:
        client = notice.client if notice.contact_id else _now("colleague")
        return format_html("{0} ({2})<br><small>{1}</small>", *_to(notice), client)

    @admin.display(description=_("accepted"), ordering="accepted_at")
    def accepted(self, notice: Notice) -> SafeString:
        """When the mail server took it, and what it said to the last try."""
        at = times.for_reader(notice.accepted_at) if notice.accepted_at else _now("not yet")
        return format_html("{}<br><small>{}</small>", at, Truncator(shown(notice.server_answer)).chars(60))

    @admin.display(description=_("to be sent by"), ordering="due_at")
    def due_in_both_zones(self, notice: Notice) -> SafeString | str:
        if notice.client is None:
            return times.for_reader(notice.due_at)
        return both_zones(notice.due_at, notice.client.time_zone)

    @admin.display(description=_("incident"))
    def incident_reference(self, notice: Notice) -> SafeString | str:
        if notice.incident is None:
            return "–"
        return format_html("{}<br>{}", link(notice.incident, notice.incident.reference), notice.incident.title)

    @admin.display(description=_("incident"))
    def incident_link(self, notice: Notice) -> SafeString | str:
        return link(notice.incident) if notice.incident else "–"

    @admin.display(description=_("deadline"))
    def deadline_link(self, notice: Notice) -> SafeString | str:
        return link(notice.deadline) if notice.deadline else "–"

    @admin.display(description=_("sent instead"))
    def sent_instead(self, notice: Notice) -> SafeString | str:
        return link(notice.superseded_by) if notice.superseded_by else "–"

    @admin.display(description=_("sent instead of"))
    def sent_instead_of(self, notice: Notice) -> SafeString | str:
        before = [(link(other), badges.notice_state(other.state)) for other in notice.supersedes.order_by("pk")]
        return format_html_join("", "<div>{} {}</div>", before) or "–"

    @admin.display(description=_("acknowledged"))
    def acknowledged(self, notice: Notice) -> str:
        """Accepted is not read: only this proves that somebody did."""
        found = Acknowledgement.objects.filter(notice=notice).first()
        if found is None:
            return _now("not by the client so far")
        told = {
            "at": times.for_reader(found.at),
            "where": found.from_address or "–",
            "by": shown(found.user_agent) or "–",
        }
        return _now("%(at)s, from %(where)s (%(by)s)") % told

    @admin.display(description=_("if it goes out late"))
    def late_note_shown(self, notice: Notice) -> SafeString | str:
        if notice.is_marked_late:
            return format_html("{} {}", badge(_now("Marked as late"), "high", "!"), notice.late_note)
        return notice.late_note or "–"

    @admin.display(description=_("form"))
    def form_badge(self, notice: Notice) -> SafeString | str:
        if notice.is_fallback:
            return badge(_now("Plain fallback: its template could not be rendered"), "high", "!")
        return _now("as its template says")

    @admin.display(description=_("state"), ordering="state")
    def state_badge(self, notice: Notice) -> SafeString:
        return badges.notice_state(notice.state)

    @admin.display(description=_("to"))
    def to(self, notice: Notice) -> str:
        return "{} <{}>".format(*_to(notice))

    @admin.display(description=_("text"))
    def text_shown(self, notice: Notice) -> SafeString:
        """Without the client's own link: a colleague who presses its button would prove nothing."""
        left = retention.remains(notice)
        if left is not None:
            return _left_of(notice, left)
        return format_html("<div>{}</div>", linebreaksbr(acknowledgement_link.masked(notice.text), autoescape=True))

    @admin.display(description=_("as a mail program shows it"))
    def html_shown(self, notice: Notice) -> SafeString | str:
        """In a frame without rights: no script, no form, no origin of ours."""
        if not notice.html:
            return "–"
        return format_html(
            "<details><summary>{}</summary>"
            '<iframe class="mail" sandbox="" title="{}" src="{}" loading="lazy"></iframe></details>',
            _now("Show"),
            _now("The message as a mail program shows it"),
            reverse(f"admin:{MAIL}", args=[notice.pk]),
        )

    @admin.display(description=_("attachment"))
    def attachment_shown(self, notice: Notice) -> SafeString | str:
        if notice.attachment is None:
            return "–"
        address = reverse(f"admin:{ATTACHMENT}", args=[notice.pk])
        digest = notice.attachment.sha256
        return format_html('<a href="{}">{}</a><br><small>SHA-256 {}</small>', address, notice.attachment, digest)

    def attachment_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """The file as it goes with the mail, for whoever may see the notice."""
        if request.method not in READING_METHODS:
            return HttpResponseNotAllowed(READING_METHODS)
        if not self.has_view_permission(request):
            raise PermissionDenied
        notice = get_object_or_404(self.get_queryset(request).exclude(attachment=None), pk=object_id)
        return as_file(notice.attachment)

    def mail_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """The mail's own document, without the client's own link, for whoever may see the notice."""
        if request.method not in READING_METHODS:
            return HttpResponseNotAllowed(READING_METHODS)
        if not self.has_view_permission(request):
            raise PermissionDenied
        notice = get_object_or_404(self.get_queryset(request), pk=object_id)
        left = retention.remains(notice)
        gone = format_html("<!doctype html><html><head></head><p>{}</p></html>", left.sentence) if left else ""
        return mail_document(gone or acknowledgement_link.masked(notice.html))


def _left_of(notice: Notice, left: retention.Remains) -> SafeString:
    """What stands in the place of texts that were given up: since when, by whom, and their digests.

    Why says the history, as far as its reader may read it.
    """
    facts = [(_now("Given up"), times.for_reader(left.at))]
    if by := retention.given_up_by(notice):
        history = reverse("admin:incidents_notice_history", args=[notice.pk])
        facts.append((_now("By"), format_html('{} · <a href="{}">{}</a>', by, history, _now("why"))))
    facts += [
        (_now("SHA-256 of the %(body)s") % {"body": _BODIES[name]}, digest) for name, digest in left.digests.items()
    ]
    if not left.is_signed:
        facts.append((_now("Attention"), _now("This is not signed by our key, and proves nothing.")))
    return format_html('<dl class="facts">{}</dl>', format_html_join("", "<div><dt>{}</dt><dd>{}</dd></div>", facts))
