"""The base of every admin in the product."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import flatten_fieldsets
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.functional import Promise, cached_property
from django.utils.text import capfirst
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from config import instants, proof, scope
from config.admin.histories import READING_METHODS, HistoryPages
from config.admin.reasons import ReasonForm
from config.admin.removed import set_aside
from config.admin.values import act_url, erasable, page_of, zoned
from config.first_steps import MARK
from config.forms import NATIVE_INPUTS, ActForm, add_refusal
from config.history import acting
from config.search import FoundByWords

ACTING_METHODS = (*READING_METHODS, "POST")


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


@dataclass(frozen=True)
class Button:
    """A link to the page of an act that is lawful now."""

    label: str | Promise
    url: str
    slug: str


class AuditedModelAdmin(HistoryPages):
    """Base of every admin: asks for a reason, shows history that nobody can write through, deletes nothing.

    The history page of one version is for reading only. The library takes a POST there as an edit of the live record,
    from anybody who may view it and whatever its settings say.

    `acts` are the verbs of the model: each has its page at `<id>/<slug>/` and its button on the change page.
    """

    form = ReasonForm
    formfield_overrides = NATIVE_INPUTS
    paginator = CappedPaginator
    show_full_result_count = False
    list_per_page = 50
    acts: Sequence[type[ActForm]] = ()
    #: Models whose rows nobody adds or changes by hand set this; verbs and workers write them.
    is_read_only = False
    #: Said to whoever asks for a row to be deleted.
    instead_of_deleting: str | Promise = _("What is wrong is corrected with a reason; what is over is ended or closed.")

    # history

    def history_form_view(
        self, request: HttpRequest, object_id: str, version_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method not in READING_METHODS:
            return HttpResponseNotAllowed(READING_METHODS)
        if not (object_id.isdecimal() and version_id.isdecimal()) or self._is_out_of_scope(request, object_id):
            raise Http404
        request.is_reading_history = True  # type: ignore[attr-defined]
        context = {"change_history": False, **(extra_context or {})}
        return super().history_form_view(request, object_id, version_id, context)  # type: ignore[no-any-return]

    def history_view_title(self, request: HttpRequest, obj: models.Model) -> str:
        return _now("History of %(object)s") % {"object": obj}

    def history_form_view_title(self, request: HttpRequest, obj: models.Model) -> str:
        return _now("Earlier version of %(object)s") % {"object": obj}

    def revert_disabled(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return True

    # who sees what (config/scope.py)

    def get_queryset(self, request: HttpRequest) -> Any:
        return scope.visible(super().get_queryset(request), request.user)

    def get_history_queryset(self, request: HttpRequest, *args: Any, **options: Any) -> models.QuerySet[Any]:
        return scope.visible(super().get_history_queryset(request, *args, **options), request.user)

    def get_field_queryset(self, db: Any, db_field: Any, request: HttpRequest) -> models.QuerySet[Any] | None:
        """What a field offers, and takes."""
        offered: models.QuerySet[Any] | None = super().get_field_queryset(db, db_field, request)
        if scope.clients_of(request.user) is None:
            return offered
        everything = db_field.remote_field.model._default_manager.all()
        return scope.visible(everything if offered is None else offered, request.user)

    def _is_out_of_scope(self, request: HttpRequest, object_id: str) -> bool:
        """The library shows the history of what the list does not have, as of what was deleted."""
        return scope.clients_of(request.user) is not None and self.get_object(request, object_id) is None

    # who may do what

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        refusal = _now("Nothing is deleted here, so that the audit trail stays whole. %(instead)s")
        raise PermissionDenied(refusal % {"instead": self.instead_of_deleting})

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
        personal = set(getattr(self.model, "PERSONAL", ()))
        return [
            zoned(self.model, name) if name in instants else erasable(self.model, name) if name in personal else name
            for name in fields
        ]

    def changeform_view(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        request.POST = request.POST.copy()  # type: ignore[assignment]  # the form and its tables read the same
        with acting(reason=request.POST.get("reason", "").strip()):
            return super().changeform_view(request, *args, **options)  # type: ignore[no-any-return]

    def _create_formsets(self, request: HttpRequest, obj: models.Model, change: bool) -> Any:
        """Tells the form, which is shown and checked after this, of the tables below it."""
        formsets, inlines = super()._create_formsets(request, obj, change)
        obj.tables_below = formsets  # type: ignore[attr-defined]
        return formsets, inlines

    def get_formset_kwargs(self, request: HttpRequest, obj: Any, inline: Any, prefix: str) -> dict[str, Any]:
        """What a colleague has removed since the page was opened is in the way of nobody who saves the rest."""
        if request.method == "POST" and not obj._state.adding:
            may_mark = inline.can_delete and inline.has_delete_permission(request, obj)
            was_removed = set_aside(request.POST, prefix, inline.get_queryset(request), may_mark=may_mark)
            obj.has_lost_rows = was_removed or getattr(obj, "has_lost_rows", False)
        return super().get_formset_kwargs(request, obj, inline, prefix)  # type: ignore[no-any-return]

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
            return queryset.search(search_term, request.user), False
        return super().get_search_results(request, queryset, search_term)  # type: ignore[no-any-return]

    # the acts

    def get_acts(self) -> Sequence[type[ActForm]]:
        return self.acts

    def get_urls(self) -> list[URLPattern]:
        return [self._act_url(form_class) for form_class in self.get_acts()] + list(super().get_urls())

    def _act_url(self, form_class: type[ActForm]) -> URLPattern:
        act: Any = functools.partial(self.act_view, form_class=form_class)
        view: Any = self.admin_site.admin_view(proof.required_to_act(act) if form_class.needs_proof else act)
        name = f"{self.opts.app_label}_{self.opts.model_name}_{form_class.slug}"
        pattern: URLPattern = path(f"<int:object_id>/{form_class.slug}/", view, name=name)
        return pattern

    def buttons(self, request: HttpRequest, obj: models.Model) -> list[Button]:
        """The acts that are lawful now and that this person may do."""
        return [
            Button(act.label, act_url(obj, act.slug), act.slug)
            for act in self.get_acts()
            if request.user.has_perm(act.permission) and act.is_lawful(obj) and act.is_in_scope(obj, request.user)
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
        if not form_class.is_in_scope(obj, request.user):
            self.message_user(request, scope.REFUSAL, messages.WARNING)
            return HttpResponseRedirect(page_of(obj))
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


def _is_reading_history(request: HttpRequest) -> bool:
    return getattr(request, "is_reading_history", False)


def _without_reason(fields: Sequence[Any]) -> list[Any]:
    return [field for field in fields if field not in ("reason", "as_read")]
