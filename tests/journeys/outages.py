"""Ten real outages with what a review of each says, and what follows from their instants, worked out here alone.

What the public record says is in reviews/demo/outages.json. When each was acknowledged and told to whom is made up, as
no record says it.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

RECORD = Path(__file__).resolve().parents[2] / "reviews" / "demo" / "outages.json"
MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)


def instant(written: str) -> dt.datetime:
    return dt.datetime.fromisoformat(written)


@dataclass(frozen=True)
class Outage:
    """One of them. `happened` to `phoned` are minutes before and after its detection.

    `due` is five business days after the day of resolution in Berlin, at the close of business there, as a person
    reads it off a calendar.
    """

    key: str
    due: str
    happened: int | None
    acknowledged: int
    mailed: int
    phoned: int
    factor: str
    kind: str
    summary: str
    change: str
    resolved: str = ""  # where the record has no end

    @cached_property
    def _row(self) -> dict[str, str]:
        rows = json.loads(RECORD.read_text(encoding="utf-8"))
        return next(row for row in rows if row["key"] == self.key)

    @property
    def title(self) -> str:
        return self._row["title"]

    @property
    def severity(self) -> str:
        return self._row["severity"]

    @property
    def due_at(self) -> dt.datetime:
        return instant(self.due)

    @property
    def detected_at(self) -> dt.datetime:
        return instant(self._row["detected_at"])

    @property
    def occurred_at(self) -> dt.datetime | None:
        return None if self.happened is None else self.detected_at - self.happened * MINUTE

    @property
    def acknowledged_at(self) -> dt.datetime:
        return self.detected_at + self.acknowledged * MINUTE

    @property
    def mailed_at(self) -> dt.datetime:
        return self.detected_at + self.mailed * MINUTE

    @property
    def phoned_at(self) -> dt.datetime:
        return self.detected_at + self.phoned * MINUTE

    @property
    def resolved_at(self) -> dt.datetime:
        return instant(self._row.get("resolved_at") or self.resolved)

    @property
    def mitigated_at(self) -> dt.datetime:
        """What is resolved is mitigated too."""
        return instant(self._row["mitigated_at"]) if "mitigated_at" in self._row else self.resolved_at

    def phases(self, told_at: dt.datetime) -> dict[str, tuple[dt.datetime | None, dt.datetime]]:
        """(from, until) of each, for a client who was told then."""
        return {
            "detection": (self.occurred_at, self.detected_at),
            "acknowledgement": (self.detected_at, self.acknowledged_at),
            "notice": (self.detected_at, told_at),
            "mitigation": (self.detected_at, self.mitigated_at),
            "resolution": (self.detected_at, self.resolved_at),
        }

    def is_longer_than(self, hours: int) -> bool:
        return self.resolved_at - self.detected_at > hours * HOUR


OUTAGES = (
    Outage(
        key="deleted_database",
        due="2017-02-08T16:00Z",  # resolved on a Wednesday
        happened=30,
        acknowledged=5,
        mailed=40,
        phoned=65,
        factor="Backups that nobody restores",
        kind="process",
        summary="The directory of the primary database was removed, and five ways to restore it did not work.",
        change="Restore a backup every night and compare it",
    ),
    Outage(
        key="object_storage",
        due="2017-03-07T16:00Z",  # on a Tuesday at 22:54 in Berlin
        happened=0,
        acknowledged=3,
        mailed=45,
        phoned=50,
        factor="A tool without a limit",
        kind="human",
        summary="A mistyped number took more servers out of service than was meant.",
        change="Let the tool take out a few servers at a time only",
    ),
    Outage(
        key="databases_apart",
        due="2018-10-30T16:00Z",  # on Tuesday the 23rd at 01:03 in Berlin; the clocks go back before it is due
        happened=None,
        acknowledged=2,
        mailed=58,
        phoned=241,
        factor="Failover across the continent",
        kind="technical",
        summary="After 43 seconds without a network two sites had each taken writes that the other lacked.",
        change="Keep the election of a primary within one region",
    ),
    Outage(
        key="firewall_rule",
        due="2019-07-09T15:00Z",  # on a Tuesday
        happened=0,
        acknowledged=3,
        mailed=18,
        phoned=25,
        factor="Input without a bound",
        kind="technical",
        summary="A regular expression in a new rule used up the processors of every edge server.",
        change="Roll rules out in stages, as software is",
    ),
    Outage(
        key="latent_fault",
        due="2021-06-15T15:00Z",  # on a Tuesday
        happened=1,
        acknowledged=1,
        mailed=11,
        phoned=30,
        factor="A fault that slept for weeks",
        kind="technical",
        summary="A valid setting of one customer woke a fault that had been deployed weeks before.",
        change="Find out why the tests did not meet the fault",
    ),
    Outage(
        key="backbone",
        due="2021-10-11T15:00Z",  # on a Monday at 23:20 in Berlin
        happened=0,
        acknowledged=10,
        mailed=58,
        phoned=90,
        factor="Help that needs what is broken",
        kind="technical",
        summary="Maintenance withdrew all routes; the tools to put them back needed those routes.",
        change="Reach every site by a way of its own",
    ),
    Outage(
        key="content_update",
        due="2024-08-06T15:00Z",  # on Tuesday the 30th at 02:00 in Berlin
        happened=0,
        acknowledged=20,
        mailed=55,
        phoned=56,
        factor="Input without a bound",
        kind="technical",
        summary="An update of content read past the end of its input on hosts all over the world.",
        change="Give content updates the stages that software has",
        resolved="2024-07-30T00:00Z",
    ),
    Outage(
        key="blank_policy",
        due="2025-06-20T15:00Z",  # on a Friday at 03:18 in Berlin
        happened=6,
        acknowledged=2,
        mailed=50,
        phoned=120,
        factor="No switch to turn a feature off",
        kind="process",
        summary="Blank fields in a policy met code without a check for them, in every region at once.",
        change="Ship nothing to all regions at once that has no switch",
    ),
    Outage(
        key="dns_race",
        due="2025-10-27T16:00Z",  # on a Monday at 23:20 in Berlin; the clocks go back before it is due
        happened=0,
        acknowledged=12,
        mailed=59,
        phoned=200,
        factor="Two who write without a lock",
        kind="technical",
        summary="Two runs of an automation raced, and the record of a region was left empty.",
        change="Refuse a plan that is older than the one in force",
    ),
    Outage(
        key="feature_file",
        due="2025-11-25T16:00Z",  # on a Tuesday
        happened=15,
        acknowledged=8,
        mailed=28,
        phoned=30,
        factor="Input without a bound",
        kind="technical",
        summary="A file of features was twice as long as the proxies had room for.",
        change="Check files of our own as if a stranger had sent them",
    ),
)
BACKBONE = next(outage for outage in OUTAGES if outage.key == "backbone")
