"""Why something is changed, and what others changed meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.forms.formsets import DELETION_FIELD_NAME
from django.http import QueryDict
from django.utils.text import Truncator
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from config.audit import differences
from config.audit.differences import Difference
from config.history import AuditedModel, Caller
from config.meanwhile import Change, Changed, Reading

EDITS_TOLD = 50  # rows of a trail that are told to say what changed meanwhile
REMOVED = _(
    "What was removed stands at the end of its table, marked for deletion, with all that you typed. "
    "Take the mark away to add it again."
)


def edits_since(read: int, trail: Any) -> list[Change]:
    """What people changed after this row of one object's trail, field by field, the latest last."""
    rows = trail.filter(history_id__gt=read).exclude(caller=Caller.WORKER).order_by("history_id")[:EDITS_TOLD]
    return edits(list(rows))


def edits_below(read: int, trail: Any) -> list[Change]:
    """What people did to the rows of a table after this row of its trail, each named, the latest last."""
    rows = list(trail.filter(history_id__gt=read).exclude(caller=Caller.WORKER).order_by("history_id")[:EDITS_TOLD])
    return [_change(told.row, _of_row(told)) for told in differences.of(rows)]


def _row_of(instance: models.Model, trail: Any) -> Any:
    """The newest in this trail that tells of this object, None if there is none."""
    key = instance._meta.pk.attname
    return trail.filter(**{key: instance.pk}).order_by("-history_id").first()


def edits(rows: Sequence[Any]) -> list[Change]:
    """What each of these history rows changed, in one line."""
    return [_change(told.row, told.in_words()) for told in differences.of(rows)]


def _of_row(told: Difference) -> str:
    what = {"+": _now("added."), "-": _now("removed.")}.get(told.kind) or told.in_words()
    row = {"table": told.thing, "row": Truncator(told.subject).chars(60)}
    return _now("%(table)s “%(row)s”: %(what)s") % {**row, "what": what}


def _change(row: Any, what: str) -> Change:
    return Change(row.actor_name, row.history_date, what, row.history_change_reason or "", row.request_id)


class AsReadField(forms.CharField):
    """Carries what the page had shown; nobody types it."""

    widget = forms.HiddenInput

    def has_changed(self, initial: Any, data: Any) -> bool:
        return False


class ReasonForm(forms.ModelForm):  # type: ignore[type-arg]
    """Asks why: the answer goes into the audit trail with every row that the save writes.

    Refuses once to save over what somebody else has changed since the page was opened, here or in a table below, and
    says what that was.
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
        if self._needs_reason() and not self.cleaned_data.get("reason", "").strip() and "reason" not in self.errors:
            self.add_error("reason", _("Say why this is changed; the reason is kept in the audit trail."))
        return cleaned

    def _is_change(self) -> bool:
        """Whether something that is already kept becomes different, here or in a table below."""
        if self.instance._state.adding:
            return False
        typed = set(self.changed_data) - {"reason"}
        return bool(typed) or any(row.has_changed() and not _comes_to_nothing(row) for row in self._rows)

    def _needs_reason(self) -> bool:
        """Any change; a page on which people write for long may ask for less."""
        return self._is_change()

    @property
    def _has_lost_rows(self) -> bool:
        """Whether a colleague has removed some of what this page had shown, as the admin has told."""
        return getattr(self.instance, "has_lost_rows", False)

    @property
    def _tables(self) -> list[Any]:
        """The tables below that people write in, as the admin has told."""
        below = getattr(self.instance, "tables_below", ())
        return [table for table in below if issubclass(table.model, AuditedModel)]

    @property
    def _rows(self) -> list[Any]:
        return [row for table in self._tables for row in table]

    @property
    def _trails(self) -> list[Any]:
        """Its own, then those of the tables."""
        below = [table.model.history.filter(**{table.fk.attname: self.instance.pk}) for table in self._tables]
        return [self.instance.history.all(), *below]

    @property
    def _about(self) -> str:
        return " ".join([self.instance._meta.label, str(self.instance.pk), *(table.prefix for table in self._tables)])

    def _sealed(self) -> str:
        return "" if self.instance._state.adding else Reading.of(*self._trails).sealed(self._about)

    def _refuse_if_changed(self) -> None:
        sealed = self.cleaned_data.get("as_read", "")
        if not sealed or not (self._is_change() or self._has_lost_rows):
            return  # what was typed is so already
        try:
            read = Reading.unsealed(sealed, self._about).latest
        except ValidationError as error:
            self.add_error(None, error)
            return
        self._keep_others_waiting()
        own, *below = self._trails
        changes = edits_since(read[0], own)
        for latest, trail in zip(read[1:], below, strict=True):
            changes += edits_below(latest, trail)
        if changes or self._has_lost_rows:
            self.add_error(None, Changed.by(sorted(changes, key=lambda change: change.at)))
            if self._has_lost_rows and any(_comes_to_nothing(row) for row in self._rows):
                self.add_error(None, REMOVED)
            self._show_theirs(read)

    def _keep_others_waiting(self) -> None:
        """Whoever else saves this now, or a row below, waits until we have."""
        same = type(self.instance)._base_manager.filter(pk=self.instance.pk)
        below = [table.model._base_manager.filter(**{table.fk.attname: self.instance.pk}) for table in self._tables]
        for rows in (same, *below):
            list(rows.order_by("pk").select_for_update(no_key=True).values_list("pk"))

    def _show_theirs(self, read: Sequence[int]) -> None:
        """What this person left alone takes the value that it has now; what they typed stays, theirs or not."""
        data = cast("QueryDict", self.data).copy()
        data[self.add_prefix("as_read")] = self._sealed()
        parts: list[Any] = [(self,), *self._tables]
        for latest, trail, part in zip(read, self._trails, parts, strict=True):
            for form in part:
                _take_theirs(form, _row_of(form.instance, trail.filter(history_id__lte=latest)), data)
        for table in self._tables:
            table.data = data
        for form in (form for part in parts for form in part):
            form.data = data


def _comes_to_nothing(row: forms.ModelForm[Any]) -> bool:
    """A new row that is marked for deletion."""
    return row.instance._state.adding and DELETION_FIELD_NAME in row.fields and bool(row[DELETION_FIELD_NAME].data)


def _take_theirs(form: forms.ModelForm[Any], as_read: Any, data: QueryDict) -> None:
    """Into `data` what stands now in each field that is as it was read."""
    for column in form._meta.model._meta.concrete_fields:
        name, widget = column.name, getattr(form.fields.get(column.name), "widget", None)
        if widget is None or widget.is_hidden or isinstance(widget, forms.MultiWidget):
            continue
        bound, unknown = form[name], object()
        before = getattr(as_read, column.attname, unknown)
        if before is unknown or bound.field.has_changed(before, bound.data):
            continue
        now = bound.field.prepare_value(form.initial.get(name))
        if isinstance(widget, forms.CheckboxInput):
            data.setlist(bound.html_name, ["on"] if now else [])
        else:
            shown = widget.format_value(now)
            data[bound.html_name] = shown[0] if isinstance(shown, list) else shown or ""
