"""The base of every admin in the product, and the admin of people."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.functional import Promise, cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator, capfirst
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from simple_history.admin import SimpleHistoryAdmin
from simple_history.template_utils import HistoricalRecordContextHelper

from config import instants, times
from config.first_steps import MARK, Step, prefilled
from config.forms import NATIVE_INPUTS, ActForm, add_refusal
from config.history import Caller, acting
from config.meanwhile import Change, Changed, Reading
from config.models import Export, User
from config.navigation import Entry, Part
from config.search import FoundByWords
from config.site import site

EDITS_TOLD = 50  # rows of a trail that are compared to say what changed meanwhile
READING_METHODS = ("GET", "HEAD")
ACTING_METHODS = (*READING_METHODS, "POST")


# ── how values are shown ────────────────────────────────────────────────────────────────────────────────────────────


def badge(text: str | Promise, tone: str, sign: str) -> SafeString:
    """A word with a sign and a colour: readable without seeing the colour."""
    return format_html(
        '<span class="badge badge-{}"><span class="badge-sign" aria-hidden="true">{}</span> {}</span>', tone, sign, text
    )


def both_zones(instant: dt.datetime, zone_name: str) -> SafeString:
    """An instant in the reader's zone, and below it in the client's."""
    return format_html(
        '<time datetime="{}">{}</time><br><small>{} <span class="nowrap">{}</span></small>',
        instant.isoformat(),
        times.for_reader(instant),
        _now("for the client"),
        times.in_zone(instant, zone_name),
    )


@functools.cache
def zoned(model: type[models.Model], name: str) -> Callable[[models.Model], str]:
    """A column or read-only field that shows an instant with its zone; the same object for the same field."""
    field = model._meta.get_field(name)

    def show(obj: models.Model) -> str:
        value = getattr(obj, name)
        return times.for_reader(value) if value else "–"

    show.__name__ = f"{name}_zoned"
    return admin.display(show, description=capfirst(field.verbose_name), ordering=name)  # type: ignore[union-attr]


class ReadableChanges(HistoricalRecordContextHelper):  # type: ignore[misc]  # the library ships no types
    """Shows a change as people read it: labels of choices, yes and no, instants with their zone."""

    def prepare_delta_change_value(self, change: Any, value: Any) -> Any:
        value = super().prepare_delta_change_value(change, value)
        field = self.model._meta.get_field(change.field)
        if value is None or value == "" or value == []:
            return "–"
        if labels := dict(getattr(field, "flatchoices", ())):
            return labels.get(value, value)
        if isinstance(value, dt.datetime):
            return times.for_reader(value)
        if isinstance(value, bool):
            return _now("yes") if value else _now("no")
        return value


def edits_since(read: int, trail: Any) -> list[Change]:
    """What people changed after this row of one object's trail, field by field, the latest last."""
    rows = list(trail.filter(history_id__gte=read).order_by("history_id")[:EDITS_TOLD])
    return [edit_between(before, after) for before, after in pairwise(rows) if after.caller != Caller.WORKER]


def edit_between(before: Any, after: Any) -> Change:
    """Two history rows of one object, as people read the difference."""
    shown = ReadableChanges(type(after.instance), after)
    said = []
    for change in after.diff_against(before, foreign_keys_are_objs=True).changes:
        old, new = (
            Truncator(shown.prepare_delta_change_value(change, value)).chars(60) for value in (change.old, change.new)
        )
        label = capfirst(type(after.instance)._meta.get_field(change.field).verbose_name)
        said.append(_now("%(field)s: %(old)s → %(new)s.") % {"field": label, "old": old, "new": new})
    return Change(
        after.actor_name, after.history_date, " ".join(said), after.history_change_reason or "", after.request_id
    )


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts no further than CAP, so that a list of a million rows opens as fast as one of a thousand."""

    CAP = 10_000

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[: self.CAP].count())

    @property
    def is_capped(self) -> bool:
        """Whether there may be more than were counted."""
        return self.count >= self.CAP


# ── why ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


class AsReadField(forms.CharField):
    """Carries what the page had shown; nobody types it."""

    widget = forms.HiddenInput

    def has_changed(self, initial: Any, data: Any) -> bool:
        return False


class ReasonForm(forms.ModelForm):  # type: ignore[type-arg]
    """Asks why: the answer goes into the audit trail with every row that the save writes.

    Refuses once to save over what somebody else has changed since the page was opened, and says what that was.
    """

    reason = forms.CharField(
        label=_("Reason for the change"),
        required=False,
        max_length=1000,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text=_("Kept in the audit trail. Required when something changes."),
    )
    as_read = AsReadField(required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["as_read"].initial = self._sealed  # asked only when it is shown

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        self._refuse_if_changed()
        if self._is_change() and not self.cleaned_data.get("reason", "").strip() and "reason" not in self.errors:
            self.add_error("reason", _("Say why this is changed; the reason is kept in the audit trail."))
        return cleaned

    def _is_change(self) -> bool:
        """Whether something that is already kept becomes different, here or (told by the admin) in a table below."""
        if self.instance._state.adding:
            return False
        typed = set(self.changed_data) - {"reason"}
        return bool(typed) or getattr(self.instance, "has_changed_parts", False)

    @property
    def _about(self) -> str:
        return f"{self.instance._meta.label} {self.instance.pk}"

    def _sealed(self) -> str:
        return "" if self.instance._state.adding else Reading.of(self.instance.history.all()).sealed(self._about)

    def _refuse_if_changed(self) -> None:
        sealed = self.cleaned_data.get("as_read", "")
        if not sealed or not self._is_change():
            return  # what was typed is so already
        try:
            (read,) = Reading.unsealed(sealed, self._about).latest
        except ValidationError as error:
            self.add_error(None, error)
            return
        same = type(self.instance)._base_manager.filter(pk=self.instance.pk)
        list(same.select_for_update().values_list("pk"))  # whoever else saves this now waits until we have
        if changes := edits_since(read, self.instance.history.all()):
            self.add_error(None, Changed.by(changes))
            self._show_theirs(read)

    def _show_theirs(self, read: int) -> None:
        """What this person left alone takes the value that it has now; what they typed stays, theirs or not."""
        as_read = self.instance.history.filter(history_id=read).first()
        self.data = data = cast("QueryDict", self.data).copy()
        data[self.add_prefix("as_read")] = self._sealed()
        for column in self._meta.model._meta.concrete_fields:
            name, widget = column.name, getattr(self.fields.get(column.name), "widget", None)
            if widget is None or isinstance(widget, forms.MultiWidget) or not hasattr(as_read, column.attname):
                continue
            bound = self[name]
            if bound.field.has_changed(getattr(as_read, column.attname), bound.data):
                continue
            now = bound.field.prepare_value(self.initial.get(name))
            if isinstance(widget, forms.CheckboxInput):
                data.setlist(bound.html_name, ["on"] if now else [])
            else:
                shown = widget.format_value(now)
                data[bound.html_name] = shown[0] if isinstance(shown, list) else shown or ""


# ── the base ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Button:
    """A link to the page of an act that is lawful now."""

    label: str | Promise
    url: str
    slug: str


class AuditedModelAdmin(SimpleHistoryAdmin):  # type: ignore[misc]  # the library ships no types
    """Base of every admin: asks for a reason, shows history that nobody can write through, deletes nothing.

    The history page of one version is for reading only. The library takes a POST there as an edit of the live record,
    from anybody who may view it and whatever its settings say.

    `acts` are the verbs of the model: each has its page at `<id>/<slug>/` and its button on the change page.
    """

    form = ReasonForm
    formfield_overrides = NATIVE_INPUTS
    object_history_list_template = "admin/history_list.html"
    paginator = CappedPaginator
    show_full_result_count = False
    list_per_page = 50
    acts: Sequence[type[ActForm]] = ()
    #: Models whose rows nobody adds or changes by hand set this; verbs and workers write them.
    is_read_only = False

    # history

    def history_form_view(
        self, request: HttpRequest, object_id: str, version_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method not in READING_METHODS:
            return HttpResponseNotAllowed(READING_METHODS)
        if not (object_id.isdecimal() and version_id.isdecimal()):
            raise Http404
        request.is_reading_history = True  # type: ignore[attr-defined]
        context = {"change_history": False, **(extra_context or {})}
        return super().history_form_view(request, object_id, version_id, context)  # type: ignore[no-any-return]

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method not in READING_METHODS:
            return HttpResponseNotAllowed(READING_METHODS)
        if not object_id.isdecimal():
            raise Http404
        return super().history_view(request, object_id, extra_context)  # type: ignore[no-any-return]

    def history_view_title(self, request: HttpRequest, obj: models.Model) -> str:
        return _now("History of %(object)s") % {"object": obj}

    def history_form_view_title(self, request: HttpRequest, obj: models.Model) -> str:
        return _now("Earlier version of %(object)s") % {"object": obj}

    def revert_disabled(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return True

    def get_historical_record_context_helper(self, request: HttpRequest, record: Any) -> ReadableChanges:
        return ReadableChanges(self.model, record)

    # who may do what

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return not self.is_read_only and bool(super().has_add_permission(request))

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return not self.is_read_only and bool(super().has_change_permission(request, obj))

    # the form

    def get_fieldsets(self, request: HttpRequest, obj: models.Model | None = None) -> Any:
        """The reason comes last, and only where something can be changed. What is only read shows its zones."""
        fieldsets = [
            (name, {**options, "fields": _without_reason(options["fields"])})
            for name, options in super().get_fieldsets(request, obj)
        ]
        if obj is None:
            return fieldsets
        if _is_reading_history(request) or not self.has_change_permission(request, obj):
            return [(name, {**options, "fields": self._with_zones(options["fields"])}) for name, options in fieldsets]
        return [*fieldsets, (None, {"fields": ["reason", "as_read"]})]

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> Any:
        if _is_reading_history(request):
            return flatten_fieldsets(self.get_fieldsets(request, obj))
        return super().get_readonly_fields(request, obj)

    def _with_zones(self, fields: Sequence[Any]) -> list[Any]:
        instants = {f.name for f in self.model._meta.get_fields() if isinstance(f, models.DateTimeField)}
        return [zoned(self.model, name) if name in instants else name for name in fields]

    def changeform_view(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        with acting(reason=request.POST.get("reason", "").strip()):
            return super().changeform_view(request, *args, **options)  # type: ignore[no-any-return]

    def _create_formsets(self, request: HttpRequest, obj: models.Model, change: bool) -> Any:
        """Tells the form, which is checked after this, whether a row of the tables below it changes."""
        formsets, inlines = super()._create_formsets(request, obj, change)
        if request.method == "POST":
            obj.has_changed_parts = any(row.has_changed() for formset in formsets for row in formset)  # type: ignore[attr-defined]
        return formsets, inlines

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Writes only what was typed, onto the row as it is now: a verb that ran meanwhile is not undone."""
        if not change:
            obj.save()
            return
        current = self.model._default_manager.select_for_update().get(pk=obj.pk)
        typed = {field.name for field in self.model._meta.concrete_fields} & set(form.changed_data)
        for name in typed:
            setattr(current, name, getattr(obj, name))
        current.save()

    # the list

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {"title": capfirst(self.opts.verbose_name_plural), **(extra_context or {})}
        return super().changelist_view(request, context)  # type: ignore[no-any-return]

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        """As the model's own QuerySet searches, where it does; Django's way joins and differs between databases."""
        if isinstance(queryset, FoundByWords):
            return queryset.search(search_term), False
        return super().get_search_results(request, queryset, search_term)  # type: ignore[no-any-return]

    # the acts

    def get_acts(self) -> Sequence[type[ActForm]]:
        return self.acts

    def get_urls(self) -> list[URLPattern]:
        return [self._act_url(form_class) for form_class in self.get_acts()] + list(super().get_urls())

    def _act_url(self, form_class: type[ActForm]) -> URLPattern:
        view: Any = self.admin_site.admin_view(functools.partial(self.act_view, form_class=form_class))
        name = f"{self.opts.app_label}_{self.opts.model_name}_{form_class.slug}"
        pattern: URLPattern = path(f"<int:object_id>/{form_class.slug}/", view, name=name)
        return pattern

    def buttons(self, request: HttpRequest, obj: models.Model) -> list[Button]:
        """The acts that are lawful now and that this person may do."""
        return [
            Button(act.label, act_url(obj, act.slug), act.slug)
            for act in self.get_acts()
            if request.user.has_perm(act.permission) and act.is_lawful(obj)
        ]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Read once for a page that only shows it, however many parts of the page ask for it."""
        kept: dict[Any, Any] = request.__dict__.setdefault("kept_objects", {})
        key = (self.model, object_id, from_field)
        if key not in kept or request.method not in READING_METHODS:
            kept[key] = super().get_object(request, object_id, from_field)
        return kept[key]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not object_id.isdecimal():
            raise Http404
        context = extra_context or {}
        if "buttons" not in context:
            obj = self.get_object(request, object_id) if self.get_acts() else None
            context = {"buttons": self.buttons(request, obj) if obj is not None else [], **context}
        return super().change_view(request, object_id, form_url, context)  # type: ignore[no-any-return]

    def act_view(self, request: HttpRequest, object_id: int, form_class: type[ActForm]) -> HttpResponse:
        """The page of one verb: GET shows its form, POST does it; a refusal is shown on the form as it was typed."""
        if request.method not in ACTING_METHODS:
            return HttpResponseNotAllowed(ACTING_METHODS)
        if not request.user.has_perm(form_class.permission):
            raise PermissionDenied
        obj = self.get_object(request, str(object_id))
        if obj is None:
            raise Http404
        if request.method != "POST" and not form_class.is_lawful(obj):
            refusal = _now("“%(act)s” is not possible now.") % {"act": form_class.label}
            self.message_user(request, refusal, messages.WARNING)
            return HttpResponseRedirect(page_of(obj))
        return self.show_act(request, form_class, obj, title=f"{form_class.label}: {obj}", cancel_url=page_of(obj))

    # setting the system up

    def response_post_save_add(self, request: HttpRequest, obj: models.Model) -> HttpResponse:
        address = self._to_next_step(request)
        return HttpResponseRedirect(address) if address else super().response_post_save_add(request, obj)

    def response_post_save_change(self, request: HttpRequest, obj: models.Model) -> HttpResponse:
        address = self._to_next_step(request)
        return HttpResponseRedirect(address) if address else super().response_post_save_change(request, obj)

    def _to_next_step(self, request: HttpRequest) -> str:
        """The board, for whoever came from the guide there."""
        return reverse("admin:index") if MARK in request.GET else ""

    def show_act(
        self, request: HttpRequest, form_class: type[ActForm], subject: Any, *, title: str, cancel_url: str
    ) -> HttpResponse:
        form = form_class(
            request.POST if request.method == "POST" else None,
            subject=subject,
            by=request.user,  # type: ignore[arg-type]  # the site lets nobody in who is not signed in
            initial={name: request.GET[name] for name in form_class.presets if name in request.GET},
        )
        if request.method == "POST" and form.is_valid():
            try:
                done = form.do(now=instants.now())
            except ValidationError as error:
                add_refusal(form, error)
            else:
                self.message_user(request, done.message, done.level)
                if not done.stays:
                    return HttpResponseRedirect(done.then or self._to_next_step(request) or cancel_url)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "media": form.media,
            "title": title,
            "subject": subject,
            "cancel_url": cancel_url,
            "form": form,
        }
        return TemplateResponse(request, form.page, context)


def act_url(obj: models.Model, slug: str) -> str:
    """The address of the page where this is done to that."""
    return reverse(f"admin:{obj._meta.app_label}_{obj._meta.model_name}_{slug}", args=[obj.pk])


def page_of(obj: models.Model) -> str:
    return reverse(f"admin:{obj._meta.app_label}_{obj._meta.model_name}_change", args=[obj.pk])


def list_of(model: type[models.Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def link(obj: models.Model, text: str | None = None) -> SafeString:
    return format_html('<a href="{}">{}</a>', page_of(obj), text or str(obj))


def _is_reading_history(request: HttpRequest) -> bool:
    return getattr(request, "is_reading_history", False)


def _without_reason(fields: Sequence[Any]) -> list[Any]:
    return [field for field in fields if field not in ("reason", "as_read")]


# ── people ──────────────────────────────────────────────────────────────────────────────────────────────────────────

admin.site.unregister(Group)  # roles are made by migrations; people get them on their own page


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


@admin.register(User)
class PersonAdmin(AuditedModelAdmin, UserAdmin):  # type: ignore[type-arg, misc]  # Django's forms, our base
    """People who sign in, with their roles. Somebody who leaves is deactivated, never deleted."""

    form = PersonForm
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

    def get_fieldsets(self, request: HttpRequest, obj: models.Model | None = None) -> Any:
        """Whoever may only read has no use for what Django shows of the password, a way to set another."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return fieldsets
        return [
            (name, {**options, "fields": [field for field in options["fields"] if field != "password"]})
            for name, options in fieldsets
        ]

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """There are four roles: boxes to tick say more than lists to move them between."""
        return super().formfield_for_manytomany(db_field, request, **options, widget=forms.CheckboxSelectMultiple)

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """An administrator cannot take over an account that may do everything."""
        if isinstance(obj, User) and obj.is_superuser and not request.user.is_superuser:
            return False
        return super().has_change_permission(request, obj)


# ── what was exported ───────────────────────────────────────────────────────────────────────────────────────────────


@admin.register(Export)
class ExportAdmin(AuditedModelAdmin):
    """Who took which list out of the house, and what a file must be like to be that one."""

    is_read_only = True
    list_display = (zoned(Export, "at"), "by", "list_name", "query", "rows", "sha256")
    list_select_related = ("by",)
    search_fields = ("sha256",)
    search_help_text = _("SHA-256 of a file, or its beginning")
    fields = ("at", "by", "list_name", "query", "rows", "sha256")
    readonly_fields = ("list_name",)

    @admin.display(description=_("list"), ordering="listed")
    def list_name(self, export: Export) -> str:
        return export.list_name

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        return queryset.filter(sha256__startswith=search_term.strip().lower()), False


site.register_entries(
    Entry(_("People"), "admin:config_user_changelist", "config.view_user", Part.OVERSIGHT),
    Entry(_("Exports"), "admin:config_export_changelist", "config.view_export", Part.OVERSIGHT),
)
