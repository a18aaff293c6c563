"""Sharing a review with clients: who would be sent what, as they will read it, and the copies that were sent."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.cache import cache_control

from agreements.models import Client
from config import instants, scope, times, turns
from config.admin import READING_METHODS, page_of
from config.content_policy import mail_document
from config.forms import Done, reason_field
from incidents import acknowledgement_link, letter
from incidents.admin.files import as_file
from incidents.lifecycle import affected_clients
from reviews import lifecycle
from reviews.admin.steps import ReviewAct
from reviews.edition import Marked
from reviews.lifecycle.sharing import SHAREABLE
from reviews.models import ClientEdition, PostIncidentReview

PREVIEW, PREVIEW_PDF = "reviews_edition_preview", "reviews_edition_preview_pdf"
KEPT, KEPT_PDF = "reviews_edition_kept", "reviews_edition_kept_pdf"


class Share(ReviewAct):
    slug = "share"
    label = _("Share with clients")
    lawful_in = SHAREABLE
    page = "admin/reviews/share.html"

    clients = forms.ModelMultipleChoiceField(
        Client.objects.none(), label=_("Who gets it"), widget=forms.CheckboxSelectMultiple
    )
    late_reason = forms.CharField(
        label=_("Why the report is late"),
        max_length=1_000,
        required=False,
        help_text=_("Needed for a client whose report is overdue. Kept with the copy that is sent, not sent itself."),
    )
    reason = reason_field(required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        clients: Any = self.fields["clients"]
        clients.queryset = Client.objects.filter(pk__in=[one.client.pk for one in self.standings])
        self.initial.setdefault("clients", [s.client.pk for s in self.standings if s.contacts and not s.is_shared])
        if not any(standing.is_overdue for standing in self.standings):
            del self.fields["late_reason"]

    @cached_property
    def now(self) -> dt.datetime:
        return instants.now()

    @cached_property
    def standings(self) -> list[lifecycle.Standing]:
        return lifecycle.standings(self.subject, affected_clients(self.subject.incident), self.now)

    @property
    def readers(self) -> Iterator[tuple[Any, lifecycle.Standing, list[str], str]]:
        """For each client its box, where it stands, what is left out for it, and why it could not be made."""
        marked = Marked.of(self.subject)
        for box, standing in zip(self["clients"], self.standings, strict=True):
            client = standing.client
            yield box, standing, marked.left_out(client), marked.why_not(client)

    def explanation(self) -> str | Promise:
        return _(
            "Mails each client its own edition, as text and as a PDF: only what is marked for clients. Its report "
            "counts as given when the mail server accepts it. The copy that was sent is kept."
        )

    def full_clean(self) -> None:
        """A test asks for nothing of what is chosen and typed."""
        super().full_clean()
        if "test" in self.data:
            self.errors.clear()

    def do(self, *, now: dt.datetime) -> Done:
        if "test" not in self.data:
            return super().do(now=now)
        client = next((one.client for one in self.standings if str(one.client.pk) == self.data["test"]), None)
        if client is None:
            raise ValidationError(_now("Choose whose mail to test."))
        test = lifecycle.send_test(self.subject, client, by=self.by, now=now)
        said = _now("A test is on its way to %(address)s. No client was told anything.")
        return Done(said % {"address": test.recipient_address}, stays=True)

    def act(self, *, now: dt.datetime) -> Done:
        shared = lifecycle.share(self.subject, by=self.by, now=now, **self.cleaned_data)
        said = ngettext("%d mail is in the outbox.", "%d mails are in the outbox.", shared.mails) % shared.mails
        if not shared.unreachable:
            return Done(said)
        names = ", ".join(client.name for client in shared.unreachable)
        nobody = _now("Nobody at %(names)s could be mailed: tell them by other means and record it.")
        return Done(f"{said} {nobody % {'names': names}}", level=messages.WARNING)


# ── as they will read it, and as they were sent it ──────────────────────────────────────────────────────────────────


def _review(request: HttpRequest, object_id: int) -> PostIncidentReview:
    if not request.user.has_perm("reviews.view_postincidentreview"):
        raise PermissionDenied
    reviews = scope.visible(PostIncidentReview.objects.select_related("incident"), request.user)
    return get_object_or_404(reviews, pk=object_id)


def _prepared(request: HttpRequest, object_id: int, client_id: int) -> lifecycle.Prepared:
    """Raises Refused where there is nothing to be sent."""
    review = _review(request, object_id)
    client = get_object_or_404(scope.visible(Client.objects.all(), request.user), pk=client_id)
    if client not in affected_clients(review.incident):
        raise Http404
    return lifecycle.prepare(review, client, now=instants.now())


@cache_control(no_store=True)
def preview(request: HttpRequest, object_id: int, client_id: int) -> HttpResponse:
    """The mail to the client's first contact as a document of its own; without a contact, what would stand in it."""
    try:
        prepared = _prepared(request, object_id, client_id)
    except ValidationError as refused:
        return mail_document(bare(format_html("<p>{}</p>", " ".join(refused.messages))))
    mails = prepared.draft.mails
    return mail_document(
        acknowledgement_link.masked(letter.html_of(mails[0])) if mails else bare(prepared.document.html)
    )


def bare(body: SafeString) -> str:
    return format_html("<!doctype html><html><head></head><body>{}</body></html>", body)


@cache_control(no_store=True)
@turns.one_at_a_time
def preview_pdf(request: HttpRequest, object_id: int, client_id: int) -> HttpResponse:
    try:
        return as_file(_prepared(request, object_id, client_id).attachment)
    except ValidationError as refused:
        raise Http404(" ".join(refused.messages)) from refused


@cache_control(no_store=True)
def kept(request: HttpRequest, object_id: int, edition_id: int) -> HttpResponse:
    """The copy that was sent, as a sheet of paper, with the mails that it went by."""
    found = _kept(request, object_id, edition_id)
    context = {
        "kept": found,
        "copy": mark_safe(found.html),  # noqa: S308 - made by our templates, which escape, and sealed since
        "back_url": page_of(found.review),
        "pdf_url": reverse(f"admin:{KEPT_PDF}", args=[object_id, edition_id]),
    }
    return TemplateResponse(request, "reviews/edition.html", context)


@cache_control(no_store=True)
@turns.one_at_a_time
def kept_pdf(request: HttpRequest, object_id: int, edition_id: int) -> HttpResponse:
    return as_file(_kept(request, object_id, edition_id).attachment)


def _kept(request: HttpRequest, object_id: int, edition_id: int) -> ClientEdition:
    review = _review(request, object_id)
    editions = scope.visible(ClientEdition.objects.select_related("client", "attachment", "by"), request.user)
    return get_object_or_404(editions, pk=edition_id, review=review)


def _reading(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    def only_reads(request: HttpRequest, **names: int) -> HttpResponse:
        return view(request, **names) if request.method in READING_METHODS else HttpResponseNotAllowed(READING_METHODS)

    return only_reads


def addresses(within: Callable[..., Any]) -> list[URLPattern]:
    """`within` lets in whoever may enter the admin."""
    pages: list[tuple[str, Callable[..., HttpResponse], str]] = [
        ("<int:object_id>/edition/<int:client_id>/", preview, PREVIEW),
        ("<int:object_id>/edition/<int:client_id>/pdf/", preview_pdf, PREVIEW_PDF),
        ("<int:object_id>/editions/<int:edition_id>/", kept, KEPT),
        ("<int:object_id>/editions/<int:edition_id>/pdf/", kept_pdf, KEPT_PDF),
    ]
    return [path(route, within(_reading(view)), name=name) for route, view, name in pages]


def editions_in_words(review: PostIncidentReview, reader: Any) -> SafeString:
    """What was sent to the clients that the reader sees, each with its page and its PDF."""
    editions = scope.visible(ClientEdition.objects.filter(review=review), reader)
    lines = [
        (
            reverse(f"admin:{KEPT}", args=[review.pk, one.pk]),
            one,
            times.for_reader(one.made_at),
            reverse(f"admin:{KEPT_PDF}", args=[review.pk, one.pk]),
            one.attachment,
            _now("PDF"),
        )
        for one in editions.select_related("client", "attachment")
        .order_by("client__name", "version")
        .defer("html", "text", "attachment__content")
    ]
    return format_html_join("", '<div><a href="{}">{}</a> · {} · <a href="{}" download="{}">{}</a></div>', lines)
