"""The verbs of an incident as forms; each calls one function of incidents/lifecycle."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, cast
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count
from django.http import QueryDict
from django.utils.functional import Promise, cached_property
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, pgettext_lazy

from agreements.models import Client, Contact, Obligation, ServiceAgreement, StartEvent
from config import instants, scope, times
from config.admin import act_url, page_of
from config.fields import validate_prose
from config.forms import ActForm, Done, InstantField, of, reason_field
from config.meanwhile import Change, Reading
from config.models import User
from incidents import evidence, lifecycle, models
from incidents.admin import compose, foretold, trail
from incidents.admin.foretold import Foretold
from incidents.models import Deadline, Incident, MessageTemplate, Responder, TimelineEntry, reaches_beyond
from incidents.models.deadline import read_terms
from incidents.models.incident import OPEN_STATUSES, Status
from incidents.models.notice import NoticeKind
from incidents.placeholders import PLACEHOLDERS

#: In the order of their buttons. A floor above adds its own with `@verb`.
VERBS: list[type[VerbForm]] = []

NOT_CLOSED = (*OPEN_STATUSES, Status.RESOLVED)

Contacts = Mapping[int, int]  # client → how many contacts can be mailed


def verb(form_class: type[VerbForm]) -> type[VerbForm]:
    """Decorator: give the incident's page a button for this."""
    VERBS.append(form_class)
    return form_class


class VerbForm(ActForm):
    """One verb of an incident."""

    subject: Incident
    permission = "incidents.change_incident"
    lawful_in: ClassVar[Collection[str]] = OPEN_STATUSES
    #: Whether what others did since the page was opened may make it wrong; what only adds something does not mind.
    minds_changes: ClassVar[bool] = True
    #: Offered quietly, so that what is done every day is found at once.
    is_rare: ClassVar[bool] = False
    #: Whether it touches the clients that are chosen alone, or none; else it touches all that the incident concerns.
    is_for_some: ClassVar[bool] = False

    @cached_property
    def foretold(self) -> Foretold:
        return Foretold(self.subject, self.by)

    @classmethod
    def is_lawful(cls, subject: Incident) -> bool:
        return subject.status in cls.lawful_in and subject.imported_at is None

    @classmethod
    def is_in_scope(cls, subject: Incident, by: Any) -> bool:
        return cls.is_for_some or not reaches_beyond(subject, by)

    def reading(self) -> Reading | None:
        return Reading.of(*trail.trails(self.subject))

    def changes_since(self, reading: Reading) -> Sequence[Change]:
        return trail.changes_since(self.subject, reading, self.by) if self.minds_changes else ()

    def hold(self) -> None:
        list(Incident.objects.locked().filter(pk__in=self.held()).order_by("pk").values_list("pk"))

    def held(self) -> Collection[int]:
        """The incidents that the verb will lock, all at once and in one order, so that no two wait for each other."""
        return [self.subject.pk]

    def was_done(self, request_id: uuid.UUID) -> bool:
        return trail.has(self.subject, request_id)


def at_field(label: Any = None) -> InstantField:
    return InstantField(label=label or _("When it happened"), required=False, help_text=_("Leave empty for now."))


def message_field(**options: Any) -> forms.CharField:
    options.setdefault("validators", [validate_prose])
    return forms.CharField(label=_("Message"), max_length=5_000, widget=forms.Textarea(attrs={"rows": 10}), **options)


# ── respond ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@verb
class Acknowledge(VerbForm):
    slug = "acknowledge"
    label = pgettext_lazy("verb", "Acknowledge")
    lawful_in = (Status.DECLARED,)
    at = at_field()
    reason = reason_field(required=False)

    def explanation(self) -> str | Promise:
        return foretold.facts(
            _now("Says that somebody is working on it. Nobody is mailed."),
            *self.foretold.by_meeting(StartEvent.ACKNOWLEDGED, Obligation.ACKNOWLEDGE),
        )

    def act(self, *, now: dt.datetime) -> Done:
        incident = lifecycle.acknowledge(self.subject, by=self.by, now=now, **self.cleaned_data)
        return Done(_now("%(ref)s is acknowledged.") % {"ref": incident.reference})


class ClientsField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """Affected clients, each with how many people there can be mailed."""

    contacts: Contacts = {}

    def label_from_instance(self, obj: Any) -> str:
        count = self.contacts.get(obj.pk, 0)
        if not count:
            return _now("%(client)s (nobody there can be mailed: operators will be alarmed)") % {"client": obj}
        return _now("%(client)s (%(contacts)s)") % {"client": obj, "contacts": _contacts(count)}


def _contacts(count: int) -> str:
    return ngettext("%d contact", "%d contacts", count) % count


def affected_clients(incident: Incident, by: User) -> list[Client]:
    """Those whom this person sees."""
    seen = scope.clients_of(by)
    return [client for client in lifecycle.affected_clients(incident) if seen is None or client.pk in seen]


def usable_contacts(clients: Collection[Client]) -> Contacts:
    """How many contacts of each client can be mailed."""
    usable = Contact.objects.usable().filter(client__in=clients).order_by()
    return dict(usable.values("client").annotate(n=Count("pk")).values_list("client", "n"))


class TellForm(VerbForm):
    """Mails to clients: shows how each will read it, and sends a test to oneself, before it is sent."""

    lawful_in = NOT_CLOSED
    is_for_some = True
    presets = ("clients",)
    page = "admin/incidents/incident/compose.html"
    obligation: ClassVar[Obligation]
    kind: ClassVar[NoticeKind]
    placeholders = PLACEHOLDERS

    template = forms.ChoiceField(label=_("Start from"), required=False)
    clients = ClientsField(
        Client.objects.none(), label=_("Clients"), widget=forms.CheckboxSelectMultiple, required=False
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.affected = affected_clients(self.subject, self.by)
        self.people: dict[int, list[Contact]] = {client.pk: [] for client in self.affected}
        for contact in Contact.objects.usable().filter(client__in=self.people):
            self.people[contact.client_id].append(contact)
        field: Any = self.fields["clients"]
        field.contacts = {client: len(people) for client, people in self.people.items()}
        field.queryset = Client.objects.filter(pk__in=self.people)
        self.preset = self._preset(list(self.people))
        self.initial["clients"] = self.preset
        self.templates = {str(each.pk): each for each in MessageTemplate.objects.offered_for(self.kind)}
        choose: Any = self.fields["template"]
        choose.choices = compose.choices(self.templates.values())
        if "use" in self.data and self.started_from is not None:
            text = compose.start_from(self.started_from, self.typed, self.templates.values())
            self.data = cast("QueryDict", self.data).copy()
            self.data["message"] = text

    def _preset(self, affected: list[int]) -> list[int]:
        """Whom the link named, else who is waiting for this, else all."""
        named = str(self.initial.get("clients", ""))
        if named.isdecimal() and int(named) in affected:
            return [int(named)]
        waiting = self.subject.deadlines.open().filter(obligation=self.obligation).values_list("client", flat=True)
        return sorted(set(waiting)) or affected

    def reading(self) -> Reading | None:
        return Reading.of(*trail.trails(self.subject), more=trail.newest_holding_notice(self.subject))

    def changes_since(self, reading: Reading) -> Sequence[Change]:
        """A notice that went out by itself matters to whoever is about to send another."""
        changes = list(super().changes_since(reading))
        if self.obligation == Obligation.NOTIFY:
            changes += trail.holding_notices_since(self.subject, reading.more, self.by)
        return changes

    def explanation(self) -> str | Promise:
        if not self.preset:
            return _now("%(ref)s falls under no agreement, so there is no client to tell.") % {
                "ref": self.subject.reference
            }
        people = sum(len(self.people[client.pk]) for client in self.chosen)
        of_clients = ngettext("of %d client", "of %d clients", len(self.chosen)) % len(self.chosen)
        return _now("%(contacts)s %(of_clients)s will be mailed, as chosen below.") % {
            "contacts": _contacts(people),
            "of_clients": of_clients,
        }

    # what the page shows

    @property
    def typed(self) -> str:
        """The message as it would be sent, whether or not it may be."""
        return str(self["message"].value() or "").strip()

    @property
    def started_from(self) -> MessageTemplate | None:
        return self.templates.get(str(self["template"].value()))

    @property
    def texts(self) -> dict[str, str]:
        """For the page's script, by the value of the choice."""
        return {key: template.text for key, template in self.templates.items()}

    @cached_property
    def chosen(self) -> list[Client]:
        ticked = {str(value) for value in self["clients"].value() or ()}
        return [client for client in self.affected if str(client.pk) in ticked]

    @property
    def readers(self) -> list[tuple[Any, Client, list[Contact]]]:
        """Each affected client with its box and those who will get it there."""
        boxes = self["clients"].subwidgets
        clients = [box.data["value"].instance for box in boxes]
        return [(box, client, self.people[client.pk]) for box, client in zip(boxes, clients, strict=True)]

    @cached_property
    def shown(self) -> compose.Preview | None:
        """How the client whose button was pressed last will read it, else the first that is chosen."""
        pressed = self.data.get("preview") or self.data.get("test") or self.data.get("shown")
        client = next((client for client in self.chosen if str(client.pk) == pressed), next(iter(self.chosen), None))
        if client is None:
            return None
        return compose.preview(self.subject, self.kind, client, now=instants.now(), message=self.typed)

    @property
    def other_language(self) -> bool:
        """Whether the shown client reads another language than that of the text which was started from."""
        template, shown = self.started_from, self.shown
        return bool(template and shown and template.language != shown.client.language)

    # what it does

    def is_valid(self) -> bool:
        """Not where only a preview or a text was asked for."""
        return super().is_valid() and not {"preview", "use"} & set(self.data)

    def do(self, *, now: dt.datetime) -> Done:
        if "test" not in self.data:
            return super().do(now=now)
        client = next((client for client in self.affected if str(client.pk) == self.data["test"]), None)
        if client is None:
            raise ValidationError(_now("Choose whose mail to test."))
        test = lifecycle.send_test(self.subject, self.kind, client, by=self.by, now=now, message=self.typed)
        said = _now("A test is on its way to %(address)s. No client was told anything.")
        return Done(said % {"address": test.recipient_address}, stays=True)

    def clean_clients(self) -> list[Client]:
        chosen = list(self.cleaned_data["clients"])
        if not chosen and self.preset:
            raise forms.ValidationError(_("Choose at least one client."))
        return chosen

    def done(self, count: int) -> Done:
        if not count:
            return Done(
                _now("Nobody could be mailed. Tell the client by other means and record it."), level=messages.WARNING
            )
        return Done(ngettext("%d mail is in the outbox.", "%d mails are in the outbox.", count) % count)


@verb
class Notify(TellForm):
    slug = "notify"
    label = _("Send client notice")
    obligation = Obligation.NOTIFY
    kind = NoticeKind.CLIENT_NOTICE
    message = message_field(
        required=False,
        help_text=_("Clients read it. Leave it empty to send what clients may be told, as the incident says."),
    )

    def act(self, *, now: dt.datetime) -> Done:
        told = {"clients": self.cleaned_data["clients"], "message": self.cleaned_data["message"]}
        return self.done(lifecycle.notify_client(self.subject, by=self.by, now=now, **told))


@verb
class PostUpdate(TellForm):
    slug = "update"
    label = _("Post update")
    obligation = Obligation.UPDATE
    kind = NoticeKind.UPDATE
    message = message_field(
        help_text=_("What is new, what is done about it, when the next update comes. Clients read it.")
    )

    def act(self, *, now: dt.datetime) -> Done:
        told = {"clients": self.cleaned_data["clients"], "message": self.cleaned_data["message"]}
        return self.done(lifecycle.post_update(self.subject, by=self.by, now=now, **told))


@verb
class RecordTold(VerbForm):
    slug = "tell"
    label = _("Record told by other means")
    lawful_in = (*NOT_CLOSED, Status.CLOSED)
    is_for_some = True
    presets = ("client", "obligation")

    client = forms.ModelChoiceField(Client.objects.none(), label=_("Client"))
    obligation = forms.ChoiceField(
        label=_("What they were told"),
        choices=[(o.value, o.label) for o in (Obligation.NOTIFY, Obligation.UPDATE, Obligation.REPORT)],
    )
    at = at_field()
    evidence = forms.CharField(
        label=_("Evidence"),
        max_length=2_000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_(
            "How they were told and who took it, for example “called +1 555 0100, spoke to Ms Reyes”. It stands in the "
            "evidence for this client."
        ),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        affected = [client.pk for client in affected_clients(self.subject, self.by)]
        field: Any = self.fields["client"]
        field.queryset = Client.objects.filter(pk__in=affected)
        if len(affected) == 1:
            self.initial.setdefault("client", affected[0])

    @classmethod
    def is_lawful(cls, subject: Incident) -> bool:
        return any(deadline.is_open and deadline.obligation in evidence.TOLD for deadline in subject.deadlines.all())

    def explanation(self) -> str | Promise:
        waiting = self.foretold.owing(*evidence.TOLD)
        return foretold.facts(
            _now("Meets what the chosen client is waiting for, as of the time you enter. No mail is sent."),
            foretold.said(foretold.WAITING, foretold.owed_by(waiting)),
        )

    def act(self, *, now: dt.datetime) -> Done:
        told = self.cleaned_data
        lifecycle.record_told(
            self.subject,
            told["client"],
            told["obligation"],
            by=self.by,
            now=now,
            at=told["at"],
            evidence=told["evidence"],
        )
        return Done(_now("Recorded that %(client)s was told.") % {"client": told["client"]})


# ── mend and finish ─────────────────────────────────────────────────────────────────────────────────────────────────


@verb
class Mitigate(VerbForm):
    slug = "mitigate"
    label = pgettext_lazy("verb", "Mitigate")
    lawful_in = (Status.DECLARED, Status.ACKNOWLEDGED)
    at = at_field()
    reason = reason_field(required=False)

    def explanation(self) -> str | Promise:
        return foretold.facts(
            _now("The effect on clients has ended although the cause may remain. Nobody is mailed."),
            *self.foretold.by_meeting("", Obligation.ACKNOWLEDGE, Obligation.MITIGATE),
            foretold.said(foretold.OWED, foretold.owed_by(self.foretold.owing(Obligation.RESOLVE))),
        )

    def act(self, *, now: dt.datetime) -> Done:
        incident = lifecycle.mitigate(self.subject, by=self.by, now=now, **self.cleaned_data)
        return Done(_now("%(ref)s is mitigated.") % {"ref": incident.reference})


@verb
class Resolve(VerbForm):
    slug = "resolve"
    label = pgettext_lazy("verb", "Resolve")
    at = at_field()
    reason = reason_field(required=False)

    def explanation(self) -> str | Promise:
        done = (Obligation.ACKNOWLEDGE, Obligation.MITIGATE, Obligation.RESOLVE)
        return foretold.facts(
            _now("It works again. Nobody is mailed."),
            *self.foretold.by_meeting(StartEvent.RESOLVED, *done),
            foretold.said(foretold.ENDED, foretold.owed_by(self.foretold.owing(Obligation.UPDATE))),
            foretold.said(foretold.OWED, foretold.owed_by(self.foretold.owing(Obligation.NOTIFY))),
        )

    def act(self, *, now: dt.datetime) -> Done:
        incident = lifecycle.resolve(self.subject, by=self.by, now=now, **self.cleaned_data)
        return Done(_now("%(ref)s is resolved.") % {"ref": incident.reference})


@verb
class Reopen(VerbForm):
    slug = "reopen"
    label = _("Reopen")
    lawful_in = (Status.RESOLVED, Status.CLOSED)
    at = at_field(_("When it came back"))
    reason = reason_field(help_text=_("What came back. Kept in the audit trail."))

    def explanation(self) -> str | Promise:
        return foretold.facts(
            _now("Mitigation, resolution and updates are owed anew. Notices that were given stay given."),
            foretold.said(foretold.BEGUN, foretold.owed_by(self.foretold.owed_again())),
        )

    def act(self, *, now: dt.datetime) -> Done:
        incident = lifecycle.reopen(self.subject, by=self.by, now=now, **self.cleaned_data)
        return Done(_now("%(ref)s is open again.") % {"ref": incident.reference})


@verb
class Close(VerbForm):
    slug = "close"
    label = pgettext_lazy("verb", "Close")
    lawful_in = (Status.RESOLVED,)
    reason = reason_field(required=False)

    def explanation(self) -> str | Promise:
        waiting = self.foretold.owing(Obligation.NOTIFY)
        if waiting:
            names = ", ".join(sorted({deadline.client.name for deadline in waiting}))
            return _now("Not yet notified: %(names)s. Send the notice or record how they were told, then close.") % {
                "names": names
            }
        return foretold.facts(
            _now("Nothing more to do. It can be reopened if it comes back."),
            foretold.said(foretold.OWED, foretold.owed_by(self.foretold.open)),
        )

    def act(self, *, now: dt.datetime) -> Done:
        incident = lifecycle.close(self.subject, by=self.by, now=now, **self.cleaned_data)
        return Done(_now("%(ref)s is closed.") % {"ref": incident.reference})


# ── stop the clock, and put two into one ────────────────────────────────────────────────────────────────────────────


def _open_pause(incident: Incident) -> models.Pause | None:
    return next((pause for pause in incident.pauses.all() if pause.ends_at is None), None)


@verb
class Pause(VerbForm):
    slug = "pause"
    label = _("Pause")
    is_rare = True
    at = at_field(_("Since when"))
    reason = reason_field(help_text=_("What the clock waits for. Kept in the audit trail."))

    @classmethod
    def is_lawful(cls, subject: Incident) -> bool:
        if not super().is_lawful(subject) or _open_pause(subject):
            return False
        return bool(cls._pausable(subject))

    @staticmethod
    def _pausable(incident: Incident) -> list[Deadline]:
        """What the clauses let stop: without any, a pause would change nothing."""
        owed = [deadline for deadline in incident.deadlines.all() if deadline.is_open]
        read_terms(deadline.terms_copy_id for deadline in owed)
        return [deadline for deadline in owed if deadline.terms.is_pausable]

    def explanation(self) -> str | Promise:
        pausable = [deadline for deadline in self.foretold.open if deadline.terms.is_pausable]
        owed = ", ".join(f"{d.get_obligation_display()} ({d.client})" for d in pausable)
        return _now("The clock stops for: %(owed)s. Everything else runs on.") % {"owed": owed}

    def act(self, *, now: dt.datetime) -> Done:
        lifecycle.pause(self.subject, by=self.by, now=now, **self.cleaned_data)
        return Done(_now("%(ref)s is paused.") % {"ref": self.subject.reference})


@verb
class Resume(VerbForm):
    slug = "resume"
    label = _("Resume")
    at = at_field(_("Since when"))
    reason = reason_field(help_text=_("Why the clock runs again. Kept in the audit trail."))

    @classmethod
    def is_lawful(cls, subject: Incident) -> bool:
        return super().is_lawful(subject) and _open_pause(subject) is not None

    def explanation(self) -> str | Promise:
        begun = _open_pause(self.subject)
        since = times.for_reader(begun.begins_at) if begun else ""
        paused = [deadline for deadline in self.foretold.open if deadline.paused_at]
        return foretold.facts(
            _now("Paused since %(since)s. Due times move by the counting time that was lost.") % {"since": since},
            foretold.said(foretold.MOVED, foretold.owed_by(paused)),
        )

    def act(self, *, now: dt.datetime) -> Done:
        lifecycle.resume(self.subject, by=self.by, now=now, **self.cleaned_data)
        return Done(_now("%(ref)s runs again.") % {"ref": self.subject.reference})


@verb
class Merge(VerbForm):
    slug = "merge"
    label = _("Merge")
    is_rare = True
    presets = ("into", "reason")
    into = forms.ModelChoiceField(Incident.objects.none(), label=_("Into which incident"))
    reason = reason_field(help_text=_("Why these are one incident. Kept in the audit trail."))
    is_previewed = forms.BooleanField(
        label=_("Do it as shown"), required=False, help_text=_("Left empty, you are shown first what would happen.")
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        field: Any = self.fields["into"]
        field.queryset = scope.visible(Incident.objects.open(), self.by).exclude(pk=self.subject.pk)

    @classmethod
    def is_lawful(cls, subject: Incident) -> bool:
        return super().is_lawful(subject) and Incident.objects.open().exclude(pk=subject.pk).exists()

    def explanation(self) -> str | Promise:
        """What merging does, or, once an incident is chosen, what it would do here."""
        chosen = str(self.initial.get("into", ""))
        into = scope.visible(Incident.objects.open(), self.by).filter(pk=chosen).first() if chosen.isdecimal() else None
        if into is None or into == self.subject:
            return _(
                "This incident becomes part of the other: its deadlines end, the other keeps the earliest start and "
                "owes this one's clients what they have not yet had."
            )
        try:
            return self._preview(into, instants.now())
        except ValidationError as refusal:
            return " ".join(refusal.messages)

    def held(self) -> Collection[int]:
        return [self.subject.pk, self.cleaned_data["into"].pk]

    def act(self, *, now: dt.datetime) -> Done:
        into, reason = self.cleaned_data["into"], self.cleaned_data["reason"]
        if not self.cleaned_data["is_previewed"]:
            lifecycle.preview_merge(self.subject, into, by=self.by, now=now)  # a refusal is shown on the form
            page = f"{act_url(self.subject, self.slug)}?{urlencode({'into': into.pk, 'reason': reason})}"
            said = _now("Nothing has happened yet. Read what would, tick “Do it as shown” and press the button again.")
            return Done(said, then=page, level=messages.INFO)
        master = lifecycle.merge(self.subject, into, by=self.by, now=now, reason=reason)
        merged = {"ref": self.subject.reference, "master": master.reference}
        return Done(_now("%(ref)s is merged into %(master)s.") % merged, then=page_of(master))

    def _preview(self, into: Incident, now: dt.datetime) -> str:
        preview = lifecycle.preview_merge(self.subject, into, by=self.by, now=now)
        detected = {"ref": into.reference, "at": times.for_reader(preview.detected_at)}
        said = [_now("%(ref)s would count as detected at %(at)s.") % detected]
        if preview.ending:
            ending = "; ".join(_owed(deadline) for deadline in preview.ending)
            said.append(_now("Ends here: %(what)s.") % {"what": ending})
        if preview.beginning:
            beginning = "; ".join(_owed(deadline, with_due=True) for deadline in preview.beginning)
            said.append(_now("Begins there: %(what)s.") % {"what": beginning})
        return " ".join(said)


def _owed(deadline: Deadline, *, with_due: bool = False) -> str:
    words = f"{deadline.commitment.name_in_words()}, {deadline.client}"
    if not with_due or deadline.due_at is None:
        return words
    when = times.for_reader(deadline.met_at or deadline.due_at)
    return (
        _now("%(what)s, met %(at)s") % {"what": words, "at": when}
        if deadline.met_at
        else _now("%(what)s, due %(at)s") % {"what": words, "at": when}
    )


# ── put right ───────────────────────────────────────────────────────────────────────────────────────────────────────


@verb
class Reclassify(VerbForm):
    slug = "reclassify"
    label = _("Reclassify")
    severity = of(Incident, "severity")
    reason = reason_field(help_text=_("Clients and auditors will ask."))

    def explanation(self) -> str | Promise:
        now = _now(
            "The severity is %(severity)s. Deadlines of another one are counted from the original events and may be "
            "overdue at once."
        )
        lines = self.foretold.by_reclassifying()
        return foretold.facts(now % {"severity": self.subject.get_severity_display()}, *lines)

    def act(self, *, now: dt.datetime) -> Done:
        incident = lifecycle.reclassify(self.subject, by=self.by, now=now, **self.cleaned_data)
        change = {"ref": incident.reference, "severity": incident.get_severity_display()}
        return Done(_now("%(ref)s is now %(severity)s.") % change)


@verb
class CorrectTimes(VerbForm):
    slug = "correct-times"
    label = _("Correct times")
    is_rare = True
    lawful_in = (*NOT_CLOSED, Status.CLOSED)
    # With what was shown, so that a time which is left alone is not set back to what it was when the page was opened.
    detected_at = of(Incident, "detected_at", show_hidden_initial=True)
    aware_at = of(Incident, "aware_at", show_hidden_initial=True)
    occurred_at = of(Incident, "occurred_at", show_hidden_initial=True)
    reason = reason_field(help_text=_("Stays visible to auditors."))

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name in ("detected_at", "aware_at", "occurred_at"):
            self.initial[name] = getattr(self.subject, name)

    def explanation(self) -> str | Promise:
        corrected = (StartEvent.DETECTED, StartEvent.AWARE, StartEvent.OCCURRED)
        moved = [deadline for deadline in self.foretold.deadlines if deadline.start_event in corrected]
        return foretold.facts(
            _now("A time that is left empty stays as it was. Agreements are looked for anew if the detection moves."),
            foretold.said(foretold.MOVED, foretold.owed_by(moved)),
        )

    def act(self, *, now: dt.datetime) -> Done:
        corrected = {name: value for name, value in self.cleaned_data.items() if name in self.changed_data}
        lifecycle.correct_times(self.subject, by=self.by, now=now, **{"reason": "", **corrected})
        return Done(_now("The times of %(ref)s are corrected.") % {"ref": self.subject.reference})


@verb
class Assign(VerbForm):
    slug = "assign"
    label = _("Assign responder")
    is_for_some = True
    minds_changes = False
    is_rare = True
    user = forms.ModelChoiceField(User.objects.to_choose(), label=_("Colleague"))
    role = of(Responder, "role")

    def explanation(self) -> str | Promise:
        owed = len(self.foretold.open)
        return ngettext(
            "Responders are warned before deadlines: %(count)d is open here.",
            "Responders are warned before deadlines: %(count)d are open here.",
            owed,
        ) % {"count": owed}

    def act(self, *, now: dt.datetime) -> Done:
        responder = lifecycle.assign(self.subject, by=self.by, now=now, **self.cleaned_data)
        return Done(_now("%(who)s is assigned.") % {"who": responder})


@verb
class Note(VerbForm):
    slug = "note"
    label = _("Add to timeline")
    is_for_some = True
    minds_changes = False
    is_rare = True
    lawful_in = (*NOT_CLOSED, Status.CLOSED)
    presets = ("text",)
    text = of(TimelineEntry, "text", widget=forms.Textarea(attrs={"rows": 3}))
    at = at_field()
    is_client_visible = of(TimelineEntry, "is_client_visible")

    def explanation(self) -> str | Promise:
        return _("Nobody is mailed.")

    def act(self, *, now: dt.datetime) -> Done:
        lifecycle.note(self.subject, by=self.by, now=now, **self.cleaned_data)
        return Done(_now("Added to the timeline."))


class AgreementForm(VerbForm):
    """Whether one of the agreements that were found owes anything here."""

    lawful_in = (*NOT_CLOSED, Status.CLOSED)
    is_rare = True
    is_for_some = True
    presets = ("agreement",)
    #: Which of them can be chosen.
    of_excluded: ClassVar[bool]

    agreement = forms.ModelChoiceField(ServiceAgreement.objects.none(), label=_("Agreement"))

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        affected = scope.visible(self.subject.affected_agreements.all(), self.by)
        affected = affected.filter(excluded_at__isnull=not self.of_excluded)
        agreements = ServiceAgreement.objects.filter(pk__in=affected.values("agreement"))
        field: Any = self.fields["agreement"]
        field.queryset = agreements.select_related("client").order_by("client__name", "reference")
        field.label_from_instance = lambda agreement: f"{agreement.client} · {agreement}"

    @classmethod
    def is_lawful(cls, subject: Incident) -> bool:
        affected = subject.affected_agreements.all()
        return super().is_lawful(subject) and any(found.is_excluded == cls.of_excluded for found in affected)

    def chosen(self) -> ServiceAgreement | None:
        """The one that the link or the form names, else the only one."""
        named = str(self["agreement"].value() or "")
        field: Any = self.fields["agreement"]
        found: list[ServiceAgreement] = list(field.queryset.filter(pk=named) if named.isdecimal() else field.queryset)
        return found[0] if len(found) == 1 else None


@verb
class ExcludeAgreement(AgreementForm):
    slug = "exclude-agreement"
    label = _("Exclude agreement")
    of_excluded = False
    reason = reason_field(
        help_text=_("Why nothing is owed under it. Ends its deadlines, and stands in the evidence for its client.")
    )

    def explanation(self) -> str | Promise:
        agreement = self.chosen()
        if agreement is None:
            return _("Its open deadlines end as no longer owed, and what is unsent is taken back. It can be undone.")
        unsent = self.foretold.unsent_to(agreement)
        return foretold.facts(
            _now("%(client)s is owed nothing under %(agreement)s here, whatever happens later. It can be undone.")
            % {"client": agreement.client, "agreement": agreement},
            foretold.said(foretold.ENDED, foretold.owed_by(self.foretold.of(agreement))),
            ngettext("%d unsent mail is taken back.", "%d unsent mails are taken back.", unsent) % unsent,
        )

    def act(self, *, now: dt.datetime) -> Done:
        affected = lifecycle.exclude_agreement(self.subject, by=self.by, now=now, **self.cleaned_data)
        return Done(_now("%(agreement)s is excluded.") % {"agreement": affected.agreement})


@verb
class IncludeAgreement(AgreementForm):
    slug = "include-agreement"
    label = _("Include agreement again")
    of_excluded = True
    reason = reason_field(help_text=_("Why something is owed under it after all. Kept in the audit trail."))

    def explanation(self) -> str | Promise:
        general = _now("What it owes begins again, counted from the original events, and may be overdue at once.")
        agreement = self.chosen()
        if agreement is None:
            return general
        severity = self.subject.severity
        beginning = self.foretold.beginning_at([severity], [agreement.pk])[severity]
        return foretold.facts(general, foretold.said(foretold.BEGUN, beginning))

    def act(self, *, now: dt.datetime) -> Done:
        affected = lifecycle.include_agreement(self.subject, by=self.by, now=now, **self.cleaned_data)
        return Done(_now("%(agreement)s is included again.") % {"agreement": affected.agreement})


#: The verb that does what is owed; a report has no mail of its own yet.
SERVES: Mapping[str, type[VerbForm]] = {
    Obligation.ACKNOWLEDGE: Acknowledge,
    Obligation.NOTIFY: Notify,
    Obligation.UPDATE: PostUpdate,
    Obligation.MITIGATE: Mitigate,
    Obligation.RESOLVE: Resolve,
    Obligation.REPORT: RecordTold,
}


def presets_for(deadline: Deadline) -> dict[str, str]:
    """What the address says, so that the form knows which client the deadline is about."""
    if deadline.obligation in (Obligation.NOTIFY, Obligation.UPDATE):
        return {"clients": str(deadline.client_id)}
    if deadline.obligation == Obligation.REPORT:
        return {"client": str(deadline.client_id), "obligation": deadline.obligation}
    return {}
