"""Two people at once: what somebody had read when they acted, and what others have done meanwhile.

A page that acts carries a sealed *reading*: the latest row of each trail that tells of its subject, and a key. An act
that comes back on a subject which somebody has changed since is refused once, with what was changed. One that comes
back twice with the same words (a double click, a page sent again) is recognised by its key and done once.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from django.core import signing
from django.core.exceptions import ValidationError
from django.db.models import Max, Value
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from config import times

#: The name under which a page carries its reading.
FIELD = "as_read"
#: Changes that a refusal names; of more it says how many.
NAMED = 8


@dataclass(frozen=True)
class Reading:
    """The newest history row of each trail when a page was made, and the key of what it will do.

    `more` is one more number, for what leaves no history.
    """

    latest: tuple[int, ...]
    more: int
    key: uuid.UUID

    @classmethod
    def of(cls, *trails: Any, more: int = 0) -> Self:
        """As things stand now. A trail is a queryset of history rows."""
        first, *others = (_newest(number, trail) for number, trail in enumerate(trails))
        newest = dict(first.union(*others, all=True))  # one query for all
        return cls(tuple(newest.get(number) or 0 for number in range(len(trails))), more, uuid.uuid4())

    def sealed(self, about: str) -> str:
        """For a page: nobody can make one up, or use it for anything else than what it is `about`."""
        return signing.dumps([self.key.hex, self.more, *self.latest], salt=f"config.meanwhile {about}")

    @classmethod
    def unsealed(cls, sealed: str, about: str) -> Self:
        """Raises ValidationError for what we did not seal for this."""
        try:
            key, more, *latest = signing.loads(sealed, salt=f"config.meanwhile {about}")
        except signing.BadSignature as error:
            message = _("It cannot be told what this page had shown. Read it again, then press the button again.")
            raise Changed(message) from error
        return cls(tuple(latest), more, uuid.UUID(hex=key))

    def id_of(self, sent: Mapping[str, Any]) -> uuid.UUID:
        """The request id of doing this with these words: the same words from the same page are the same act."""
        lists: Any = getattr(sent, "lists", sent.items)()
        words = sorted((name, value) for name, value in lists if name not in (FIELD, "csrfmiddlewaretoken"))
        return uuid.uuid5(self.key, repr(words))


def _newest(number: int, trail: Any) -> Any:
    """(number, id of the newest row), without the one where the trail has none."""
    counted = trail.order_by().annotate(number=Value(number)).values("number")
    return counted.annotate(newest=Max("history_id")).values_list("number", "newest")


@dataclass(frozen=True)
class Change:
    """One thing that somebody did."""

    actor_name: str
    at: dt.datetime
    what: str
    reason: str = ""
    request_id: uuid.UUID | None = None

    def __str__(self) -> str:
        said = {"who": self.actor_name, "at": times.for_reader(self.at), "what": self.what, "reason": self.reason}
        if self.reason:
            return _("%(who)s, %(at)s: %(what)s Reason: %(reason)s") % said
        return _("%(who)s, %(at)s: %(what)s") % said


class Changed(ValidationError):
    """What was read is no longer so; nothing was done."""

    @classmethod
    def by(cls, changes: Sequence[Change]) -> Changed:
        """Says what was changed, the latest last."""
        said = [
            _(
                "Somebody has changed this since you opened the page. Nothing was done, and what you typed is still "
                "here. Read what changed; if yours is still right, press the button again."
            )
        ]
        if (earlier := len(changes) - NAMED) > 0:
            said.append(ngettext("%d earlier change", "%d earlier changes", earlier) % earlier)
        return cls([*said, *map(str, changes[-NAMED:])])
