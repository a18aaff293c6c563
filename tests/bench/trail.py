"""The audit trail's pages beside the trail of a thousand and of a million incidents. `python -m tests.bench.trail`"""

from __future__ import annotations

import argparse
import datetime as dt
import html
import re
from collections import Counter
from collections.abc import Sequence
from urllib.parse import urlencode

from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from config.admin import list_of
from config.audit import sources
from incidents.models import Deadline, Incident
from tests.bench import world
from tests.bench.lists import Took, Visit, browser_of, judged, measure

PAGE_AIM = 100  # milliseconds of the first page
TRAIL = "admin:trail"


def visits(scene: world.World, browser: Browser) -> Sequence[Visit]:
    """As an auditor: each filter by what is rare and by what is frequent."""
    trail = reverse(TRAIL)
    some = Incident.objects.filter(reference__startswith="INC-2025").order_by("pk")[250]
    changed = list_of(Incident)
    at = (some.declared_at + dt.timedelta(minutes=20)).isoformat()
    long_ago, today = f"{some.declared_at:%Y-%m-%d}", f"{timezone.now():%Y-%m-%d}"

    def asked(name: str, **filters: str) -> Visit:
        return Visit(name, f"{trail}?{urlencode(filters)}", keeps_its_time=True)

    return (
        Visit("page 1", trail, PAGE_AIM, keeps_its_time=True),
        Visit("page 15", page_after(browser, trail, 14), keeps_its_time=True),
        asked("kind of record, rare", model="agreements.servicecalendar"),
        asked("kind of record, frequent", model="incidents.deadline"),
        asked("object with a few rows", object=some.reference),
        asked("object with 2,000 rows", object=scene.storied.reference),
        asked("person, rare", actor=world.RARE_PERSON),
        asked("person, frequent", actor="olga"),
        asked("person who left", actor="oriel"),
        asked("part of the system", actor="system: notices"),
        asked("way in, rare", caller="shell"),
        asked("way in, frequent", caller="worker"),
        asked("action, rare", action="-"),
        asked("action, frequent", action="~"),
        asked("changed field, rare", field="severity"),
        asked("changed field, frequent", field="status"),
        asked("reason, rare", reason=world.RARE),
        asked("reason, frequent", reason="disk"),
        asked("client, rare", client="Client 77"),
        asked("client, frequent", client=f"Client {world.BUSY_CLIENT}"),
        asked("one day long ago", from_day=long_ago, to_day=long_ago),
        asked("up to a day long ago", to_day=long_ago),
        asked("from a day long ago", from_day=long_ago),
        asked("nothing", client="Client 77", model="agreements.contact", from_day=today),
        asked("nothing, by its reason", reason="unheardof"),
        Visit("one act", of_many(scene), keeps_its_time=True),
        Visit("history of an incident", f"{changed}{some.pk}/history/", keeps_its_time=True),
        Visit("history, 2,000 rows", f"{changed}{scene.storied.pk}/history/", keeps_its_time=True),
        Visit("as it was", f"{changed}{some.pk}/as-it-was/?{urlencode({'at': at})}", keeps_its_time=True),
    )


def page_after(browser: Browser, url: str, steps: int) -> str:
    """The address that so many times "Older" leads to."""
    page = url
    for _step in range(steps):
        found = re.search(r'href="([^"]+)" rel="next"', browser.get(page).content.decode())
        assert found, page
        page = url + html.unescape(found[1])
    return page


def of_many(scene: world.World) -> str:
    """A pass of the worker over twelve deadlines."""
    rows = sources.history_of(Deadline).objects.filter(incident_id__gt=scene.storied.pk, caller="worker").order_by("pk")
    ((act, _count),) = Counter(rows.values_list("request_id", flat=True)[:1000]).most_common(1)
    return reverse("admin:trail_act", args=[act])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    world.add_options(options)
    options.add_argument("--only", default="", help="pages of which the name has this")
    chosen = options.parse_args()
    found: dict[str, list[Took]] = {}
    asked: Sequence[Visit] = ()
    for size in chosen.sizes:
        with world.world(size, timezone.now(), chosen.kept) as scene:
            trail = sum(table.rows().count() for table in sources.tables())
            print(f"{Incident.objects.count()} incidents, {trail} rows of the trail", flush=True)
            if chosen.build:
                continue
            browser = browser_of("aude")
            asked = [visit for visit in visits(scene, browser) if chosen.only in visit.name]
            for visit in asked:
                took = measure(browser, visit, chosen.repeats)
                found.setdefault(visit.name, []).append(took)
                print(
                    f"  {visit.name:28} {took.rows:3} rows of tables, {took.queries:3} queries "
                    f"{took.page_ms:7.1f} ms, of that {took.queries_ms:7.1f} ms in queries",
                    flush=True,
                )
    if len(chosen.sizes) > 1 and asked:
        print("with many beside with few:")
        for visit in asked:
            print(f"  {visit.name:28} {judged(visit, *found[visit.name])}")


if __name__ == "__main__":
    main()
