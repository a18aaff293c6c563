"""The rows below a review's texts: answers, findings, its timeline, links, who writes in it."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from config import scope, times
from config.admin import badge
from config.fields import ProseField
from config.forms import RowChooser, RowsFormSet
from config.models import User
from reviews import lifecycle, timeline
from reviews.models import Answer, Contributor, Finding, ReviewLink, TimelinePick


class PartInline(admin.TabularInline):  # type: ignore[type-arg]
    """Rows of one kind below the document."""

    formset = RowsFormSet
    extra = 0
    #: Foreign keys that are typed ahead; the rows come with what they name.
    choosers: tuple[str, ...] = ()
    #: What the rows come with besides.
    brings: tuple[str, ...] = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = scope.visible(super().get_queryset(request), request.user)
        names = (*self.choosers, *self.brings)
        return rows.select_related(*names) if names else rows

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.name in self.choosers:
            options["widget"] = RowChooser(db_field, self.admin_site)
        return super().formfield_for_foreignkey(db_field, request, **options)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        found = super().formfield_for_dbfield(db_field, request, **options)
        if found is not None and isinstance(db_field, ProseField):
            found.widget.attrs |= {"rows": 3, "cols": 40, "data-markdown": ""}
        return found


class AnswerInline(PartInline):
    """One row for each question of the review's version; none is added or taken out."""

    model = Answer
    template = "admin/reviews/postincidentreview/answers.html"
    fields = ("question", "text", "is_for_client")
    readonly_fields = ("question",)
    brings = ("question",)
    can_delete = False
    max_num = 0


class FindingInline(PartInline):
    model = Finding
    fields = ("factor", "explanation", "is_for_client")
    autocomplete_fields = choosers = ("factor",)


class ContributorInline(PartInline):
    """The facilitator says who writes; a colleague may also join."""

    model = Contributor
    autocomplete_fields = choosers = ("user",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(super().has_add_permission(request, obj)) and _steers(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(super().has_change_permission(request, obj)) and _steers(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(super().has_delete_permission(request, obj)) and _steers(request, obj)


def _steers(request: HttpRequest, review: Any) -> bool:
    return review is None or lifecycle.may_steer(review, cast(User, request.user))


class LinkInline(PartInline):
    model = ReviewLink


class PickInline(PartInline):
    """The review's timeline; entries come in by “Pick from the timeline”."""

    model = TimelinePick
    fields = ("position", "moves", "told", "remark", "is_for_client")
    readonly_fields = ("moves", "told")
    brings = ("entry__incident", "review__incident")
    max_num = 0
    verbose_name_plural = _("timeline")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description=_("order"))
    def moves(self, pick: TimelinePick) -> SafeString:
        """Buttons of the page's form: what was typed is saved, then the row goes up or down."""
        entry = Truncator(pick.entry.text).chars(60)
        button = '<button type="submit" class="button" name="_move" value="{}" aria-label="{}">{}</button>'
        up = format_html(button, f"{pick.pk} -1", _now("Save and move up: %(entry)s") % {"entry": entry}, "↑")
        down = format_html(button, f"{pick.pk} 1", _now("Save and move down: %(entry)s") % {"entry": entry}, "↓")
        return up + down

    @admin.display(description=_("entry"))
    def told(self, pick: TimelinePick) -> SafeString:
        return format_html(
            "<strong>{}</strong><br>{} {}",
            times.for_reader(pick.entry.happened_at),
            timeline.told(pick.entry, pick.review.incident),
            badge(_("Clients were shown this"), "med", "◐") if pick.entry.is_client_visible else "",
        )
