"""Post-incident reviews and their corrective actions; the incident's page gets its button and its link from here."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, cast

import django_filters
from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet, prefetch_related_objects
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from agreements.models import ServiceAgreement, Severity
from config import instants
from config.admin import READING_METHODS, Button, badge, link, page_of, zoned
from config.fields import ProseField
from config.filters import FilteredAdmin, FilteredChangeList, NameFilter, PersonFilter, Tab, days
from config.forms import NATIVE_INPUTS, Done, RowChooser, reason_field
from config.models import User
from incidents.admin import badges
from incidents.admin.verbs import VerbForm, verb
from incidents.admin.workspace import follow_up
from incidents.models import Incident
from incidents.models.incident import Status
from reviews import lifecycle, owed, search
from reviews.admin import compliance, learning, writing
from reviews.admin.document import Document
from reviews.admin.parts import AnswerInline, ContributorInline, FindingInline, LinkInline, PartInline, PickInline
from reviews.admin.people import COLLEAGUES
from reviews.admin.share import Share, addresses, editions_in_words
from reviews.admin.steps import Join, PickEntries, ReviewAct
from reviews.models import CorrectiveAction, PostIncidentReview, ReviewStatus
from reviews.models import PostIncidentReviewQuerySet as Reviews


@verb
class OpenReview(VerbForm):
    slug = "open-review"
    label = _("Open review")
    permission = "reviews.add_postincidentreview"
    lawful_in = (Status.RESOLVED, Status.CLOSED)
    facilitator = forms.ModelChoiceField(
        COLLEAGUES, label=_("Facilitator"), required=False, help_text=_("Leave empty to facilitate it yourself.")
    )
    reason = reason_field(required=False)

    @classmethod
    def is_lawful(cls, subject: Incident) -> bool:
        return super().is_lawful(subject) and review_of(subject) is None

    def explanation(self) -> str | Promise:
        return _("Looks back without blame: what happened, what made it possible, what will change, and who does it.")

    def act(self, *, now: dt.datetime) -> Done:
        review = lifecycle.open_review(self.subject, by=self.by, now=now, **self.cleaned_data)
        return Done(_now("The review is open."), then=page_of(review))


def review_of(incident: Incident) -> PostIncidentReview | None:
    return PostIncidentReview.objects.filter(incident=incident).first()


@follow_up
def review_link(incident: Incident) -> tuple[str | Promise, str] | None:
    review = review_of(incident)
    return (_("Review"), page_of(review)) if review else None


class Submit(ReviewAct):
    slug = "submit"
    label = _("Submit for approval")
    lawful_in = (ReviewStatus.DRAFT,)
    reason = reason_field(required=False)

    def explanation(self) -> str | Promise:
        return _("Hands it to a manager to read. Nobody changes it meanwhile; it can be sent back.")

    def act(self, *, now: dt.datetime) -> Done:
        lifecycle.submit(self.subject, by=self.by, now=now, **self.cleaned_data)
        return Done(_now("The review waits for a manager's approval."))


class SendBack(ReviewAct):
    slug = "send-back"
    label = _("Send back")
    lawful_in = (ReviewStatus.IN_REVIEW,)

    def explanation(self) -> str | Promise:
        return _("Makes it a draft again. Say what should be written otherwise.")

    def act(self, *, now: dt.datetime) -> Done:
        lifecycle.send_back(self.subject, by=self.by, now=now, **self.cleaned_data)
        return Done(_now("The review is a draft again."))


class Approve(ReviewAct):
    slug = "approve"
    label = _("Approve")
    permission = lifecycle.APPROVE
    lawful_in = (ReviewStatus.IN_REVIEW,)
    reason = reason_field(required=False)

    def explanation(self) -> str | Promise:
        return _("Says that a manager who did not write it has read it and agrees.")

    def act(self, *, now: dt.datetime) -> Done:
        lifecycle.approve(self.subject, by=self.by, now=now, **self.cleaned_data)
        return Done(_now("The review is approved."))


class Close(ReviewAct):
    slug = "close"
    label = _("Close review")
    lawful_in = (ReviewStatus.APPROVED, ReviewStatus.SHARED)
    reason = reason_field(required=False)

    def explanation(self) -> str | Promise:
        return _("Nothing more will be written. Its corrective actions go on until each is done or dropped.")

    def act(self, *, now: dt.datetime) -> Done:
        lifecycle.close(self.subject, by=self.by, now=now, **self.cleaned_data)
        return Done(_now("The review is closed."))


class Reopen(ReviewAct):
    slug = "reopen"
    label = _("Reopen review")
    permission = lifecycle.APPROVE
    lawful_in = (ReviewStatus.APPROVED, ReviewStatus.SHARED, ReviewStatus.CLOSED, ReviewStatus.WAIVED)

    def explanation(self) -> str | Promise:
        return _("Makes it a draft again, to be approved anew. What clients were sent stays as it was sent.")

    def act(self, *, now: dt.datetime) -> Done:
        lifecycle.reopen(self.subject, by=self.by, now=now, **self.cleaned_data)
        return Done(_now("The review is a draft again."))


class Waive(ReviewAct):
    slug = "waive"
    needs_proof = True
    label = _("Waive review")
    permission = lifecycle.APPROVE
    lawful_in = (ReviewStatus.DRAFT, ReviewStatus.IN_REVIEW)

    def explanation(self) -> str | Promise:
        return _("Lets it go, although it may be owed. The reason is kept; it can be reopened.")

    def act(self, *, now: dt.datetime) -> Done:
        lifecycle.waive(self.subject, by=self.by, now=now, **self.cleaned_data)
        return Done(_now("The review is waived."))


class ActionInline(PartInline):
    model = CorrectiveAction
    fields = ("what", "kind", "priority", "finding", "owner", "due_on", "is_for_client")
    autocomplete_fields = ("owner",)
    formfield_overrides = NATIVE_INPUTS
    can_delete = False
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[CorrectiveAction]:
        return super().get_queryset(request).select_related("owner", "finding__factor")

    def get_formset(self, request: HttpRequest, obj: Any = None, **options: Any) -> Any:
        """A new row begins with the due day that the policy proposes, and is against a factor found here."""
        formset = super().get_formset(request, obj, **options)
        fields: Any = formset.form.base_fields
        if obj is not None and "due_on" in fields:
            fields["due_on"].initial = owed.due_day(obj, instants.now())
        if obj is not None and "finding" in fields:
            findings = obj.findings.select_related("factor")
            fields["finding"].queryset = findings
            fields["finding"].choices = [("", "–"), *((finding.pk, str(finding)) for finding in findings)]
        return formset

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.name == "owner":
            options["widget"] = RowChooser(db_field, self.admin_site)
        return super().formfield_for_foreignkey(db_field, request, **options)


class ReviewFilter(django_filters.FilterSet):  # type: ignore[misc]  # the library ships no types
    status = django_filters.ChoiceFilter(
        choices=(("open", _("Open")), *ReviewStatus.choices),
        label=_("Status"),
        empty_label=_("All"),
        method="by_status",
    )
    severity = django_filters.ChoiceFilter(
        choices=Severity.choices, field_name="incident__severity", label=_("Severity"), empty_label=_("All")
    )
    client = NameFilter(
        ServiceAgreement.client.field,
        label=_("Client"),
        reach=lambda reviews, clients: reviews.filter(incident__in=Incident.objects.of_clients(clients).order_by()),
    )
    facilitator = PersonFilter(PostIncidentReview.facilitator.field, label=_("Facilitator"))
    opened_from, opened_until = days("opened_at", since=_("Opened from"), until=_("Opened until"))

    class Meta:
        model = PostIncidentReview
        fields = ()

    def by_status(self, queryset: Reviews, name: str, value: str) -> Reviews:
        return queryset.open() if value == "open" else queryset.filter(status=value)


#: status → look and sign of its badge
STATUS_LOOKS = {
    ReviewStatus.DRAFT: ("run", "◑"),
    ReviewStatus.IN_REVIEW: ("high", "◔"),
    ReviewStatus.APPROVED: ("ok", "✓"),
    ReviewStatus.SHARED: ("ok", "✓"),
    ReviewStatus.CLOSED: ("ok", "✓"),
    ReviewStatus.WAIVED: ("off", "–"),
}


def actions_in_words(review: Any) -> str:
    """How many of them are done, of a row that comes with them."""
    actions = list(review.actions.all())
    done = sum(not action.is_open for action in actions)
    return _now("%(done)d of %(all)d done") % {"done": done, "all": len(actions)} if actions else _now("none yet")


READ, PREVIEW = "reviews_postincidentreview_read", "reviews_postincidentreview_preview"


class ReviewChangeList(FilteredChangeList):
    """Rows that were searched for say where the words stand."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        places = search.places(self.result_list, self.query, request.user)
        for review in self.result_list:
            review.places = places.get(review.pk, [])


@admin.register(PostIncidentReview)
class PostIncidentReviewAdmin(FilteredAdmin):
    acts = (Submit, Approve, Share, SendBack, Close, PickEntries, Join, Reopen, Waive)
    form = writing.ReviewForm
    inlines = (AnswerInline, PickInline, FindingInline, ActionInline, ContributorInline, LinkInline)
    filterset_class = ReviewFilter
    tabs = (
        Tab(_("Open"), {"status": "open"}),
        Tab(_("Mine"), {"status": "open", "facilitator": PersonFilter.ME}),
        Tab(_("To approve"), {"status": ReviewStatus.IN_REVIEW.value}),
        Tab(_("Closed"), {"status": ReviewStatus.CLOSED.value}),
        Tab(_("All"), {}),
    )
    list_select_related = ("incident", "facilitator")
    search_fields = ("incident__words",)
    search_help_text = _("Words of anything that a review says; reference, title or client of its incident")
    export_columns = (
        "incident__reference",
        "incident__title",
        "incident__severity",
        "status",
        "facilitator",
        "opened_at",
        "due_at",
        "approved_at",
        "completed_at",
        "root_cause",
        "what_will_change",
        admin.display(description=_("actions"))(actions_in_words),
    )
    autocomplete_fields = ("facilitator",)
    readonly_fields = (
        "incident_link",
        "status_badge",
        "why_owed",
        *(zoned(PostIncidentReview, name) for name in ("opened_at", "due_at", "approved_at", "completed_at")),
    )
    fieldsets = (
        (None, {"fields": ("incident_link", "status_badge", "facilitator", *readonly_fields[2:])}),
        (
            _("The document"),
            {
                "fields": tuple(
                    (text, f"is_{text}_for_client")
                    for text in ("summary", "client_impact", "root_cause", "what_will_change")
                )
            },
        ),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Opened from the incident's page, by its verb."""
        return False

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("incident", "facilitator", "question_set")

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """With who writes it, which its page asks for again and again."""
        found = super().get_object(request, object_id, from_field)
        if found is not None:
            prefetch_related_objects([found], "contributors")
        return found

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """While it is a draft, for those who write it."""
        if not super().has_change_permission(request, obj):
            return False
        return obj is None or (obj.status == ReviewStatus.DRAFT and lifecycle.may_write(obj, cast(User, request.user)))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Who steers it says who does."""
        fields = super().get_readonly_fields(request, obj)
        steers = obj is None or lifecycle.may_steer(obj, cast(User, request.user))
        return fields if steers else (*fields, "facilitator")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        found = super().formfield_for_dbfield(db_field, request, **options)
        if found is not None and isinstance(db_field, ProseField):
            found.widget.attrs |= {"rows": 10, "data-markdown": ""}
        return found

    # its pages

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        views: dict[str, Any] = {READ: wrap(self.read_view), PREVIEW: wrap(self.preview_view)}
        own = [path(f"<int:object_id>/{name.rsplit('_', 1)[1]}/", view, name=name) for name, view in views.items()]
        return [*learning.urls(), *compliance.urls(), *own, *addresses(wrap), *super().get_urls()]

    def buttons(self, request: HttpRequest, obj: Any) -> list[Button]:
        """Without what this person need not or may not do."""
        by = cast(User, request.user)
        hidden = {Join.slug} if lifecycle.is_of_it(obj, by) else set()
        if not lifecycle.may_write(obj, by):
            hidden.add(PickEntries.slug)
        shown = [button for button in super().buttons(request, obj) if button.slug not in hidden]
        if any(button.slug == Approve.slug for button in shown) and not lifecycle.may_approve(obj, by):
            return [button for button in shown if button.slug != Approve.slug]
        if obj.status == ReviewStatus.SHARED:  # what comes next is first
            shown.sort(key=lambda button: button.slug != Close.slug)
        return shown

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        review = self.get_object(request, object_id) if object_id.isdecimal() else None
        if review is None or not self.has_view_permission(request, review):
            return super().change_view(request, object_id, form_url, extra_context)
        shown = self._shown(request, review)
        hidden = dict.fromkeys(("show_save_and_add_another", "show_save_and_continue"), False)
        return super().change_view(request, object_id, form_url, {**shown, **hidden, **(extra_context or {})})

    def _shown(self, request: HttpRequest, review: PostIncidentReview) -> dict[str, Any]:
        return {
            "title": str(review),
            "subtitle": None,
            "document": Document(review, request.user, timezone.now()),
            "buttons": self.buttons(request, review),
            "status": self.status_badge(review),
            "editions": editions_in_words(review, request.user),
            "read_url": reverse(f"admin:{READ}", args=[review.pk]),
            "preview_url": reverse(f"admin:{PREVIEW}", args=[review.pk]),
        }

    def read_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """The whole document as it is read, also for whoever writes it."""
        if request.method not in READING_METHODS:
            return HttpResponseNotAllowed(READING_METHODS)
        if not self.has_view_permission(request):
            raise PermissionDenied
        review = self.get_object(request, str(object_id))
        if review is None:
            raise Http404
        context = {
            **self.admin_site.each_context(request),
            **self._shown(request, review),
            "opts": self.opts,
            "original": review,
            "has_change_permission": self.has_change_permission(request, review),
        }
        return TemplateResponse(request, "admin/reviews/postincidentreview/read_page.html", context)

    def preview_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        review = self.get_object(request, str(object_id))
        return writing.preview(
            request, review, may_change=review is not None and self.has_change_permission(request, review)
        )

    # saving

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """The buttons that move an entry save what was typed, then move it."""
        super().save_related(request, form, formsets, change)
        pk, _space, step = request.POST.get("_move", "").partition(" ")
        if step in ("-1", "1") and pk.isdecimal() and (pick := form.instance.picks.filter(pk=pk[:18]).first()):
            lifecycle.move(pick, by=cast(User, request.user), step=int(step))

    def response_post_save_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """Whoever writes goes on writing."""
        part = "#picks-group" if "_move" in request.POST else ""
        return HttpResponseRedirect(f"{page_of(obj)}{part}")

    # the list

    def get_list_display(self, request: HttpRequest) -> Sequence[Any]:
        opened = zoned(PostIncidentReview, "opened_at")
        found = ("found_in",) if request.GET.get(SEARCH_VAR, "").strip() else ()
        return ("__str__", *found, "severity_badge", "facilitator", opened, "actions_done", "status_badge")

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return ReviewChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return search.reviews(queryset, search_term, request.user), False

    def with_columns(self, rows: QuerySet[Any], reader: Any) -> QuerySet[Any]:
        return rows.prefetch_related("actions")

    @admin.display(description=_("found in"))
    def found_in(self, review: Any) -> SafeString:
        lines = ((p.heading, p.before, p.found, p.after) for p in review.places)
        return format_html_join("", '<p class="found-in"><small>{}:</small> {} <mark>{}</mark> {}</p>', lines)

    @admin.display(description=_("severity"))
    def severity_badge(self, review: PostIncidentReview) -> SafeString:
        return badges.severity(review.incident.severity)

    @admin.display(description=_("actions"))
    def actions_done(self, review: PostIncidentReview) -> str:
        return actions_in_words(review)

    @admin.display(description=_("incident"))
    def incident_link(self, review: PostIncidentReview) -> SafeString:
        return link(review.incident)

    @admin.display(description=_("status"), ordering="status")
    def status_badge(self, review: PostIncidentReview) -> SafeString:
        look, sign = STATUS_LOOKS[ReviewStatus(review.status)]
        return badge(review.get_status_display(), look, sign)
