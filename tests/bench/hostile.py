"""Ten people at work while somebody does harm, signed in and from outside. `python -m tests.bench.hostile`

What is sent goes to 127.0.0.1 alone, for as many seconds as each attack is given. The attacker comes from 127.0.0.2,
so that limits by address tell them from the others, and is a process of their own, so that nobody waits within it.
What that process takes of the cores, which it shares with the product, is seen by a control: the same blows at a proxy
that refuses all of them.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import ParamSpec, TypeVar

import psycopg
from django.contrib.auth.models import Group

from config import roles
from config.history import acting
from config.models import User
from tests import cast
from tests.bench.house import Meter
from tests.bench.load import Shift, shift
from tests.bench.stage import watched_cores
from tests.bench.visitors import Answer, Record, Site, Visitor, form_with, percentile, sentence
from tests.bench.world import BUSY_CLIENT, RARE
from tests.deploy.front import NAME
from tests.services import children

FROM, GUESSED_FROM = "127.0.0.2", "127.0.0.3"  # the latter is locked afterwards
ANY = range(600)
HOSTILE = "hostile"
COMPLIANCE = "/admin/reviews/postincidentreview/compliance/"
INCIDENTS = "/admin/incidents/incident/"
CONTROL = "nothing but a proxy that refuses"
HELD = 18.0  # seconds, longer than a page may wait for a lock, and than it may ask at all
URLENCODED = {"Content-Type": "application/x-www-form-urlencoded"}


# ── attacks ─────────────────────────────────────────────────────────────────────────────────────────────────────────

#: Does one harmful thing, and says what was answered.
Blow = Callable[[Visitor, int], Answer]


@dataclass(frozen=True)
class Attack:
    """One thing done again and again by so many at once."""

    name: str
    blow: Blow
    at_once: int = 12
    is_signed_in: bool = True


def get(*paths: str) -> Blow:
    return lambda visitor, number: visitor.get("hostile", paths[number % len(paths)], wanted=ANY)


def send(path: str, body: bytes, kind: str = URLENCODED["Content-Type"], **headers: str) -> Blow:
    own = {"Content-Type": kind, **headers}
    return lambda visitor, _number: visitor.ask("hostile", "POST", path, body, wanted=ANY, headers=own)


def upload(path: str, size: int) -> Blow:
    def blow(visitor: Visitor, _number: int) -> Answer:
        token = visitor.cookies["due_notice_csrf"].value
        parts = f'--x\r\nContent-Disposition: form-data; name="csrfmiddlewaretoken"\r\n\r\n{token}\r\n'
        parts += '--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
        body = parts.encode() + b"name,\n" * (size // 6) + b"\r\n--x--\r\n"
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        return visitor.ask("hostile", "POST", path, body, wanted=ANY, headers=kind)

    return blow


def fields(count: int) -> Blow:
    def blow(visitor: Visitor, _number: int) -> Answer:
        form = {f"services{number}": "1" for number in range(count)}
        return visitor.post("hostile", f"{INCIDENTS}add/", form, wanted=ANY)

    return blow


def guess(visitor: Visitor, number: int) -> Answer:
    if "due_notice_csrf" not in visitor.cookies:
        visitor.get("hostile", "/admin/login/", wanted=ANY)
    form = {"username": f"operator{number % 10}", "password": f"guess {number}"}
    return visitor.post("hostile", "/admin/login/", form, wanted=ANY)


def export_trail(visitor: Visitor, _number: int) -> Answer:
    page = visitor.get("hostile", "/admin/trail/", wanted=ANY).text
    form = form_with(page, "csrfmiddlewaretoken")
    return visitor.post("hostile", "/admin/trail/export/", dict(form), wanted=ANY)


def two_sessions(visitor: Visitor, number: int) -> Answer:
    """As if each page were another person's."""
    real = visitor.cookies["due_notice_session"].value
    cookie = f"due_notice_session=made-up-{number}; due_notice_session={real}"
    return visitor.get("hostile", "/admin/", wanted=ANY, Cookie=cookie)


def made_up_sessions(visitor: Visitor, number: int) -> Answer:
    return visitor.get("hostile", "/admin/", wanted=ANY, Cookie=f"due_notice_session=made-up-{number}")


SIGNED_IN = (
    Attack(
        "search: everything",
        get(*(f"{INCIDENTS}?q={text}" for text in ("a", "e+o+i", "%25", "storage", "is", "zone", "unheardof+in+zone"))),
    ),
    Attack("search: fifty words", get(f"{INCIDENTS}?q={'+'.join(f'word{number}' for number in range(50))}")),
    Attack("deep pages", get(f"{INCIDENTS}?p=999999", f"{INCIDENTS}?p=200", "/admin/incidents/deadline/?p=200")),
    Attack(
        "thousands of values",
        get(
            f"{INCIDENTS}?{'status=open&' * 250}", f"{INCIDENTS}?{'status=open&' * 1100}", f"{INCIDENTS}?q={'x' * 3000}"
        ),
    ),
    Attack("huge addresses", get(f"{INCIDENTS}?q={'x' * 12_000}", f"{INCIDENTS}?q={'x' * 60_000}")),
    Attack("uploads of 11 MB", upload("/admin/data/clients/", 11_000_000), at_once=6),
    Attack("uploads of 20 MB", upload("/admin/data/clients/", 20_000_000), at_once=6),
    Attack("five thousand fields", fields(5_000)),
    Attack("export after export", get(f"{INCIDENTS}export/?client=Client+{BUSY_CLIENT}&severity=low")),
    Attack("export of the trail", export_trail, at_once=6),
    Attack(
        "slow questions of the trail",
        get(
            "/admin/trail/?reason=e",
            f"/admin/trail/?client=Client+{BUSY_CLIENT}&reason={RARE}",
            "/admin/trail/?actor=o",
        ),
    ),
    Attack(
        "compliance again and again",
        get(
            *(
                f"{COMPLIANCE}?client=Client+{BUSY_CLIENT}&period=own&since=2024-01-0{n}&until=2026-11-01"
                for n in range(1, 8)
            )
        ),
    ),
    Attack("two sessions in one request", two_sessions),
)
OUTSIDE = (
    Attack(CONTROL, get("/"), is_signed_in=False),
    Attack("pages without a sign-in", get("/admin/login/", "/admin/"), is_signed_in=False),
    Attack("made-up sessions", made_up_sessions, is_signed_in=False),
    Attack("challenges for passkeys", send("/admin/passkey/alone/", b""), is_signed_in=False),
    Attack("guesses of passwords", guess, is_signed_in=False),
    Attack(
        "alerts without a secret",
        send("/intake/alertmanager", b"{}", "application/json", Authorization="Bearer wrong"),
        is_signed_in=False,
    ),
    Attack("reports of browsers", send("/csp-reports", b"{}", "application/csp-report"), is_signed_in=False),
    Attack("calendars that are not there", get("/calendar/nothing.ics"), is_signed_in=False),
    Attack("notices that are not there", get("/notice/nothing/"), is_signed_in=False),
)


def hammer(name: str, site: Site, cookies: Mapping[str, str], until: float) -> Record:
    """So many threads, each with a connection of its own, all with the same cookies."""
    attack = next(attack for attack in (*SIGNED_IN, *OUTSIDE) if attack.name == name)
    record = Record()

    def strike(first: int) -> None:
        own = Visitor(site, record)
        own.cookies.load(dict(cookies))
        number = first
        while time.monotonic() < until:
            answer = attack.blow(own, number)
            number += attack.at_once
            if answer.status >= 400:
                record.wrong.append(f"{answer.status} {answer.text}")
            if not answer.status:
                time.sleep(0.05)
        own.hang_up()

    _together([threading.Thread(target=strike, args=[first]) for first in range(attack.at_once)])
    return record


def _together(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# ── slow clients ────────────────────────────────────────────────────────────────────────────────────────────────────


def connect(site: Site) -> socket.socket:
    connection = site.connect()
    connection.connect()
    return connection.sock


SLOW_HEADER = f"GET /admin/login/ HTTP/1.1\r\nHost: {NAME}\r\n".encode()
SLOW_BODY = f"POST /intake/alertmanager HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 400000\r\n\r\n".encode()
SLOW_READER = f"GET /static/due_notice/admin.css HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode()


def hold(site: Site, begin: bytes, go_on: bytes, count: int, until: float) -> Counter[str]:
    """So many connections that begin so and then send a little each two seconds, read by nobody until the end."""
    became: Counter[str] = Counter()
    held: list[socket.socket] = []
    for _number in range(count):
        try:
            held.append(connect(site))
            held[-1].sendall(begin)
        except OSError:
            became["refused"] += 1
    while time.monotonic() < until:
        time.sleep(min(2.0, max(0.0, until - time.monotonic())))
        for each in held:
            with contextlib.suppress(OSError):
                if go_on:
                    each.sendall(go_on)
    for each in held:
        became[_end_of(each)] += 1
        each.close()
    return became


def _end_of(held: socket.socket) -> str:
    held.settimeout(0.05)
    try:
        answer = held.recv(64)
    except TimeoutError:
        return "still open"
    except OSError:
        return "closed"
    return answer.split(b"\r\n")[0].decode(errors="replace") if answer else "closed"


SLOW = (
    (CONTROL, SLOW_HEADER, b"X", 300),
    ("slow headers", SLOW_HEADER, b"X", 300),
    ("slow bodies", SLOW_BODY, b"x", 150),
    ("slow readers", SLOW_READER, b"", 150),
    ("connections that say nothing", b"", b"", 300),
)


# ── the process that does harm ──────────────────────────────────────────────────────────────────────────────────────

Given = ParamSpec("Given")
Found = TypeVar("Found")


def timed(act: Callable[Given, Found], *given: Given.args, **named: Given.kwargs) -> tuple[Found, float]:
    """What it gives, and how many cores it took."""
    began, spent = time.monotonic(), time.process_time()
    found = act(*given, **named)
    return found, (time.process_time() - spent) / (time.monotonic() - began)


@contextlib.contextmanager
def another_process() -> Iterator[Executor]:
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        pool.submit(timed, time.sleep, 0).result()  # it is there, and has read what it needs
        yield pool


@contextlib.contextmanager
def refuser(site: Site) -> Iterator[Site]:
    """A proxy with the same certificate that answers 429 to everything, and what stands behind is asked nothing."""
    port = children.free_port()
    with tempfile.TemporaryDirectory(prefix="due-notice-bench-") as name:
        folder = Path(name)
        key = Path(site.certificate).with_name("key.pem")
        (folder / "nginx.conf").write_text(
            f"{'user root;' if os.geteuid() == 0 else ''} daemon off; pid {folder}/pid; error_log stderr;\n"
            f"events {{}}\nhttp {{ access_log off; server {{ listen 127.0.0.1:{port} ssl;\n"
            f"ssl_certificate {site.certificate}; ssl_certificate_key {key}; return 429; }} }}\n"
        )
        nginx = shutil.which("nginx") or "/usr/sbin/nginx"
        process = children.start([nginx, "-c", folder / "nginx.conf", "-p", folder], log=folder / "nginx.log")
        try:
            yield replace(site, port=port)
        finally:
            children.end(process)


# ── what is printed ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Watch:
    """The ordinary people: how long they wait now, and how long they waited in peace."""

    at_work: Shift
    calm: float = 0.0

    @contextlib.contextmanager
    def during(self, name: str) -> Iterator[list[str]]:
        """Prints beside what is said in the block how long the others waited, and who took how much of the cores."""
        said: list[str] = []
        meter = Meter(self.at_work.house)
        meter.start()
        began = time.monotonic()
        with watched_cores() as cores:
            yield said
        found = self.at_work.record.between(began, time.monotonic())
        spent = meter.stop()
        waited = percentile([visit.took for visit in found], 0.95)
        self.calm = self.calm or waited
        errors = sum(not visit.is_wanted for visit in found)
        shares = ", ".join(f"{part} {spent[part] / meter.seconds:.2f}" for part in ("nginx", "web", "database"))
        took = [visit.took for visit in found]
        print(
            f"{name:34} others: {len(found):4} pages, p50 {percentile(took, 0.5) * 1000:4.0f}, "
            f"p95 {waited * 1000:5.0f} ms, {waited / self.calm:5.2f} ×, {errors} errors; "
            f"cores: {shares}, the machine {cores.busy:.2f}; {'; '.join(said)}",
            flush=True,
        )


def _answers(record: Record) -> str:
    statuses = Counter(visit.status for visit in record.visits)
    return ", ".join(f"{status or 'none'} × {times}" for status, times in sorted(statuses.items()))


def refusals(record: Record) -> Iterator[str]:
    for said in sorted({f"{wrong[:4]}{sentence(wrong[4:])[:150]}" for wrong in record.wrong})[:4]:
        yield f"    {said}"


# ── what waits for a lock ───────────────────────────────────────────────────────────────────────────────────────────


def prove_patience(at_work: Shift, visitor: Visitor) -> None:
    """Notices are locked as a whole, as by somebody's hand: a page says so in a sentence, a worker waits."""
    url = os.environ["DATABASE_URL"]
    waited: list[float] = []
    with psycopg.connect(url) as connection, psycopg.connect(url, autocommit=True) as other:
        connection.execute("LOCK TABLE incidents_notice IN ACCESS EXCLUSIVE MODE")
        until = time.monotonic() + HELD
        answer = visitor.get("patience", "/admin/incidents/notice/", wanted=ANY)
        took = visitor.record.visits[-1].took
        while time.monotonic() < until:
            time.sleep(0.5)
            [row] = other.execute(
                "SELECT extract(epoch FROM max(clock_timestamp() - query_start)) FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ).fetchall()
            waited.append(float(row[0] or 0))
        connection.rollback()
    print(f"locked for {HELD:.0f} s: a page was answered {answer.status} after {took:.1f} s: {sentence(answer.text)}")
    print(f"  a worker's question waited {max(waited):.1f} s for the lock and was not given up")


def make_the_hostile() -> None:
    """Somebody with as many rights as anybody has who does not keep the installation."""
    if not User.objects.filter(username=HOSTILE).exists():
        cast.colleague(HOSTILE, "Hedda Ortega", roles.MANAGER)
    user = User.objects.get(username=HOSTILE)
    with acting(user, reason="As the bench needs it."):
        user.groups.add(*Group.objects.filter(name__in=(roles.OPERATOR, roles.AUDITOR)))
    password = User.objects.get(username="operator0").password
    cast.past_the_trail(User.objects.filter(pk=user.pk), password=password)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--operators", type=int, default=10)
    options.add_argument("--incidents", type=int, default=1_000_000)
    options.add_argument("--seconds", type=float, default=8, help="of each attack (8)")
    options.add_argument("--calm", type=float, default=30, help="seconds without any (30)")
    options.add_argument("--pause", type=float, default=2, help="mean seconds between what one person does (2)")
    options.add_argument("--only", nargs="+", default=[""], help="attacks whose name has one of these")
    options.add_argument("--kept", default="", help="keep the database under this name, and use it if it is there")
    chosen = options.parse_args()
    names = [f"operator{number}" for number in range(chosen.operators)]

    def is_chosen(name: str) -> bool:
        return any(part in name for part in chosen.only)

    with (
        another_process() as attacker,
        shift(chosen.kept, chosen.incidents, names, web=4, pause=chosen.pause) as (at_work, _deadlines),
        refuser(at_work.site) as control,
    ):
        make_the_hostile()
        outside = replace(at_work.site, visited_from=FROM)
        elsewhere = replace(at_work.site, visited_from=GUESSED_FROM)
        hostile = Visitor(outside, Record())
        assert hostile.sign_in(HOSTILE, cast.PASSWORD)
        cookies = {name: morsel.value for name, morsel in hostile.cookies.items()}
        at_work.start()
        time.sleep(5)
        watch = Watch(at_work)
        with watch.during("nobody does harm"):
            time.sleep(chosen.calm)
        for attack in filter(lambda attack: is_chosen(attack.name), (*SIGNED_IN, *OUTSIDE)):
            with watch.during(attack.name) as said:
                site = control if attack.name == CONTROL else outside if attack.is_signed_in else elsewhere
                own = cookies if attack.is_signed_in else {}
                until = time.monotonic() + chosen.seconds
                record, took = attacker.submit(timed, hammer, attack.name, site, own, until).result()
                said.append(f"the harmful took {took:.2f} and got {_answers(record)}")
            print(*refusals(record), sep="\n")
        for name, begin, go_on, count in (slow for slow in SLOW if is_chosen(slow[0])):
            with watch.during(name) as said:
                site = control if name == CONTROL else outside
                until = time.monotonic() + max(12, chosen.seconds)
                became, took = attacker.submit(timed, hold, site, begin, go_on, count, until).result()
                got = ", ".join(f"{what} × {times}" for what, times in became.items())
                said.append(f"the harmful took {took:.2f}: {got}")
        with watch.during("nobody does harm any more"):
            time.sleep(chosen.calm / 2)
        at_work.end()
        if is_chosen("patience"):
            prove_patience(at_work, hostile)
        print(at_work.house.errors())


if __name__ == "__main__":
    main()
