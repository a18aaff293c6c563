"""Forms that act: each calls one verb, says beforehand what will happen, and keeps what was typed when refused."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.forms.renderers import BaseRenderer
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from config import meanwhile
from config.history import acting
from config.meanwhile import Change, Changed, Reading
from config.models import User

# Far enough for every agreement, near enough that no zone and no database overflows.
EARLIEST = dt.datetime(1900, 1, 1, tzinfo=dt.UTC)
LATEST = dt.datetime(2999, 12, 31, tzinfo=dt.UTC)
_TOO_EARLY = _("That is before the year 1900. Check the year.")
_TOO_LATE = _("That is after the year 2999. Check the year.")


class InstantInput(forms.DateTimeInput):
    """The browser's own date and time input, with the zone printed beside it."""

    input_type = "datetime-local"
    supports_microseconds = False

    def format_value(self, value: Any) -> str | None:
        if not isinstance(value, dt.datetime):
            return super().format_value(value)
        return value.strftime("%Y-%m-%dT%H:%M:%S" if value.second else "%Y-%m-%dT%H:%M")

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        if isinstance(value, dt.datetime) and value.second:
            context["widget"]["attrs"]["step"] = "1"  # or the browser refuses the seconds that are there
        return context

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: BaseRenderer | None = None
    ) -> SafeString:
        drawn = super().render(name, value, attrs, renderer)
        return format_html('{} <span class="zone">{}</span>', drawn, timezone.get_current_timezone_name())


class InstantField(forms.DateTimeField):
    """An instant, typed in the reader's own zone.

    A wall time that exists twice (clocks go back) is the first of the two, as the contract clock has it: deadlines
    come earlier, never later. One that does not exist is refused.
    """

    widget = InstantInput
    default_validators = [MinValueValidator(EARLIEST, _TOO_EARLY), MaxValueValidator(LATEST, _TOO_LATE)]

    def to_python(self, value: Any) -> dt.datetime | None:
        try:
            return super().to_python(value)
        except ValidationError as error:
            if error.code != "ambiguous_timezone":
                raise
            zone = timezone.get_current_timezone()
            wall: dt.datetime = (error.params or {})["datetime"]
        first = wall.replace(tzinfo=zone, fold=0)
        if first.astimezone(dt.UTC).astimezone(zone).replace(tzinfo=None) != wall:
            raise ValidationError(
                _("The clocks went forward then: that time does not exist in %(zone)s."),
                code="unreal",
                params={"zone": timezone.get_current_timezone_name()},
            )
        return first.astimezone(dt.UTC)  # compared across zones, times of that hour are equal to none

    def has_changed(self, initial: Any, data: Any) -> bool:
        """What was shown and comes back as it was is no change, even in the hour that exists twice."""
        shown: Any = self.widget  # an instance by now, made from the class above
        if isinstance(initial, dt.datetime) and shown.format_value(self.prepare_value(initial)) == data:
            return False
        return super().has_changed(initial, data)


class DayInput(forms.DateInput):
    input_type = "date"

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs, format="%Y-%m-%d")


class DayField(forms.DateField):
    widget = DayInput
    default_validators = [
        MinValueValidator(EARLIEST.date(), _TOO_EARLY),
        MaxValueValidator(LATEST.date(), _TOO_LATE),
    ]


class TimeInput(forms.TimeInput):
    input_type = "time"

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs, format="%H:%M")


#: For `formfield_overrides`: the browser's own inputs instead of scripts, and sane years.
NATIVE_INPUTS: dict[type[models.Field[Any, Any]], dict[str, Any]] = {
    models.DateTimeField: {"form_class": InstantField, "widget": InstantInput},
    models.DateField: {"form_class": DayField, "widget": DayInput},
    models.TimeField: {"widget": TimeInput},
}


def of(model: type[models.Model], name: str, **options: Any) -> Any:
    """The form field of a model field, with its label, length and checks: `title = of(Incident, "title")`."""
    field = model._meta.get_field(name)
    if isinstance(field, models.DateTimeField):
        options.setdefault("form_class", InstantField)
    return field.formfield(**options)  # type: ignore[union-attr]


class RowChooser(AutocompleteSelect):
    """A type-ahead in a table's row: it names what the row was read with instead of asking for it once more."""

    known: models.Model | None = None

    def optgroups(self, name: str, value: Sequence[str], attr: dict[str, Any] | None = None) -> Any:
        if self.known is None or [str(chosen) for chosen in value] != [str(self.known.pk)]:
            return super().optgroups(name, value, attr)
        chosen = self.create_option(name, self.known.pk, str(self.known), True, 0)
        nothing = [] if self.is_required else [self.create_option(name, "", "", False, 0)]
        return [(None, [*nothing, chosen], 0)]


class RowsFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg]
    """Rows of a page's table. Asks the database about constraints that name the page's own row, too.

    Django leaves those out, because a new page has no row yet, and then fails when it saves.
    """

    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        for name, field in form.fields.items():
            chooser = getattr(field.widget, "widget", field.widget)  # the admin wraps it
            if isinstance(chooser, RowChooser):
                chooser.known = getattr(form.instance, name, None)

    def clean(self) -> None:
        super().clean()
        if self.instance.pk is None:
            return
        for form in self.forms:
            if form.has_changed() and not form.errors and form not in self.deleted_forms:
                missing = {field.name for field in form.instance._meta.fields} - set(form.fields)
                try:
                    form.instance.validate_constraints(exclude=missing)
                except ValidationError as error:
                    add_refusal(form, error)


def reason_field(**options: Any) -> forms.CharField:
    """Why it is done, for the audit trail; required unless said otherwise."""
    options.setdefault("help_text", _("Kept in the audit trail."))
    return forms.CharField(label=_("Reason"), max_length=1000, **options)


def add_refusal(form: forms.BaseForm, error: ValidationError) -> None:
    """Show a verb's refusal on the fields that it names, and above the form where the form has no such field."""
    by_field = error.error_dict if hasattr(error, "error_dict") else {NON_FIELD_ERRORS: error.error_list}
    for name, errors in by_field.items():
        form.add_error(name if name in form.fields else None, ValidationError(errors))


@dataclass(frozen=True)
class Done:
    """What an act did, in a sentence, and where to go then (default: the page of what was acted on).

    With `stays` the form is shown again as it was typed, for what is only a step on the way to the act.
    """

    message: str | Promise
    then: str | None = None
    level: int = messages.SUCCESS
    stays: bool = False


class ActForm(forms.Form):
    """One verb as a form on a page of its own: `<id>/<slug>/`.

    `subject` is what is acted on, `by` who acts. Subclasses call exactly one verb in `act`, whose ValidationError is
    shown on the form.
    """

    slug: ClassVar[str]
    label: ClassVar[str | Promise]  # of the button that leads here and of the one that does it
    permission: ClassVar[str]
    #: Query parameters that may preset the form.
    presets: ClassVar[tuple[str, ...]] = ()
    #: The template of its page.
    page: ClassVar[str] = "admin/act.html"
    #: Whether it weighs so much that who it is is asked again (config/proof.py).
    needs_proof: ClassVar[bool] = False

    def __init__(self, *args: Any, subject: Any, by: User, **options: Any) -> None:
        self.subject = subject
        self.by = by
        self._has_told_changes = False
        super().__init__(*args, **options)

    @classmethod
    def is_lawful(cls, subject: Any) -> bool:
        """Whether the button is shown; the verb itself decides when it is pressed."""
        return True

    @classmethod
    def is_in_scope(cls, subject: Any, by: Any) -> bool:
        """Whether it touches no client whom this person does not see (config/scope.py)."""
        return True

    def explanation(self) -> str | Promise:
        """What will happen, in a sentence; shown above the form."""
        return ""

    def act(self, *, now: dt.datetime) -> Done:
        raise NotImplementedError

    # two people at once: a form whose subject others may change says how that is seen

    def reading(self) -> Reading | None:
        """How things stand, for this page to carry; None where nobody else's change matters."""
        return None

    def changes_since(self, reading: Reading) -> Sequence[Change]:
        """What others did since then that matters to this act."""
        return ()

    def hold(self) -> None:
        """Lock what is acted on, so that nothing changes between asking that and acting."""

    def was_done(self, request_id: uuid.UUID) -> bool:
        """Whether the trail has this very act."""
        return False

    @property
    def as_read(self) -> str:
        """What the page carries: as first read, until its reader has been told what changed since."""
        if self.is_bound and not self._has_told_changes:
            return str(self.data.get(meanwhile.FIELD, ""))
        reading = self.reading()
        return reading.sealed(self._about) if reading else ""

    @property
    def _about(self) -> str:
        return f"{self.slug} {self.subject and self.subject.pk} by {self.by.pk}"

    def do(self, *, now: dt.datetime) -> Done:
        """Act, once, if what was read is still so. Raises ValidationError, and then nothing has happened."""
        sealed = str(self.data.get(meanwhile.FIELD, ""))
        if not sealed:
            return self.act(now=now)
        try:
            reading = Reading.unsealed(sealed, self._about)
            request_id = reading.id_of(self.data)
            with transaction.atomic(), acting(request_id=request_id):
                self.hold()
                if self.was_done(request_id):
                    return Done(_("That is done already. It was not done a second time."), level=messages.INFO)
                if changes := self.changes_since(reading):
                    raise Changed.by(changes)
                return self.act(now=now)
        except Changed:
            self._has_told_changes = True
            self.subject.refresh_from_db()
            raise
