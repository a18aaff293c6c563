"""The world that lists and trail are measured in: two thousand clients, and years of incidents with their trail.

What Python makes once, the database copies. The trail is that of a house at work: each incident is declared in one act
with its deadline, responder and agreement, is met by a worker's pass that does the same to up to twelve, and is closed
by somebody for a reason; a few are reclassified.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from django.db import connection, models

from agreements.models import Client, Contact, Obligation, ServiceAgreement
from config import roles
from config.audit import sources
from config.models import User
from incidents import lifecycle
from incidents.models import AffectedAgreement, Deadline, DeliveryAttempt, Incident, Notice, Responder, TimelineEntry
from incidents.models.incident import Status
from incidents.models.notice import NoticeState, Outcome
from reviews import lifecycle as reviewing
from reviews.models import CorrectiveAction, PostIncidentReview
from tests import cast
from tests.bench.idle_tick import declare_the_first
from tests.bench.stage import on_postgres

CLIENTS = 2_000
BUSY_CLIENT = 10  # that one incident of ten is about, counted from the first
OPEN = 200  # incidents that are being worked on, whatever the number of all
FOLLOWED = 10  # one closed incident of so many has a notice that was sent, and a review with an action
RECLASSIFIED = 50  # one of so many was
APART = 94  # seconds between two incidents: a million in three years
SELDOM, REMAINDER = 50_000, 300  # of so many incidents one has what is rare, and one at least

NOUNS = (
    "Storage,Payments,Login,Search,Mail,Backup,Network,Billing,Portal,Gateway,Queue,Cache,Database,Replication,Upload,"
    "Export,Calendar,Reports,Chat,Video"
)
VERBS = (
    "is down,is slow,fails now and then,loses writes,answers with errors,cannot be reached,drops connections,is behind,"
    "shows old data,rejects certificates"
)
RARE = "zebrafish"  # in a title, and in the reason for which that incident was closed
PLACES = 97
REASONS = (
    "Service restored and checked with the client,Restarted by the vendor,False alarm by the probe,"
    "Same cause as the one before,Rolled back the release,Disk replaced,Certificate renewed,Traffic moved to zone two"
)
RARE_PERSON = "paula"
STORY = 2_000  # entries of the longest


@dataclass(frozen=True)
class World:
    """`open` is the first of the open incidents; `storied` one that was closed, of which much was written."""

    open: Incident
    storied: Incident


@contextlib.contextmanager
def world(incidents: int, now: dt.datetime, kept: str = "") -> Iterator[World]:
    """With so many incidents, in a database that is dropped afterwards or, `kept` under that name, used again."""
    with on_postgres(f"{kept}_{incidents}" if kept else ""):
        if not Incident.objects.exists():
            past = _set_up(now)
            _copy_incidents(past, incidents - Incident.objects.count(), "2025")
            with connection.cursor() as cursor:
                cursor.execute("VACUUM (ANALYZE)")
        yield World(*Incident.objects.order_by("pk")[:2])


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sizes", type=int, nargs="+", default=(1_000, 1_000_000), help="incidents, few and many")
    parser.add_argument("--repeats", type=int, default=15, help="visits of which the median is taken (15)")
    parser.add_argument("--kept", default="", help="keep the databases under this name, and use them if they are there")
    parser.add_argument("--build", action="store_true", help="only make them")


# ── the rows that all others are copied from ────────────────────────────────────────────────────────────────────────


def _set_up(now: dt.datetime) -> Incident:
    """Two thousand clients with an agreement each, two hundred open incidents, one that is closed."""
    first = declare_the_first(now - dt.timedelta(minutes=30))
    olga, _aude = User.objects.get(username="olga"), cast.aude()
    for username in ("omar", "otto", "oriel", RARE_PERSON):
        cast.colleague(username, f"{username.title()} Ortega", roles.OPERATOR)
    agreement = ServiceAgreement.objects.get()
    past = lifecycle.declare(
        by=olga,
        now=now - dt.timedelta(days=1),
        title="Storage was down",
        severity="critical",
        services=[cast.service("Storage")],
        detected_at=now - dt.timedelta(days=1),
    )
    at = now - dt.timedelta(hours=23)
    lifecycle.notify_client(past, by=olga, now=at)
    lifecycle.record_told(past, agreement.client, by=olga, now=at, evidence="Called Ms Reyes")
    lifecycle.resolve(past, by=olga, now=at)
    lifecycle.close(past, by=olga, now=at)
    notice = Notice.objects.filter(incident=past).earliest("pk")
    notice.state, notice.accepted_at = NoticeState.SENT, at
    notice.save()
    DeliveryAttempt.objects.create(notice=notice, at=at, worker="bench", outcome=Outcome.ACCEPTED, phase="")
    review = reviewing.open_review(past, by=olga, now=at)
    CorrectiveAction.objects.create(review=review, what="Add a replica", owner=olga, due_on=at.date())
    _write_a_long_story(past)
    _copy_clients(agreement)
    _copy_incidents(first, OPEN - 1, "2024")
    return Incident.objects.get(pk=past.pk)


def _write_a_long_story(incident: Incident) -> None:
    entry = incident.timeline.earliest("pk")
    last = TimelineEntry.objects.latest("pk").pk
    series = f"CROSS JOIN generate_series(1, {STORY}) AS more(number)"
    later = "make_interval(secs => more.number)"
    copy_rows(entry, series, {"happened_at": f"row.happened_at + {later}", "text": "'Restarted node ' || more.number"})
    tell(TimelineEntry, f"now.id > {last}", {"history_date": "now.happened_at"})


def _copy_clients(agreement: ServiceAgreement) -> None:
    client, contact = agreement.client, Contact.objects.earliest("pk")
    name, reference = "'Client ' || more.number", "'XX-' || more.id"
    series = f"CROSS JOIN generate_series(1, {CLIENTS - 1}) AS more(number)"
    theirs = f"JOIN {_table(Client)} AS more ON more.id > {client.pk}"
    copy_rows(client, series, {"name": name, "words": f"' ' || lower({name})"})
    copy_rows(contact, theirs, {"client_id": "more.id"})
    copy_rows(
        agreement,
        theirs,
        {"reference": reference, "client_id": "more.id", "words": f"' ' || lower({reference})"},
    )
    for row in (client, contact, agreement):
        tell(type(row), f"now.id > {row.pk}", {})


# ── incidents ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _copy_incidents(row: Incident, count: int, year: str) -> None:
    """With agreement, responder, deadlines and trail; declared one after another before the row itself."""
    last, is_closed = Incident.objects.latest("pk").pk, row.status == Status.CLOSED
    last_deadline = Deadline.objects.latest("pk").pk
    number = f"({last} + more.number)"
    title = (
        f"(string_to_array('{NOUNS}', ','))[1 + mod({number}, 20)] || ' ' || "
        f"(string_to_array('{VERBS}', ','))[1 + mod({number} / 20, 10)] || ' in zone-' || mod({number}, {PLACES}) || "
        f"CASE WHEN mod({number}, {SELDOM}) = {REMAINDER} THEN ' {RARE}' ELSE '' END"
    )
    reference = f"'INC-{year}-' || lpad({number}::text, 7, '0')"
    changed = {
        "reference": reference,
        "title": title,
        "words": f"' ' || lower({reference} || ' ' || {title})",
        "severity": f"(ARRAY['critical','high','medium','low'])[1 + mod({number} / 7, 4)]",
    }
    if is_closed:
        moved = ("detected_at", "aware_at", "classified_at", "declared_at", "acknowledged_at", "mitigated_at")
        changed |= _earlier(*moved, "resolved_at", "closed_at", steps=number)
    copy_rows(row, f"CROSS JOIN generate_series(1, {count}) AS more(number)", changed)
    new = f"JOIN {_table(Incident)} AS more ON more.id > {last}"
    agreement = ServiceAgreement.objects.earliest("pk").pk
    client = Client.objects.earliest("pk").pk
    whose = f"CASE WHEN mod(more.id, 10) = 0 THEN {BUSY_CLIENT} ELSE mod(more.id, {CLIENTS}) END"
    agreed = {"agreement_id": f"{agreement} + {whose}"}
    affected = AffectedAgreement.objects.filter(incident=row).earliest("pk")
    copy_rows(affected, new, {"incident_id": "more.id", **agreed})
    copy_rows(Responder.objects.filter(incident=row).earliest("pk"), new, {"incident_id": "more.id"})
    deadlines = row.deadlines.filter(obligation=Obligation.NOTIFY) if is_closed else row.deadlines.all()
    theirs = {"incident_id": "more.id", **agreed, "client_id": f"{client} + {whose}"}
    if is_closed:  # each a little earlier, as its incident
        theirs |= _earlier("started_at", "due_at", "at_risk_at", "met_at", steps=f"(more.id - {last})")
    for deadline in deadlines:
        copy_rows(deadline, new, theirs)
    if is_closed:
        _copy_what_followed(row, last)
    _tell_of_incidents(last, last_deadline, is_closed=is_closed)


def _copy_what_followed(row: Incident, last: int) -> None:
    """A notice, and a review with its action, for some of the incidents after that one."""
    some = f"JOIN {_table(Incident)} AS more ON more.id > {last} AND mod(more.id, {FOLLOWED}) = 0"
    steps = f"(more.id - {last})"
    theirs = {"incident_id": "more.id", "deadline_id": "NULL", "message_id": "row.message_id || more.id"}
    theirs |= _earlier("made_at", "accepted_at", "due_at", steps=steps)
    notice = Notice.objects.filter(incident=row, state=NoticeState.SENT).earliest("pk")
    copy_rows(notice, some, theirs)
    sent = f"JOIN {_table(Notice)} AS more ON more.id > {notice.pk} AND more.state = '{NoticeState.SENT}'"
    copy_rows(notice.attempts.get(), sent, {"notice_id": "more.id", "at": "more.accepted_at"})
    last_review = PostIncidentReview.objects.latest("pk").pk
    last_action = CorrectiveAction.objects.latest("pk").pk
    copy_rows(row.review, some, {"incident_id": "more.id", **_earlier("opened_at", steps=steps)})
    reviews = f"JOIN {_table(PostIncidentReview)} AS more ON more.id > {last_review}"
    due_on = "row.due_on - mod(more.id, 200)::integer"
    copy_rows(row.review.actions.get(), reviews, {"review_id": "more.id", "due_on": due_on})
    tell(PostIncidentReview, f"now.id > {last_review}", {"history_date": "now.opened_at"})
    review = f"JOIN {_table(PostIncidentReview)} AS review ON review.id = now.review_id"
    tell(CorrectiveAction, f"now.id > {last_action}", {"history_date": "review.opened_at"}, source=review)


def _earlier(*names: str, steps: str) -> dict[str, str]:
    return {name: f"row.{name} - make_interval(secs => {APART} * {steps})" for name in names}


# ── the trail ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _tell_of_incidents(last: int, last_deadline: int, *, is_closed: bool) -> None:
    """Six rows for each: four when it is declared, one by the worker, one when it is closed."""
    is_recent = f"own.id < {(2 * last + Incident.objects.latest('pk').pk) // 3}"
    declarer = _done_by("own.id / 3", is_recent=is_recent)
    declared = "own.declared_at + make_interval(secs => 0.001 * mod(own.id, 1000))"
    of_declaring = {"history_date": declared, "request_id": _act("declared", "own.id"), **declarer}
    new = f"own.id > {last}"
    own = f"JOIN {_table(Incident)} AS own ON own.id = now.incident_id"
    for model in (AffectedAgreement, Responder):
        tell(model, new, of_declaring, source=own)

    # Some have a first severity; what closes one takes its values as they are. 1 declared, 2 reclassified, 3 closed.
    steps = f"JOIN {_table(Incident)} AS own ON own.id = now.id CROSS JOIN generate_series(1, 3) AS step(number)"
    is_there = f"(step.number = 1 OR mod(own.id, {RECLASSIFIED}) = 0 AND step.number = 2 OR step.number = 3)"
    before = f"CASE WHEN mod(own.id, {RECLASSIFIED}) = 0 AND step.number = 1 THEN 'high' ELSE now.severity END"
    closing = {name: f"CASE WHEN step.number = 3 THEN now.{name} END" for name in ("resolved_at", "closed_at")}
    of_incidents = {
        **closing,
        "severity": before,
        "status": f"CASE WHEN step.number = 3 THEN now.status ELSE '{Status.ACKNOWLEDGED}' END",
        "history_date": _by_step(declared, "own.declared_at + interval '10 minutes'", "own.closed_at"),
        "history_type": _by_step("'+'", "'~'", "'~'"),
        "changed": _by_step("''", "',severity,classified_at,'", "',status,resolved_at,closed_at,'"),
        "request_id": _by_step(*(_act(step, "own.id") for step in ("declared", "reclassified", "closed"))),
        "history_change_reason": _by_step("''", "'The client says that it can wait'", _reason("own.id")),
        "caller": "CASE WHEN step.number = 3 AND mod(own.id, 11) = 0 THEN 'command' "
        f"WHEN step.number = 3 AND {_is_seldom('own.id')} THEN 'shell' ELSE 'admin' END",
        **_done_by("own.id / 3 + step.number - 1", is_recent=is_recent),
    }
    if is_closed:
        tell(Incident, f"{new} AND {is_there}", of_incidents, source=steps)
    else:
        of_declaring |= {"status": "now.status"}
        own_row = f"JOIN {_table(Incident)} AS own ON own.id = now.id"
        tell(Incident, new, of_declaring, source=own_row)
        of_declaring.pop("status")

    # A pass of the worker does the same to one to twelve of those that follow each other.
    block, size = "(own.id / 12 * 12)", "(1 + mod(own.id / 12, 12))"
    group = f"({block} + mod(own.id, 12) / {size} * {size})"
    met = f"own.declared_at + interval '30 minutes' + make_interval(secs => {APART} * (own.id - {group}))"
    steps = f"{own} CROSS JOIN generate_series(1, {2 if is_closed else 1}) AS step(number)"
    of_deadlines = {
        "met_at": "CASE WHEN step.number = 2 THEN now.met_at END" if is_closed else "now.met_at",
        "history_date": _by_step(declared, met),
        "history_type": _by_step("'+'", "'~'"),
        "changed": _by_step("''", "',met_at,'"),
        "request_id": _by_step(_act("declared", "own.id"), _act("met", group)),
        "history_change_reason": "''",
        "caller": _by_step("'admin'", "'worker'"),
        "history_user_id": _by_step(declarer["history_user_id"], "NULL"),
        "actor_name": _by_step(declarer["actor_name"], "'system: notices'"),
    }
    tell(Deadline, f"now.id > {last_deadline}", of_deadlines, source=steps)


def _by_step(*values: str) -> str:
    *others, otherwise = values
    return f"CASE step.number {' '.join(f'WHEN {n} THEN {v}' for n, v in enumerate(others, 1))} ELSE {otherwise} END"


def _act(kind: str, number: str) -> str:
    return f"md5('{kind} ' || {number})::uuid"


def _is_seldom(number: str) -> str:
    return f"mod({number}, {SELDOM}) = {REMAINDER}"


def _reason(number: str) -> str:
    common = f"(string_to_array('{REASONS}', ','))[1 + mod({number} / 5, 8)]"
    return f"CASE WHEN {_is_seldom(number)} THEN 'It was the {RARE}' ELSE {common} END"


def _done_by(number: str, *, is_recent: str) -> dict[str, str]:
    """Olga does half of it, Paula something now and then; Oriel has left."""
    people = {user.username: user for user in User.objects.order_by("pk")}
    stayed = [people[name] for name in ("olga", "olga", "olga", "omar", "otto")]

    def said(show: str) -> str:
        seldom = f"WHEN mod({number}, {SELDOM}) = {REMAINDER // 3} THEN {show.format(people[RARE_PERSON])}"
        gone = f"CASE WHEN {is_recent} THEN {show.format(people['otto'])} ELSE {show.format(people['oriel'])} END"
        all_of_them = ", ".join([*(show.format(user) for user in stayed), gone])
        return f"CASE {seldom} ELSE (ARRAY[{all_of_them}])[1 + mod({number}, 6)] END"

    return {"history_user_id": said("{0.pk}"), "actor_name": said("'{0.audit_name}'")}


def tell(model: type[models.Model], which: str, said: Mapping[str, str], *, source: str = "") -> None:
    """Add the trail of rows (`now`) as they are, but for what is `said`: in the order in which it was written."""
    history = sources.history_of(model)
    olga = User.objects.get(username="olga")
    values = {
        "history_date": "clock_timestamp()",
        "history_type": "'+'",
        "history_change_reason": "''",
        "changed": "''",
        "request_id": _act(model._meta.label_lower, "now.id"),
        "caller": "'admin'",
        "history_user_id": str(olga.pk),
        "actor_name": f"'{olga.audit_name}'",
        **said,
    }
    columns = [str(field.column) for field in history._meta.concrete_fields if not field.primary_key]
    quoted = ", ".join(f'"{column}"' for column in columns)
    copied = ", ".join(values.get(column, f'now."{column}"') for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {_table(history)} ({quoted}) SELECT {copied} FROM {_table(model)} AS now {source} "  # noqa: S608
            f"WHERE {which} ORDER BY {1 + columns.index('history_date')}"
        )


def copy_rows(row: models.Model, source: str, changed: Mapping[str, str]) -> None:
    """Insert copies of the row, one for each row of `source`, with some columns computed."""
    columns = [str(field.column) for field in row._meta.concrete_fields if not field.primary_key]
    quoted = ", ".join(f'"{column}"' for column in columns)
    values = ", ".join(changed.get(column, f'row."{column}"') for column in columns)
    table = _table(type(row))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({quoted}) SELECT {values} FROM {table} AS row {source} WHERE row.id = %s",  # noqa: S608
            [row.pk],
        )


def _table(model: type[models.Model]) -> str:
    return connection.ops.quote_name(model._meta.db_table)
