"""A shift at work beside a million incidents: how long pages and notices take. `python -m tests.bench.load`"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import re
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.urls import reverse
from django.utils import timezone

from agreements.models import Service
from config import roles
from config.audit import seals
from config.models import Examination, Seal, User
from incidents import lifecycle
from incidents.models import Deadline, Notice
from incidents.models.notice import NoticeKind
from reviews.models import CorrectiveAction
from tests import cast
from tests.bench.house import House, Meter, open_house, wait_until_idle
from tests.bench.latency import declare_many, fall_due
from tests.bench.sink import Sink, running_sink
from tests.bench.stage import verdict, watched_cores
from tests.bench.visitors import Person, Record, Site, Visit, form_with, percentile
from tests.bench.world import RARE, world

REFRESH = 15.0  # seconds between two looks of a board at what has changed
OPEN_ACTIONS = 200
AIM = 1.0  # second within which 95 of 100 pages are there
NOUNS = ("storage", "payments", "replication", "certificates", "network zone-13", "portal slow", RARE, "backup behind")
#: An incident's way, with a pause between any two.
STORY = ("declare", "acknowledge", "notify", "update", "update", "mitigate", "resolve", "close")
SENT_BY_PEOPLE = (NoticeKind.CLIENT_NOTICE, NoticeKind.UPDATE)


# ── people ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Colleague(Person):
    """Whose board stands open beside whatever they do."""

    refreshed = 0.0

    def __init__(self, *args: Any, service: int, **options: Any) -> None:
        super().__init__(*args, **options)
        self.service = service  # that breaks

    def begin(self) -> bool:
        """Signs in and opens the board, with all that a browser fetches for it once."""
        if not self.sign_in(self.username, cast.PASSWORD):
            return False
        page = self.get("board", "/admin/").text
        for path in sorted(set(re.findall(r'(?:href|src)="(/static/[^"]+)"', page))):
            self.get("static file", path)
        self.refreshed = time.monotonic() - self.chance.uniform(0, REFRESH)
        return True

    def wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (now := time.monotonic()) < until and not self.enough.is_set():
            if now - self.refreshed >= REFRESH:
                self.refreshed = now
                self.get("board refreshes itself", "/admin/", X_Fragment="board")
            self.enough.wait(max(0.0, min(until, self.refreshed + REFRESH) - time.monotonic()))

    def one_of(self, page: str, pattern: str) -> str:
        """An address of the page that is like this; "" if it has none."""
        found = re.findall(f'href="({pattern})', page)
        return str(self.chance.choice(found)) if found else ""


class Operator(Colleague):
    """Looks around, and takes one incident after the other from its declaration to its end."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.mine = ""  # the page of the incident that is worked on
        self.step = 0  # of STORY, which is to be done next

    def work(self) -> None:
        ways = {
            self.read_list: 22,
            self.read_incident: 20,
            self.search: 12,
            self.turn_pages: 6,
            self.read_other_lists: 14,
            self.go_on: 26,
        }
        self.chance.choices(list(ways), list(ways.values()))[0]()

    def read_list(self) -> None:
        asked = self.chance.choice(
            ("", "?status=open", "?standing=at_risk", "?severity=low", "?client=Client+77", "?responder=me")
        )
        self.get("incidents, tab or filter", f"/admin/incidents/incident/{asked}")

    def read_incident(self) -> None:
        asked = self.chance.choice(("", "?status=open", "?status=open", f"?p={self.chance.randrange(2, 9)}"))
        page = self.get("incidents, tab or filter", f"/admin/incidents/incident/{asked}").text
        self.think(0.5)
        if address := self.one_of(page, r"/admin/incidents/incident/\d+/change/"):
            self.get("an incident", address)

    def search(self) -> None:
        number = self.chance.randrange(1, 900_000)
        asked = self.chance.choice((*NOUNS, f"INC-2025-{number:07}", f"INC-2025-{number:07}"))
        self.get("incidents, search", f"/admin/incidents/incident/?q={asked.replace(' ', '+')}")

    def turn_pages(self) -> None:
        page = self.chance.randrange(2, 40)
        self.get("incidents, another page", f"/admin/incidents/incident/?p={page}")

    def read_other_lists(self) -> None:
        name, path = self.chance.choice(
            (
                ("deadlines", "/admin/incidents/deadline/?standing=open"),
                ("notices", "/admin/incidents/notice/"),
                ("clients", "/admin/agreements/client/"),
                ("agreements", "/admin/agreements/serviceagreement/"),
                ("reviews", "/admin/reviews/postincidentreview/"),
                ("actions", "/admin/reviews/correctiveaction/?progress=open"),
            )
        )
        self.get(name, path)

    def go_on(self) -> None:
        """One step of the incident that is worked on: its page, the form of the verb, the verb."""
        verb = STORY[self.step]
        done = self.declare() if verb == "declare" else self.do(verb)
        self.step = (self.step + 1) % len(STORY) if done else 0

    def declare(self) -> bool:
        page = self.get("form: declare", "/admin/incidents/incident/add/").text
        self.think(0.5)
        seen = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=self.chance.randrange(1, 10))
        form = {
            "token": form_with(page, "token").get("token", [str(uuid.uuid4())]),
            "title": f"{self.chance.choice(NOUNS).capitalize()} seen by {self.username}",
            "services": self.service,
            "severity": self.chance.choice(("critical", "critical", "high", "low")),
            "category": "outage",
            "detected_at": f"{seen:%Y-%m-%dT%H:%M:%S}",
        }
        self.mine = self.post("act: declare", "/admin/incidents/incident/add/", form).location
        return bool(self.mine)

    def do(self, verb: str) -> bool:
        self.get("an incident", self.mine)
        self.think(0.3)
        address = self.mine.replace("/change/", f"/{verb}/")
        page = self.get(f"form: {verb}", address).text
        self.think(0.5)
        form: dict[str, object] = dict(form_with(page, "as_read"))
        if verb in ("notify", "update"):
            form["message"] = "Requests to the service fail. We have found the cause and replace the broken part now."
        return self.post(f"act: {verb}", address, form).status == 302


class Auditor(Colleague):
    """Reads the trail."""

    def work(self) -> None:
        asked = self.chance.choice(("", "", "?caller=command", "?actor=olga", "?actor=paula", f"?reason={RARE}"))
        page = self.get("trail", f"/admin/trail/{asked}").text
        self.think(0.5)
        if older := self.one_of(page, r"\?[^\"]*before=[^\"]+"):
            page = self.get("trail, older", f"/admin/trail/{older.replace('&amp;', '&')}").text
            self.think(0.5)
        if act := self.one_of(page, r"/admin/trail/[0-9a-f-]{36}/"):
            self.get("trail, one act", act)


class Manager(Colleague):
    """Reads what was kept of what was promised."""

    def work(self) -> None:
        month = f"{dt.date.today().replace(day=1) - dt.timedelta(days=31 * self.chance.randrange(1, 6)):%Y-%m}"  # noqa: DTZ011 - any will do
        self.get("compliance, all clients", "/admin/reviews/postincidentreview/compliance/")
        self.think(0.5)
        client = f"Client+{self.chance.randrange(100, 1900)}"
        self.get("compliance, a month", f"/admin/reviews/postincidentreview/compliance/?client={client}&period={month}")
        self.think(0.5)
        self.get("agreements", "/admin/agreements/serviceagreement/")


# ── the scene ───────────────────────────────────────────────────────────────────────────────────────────────────────


def set_scene(names: Sequence[str]) -> None:
    """People who can sign in, each named for a role; a past that is over: sealed, examined, its actions done."""
    there = set(User.objects.filter(username__in=names).values_list("username", flat=True))
    for name in names:
        if name not in there:
            cast.colleague(name, f"{name.title()} Ortega", getattr(roles, name.rstrip("0123456789").upper()))
    hasher = PBKDF2PasswordHasher()  # the product's own, as the tests' is quicker than any real one
    password = hasher.encode(cast.PASSWORD, hasher.salt())
    cast.past_the_trail(User.objects.filter(username__in=names), password=password)
    kept = CorrectiveAction.objects.order_by("-pk").values_list("pk", flat=True)[:OPEN_ACTIONS]
    over = CorrectiveAction.objects.all().open().exclude(pk__in=list(kept))
    cast.past_the_trail(over, done_on=dt.date(2026, 1, 1), evidence="It was replaced.")
    while seals.seal():
        pass
    unread = Seal.objects.filter(examination=None)
    Examination.objects.bulk_create(Examination(seal=seal, found=0) for seal in unread)


def begin_incident(username: str, done: Sequence[str]) -> str:
    """The page of an incident of theirs as far as its STORY is told, so that each step occurs in a short run, too."""
    by, now = User.objects.get(username=username), timezone.now() - dt.timedelta(minutes=5)
    services = [Service.objects.get(name="Storage")]
    incident = lifecycle.declare(
        by=by, now=now, title=f"Storage, seen by {username}", severity="critical", services=services, detected_at=now
    )
    verbs = {"acknowledge": lifecycle.acknowledge, "mitigate": lifecycle.mitigate, "resolve": lifecycle.resolve}
    for number, verb in enumerate(done, 1):
        at = now + dt.timedelta(seconds=number)
        if verb == "notify":
            lifecycle.notify_client(incident, by=by, now=at)
        elif verb in verbs:
            verbs[verb](incident, by=by, now=at)
    return reverse("admin:incidents_incident_change", args=[incident.pk])


@dataclass
class Shift:
    """One run: who is at work in which house, and what they saw."""

    house: House
    sink: Sink
    record: Record = field(default_factory=Record)
    enough: threading.Event = field(default_factory=threading.Event)
    people: list[Colleague] = field(default_factory=list)

    @property
    def site(self) -> Site:
        return self.house.site

    def sign_in(self, names: Sequence[str], *, pause: float) -> None:
        """All of them, two at a time, as the proxy wants it; SystemExit if somebody is not let in."""
        service = Service.objects.get(name="Storage").pk
        for number, name in enumerate(names):
            kind = {"a": Auditor, "m": Manager, "o": Operator}[name[0]]
            self.people.append(kind(self.site, self.record, name, self.enough, pause=pause, service=service))
            if isinstance(person := self.people[-1], Operator):
                person.step = number % len(STORY)
                person.mine = begin_incident(name, STORY[: person.step]) if person.step else ""
        outside: list[str] = []
        waiting = iter(self.people)
        lock = threading.Lock()

        def let_in() -> None:
            while True:
                with lock:
                    person = next(waiting, None)
                if person is None:
                    return
                if not person.begin():
                    outside.append(person.username)

        doors = [threading.Thread(target=let_in) for _door in range(2)]
        for door in doors:
            door.start()
        for door in doors:
            door.join()
        if outside:
            print(self.house.errors())
            sys.exit(f"Not let in: {', '.join(outside)}. {self.record.wrong[:3]}")

    def start(self) -> None:
        for person in self.people:
            person.start()

    def end(self) -> None:
        self.enough.set()
        for person in self.people:
            person.join(90)


@contextmanager
def shift(
    kept: str, incidents: int, names: Sequence[str], *, web: int, pause: float, falling: int = 0
) -> Iterator[tuple[Shift, list[Deadline]]]:
    """The product at work in its world, everybody signed in, and so many deadlines that can be let fall due."""
    with world(incidents, timezone.now(), kept), running_sink() as sink:
        set_scene(names)
        deadlines = declare_many(falling) if falling else []
        cast.past_the_trail(Service.objects.filter(name__startswith="Service of "), is_active=False)
        env = {
            "EMAIL_URL": f"smtp://127.0.0.1:{sink.port}",
            "WEB_CONCURRENCY": str(web),
            "SEAL_KEY_FALLBACKS": settings.SEAL_KEY,  # by which the past was sealed
        }
        with open_house(os.environ["DATABASE_URL"], env) as house:
            at_work = Shift(house, sink)
            at_work.sign_in(names, pause=pause)
            wait_until_idle(house, 60)
            yield at_work, deadlines


# ── the report ──────────────────────────────────────────────────────────────────────────────────────────────────────


def print_pages(visits: Sequence[Visit], seconds: float) -> None:
    print(f"{'page':28}{'count':>7}{'p50 ms':>8}{'p95':>7}{'p99':>7}{'max':>7}{'errors':>8}")
    names = Counter(visit.name for visit in visits)
    for name in sorted(names):
        _print_line(name, [visit for visit in visits if visit.name == name])
    _print_line("all", visits)
    print(f"{len(visits) / seconds:.1f} pages a second", flush=True)


def _print_line(name: str, visits: Sequence[Visit]) -> None:
    took = [visit.took * 1000 for visit in visits]
    shares = "".join(f"{percentile(took, share):{width}.0f}" for share, width in ((0.5, 8), (0.95, 7), (0.99, 7)))
    errors = sum(not visit.is_wanted for visit in visits)
    print(f"{name:28}{len(took):7}{shares}{max(took, default=0):7.0f}{errors:8}")


def print_cores(spent: Counter[str], seconds: float) -> None:
    shares = ", ".join(f"{part} {used / seconds:.2f}" for part, used in spent.most_common())
    print(f"cores: {shares}; in all {sum(spent.values()) / seconds:.2f}", flush=True)


def print_lateness(what: str, late: Sequence[float]) -> None:
    if late:
        print(
            f"{what}: {len(late)}, p50 {percentile(late, 0.5):.2f} s, p99 {percentile(late, 0.99):.2f} s, "
            f"max {max(late):.2f} s"
        )


def sent_by_people(since: dt.datetime) -> list[float]:
    """Seconds from the press of the button to the mail server's word, of each mail."""
    rows = Notice.objects.filter(kind__in=SENT_BY_PEOPLE, made_at__gte=since, accepted_at__isnull=False)
    return [(to - since).total_seconds() for since, to in rows.values_list("made_at", "accepted_at") if to]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--operators", type=int, default=50, help="(50), with two auditors and a manager besides")
    options.add_argument("--incidents", type=int, default=1_000_000)
    options.add_argument("--seconds", type=float, default=150, help="that are measured (150)")
    options.add_argument("--warm-up", type=float, default=20, help="seconds that are not (20)")
    options.add_argument("--pause", type=float, default=10, help="mean seconds between what one person does (10)")
    options.add_argument("--per-minute", type=int, default=60, help="deadlines that fall due (60)")
    options.add_argument("--web", type=int, default=4, help="WEB_CONCURRENCY (4)")
    options.add_argument("--kept", default="", help="keep the database under this name, and use it if it is there")
    chosen = options.parse_args()
    every = 60 / chosen.per_minute
    falling = int(chosen.seconds / every)
    names = [*(f"operator{number}" for number in range(chosen.operators)), "auditor0", "auditor1", "manager0"]
    with shift(chosen.kept, chosen.incidents, names, web=chosen.web, pause=chosen.pause, falling=falling) as (
        at_work,
        deadlines,
    ):
        at_work.start()
        time.sleep(chosen.warm_up)
        due = fall_due(deadlines, every)
        at_work.sink.seen()
        began, began_at = time.monotonic(), timezone.now()
        meter = Meter(at_work.house)
        meter.start()
        with watched_cores() as cores:
            time.sleep(chosen.seconds)
        spent, until = meter.stop(), time.monotonic()
        at_work.end()
        visits = at_work.record.between(began, until)
        print(
            f"{chosen.operators} operators, 2 auditors, 1 manager; {chosen.seconds:.0f} s after {chosen.warm_up:.0f} s"
        )
        print_pages(visits, until - began)
        since_boot = time.time() - time.monotonic()
        seen = [(to, at + since_boot) for to, at in at_work.sink.seen().accepted]
        late = [at - due[to].timestamp() for to, at in seen if to in due]
        print_lateness("holding notices, from due to accepted", late)
        print(f"of {len(due)} that fell due; {len(seen)} mails in all")
        print_lateness("mails sent by people, from pressed to accepted", sent_by_people(began_at))
        print_cores(spent, meter.seconds)
        print(f"the machine: {cores.busy:.2f} of {cores.there} cores busy, with whatever else was going on")
        for wrong, times in Counter(at_work.record.wrong).most_common(20):
            print(f"  {times} × {wrong}")
        worst = percentile([visit.took for visit in visits], 0.95)
        errors = sum(not visit.is_wanted for visit in visits)
        print(f"p95 {worst * 1000:.0f} ms, {errors} errors  {verdict(worst <= AIM and not errors)}")
        print(at_work.house.errors())


if __name__ == "__main__":
    main()
