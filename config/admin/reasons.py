"""Why something is changed, and what others changed meanwhile."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.text import Truncator, capfirst
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from simple_history.template_utils import HistoricalRecordContextHelper

from config import times
from config.history import Caller
from config.meanwhile import Change, Changed, Reading

EDITS_TOLD = 50  # rows of a trail that are compared to say what changed meanwhile


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
