"""What a verb will do to one incident, in sentences: read from its deadlines once, nothing is tried out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from django.utils.functional import cached_property
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import ngettext, ngettext_lazy

from agreements.models import Client, Commitment, Obligation, ServiceAgreement, Severity
from config import scope
from config.models import User
from incidents.deadlines import OWED_AGAIN
from incidents.models import Deadline, Incident, Notice
from incidents.models.deadline import read_terms
from incidents.models.notice import PLANNED_KINDS

NAMED = 5  # clients named for each obligation; of more it says how many

MET = ngettext_lazy("%(count)d deadline is met: %(what)s.", "%(count)d deadlines are met: %(what)s.", "count")
ENDED = ngettext_lazy(
    "%(count)d deadline ends as no longer owed: %(what)s.",
    "%(count)d deadlines end as no longer owed: %(what)s.",
    "count",
)
BEGUN = ngettext_lazy("%(count)d deadline begins: %(what)s.", "%(count)d deadlines begin: %(what)s.", "count")
OWED = ngettext_lazy("%(count)d deadline stays owed: %(what)s.", "%(count)d deadlines stay owed: %(what)s.", "count")
MOVED = ngettext_lazy(
    "%(count)d deadline is counted anew: %(what)s.", "%(count)d deadlines are counted anew: %(what)s.", "count"
)
WAITING = ngettext_lazy("%(count)d deadline waits for this: %(what)s.", "%(count)d deadlines wait: %(what)s.", "count")

#: Something owed to somebody: a deadline, or a commitment that would become one.
Owed = tuple[str, Client]


def facts(*sentences: str) -> SafeString:
    """Each on its own line; empty ones are left out."""
    return format_html_join("", '<span class="fact">{}</span>', ((sentence,) for sentence in sentences if sentence))


def said(sentence: object, owed: Collection[Owed]) -> str:
    """One of the sentences above about these; empty where there are none."""
    if not owed:
        return ""
    clients: dict[str, list[str]] = defaultdict(list)
    for what, client in owed:
        if client.name not in clients[what]:
            clients[what].append(client.name)
    what = "; ".join(f"{what} ({_few(names)})" for what, names in clients.items())
    return str(sentence % {"count": len(owed), "what": what})  # type: ignore[operator]  # a lazy text


def _few(names: Sequence[str]) -> str:
    shown, more = names[:NAMED], len(names) - NAMED
    and_more = [ngettext("%d more", "%d more", more) % more] if more > 0 else []
    return ", ".join([*shown, *and_more])


def owed_by(deadlines: Iterable[Deadline]) -> list[Owed]:
    return [(deadline.get_obligation_display(), deadline.client) for deadline in deadlines]


@dataclass(frozen=True)
class Foretold:
    """The deadlines of one incident, sorted by what the verbs do to them."""

    incident: Incident
    reader: User

    @cached_property
    def deadlines(self) -> list[Deadline]:
        found = list(
            scope.visible(self.incident.deadlines.all(), self.reader)
            .select_related("client")
            .defer("moments")
            .order_by("pk")
        )
        read_terms(deadline.terms_copy_id for deadline in found)
        return found

    @cached_property
    def open(self) -> list[Deadline]:
        return [deadline for deadline in self.deadlines if deadline.is_open]

    def owing(self, *obligations: Obligation) -> list[Deadline]:
        return [deadline for deadline in self.open if deadline.obligation in obligations]

    def begins_with(self, event: str, met: Collection[Deadline]) -> list[Deadline]:
        """Those that wait for this event, or for one of these to be met."""
        firsts = {deadline.pk for deadline in met}
        waiting = (deadline for deadline in self.open if deadline.started_at is None)
        return [d for d in waiting if d.start_event == event or d.follows_id in firsts]

    def by_meeting(self, event: str, *obligations: Obligation) -> list[str]:
        """What meeting these does, and what begins with that."""
        met = self.owing(*obligations)
        return [said(MET, owed_by(met)), said(BEGUN, owed_by(self.begins_with(event, met)))]

    def of(self, agreement: ServiceAgreement) -> list[Deadline]:
        return [deadline for deadline in self.open if deadline.agreement_id == agreement.pk]

    def unsent_to(self, agreement: ServiceAgreement) -> int:
        """Mails in the queue that excluding this agreement takes back."""
        unsent = Notice.objects.waiting().filter(incident=self.incident)
        others = self.incident.affected_agreements.included().exclude(agreement=agreement)
        if others.filter(agreement__client=agreement.client_id).exists():
            return unsent.filter(deadline__in=self.of(agreement), kind__in=PLANNED_KINDS).count()
        return unsent.filter(client=agreement.client_id).count()

    def owed_again(self) -> list[Deadline]:
        """What a reopening lets begin anew."""
        included = set(self.incident.affected_agreements.included().values_list("agreement", flat=True))
        latest = {deadline.commitment_id: deadline for deadline in self.deadlines if self._is_owed_again(deadline)}
        return [d for d in latest.values() if not d.is_open and d.agreement_id in included]

    def _is_owed_again(self, deadline: Deadline) -> bool:
        return deadline.obligation in OWED_AGAIN and deadline.severity == self.incident.severity

    def beginning_at(
        self, severities: Collection[str], agreements: Collection[int] | None = None
    ) -> dict[str, list[Owed]]:
        """What would begin at each of these severities under these agreements (default: all that are included)."""
        if agreements is None:
            agreements = self.incident.affected_agreements.included().values_list("agreement", flat=True)
        ended = {d.commitment_id: d.ended_at is not None for d in self.deadlines}  # the latest of each last
        promised = Commitment.objects.filter(agreement__in=agreements, severity__in=severities)
        found: dict[str, list[Owed]] = {severity: [] for severity in severities}
        for commitment in promised.select_related("agreement__client").order_by("pk"):
            is_update_too_late = commitment.obligation == Obligation.UPDATE and not self.incident.is_open
            if ended.get(commitment.pk, True) and not is_update_too_late:
                found[commitment.severity].append((commitment.get_obligation_display(), commitment.agreement.client))
        return found

    def by_reclassifying(self) -> list[str]:
        """One sentence for each severity that it does not have."""
        others = [severity for severity in Severity if severity != self.incident.severity]
        beginning = self.beginning_at(others)
        ending = said(ENDED, owed_by(self.open))
        lines = []
        for severity in others:
            what = said(BEGUN, beginning[severity]) or _now("Nothing begins: no agreement promises anything for it.")
            lines.append(_now("To %(severity)s: %(what)s") % {"severity": severity.label, "what": what})
        return [ending, *lines]
