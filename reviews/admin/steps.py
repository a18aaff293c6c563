"""What is done to a review on a page of its own: the base of its steps, joining it, and picking from the timeline."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, ClassVar

from django import forms
from django.utils.functional import Promise, cached_property
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from config import scope, times
from config.admin import page_of
from config.admin.reasons import edits_below
from config.forms import ActForm, Done, reason_field
from config.meanwhile import Change, Reading
from incidents.models import Incident, TimelineEntry, reaches_beyond
from reviews import lifecycle, timeline
from reviews.models import PostIncidentReview, ReviewStatus, TimelinePick


class ReviewAct(ActForm):
    """One step of a review on the page of its own."""

    lawful_in: ClassVar[Sequence[ReviewStatus]]
    permission = "reviews.change_postincidentreview"
    subject: PostIncidentReview
    reason = reason_field()

    @classmethod
    def is_lawful(cls, subject: PostIncidentReview) -> bool:
        return subject.status in cls.lawful_in

    @classmethod
    def is_in_scope(cls, subject: PostIncidentReview, by: Any) -> bool:
        return not reaches_beyond(subject.incident, by)


class Join(ReviewAct):
    slug = "join"
    label = _("Join as contributor")
    lawful_in = (ReviewStatus.DRAFT,)
    reason = None  # type: ignore[assignment]  # how Django takes a field out

    def explanation(self) -> str | Promise:
        return _("Lets you write in this review. Its facilitator sees that you do.")

    def act(self, *, now: dt.datetime) -> Done:
        lifecycle.join(self.subject, by=self.by)
        return Done(_now("You write in this review now."))


class EntryChoices(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """Entries of a timeline, each with its time and zone, and whether clients were shown it."""

    widget = forms.CheckboxSelectMultiple

    incident: Incident  # whose review it is

    def label_from_instance(self, entry: Any) -> str:
        said = {"at": times.for_reader(entry.happened_at), "text": timeline.told(entry, self.incident)}
        if entry.is_client_visible:
            return _now("%(at)s · %(text)s (clients were shown this)") % said
        return _now("%(at)s · %(text)s") % said


class PickEntries(ReviewAct):
    slug = "pick-entries"
    label = _("Pick from the timeline")
    lawful_in = (ReviewStatus.DRAFT,)
    reason = None  # type: ignore[assignment]  # how Django takes a field out
    entries = EntryChoices(TimelineEntry.objects.none(), label=_("Entries"), required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        field: Any = self.fields["entries"]
        field.incident = self.subject.incident
        field.queryset = self._offered
        field.initial = list(self.subject.picks.values_list("entry", flat=True))

    @cached_property
    def _offered(self) -> Any:
        return scope.visible(timeline.offered(self.subject.incident), self.by)

    def explanation(self) -> str | Promise:
        return _(
            "What is ticked stands in the review's timeline, new entries in the order in which they happened. "
            "An entry whose tick you take away goes, with what was remarked about it."
        )

    def reading(self) -> Reading | None:
        return Reading.of(self._trail)

    def changes_since(self, reading: Reading) -> Sequence[Change]:
        return edits_below(reading.latest[0], self._trail)

    @property
    def _trail(self) -> Any:
        return scope.visible(TimelinePick.history.filter(review=self.subject.pk), self.by)

    def act(self, *, now: dt.datetime) -> Done:
        seen = set(self._offered.values_list("pk", flat=True))
        lifecycle.pick(self.subject, by=self.by, entries=self.cleaned_data["entries"], of=seen)
        return Done(_now("The review's timeline has what you picked."), then=f"{page_of(self.subject)}#picks-group")
