"""Clients, contacts, services, calendars, agreements and commitments as tables (config/transfer.py)."""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from agreements import clock
from agreements.models import (
    Client,
    Commitment,
    Contact,
    OpeningHours,
    Service,
    ServiceAgreement,
    ServiceCalendar,
    ServiceCoverage,
    Severity,
    SeverityDefinition,
    SpecialDay,
    WarningPoint,
)
from agreements.models.calendar import Weekday
from config import scope, transfer
from config.models import User
from config.sheets import Line
from config.transfer import (
    Column,
    Kind,
    Problem,
    Taken,
    Verdict,
    found,
    names_in,
    names_out,
    of,
    register,
    save,
    set_values,
)

_REMOVES_NOTHING = _("An import adds and changes. What is not in the file stays as it is.")


def _must_be(row: Any, name: str, said: Any) -> Any:
    """The row that a cell refers to, or what to do where there is none."""
    if row is None:
        raise ValidationError(said, params={"name": name or "–"})
    return row


def client_called(name: str) -> Client:
    row = Client.objects.filter(name=name).first()
    return _must_be(row, name, _("There is no client “%(name)s”. Import the clients first, or correct the name."))  # type: ignore[no-any-return]


def calendar_called(name: str) -> ServiceCalendar:
    row = ServiceCalendar.objects.filter(name=name).first()
    return _must_be(row, name, _("There is no calendar “%(name)s”. Import the calendars first, or correct the name."))  # type: ignore[no-any-return]


def services_called(text: str) -> list[Service]:
    """Those in a cell with several names."""
    names = names_in(text)
    rows = {service.name: service for service in Service.objects.filter(name__in=names)}
    said = _("There is no service “%(name)s”. Import the services first, or correct the name.")
    return [_must_be(rows.get(name), name, said) for name in names]


def agreement_called(reference: str, version: int) -> ServiceAgreement:
    row = ServiceAgreement.objects.filter(reference=reference, version=version).first()
    said = _("There is no agreement “%(name)s”. Import the agreements first, or correct the reference and version.")
    return _must_be(row, f"{reference} v{version}", said)  # type: ignore[no-any-return]


def _colleague(username: str) -> User | None:
    row = User.objects.filter(username=username).first() if username else None
    said = _("No colleague signs in as “%(name)s”. Leave the cell empty, or correct the name.")
    return _must_be(row, username, said) if username else None


def keeping(*names: str) -> tuple[str, ...]:
    """The permissions to add and change rows of these models."""
    return tuple(f"agreements.{action}_{name}" for name in names for action in ("add", "change"))


@register
class Services(Kind):
    slug = "services"
    label = _("Services")
    model = Service
    identity = _("A service is known by its name.")
    to_import = keeping("service")
    to_export = "agreements.view_service"

    @classmethod
    def columns(cls) -> Sequence[Column]:
        return (
            of(Service, "name", example="Object storage"),
            of(Service, "description", example="Files of the clients, in two places."),
            of(Service, "is_active", example="yes"),
        )

    def rows(self) -> Iterable[Service]:
        return Service.objects.order_by("name")


@register
class Clients(Kind):
    slug = "clients"
    label = _("Clients")
    model = Client
    identity = _("A client is known by its name.")
    to_import = keeping("client")
    to_export = "agreements.view_client"

    @classmethod
    def columns(cls) -> Sequence[Column]:
        return (
            of(Client, "name", example="Northwind"),
            of(Client, "time_zone", example="America/New_York"),
            of(Client, "language", example="en"),
            of(Client, "is_active", example="yes"),
        )

    def rows(self) -> Iterable[Client]:
        return scope.visible(Client.objects.order_by("name"), self.by)


@register
class Contacts(Kind):
    slug = "contacts"
    label = _("Contacts")
    model = Contact
    identity = _("A contact is known by its client and its mail address; capitals make no difference.")
    remarks = (_("Who was pseudonymised is not exported."),)
    to_import = keeping("contact")
    to_export = "agreements.view_contact"

    @classmethod
    def columns(cls) -> Sequence[Column]:
        return (
            Column(
                name="client",
                field="client",
                help=_("The name of the client."),
                example="Northwind",
                is_needed=True,
                read=client_called,
                write=lambda client: str(client.name),
            ),
            of(Contact, "address", example="ops@northwind.example"),
            of(Contact, "name", example="Northwind Operations"),
            of(Contact, "phone", example="+1 555 0100"),
            of(Contact, "position", example="1"),
            of(Contact, "is_active", example="yes"),
        )

    def rows(self) -> Iterable[Contact]:
        known = Contact.objects.known().select_related("client").order_by("client__name", "position", "pk")
        return scope.visible(known, self.by)

    def values(self, cells: Mapping[str, str]) -> dict[str, Any]:
        """An address in other capitals is the one that is there."""
        values = super().values(cells)
        there = self.find(values)
        return {**values, "address": there.address} if there else values

    def key(self, values: Mapping[str, Any]) -> object:
        return values.get("client"), str(values.get("address", "")).casefold()

    def find(self, values: Mapping[str, Any]) -> Any:
        return found(Contact.objects.known(), client=values.get("client"), address__iexact=values.get("address", ""))


_DAYS = {day.value: day.name.casefold() for day in Weekday}


def _weekday(text: str) -> int | None:
    for value, name in _DAYS.items():
        if name == text.casefold():
            return value
    if text:
        raise ValidationError(
            _("“%(text)s” is none of: %(values)s."), params={"text": text, "values": ", ".join(_DAYS.values())}
        )
    return None


@dataclass(frozen=True)
class CalendarLine:
    """One opening, one special day, or a calendar without any."""

    name: str
    time_zone: str
    weekday: int | None = None
    on: dt.date | None = None
    day_name: str = ""
    opens: dt.time | None = None
    closes: dt.time | None = None


@register
class Calendars(Kind):
    slug = "calendars"
    label = _("Calendars")
    model = ServiceCalendar
    identity = _(
        "A calendar is known by its name, its opening hours by day and opening time, its closures and changed days by "
        "date and opening time."
    )
    remarks = (
        _("One line for each opening (weekday) and each closure or changed day (date), beside the calendar’s name."),
        _("A line without weekday and date is the calendar alone."),
        _("Deadlines that already run do not move."),
    )
    to_import = keeping("servicecalendar", "openinghours", "specialday")
    to_export = "agreements.view_servicecalendar"
    told_in = {"on": "date", "calendar": "name"}

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._touched: dict[int, int] = {}  # the last line about each calendar

    @classmethod
    def columns(cls) -> Sequence[Column]:
        return (
            of(ServiceCalendar, "name", example="Office hours"),
            of(ServiceCalendar, "time_zone", example="Europe/Berlin"),
            Column(
                name="weekday",
                field="weekday",
                help=_now("Of an opening of every week. One of: %(values)s.") % {"values": ", ".join(_DAYS.values())},
                example="monday",
                read=_weekday,
                write=lambda day: "" if day is None else _DAYS[day],
            ),
            of(SpecialDay, "on", name="date", is_needed=False, help=_("Of a closure or changed day: 2026-12-25.")),
            replace(of(SpecialDay, "name", name="day_name"), field="day_name"),
            of(SpecialDay, "opens", example="09:00"),
            of(SpecialDay, "closes", example="17:00", help=OpeningHours._meta.get_field("closes").help_text),
        )

    def rows(self) -> Iterator[CalendarLine]:
        for calendar in ServiceCalendar.objects.prefetch_related("hours", "special_days"):
            base = CalendarLine(calendar.name, calendar.time_zone)
            lines = [
                replace(base, weekday=one.weekday, opens=one.opens, closes=one.closes) for one in calendar.hours.all()
            ]
            lines += [
                replace(base, on=one.on, day_name=one.name, opens=one.opens, closes=one.closes)
                for one in calendar.special_days.all()
            ]
            yield from lines or [base]

    def take(self, line: Line) -> Taken:
        values = self.values({name: transfer.unescaped(text) for name, text in line.cells.items()})
        self.refuse_twice(tuple(values.get(name) for name in ("name", "weekday", "on", "opens")), line)
        calendar, changed = self._calendar(values)
        self._touched[calendar.pk] = line.number
        part = self._part(calendar, values)
        if part is None:
            verdict = Verdict.ADDED if changed is None else Verdict.CHANGED if changed else Verdict.SAME
            return Taken(line.number, verdict, str(calendar), tuple(changed or ()))
        is_new = part.pk is None
        wanted = {"closes": values.get("closes")}
        if isinstance(part, SpecialDay) and "day_name" in values:
            wanted["name"] = values["day_name"]
        parts = set_values(part, wanted)
        if is_new or parts:
            save(part)
        told = [*(changed or ()), *("day_name" if name == "name" else name for name in parts)]
        verdict = Verdict.ADDED if is_new else Verdict.CHANGED if told else Verdict.SAME
        return Taken(line.number, verdict, f"{calendar}: {part}", () if is_new else tuple(told))

    def _calendar(self, values: Mapping[str, Any]) -> tuple[ServiceCalendar, list[str] | None]:
        """With what the line changed of it; None if it is new."""
        calendar = found(ServiceCalendar.objects.all(), name=values.get("name"))
        is_new = calendar is None
        calendar = calendar or ServiceCalendar()
        changed = set_values(calendar, {name: values[name] for name in ("name", "time_zone") if values.get(name)})
        if is_new or changed:
            save(calendar)
        return calendar, None if is_new else changed

    def _part(self, calendar: ServiceCalendar, values: Mapping[str, Any]) -> OpeningHours | SpecialDay | None:
        weekday, on, opens = (values.get(name) for name in ("weekday", "on", "opens"))
        if weekday is not None and on is not None:
            raise ValidationError(_("A line is about a weekday or about a date, not both. Make two lines of it."))
        if weekday is not None:
            if opens is None:
                raise ValidationError({"opens": _("An opening needs this.")})
            there = found(calendar.hours.all(), weekday=weekday, opens=opens)
            return there or OpeningHours(calendar=calendar, weekday=weekday, opens=opens)
        if on is not None:
            when = {"opens": opens} if opens else {"opens__isnull": True}
            return found(calendar.special_days.all(), on=on, **when) or SpecialDay(
                calendar=calendar, on=on, opens=opens
            )
        if opens or values.get("closes"):
            raise ValidationError(_("Say of which weekday or date these hours are."))
        return None

    def finish(self) -> Iterator[Problem]:
        """Openings that overlap, a calendar that never opens: as its page refuses them."""
        for pk, line in self._touched.items():
            try:
                ServiceCalendar.objects.get(pk=pk).as_clock_calendar()
            except clock.ClockError as error:
                yield Problem(line, "", str(_(error.sentence)) % error.values)


@register
class Agreements(Kind):
    slug = "agreements"
    label = _("Service agreements")
    model = ServiceAgreement
    identity = _("A version of an agreement is known by its reference and its version.")
    remarks = (
        _REMOVES_NOTHING,
        _("End the old version in the line above the new one: two versions cannot be in force at once."),
        _("Its commitments are a file of their own, imported after this one."),
    )
    to_import = keeping("serviceagreement", "servicecoverage")
    to_export = "agreements.view_serviceagreement"

    @classmethod
    def columns(cls) -> Sequence[Column]:
        return (
            of(ServiceAgreement, "reference", example="NW-2025-03"),
            of(ServiceAgreement, "version", example="1"),
            Column(
                name="client",
                field="client",
                help=_("The name of the client."),
                example="Northwind",
                is_needed=True,
                read=client_called,
                write=lambda client: str(client.name),
            ),
            Column(
                name="calendar",
                field="calendar",
                help=_("The name of the calendar by which business hours and business days are counted."),
                example="Office hours",
                is_needed=True,
                read=calendar_called,
                write=lambda calendar: str(calendar.name),
            ),
            of(ServiceAgreement, "effective_at", example="2026-01-01T00:00:00+00:00"),
            of(ServiceAgreement, "ends_at", example=""),
            of(ServiceAgreement, "clause", example="The Service Provider shall notify the Client within 4 hours."),
            Column(
                name="owner",
                field="owner",
                help=_("The sign-in name of the colleague who answers for this agreement; may be empty."),
                read=_colleague,
                write=lambda owner: owner.username if owner else "",
            ),
            Column(
                name="services",
                help=_("The names of the services that it covers, parted by semicolons."),
                example="Object storage",
                write=lambda agreement: names_out(sorted(row.service.name for row in agreement.coverage.all())),
            ),
            Column(
                name="supersedes",
                help=_("The version of the same reference that this one supersedes; empty for the first."),
                write=lambda agreement: str(agreement.supersedes.version) if agreement.supersedes else "",
            ),
            *(
                Column(
                    name=f"{severity.value}_means",
                    help=_now("What the agreement calls an incident of the severity “%(severity)s”; may be empty.")
                    % {"severity": severity.label},
                    write=functools.partial(_definition, severity),
                )
                for severity in Severity
            ),
        )

    def rows(self) -> Iterable[ServiceAgreement]:
        known = ServiceAgreement.objects.select_related("client", "calendar", "owner", "supersedes")
        known = known.prefetch_related("coverage__service", "definitions").order_by("reference", "version")
        return scope.visible(known, self.by)

    def values(self, cells: Mapping[str, str]) -> dict[str, Any]:
        values = {"version": 1, **super().values(cells)}
        if "supersedes" in cells:
            older = cells["supersedes"]
            if older and not older.isdecimal():
                raise ValidationError({"supersedes": _("Write the number of the version.")})
            values["supersedes"] = (
                _told_in("supersedes", agreement_called, values.get("reference", ""), int(older)) if older else None
            )
        return values

    def key(self, values: Mapping[str, Any]) -> object:
        return values.get("reference"), values["version"]

    def find(self, values: Mapping[str, Any]) -> Any:
        return found(ServiceAgreement.objects.all(), reference=values.get("reference"), version=values["version"])

    def parts(self, row: ServiceAgreement, cells: Mapping[str, str], *, is_new: bool) -> Iterator[str]:
        covered = set(row.coverage.values_list("service", flat=True))
        for service in _told_in("services", services_called, cells.get("services", "")):
            if service.pk not in covered:
                ServiceCoverage.objects.create(agreement=row, service=service)
                yield "services"
        meant = {definition.severity: definition for definition in row.definitions.all()}
        for severity in Severity:
            words = cells.get(f"{severity.value}_means", "")
            definition = meant.get(severity) or SeverityDefinition(agreement=row, severity=severity)
            if words and set_values(definition, {"words": words}):
                save(definition)
                yield f"{severity.value}_means"


def _definition(severity: Severity, agreement: ServiceAgreement) -> str:
    return next((one.words for one in agreement.definitions.all() if one.severity == severity), "")


def _told_in(column: str, find: Callable[..., Any], *args: Any) -> Any:
    """What is found, or its refusal under that column."""
    try:
        return find(*args)
    except ValidationError as error:
        raise ValidationError({column: error}) from error


_AUDIENCES = {
    "contacts": "has_contacts",
    "responders": "has_responders",
    "owner": "has_owner",
    "managers": "has_managers",
}
_WARNING = re.compile(r"(?P<amount>[0-9]{1,6}) ?(?P<unit>%|min) ?= ?(?P<who>[a-z+ ]+)")
_WARNINGS_HELP = _(
    "When somebody is warned before it is due, parted by semicolons: a share of the allowance or minutes before its "
    "end, and who (contacts, responders, owner, managers): 50%=responders; 30min=contacts+managers."
)


@register
class Commitments(Kind):
    slug = "commitments"
    label = _("Commitments")
    model = Commitment
    identity = _("A commitment is known by its agreement (reference and version), severity, obligation and label.")
    remarks = (
        _REMOVES_NOTHING,
        _("One that is counted from another being met stands below that other one."),
        _("Deadlines that already run keep the terms they started with."),
    )
    to_import = keeping("commitment", "warningpoint")
    to_export = "agreements.view_commitment"
    told_in = {"agreement": "reference"}

    @classmethod
    def columns(cls) -> Sequence[Column]:
        plain = {
            "severity": "critical", "obligation": "notify", "label": "", "clause_number": "7.2", "amount": "4",
            "unit": "hours", "day_end": "", "start_event": "detected", "roll": "", "roll_at": "", "cap_amount": "",
            "cap_unit": "", "cap_event": "", "is_pausable": "no", "target_amount": "", "target_unit": "",
            "is_recurring": "no", "sends_holding_notice": "yes", "holding_percent": "90",
        }  # fmt: skip
        return (
            Column(
                name="reference",
                help=_("The reference of the agreement."),
                example="NW-2025-03",
                is_needed=True,
                write=lambda row: str(row.agreement.reference),
            ),
            Column(
                name="version",
                help=_("The version of the agreement; empty for the first."),
                example="1",
                write=lambda row: str(row.agreement.version),
            ),
            *(of(Commitment, name, example=example) for name, example in plain.items()),
            Column(
                name="follows",
                help=_(
                    "Where it is counted from another being met: the obligation of that one, and /label if it has one."
                ),
                write=lambda row: _short(row.follows) if row.follows else "",
            ),
            Column(
                name="warnings",
                help=_WARNINGS_HELP,
                example="50%=responders; 30min=contacts+managers",
                write=lambda row: "; ".join(_warning(point) for point in row.warning_points.all()),
            ),
        )

    def rows(self) -> Iterable[Commitment]:
        """What is followed before what follows it."""
        known = Commitment.objects.select_related("agreement", "follows").prefetch_related("warning_points")
        seen = scope.visible(known.order_by("agreement__reference", "agreement__version", "pk"), self.by)
        for _agreement, group in itertools.groupby(seen, key=lambda row: row.agreement_id):
            yield from _chained(list(group))

    def values(self, cells: Mapping[str, str]) -> dict[str, Any]:
        values = {"label": "", **super().values(cells)}
        version = cells.get("version") or "1"
        if not version.isdecimal():
            raise ValidationError({"version": _("Write the number of the version.")})
        agreement = _told_in("reference", agreement_called, cells.get("reference", ""), int(version))
        values["agreement"] = agreement
        if "follows" in cells:
            values["follows"] = _told_in("follows", _followed, agreement, values.get("severity"), cells["follows"])
        return values

    def key(self, values: Mapping[str, Any]) -> object:
        return tuple(values.get(name) for name in ("agreement", "severity", "obligation", "label"))

    def find(self, values: Mapping[str, Any]) -> Any:
        named = {name: values.get(name) for name in ("agreement", "severity", "obligation", "label")}
        return found(Commitment.objects.all(), **named)

    def parts(self, row: Commitment, cells: Mapping[str, str], *, is_new: bool) -> Iterator[str]:
        for measure, audience in _told_in("warnings", _warnings, cells.get("warnings", "")):
            point = found(row.warning_points.all(), **measure)
            wanted = {field: name in audience for name, field in _AUDIENCES.items()}
            is_there = point is not None
            point = point or WarningPoint(commitment=row, **measure)
            if set_values(point, wanted) or not is_there:
                _told_in("warnings", save, point)
                yield "warnings"


def _chained(rows: list[Commitment]) -> list[Commitment]:
    known = {row.pk: row for row in rows}

    def depth(row: Commitment) -> int:
        return 1 + depth(known[row.follows_id]) if row.follows_id in known else 0

    return sorted(rows, key=depth)


def _short(row: Commitment) -> str:
    return f"{row.obligation}/{row.label}" if row.label else row.obligation


def _followed(agreement: ServiceAgreement, severity: str, text: str) -> Commitment | None:
    obligation, _slash, label = text.partition("/")
    if not obligation:
        return None
    named = {"severity": severity, "obligation": obligation.strip().casefold(), "label": label.strip()}
    row = Commitment.objects.filter(agreement=agreement, **named).first()
    said = _("There is no commitment “%(name)s” of that agreement and severity. It must stand in a line above.")
    return _must_be(row, text, said)  # type: ignore[no-any-return]


def _warning(point: WarningPoint) -> str:
    when = f"{point.percent}%" if point.percent is not None else f"{point.minutes_before}min"
    return f"{when}={'+'.join(name for name, field in _AUDIENCES.items() if getattr(point, field))}"


def _warnings(text: str) -> list[tuple[dict[str, int], set[str]]]:
    return [_one_warning(part.strip()) for part in text.split(";") if part.strip()]


def _one_warning(text: str) -> tuple[dict[str, int], set[str]]:
    """The measure of a warning point, and its audience."""
    said = _WARNING.fullmatch(text.casefold())
    audience = {name.strip() for name in said["who"].split("+")} if said else set()
    if said is None or not audience <= _AUDIENCES.keys():
        raise ValidationError(
            _("“%(text)s” is no warning. Write, for example: %(example)s."),
            params={"text": text, "example": "50%=responders; 30min=contacts+managers"},
        )
    measure = "percent" if said["unit"] == "%" else "minutes_before"
    return {measure: int(said["amount"])}, audience
