"""Past incidents as a table (config/transfer.py): taken over as history, which nothing is owed for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from agreements.models import ServiceAgreement
from agreements.transfer import agreement_called, services_called
from config import scope
from config.transfer import Column, Kind, found, names_in, names_out, of, register
from incidents.lifecycle.verb import check_instant, log
from incidents.models import AffectedAgreement, AffectedService, Incident, ReferenceCounter
from incidents.models.incident import Status

#: In the order in which they happen; each is not before detection.
STEPS = ("declared_at", "classified_at", "acknowledged_at", "mitigated_at", "resolved_at", "closed_at")
NEEDED = ("reference", "title", "severity", "detected_at", "resolved_at")
_OURS = re.compile(r"INC-(?P<year>[0-9]{4})-(?P<number>[0-9]{1,9})")
_VERSION = re.compile(r"(?P<reference>.+) v(?P<version>[0-9]{1,4})")


@register
class PastIncidents(Kind):
    slug = "incidents"
    label = _("Past incidents")
    model = Incident
    identity = _("An incident is known by its reference.")
    remarks = (
        _(
            "They become closed incidents with a mark that they were imported. No deadline begins, nobody is mailed, "
            "no review is asked for and nothing counts as missed, now or later; their verbs are closed to everybody."
        ),
        _("What is still open is declared, not imported."),
        _("An incident that was declared here is corrected on its page: an import leaves it alone."),
    )
    to_import = ("incidents.add_incident", "incidents.change_incident", "agreements.change_serviceagreement")
    to_export = "incidents.view_incident"

    @classmethod
    def columns(cls) -> Sequence[Column]:
        plain = {
            "reference": "OLD-2024-017", "title": "Object storage was down", "severity": "critical",
            "category": "outage", "description": "", "client_summary": "", "occurred_at": "",
            "detected_at": "2024-05-02T08:15:00+02:00", "aware_at": "", "declared_at": "", "classified_at": "",
            "acknowledged_at": "", "mitigated_at": "", "resolved_at": "2024-05-02T11:40:00+02:00", "closed_at": "",
        }  # fmt: skip
        return (
            *(of(Incident, name, example=example, is_needed=name in NEEDED) for name, example in plain.items()),
            Column(
                name="services",
                help=_("The names of the affected services, parted by semicolons."),
                example="Object storage",
                is_needed=True,
                write=lambda row: names_out(sorted(affected.service.name for affected in row.affected_services.all())),
            ),
            Column(
                name="agreements",
                help=_("The agreements that it fell under, parted by semicolons: NW-2025-03, or NW-2025-03 v2."),
                example="NW-2025-03",
                write=lambda row: names_out(sorted(str(one.agreement) for one in _included(row))),
            ),
        )

    def rows(self) -> Iterable[Incident]:
        over = Incident.objects.filter(status=Status.CLOSED).order_by("reference")
        over = over.prefetch_related("affected_services__service", "affected_agreements__agreement")
        return scope.visible(over, self.by)

    def values(self, cells: Mapping[str, str]) -> dict[str, Any]:
        """When it was declared and closed is, unless the file says it, when it was detected and resolved."""
        values = super().values(cells)
        for name, otherwise in (("declared_at", "detected_at"), ("closed_at", "resolved_at")):
            if name in values and values[name] is None:
                values[name] = values.get(otherwise)
        return values

    def key(self, values: Mapping[str, Any]) -> object:
        return values.get("reference")

    def find(self, values: Mapping[str, Any]) -> Any:
        return found(Incident.objects.all(), reference=values.get("reference"))

    def check(self, row: Incident, *, is_new: bool) -> None:
        if is_new:
            row.status, row.imported_at = Status.CLOSED, self.now
            row.declared_at = row.declared_at or row.detected_at
            row.closed_at = row.closed_at or row.resolved_at
            _keep_clear(row.reference)
        _refuse_ours(row)
        for name in ("occurred_at", "detected_at", "aware_at", *STEPS):
            check_instant(name, getattr(row, name), self.now)
        check_instant("occurred_at", row.occurred_at, self.now, not_after=row.detected_at)
        for name in STEPS:
            if row.detected_at and (at := getattr(row, name)) and at < row.detected_at:
                raise ValidationError({name: _("That is before it was detected. Correct one of the two.")})
        if row.resolved_at and row.closed_at and row.closed_at < row.resolved_at:
            raise ValidationError({"closed_at": _("That is before it was resolved. Correct one of the two.")})

    def parts(self, row: Incident, cells: Mapping[str, str], *, is_new: bool) -> Iterator[str]:
        affected = set(row.affected_services.values_list("service", flat=True))
        try:
            services = services_called(cells.get("services", ""))
        except ValidationError as error:
            raise ValidationError({"services": error}) from error
        for service in services:
            if service.pk not in affected:
                _refuse_ours(row)
                AffectedService.objects.create(incident=row, service=service)
                yield "services"
        fell_under = set(row.affected_agreements.values_list("agreement", flat=True))
        for agreement in _agreements(cells.get("agreements", "")):
            if agreement.pk not in fell_under:
                _refuse_ours(row)
                AffectedAgreement.objects.create(incident=row, agreement=agreement, why=_now("As it was imported."))
                yield "agreements"
        if is_new:
            text = _now("Imported as history: nothing is owed because of it, and nobody is mailed.")
            log(row, text, self.by, at=self.now, now=self.now)


def _included(incident: Incident) -> list[AffectedAgreement]:
    return [affected for affected in incident.affected_agreements.all() if not affected.is_excluded]


def _agreements(text: str) -> list[ServiceAgreement]:
    try:
        return [_agreement(name) for name in names_in(text)]
    except ValidationError as error:
        raise ValidationError({"agreements": error}) from error


def _agreement(name: str) -> ServiceAgreement:
    whole = _VERSION.fullmatch(name)
    return agreement_called(whole["reference"], int(whole["version"])) if whole else agreement_called(name, 1)


def _refuse_ours(row: Incident) -> None:
    if row.imported_at is None:
        raise ValidationError(
            _("%(ref)s was declared here and says something else. Correct it on its page, or take the line out."),
            params={"ref": row.reference},
        )


def _keep_clear(reference: str) -> None:
    """A number of ours that is taken is not given out again."""
    ours = _OURS.fullmatch(reference)
    if ours is None:
        return
    ReferenceCounter.objects.get_or_create(year=int(ours["year"]))
    counter = ReferenceCounter.objects.select_for_update().get(year=int(ours["year"]))
    if int(ours["number"]) > counter.last:
        counter.last = int(ours["number"])
        counter.save()
