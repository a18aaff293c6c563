"""The review queue: rules that read what each seal closed, and say what an auditor should look at.

A rule reads the sealed rows of one table (history rows, events) and gives those that may hide something. This floor has
the rules that need to know no model; the floors above register theirs. Sealed rows are final, so each is read once,
and a concern is written once, whoever examines and however often.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.db.models.functions import Length, Trim
from django.utils.translation import gettext_lazy as _

from config.audit import phrases, sources
from config.history import Caller, HistoryRow, acting
from config.models import Event, Export, User
from config.models.concern import Concern, ConcernKind, Examination, LookedAt
from config.models.event import EventKind
from config.models.seal import Seal, SealedRange
from config.roles import AUDITOR

LONGEST_NAME = 500  # characters, of what a concern is about

#: Given the sealed rows of its table, gives those that should be looked at.
Rule = Callable[[models.QuerySet[Any]], Iterable[Any]]

_rules: dict[type[models.Model], list[tuple[ConcernKind, Rule]]] = defaultdict(list)


def rule(kind: ConcernKind, *, of: type[models.Model]) -> Callable[[Rule], Rule]:
    """Decorator: this function finds concerns of this kind among the rows of `of`, a history or an added-only table."""

    def register(found_by: Rule) -> Rule:
        _rules[of].append((kind, found_by))
        return found_by

    return register


# ── examining ───────────────────────────────────────────────────────────────────────────────────────────────────────


def examine() -> int:
    """Read what was sealed since the last time; returns how many concerns that gave. Any number may do so at once."""
    found = 0
    for seal in Seal.objects.filter(examination=None).order_by("number").iterator():
        concerns = [concern for part in seal.ranges.all() for concern in _concerns(part)]
        with contextlib.suppress(IntegrityError), transaction.atomic():  # another may just have done it
            Examination.objects.create(seal=seal, found=len(concerns))
            Concern.objects.bulk_create(concerns, ignore_conflicts=True)
            found += len(concerns)
    return found


def _concerns(part: SealedRange) -> list[Concern]:
    """Of the rows of one table in one seal; one for all rows of an act that do the same to the same object."""
    model = apps.get_model(part.table)
    rows = model._base_manager.filter(pk__gt=part.after or 0, pk__lte=part.upto).order_by("pk")
    found = [_concern(kind, row) for kind, found_by in _rules_of(model) for row in found_by(rows)]
    return list({(one.act_id, one.kind, one.about, one.about_pk): one for one in reversed(found)}.values())


def _rules_of(model: type[models.Model]) -> list[tuple[ConcernKind, Rule]]:
    return _rules[model] + (_OF_EVERY_HISTORY if issubclass(model, HistoryRow) else [])


def _concern(kind: ConcernKind, row: Any) -> Concern:
    is_history = isinstance(row, HistoryRow)
    about = row.instance if is_history else row
    return Concern(
        kind=kind,
        at=row.history_date if is_history else row.at,
        actor_id=row.history_user_id if is_history else row.actor_id,
        actor_name=row.actor_name,
        caller=row.caller,
        reason=(row.history_change_reason or "") if is_history else "",
        act_id=row.request_id,
        about=about._meta.label_lower,
        about_pk=about.pk,
        name=str(about)[:LONGEST_NAME],
    )


# ── looking at them ─────────────────────────────────────────────────────────────────────────────────────────────────


def look_at(concern: Concern, *, by: User, remark: str, now: dt.datetime) -> LookedAt:
    """Mark the concern as looked at by somebody who did not do it, with what they found."""
    if concern.actor_id == by.pk:
        raise ValidationError(_("You did this yourself. Somebody else has to look at it."))
    if phrases.say_nothing(remark):
        raise ValidationError({"remark": _("Say what you found, in a few words that somebody can check later.")})
    with transaction.atomic(), acting(by, reason=remark):
        Concern.objects.select_for_update().get(pk=concern.pk)
        if LookedAt.objects.filter(concern=concern).exists():
            raise ValidationError(_("Somebody has looked at this already."))
        return LookedAt.objects.create(concern=concern, by=by, at=now, remark=remark)


# ── the rules of this floor ─────────────────────────────────────────────────────────────────────────────────────────


def _with_empty_reasons(rows: models.QuerySet[Any]) -> Iterator[Any]:
    """What people (not workers) gave as a reason that explains nothing."""
    short = rows.exclude(caller=Caller.WORKER).annotate(length=Length(Trim("history_change_reason")))
    for row in short.filter(length__gte=1, length__lte=phrases.LONGEST):
        if phrases.say_nothing(row.history_change_reason):
            yield row


def _by_shell(rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
    """There is a page for what is done every day."""
    return rows.filter(caller=Caller.SHELL)


_OF_EVERY_HISTORY: list[tuple[ConcernKind, Rule]] = [
    (ConcernKind.EMPTY_REASON, _with_empty_reasons),
    (ConcernKind.BY_SHELL, _by_shell),
]


@rule(ConcernKind.EXPORTED, of=sources.history_of(Export))
def exports(rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
    """By anybody but auditors, whose work it is: the export itself stays in the trail."""
    auditors = User.objects.filter(groups__name=AUDITOR)
    return rows.filter(history_type="+").exclude(history_user__in=auditors)


@rule(ConcernKind.REFUSED, of=Event)
def refused(rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
    return rows.filter(kind=EventKind.ACTION_REFUSED)


@rule(ConcernKind.LOCKED_OUT, of=Event)
def locked_out(rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
    return rows.filter(kind__in=(EventKind.LOCKED_OUT, EventKind.ADDRESS_LOCKED, EventKind.NAME_LOCKED))


@rule(ConcernKind.SEAL_FAILED, of=Event)
def seal_failed(rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
    return rows.filter(kind=EventKind.VERIFY_FAILED)


@rule(ConcernKind.GIVEN_UP, of=Event)
def given_up(rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
    """What a client was told can be read no more; the worker does so only as it is set for everybody."""
    kinds = (EventKind.TEXTS_REDUCED, EventKind.PSEUDONYMISED)
    return rows.filter(kind__in=kinds).exclude(caller=Caller.WORKER)
