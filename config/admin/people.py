"""The admin of people."""

from __future__ import annotations

import datetime as dt
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import Group
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _

from config import factors, proof, sessions, single_sign_on
from config.admin.base import AuditedModelAdmin
from config.admin.reasons import ReasonForm
from config.first_steps import Step, prefilled
from config.forms import ActForm, Done, reason_field
from config.models import User
from config.site import site

# Roles are made by migrations; people get them on their own page, and their second factor in their settings. Their
# address is a field of theirs. Single sign-on is set in the environment.
admin.site.unregister((Group, Authenticator, EmailAddress, SocialAccount, SocialApp, SocialToken))


class PersonForm(ReasonForm, UserChangeForm):  # type: ignore[type-arg]
    """Django's own form of an account, which asks why."""


@site.register_step(60)
def people() -> Step:
    return Step(
        _("Colleagues with roles"),
        _("Each with a mail address, or nobody is warned. Save the account first; its page then asks for the role."),
        User.objects.filter(is_active=True, is_staff=True, groups__isnull=False),
        "config.add_user",
        lambda user: prefilled(reverse("admin:config_user_add"), time_zone=user.time_zone, language=user.language),
    )


class ActForColleague(ActForm):
    """What an administrator does for somebody about the ways in which they sign in."""

    subject: User
    permission = "config.change_user"
    needs_proof = True
    reason = reason_field(help_text=_("Who asked for it, and how you know that it was them. Kept in the audit trail."))

    @classmethod
    def is_in_scope(cls, subject: User, by: Any) -> bool:
        """An administrator cannot take over an account that may do everything."""
        return by.is_superuser or not subject.is_superuser


class ResetFactors(ActForColleague):
    slug = "reset-second-factor"
    label = _("Reset second factor")

    @classmethod
    def is_lawful(cls, subject: User) -> bool:
        return factors.of(subject).exists()

    def explanation(self) -> Any:
        return _("The password alone then signs them in, until they have added another.")

    def act(self, *, now: dt.datetime) -> Done:
        factors.reset(self.subject, by=self.by, **self.cleaned_data)
        return Done(_("The second factor is reset."))


class Unlink(ActForColleague):
    slug = "unlink-single-sign-on"
    label = _("Unlink single sign-on")

    @classmethod
    def is_lawful(cls, subject: User) -> bool:
        return single_sign_on.is_linked(subject)

    def explanation(self) -> Any:
        return _("Whoever has their mail address at the provider then becomes them at the next sign-in.")

    def act(self, *, now: dt.datetime) -> Done:
        single_sign_on.unlink(self.subject, by=self.by, **self.cleaned_data)
        return Done(_("Single sign-on is unlinked."))


class EndSessions(ActForColleague):
    slug = "end-sessions"
    label = _("End all sessions")

    @classmethod
    def is_lawful(cls, subject: User) -> bool:
        return bool(sessions.of(subject))

    @classmethod
    def is_in_scope(cls, subject: User, by: Any) -> bool:
        """One's own are ended in the settings, where this one is left."""
        return super().is_in_scope(subject, by) and bool(subject != by)

    def explanation(self) -> Any:
        return _("They are signed out everywhere, and may sign in again.")

    def act(self, *, now: dt.datetime) -> Done:
        sessions.end_all(self.subject, by=self.by, **self.cleaned_data)
        return Done(_("All of their sessions are ended."))


#: Tables below the form of a person, which floors above add.
INLINES: list[type[admin.TabularInline[Any, Any]]] = []


@admin.register(User)
class PersonAdmin(AuditedModelAdmin, UserAdmin):  # type: ignore[type-arg, misc]  # Django's forms, our base
    """People who sign in, with their roles. Somebody who leaves is deactivated, never deleted."""

    form = PersonForm
    acts = (ResetFactors, Unlink, EndSessions)
    instead_of_deleting = _("Take the tick from “Active” on the page of somebody who leaves.")
    list_display = ("username", "first_name", "last_name", "email", "is_active", "time_zone")
    list_filter = ("is_active", "groups")
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (_("Person"), {"fields": ("first_name", "last_name", "email", "time_zone", "language")}),
        (_("Role"), {"fields": ("is_active", "is_staff", "groups")}),
    )
    add_fieldsets = (
        (
            None,
            {
                "fields": (
                    "username",
                    "first_name",
                    "last_name",
                    "email",
                    "time_zone",
                    "language",
                    "usable_password",
                    "password1",
                    "password2",
                )
            },
        ),
    )

    @method_decorator(proof.required_to_act)
    def change_view(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        return super().change_view(request, *args, **options)

    @method_decorator(proof.required_to_act)
    def user_change_password(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        """Whoever sets the password of another may sign in as them."""
        return super().user_change_password(request, *args, **options)

    def get_fieldsets(self, request: HttpRequest, obj: models.Model | None = None) -> Any:
        """Whoever may only read has no use for what Django shows of the password, a way to set another."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return fieldsets
        return [
            (name, {**options, "fields": [field for field in options["fields"] if field != "password"]})
            for name, options in fieldsets
        ]

    def get_inlines(self, request: HttpRequest, obj: models.Model | None) -> Any:
        """A new account is saved first, as its role is given afterwards, too."""
        return [] if obj is None else INLINES

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """There are four roles: boxes to tick say more than lists to move them between."""
        return super().formfield_for_manytomany(db_field, request, **options, widget=forms.CheckboxSelectMultiple)

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """An administrator cannot take over an account that may do everything."""
        if isinstance(obj, User) and obj.is_superuser and not request.user.is_superuser:
            return False
        return super().has_change_permission(request, obj)
