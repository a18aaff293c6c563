"""What people may decide about a stuck notice, as forms; each calls one verb of incidents/handling.py.

Whoever opens one of these pages has just been woken up: it says what will happen, what the mail server said, and what
is still owed and when.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from django import forms
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from agreements.models import Contact
from config import instants, times
from config.admin import Button, act_url
from config.forms import ActForm, Done, reason_field
from config.models import User
from incidents import acknowledgement, handling
from incidents.admin.deadline import DeadlineRow
from incidents.admin.verbs import at_field
from incidents.handling import Case
from incidents.models import Notice, Sending

ATTENTION = "admin:incidents_attention"  # the page of what needs a person
SHOWN_NUMBERS = 10


def evidence_field(help_text: Any) -> forms.CharField:
    return forms.CharField(
        label=_("Evidence"), max_length=2_000, widget=forms.Textarea(attrs={"rows": 3}), help_text=help_text
    )


def in_lines(facts: Sequence[tuple[str, str]]) -> SafeString:
    """(what is told, the telling) one below the other, above a form."""
    return format_html_join("\n", '<span class="fact"><strong>{}:</strong> {}</span>', facts)


class DecisionForm(ActForm):
    """One thing that a person may do with a stuck notice."""

    subject: Notice
    permission = "incidents.change_notice"

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.case = handling.case_of(self.subject)

    @classmethod
    def is_lawful(cls, subject: Notice) -> bool:
        return cls.suits(handling.case_of(subject))

    @classmethod
    def suits(cls, case: Case) -> bool:
        return case.is_stuck

    def effect(self) -> str:
        """What pressing the button does, in a sentence or two."""
        raise NotImplementedError

    def facts(self) -> list[tuple[str, str]]:
        """(what is told, the telling), the most important first."""
        return [
            (_now("What happens"), self.effect()),
            (_now("What became of it so far"), _so_far(self.subject)),
            (_now("What the client is still owed"), in_words(self.case, instants.now())),
        ]

    def explanation(self) -> str | Promise:
        return in_lines(self.facts())

    def done(self, message: str) -> Done:
        return Done(message, then=reverse(ATTENTION))


def _so_far(notice: Notice) -> str:
    """Its state and why, the server's own words, and when it was last tried."""
    said = [f"{notice.get_state_display()}. {notice.state_reason}".strip()]
    last = notice.attempts.first()
    if last is None:
        return f"{said[0]} {_now('It was never tried.')}"
    answer = {"answer": notice.server_answer or str(last), "at": times.for_reader(last.at)}
    said.append(_now("The mail server said: “%(answer)s”, last tried %(at)s.") % answer)
    return " ".join(said)


def in_words(case: Case, now: dt.datetime) -> str:
    """What is owed of it, when that is due, and how long that is from now or ago."""
    notice = case.notice
    if case.owed:
        return "; ".join(_owed(DeadlineRow(deadline, now)) for deadline in case.owed)
    if case.is_told:
        return _now("Nothing: the same message has reached %(client)s.") % {"client": notice.client}
    if notice.contact_id is None:
        return _now("Nothing: it goes to a colleague.")
    deadline = notice.deadline
    if deadline is not None and deadline.met_at is not None:
        met = {"what": deadline.get_obligation_display(), "at": times.for_reader(deadline.met_at)}
        return _now("Nothing: “%(what)s” was met %(at)s.") % met
    return _now("Nothing: no deadline is met by it.")


def _owed(row: DeadlineRow) -> str:
    deadline = row.deadline
    owed = {"what": row.what, "client": deadline.client, "left": row.time_left}
    if deadline.due_at is None:
        return _now("“%(what)s”, %(client)s, without a due time: %(left)s") % owed
    owed["due"] = times.for_reader(deadline.due_at)
    owed["there"] = times.in_zone(deadline.due_at, deadline.client.time_zone)
    return _now("“%(what)s”, %(client)s, due %(due)s (%(there)s for the client): %(left)s") % owed


class SendAgain(DecisionForm):
    slug = "send-again"
    label = _("Send again")
    reason = reason_field(help_text=_("Why it will arrive this time. Kept in the audit trail."))

    def effect(self) -> str:
        case, notice = self.case, self.subject
        to = {"address": notice.recipient_address, "recipient": notice.recipient_name, "new": case.new_address}
        if case.is_unreachable:
            return _now(
                "%(recipient)s is no longer a contact who can be mailed, so a worker will cancel it instead of "
                "sending it. Tell the client by other means."
            ) % (to)
        if case.is_pointless:
            return _now("What it was made for is done, so a worker will cancel it instead of sending it. Set it aside.")
        said = [_now("The same message goes to %(address)s once more, with the same Message-ID.") % to]
        if case.new_address:
            said.append(
                _now(
                    "The contact is mailed at %(new)s by now, but this message still goes to the old address, as it "
                    "was frozen: tell them by other means, or send a new notice from the incident’s page."
                )
                % to
            )
        if case.may_have_arrived:
            said.append(_now("It may have arrived before; then the recipient gets a second copy."))
        if Sending.objects.filter(is_held=True).exists():
            said.append(_now("Sending is held: it waits until that is released."))
        return " ".join(said)

    def act(self, *, now: dt.datetime) -> Done:
        handling.send_again(self.subject, by=self.by, now=now, **self.cleaned_data)
        return self.done(_now("“%(notice)s” is in the outbox again.") % {"notice": self.subject})


class ItArrived(DecisionForm):
    slug = "it-arrived"
    label = _("It arrived")
    evidence = evidence_field(_("How you know, for example “Ms Reyes read it to me on the phone, +1 555 0100”."))
    reason = reason_field(help_text=_("Why you looked into it. Kept in the audit trail."))

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if read_at := self.case.acknowledged_at:
            proof = _now("The client acknowledged it by the link in the mail, %(at)s.")
            self.initial["evidence"] = proof % {"at": times.for_reader(read_at)}

    @classmethod
    def suits(cls, case: Case) -> bool:
        return case.may_have_arrived

    def effect(self) -> str:
        at = self.case.doubtful_at
        if at is None:
            return _now("Every try was refused before the message was transmitted, so it cannot have arrived.")
        if not self.case.owed:
            return _now("It is not sent again. Nothing is met by it.")
        counts = {"what": self.case.owed[0].get_obligation_display(), "at": times.for_reader(at)}
        said = _now("It is not sent again. “%(what)s” counts as met at %(at)s, its last try with an unknown outcome")
        due_at = self.case.owed[0].due_at
        if due_at is None:
            return said % counts + "."
        span = {"span": times.duration(abs(due_at - at))}
        early, late = _now(", %(span)s before it was due."), _now(", %(span)s after it was due.")
        return said % counts + (early if at <= due_at else late) % span

    def act(self, *, now: dt.datetime) -> Done:
        handling.it_arrived(self.subject, by=self.by, now=now, **self.cleaned_data)
        return self.done(_now("Recorded that “%(notice)s” arrived.") % {"notice": self.subject})


class ToldOtherwise(DecisionForm):
    slug = "told-otherwise"
    label = _("Told by other means")
    channel = forms.ChoiceField(label=_("By what"), choices=handling.Channel.choices)
    at = at_field(_("When they were told"))
    evidence = evidence_field(
        _(
            "How they were told and who took it, for example “+1 555 0100, spoke to Ms Reyes”. It stands in the "
            "evidence for this client."
        )
    )
    reason = reason_field(help_text=_("Why it was not mailed. Kept in the audit trail."))

    @classmethod
    def suits(cls, case: Case) -> bool:
        return case.can_be_told_otherwise

    def effect(self) -> str:
        if not self.case.owed:
            return _now("The client waits for nothing more of this.")
        owed = {"what": self.case.owed[0].get_obligation_display(), "client": self.subject.client}
        said = [
            _now("“%(what)s” counts as met for %(client)s at the time you enter. This message stays unsent.") % owed
        ]
        if siblings := list(handling.siblings(self.subject).order_by("pk")):
            listed = ", ".join(f"{row} <{row.recipient_address}> ({row.get_state_display()})" for row in siblings)
            said.append(_now("Handled with it, as one telling serves them all: %(listed)s.") % {"listed": listed})
        return " ".join(said)

    def facts(self) -> list[tuple[str, str]]:
        people = Contact.objects.filter(client=self.subject.client_id).exclude(phone="").order_by("position", "pk")
        numbers = "; ".join(f"{contact.name}, {contact.phone}" for contact in people[:SHOWN_NUMBERS])
        unknown = _now("No contact of this client has a telephone number here.")
        return [*super().facts(), (_now("Whom to call"), numbers or unknown)]

    def act(self, *, now: dt.datetime) -> Done:
        handled = handling.told_otherwise(self.subject, by=self.by, now=now, **self.cleaned_data)
        count = ngettext("%d notice is handled.", "%d notices are handled.", len(handled)) % len(handled)
        told = _now("Recorded that %(client)s was told.") % {"client": self.subject.client}
        return self.done(f"{told} {count}")


class SetAside(DecisionForm):
    slug = "set-aside"
    label = _("Set aside")
    reason = reason_field(help_text=_("Why it need not arrive. Kept in the audit trail."))

    @classmethod
    def suits(cls, case: Case) -> bool:
        return case.can_be_set_aside

    def effect(self) -> str:
        return _now("It stays unsent for good and needs nobody any more. Nothing is met by it.")

    def act(self, *, now: dt.datetime) -> Done:
        handling.set_aside(self.subject, by=self.by, now=now, **self.cleaned_data)
        return self.done(_now("“%(notice)s” is set aside.") % {"notice": self.subject})


class RevokeLink(ActForm):
    slug = "revoke-link"
    label = _("Revoke the client’s link")
    permission = "incidents.change_notice"
    subject: Notice
    reason = reason_field(help_text=_("The client may ask. Kept in the audit trail."))

    @classmethod
    def is_lawful(cls, subject: Notice) -> bool:
        return subject.contact_id is not None and subject.link_revoked_at is None

    def explanation(self) -> str | Promise:
        return _now(
            "The link in the mail to %(address)s stops working for good: whoever holds it can no longer read the "
            "notice there nor acknowledge it. An acknowledgement that was recorded stays. No mail is sent."
        ) % {"address": self.subject.recipient_address}

    def act(self, *, now: dt.datetime) -> Done:
        acknowledgement.revoke(self.subject, by=self.by, now=now, **self.cleaned_data)
        return Done(_now("The link of “%(notice)s” is revoked.") % {"notice": self.subject})


#: What is decided about a stuck notice, in the order of the buttons.
DECISIONS: Sequence[type[DecisionForm]] = (SendAgain, ItArrived, ToldOtherwise, SetAside)


def buttons_for(case: Case, by: User) -> list[Button]:
    """The decisions that are lawful now and that this person may take."""
    return [
        Button(decision.label, act_url(case.notice, decision.slug), decision.slug)
        for decision in DECISIONS
        if decision.suits(case) and by.has_perm(decision.permission)
    ]
