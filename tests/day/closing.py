"""The evening: all that is left is done, then everything is counted, and has to come out as the journal has it."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import io
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import psycopg

from agreements.models import Obligation, Severity
from tests.day.browsing import Colleague, Span, now
from tests.day.contracts import CONTRACTS, Counted
from tests.day.day import Day
from tests.day.journal import Case, Known
from tests.journeys.owed import Duty, Fact, Reading, What, derived

NOTICE, COMPLIANCE = "/admin/incidents/notice", "/admin/reviews/postincidentreview/compliance"
SECOND = dt.timedelta(seconds=1)
#: Between the mail server's word and our record of it lie seconds if the database was away.
RECORDED_WITHIN = 20 * SECOND

# ── repaired and drained ────────────────────────────────────────────────────────────────────────────────────────────


class Row(NamedTuple):
    """A notice as the database has it."""

    id: int
    message_id: str
    state: str
    kind: str
    address: str
    incident: str
    client: str
    dark: int  # how many transmissions ended in the dark


def rows_of(day: Day) -> list[Row]:
    return [
        Row(*row)  # type: ignore[arg-type]
        for row in day.front.rows(
            "SELECT n.id, n.message_id, n.state, n.kind, n.recipient_address, coalesce(i.reference, ''),"
            " coalesce(c.name, ''), (SELECT count(*) FROM incidents_deliveryattempt a WHERE a.notice_id = n.id"
            " AND a.outcome = 'ambiguous') FROM incidents_notice n LEFT JOIN incidents_incident i"
            " ON i.id = n.incident_id LEFT JOIN agreements_client c ON c.id = n.client_id"
        )
    ]


WITH_SENDER = frozenset({"leased", "transmitting"})
IN_QUEUE = WITH_SENDER | {"pending", "retry_wait"}
STUCK = frozenset({"failed", "review"})


def drain(day: Day, owner_url: str) -> None:
    """Wait until nothing waits any more; what a person has to decide Max decides as the mail server's log has it."""

    def is_drained() -> bool:
        with psycopg.connect(owner_url) as owner:  # the minutes between two tries are over at once
            owner.execute(
                "UPDATE incidents_notice SET next_attempt_at = now()"
                " WHERE state = 'retry_wait' AND next_attempt_at > now();"
                "UPDATE incidents_sending SET retry_at = now() WHERE retry_at > now()"
            )
        rows = rows_of(day)
        for row in rows:
            if row.state in STUCK:
                decide(day, row)
        return not any(row.state in IN_QUEUE | STUCK for row in rows)

    day.front.product.processes.wait_until(is_drained, 120, "the queue was empty")


@contextlib.contextmanager
def at_rest(day: Day, owner_url: str) -> Iterator[None]:
    """Nothing goes out meanwhile, though the contracts' clock goes on: what falls due waits until it is over."""
    drain(day, owner_url)
    processes = day.front.product.processes
    processes.manage("outbox", "hold", "--by", "ada", "--reason", "We count.")
    processes.wait_until(
        lambda: not any(row.state in WITH_SENDER for row in rows_of(day)), 30, "no mail was on its way"
    )
    yield
    processes.manage("outbox", "release", "--by", "ada", "--reason", "We have counted.")
    drain(day, owner_url)


def decide(day: Day, row: Row) -> None:
    arrived = row.message_id in day.sink.by_message_id()
    slug = "it-arrived" if arrived and row.dark else "send-again"
    told: dict[str, Any] = {"evidence": "It is in the mail server's log."} if slug == "it-arrived" else {}
    pressed = day.who("max").press(
        f"{NOTICE}/{row.id}/{slug}/", reason="Looked it up in the mail server's log.", **told
    )
    day.decisions += 1
    if slug == "it-arrived":
        day.decided[row.message_id] = pressed.span.end


# ── mail ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def check_mail(day: Day) -> None:
    """None lost, copies only after the dark and alike, and nobody has read what is not theirs."""
    copies, rows = day.sink.by_message_id(), {row.message_id: row for row in rows_of(day)}
    unsent = [row for row in rows.values() if row.state in ("sent", "handled") and row.message_id not in copies]
    assert not unsent, "what is called sent has reached the server"
    assert set(copies) <= set(rows), "every mail has its row"
    most = {key: min(1 + rows[key].dark, 2 + day.decisions) for key in copies}
    excess = {rows[key]: len(mails) for key, mails in copies.items() if len(mails) > most[key]}
    assert not excess, "one copy, and one more for each transmission that ended in the dark"
    changed = [key for key, mails in copies.items() if len({_lasting(mail.raw) for mail in mails}) > 1]
    assert not changed, "each copy is the same, but for its Date"
    assert all(mails[0].recipients == (rows[key].address,) for key, mails in copies.items())
    for case in day.lives.cases:
        _check_mail_of(day, case)
    confirmed = day.front.rows(
        "SELECT n.message_id FROM incidents_acknowledgement a JOIN incidents_notice n ON n.id = a.notice_id"
    )
    assert day.acknowledged <= {str(message_id) for (message_id,) in confirmed}, "what clients confirmed is kept"
    owners = {address: client["name"] for client in day.world["clients"] for address in client["addresses"]}
    for mails in copies.values():
        if own := owners.get(mails[0].recipients[0]):
            named = set(re.findall(r"Tenant \d\d", mails[0].subject + mails[0].text + mails[0].html))
            assert named <= {own}, f"{mails[0].subject} to {own} names {named}"


def _check_mail_of(day: Day, case: Case) -> None:
    """All that was asked for reached whom it was asked for, once each; holding notices came besides."""
    addresses = day.lives.addresses
    asked = Counter((what, address) for what, client, _span in case.mailed for address in addresses[client])
    concerned = {address for client in case.clients for address in addresses[client]}
    found = {key: len(messages) for key, messages in day.post.messages(case).items()}
    for key, count in (asked - Counter(found)).items():
        raise AssertionError(f"{case.title}: {key} lacks {count} of the mails that were asked for")
    for (what, address), count in found.items():
        assert address in concerned, f"{case.title} was told to {address}, whom it does not concern"
        besides = 3 if what == Obligation.NOTIFY else 0
        assert count <= asked[what, address] + besides, f"{case.title}: {count} of {what} to {address}"


def _lasting(raw: bytes) -> bytes:
    return re.sub(rb"(?m)^Date: .*\r\n", b"", raw, count=1)


# ── what was owed, counted from the journal ─────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Owed:
    """One deadline as the journal has it. `is_rough`: it is counted from when a mail was recorded."""

    case: Case
    obligation: str
    severity: str
    reading: Reading
    is_rough: bool

    @property
    def doubt(self) -> dt.timedelta:
        """For how long somebody had pressed when it was ended."""
        pressed = [known.learned.slack for known in self.case.known if known.fact.at == self.reading.ended_at]
        return max(pressed, default=0 * SECOND)


def owed_to(day: Day, client: int, case: Case, facts: Sequence[Fact]) -> list[Owed]:
    contract, zone = CONTRACTS[day.lives.clients[client]["kind"]], day.lives.clients[client]["zone"]
    found = []
    for severity, clauses in contract.by_severity.items():
        for clause in clauses:
            terms = Counted(clause, zone, contract.is_office)
            duty = Duty(0, client, severity, clause.obligation, clause.start, terms)
            for cycle, reading in derived(duty, facts).items():
                found.append(Owed(case, clause.obligation, severity, reading, clause.is_recurring and cycle > 1))
    return found


def orders_of(day: Day, client: int, case: Case) -> Iterator[list[Fact]]:
    """The facts in every order that is possible: when exactly a mail was recorded, the product alone knows."""
    told = list(told_by_mail(day, client, case))
    doubtful = [
        one for one in told if any(abs(one.learned.begin - act.learned.end) < RECORDED_WITHIN for act in case.known)
    ][:4]
    for chosen in itertools.product((False, True), repeat=len(doubtful)):
        later = {id(one) for one, is_later in zip(doubtful, chosen, strict=True) if is_later}
        moments = [(one.learned.end + RECORDED_WITHIN * (id(one) in later), one.fact) for one in [*case.known, *told]]
        yield [fact for _learned, fact in sorted(moments, key=lambda moment: moment[0])]


def told_by_mail(day: Day, client: int, case: Case) -> Iterator[Known]:
    """When somebody at the client was told what. The same words to several people there are told once.

    Of a mail that came twice the first was not recorded, or there would be no second.
    """
    own = set(day.lives.addresses[client])
    tellings: defaultdict[tuple[Obligation, int], list[tuple[dt.datetime, dt.datetime]]] = defaultdict(list)
    for (what, address), messages in day.post.messages(case).items():
        for number, mails in enumerate(messages) if address in own else ():
            at = mails[-1].received_at
            tellings[what, number].append((day.decided.get(mails[0].message_id, at), at))
    for (what, number), arrivals in tellings.items():
        learned, at = min(arrivals)
        asked = [span.end for asked, whom, span in case.mailed if (asked, whom) == (what, client)]
        asked_at = asked[number] if what == Obligation.UPDATE else None
        fact = Fact(What.TOLD, at, obligation=what, client_id=client, asked_at=asked_at)
        yield Known(fact, Span(learned, learned))


# ── the figures ─────────────────────────────────────────────────────────────────────────────────────────────────────

Table = list[dict[str, str]]
MET, MISSED, RUNNING, ENDED = "Met", "Missed", "Still running", "No longer owed"
#: What says more than that.
BECAME = {"Done": MET, "Missed, not done yet": MISSED}
TABLES = ("figures", "undated", "times", "incidents", "deadlines")


class Listed(NamedTuple):
    """A row of “Every deadline”."""

    incident: str
    obligation: str
    severity: str
    due: dt.datetime | None
    done: dt.datetime | None
    became: str
    late: dt.timedelta | None


class Judged(NamedTuple):
    obligation: str
    severity: str
    has_due: bool
    became: str
    late: dt.timedelta | None
    took: dt.timedelta | None


@dataclass
class Report:
    """What Max downloads about one client, while nothing is done any more."""

    client: int
    tables: dict[str, Table]
    page: str
    made: Span
    begins_at: dt.datetime
    ends_at: dt.datetime

    @property
    def rows(self) -> list[Listed]:
        return [
            Listed(
                row["Incident"],
                OBLIGATIONS[row["Obligation"]],
                SEVERITIES[row["Severity"]],
                _instant(row["Due"]),
                _instant(row["Done"]),
                BECAME.get(row["Became"], row["Became"]),
                _span(row["Late by"]),
            )
            for row in self.tables["deadlines"]
        ]

    @property
    def references(self) -> dict[str, str]:
        return {row["Title"]: row["Incident"] for row in self.tables["incidents"]}

    def counts(self, reading: Reading) -> bool:
        at = reading.due_at or reading.started_at
        return at is not None and self.begins_at <= at < self.ends_at


OBLIGATIONS = {str(one.label): one.value for one in Obligation}
SEVERITIES = {str(one.label): one.value for one in Severity}


def download(day: Day, max_: Colleague, client: int) -> Report:
    zone = ZoneInfo(day.lives.clients[client]["zone"])
    today = now().astimezone(zone).date()
    since, until = today - dt.timedelta(days=3), today + dt.timedelta(days=4)
    query = urlencode({"client": client, "period": "own", "since": since, "until": until})
    begin = now()
    tables = {slug: _table(max_.open(f"{COMPLIANCE}/{slug}.csv?{query}")) for slug in TABLES}
    page = max_.open(f"{COMPLIANCE}/?{query}")
    begins_at, ends_at = (dt.datetime.combine(day_, dt.time(), zone) for day_ in (since, until + dt.timedelta(days=1)))
    return Report(client, tables, page, Span(begin, now()), begins_at, ends_at)


def _table(text: str) -> Table:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def _instant(written: str) -> dt.datetime | None:
    return dt.datetime.fromisoformat(written) if written else None


def _span(written: str) -> dt.timedelta | None:
    if not written:
        return None
    hours, minutes, seconds = map(int, written.split(":"))
    return dt.timedelta(hours=hours, minutes=minutes, seconds=seconds)


def check_compliance(day: Day, report: Report) -> Counter[str]:
    """Every deadline of the client, what became of it and all sums are as the journal has them; how many of each."""
    listed: defaultdict[str, list[Listed]] = defaultdict(list)
    for row in report.rows:
        listed[row.incident].append(row)
    judged: list[Judged] = []
    cases = [case for case in day.lives.cases if report.client in case.clients and case.is_declared]
    settled: dict[int, list[tuple[Owed, Listed]]] = {}
    for case in cases:
        found = listed.pop(report.references.get(case.title, ""), [])
        settled[case.number] = _paired(day, report, case, found)
    assert not listed, f"deadlines of incidents that nobody declared: {dict(listed)}"
    for case in cases:
        twins = settled.get(case.merged_into.number, []) if case.merged_into else []
        judged += [_judged(one, row, report, twins) for one, row in settled[case.number]]
    _check_figures(report, judged)
    _check_undated(report, judged)
    _check_times(day, report, cases)
    return Counter(one.became for one in judged)


def _paired(day: Day, report: Report, case: Case, found: Sequence[Listed]) -> list[tuple[Owed, Listed]]:
    """Each deadline that the journal expects with the row that tells of it, neither more nor less."""
    first: list[Owed] = []
    for facts in orders_of(day, report.client, case):
        owed = [one for one in owed_to(day, report.client, case, facts) if report.counts(one.reading)]
        first = first or owed
        by_kind = {kind: sorted(rows, key=_due) for kind, rows in _by_kind(found).items()}
        expected = {
            kind: sorted(rows, key=lambda one: one.reading.due_at or LAST) for kind, rows in _by_kind(owed).items()
        }
        if {k: len(v) for k, v in by_kind.items()} != {k: len(v) for k, v in expected.items()}:
            continue
        pairs = [pair for kind in expected for pair in zip(expected[kind], by_kind[kind], strict=True)]
        if all(_agrees(one, row) for one, row in pairs):
            return pairs
    story = {
        "journal": [f"{one.obligation} {one.severity} {one.reading}" for one in first],
        "report": found,
        "known": case.known,
        "mailed": case.mailed,
        "told by mail": list(told_by_mail(day, report.client, case)),
    }
    told = "\n".join(f"{name}: {one}" for name, rows in story.items() for one in rows)
    raise AssertionError(f"{case.title} for client {report.client} is not as the journal has it.\n{told}")


LAST = dt.datetime.max.replace(tzinfo=dt.UTC)


def _due(row: Listed) -> dt.datetime:
    return row.due or LAST


def _by_kind(rows: Sequence[Any]) -> dict[tuple[str, str], list[Any]]:
    found: defaultdict[tuple[str, str], list[Any]] = defaultdict(list)
    for row in rows:
        found[row.obligation, row.severity].append(row)
    return found


def _agrees(one: Owed, row: Listed) -> bool:
    by_mail = one.obligation in (Obligation.NOTIFY, Obligation.UPDATE, Obligation.REPORT)
    return _same(one.reading.due_at, row.due, one.is_rough) and _same(one.reading.met_at, row.done, by_mail)


def _same(expected: dt.datetime | None, shown: dt.datetime | None, is_rough: bool) -> bool:
    if expected is None or shown is None:
        return expected is shown
    return -SECOND <= shown - expected <= (RECORDED_WITHIN if is_rough else 0 * SECOND)


def _judged(one: Owed, row: Listed, report: Report, twins: Sequence[tuple[Owed, Listed]]) -> Judged:
    """What became of it by its instants; the row has to say the same, and how late it is."""
    became, ended_at = _became(one, row, report)
    if one.case.merged_into and one.obligation != Obligation.UPDATE:
        for twin, its_row in twins:
            is_same = (twin.obligation, twin.reading.ended_at) == (one.obligation, None)
            is_its_miss = its_row.became == MISSED and _due(its_row) <= _due(row)
            if is_same and (became != MISSED or is_its_miss):
                became = ENDED
    about = f"{one.case.title}: {one.obligation} {one.reading} became {became}, the report has {row}"
    assert row.became == became, about
    late = None
    if became == MISSED:
        assert row.due is not None
        assert row.late is not None, about
        since, until = (ended_at - one.doubt, ended_at) if ended_at else report.made
        assert since - row.due - 3 * SECOND <= row.late <= until - row.due + 3 * SECOND, about
        late = row.late
    took = row.done - one.reading.started_at if row.done and one.reading.started_at else None
    return Judged(one.obligation, one.severity, row.due is not None, became, late, took)


def _became(one: Owed, row: Listed, report: Report) -> tuple[str, dt.datetime | None]:
    """By the second; where it fell due within the very second in which it was done, the report's own word holds."""
    over_at = row.done or one.reading.ended_at
    if row.due is None:
        return (MET if row.done else ENDED if over_at else RUNNING), over_at
    by = over_at or report.made.begin
    if abs(by - row.due) <= (one.doubt + 2 * SECOND if row.done is None else 0 * SECOND):
        return row.became, over_at
    if row.due < by:
        return MISSED, over_at
    return (MET if row.done else ENDED if over_at else RUNNING), over_at


# ── the sums ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _check_figures(report: Report, judged: Sequence[Judged]) -> None:
    dated = [one for one in judged if one.has_due]
    expected = {}
    for kind, rows in {("", ""): dated, **_by_kind(dated)}.items() if dated else ():
        became, late = Counter(one.became for one in rows), sorted(one.late for one in rows if one.late is not None)
        decided = became[MET] + became[MISSED]
        expected[kind] = (
            [decided + became[RUNNING], became[MET], became[MISSED], became[RUNNING], became[ENDED]],
            str(became[MET] * 100 // decided) if decided else "",
            [_percentile(late, 0.5), late[-1]] if late else [None, None],
        )
    columns = ("Owed", "Met", "Missed", "Still running", "No longer owed")
    shown = {}
    for row in report.tables["figures"]:
        kind = (OBLIGATIONS.get(row["Obligation"], ""), SEVERITIES.get(row["Severity"], ""))
        shown[kind] = (
            [int(row[name]) for name in columns],
            row["Met, %"],
            [_span(row["Late by, median"]), _span(row["Late by, at most"])],
        )
    assert {kind: told[:2] for kind, told in shown.items()} == {kind: told[:2] for kind, told in expected.items()}
    for kind, (_counts, _share, late_by) in expected.items():
        _check_spans(late_by, shown[kind][2], report.made.slack + 3 * SECOND)
    if dated:
        sums = expected["", ""]
        on_page = re.sub(r"<[^>]+>|\s+", " ", report.page)
        said = f"{sums[0][0]} {sums[0][1]} {sums[0][2]} {sums[1]}"
        assert said in re.sub(r"\s+", " ", on_page), f"the page does not say {said!r}"


def _check_undated(report: Report, judged: Sequence[Judged]) -> None:
    expected = {}
    for kind, rows in _by_kind([one for one in judged if not one.has_due]).items():
        became, took = Counter(one.became for one in rows), sorted(one.took for one in rows if one.took is not None)
        spans = [_percentile(took, 0.5), took[-1]] if took else [None, None]
        expected[kind] = ([became[MET], became[RUNNING], became[ENDED]], spans)
    shown = {}
    for row in report.tables["undated"]:
        counts = [int(row[name]) for name in ("Done", "Still running", "No longer owed")]
        kind = (OBLIGATIONS[row["Obligation"]], SEVERITIES[row["Severity"]])
        shown[kind] = (counts, [_span(row["Took, median"]), _span(row["Took, at most"])])
    assert {kind: counts for kind, (counts, _) in shown.items()} == {k: counts for k, (counts, _) in expected.items()}
    for kind, (_counts, spans) in expected.items():
        _check_spans(spans, shown[kind][1], 2 * SECOND)


def _check_times(day: Day, report: Report, cases: Sequence[Case]) -> None:
    spans: defaultdict[tuple[str, str], list[dt.timedelta]] = defaultdict(list)
    for case in cases:
        detected_at = case.latest(What.DETECTED)
        assert detected_at is not None
        if case.merged_into or not report.begins_at <= detected_at < report.ends_at:
            continue
        for phase, at in _phases(day, report.client, case).items():
            if at is not None:
                for severity in ("", case.severity):
                    spans[phase, severity].append(at - detected_at)
    expected = {key: (len(found), sorted(found)) for key, found in spans.items()}
    shown = {(row["Until"], SEVERITIES.get(row["Severity"], "")): row for row in report.tables["times"]}
    assert {key: int(row["Incidents"]) for key, row in shown.items()} == {key: n for key, (n, _) in expected.items()}
    for key, (_count, found) in expected.items():
        told = [_span(shown[key]["Median"]), _span(shown[key]["Nine in ten"])]
        slack = RECORDED_WITHIN if key[0] == "Notice" else 2 * SECOND
        _check_spans([_percentile(found, 0.5), _percentile(found, 0.9)], told, slack)


def _phases(day: Day, client: int, case: Case) -> dict[str, dt.datetime | None]:
    facts = [one.fact for one in case.known]
    told = [fact for fact in facts if fact.client_id == client] + [one.fact for one in told_by_mail(day, client, case)]
    reopened = next((n for n in reversed(range(len(facts))) if facts[n].what is What.REOPENED), -1)
    since = facts[reopened + 1 :]
    resolved = next((fact.at for fact in since if fact.what is What.RESOLVED), None)
    mitigated = next((fact.at for fact in since if fact.what is What.MITIGATED), resolved)
    first = (What.ACKNOWLEDGED, What.MITIGATED, What.RESOLVED)
    return {
        "Acknowledgement": next((fact.at for fact in facts if fact.what in first), None),
        "Notice": min((fact.at for fact in told if fact.obligation == Obligation.NOTIFY), default=None),
        "Mitigation": mitigated,
        "Resolution": resolved,
    }


def _percentile(found: Sequence[dt.timedelta], share: float) -> dt.timedelta:
    """Between the two nearest, in proportion."""
    place = (len(found) - 1) * share
    low = int(place)
    high = min(low + 1, len(found) - 1)
    return found[low] + (found[high] - found[low]) * (place - low)


def _check_spans(
    expected: Sequence[dt.timedelta | None], shown: Sequence[dt.timedelta | None], slack: dt.timedelta
) -> None:
    for one, other in zip(expected, shown, strict=True):
        is_near = one is other if one is None or other is None else abs(one - other) <= slack
        assert is_near, f"{other} is shown, {one} was counted"


# ── all of it ───────────────────────────────────────────────────────────────────────────────────────────────────────


def audits(day: Day, anchor: str) -> None:
    """What the product says of itself."""
    manage = day.front.product.processes.manage
    assert "Clean" in manage("outbox", "audit").stdout
    assert "Nothing was changed" in manage("audit", "verify", "--anchor", anchor).stdout
    assert " 0 of them differ" in manage("deadlines", "verify").stdout
    told = manage("doctor").stdout
    assert "ERROR" not in told, told
