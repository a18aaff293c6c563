"""The page that shows two versions of one agreement side by side. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from agreements.comparison import Comparison, Row, Verdict, compare
from agreements.models import ServiceAgreement
from config.admin import READING_METHODS, AuditedModelAdmin, Button, act_url, badge, page_of

SLUG = "compare"
LABEL = _("Compare versions")

_VERDICTS: Mapping[Verdict, tuple[str | Promise, str, str]] = {
    Verdict.SAME: (_("the same"), "off", "="),
    Verdict.CHANGED: (_("changed"), "high", "≠"),
    Verdict.ADDED: (_("added"), "ok", "+"),
    Verdict.REMOVED: (_("removed"), "crit", "−"),
}


class Choice(forms.Form):
    """Which two. Either may be the older one: what was typed is put in order."""

    old = forms.ModelChoiceField(ServiceAgreement.objects.none(), label=_("Version"), empty_label=None)
    new = forms.ModelChoiceField(ServiceAgreement.objects.none(), label=_("Compared with"), empty_label=None)

    def __init__(self, data: Any, versions: models.QuerySet[ServiceAgreement]) -> None:
        super().__init__(data)
        for name in ("old", "new"):
            self.fields[name].queryset = versions  # type: ignore[attr-defined]

    @property
    def chosen(self) -> tuple[ServiceAgreement, ServiceAgreement]:
        old, new = sorted((self.cleaned_data["old"], self.cleaned_data["new"]), key=lambda version: version.version)
        return old, new


@dataclass(frozen=True)
class Shown:
    """One row with its verdict as people see it."""

    row: Row

    @property
    def verdict(self) -> SafeString:
        return badge(*_VERDICTS[self.row.verdict])


class Comparing(AuditedModelAdmin):
    """The admin of agreements with the comparison: a page at `<id>/compare/` for all who may see an agreement."""

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_{SLUG}"
        view: Any = self.admin_site.admin_view(self.compare_view)
        return [path(f"<int:object_id>/{SLUG}/", view, name=name), *super().get_urls()]

    def buttons(self, request: HttpRequest, obj: models.Model) -> list[Button]:
        """Where there is another version to compare with."""
        found = super().buttons(request, obj)
        has_others = self.get_queryset(request).filter(reference=obj.reference).exclude(pk=obj.pk).exists()  # type: ignore[attr-defined]
        return [*found, Button(LABEL, act_url(obj, SLUG), SLUG)] if has_others else found

    def compare_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """`?old=…&new=…` names the two; else this version and the one before it, or after it."""
        if request.method not in READING_METHODS:
            return HttpResponseNotAllowed(READING_METHODS)
        if not self.has_view_permission(request):
            raise PermissionDenied
        agreement = self.get_queryset(request).filter(pk=object_id).first()
        if agreement is None:
            raise Http404
        versions = self.get_queryset(request).filter(reference=agreement.reference).order_by("-version")
        form = Choice(request.GET if {"old", "new"} & request.GET.keys() else _first_choice(agreement), versions)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _now("Versions of %(reference)s") % {"reference": agreement.reference},
            "label": LABEL,
            "agreement": agreement,
            "agreement_url": page_of(agreement),
            "form": form,
            **(_answer(form) if form.is_valid() else {}),
        }
        return TemplateResponse(request, "admin/agreements/serviceagreement/compare.html", context)


def _first_choice(agreement: ServiceAgreement) -> dict[str, int]:
    before = agreement.supersedes_id
    after = ServiceAgreement.objects.filter(supersedes=agreement).values_list("pk", flat=True).first()
    return {"old": before or agreement.pk, "new": agreement.pk if before else after or agreement.pk}


def _answer(form: Choice) -> dict[str, Any]:
    old, new = form.chosen
    found: Comparison = compare(old, new, now=timezone.now())
    return {
        "comparison": found,
        "clause": Shown(found.clause),
        "commitments": [Shown(row) for row in found.commitments],
        "around": [Shown(row) for row in found.around],
    }
