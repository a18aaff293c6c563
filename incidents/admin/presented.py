"""The page on which a text that somebody presents is compared with what was sent; all that it keeps is an event."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from config.admin import ACTING_METHODS, list_of, page_of, trail
from config.audit import events
from config.models import EventKind
from incidents import presented, retention
from incidents.models import Notice

PAGE = "incidents_notice_check"
LABEL = _("Check a text")


class PresentedForm(forms.Form):
    pasted = forms.CharField(
        label=_("The text"),
        required=False,
        strip=False,
        max_length=presented.LARGEST // 4,  # characters, which may take four bytes each
        widget=forms.Textarea(attrs={"rows": 12}),
        help_text=_("The text of the mail, its HTML, or its whole source with the headers."),
    )
    file = forms.FileField(
        label=_("Or a file"), required=False, help_text=_("The mail as an .eml file, or its text or HTML.")
    )

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        pasted, file = given.get("pasted", ""), given.get("file")
        if self.errors:
            return given
        if bool(pasted.strip()) == bool(file):
            raise ValidationError(_("Paste a text, or choose a file: one of the two."))
        if file and file.size > presented.LARGEST:
            raise ValidationError({"file": _("That is larger than any notice.")})
        return given

    def content(self) -> bytes:
        file = self.cleaned_data["file"]
        return bytes(file.read()) if file else str(self.cleaned_data["pasted"]).encode("utf-8", "surrogatepass")


def may_check(user: Any) -> bool:
    return bool(user.has_perm(trail.PERMISSION) and user.has_perm("incidents.view_notice"))


def address_of(notice: Notice) -> str:
    return reverse(f"admin:{PAGE}", args=[notice.pk])


def page(request: HttpRequest, notice: Notice | None) -> HttpResponse:
    """GET asks for the text, POST says whether it is what was sent, and leaves an event."""
    if request.method not in ACTING_METHODS:
        return HttpResponseNotAllowed(ACTING_METHODS)
    if notice is None or not may_check(request.user):
        raise PermissionDenied
    is_asked = request.method == "POST"
    form = PresentedForm(request.POST, request.FILES) if is_asked else PresentedForm()
    verdict = None
    if is_asked and form.is_valid():
        verdict = presented.compare(notice, form.content())
        events.record(EventKind.TEXT_CHECKED, about=notice, answer=verdict.answer.value)
    context = {
        **admin.site.each_context(request),
        "opts": Notice._meta,
        "title": f"{LABEL}: {notice}",
        "notice": notice,
        "notice_url": page_of(notice),
        "list_url": list_of(Notice),
        "label": LABEL,
        "form": form,
        "verdict": verdict,
        "remains": retention.remains(notice),
    }
    return TemplateResponse(request, "admin/incidents/notice/check.html", context)
