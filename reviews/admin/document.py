"""A review as it is read: where it stands, its checklist, its phases, and the document itself."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.functional import cached_property
from django.utils.safestring import SafeString

from config import markdown, scope
from incidents.admin import badges
from incidents.models import Deadline
from reviews import due, lifecycle, phases, picture, similar, timeline
from reviews.lifecycle import Check
from reviews.models import CorrectiveAction, PostIncidentReview, ReviewStatus

TEXTS = ("summary", "client_impact", "root_cause", "what_will_change")


@dataclass(frozen=True)
class Text:
    """One of its texts, made HTML."""

    label: str
    html: SafeString
    is_for_client: bool


@dataclass(frozen=True)
class OfDeadline:
    """A row of the deadlines' table."""

    deadline: Deadline
    standing: str

    @property
    def badge(self) -> SafeString:
        return badges.standing(self.standing)


class Document:
    """What the pages of one review show to one reader. Each part asks as many queries, however much there is."""

    def __init__(self, review: PostIncidentReview, reader: Any, now: dt.datetime) -> None:
        self.review, self.reader, self.now = review, reader, now
        self.incident = review.incident

    def _of(self, rows: Any) -> Any:
        return scope.visible(rows, self.reader)

    # where it stands

    @property
    def severity(self) -> SafeString:
        return badges.severity(self.incident.severity)

    @cached_property
    def why(self) -> Sequence[str]:
        return self.review.why_owed.splitlines()

    @cached_property
    def due(self) -> due.Due | None:
        return due.of(self.review, self.reader, self.now)

    @cached_property
    def checks(self) -> Sequence[Check]:
        """What a manager will want to find; of no use once one has read it."""
        is_read = self.review.status not in (ReviewStatus.DRAFT, ReviewStatus.IN_REVIEW)
        return [] if is_read else lifecycle.checklist(self.review)

    @property
    def placed_checks(self) -> Sequence[tuple[Check, str]]:
        """Each with the id of its place on the page: of the text, or of the rows."""
        rows = ("findings", "actions")
        return [(c, f"{c.part}-group" if c.part in rows else f"part-{c.part}") for c in self.checks]

    @property
    def is_complete(self) -> bool:
        return all(check.is_there for check in self.checks)

    @cached_property
    def similar(self) -> Sequence[similar.Similar]:
        return similar.to(self.review, self.reader)

    @cached_property
    def tried_before(self) -> Sequence[CorrectiveAction]:
        """What earlier reviews decided on against factors that were found here again."""
        rows = scope.visible(CorrectiveAction.objects.all().against_the_same(self.review), self.reader)
        return list(rows.select_related("finding__factor", "review__incident"))

    # its phases

    @cached_property
    def phases(self) -> Sequence[phases.Phase]:
        return phases.of(self.incident, phases.first_notified([self.incident.pk]).get(self.incident.pk))

    @cached_property
    def deadlines(self) -> Sequence[OfDeadline]:
        rows = self._of(self.incident.deadlines.all()).filter(due_at__isnull=False).select_related("client")
        return [OfDeadline(row, row.standing(self.now)) for row in rows.order_by("due_at", "pk")]

    @cached_property
    def picture(self) -> picture.Picture | None:
        dues = [picture.Due(row.deadline.obligation, row.deadline.due_at, row.standing) for row in self.deadlines]  # type: ignore[arg-type]  # those that have one
        return picture.draw(self.phases, dues)

    # the document

    @cached_property
    def texts(self) -> Sequence[Text]:
        return [
            Text(
                str(PostIncidentReview._meta.get_field(name).verbose_name),  # type: ignore[union-attr]
                markdown.to_html(getattr(self.review, name)),
                getattr(self.review, f"is_{name}_for_client"),
            )
            for name in TEXTS
        ]

    @cached_property
    def answers(self) -> Sequence[Text]:
        rows = self._of(self.review.answers.all()).select_related("question")
        return [Text(str(row.question), markdown.to_html(row.text), row.is_for_client) for row in rows]

    @cached_property
    def findings(self) -> Sequence[tuple[Any, SafeString]]:
        rows = self._of(self.review.findings.all()).select_related("factor")
        return [(row, markdown.to_html(row.explanation)) for row in rows]

    @cached_property
    def picks(self) -> Sequence[tuple[Any, str, SafeString]]:
        rows = self._of(self.review.picks.all()).select_related("entry__incident")
        return [(row, timeline.told(row.entry, self.incident), markdown.to_html(row.remark)) for row in rows]

    @cached_property
    def actions(self) -> Sequence[Any]:
        return list(self._of(self.review.actions.all()).select_related("owner"))

    @cached_property
    def contributors(self) -> Sequence[Any]:
        return list(self._of(self.review.contributors.all()).select_related("user"))

    @cached_property
    def links(self) -> Sequence[Any]:
        return list(self._of(self.review.links.all()))
