"""What is left to do until an empty system is ready for its first incident: the guide on the board."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise

from config import counts
from config.models import User

#: In the address of a page that a step leads to; whoever saves there comes back to the board for the next step.
MARK = "first_steps"
#: Who sets a system up may do one of these.
SETTING_UP = ("agreements.add_serviceagreement", "config.add_user")


@dataclass(frozen=True)
class Step:
    """Done as soon as `done` finds a row. `address` is asked only when the step is shown to somebody who may do it."""

    title: str | Promise
    words: str | Promise
    done: QuerySet  # type: ignore[type-arg]  # of any model
    permission: str
    address: Callable[[User], str]


StepMaker = Callable[[], Step]


@dataclass(frozen=True)
class ShownStep:
    step: Step
    is_done: bool
    is_next: bool
    url: str  # empty where this person may not do it, or it is done


@dataclass(frozen=True)
class Guide:
    """`steps` is empty for those who do not set the system up: to them a sentence is enough."""

    steps: Sequence[ShownStep]

    @property
    def count_done(self) -> int:
        return sum(shown.is_done for shown in self.steps)


def guide(steps: Sequence[Step], request: HttpRequest) -> Guide | None:
    """What is done and what is next, in one query; None once everything is done."""
    done = counts.are_there([step.done for step in steps])
    if all(done):
        return None
    user: User = request.user  # type: ignore[assignment]  # the site lets nobody in who is not signed in
    if not any(map(user.has_perm, SETTING_UP)):
        return Guide(())
    first = done.index(False)
    found = enumerate(zip(steps, done, strict=True))
    return Guide([_shown(step, is_done, number == first, user) for number, (step, is_done) in found])


def _shown(step: Step, is_done: bool, is_next: bool, user: User) -> ShownStep:
    is_offered = not is_done and user.has_perm(step.permission)
    return ShownStep(step, is_done, is_next, step.address(user) if is_offered else "")


def prefilled(address: str, **values: object) -> str:
    """The address of a page with fields filled in, which leads back to the board; empty values are left out."""
    query = {name: value for name, value in values.items() if value not in ("", None)}
    return f"{address}?{urlencode({**query, MARK: 1}, doseq=True)}"
