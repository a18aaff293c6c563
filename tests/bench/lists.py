"""Board, lists, workspace and search beside a thousand and a million incidents. `python -m tests.bench.lists`"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from agreements.models import Client, ServiceAgreement
from config.admin import list_of
from config.audit import sources
from config.models import User
from incidents.models import Deadline, Incident, Notice
from reviews.models import CorrectiveAction, PostIncidentReview
from tests.bench.stage import verdict
from tests.bench.world import RARE, World, add_options, world

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


def visits(scene: World) -> Sequence[Visit]:
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


def browser_of(username: str) -> Browser:
    browser = Browser(SERVER_NAME="localhost")
    browser.force_login(User.objects.get(username=username))
    return browser


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
    add_options(options)
    options.add_argument("--explain", action="store_true", help="print the plans of what is searched, too")
    chosen = options.parse_args()
    found: dict[str, list[Took]] = {}
    asked: Sequence[Visit] = ()
    for size in chosen.sizes:
        began = time.monotonic()
        with world(size, timezone.now(), chosen.kept) as scene:
            trail = sum(table.rows().count() for table in sources.tables())
            print(
                f"{Incident.objects.count()} incidents, {trail} rows of the trail, {Client.objects.count()} clients: "
                f"made in {time.monotonic() - began:.0f} s",
                flush=True,
            )
            if chosen.build:
                continue
            browser = browser_of("olga")
            asked = visits(scene)
            for visit in asked:
                took = measure(browser, visit, chosen.repeats)
                found.setdefault(visit.name, []).append(took)
                print(
                    f"  {visit.name:28} {took.rows:3} rows of tables, {took.queries:3} queries "
                    f"{took.page_ms:7.1f} ms, of that {took.cpu_ms:6.1f} ms CPU, {took.queries_ms:7.1f} ms in queries",
                    flush=True,
                )
            if chosen.explain:
                for text in (RARE, "storage", "northwind"):
                    rows = Incident.objects.search(text).order_by("-declared_at", "-pk")[:50]
                    print(text, rows.explain(analyze=True), sep="\n")
    print("with many beside with few:")
    for visit in asked:
        print(f"  {visit.name:28} {judged(visit, *found[visit.name])}")


if __name__ == "__main__":
    main()
