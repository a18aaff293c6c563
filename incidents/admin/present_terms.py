"""Where a manager applies the present terms to incidents that began under others, having seen what moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from agreements.models import ServiceAgreement
from config import instants, scope
from config.admin import ACTING_METHODS, list_of
from config.forms import add_refusal, reason_field
from incidents import deadlines, lifecycle
from incidents.models import Deadline

PERMISSION = "agreements.change_serviceagreement"
SHOWN = 200  # at once; those left are shown after these are applied


class AgreementForm(forms.Form):
    """Whose deadlines to look at."""

    agreement = forms.ModelChoiceField(
        ServiceAgreement.objects.select_related("client"),
        label=_("Service agreement"),
        required=False,
        empty_label=_("All"),
    )


class ApplyForm(forms.Form):
    """Which of the changes shown are applied, and why."""

    chosen = forms.MultipleChoiceField(label=_("Deadlines"))
    reason = reason_field(help_text=_("Kept in the audit trail of every deadline that changes."))

    def __init__(self, *args: Any, changes: list[deadlines.Change], **options: Any) -> None:
        super().__init__(*args, **options)
        field: Any = self.fields["chosen"]
        field.choices = [(str(change.deadline.pk), str(change.deadline)) for change in changes]


@dataclass(frozen=True)
class ChangeRow:
    """One deadline before and after, with whether its box is ticked."""

    change: deadlines.Change
    is_chosen: bool


def page(request: HttpRequest) -> HttpResponse:
    """GET lists what would change, POST applies what was chosen; 403 without the permission to keep agreements."""
    if request.method not in ACTING_METHODS:
        return HttpResponseNotAllowed(ACTING_METHODS)
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    narrow = AgreementForm(request.GET)
    choose: Any = narrow.fields["agreement"]
    choose.queryset = scope.visible(choose.queryset, request.user)
    agreement = narrow.cleaned_data["agreement"] if narrow.is_valid() else None
    found = _changes(agreement, request.user)
    form = ApplyForm(request.POST if request.method == "POST" else None, changes=found)
    if request.method == "POST" and form.is_valid() and _apply(request, form, found):
        return HttpResponseRedirect(request.get_full_path())
    chosen = set(request.POST.getlist("chosen")) if request.method == "POST" else {str(c.deadline.pk) for c in found}
    context = {
        **admin.site.each_context(request),
        "opts": Deadline._meta,
        "title": _now("Apply present terms to open incidents"),
        "narrow": narrow,
        "form": form,
        "rows": [ChangeRow(change, str(change.deadline.pk) in chosen) for change in found],
        "list_url": list_of(Deadline),
    }
    return TemplateResponse(request, "admin/incidents/deadline/present_terms.html", context)


def _changes(agreement: ServiceAgreement | None, reader: Any) -> list[deadlines.Change]:
    wanted = scope.visible(Deadline.objects.all(), reader)
    if agreement is not None:
        wanted = wanted.filter(agreement=agreement)
    found = []
    for change in deadlines.changes_by(wanted):
        found.append(change)
        if len(found) == SHOWN:
            break
    return found


def _apply(request: HttpRequest, form: ApplyForm, found: list[deadlines.Change]) -> bool:
    chosen = [c.deadline for c in found if str(c.deadline.pk) in form.cleaned_data["chosen"]]
    try:
        changed = lifecycle.apply_present_terms(
            chosen,
            by=request.user,  # type: ignore[arg-type]  # the site lets nobody in who is not signed in
            now=instants.now(),
            reason=form.cleaned_data["reason"],
        )
    except ValidationError as error:
        add_refusal(form, error)
        return False
    done = ngettext("%d deadline has its present terms.", "%d deadlines have their present terms.", len(changed))
    messages.success(request, done % len(changed))
    return True
