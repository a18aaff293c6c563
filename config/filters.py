"""Lists: filtered with django-filter, with ready tabs, an export and acts on many rows.

The filter's form stands above the results and lives in the address; tabs are ordinary addresses of that form.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import django_filters
from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IS_POPUP_VAR, IncorrectLookupParameters
from django.contrib.admin.views.main import PAGE_VAR, SEARCH_VAR, ChangeList
from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import Q
from django.forms.renderers import BaseRenderer
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now

from config import bulk, exports, instants, proof, scope, turns
from config.admin import AuditedModelAdmin, list_of
from config.forms import DayField, DayInput
from config.models import User

# ── filters ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class DayFilter(django_filters.DateFilter):  # type: ignore[misc]  # the library ships no types
    """Instants from the start of a day on, or up to its end, in the reader's zone; an index can serve it."""

    field_class = DayField

    def __init__(self, field_name: str, *, label: str | Promise, is_end: bool = False) -> None:
        super().__init__(field_name=field_name, label=label, widget=DayInput)
        self.is_end = is_end

    def filter(self, queryset: models.QuerySet[Any], value: dt.date | None) -> models.QuerySet[Any]:
        if value is None:
            return queryset
        day = value + dt.timedelta(days=1) if self.is_end else value
        midnight = timezone.make_aware(dt.datetime.combine(day, dt.time.min))
        return queryset.filter(**{f"{self.field_name}__{'lt' if self.is_end else 'gte'}": midnight})


def days(field_name: str, *, since: str | Promise, until: str | Promise) -> tuple[DayFilter, DayFilter]:
    """The days between which an instant lies, both of them included, under these labels."""
    return DayFilter(field_name, label=since), DayFilter(field_name, label=until, is_end=True)


class TickFilter(django_filters.BooleanFilter):  # type: ignore[misc]  # the library ships no types
    """A box to tick; not ticked, it asks for nothing."""

    def __init__(self, **options: Any) -> None:
        super().__init__(widget=forms.CheckboxInput, **options)


class NameInput(forms.TextInput):
    """A name, typed; suggest.js offers those that there are. A key in the address is shown as its name."""

    class Media:
        js = (forms.Script("due_notice/suggest.js", type="module"),)

    def __init__(self, source: models.ForeignKey[Any, Any], attrs: dict[str, Any] | None = None) -> None:
        super().__init__({"autocomplete": "off", "maxlength": 200, **(attrs or {})})
        self.source = source
        self.reader: Any = None  # who reads it, which the filter says

    def format_value(self, value: Any) -> str | None:
        found = _by_key(self.source.related_model, value, self.reader)
        return str(found) if found is not None else super().format_value(value)

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: BaseRenderer | None = None
    ) -> SafeString:
        names = f"{(attrs or {}).get('id') or name}-names"
        drawn = super().render(name, value, {**(attrs or {}), "list": names, "data-suggest": self._address()}, renderer)
        return format_html('{}<datalist id="{}"></datalist>', drawn, names)

    def _address(self) -> str:
        """Where the admin answers with names, to whoever may see them."""
        opts = self.source.model._meta
        asked = {"app_label": opts.app_label, "model_name": str(opts.model_name), "field_name": self.source.name}
        return f"{reverse('admin:autocomplete')}?{urlencode(asked)}"


def _by_key(model: Any, value: Any, reader: Any) -> models.Model | None:
    text = str(value or "")
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        return None
    found: models.Model | None = scope.visible(model._default_manager.filter(pk=text), reader).first()
    return found


#: Narrows a queryset to what belongs to one of these keys.
Reach = Callable[[Any, list[Any]], models.QuerySet[Any]]


class NameFilter(django_filters.CharFilter):  # type: ignore[misc]  # the library ships no types
    """Rows that belong to whatever is called that; a list to choose from would be endless.

    `source` is the foreign key that says what is meant, and that suggestions are asked of; `reach` narrows where the
    rows themselves have no such key. A name that fits exactly goes before those that have its words.
    """

    def __init__(
        self, source: models.ForeignKey[Any, Any], *, label: str | Promise, reach: Reach | None = None, **options: Any
    ) -> None:
        self.source = source
        self.reach: Reach = reach or (lambda queryset, keys: queryset.filter(**{f"{source.name}__in": keys}))
        super().__init__(label=label, widget=NameInput(source), max_length=200, **options)

    @property
    def field(self) -> forms.Field:
        found: forms.Field = super().field
        found.widget.reader = self.parent.request.user
        return found

    def filter(self, queryset: models.QuerySet[Any], value: str | None) -> models.QuerySet[Any]:
        return self.reach(queryset, self.keys(value)) if value else queryset

    def keys(self, value: str) -> list[Any]:
        model: Any = self.source.related_model
        reader = self.parent.request.user
        found = _by_key(model, value, reader)
        if found is not None:
            return [found.pk]
        return list(
            self.named(scope.visible(model._default_manager.all(), reader), value)
            .order_by()
            .values_list("pk", flat=True)
        )

    def named(self, queryset: Any, value: str) -> models.QuerySet[Any]:
        return queryset.named(value)  # type: ignore[no-any-return]


class PersonFilter(NameFilter):
    """Rows that belong to a colleague, by a part of the name or login, or as lists name them; `me` is whoever reads."""

    ME = "me"

    def keys(self, value: str) -> list[Any]:
        return [self.parent.request.user.pk] if value == self.ME else super().keys(value)

    def named(self, queryset: Any, value: str) -> models.QuerySet[Any]:
        as_listed = value.rpartition("(")[2].removesuffix(")")  # "Olga Petrova (olga)", as suggestions have it
        exact = queryset.filter(username=as_listed)
        if exact.exists():
            return exact  # type: ignore[no-any-return]
        for word in value.split():
            parts = ("username", "first_name", "last_name")
            found = (Q(**{f"{part}__icontains": word}) for part in parts)
            queryset = queryset.filter(next(found) | next(found) | next(found))
        return queryset  # type: ignore[no-any-return]


# ── tabs ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Tab:
    """A ready choice of filters, under a name."""

    label: str | Promise
    filters: Mapping[str, str]
    when_empty: str | Promise = ""  # said where it leads to nothing


@dataclass(frozen=True)
class ShownTab:
    label: str | Promise
    url: str
    is_current: bool
    when_empty: str | Promise = ""


def _typed(request: HttpRequest) -> dict[str, str]:
    """What the address asks for, besides the page."""
    return {name: str(value) for name, value in request.GET.items() if value and name not in (PAGE_VAR, IS_POPUP_VAR)}


def shown_tabs(tabs: Sequence[Tab], request: HttpRequest) -> list[ShownTab]:
    """Each keeps what else is chosen; the present one is the one whose filters are those in the address."""
    names = {name for tab in tabs for name in tab.filters}
    typed = _typed(request)
    chosen = {name: value for name, value in typed.items() if name in names}
    others = {name: value for name, value in typed.items() if name not in names}
    return [
        ShownTab(tab.label, f"?{urlencode(others | dict(tab.filters))}", tab.filters == chosen, tab.when_empty)
        for tab in tabs
    ]


# ── the list ────────────────────────────────────────────────────────────────────────────────────────────────────────


class FilteredChangeList(ChangeList):
    """Leaves the filter's own parameters to the FilterSet."""

    filterset: django_filters.FilterSet
    model_admin: FilteredAdmin

    def get_filters_params(self, params: dict[str, Any] | None = None) -> dict[str, Any]:
        own = self.model_admin.filterset_class.base_filters
        return {name: value for name, value in super().get_filters_params(params).items() if name not in own}

    def get_queryset(self, request: HttpRequest, *args: Any, **options: Any) -> models.QuerySet[Any]:
        found = super().get_queryset(request, *args, **options)
        self.filterset = self.model_admin.filterset_class(request.GET, queryset=found, request=request)
        return self.filterset.qs  # type: ignore[no-any-return]

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = self.model_admin.with_columns(self.result_list, request.user)


class FilteredAdmin(AuditedModelAdmin):
    """An admin whose list is filtered by `filterset_class`."""

    filterset_class: type[Any]
    tabs: Sequence[Tab] = ()
    #: Fields and functions of a row (config/exports.py) that stand in the file; without any there is no export.
    export_columns: Sequence[str | Callable[[Any], object]] = ()
    #: What can be done to many rows.
    bulk_forms: Sequence[type[bulk.BulkForm]] = ()
    change_list_template = "admin/filtered_list.html"

    def with_columns(self, rows: models.QuerySet[Any], reader: Any) -> models.QuerySet[Any]:
        """With what columns show of other tables, in a fixed number of queries; asked for what is shown alone."""
        return rows

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return FilteredChangeList

    def get_actions(self, request: HttpRequest) -> Any:
        return {} if IS_POPUP_VAR in request.GET else bulk.actions(self.bulk_forms, request)

    def action_checkbox(self, obj: models.Model) -> SafeString:
        """As Django's, without rendering a template for each row, which is a tenth of the time of a list."""
        label = _now("Select this object for an action - %(object)s") % {"object": obj}
        return format_html(
            '<input type="checkbox" name="{}" value="{}" class="action-select" aria-label="{}">',
            ACTION_CHECKBOX_NAME,
            obj.pk,
            label,
        )

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        tabs = shown_tabs(self.tabs, request)
        context = {
            "filters_set": sum(bool(request.GET.get(n)) for n in (*self.filterset_class.base_filters, SEARCH_VAR)),
            "tabs": tabs,
            "when_empty": next((tab.when_empty for tab in tabs if tab.is_current), ""),
            **(extra_context or {}),
        }
        if self.export_columns:
            context["export_url"] = f"{reverse(f'admin:{self._export_name}')}?{urlencode(_typed(request))}"
        return super().changelist_view(request, context)

    # the export

    @property
    def _export_name(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_export"

    def get_urls(self) -> list[URLPattern]:
        urls = super().get_urls()
        if not self.export_columns:
            return urls
        view: Any = self.admin_site.admin_view(proof.required(turns.one_at_a_time(self.export_view)))
        return [path("export/", view, name=self._export_name), *urls]

    def export_view(self, request: HttpRequest) -> HttpResponse | Any:
        """The rows that the list has under the same address, for whoever may see the list."""
        if request.method != "GET":
            return HttpResponseNotAllowed(["GET"])
        if not self.has_view_permission(request):
            raise PermissionDenied
        by: User = request.user  # type: ignore[assignment]  # the site lets nobody in who is not signed in
        columns = [exports.column(self.model, entry) for entry in self.export_columns]
        try:
            listed = self.get_changelist_instance(request)
            rows = self.with_columns(listed.queryset, by)
            return exports.export(rows, columns, query=request.GET.urlencode(), by=by, now=instants.now())
        except IncorrectLookupParameters:
            return HttpResponseRedirect(list_of(self.model))
        except exports.TooMany as refusal:
            self.message_user(request, refusal.message, messages.WARNING)
            return HttpResponseRedirect(f"{list_of(self.model)}?{request.GET.urlencode()}")
