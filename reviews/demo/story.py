"""What happens in the demo: ten real public outages, moved so that they are in progress now, and two small things.

The past is not written, it is played: the verbs, the sweep and each morning's look at the reviews run in the order of
time, each with the instant at which it happens, and the mails of the past go over SMTP to the demo's inbox. What the
board, the trail and the inbox show is therefore what they would show had the demo run all that time.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import Max, Min

from agreements.models import Client, Contact, Obligation, Service, Severity
from config import exports
from config.audit import concerns, keeping
from config.history import Caller, acting
from config.models import Concern, Event, EventKind, User
from config.models.concern import ConcernKind
from incidents import lifecycle, notices, outbox
from incidents.models import Deadline, Incident, Notice
from incidents.models.incident import ResponderRole
from reviews import followup
from reviews import lifecycle as review_lifecycle
from reviews.demo import world
from reviews.edition import TEXTS
from reviews.models import CorrectiveAction, Effect, Factor, FactorKind, Finding, PostIncidentReview

Say = Callable[[str], object]
#: How long after `now` the first client is warned: time enough for the processes to be up.
FIRST_WARNING_AFTER = dt.timedelta(seconds=25)


def minutes(count: float) -> dt.timedelta:
    return dt.timedelta(minutes=count)


@dataclass(frozen=True)
class Outage:
    """One public outage as it is on record; its steps count from detection."""

    title: str
    operator: str
    category: str
    severity: str
    detected_at: dt.datetime
    mitigated_after: dt.timedelta | None
    resolved_after: dt.timedelta | None

    @property
    def source(self) -> str:
        return f"Modelled on the public outage at {self.operator} of {self.detected_at:%d %B %Y}."


@functools.cache
def outages() -> dict[str, Outage]:
    """The outages of outages.json by key."""
    rows = json.loads((Path(__file__).parent / "outages.json").read_text(encoding="utf-8"))
    return {row["key"]: _outage(row) for row in rows}


def _outage(row: dict[str, str]) -> Outage:
    detected_at = dt.datetime.fromisoformat(row["detected_at"])

    def after(step: str) -> dt.timedelta | None:
        return dt.datetime.fromisoformat(row[step]) - detected_at if step in row else None

    return Outage(
        title=row["title"],
        operator=row["operator"],
        category=row["category"].replace(" ", "_"),
        severity=row["severity"],
        detected_at=detected_at,
        mitigated_after=after("mitigated_at"),
        resolved_after=after("resolved_at"),
    )


# ── the player ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Case:
    """One incident of the story. `then` says what happens so many minutes after its detection."""

    story: Story
    detected_at: dt.datetime
    incident: Incident | None = None

    def then(self, after: float | dt.timedelta, act: Callable[..., object], **arguments: Any) -> None:
        at = self.detected_at + (after if isinstance(after, dt.timedelta) else minutes(after))
        self.story.add(at, lambda: act(self.incident, now=at, **arguments))


@dataclass
class Story:
    """Steps, each at its instant; `play` does them in the order of time with the sweep running in between."""

    now: dt.datetime
    steps: list[tuple[dt.datetime, Callable[[], object]]] = field(default_factory=list)

    def add(self, at: dt.datetime, step: Callable[[], object]) -> None:
        if at > self.now:
            raise ValueError("The story is about the past; what comes is for the product to do.")
        self.steps.append((at, step))

    def incident(
        self,
        key: str,
        *services: str,
        detected_at: dt.datetime,
        declared_after: float,
        by: User,
        client_summary: str,
        severity: str = "",
    ) -> Case:
        """The outage of that key, declared so many minutes after its detection."""
        outage = outages()[key]
        return self.happening(
            *services,
            title=outage.title,
            severity=severity or outage.severity,
            category=outage.category,
            detected_at=detected_at,
            declared_after=declared_after,
            by=by,
            client_summary=client_summary,
            description=outage.source,
        )

    def happening(
        self, *services: str, detected_at: dt.datetime, declared_after: float, by: User, **facts: Any
    ) -> Case:
        """Something, declared so many minutes after its detection."""
        case = Case(self, detected_at)
        at = detected_at + minutes(declared_after)

        def declare() -> None:
            case.incident = lifecycle.declare(
                by=by,
                now=at,
                services=list(Service.objects.filter(name__in=services)),
                detected_at=detected_at,
                **facts,
            )

        self.add(at, declare)
        return case

    def play(self) -> None:
        with world.trail_dated() as date_trail:
            for at, step in sorted(self.steps, key=lambda step: step[0]):
                self._live_until(at, date_trail)
                date_trail(at)
                with acting(caller=Caller.ADMIN):
                    step()
                outbox.deliver(at)
            self._live_until(self.now, date_trail)

    def _live_until(self, at: dt.datetime, date_trail: Callable[[dt.datetime], None]) -> None:
        """Do what the worker does every second, at those seconds at which there is something to do."""
        while (due_at := self._next_moment()) is not None and due_at <= at:
            date_trail(due_at)
            notices.raise_due(due_at)
            outbox.deliver(due_at)

    def _next_moment(self) -> dt.datetime | None:
        return Deadline.objects.aggregate(first=Min("next_action_at"))["first"]  # type: ignore[no-any-return]


# ── the story ───────────────────────────────────────────────────────────────────────────────────────────────────────


def must_be_told() -> bool:
    """Only a database without any incident gets the story; in any other something would be told twice."""
    return not Incident.objects.exists()


@transaction.atomic
def load(now: dt.datetime) -> None:
    """Play the story up to `now`, all or nothing, unless there are incidents. Sends mail to settings.MAIL_RELAY."""
    if not must_be_told():
        return
    story, cast = Story(now), world.people()
    for tell in (_reviewed_ones, _to_be_reviewed, _long_ones, _urgent_ones, _worth_a_look):
        tell(story, cast["olga"], cast["max"])
    for ago in range(30):
        morning = (now - dt.timedelta(days=ago)).replace(hour=8, minute=0)
        if morning <= now:
            story.add(morning, functools.partial(followup.follow_up, morning))
    story.play()


def look_back(now: dt.datetime) -> None:
    """The trail is sealed, and the auditor has looked at one thing of what that found."""
    keeping.keep()
    taken = Concern.objects.open().filter(kind=ConcernKind.EXPORTED).first()
    if taken is not None:
        with acting(caller=Caller.ADMIN):
            remark = "Max needed the list for the service review with Fabrikam; it went to nobody else."
            concerns.look_at(taken, by=world.people()["aude"], remark=remark, now=now)


def newest_incident_at() -> dt.datetime | None:
    return Incident.objects.aggregate(newest=Max("declared_at"))["newest"]  # type: ignore[no-any-return]


def next_client_warning(now: dt.datetime) -> dt.datetime | None:
    """The first instant after `now` at which a client's contacts hear of a deadline if nobody acts."""
    coming = (
        moment.at
        for deadline in Deadline.objects.open().filter(next_action_at__isnull=False)
        for moment in deadline.planned_moments()
        if moment.at > now and "contacts" in moment.audience
    )
    return min(coming, default=None)


def _reviewed_ones(story: Story, olga: User, max_: User) -> None:
    fabrikam = _client("Fabrikam")
    backbone = story.incident(
        "backbone",
        "DNS",
        detected_at=story.now - dt.timedelta(days=30, hours=2),
        declared_after=4,
        by=olga,
        client_summary="Names of your zones cannot be resolved. We are bringing the connections of our sites back.",
    )
    _answered(backbone, olga, after=6, told_after=20)
    for count in range(1, 7):
        backbone.then(55 * count, lifecycle.post_update, by=olga, message="Sites are being reconnected one by one.")
    _mended(backbone, "backbone", olga)
    backbone.then(
        dt.timedelta(days=1),
        _review,
        by=olga,
        summary="A maintenance command took the backbone down, and name servers that lost it withdrew themselves.",
        client_impact="All clients: for hours no name of their zones could be resolved, whatever else still ran.",
        findings=(
            ("No staged rollout", FactorKind.PROCESS, "The command reached every router of the backbone at once."),
            ("Recovery needs what has failed", FactorKind.TECHNICAL, "Access from afar went over the same backbone."),
            ("Trust in a check that always held", FactorKind.HUMAN, "The audit of commands had caught every slip."),
        ),
        answers=(
            "Measuring capacity this way was routine, and a tool stopped commands that would do harm.",
            "The sites were brought back one by one, so that the load did not trip them again.",
            "Engineers were close to the sites.",
            "Nobody could get in from afar, and the sites are built to keep people out.",
            "A drill of the whole backbone failing would have shown that we cannot get in.",
        ),
        root_cause="The command was valid; the audit that should have stopped it had a fault.",
        what_will_change="Commands go to one site first, and sites are reached by a second network.",
        actions=(
            ("Send maintenance commands to one site first", "No staged rollout", max_, 6),
            ("Try the audit of commands with harmful ones", "Trust in a check that always held", olga, 10),
            ("Reach sites by a second network", "Recovery needs what has failed", olga, 20),
        ),
    )
    backbone.then(dt.timedelta(days=3, hours=20), _complete_review, by=olga, approved_by=max_)
    backbone.then(
        dt.timedelta(days=9),
        _finish,
        by=olga,
        what="Try the audit of commands with harmful ones",
        evidence="Forty commands that would do harm were tried on a copy; each was refused.",
    )
    backbone.then(
        dt.timedelta(days=11),
        _finish,
        by=max_,
        what="Send maintenance commands to one site first",
        evidence="Change 2211: the tool takes one site, and the next only after ten quiet minutes.",
    )
    backbone.then(
        dt.timedelta(days=22),
        _finish,
        by=olga,
        what="Reach sites by a second network",
        evidence="From the office every site was entered with the backbone's addresses blocked.",
    )
    backbone.then(
        dt.timedelta(days=23),
        _check,
        by=max_,
        what="Try the audit of commands with harmful ones",
        effect=Effect.HELPED,
        reason="Two harmful commands were typed since; the audit stopped both.",
    )
    # No staged rollout: the firewall rule showed that again, and the action is open once more (reviews/followup.py).
    backbone.then(
        dt.timedelta(days=24),
        _hand_over,
        by=max_,
        what="Send maintenance commands to one site first",
        due_on=(story.now + dt.timedelta(days=12)).date(),
        reason="Rules and commands will go out by one tool; that takes until then.",
    )
    backbone.then(
        dt.timedelta(days=3),
        lifecycle.record_told,
        client=fabrikam,
        obligation=Obligation.REPORT,
        by=max_,
        evidence="Report sent by registered mail, taken by J. Hale.",
    )
    backbone.then(dt.timedelta(days=4), lifecycle.close, by=max_)

    rule = story.incident(
        "firewall_rule",
        "Content delivery",
        detected_at=story.now - dt.timedelta(days=9, hours=5),
        declared_after=3,
        by=olga,
        client_summary="Requests through the edge network are answered with error 502.",
    )
    _answered(rule, olga, after=5, told_after=15)
    rule.then(50, lifecycle.post_update, by=olga, message="The rule set is withdrawn everywhere; errors have ended.")
    _mended(rule, "firewall_rule", olga)
    rule.then(
        dt.timedelta(days=1),
        _review,
        by=olga,
        summary="A new firewall rule went out to all servers in one step and used up their CPU.",
        client_impact="All clients behind the edge network: for 27 minutes their sites answered with error 502.",
        findings=(
            ("No staged rollout", FactorKind.PROCESS, "Rules went to every server at once, as an urgent fix would."),
            ("Unbounded work of one rule", FactorKind.TECHNICAL, "The pattern backtracked on ordinary requests."),
            ("Recovery needs what has failed", FactorKind.TECHNICAL, "The switch was behind the edge network itself."),
        ),
        answers=(
            "A rule that only logs was taken to be harmless, and rules had always gone out like this.",
            "The rule set could be withdrawn everywhere within minutes.",
            "It happened in office hours.",
            "The pages needed to withdraw the rules were themselves behind the edge network.",
            "A rule that only logs still runs; the switch to withdraw rules must not depend on what they protect.",
        ),
        root_cause="The pattern needed far more steps than its length suggests, and nothing limited them.",
        what_will_change="Rules go out in stages, and the engine that runs them bounds its own work.",
        actions=(
            ("Roll out firewall rules in stages", "No staged rollout", olga, 2),
            ("Run rules on a bounded engine", "Unbounded work of one rule", max_, 5),
        ),
        is_for_clients=True,
    )
    rule.then(dt.timedelta(days=2), _share, by=olga, approved_by=max_, clients=[fabrikam])
    rule.then(
        dt.timedelta(days=3),
        _finish,
        by=olga,
        what="Roll out firewall rules in stages",
        evidence="Change 2340: a rule reaches one site, then ten, then all, an hour apart.",
    )
    rule.then(
        dt.timedelta(days=4),
        _finish,
        by=max_,
        what="Run rules on a bounded engine",
        evidence="The rule of that day ends after a millisecond on the new engine.",
    )
    rule.then(dt.timedelta(days=5), lifecycle.close, by=max_)


def _to_be_reviewed(story: Story, olga: User, max_: User) -> None:
    """One review waits for a manager, and its report is owed; one is a draft, and one was let go."""
    fault = story.incident(
        "latent_fault",
        "Content delivery",
        detected_at=story.now - dt.timedelta(days=2, hours=6),
        declared_after=9,
        by=olga,
        client_summary="Most requests through the edge network fail. The trigger is known and being switched off.",
    )
    _answered(fault, olga, after=17, told_after=24)  # two minutes late for Fabrikam
    for count in (1, 2, 3):
        fault.then(50 * count, lifecycle.post_update, by=olga, message="Recovery goes on; the cache is filling again.")
    _mended(fault, "latent_fault", olga)
    fault.then(
        dt.timedelta(hours=4),
        lifecycle.correct_times,
        by=max_,
        detected_at=fault.detected_at + minutes(6),
        reason="The first alarm was a test of our own; requests began to fail six minutes later.",
    )
    fault.then(
        dt.timedelta(hours=20),
        _review,
        by=olga,
        summary="A valid change of one setting met a fault that had been shipped weeks before.",
        client_impact="All clients behind the edge network: most of their requests failed for most of an hour.",
        findings=(
            ("Untested settings", FactorKind.TECHNICAL, "The setting had never been used since the release."),
            ("Change by a client", FactorKind.EXTERNAL, "A valid change of their own settings set it off."),
        ),
        answers=(
            "Releases were tested with the settings in use, which had covered every fault before.",
            "The trigger was found within minutes and switched off.",
            "One client's setting, not many, set it off.",
            "Nobody on duty had the right to roll back the whole network.",
            "What may be set has to be tested, not only what is set.",
        ),
        root_cause="The release was tested with the settings that were in use, not with those that were allowed.",
        what_will_change="Releases are tested with every allowed setting, and a site can run without the edge logic.",
        actions=(
            ("Tell the duty manager of every network-wide rollback", "", olga, 0),
            ("Test releases with every allowed setting", "Untested settings", olga, 6),
            ("Keep a switch that turns the edge logic off per site", "Change by a client", max_, 12),
        ),
        is_for_clients=True,
    )
    fault.then(dt.timedelta(hours=44), _submit, by=olga)

    slow = story.happening(
        "Payments API",
        title="Payments wait for half a minute",
        severity=Severity.CRITICAL,
        category="degradation",
        detected_at=story.now - dt.timedelta(hours=28),
        declared_after=3,
        by=olga,
        client_summary="Payments are taken, but answers come after half a minute. A limit is being raised.",
    )
    _answered(slow, olga, after=4, told_after=15)
    _resolved(slow, olga, minutes(50))
    slow.then(
        dt.timedelta(hours=20),
        _review,
        by=olga,
        summary="A new limit on connections to the database was lower than what the busiest hour needs.",
        client_impact="",
        findings=(),
        answers=(),
        root_cause="",
        what_will_change="",
        actions=(),
    )

    drill = story.happening(
        "Backups",
        title="Last night's backups are missing",
        severity=Severity.CRITICAL,
        category="data_loss",
        detected_at=story.now - dt.timedelta(days=6, hours=3),
        declared_after=2,
        by=olga,
        client_summary="We are checking whether last night's backups are complete.",
    )
    _answered(drill, olga, after=3, told_after=12)
    _resolved(drill, olga, minutes(35))
    drill.then(
        dt.timedelta(hours=4),
        _waive,
        by=max_,
        reason="A drill of our monitoring, announced the day before: every backup was there.",
    )
    drill.then(dt.timedelta(hours=5), lifecycle.close, by=max_)


def _long_ones(story: Story, olga: User, max_: User) -> None:
    """In progress for hours: one mitigated, one overdue."""
    contoso = _client("Contoso")
    update = story.incident(
        "content_update",
        "Endpoint protection",
        detected_at=story.now - dt.timedelta(hours=6, minutes=10),
        declared_after=7,
        by=olga,
        client_summary="Windows hosts restart again and again after a content update. It has been withdrawn.",
    )
    update.then(11, lifecycle.acknowledge, by=olga)
    update.then(25, lifecycle.assign, user=max_, role=ResponderRole.COMMUNICATIONS, by=olga)
    update.then(
        40, lifecycle.notify_client, by=olga, message="Please leave affected hosts switched off until we write."
    )
    update.then(78, lifecycle.mitigate, by=olga, reason="The update is withdrawn; no further host is affected.")
    update.then(
        140, lifecycle.post_update, by=max_, clients=[contoso], message="Steps to repair a host are in the portal."
    )

    update.then(
        352,
        lifecycle.reclassify,
        severity=Severity.HIGH,
        by=max_,
        reason="Every host can be repaired by hand now; nobody at Contoso is stopped any more.",
    )

    deleted = story.incident(
        "deleted_database",
        "Managed database",
        detected_at=story.now - dt.timedelta(hours=5),
        declared_after=5,
        by=olga,
        client_summary="A database is unavailable. We are restoring it from the newest complete copy.",
    )
    _answered(deleted, olga, after=7, told_after=25)
    deleted.then(30, lifecycle.assign, user=max_, role=ResponderRole.COMMUNICATIONS, by=olga)
    for count in range(1, 6):
        deleted.then(55 * count, lifecycle.post_update, by=max_, message=f"Restored so far: {15 * count} %.")
    deleted.then(
        52, lifecycle.note, by=olga, text="The newest complete copy is six hours old; later writes come from the logs."
    )


def _urgent_ones(story: Story, olga: User, max_: User) -> None:
    """The ones to look at first: something is due within seconds or minutes."""
    now, contoso = story.now, _client("Contoso")
    # 80 % of Northwind's four hours are over 25 seconds after the start: its contacts are warned.
    storage = story.incident(
        "object_storage",
        "Object storage",
        detected_at=now - dt.timedelta(hours=3, minutes=12) + FIRST_WARNING_AFTER,
        declared_after=4,
        by=olga,
        client_summary="Objects in one region can be neither read nor written. The index is being restarted.",
    )
    storage.then(6, lifecycle.acknowledge, by=olga)
    storage.then(
        20, lifecycle.record_told, client=contoso, by=olga, evidence="Called the duty desk; Ms Brandt took the message."
    )
    storage.then(45, lifecycle.note, by=olga, text="The index needs a full restart; its last one was years ago.")

    apart = story.incident(
        "databases_apart",
        "Code hosting",
        detected_at=now - dt.timedelta(hours=2, minutes=20),
        declared_after=6,
        by=olga,
        severity=Severity.HIGH,
        client_summary="Pages may show data that is some hours old, and webhooks are late.",
    )
    apart.then(9, lifecycle.acknowledge, by=olga)
    apart.then(
        55,
        lifecycle.reclassify,
        severity=Severity.CRITICAL,
        by=max_,
        reason="Writes of both sites must be merged by hand.",
    )

    race = story.incident(
        "dns_race",
        "DNS",
        detected_at=now - dt.timedelta(minutes=100),
        declared_after=3,
        by=olga,
        client_summary="The name of a regional endpoint has no address. Services that need it fail in turn.",
    )
    _answered(race, olga, after=5, told_after=20)
    race.then(
        50, lifecycle.post_update, by=olga, message="The record is back by hand; dependent services recover slowly."
    )

    # Fabrikam's holding notice goes out at 54 of 60 minutes, 90 seconds after the start, unless somebody writes.
    policy = story.incident(
        "blank_policy",
        "API control plane",
        detected_at=now - dt.timedelta(minutes=52, seconds=30),
        declared_after=3,
        by=olga,
        client_summary="Calls that create or change resources fail in every region. What runs goes on running.",
    )
    policy.then(6, lifecycle.acknowledge, by=olga)

    # Nobody has acknowledged this one: at half of Fabrikam's quarter of an hour both sides are reminded.
    story.incident(
        "feature_file",
        "Content delivery",
        detected_at=now - dt.timedelta(minutes=6, seconds=50),
        declared_after=4.5,
        by=olga,
        client_summary="Requests that pass the bot protection are answered with error 500.",
    )


def _worth_a_look(story: Story, _olga: User, _max: User) -> None:
    """Beside the incidents: what the review queue asks an auditor about, though nothing need be wrong with it."""
    for ago, act in (
        (dt.timedelta(days=5, hours=3), _new_number),
        (dt.timedelta(days=1, hours=4), _take_list),
        (dt.timedelta(hours=20), _try_page),
    ):
        at = story.now - ago
        story.add(at, functools.partial(act, at))


def _new_number(at: dt.datetime) -> None:
    contact = Contact.objects.get(address="duty@contoso.example")
    contact.phone = "+49 30 5550 198"
    with acting(world.people()["max"], reason="as discussed"):
        contact.save()


def _take_list(at: dt.datetime) -> None:
    max_ = world.people()["max"]
    columns = [exports.column(Notice, name) for name in ("made_at", "kind", "incident__reference", "subject", "state")]
    rows = Notice.objects.filter(client=_client("Fabrikam"), contact__isnull=False).select_related("incident")
    with acting(max_):
        taken = exports.export(rows, columns, query="client=Fabrikam&to=clients", by=max_, now=at)
    if taken.file_to_stream is not None:
        taken.file_to_stream.close()  # to close the response would hang up on the database


def _try_page(at: dt.datetime) -> None:
    olga = world.people()["olga"]
    said = {"method": "GET", "path": "/admin/config/user/"}
    with acting(olga):
        Event.objects.create(kind=EventKind.ACTION_REFUSED, at=at, actor=olga, said=said, address="127.0.0.1")


def _answered(case: Case, by: User, *, after: float, told_after: float) -> None:
    case.then(after, lifecycle.acknowledge, by=by)
    case.then(told_after, lifecycle.notify_client, by=by)


def _mended(case: Case, key: str, by: User) -> None:
    outage = outages()[key]
    if outage.mitigated_after:
        case.then(outage.mitigated_after, lifecycle.mitigate, by=by)
    if outage.resolved_after:
        _resolved(case, by, outage.resolved_after)


def _resolved(case: Case, by: User, after: dt.timedelta) -> None:
    """The next minute opens the review that our policy asks for."""
    case.then(after, lifecycle.resolve, by=by)
    at = case.detected_at + after + minutes(1)
    case.story.add(at, functools.partial(followup.open_what_is_owed, at))


def _review(
    incident: Incident,
    *,
    by: User,
    now: dt.datetime,
    summary: str,
    client_impact: str,
    root_cause: str,
    what_will_change: str,
    findings: tuple[tuple[str, FactorKind, str], ...],
    answers: tuple[str, ...],
    actions: tuple[tuple[str, str, User, int], ...],
    is_for_clients: bool = False,
) -> None:
    """Write the review; each action is against one of the factors, has its owner and is due in so many days."""
    review = PostIncidentReview.objects.get(incident=incident)
    with acting(by, reason="Written after the review meeting."):
        review.summary, review.root_cause, review.what_will_change = summary, root_cause, what_will_change
        review.client_impact = client_impact
        for text in TEXTS:
            setattr(review, f"is_{text}_for_client", is_for_clients)
        review.save()
        found: dict[str, Finding | None] = {"": None}
        for name, kind, explanation in findings:
            factor, _is_new = Factor.objects.get_or_create(name=name, defaults={"kind": kind})
            found[name] = Finding.objects.create(review=review, factor=factor, explanation=explanation)
        for answer, text in zip(review.answers.all(), answers, strict=False):
            answer.text = text
            answer.save()
        for what, against, owner, due_in in actions:
            CorrectiveAction.objects.create(
                review=review,
                what=what,
                finding=found[against],
                owner=owner,
                due_on=now.date() + dt.timedelta(days=due_in),
                is_for_client=is_for_clients,
            )


def _submit(incident: Incident, *, by: User, now: dt.datetime) -> PostIncidentReview:
    return review_lifecycle.submit(PostIncidentReview.objects.get(incident=incident), by=by, now=now)


def _approved(incident: Incident, *, by: User, approved_by: User, now: dt.datetime) -> PostIncidentReview:
    return review_lifecycle.approve(_submit(incident, by=by, now=now), by=approved_by, now=now)


def _complete_review(incident: Incident, *, by: User, approved_by: User, now: dt.datetime) -> None:
    review_lifecycle.close(_approved(incident, by=by, approved_by=approved_by, now=now), by=by, now=now)


def _share(incident: Incident, *, by: User, approved_by: User, clients: list[Client], now: dt.datetime) -> None:
    review_lifecycle.share(_approved(incident, by=by, approved_by=approved_by, now=now), clients, by=by, now=now)


def _waive(incident: Incident, *, by: User, now: dt.datetime, reason: str) -> None:
    review_lifecycle.waive(PostIncidentReview.objects.get(incident=incident), by=by, now=now, reason=reason)


def _action(incident: Incident, what: str) -> CorrectiveAction:
    return CorrectiveAction.objects.get(review__incident=incident, what=what)


def _finish(incident: Incident, *, by: User, now: dt.datetime, what: str, evidence: str) -> None:
    review_lifecycle.finish(_action(incident, what), by=by, now=now, done_on=now.date(), evidence=evidence)


def _check(incident: Incident, *, by: User, now: dt.datetime, what: str, effect: Effect, reason: str) -> None:
    review_lifecycle.check(_action(incident, what), by=by, now=now, effect=effect, reason=reason)


def _hand_over(incident: Incident, *, by: User, now: dt.datetime, what: str, due_on: dt.date, reason: str) -> None:
    review_lifecycle.hand_over(_action(incident, what), by=by, due_on=due_on, reason=reason)


def _client(name: str) -> Client:
    return Client.objects.get(name=name)
