"""The page of what needs a human: what stops all mail, whom no mail reached, and what is owed to whom meanwhile."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now

from agreements.models import Obligation
from config import instants, scope
from config.admin import READING_METHODS, Button, act_url, list_of
from config.models import User
from incidents import handling
from incidents.admin import badges
from incidents.admin.deadline import DeadlineRow, readable
from incidents.admin.decisions import buttons_for, in_words
from incidents.admin.sending import Release, waiting_in_words, what_to_do
from incidents.admin.verbs import RecordTold
from incidents.handling import Case
from incidents.models import Deadline, Notice, Sending
from incidents.models.notice import NoticeQuerySet

SHOWN = 50  # of each kind
RECENT = dt.timedelta(hours=24)  # how long a plain fallback stays on the page


# ── what is shown ───────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class NoticeRow:
    """One notice, what is owed of it, and what may be done."""

    case: Case
    now: dt.datetime
    buttons: Sequence[Button]

    @property
    def notice(self) -> Notice:
        return self.case.notice

    @property
    def badge(self) -> SafeString:
        return badges.notice_state(self.notice.state)

    @property
    def owed(self) -> DeadlineRow | None:
        """The nearest of what is owed."""
        return DeadlineRow(self.case.owed[0], self.now) if self.case.owed else None

    @property
    def nothing_owed(self) -> str:
        return in_words(self.case, self.now)


@dataclass(frozen=True)
class Unreachable:
    """Something owed to a client whom nobody can mail."""

    row: DeadlineRow
    tell_url: str  # empty for whoever may not tell


@dataclass(frozen=True)
class Listed:
    """The first rows of a kind, how many there are, and where the others are."""

    rows: Sequence[Any]
    count: int
    url: str

    @property
    def more(self) -> int:
        return self.count - len(self.rows)


@dataclass(frozen=True)
class Attention:
    """Everything that the page shows, read in a fixed number of queries."""

    sending: Sending
    release_url: str  # empty for whoever may not release
    to_clients: Listed
    unreachable: Listed
    to_colleagues: Listed
    fallbacks: Listed

    @property
    def what_to_do(self) -> str:
        return what_to_do(self.sending)

    @property
    def waiting(self) -> str:
        return waiting_in_words()

    @property
    def is_calm(self) -> bool:
        lists = (self.to_clients, self.unreachable, self.to_colleagues, self.fallbacks)
        return not (self.sending.is_held or self.sending.fault or any(listed.count for listed in lists))


def attention(*, now: dt.datetime, by: User) -> Attention:
    sending = Sending.objects.filter(pk=Sending.THE_ONE).first() or Sending()
    stuck = scope.visible(Notice.objects.needing_a_person(), by)
    counts = stuck.order_by().aggregate(all=Count("pk"), clients=Count("pk", filter=Q(contact__isnull=False)))
    to_clients = _first(handling.owed_first(stuck.filter(contact__isnull=False)))
    to_colleagues = _first(stuck.filter(contact__isnull=True).order_by("-made_at", "-pk"))
    fallbacks = scope.visible(Notice.objects.all(), by).filter(is_fallback=True, accepted_at__gt=now - RECENT)
    fallbacks = fallbacks.order_by("-accepted_at", "-pk")
    cases = handling.cases([*to_clients, *to_colleagues])
    rows = [NoticeRow(case, now, buttons_for(case, by)) for case in cases]
    return Attention(
        sending=sending,
        release_url=act_url(sending, Release.slug) if by.has_perm(Release.permission) else "",
        to_clients=Listed(rows[: len(to_clients)], counts["clients"], _notices(state="stuck", to="clients")),
        unreachable=_unreachable(now, by),
        to_colleagues=Listed(
            rows[len(to_clients) :], counts["all"] - counts["clients"], _notices(state="stuck", to="colleagues")
        ),
        fallbacks=Listed(
            [NoticeRow(Case(notice, [], True, None), now, []) for notice in _first(fallbacks)],
            fallbacks.count(),
            _notices(is_fallback="yes"),
        ),
    )


def _first(notices: NoticeQuerySet) -> list[Notice]:
    return list(notices.select_related(*handling.READ_WITH).defer("text", "html")[:SHOWN])


def _notices(**filters: str) -> str:
    return f"{list_of(Notice)}?{urlencode(filters)}"


def _unreachable(now: dt.datetime, by: User) -> Listed:
    found = scope.visible(handling.owed_to_the_unreachable(), by)
    may_tell = by.has_perm(RecordTold.permission)
    rows = [
        Unreachable(DeadlineRow(deadline, now), _tell_url(deadline) if may_tell else "")
        for deadline in readable(found)[:SHOWN]
    ]
    return Listed(rows, found.count(), f"{list_of(Deadline)}?{urlencode({'obligation': Obligation.NOTIFY})}")


def _tell_url(deadline: Deadline) -> str:
    query = urlencode({"client": deadline.client_id, "obligation": deadline.obligation})
    return f"{act_url(deadline.incident, RecordTold.slug)}?{query}"


# ── the page ────────────────────────────────────────────────────────────────────────────────────────────────────────


def page(request: HttpRequest) -> HttpResponse:
    """For everybody who may see notices; buttons only for whoever may press them."""
    if request.method not in READING_METHODS:
        return HttpResponseNotAllowed(READING_METHODS)
    if not request.user.has_perm("incidents.view_notice"):
        raise PermissionDenied
    context = {
        **admin.site.each_context(request),
        "opts": Notice._meta,
        "title": _now("What needs a person"),
        "attention": attention(now=instants.now(), by=request.user),  # type: ignore[arg-type]  # the site asks who it is
        "sending_url": list_of(Sending),
        "list_url": list_of(Notice),
    }
    return TemplateResponse(request, "admin/incidents/notice/attention.html", context)
