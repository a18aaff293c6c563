"""The page on which somebody who is signed in sets how the product shows itself to them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import translation
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from config import saved_filters, zones
from config.history import acting
from config.models import SavedFilter, User
from config.navigation import Entry

PAGE = "settings"
BOARD = "board"  # the name under which the board keeps its filters
METHODS = ("GET", "HEAD", "POST")
REASON = "Changed own settings"  # kept in the trail, in the language of the product


#: What else one person sets for themselves, on pages that floors above have.
LINKS: list[Entry] = []


class OwnSettings(forms.ModelForm):  # type: ignore[type-arg]
    """Nothing here needs a role: it changes what one person sees, and nothing else."""

    landing = forms.ModelChoiceField(
        SavedFilter.objects.none(),
        label=_("The board opens with"),
        required=False,
        empty_label=_("everything"),
        help_text=_("Filters that you have saved on the board."),
    )

    class Meta:
        model = User
        fields = ("time_zone", "language")
        widgets = {
            "time_zone": forms.TextInput(attrs={"list": "zones", "autocomplete": "off", "spellcheck": "false"}),
        }

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        own = SavedFilter.objects.filter(user=self.instance, page=BOARD)
        self.fields["landing"].queryset = own  # type: ignore[attr-defined]
        self.initial["landing"] = own.filter(is_landing=True).first()

    def save(self, commit: bool = True) -> User:
        chosen, before = self.cleaned_data["landing"], self.initial["landing"]
        if chosen != before:
            saved_filters.land(chosen or before, here=chosen is not None)
        saved: User = super().save(commit)
        return saved


def page(request: HttpRequest) -> HttpResponse:
    """GET shows the settings of whoever asks, POST saves them; nobody reaches those of another."""
    if request.method not in METHODS:
        return HttpResponseNotAllowed(METHODS)
    if request.method == "POST":
        form, is_saved = _save(request)
        if is_saved:
            with translation.override(form.instance.language):
                messages.success(request, _now("Your settings are saved."))
            return HttpResponseRedirect(request.path)
    else:
        form = OwnSettings(instance=User.objects.get(username=request.user.get_username()))
    context = {
        **admin.site.each_context(request),
        "title": _now("Your settings"),
        "form": form,
        "zones": zones.names(),
        "has_single_sign_on": bool(settings.OIDC_ISSUER),
        "links": [link for link in LINKS if link.is_for(request)],
    }
    return TemplateResponse(request, "admin/settings.html", context)


@transaction.atomic
def _save(request: HttpRequest) -> tuple[OwnSettings, bool]:
    """The form, and whether what was typed is saved: onto the row as it is now, whoever else is editing it."""
    myself = User.objects.select_for_update().get(username=request.user.get_username())
    form = OwnSettings(request.POST, instance=myself)
    if not form.is_valid():
        return form, False
    with acting(reason=REASON):
        form.save()
    return form, True
