"""The page “Compliance”: what a client was owed in a period and what became of it; and the statement of a month."""

from __future__ import annotations

import datetime as dt
import io
from dataclasses import dataclass
from typing import Any

import django_filters
from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.http import HttpResponseRedirect as Redirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone, translation
from django.utils.formats import date_format, number_format
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import mark_safe
from django.utils.text import slugify
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import cache_control

from agreements.models import Client, ServiceAgreement
from config import exports, instants, proof, scope, turns, zones
from config.admin import READING_METHODS, page_of
from config.admin.base import ACTING_METHODS
from config.content_policy import mail_document
from config.filters import NameFilter
from config.forms import EARLIEST, LATEST, add_refusal
from config.models import Export, User
from config.periods import Month, Period, month_after
from incidents import letter
from incidents.admin.files import as_file
from incidents.document_pdf import pdf_of
from incidents.models import Deadline
from reviews import compliance, lifecycle
from reviews.admin.learning import PeriodForm, day_filter
from reviews.admin.share import bare
from reviews.compliance import Compliance
from reviews.compliance_document import (
    DEFINITIONS,
    INTERNAL_DEFINITIONS,
    InternalTables,
    document_of,
    period_in_words,
)
from reviews.models import ClientStatement, PostIncidentReview
from reviews.tables import Table

PAGE, EXPORT, PDF = "reviews_compliance", "reviews_compliance_export", "reviews_compliance_pdf_export"
STATEMENT = "reviews_statement"
PREVIEW, PREVIEW_PDF = "reviews_statement_preview", "reviews_statement_preview_pdf"
KEPT, KEPT_PDF = "reviews_statement_kept", "reviews_statement_kept_pdf"
#: It shows all of these; who may not see one of them there may not see it here.
PERMISSIONS = ("incidents.view_incident", "incidents.view_deadline", "reviews.view_postincidentreview")
READ = "reviews.view_clientstatement"
OWN = "own"
MONTHS, QUARTERS = 13, 5  # that are offered
MOST_CLIENTS = 200  # of the list
MOST_SIGNS = 2_000  # of a message


# ── which client, which period ──────────────────────────────────────────────────────────────────────────────────────


def _periods(today: dt.date) -> dict[str, Period]:
    """Those that are offered by a name in addresses, the present month first."""
    month = today.replace(day=1)
    quarter = month.replace(month=(month.month - 1) // 3 * 3 + 1)
    months = [month_after(month, -back) for back in range(MONTHS)]
    quarters = [month_after(quarter, -3 * back) for back in range(QUARTERS)]
    return {
        **{f"{one:%Y-%m}": Period.of_months(one) for one in months},
        **{f"{one:%Y}-q{one.month // 3 + 1}": Period.of_months(one, 3) for one in quarters},
    }


class ComplianceForm(PeriodForm):
    """With own dates, both of them are given."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if cleaned.get("period") == OWN:
            for name in ("since", "until"):
                if not cleaned.get(name) and name not in self.errors:
                    self.add_error(name, _("Give both days, or choose a month or a quarter."))
        return cleaned


class ComplianceFilter(django_filters.FilterSet):  # type: ignore[misc]  # the library ships no types
    """Of clients, one of whom is looked at; without a period it is the month that is over."""

    client = NameFilter(
        ServiceAgreement.client.field, label=_("Client"), reach=lambda rows, keys: rows.filter(pk__in=keys)
    )
    period = django_filters.ChoiceFilter(label=_("Period"), method="as_they_are", empty_label=None)
    since = day_filter(_("From"))
    until = day_filter(_("Until"))

    class Meta:
        model = Client
        fields = ()
        form = ComplianceForm

    def __init__(self, request: HttpRequest, today: dt.date) -> None:
        self.offered = _periods(today)
        self.usual = f"{month_after(today.replace(day=1), -1):%Y-%m}"
        asked = request.GET.copy()
        asked["period"] = asked.get("period", "").strip() or self.usual
        clients = scope.visible(Client.objects.all(), request.user)
        super().__init__(asked, queryset=clients, request=request)
        choices = [(name, period_in_words(period)) for name, period in self.offered.items()]
        self.filters["period"].extra["choices"] = [*choices, (OWN, _("The days below"))]
        self.typed = {name: str(value) for name, value in request.GET.items() if name in self.filters and value}

    def as_they_are(self, queryset: Any, name: str, value: object) -> Any:
        return queryset

    @property
    def span(self) -> Period:
        """By what can be understood of what was typed."""
        found = self.form.cleaned_data if self.form.is_valid() else {}
        if found.get("period") == OWN:
            return Period(found["since"], found["until"])
        return self.offered.get(found.get("period") or "", self.offered[self.usual])

    @cached_property
    def only(self) -> Client | None:
        """The one client that is meant."""
        found = list(self.qs.order_by("name")[:2]) if self.typed.get("client") else []
        return found[0] if len(found) == 1 else None


@dataclass(frozen=True)
class Asked:
    """A client, a period, and what was counted for them."""

    client: Client
    period: Period
    found: Compliance

    @classmethod
    def by(cls, request: HttpRequest, now: dt.datetime) -> tuple[ComplianceFilter, Asked | None]:
        filters = ComplianceFilter(request, timezone.localdate(now))
        client = filters.only
        if client is None:
            return filters, None
        if compliance.is_too_much(client, filters.span):
            said = _now("More than %(most)s deadlines fell due in these days. Choose fewer days.")
            filters.form.add_error("period", said % {"most": number_format(compliance.MOST, force_grouping=True)})
            return filters, None
        found = compliance.of(client, filters.span, now, request.user)
        return filters, cls(client, filters.span, found)

    @property
    def tables(self) -> list[Table]:
        return InternalTables(self.found).all()

    @property
    def query(self) -> str:
        return urlencode({"client": self.client.pk, **self.period._asdict()})


# ── the page and its files ──────────────────────────────────────────────────────────────────────────────────────────


def _reads(request: HttpRequest) -> None:
    if not request.user.has_perms(PERMISSIONS):
        raise PermissionDenied


@turns.one_at_a_time
def page(request: HttpRequest) -> HttpResponse:
    """The figures of one client; until one is chosen, the clients and whether the statement of the month was sent."""
    if request.method not in READING_METHODS:
        return HttpResponseNotAllowed(READING_METHODS)
    _reads(request)
    now = timezone.now()
    filters, asked = Asked.by(request, now)
    context = {
        **admin.site.each_context(request),
        "opts": PostIncidentReview._meta,
        "title": _now("Compliance"),
        "form": filters.form,
        "media": filters.form.media,
        "filters_set": len(filters.typed),
        "period": period_in_words(filters.span),
        **(_of_one(request, asked, filters, now) if asked else _of_all(request, filters)),
    }
    return TemplateResponse(request, "admin/reviews/compliance.html", context)


def _of_one(request: HttpRequest, asked: Asked, filters: ComplianceFilter, now: dt.datetime) -> dict[str, Any]:
    typed = urlencode(filters.typed)
    month = asked.period.month
    is_over = month is not None and lifecycle.is_over(asked.client, month, now)
    return {
        "client": asked.client,
        "client_url": page_of(asked.client),
        "tables": [(table, f"{reverse(f'admin:{EXPORT}', args=[table.slug])}?{typed}") for table in asked.tables],
        "pdf_url": f"{reverse(f'admin:{PDF}')}?{typed}",
        "definitions": (*DEFINITIONS, *INTERNAL_DEFINITIONS),
        "statement_url": statement_url(asked.client, month) if month and is_over else "",
        "statements": _sent(request, asked.client),
    }


def _of_all(request: HttpRequest, filters: ComplianceFilter) -> dict[str, Any]:
    """The clients that are meant, each with what it was sent for the month that is over."""
    month = filters.offered[filters.usual].first
    clients = list(filters.qs.filter(is_active=True).order_by("name")[:MOST_CLIENTS])
    sent = {}
    if request.user.has_perm(READ):
        rows = scope.visible(ClientStatement.objects.filter(month=month, client__in=clients), request.user)
        for one in rows.defer("html", "text").order_by("version"):
            sent[one.client_id] = one
    lines = [
        (
            client,
            f"?{urlencode({**filters.typed, 'client': client.pk})}",
            sent.get(client.pk),
            statement_url(client, month),
        )
        for client in clients
    ]
    return {"clients": lines, "last_month": date_format(month, "F Y"), "most": MOST_CLIENTS}


def statement_url(client: Client, month: Month) -> str:
    return f"{reverse(f'admin:{STATEMENT}', args=[client.pk])}?{urlencode({'month': f'{month:%Y-%m}'})}"


def _sent(request: HttpRequest, client: Client) -> list[ClientStatement]:
    """The latest of those that the client was sent."""
    if not request.user.has_perm(READ):
        return []
    rows = scope.visible(ClientStatement.objects.filter(client=client), request.user)
    return list(rows.select_related("client").defer("html", "text")[:MONTHS])


@proof.required
@turns.one_at_a_time
def export(request: HttpRequest, table: str) -> HttpResponseBase:
    """One table as it is on the page of the same address, whole, with its instants in the client's zone."""
    asked = _asked_for_a_file(request)
    if isinstance(asked, HttpResponse):
        return asked
    made = next((one for one in asked.tables if one.slug == table), None)
    if made is None:
        raise Http404
    by: Any = request.user  # the site lets nobody in who is not signed in
    query = f"{urlencode({'table': table})}&{asked.query}"
    with timezone.override(zones.zone(asked.client.time_zone)):
        return exports.table(made.lines, of=made.of, called=made.title, query=query, by=by, now=asked.found.told.as_of)


@proof.required
@turns.one_at_a_time
def pdf(request: HttpRequest) -> HttpResponseBase:
    """The whole as a PDF, recorded as what was taken out of the house."""
    asked = _asked_for_a_file(request)
    if isinstance(asked, HttpResponse):
        return asked
    by: Any = request.user
    now, language = asked.found.told.as_of, translation.get_language() or "en"
    document = document_of(asked.found, language, made_at=now, made_by=by.get_full_name() or by.username)
    file = io.BytesIO()
    to = exports.Digested(file)
    to.copy(io.BytesIO(pdf_of(document, facts=asked.found.canonical(), made_at=now)))
    listed, rows = Deadline._meta.label_lower, len(asked.found.told.rows)
    record = Export(at=now, by=by, listed=listed, query=f"format=pdf&{asked.query}", rows=rows, sha256=to.sha256)
    name = slugify(f"compliance {asked.client.name} {asked.period.first} {asked.period.last}")
    return exports.handed_out(file, record, name=f"{name}.pdf", content_type="application/pdf")


def _asked_for_a_file(request: HttpRequest) -> Asked | HttpResponse:
    if request.method != "GET":
        return HttpResponseNotAllowed(["GET"])
    _reads(request)
    _filters, asked = Asked.by(request, instants.now())
    if asked is None:
        raise Http404
    return asked


# ── the statement of a month ────────────────────────────────────────────────────────────────────────────────────────


class StatementForm(forms.Form):
    message = forms.CharField(
        label=_("A message to the client"),
        required=False,
        max_length=MOST_SIGNS,
        widget=forms.Textarea(attrs={"rows": 6}),
        help_text=_("Stands on top of the statement, in the mail and in the PDF. Markdown is understood."),
    )
    reason = forms.CharField(
        label=_("Why it is sent again"), required=False, max_length=1_000, help_text=_("Kept with the copy, not sent.")
    )

    def __init__(self, *args: Any, is_again: bool, **options: Any) -> None:
        super().__init__(*args, **options)
        if not is_again:
            del self.fields["reason"]


def _client(request: HttpRequest, client_id: int) -> Client:
    if not request.user.has_perm(READ):
        raise PermissionDenied
    _reads(request)
    return get_object_or_404(scope.visible(Client.objects.all(), request.user), pk=client_id)


def _month(request: HttpRequest, client: Client, now: dt.datetime) -> Month:
    """The month that the address names; without one, the last that is over where the client lives."""
    typed = request.GET.get("month", "")
    if not typed:
        return month_after(now.astimezone(zones.zone(client.time_zone)).date().replace(day=1), -1)
    try:
        found = dt.datetime.strptime(typed, "%Y-%m").date()  # noqa: DTZ007 - a month has no zone
    except ValueError as error:
        raise Http404 from error
    if not EARLIEST.date() <= found <= LATEST.date():
        raise Http404
    return found


def _kept_ones(request: HttpRequest) -> QuerySet[ClientStatement]:
    rows = scope.visible(ClientStatement.objects.all(), request.user)
    return rows.select_related("client", "attachment", "by").defer("attachment__content")


@cache_control(no_store=True)
def statement(request: HttpRequest, client_id: int) -> HttpResponse:
    """The draft as the client will read it, and the form that sends it."""
    if request.method not in ACTING_METHODS:
        return HttpResponseNotAllowed(ACTING_METHODS)
    client, now = _client(request, client_id), instants.now()
    month = _month(request, client, now)
    sent = list(_kept_ones(request).filter(client=client, month=month).defer("html", "text"))
    may_send = request.user.has_perm(lifecycle.SEND)
    form = StatementForm(request.POST if request.method == "POST" else None, is_again=bool(sent))
    if request.method == "POST":
        if not may_send:
            raise PermissionDenied
        if form.is_valid() and (went := _send(request, client, month, form, now)):
            messages.success(request, _now("The statement is in the outbox: one mail for each contact."))
            return Redirect(reverse(f"admin:{KEPT}", args=[went.pk]))
    asked = f"?{urlencode({'month': f'{month:%Y-%m}'})}"
    first, last = map(str, Period.of_months(month))
    report = urlencode({"client": str(client.pk), "period": OWN, "since": first, "until": last})
    context = {
        **admin.site.each_context(request),
        "opts": PostIncidentReview._meta,
        "title": _now("Statement of %(month)s") % {"month": date_format(month, "F Y")},
        "form": form,
        "client": client,
        "contacts": list(scope.visible(client.contacts.usable(), request.user)),
        "may_send": may_send,
        "is_over": lifecycle.is_over(client, month, now),
        "sent": sent,
        "preview_url": f"{reverse(f'admin:{PREVIEW}', args=[client.pk])}{asked}",
        "pdf_url": f"{reverse(f'admin:{PREVIEW_PDF}', args=[client.pk])}{asked}",
        "report_url": f"{reverse(f'admin:{PAGE}')}?{report}",
        "compliance_url": reverse(f"admin:{PAGE}"),
    }
    return TemplateResponse(request, "admin/reviews/statement.html", context)


def _send(
    request: HttpRequest, client: Client, month: Month, form: StatementForm, now: dt.datetime
) -> ClientStatement | None:
    """The copy; None where it was refused, which the form says."""
    by: User = request.user  # type: ignore[assignment]  # the site lets nobody in who is not signed in
    try:
        return lifecycle.send_statement(client, month, by=by, now=now, **form.cleaned_data)
    except ValidationError as refused:
        add_refusal(form, refused)
        return None


def _prepared(request: HttpRequest, client_id: int) -> lifecycle.PreparedStatement:
    """With the message that was typed, if the form was sent here. Raises Refused where there is nothing to be sent."""
    client, now = _client(request, client_id), instants.now()
    message = request.POST.get("message", "")[:MOST_SIGNS]
    return lifecycle.prepare_statement(client, _month(request, client, now), now=now, message=message)


@cache_control(no_store=True)
def preview(request: HttpRequest, client_id: int) -> HttpResponse:
    """The mail to the client's first contact as a document of its own; without a contact, what would stand in it."""
    if request.method not in ACTING_METHODS:
        return HttpResponseNotAllowed(ACTING_METHODS)
    try:
        prepared = _prepared(request, client_id)
    except ValidationError as refused:
        return mail_document(bare(format_html("<p>{}</p>", " ".join(refused.messages))))
    return mail_document(letter.html_of(prepared.mails[0]) if prepared.mails else bare(prepared.document.html))


@cache_control(no_store=True)
@turns.one_at_a_time
def preview_pdf(request: HttpRequest, client_id: int) -> HttpResponse:
    if request.method not in ACTING_METHODS:
        return HttpResponseNotAllowed(ACTING_METHODS)
    try:
        return as_file(_prepared(request, client_id).attachment)
    except ValidationError as refused:
        raise Http404(" ".join(refused.messages)) from refused


@cache_control(no_store=True)
def kept(request: HttpRequest, statement_id: int) -> HttpResponse:
    """The copy that was sent, as a sheet of paper."""
    if request.method not in READING_METHODS:
        return HttpResponseNotAllowed(READING_METHODS)
    found = _kept(request, statement_id)
    context = {
        "kept": found,
        "copy": mark_safe(found.html),  # noqa: S308 - made by our templates, which escape, and sealed since
        "back_url": statement_url(found.client, found.month),
        "pdf_url": reverse(f"admin:{KEPT_PDF}", args=[found.pk]),
    }
    return TemplateResponse(request, "reviews/statement.html", context)


@cache_control(no_store=True)
@turns.one_at_a_time
def kept_pdf(request: HttpRequest, statement_id: int) -> HttpResponse:
    if request.method not in READING_METHODS:
        return HttpResponseNotAllowed(READING_METHODS)
    return as_file(_kept(request, statement_id).attachment)


def _kept(request: HttpRequest, statement_id: int) -> ClientStatement:
    if not request.user.has_perm(READ):
        raise PermissionDenied
    return get_object_or_404(_kept_ones(request), pk=statement_id)


def urls() -> list[URLPattern]:
    within = admin.site.admin_view
    return [
        path("compliance/", within(page), name=PAGE),
        path("compliance/<slug:table>.csv", within(export), name=EXPORT),
        path("compliance/pdf/", within(pdf), name=PDF),
        path("compliance/statement/<int:client_id>/", within(statement), name=STATEMENT),
        path("compliance/statement/<int:client_id>/draft/", within(preview), name=PREVIEW),
        path("compliance/statement/<int:client_id>/draft/pdf/", within(preview_pdf), name=PREVIEW_PDF),
        path("compliance/statements/<int:statement_id>/", within(kept), name=KEPT),
        path("compliance/statements/<int:statement_id>/pdf/", within(kept_pdf), name=KEPT_PDF),
    ]
