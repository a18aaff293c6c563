"""What becomes of the day's incidents: each is a story whose steps are taken by whoever is at a browser.

A story yields how many seconds it waits for its next step. What happens is drawn from the seed and its number alone;
when it happens is up to the day. Most of an incident lies in the past when it is typed in, as in real life: its
detection within the last twenty-four hours, the rest wherever it fits until now.
"""

from __future__ import annotations

import datetime as dt
import random
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agreements.models import Obligation
from tests.day.browsing import Colleague, Refused, now, written
from tests.day.contracts import CONTRACTS
from tests.day.journal import Case, Post
from tests.journeys.owed import What

Story = Iterator[float]
Who = Callable[[str], Colleague]

INCIDENT = "/admin/incidents/incident"
REVIEW = "/admin/reviews/postincidentreview"
SECOND, HOUR = dt.timedelta(seconds=1), dt.timedelta(hours=1)
PATIENCE = 40  # looks for a mail before somebody goes on without it


class Lives:
    """Tells the stories in a world as tests/day/world.py printed it; the day lasts so many seconds."""

    def __init__(self, world: dict[str, Any], seed: int, post: Post, who: Who, seconds: float) -> None:
        self.world, self.seed, self.post, self.who, self.seconds = world, seed, post, who, seconds
        self.clients = {client["id"]: client for client in world["clients"]}
        self.addresses = {key: client["addresses"] for key, client in self.clients.items()}
        self.cases: list[Case] = []
        self.did: dict[str, int] = {}

    #: How often each is told, of a hundred.
    SHARES = {
        "plain": 30,
        "silent": 14,
        "told_by_phone": 12,
        "paused": 14,
        "reclassified": 6,
        "corrected": 8,
        "merged": 4,
        "reopened": 5,
        "reviewed": 3,
        "two_at_once": 4,
    }

    def story(self, number: int) -> Story:
        """The story of that number; the first ones are one of each kind."""
        chance = random.Random(f"{self.seed}-{number}")  # noqa: S311 - not a secret
        kinds = list(self.SHARES)
        kind = kinds[number] if number < len(kinds) else chance.choices(kinds, [*self.SHARES.values()])[0]
        self.did[kind] = self.did.get(kind, 0) + 1
        told: Story = getattr(self, f"_{kind}")(chance)
        return told

    # ── the stories ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _plain(self, chance: random.Random) -> Story:
        case = self._declare(chance)
        yield self._moment(chance)
        self._step(case, "acknowledge", chance)
        yield self._moment(chance)
        self._tell(case, "notify", chance)
        for _ in range(chance.choice([0, 0, 1, 2])):
            yield from self._until_mailed(case)
            self._tell(case, "update", chance)
            yield self._moment(chance)
        yield from self._until_mailed(case)
        if chance.random() < 0.3:
            self._step(case, "mitigate", chance)
        self._step(case, "resolve", chance)
        yield self._moment(chance)
        yield from self._close(case, chance)

    def _silent(self, chance: random.Random) -> Story:
        """Nobody does anything: what can be sent by itself is, and the rest falls due."""
        case = self._declare(chance, falls_due=True)
        yield self.seconds * chance.uniform(0.2, 0.6)
        if chance.random() < 0.5:
            yield from self._until_mailed(case)
            self._step(case, "resolve", chance)

    def _told_by_phone(self, chance: random.Random) -> Story:
        """All of it is typed in afterwards."""
        case = self._declare(chance)
        self._step(case, "acknowledge", chance)
        for client in case.clients:
            if self._owes(case, client, Obligation.NOTIFY):
                self._by_phone(case, client, Obligation.NOTIFY, chance)
        yield self._moment(chance)
        self._step(case, "resolve", chance)
        for client in case.clients:
            if self._owes(case, client, Obligation.REPORT):
                self._by_phone(case, client, Obligation.REPORT, chance)
        yield from self._close(case, chance)

    def _paused(self, chance: random.Random) -> Story:
        case = self._declare(chance, pausable=True)
        self._step(case, "acknowledge", chance)
        yield self._moment(chance)
        self._step(case, "pause", chance, reason="The client has to find the key.")
        yield self._moment(chance)
        self._tell(case, "notify", chance)
        yield self._moment(chance)
        self._step(case, "resume", chance, reason="It is found.")
        yield from self._until_mailed(case)
        self._step(case, "resolve", chance)
        yield from self._close(case, chance)

    def _reclassified(self, chance: random.Random) -> Story:
        first, then = chance.choice([("high", "critical"), ("critical", "high"), ("critical", "low")])
        case = self._declare(chance, severity=first)
        yield self._moment(chance)
        if chance.random() < 0.5:
            self._tell(case, "notify", chance)
            yield from self._until_mailed(case)
        pressed = self._colleague(case, chance).press(
            f"{INCIDENT}/{case.key}/reclassify/", severity=then, reason="It was wrongly classified."
        )
        case.classify(then, pressed.span)
        yield self._moment(chance)
        if then != "low":
            self._tell(case, "notify", chance)
        yield from self._until_mailed(case)
        self._step(case, "resolve", chance)
        yield from self._close(case, chance)

    def _corrected(self, chance: random.Random) -> Story:
        case = self._declare(chance)
        yield self._moment(chance)
        earlier = case.detected_at - chance.randint(60, 7200) * SECOND
        aware_at = earlier + chance.randint(0, 600) * SECOND
        pressed = self._colleague(case, chance).press(
            f"{INCIDENT}/{case.key}/correct-times/",
            detected_at=written(earlier),
            aware_at=written(aware_at),
            occurred_at=written(earlier - 300 * SECOND),
            reason="The monitoring had seen it earlier.",
        )
        case.detected_at = earlier
        case.learn(What.DETECTED, earlier, pressed.span)
        case.learn(What.AWARE, aware_at, pressed.span)
        case.learn(What.OCCURRED, earlier - 300 * SECOND, pressed.span)
        self._tell(case, "notify", chance)
        yield from self._until_mailed(case)
        self._step(case, "resolve", chance)
        yield from self._close(case, chance)

    def _merged(self, chance: random.Random) -> Story:
        """Two colleagues have declared the same; what was first typed in becomes part of the other."""
        child = self._declare(chance, severity="critical", ago=chance.randint(0, 2400) * SECOND)
        master = self._declare(chance, severity="critical", ago=chance.randint(0, 2400) * SECOND, service=child.service)
        yield self._moment(chance)
        browser, page = self._colleague(child, chance), f"{INCIDENT}/{child.key}/merge/"
        reason = "The same full disk."
        shown = browser.press(page, into=master.key, reason=reason)
        pressed = browser.press(shown.location, into=master.key, reason=reason, is_previewed="on")
        child.merged_into = master
        child.learn(What.MERGED, pressed.span.end, pressed.span)
        for what in (What.DETECTED, What.AWARE, What.OCCURRED):
            if known := [at for at in (child.latest(what), master.latest(what)) if at]:
                master.learn(what, min(known), pressed.span)
        master.detected_at = min(child.detected_at, master.detected_at)
        self._step(master, "acknowledge", chance)
        self._tell(master, "notify", chance)
        yield from self._until_mailed(master)
        self._step(master, "resolve", chance)
        yield from self._close(master, chance)

    def _reopened(self, chance: random.Random) -> Story:
        case = self._declare(chance, severity="critical")
        self._tell(case, "notify", chance)
        yield from self._until_mailed(case)
        self._step(case, "resolve", chance)
        yield self._moment(chance)
        self._step(case, "reopen", chance, reason="The client says that it is back.")
        case.was_reopened = True
        yield self._moment(chance)
        if chance.random() < 0.7:
            self._tell(case, "update", chance)
            yield from self._until_mailed(case)
            self._step(case, "resolve", chance)
            yield from self._close(case, chance)

    def _two_at_once(self, chance: random.Random) -> Story:
        """Two have the same page open; the second is shown what the first did, and nothing is done twice."""
        case = self._declare(chance)
        page = f"{INCIDENT}/{case.key}/acknowledge/"
        olga, max_ = self.who("olga"), self.who("max")
        hers, his = olga.form(page), max_.form(page)
        self._step(case, "acknowledge", chance, by=olga, form=hers)
        with pytest.raises(Refused, match="Somebody has changed this"):
            max_.press(page, his, once=True)
        form = olga.form(f"{INCIDENT}/{case.key}/notify/")
        self._tell(case, "notify", chance, by=olga, form=form)
        olga.press(f"{INCIDENT}/{case.key}/notify/", {**form, "clients": list(map(str, case.clients))})
        yield from self._until_mailed(case)
        self._step(case, "resolve", chance)
        yield from self._close(case, chance)

    def _reviewed(self, chance: random.Random) -> Story:
        case = self._declare(chance, severity="critical")
        self._tell(case, "notify", chance)
        yield from self._until_mailed(case)
        self._step(case, "resolve", chance)
        opened = self.who("olga").press(f"{INCIDENT}/{case.key}/open-review/", facilitator=self.world["olga"])
        [key] = re.findall(r"postincidentreview/(\d+)/", opened.location)
        yield self._moment(chance)
        self._write(self.who("olga"), key)
        self.who("olga").press(f"{REVIEW}/{key}/submit/")
        yield self._moment(chance)
        self.who("max").press(f"{REVIEW}/{key}/approve/")
        yield self._moment(chance)
        clients = list(map(str, case.clients))
        shared = self.who("olga").press(f"{REVIEW}/{key}/share/", clients=clients, late_reason="It took us longer.")
        case.mailed += [(Obligation.REPORT, client, shared.span) for client in case.clients]
        yield from self._until_mailed(case)
        yield from self._close(case, chance)

    def _write(self, olga: Colleague, key: str) -> None:
        """The whole review in one page, as its form is: texts, a finding and an action."""
        page = f"{REVIEW}/{key}/change/"
        form = olga.form(page)
        answers: dict[str, Any] = {name: "As was usual." for name in form if re.fullmatch(r"answers-\d+-text", name)}
        fields: dict[str, Any] = {
            **{"findings-TOTAL_FORMS": "1", "findings-0-factor": self.world["factor"]},
            **{"findings-0-explanation": "It grew for weeks.", "findings-0-review": key},
            **{"actions-TOTAL_FORMS": "1", "actions-0-what": "Add a replica", "actions-0-review": key},
            **{"actions-0-kind": "prevent", "actions-0-priority": "2", "actions-0-owner": self.world["olga"]},
            **{"actions-0-due_on": f"{now() + dt.timedelta(days=30):%Y-%m-%d}"},
        }
        olga.press(
            page,
            form,
            summary="A disk filled up.",
            is_summary_for_client="on",
            client_impact="Nobody could sign in for an hour.",
            root_cause="Nobody was told that it grew.",
            what_will_change="It is measured.",
            **answers,
            **fields,
        )

    # ── what people do ──────────────────────────────────────────────────────────────────────────────────────────────

    def _declare(
        self,
        chance: random.Random,
        *,
        severity: str = "",
        ago: dt.timedelta | None = None,
        service: int | None = None,
        falls_due: bool = False,
        pausable: bool = False,
    ) -> Case:
        offered = [s for s in self.world["services"] if not pausable or self._may_pause(s["clients"])]
        chosen = next((s for s in offered if s["id"] == service), None) or chance.choice(offered)
        severity = severity or ("critical" if pausable else chance.choices(SEVERITIES, (45, 35, 12, 8))[0])
        if falls_due:
            severity, ago = "critical", self._before_a_holding_notice(chosen["clients"][0], chance)
        ago = ago or chance.choice([chance.randint(60, 4 * 3600), chance.randint(60, 24 * 3600)]) * SECOND
        at = (now() - ago).replace(microsecond=0)
        case = Case(len(self.cases), chosen["id"], tuple(chosen["clients"]), severity, at)
        self.cases.append(case)
        occurred_at = at - chance.randint(0, 1800) * SECOND if chance.random() < 0.5 else None
        aware_at = min(at + chance.randint(0, 900) * SECOND, now().replace(microsecond=0))
        by = self._colleague(case, chance)
        pressed = by.press(
            f"{INCIDENT}/add/",
            by.form(f"{INCIDENT}/add/") if chance.random() < 0.2 else {"token": [str(uuid.uuid4())]},
            title=case.title,
            services=case.service,
            severity=severity,
            category="outage",
            detected_at=written(at),
            aware_at=written(aware_at),
            occurred_at=written(occurred_at) if occurred_at else "",
        )
        [key] = re.findall(r"incident/(\d+)/", pressed.location)
        case.learn(What.DETECTED, at, pressed.span)
        case.learn(What.AWARE, aware_at, pressed.span)
        if occurred_at:
            case.learn(What.OCCURRED, occurred_at, pressed.span)
        case.classify(severity, pressed.span)
        case.key = int(key)
        return case

    def _step(self, case: Case, slug: str, chance: random.Random, **options: Any) -> None:
        """A verb that says when it happened: anywhere between the step before it and now."""
        learned = STEPS[slug]
        by = options.pop("by", None) or self._colleague(case, chance)
        form = options.pop("form", None)
        earliest = max(known.fact.at for known in case.known if known.fact.what in ORDERED)
        latest = now().replace(microsecond=0)
        at = earliest + chance.random() * chance.random() * max(latest - earliest, SECOND)
        at = min(at.replace(microsecond=0) + SECOND, latest)
        pressed = by.press(f"{INCIDENT}/{case.key}/{slug}/", form, at=written(at), **options)
        case.learn(learned, at, pressed.span)

    def _tell(self, case: Case, slug: str, chance: random.Random, **options: Any) -> None:
        """By mail, to all who are concerned."""
        by = options.pop("by", None) or self._colleague(case, chance)
        clients = list(map(str, case.clients))
        page = f"{INCIDENT}/{case.key}/{slug}/"
        form = options.pop("form", None) or by.form(page)
        message: dict[str, Any] = (
            {"message": f"We work on it, with {chance.randint(2, 9)} people."} if slug == "update" else {}
        )
        pressed = by.press(page, form, clients=clients, **message)
        what = Obligation.NOTIFY if slug == "notify" else Obligation.UPDATE
        case.mailed += [(what, client, pressed.span) for client in case.clients]

    def _by_phone(self, case: Case, client: int, what: Obligation, chance: random.Random) -> None:
        begun = (What.RESOLVED,) if what == Obligation.REPORT else (What.DETECTED, What.AWARE)
        last = max(at for at in map(case.latest, begun) if at)
        latest = now().replace(microsecond=0)
        at = last + chance.random() * (latest - last)
        at = max(at.replace(microsecond=0), last)
        page = f"{INCIDENT}/{case.key}/tell/"
        told: dict[str, Any] = {"client": client, "obligation": what.value, "at": written(at), "evidence": "Called."}
        try:
            pressed = self._colleague(case, chance).press(page, **told)
        except Refused as refusal:  # a holding notice went out meanwhile
            if "not offered" not in str(refusal) and "is not waiting" not in str(refusal):
                raise
            return
        case.learn(What.TOLD, at, pressed.span, obligation=what, client_id=client)

    def _close(self, case: Case, chance: random.Random) -> Story:
        """As soon as nobody waits for a notice any more."""
        for _ in range(PATIENCE):
            yield 0.5
            try:
                self._colleague(case, chance).press(f"{INCIDENT}/{case.key}/close/")
            except Refused as refusal:
                if "Not yet notified" not in str(refusal):
                    raise
            else:
                return

    # ── who, when, and what is owed ─────────────────────────────────────────────────────────────────────────────────

    def _colleague(self, case: Case, chance: random.Random) -> Colleague:
        """Lea where she sees all whom it concerns."""
        hers = {client["id"] for client in self.world["clients"][:2]}
        names = ["lea", "olga"] if hers.issuperset(case.clients) else ["olga", "olga", "max"]
        return self.who(chance.choice(names))

    def _moment(self, chance: random.Random) -> float:
        """Until somebody goes on: a few minutes of the day."""
        return chance.uniform(0, min(self.seconds / 20, 15))

    def _until_mailed(self, case: Case) -> Story:
        for _ in range(PATIENCE):
            if self.post.has_all(case, self.addresses):
                break
            yield 0.5
        yield 0.5  # until it is recorded as well

    def _clauses(self, client: int, severity: str) -> dict[str, Any]:
        found = CONTRACTS[self.clients[client]["kind"]].by_severity.get(severity, ())
        return {clause.obligation: clause for clause in found}

    def _owes(self, case: Case, client: int, what: Obligation) -> bool:
        """Whether somebody waits for that, if nobody has told them."""
        clause = self._clauses(client, case.severity).get(what.value)
        return clause is not None and (clause.start != "occurred" or case.latest(What.OCCURRED) is not None)

    def _may_pause(self, clients: list[int]) -> bool:
        return any(c.is_pausable for client in clients for c in self._clauses(client, "critical").values())

    def _before_a_holding_notice(self, client: int, chance: random.Random) -> dt.timedelta:
        """So long ago that one falls due while the day lasts, if the client's is counted in plain hours."""
        clause = self._clauses(client, "critical")["notify"]
        share: float = clause.amount * 0.9
        return share * HOUR - chance.uniform(0.1, 0.8) * self.seconds * SECOND


SEVERITIES = ("critical", "high", "medium", "low")
STEPS = {
    "acknowledge": What.ACKNOWLEDGED,
    "mitigate": What.MITIGATED,
    "resolve": What.RESOLVED,
    "reopen": What.REOPENED,
    "pause": What.PAUSED,
    "resume": What.RESUMED,
}
#: What comes one after the other in an incident.
ORDERED = {What.DETECTED, *STEPS.values()}
