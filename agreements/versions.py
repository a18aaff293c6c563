"""Amending an agreement: a new version of the same contract takes over at an instant."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from agreements.models import (
    Commitment,
    ServiceAgreement,
    ServiceCoverage,
    SeverityDefinition,
    Validity,
    WarningPoint,
)
from config import times
from config.history import acting
from config.models import User

Row = TypeVar("Row", ServiceAgreement, Commitment, SeverityDefinition, WarningPoint)


@dataclass(frozen=True)
class VersionLine:
    """One version among those of its reference: whether it holds, and who made it when and why."""

    agreement: ServiceAgreement
    validity: Validity
    made_by: str
    made_at: dt.datetime | None
    reason: str


def line(agreement: ServiceAgreement, *, now: dt.datetime) -> list[VersionLine]:
    """All versions of its reference, the newest first."""
    versions = list(ServiceAgreement.objects.filter(reference=agreement.reference).order_by("-version"))
    made = {row.id: row for row in ServiceAgreement.history.filter(id__in=[v.pk for v in versions], history_type="+")}
    return [_line(version, made.get(version.pk), now) for version in versions]


def _line(version: ServiceAgreement, made: Any, now: dt.datetime) -> VersionLine:
    validity = version.validity(now)
    if made is None:
        return VersionLine(version, validity, "", None, "")
    return VersionLine(version, validity, made.actor_name, made.history_date, made.history_change_reason or "")


def amend(agreement: ServiceAgreement, *, effective_at: dt.datetime, by: User, reason: str) -> ServiceAgreement:
    """End this version at `effective_at` and begin the next there, with the same services, commitments and warnings.

    What its severities mean stays the same too. The new version supersedes this one and keeps its end. Deadlines that
    already run keep the terms they started with. Raises ValidationError when this version is superseded, or not in
    force at that instant.
    """
    if not reason.strip():
        raise ValidationError({"reason": _("Say why the agreement is amended.")})
    with transaction.atomic(), acting(by, reason=reason):
        old = ServiceAgreement.objects.select_for_update().get(pk=agreement.pk)
        _refuse_unless_amendable(old, effective_at)
        ends_at, old.ends_at = old.ends_at, effective_at
        old.save()  # first, because the database refuses two versions that are in force at the same instant
        new = _copy(old, version=old.version + 1, effective_at=effective_at, ends_at=ends_at, supersedes=old)
        for covered in old.coverage.all():
            ServiceCoverage.objects.create(agreement=new, service_id=covered.service_id)
        for definition in old.definitions.all():
            _copy(definition, agreement=new)
        _copy_commitments(old, new)
    return new


def _copy_commitments(old: ServiceAgreement, new: ServiceAgreement) -> None:
    """With their warning points; what followed a commitment of the old version follows its copy in the new one."""
    copies: dict[int, Commitment] = {}

    def copy(commitment: Commitment) -> Commitment:
        if commitment.pk not in copies:
            follows = copy(commitment.follows) if commitment.follows else None
            copies[commitment.pk] = _copy(commitment, agreement=new, follows=follows)
            for point in commitment.warning_points.all():
                _copy(point, commitment=copies[commitment.pk])
        return copies[commitment.pk]

    for commitment in old.commitments.select_related("follows").prefetch_related("warning_points"):
        copy(commitment)


def _refuse_unless_amendable(old: ServiceAgreement, effective_at: dt.datetime) -> None:
    if ServiceAgreement.objects.filter(supersedes=old).exists():
        raise ValidationError(
            _("%(agreement)s is already superseded. Amend the version that superseded it.") % {"agreement": old}
        )
    if effective_at <= old.effective_at:
        raise ValidationError(
            {
                "effective_at": _("The new version must begin after this one, which is in force from %(at)s.")
                % {"at": times.for_reader(old.effective_at)}
            }
        )
    if old.ends_at is not None and effective_at >= old.ends_at:
        raise ValidationError(
            {
                "effective_at": _("This version ends on %(at)s. A new one must begin before that.")
                % {"at": times.for_reader(old.ends_at)}
            }
        )


def _copy(row: Row, **changes: object) -> Row:
    """A new, checked row with the values of this one, except what changes."""
    kept = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields if not field.primary_key}
    changed = {row._meta.get_field(name).attname for name in changes}  # type: ignore[union-attr]
    copy = type(row)(**{name: value for name, value in kept.items() if name not in changed}, **changes)
    copy.full_clean()
    copy.save()
    return copy
