"""Board, lists, workspace and search beside a thousand and a million incidents. `python -m tests.bench.lists`"""

from __future__ import annotations

import argparse
import datetime as dt
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection, models
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from agreements.models import Client, Contact, Obligation, ServiceAgreement
from config.admin import list_of
from config.models import User
from incidents import lifecycle
from incidents.models import AffectedAgreement, Deadline, Incident, Notice, Responder
from incidents.models.incident import Status
from incidents.models.notice import NoticeState
from reviews import lifecycle as reviewing
from reviews.models import CorrectiveAction, PostIncidentReview
from tests import cast
from tests.bench.idle_tick import declare_the_first
from tests.bench.stage import on_postgres, verdict

CLIENTS = 2_000
OPEN = 200  # incidents that are being worked on, whatever the number of all
FOLLOWED = 10  # one closed incident of so many has a notice that was sent, and a review with an action
HISTORY = 5  # rows of the trail for each incident: three of its own, two of its deadline
APART = 20  # seconds between two incidents

NOUNS = (
    "Storage,Payments,Login,Search,Mail,Backup,Network,Billing,Portal,Gateway,Queue,Cache,Database,Replication,Upload,"
    "Export,Calendar,Reports,Chat,Video"
)
VERBS = (
    "is down,is slow,fails now and then,loses writes,answers with errors,cannot be reached,drops connections,is behind,"
    "shows old data,rejects certificates"
)
RARE = "zebrafish"  # in one title of fifty thousand, and in one at least
PLACES = 97


# ── the scene ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Scene:
    """The rows that all others are copied from."""

    open: Incident
    past: Incident


def set_up(now: dt.datetime) -> Scene:
    """Two thousand clients with an agreement each, two hundred open incidents, one that is closed."""
    first = declare_the_first(now - dt.timedelta(minutes=30))
    olga = User.objects.get(username="olga")
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
    review = reviewing.open_review(past, by=olga, now=at)
    CorrectiveAction.objects.create(review=review, what="Add a replica", owner=olga, due_on=at.date())
    series = f"CROSS JOIN generate_series(1, {CLIENTS - 1}) AS more(number)"
    name = "'Client ' || more.number"
    copy_rows(agreement.client, series, {"name": name, "words": f"' ' || lower({name})"})
    copy_rows(
        Contact.objects.earliest("pk"),
        f"JOIN {_table(Client)} AS more ON more.id > {agreement.client_id}",
        {"client_id": "more.id"},
    )
    reference = "'XX-' || more.id"
    copy_rows(
        agreement,
        f"JOIN {_table(Client)} AS more ON more.id > {agreement.client_id}",
        {"reference": reference, "client_id": "more.id", "words": f"' ' || lower({reference})"},
    )
    _copy_incidents(first, OPEN - 1, "2024")
    return Scene(first, Incident.objects.get(pk=past.pk))


def fill(scene: Scene, incidents: int) -> None:
    """Close so many incidents in the past that there are this many, each with its deadline and its trail."""
    _copy_incidents(scene.past, incidents - Incident.objects.count(), "2025")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)")


def _copy_incidents(row: Incident, count: int, year: str) -> None:
    """With agreement, responder, deadlines and history; declared one after another before the row itself."""
    last = Incident.objects.latest("pk").pk
    number = f"({last} + more.number)"
    title = (
        f"(string_to_array('{NOUNS}', ','))[1 + mod({number}, 20)] || ' ' || "
        f"(string_to_array('{VERBS}', ','))[1 + mod({number} / 20, 10)] || ' in zone-' || mod({number}, {PLACES}) || "
        f"CASE WHEN mod({number}, 50000) = 300 THEN ' {RARE}' ELSE '' END"
    )
    reference = f"'INC-{year}-' || lpad({number}::text, 7, '0')"
    earlier = f"make_interval(secs => {APART} * {number})"
    changed = {
        "reference": reference,
        "title": title,
        "words": f"' ' || lower({reference} || ' ' || {title})",
        "severity": f"(ARRAY['critical','high','medium','low'])[1 + mod({number} / 7, 4)]",
    }
    if row.status == Status.CLOSED:
        moved = ("detected_at", "aware_at", "classified_at", "declared_at", "acknowledged_at", "mitigated_at")
        changed |= {name: f"row.{name} - {earlier}" for name in (*moved, "resolved_at", "closed_at")}
    copy_rows(row, f"CROSS JOIN generate_series(1, {count}) AS more(number)", changed)
    new = f"JOIN {_table(Incident)} AS more ON more.id > {last}"
    agreement = ServiceAgreement.objects.earliest("pk").pk
    client = Client.objects.earliest("pk").pk
    whose = {
        "agreement_id": f"{agreement} + mod(more.id, {CLIENTS})",
        "client_id": f"{client} + mod(more.id, {CLIENTS})",
    }
    affected = AffectedAgreement.objects.filter(incident=row).earliest("pk")
    copy_rows(affected, new, {"incident_id": "more.id", "agreement_id": whose["agreement_id"]})
    copy_rows(Responder.objects.filter(incident=row).earliest("pk"), new, {"incident_id": "more.id"})
    deadlines = (
        row.deadlines.filter(obligation=Obligation.NOTIFY) if row.status == Status.CLOSED else row.deadlines.all()
    )
    theirs = {"incident_id": "more.id", **whose}
    if row.status == Status.CLOSED:  # each a little earlier, as its incident
        before = f"make_interval(secs => {APART} * (more.id - {last}))"
        theirs |= {name: f"row.{name} - {before}" for name in ("started_at", "due_at", "at_risk_at", "met_at")}
    for deadline in deadlines:
        copy_rows(deadline, new, theirs)
    if row.status == Status.CLOSED:
        _copy_what_followed(row, last)
    for told, copies in ((row, HISTORY - 2), (deadlines.earliest("pk"), 2)):
        mine = new if told is row else f"JOIN {_table(Deadline)} AS more ON more.incident_id > {last}"
        trail = told.history.earliest("pk")
        copy_rows(
            trail,
            f"{mine} CROSS JOIN generate_series(1, {copies}) AS again(number)",
            {"id": "more.id"},
            key="history_id",
        )


def _copy_what_followed(row: Incident, last: int) -> None:
    """A notice, and a review with its action, for some of the incidents after that one."""
    before = f"make_interval(secs => {APART} * (more.id - {last}))"
    some = f"JOIN {_table(Incident)} AS more ON more.id > {last} AND mod(more.id, {FOLLOWED}) = 0"
    theirs = {"incident_id": "more.id", "deadline_id": "NULL", "message_id": "row.message_id || more.id"}
    theirs |= {name: f"row.{name} - {before}" for name in ("made_at", "accepted_at", "due_at")}
    copy_rows(Notice.objects.filter(incident=row, state=NoticeState.SENT).earliest("pk"), some, theirs)
    last_review = PostIncidentReview.objects.latest("pk").pk
    copy_rows(row.review, some, {"incident_id": "more.id", "opened_at": f"row.opened_at - {before}"})
    reviews = f"JOIN {_table(PostIncidentReview)} AS more ON more.id > {last_review}"
    due_on = "row.due_on - mod(more.id, 200)::integer"
    copy_rows(row.review.actions.get(), reviews, {"review_id": "more.id", "due_on": due_on})


def copy_rows(row: models.Model, source: str, changed: Mapping[str, str], *, key: str = "id") -> None:
    """Insert copies of the row, one for each row of `source`, with some columns computed."""
    columns = [str(field.column) for field in row._meta.concrete_fields if not field.primary_key]
    quoted = ", ".join(f'"{column}"' for column in columns)
    values = ", ".join(changed.get(column, f'row."{column}"') for column in columns)
    table = _table(type(row))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({quoted}) SELECT {values} FROM {table} AS row {source} WHERE row.{key} = %s",  # noqa: S608
            [row.pk],
        )


def _table(model: type[models.Model]) -> str:
    return connection.ops.quote_name(model._meta.db_table)


# ── what is measured ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Visit:
    """A page that is opened, and what is aimed at: milliseconds of the page, or of its queries alone."""

    name: str
    url: str
    page_ms: float | None = None
    queries_ms: float | None = None
    keeps_its_time: bool = False  # aim: at most 1.5 times, however many incidents


@dataclass(frozen=True)
class Took:
    queries: int
    page_ms: float
    cpu_ms: float
    queries_ms: float
    rows: int


def visits(scene: Scene) -> Sequence[Visit]:
    incidents, deadlines, notices = (list_of(model) for model in (Incident, Deadline, Notice))
    some = Incident.objects.filter(reference__startswith="INC-2025").order_by("pk")[250]

    def search(text: str) -> str:
        return f"{incidents}?q={text}"

    return (
        Visit("board", reverse("admin:index"), 60, keeps_its_time=True),
        Visit("incidents", incidents, 60, keeps_its_time=True),
        Visit("incidents, page 15", f"{incidents}?p=15"),
        Visit("incidents, open", f"{incidents}?status=open", 60, keeps_its_time=True),
        Visit("incidents, at risk", f"{incidents}?standing=at_risk", 60, keeps_its_time=True),
        Visit("incidents, low severity", f"{incidents}?severity=low", 60, keeps_its_time=True),
        Visit("incidents of one client", f"{incidents}?client=Client+77"),
        Visit("deadlines", deadlines, 60, keeps_its_time=True),
        Visit("deadlines, open", f"{deadlines}?standing=open", 60, keeps_its_time=True),
        Visit("notices", notices, 60, keeps_its_time=True),
        Visit("clients", list_of(Client), 60, keeps_its_time=True),
        Visit("agreements", list_of(ServiceAgreement), 60, keeps_its_time=True),
        Visit("reviews", list_of(PostIncidentReview), 60, keeps_its_time=True),
        Visit("actions", list_of(CorrectiveAction), 60, keeps_its_time=True),
        Visit(
            "page of an open incident",
            reverse("admin:incidents_incident_change", args=[scene.open.pk]),
            keeps_its_time=True,
        ),
        Visit(
            "page of an old incident", reverse("admin:incidents_incident_change", args=[some.pk]), keeps_its_time=True
        ),
        Visit("search: reference", search(some.reference), queries_ms=15),
        Visit("search: its beginning", search(some.reference[:-1]), queries_ms=15),
        Visit("search: rare word", search(RARE), queries_ms=150),
        Visit("search: part of a word", search("eplicat"), queries_ms=150),
        Visit("search: common word", search("storage"), queries_ms=150),
        Visit("search: three words", search("replication+errors+zone-13"), queries_ms=150),
        Visit("search: no such word", search("unheardof"), queries_ms=150),
        Visit("search: client", search("northwind"), queries_ms=150),
        Visit("search: client and word", search("northwind+storage"), queries_ms=150),
        Visit("deadlines: rare word", f"{deadlines}?q={RARE}", queries_ms=150),
    )


def measure(browser: Browser, visit: Visit, repeats: int) -> Took:
    """Medians over so many visits, after two that warm the caches."""
    pages, busy, asked, counts, rows = [], [], [], 0, 0
    for number in range(repeats + 2):
        spent: list[float] = []

        def clock(execute: Any, sql: str, params: Any, many: bool, context: Any, spent: list[float] = spent) -> Any:
            began = time.perf_counter()
            try:
                return execute(sql, params, many, context)
            finally:
                spent.append(time.perf_counter() - began)

        with connection.execute_wrapper(clock):
            began, cpu = time.perf_counter(), time.process_time()
            response = browser.get(visit.url)
            took, cpu = time.perf_counter() - began, time.process_time() - cpu
        assert response.status_code == 200, visit
        if number >= 2:
            pages.append(took * 1000)
            busy.append(cpu * 1000)
            asked.append(sum(spent) * 1000)
            counts = len(spent)
            rows = response.content.count(b"<tr")
    return Took(counts, statistics.median(pages), statistics.median(busy), statistics.median(asked), rows)


def judged(visit: Visit, few: Took, many: Took) -> str:
    ratio, busier = many.page_ms / few.page_ms, many.cpu_ms / few.cpu_ms
    said = []
    if visit.page_ms is not None:
        said.append(f"≤ {visit.page_ms:g} ms {verdict(many.page_ms <= visit.page_ms)}")
    if visit.queries_ms is not None:
        said.append(f"queries ≤ {visit.queries_ms:g} ms {verdict(many.queries_ms <= visit.queries_ms)}")
    if visit.keeps_its_time:
        said.append(f"≤ 1.5 × {verdict(ratio <= 1.5)}")
    return f"{ratio:5.2f} ×, CPU {busier:5.2f} ×  {', '.join(said)}"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--sizes", type=int, nargs=2, default=(1_000, 1_000_000), help="incidents, few and many")
    options.add_argument("--repeats", type=int, default=15, help="visits of which the median is taken (15)")
    options.add_argument("--explain", action="store_true", help="print the plans of what is searched, too")
    chosen = options.parse_args()
    found: dict[str, list[Took]] = {}
    with on_postgres():
        scene = set_up(timezone.now())
        browser = Browser(SERVER_NAME="localhost")
        browser.force_login(User.objects.get(username="olga"))
        for size in chosen.sizes:
            began = time.monotonic()
            fill(scene, size)
            trail = Incident.history.count() + Deadline.history.count()
            print(
                f"{Incident.objects.count()} incidents, {trail} rows of history, {Client.objects.count()} clients: "
                f"made in {time.monotonic() - began:.0f} s",
                flush=True,
            )
            for visit in visits(scene):
                took = measure(browser, visit, chosen.repeats)
                found.setdefault(visit.name, []).append(took)
                print(
                    f"  {visit.name:28} {took.rows:3} rows of tables, {took.queries:3} queries "
                    f"{took.page_ms:7.1f} ms, of that {took.cpu_ms:6.1f} ms CPU, {took.queries_ms:7.1f} ms in queries",
                    flush=True,
                )
        print("with many beside with few:")
        for visit in visits(scene):
            print(f"  {visit.name:28} {judged(visit, *found[visit.name])}")
        if chosen.explain:
            for text in (RARE, "storage", "northwind"):
                rows = Incident.objects.search(text).order_by("-declared_at", "-pk")[:50]
                print(text, rows.explain(analyze=True), sep="\n")


if __name__ == "__main__":
    main()
