"""The admin of intake tokens, and the page of one's own calendar feed: secrets are shown once."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from config import instants, own_settings
from config.admin import ACTING_METHODS, AuditedModelAdmin, badge, list_of, zoned
from config.forms import ActForm, Done, reason_field
from config.models import User
from config.navigation import Entry
from incidents import calendar_feed, intake
from incidents.models import CalendarFeed, IntakeToken

FEED = "incidents_intaketoken_calendar"


class Revoke(ActForm):
    slug = "revoke"
    label = _("Revoke")
    permission = "incidents.change_intaketoken"
    subject: IntakeToken
    reason = reason_field()

    @classmethod
    def is_lawful(cls, subject: IntakeToken) -> bool:
        return subject.is_usable

    def explanation(self) -> Any:
        return _("Whoever calls with its secret is refused from then on. For another secret, add another token.")

    def act(self, *, now: dt.datetime) -> Done:
        intake.revoke(self.subject, by=self.by, reason=self.cleaned_data["reason"], now=now)
        return Done(_now("“%(name)s” is revoked.") % {"name": self.subject})


@admin.register(IntakeToken)
class IntakeTokenAdmin(AuditedModelAdmin):
    instead_of_deleting = _("A token that is used no more is revoked.")
    acts = (Revoke,)
    list_display = ("name", "service", "severity", "reads_labels", "standing", zoned(IntakeToken, "last_used_at"))
    list_select_related = ("service",)
    fields = ("name", "service", "severity", "reads_labels")

    @admin.display(description=_("standing"))
    def standing(self, token: IntakeToken) -> SafeString:
        return badge(_("usable"), "ok", "✓") if token.is_usable else badge(_("revoked"), "off", "×")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            request.secret = intake.issue(obj, now=instants.now())  # type: ignore[attr-defined]
        super().save_model(request, obj, form, change)

    def response_add(
        self, request: HttpRequest, obj: IntakeToken, post_url_continue: str | None = None
    ) -> HttpResponse:
        """The secret, this once; the page is not kept by the browser."""
        said = _now("Copy the secret of “%(name)s” now: it is shown this once, and kept nowhere.") % {"name": obj}
        context = {
            "secret": request.secret,  # type: ignore[attr-defined]
            "explanation": said,
            "address": settings.PUBLIC_URL + reverse("outside:alertmanager"),
            "back_url": list_of(IntakeToken),
            "title": _now("The secret of %(name)s") % {"name": obj},
        }
        return _shown_once(request, context)

    def get_urls(self) -> list[URLPattern]:
        return [path("calendar/", self.admin_site.admin_view(feed), name=FEED), *super().get_urls()]


def _shown_once(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    whole = {**admin.site.each_context(request), **context}
    return TemplateResponse(request, "admin/incidents/secret.html", whole, headers={"Cache-Control": "no-store"})


# ── one's own calendar ──────────────────────────────────────────────────────────────────────────────────────────────

own_settings.LINKS.append(Entry(_("Your deadlines in your own calendar"), f"admin:{FEED}", calendar_feed.PERMISSION))


def feed(request: HttpRequest) -> HttpResponse:
    """Whether there is an address; POST `do=make` makes a new one, which is shown once, `do=revoke` takes it away."""
    if request.method not in ACTING_METHODS:
        return HttpResponseNotAllowed(ACTING_METHODS)
    by: User = request.user  # type: ignore[assignment]  # the site lets nobody in who is not signed in
    if not by.has_perm(calendar_feed.PERMISSION):
        raise PermissionDenied
    me = User.objects.get(pk=by.pk)
    title = _now("Your deadlines in your own calendar")
    if request.method == "POST" and request.POST.get("do") == "make":
        context = {
            "secret": calendar_feed.make(me, now=instants.now()),
            "explanation": _now(
                "Copy the address into your calendar now: it is shown this once. It shows what you see."
            ),
            "back_url": reverse(f"admin:{own_settings.PAGE}"),
            "title": title,
        }
        return _shown_once(request, context)
    if request.method == "POST":
        calendar_feed.revoke(me)
        messages.success(request, _now("The address is good for nothing any more."))
        return HttpResponseRedirect(request.path)
    there = CalendarFeed.objects.filter(user=me).exclude(digest="").first()
    return TemplateResponse(
        request, "admin/incidents/feed.html", {**admin.site.each_context(request), "title": title, "feed": there}
    )
