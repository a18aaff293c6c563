"""A notice: the message that is owed to one recipient, frozen when it is made, and every try to deliver it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from agreements.models import Client, Contact
from config.erased import ERASED, shown
from config.fields import AddressField, LineField
from config.history import AddedOnly, AuditedModel, AuditedRecords
from config.search import FoundByWords, either
from incidents.models.attachment import Attachment
from incidents.models.deadline import Deadline
from incidents.models.incident import Incident


class NoticeKind(models.TextChoices):
    """What the message is. The value names its templates: templates/notices/<kind>.{subject.txt,txt,html}.

    A test has none of its own: it is a copy of what a client would be sent, marked as a test.
    """

    CLIENT_NOTICE = "client_notice", _("Client notice")
    HOLDING_NOTICE = "holding_notice", _("Holding notice")
    UPDATE = "update", _("Update")
    REPORT = "report", _("Report")
    STATEMENT = "statement", _("Monthly statement")
    WARNING = "warning", _("Warning to the client")
    STAFF_WARNING = "staff_warning", _("Warning to staff")
    OVERDUE = "overdue", _("Overdue")
    ALARM = "alarm", _("Alarm to operators")
    CANARY = "canary", _("Canary")
    TEST = "test", _("Test mail")
    ACTION_REMINDER = "action_reminder", _("Reminder of an action")
    ACTION_EFFECT = "action_effect", _("Did an action help?")
    REVIEW_VIOLATION = "review_violation", _("Review policy not kept")
    OUTSTANDING = "outstanding", _("Outstanding actions")


#: Made by the planner for a moment of a deadline; pointless once that deadline is done. The others a person sent.
PLANNED_KINDS = (NoticeKind.HOLDING_NOTICE, NoticeKind.WARNING, NoticeKind.STAFF_WARNING, NoticeKind.OVERDUE)


#: To colleagues, about what was to be learned from incidents (the floor of reviews makes them).
FOLLOW_UPS = (
    NoticeKind.ACTION_REMINDER,
    NoticeKind.ACTION_EFFECT,
    NoticeKind.REVIEW_VIOLATION,
    NoticeKind.OUTSTANDING,
)

#: Perhaps about no single incident: an alarm is not, if what it is about is not.
WITHOUT_INCIDENT = (NoticeKind.CANARY, NoticeKind.OUTSTANDING, NoticeKind.STATEMENT, NoticeKind.ALARM)


#: Said before something is due; each later one says more than those before it.
WARNINGS = (NoticeKind.WARNING, NoticeKind.STAFF_WARNING)


class Rank(models.IntegerChoices):
    """The order of the queue, before due times: a burst of warnings never holds up what is owed."""

    OBLIGATION = 0, _("Owed to a client")
    ALARM = 1, _("Overdue or alarm")
    WARNING = 2, _("Warning")
    TEST = 3, _("Test")

    @classmethod
    def of(cls, kind: NoticeKind | str) -> Rank:
        if kind in WARNINGS:
            return cls.WARNING
        if kind == NoticeKind.TEST:
            return cls.TEST
        if kind in (NoticeKind.OVERDUE, NoticeKind.ALARM, NoticeKind.REVIEW_VIOLATION):
            return cls.ALARM
        return cls.WARNING if kind in (*FOLLOW_UPS, NoticeKind.STATEMENT) else cls.OBLIGATION


class NoticeState(models.TextChoices):
    PENDING = "pending", _("Pending")
    LEASED = "leased", _("Taken by a worker")
    TRANSMITTING = "transmitting", _("Being transmitted")
    SENT = "sent", _("Sent")
    RETRY_WAIT = "retry_wait", _("Waiting to retry")
    FAILED = "failed", _("Failed")
    REVIEW = "review", _("Needs review")
    CANCELLED = "cancelled", _("Cancelled")
    SUPERSEDED = "superseded", _("Superseded")
    HANDLED = "handled", _("Handled by a person")


#: In the queue: a worker may take it.
WAITING_STATES = (NoticeState.PENDING, NoticeState.RETRY_WAIT)
#: In a worker's hands.
HELD_STATES = (NoticeState.LEASED, NoticeState.TRANSMITTING)
#: A person has to decide.
STUCK_STATES = (NoticeState.FAILED, NoticeState.REVIEW)
#: Nothing more comes of it.
SETTLED_STATES = (NoticeState.SENT, NoticeState.HANDLED, NoticeState.CANCELLED, NoticeState.SUPERSEDED)


class NoticeQuerySet(FoundByWords["Notice"]):
    def found_by(self, word: str, reader: Any = None) -> Q:
        """In its incident's reference or title, in the name of its client, or in the mail address of its contact."""
        incidents = Incident.objects.filter(Incident.objects.all().worded(word))
        contacts = Contact.objects.filter(address__icontains=word)
        return either(
            Notice.objects.filter(incident__in=incidents.order_by()),
            Notice.objects.filter(client__in=Client.objects.all().pks_by(word, reader)),
            Notice.objects.filter(contact__in=contacts.order_by()),
        )

    def waiting(self) -> NoticeQuerySet:
        return self.filter(state__in=WAITING_STATES)

    def ready(self, now: dt.datetime) -> NoticeQuerySet:
        """Those to be sent now: what is owed before what warns of it, then the nearest contractual due time first."""
        return self.waiting().filter(next_attempt_at__lte=now).order_by("rank", "due_at", "pk")

    def stalled(self, now: dt.datetime) -> NoticeQuerySet:
        """Those whose worker has not been heard of within its lease."""
        return self.filter(state__in=HELD_STATES, leased_until__lt=now)

    def warned_since(self, instant: dt.datetime, addresses: Collection[str]) -> dict[str, int]:
        """How many warnings each of these addresses was sent since then."""
        sent = self.filter(kind__in=WARNINGS, recipient_address__in=addresses, accepted_at__gte=instant)
        counts = sent.order_by().values_list("recipient_address").annotate(count=models.Count("pk"))
        return dict(counts)

    def reducible(self, before: dt.datetime) -> NoticeQuerySet:
        """Settled before then, of an incident that was closed before then or of none, whose text is still there.

        A merged incident is closed with the one that it was merged into.
        """
        closed = Q(incident__closed_at__lt=before) | Q(incident__merged_into__closed_at__lt=before)
        settled = self.filter(closed | Q(incident__isnull=True), state__in=SETTLED_STATES, made_at__lt=before)
        return settled.filter(Q(accepted_at=None) | Q(accepted_at__lt=before)).exclude(text="", html="")

    def without_bodies(self) -> NoticeQuerySet:
        """Read without their long texts, and with whether these were given up (`is_reduced`)."""
        is_reduced = models.ExpressionWrapper(Q(text="", html=""), output_field=models.BooleanField())
        return self.defer("text", "html").annotate(is_reduced=is_reduced)

    def needing_a_person(self) -> NoticeQuerySet:
        return self.filter(state__in=STUCK_STATES)


class Notice(AuditedModel):
    """One message to one recipient. Subject, bodies, address and Message-ID never change once the row is made.

    State changes by workers are compare-and-set updates in incidents/outbox.py, told by DeliveryAttempt rows; what
    people do to a notice goes through `save` and leaves history.
    """

    PART_OF = "incident"
    FROZEN = (
        *("incident", "client", "deadline", "revision", "moment", "kind"),
        *("contact", "user", "recipient_name", "recipient_address"),
        *("subject", "text", "html", "late_note", "is_fallback", "message_id", "thread_id"),
        *("attachment", "cause", "made_at", "due_at", "rank"),
    )
    # the thread is a plain hash of the address, and the others may quote it
    PERSONAL = ("recipient_name", "recipient_address", "thread_id", "subject", "state_reason", "server_answer")
    BODIES = ("text", "html")
    CLIENT_PATH = "client"
    NEED_REASON = frozenset(
        {
            "recipient_name",
            "recipient_address",
            "subject",
            "text",
            "html",
            "made_at",
            "due_at",
            "accepted_at",
            "link_revoked_at",
        }
    )
    MAY_BE_FILLED = frozenset({"accepted_at"})
    QUEUE_FIELDS = frozenset(
        {
            "state", "state_reason", "superseded_by_id", "next_attempt_at", "lease_token", "leased_until", "tries",
            "ambiguous_tries", "is_marked_late", "accepted_at", "server_answer",
        }
    )  # fmt: skip

    incident = models.ForeignKey(
        Incident, models.PROTECT, null=True, blank=True, related_name="notices", verbose_name=_("incident")
    )
    client = models.ForeignKey(
        Client, models.PROTECT, null=True, blank=True, related_name="notices", verbose_name=_("client")
    )
    deadline = models.ForeignKey(
        Deadline, models.PROTECT, null=True, blank=True, related_name="notices", verbose_name=_("deadline")
    )
    revision = models.PositiveIntegerField(_("deadline's revision"), default=1)
    moment = models.CharField(_("moment"), max_length=60)
    kind = models.CharField(_("kind"), max_length=20, choices=NoticeKind.choices)

    contact = models.ForeignKey(Contact, models.PROTECT, null=True, blank=True, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    recipient_name = LineField(_("recipient"), max_length=200)
    recipient_address = AddressField(_("address"), max_length=254)

    subject = models.CharField(_("subject"), max_length=300)
    text = models.TextField(_("text"))
    html = models.TextField(_("HTML"))
    late_note = models.CharField(
        _("if it goes out late"),
        max_length=300,
        blank=True,
        help_text=_("The sentence that is put on top of the message if its first transmission comes after it was due."),
    )
    is_marked_late = models.BooleanField(_("marked as late"), default=False)
    is_fallback = models.BooleanField(
        _("plain fallback"), default=False, help_text=_("Its template could not be rendered; the bare facts were sent.")
    )
    attachment = models.ForeignKey(
        Attachment,
        models.PROTECT,
        null=True,
        blank=True,
        db_index=False,  # few have one: the index is below
        related_name="notices",
        verbose_name=_("attachment"),
    )
    message_id = models.CharField(_("Message-ID"), max_length=200, unique=True)
    thread_id = models.CharField(_("thread"), max_length=200)

    #: The id of the act that queued it, by which a click can be followed to the worker; none if the planner did.
    cause = models.UUIDField(null=True, blank=True, editable=False)
    made_at = models.DateTimeField(_("made at"))
    due_at = models.DateTimeField(_("to be sent by"), help_text=_("The nearest contractual due time goes first."))
    rank = models.PositiveSmallIntegerField(
        _("rank"), default=Rank.OBLIGATION, choices=Rank.choices, help_text=_("What is owed goes before what warns.")
    )
    state = models.CharField(_("state"), max_length=12, choices=NoticeState.choices, default=NoticeState.PENDING)
    state_reason = models.CharField(_("why"), max_length=500, blank=True)
    superseded_by = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="supersedes",
        verbose_name=_("sent instead"),
    )
    next_attempt_at = models.DateTimeField(_("next attempt at"))
    lease_token = models.UUIDField(null=True, blank=True, editable=False)
    leased_until = models.DateTimeField(null=True, blank=True, editable=False)
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    ambiguous_tries = models.PositiveSmallIntegerField(_("tries with unknown outcome"), default=0)
    accepted_at = models.DateTimeField(_("accepted at"), null=True, blank=True)
    server_answer = models.CharField(_("server's answer"), max_length=500, blank=True)
    link_revoked_at = models.DateTimeField(_("acknowledgement link revoked at"), null=True, blank=True)

    objects = NoticeQuerySet.as_manager()
    history = AuditedRecords(excluded_fields=["text", "html", "cause"])

    class Meta:
        verbose_name = _("notice")
        verbose_name_plural = _("notices")
        ordering = ("-made_at", "-pk")
        permissions = (("reduce_notice", "Can give up the texts of old notices"),)
        constraints = (
            # incident too, because a notice that no deadline asks for has none
            models.UniqueConstraint(
                fields=("deadline", "revision", "moment", "recipient_address"),
                condition=Q(deadline__isnull=False) & ~Q(recipient_address=ERASED),
                name="notice_once_per_moment",
            ),
            models.UniqueConstraint(
                fields=("incident", "moment", "recipient_address"),
                condition=Q(deadline__isnull=True) & ~Q(recipient_address=ERASED),
                name="notice_once_without_deadline",
            ),
            # and one without either has neither; a canary is unique by its Message-ID
            models.UniqueConstraint(
                fields=("moment", "recipient_address"),
                condition=Q(deadline__isnull=True, incident__isnull=True) & ~Q(kind=NoticeKind.CANARY),
                name="notice_once_without_incident",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=HELD_STATES) | Q(lease_token__isnull=False, leased_until__isnull=False),
                name="notice_held_has_a_lease",
            ),
            models.CheckConstraint(
                condition=Q(incident__isnull=False) | Q(kind__in=WITHOUT_INCIDENT), name="notice_has_an_incident"
            ),
            models.CheckConstraint(
                condition=~Q(kind__in=FOLLOW_UPS)
                | Q(user__isnull=False, contact__isnull=True, client__isnull=True, deadline__isnull=True),
                name="notice_follow_up_is_for_a_colleague",
            ),
            # A test is for the colleague who asked for it: it can count for no client and meet no deadline.
            models.CheckConstraint(
                condition=~Q(kind=NoticeKind.TEST)
                | Q(user__isnull=False, contact__isnull=True, client__isnull=True, deadline__isnull=True),
                name="notice_test_is_for_a_colleague",
            ),
            models.CheckConstraint(
                condition=~Q(kind=NoticeKind.STATEMENT)
                | Q(client__isnull=False, contact__isnull=False, incident__isnull=True, deadline__isnull=True),
                name="notice_statement_is_for_a_client",
            ),
            models.CheckConstraint(
                condition=~Q(state=NoticeState.SENT) | Q(accepted_at__isnull=False), name="notice_sent_was_accepted"
            ),
        )
        indexes = (
            # NoticeQuerySet.ready, every second
            models.Index(fields=("rank", "due_at", "id"), name="notice_waiting", condition=Q(state__in=WAITING_STATES)),
            # NoticeQuerySet.stalled, every minute
            models.Index(fields=("leased_until",), name="notice_held", condition=Q(state__in=HELD_STATES)),
            models.Index(fields=("state", "-made_at"), name="notice_state"),
            # the list, newest first
            models.Index(fields=("-made_at", "-id"), name="notice_newest"),
            # NoticeQuerySet.warned_since, for every batch with a warning
            models.Index(
                fields=("recipient_address", "accepted_at"),
                name="notice_warned",
                condition=Q(kind__in=WARNINGS, accepted_at__isnull=False),
            ),
            # which mails an attachment went with
            models.Index(fields=("attachment",), name="notice_attachment", condition=Q(attachment__isnull=False)),
            # the queue's audit, every minute: what was accepted lately
            models.Index(fields=("accepted_at",), name="notice_accepted", condition=Q(accepted_at__isnull=False)),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()} → {shown(self.recipient_name)}"


class DeliveryPhase(models.TextChoices):
    """How far the conversation with the mail server came."""

    CONNECT = "connect", _("connecting")
    GREETING = "greeting", _("greeting")
    STARTTLS = "starttls", _("starting encryption")
    AUTH = "auth", _("signing in")
    SENDER = "sender", _("naming the sender")
    RECIPIENT = "recipient", _("naming the recipient")
    DATA = "data", _("asking to transmit")
    BODY = "body", _("transmitting")
    DONE = "done", _("accepted")


class Outcome(models.TextChoices):
    ACCEPTED = "accepted", _("Accepted")
    TRANSPORT_DOWN = "transport_down", _("Mail server not reachable")
    CONFIGURATION = "configuration", _("Our configuration refused")
    REFUSED_FOR_NOW = "refused_for_now", _("Refused for now")
    REFUSED = "refused", _("Refused")
    AMBIGUOUS = "ambiguous", _("Outcome unknown")
    POISON = "poison", _("Cannot be sent as it is")


class DeliveryAttempt(AddedOnly):
    """One try at the mail server. Rows are only ever added."""

    PART_OF = "notice"
    PERSONAL = ("answer",)  # which may quote the address

    notice = models.ForeignKey(Notice, models.PROTECT, related_name="attempts", verbose_name=_("notice"))
    at = models.DateTimeField(_("at"))
    worker = models.CharField(_("worker"), max_length=100)
    server = models.CharField(_("mail server"), max_length=260, blank=True, help_text=_("host:port"))
    outcome = models.CharField(_("outcome"), max_length=20, choices=Outcome.choices)
    phase = models.CharField(_("phase"), max_length=12, choices=DeliveryPhase.choices)
    code = models.PositiveSmallIntegerField(_("server's code"), null=True, blank=True)
    answer = models.CharField(_("server's answer"), max_length=500, blank=True)
    elapsed_ms = models.PositiveIntegerField(_("took (ms)"), default=0)

    class Meta:
        verbose_name = _("delivery attempt")
        verbose_name_plural = _("delivery attempts")
        ordering = ("-at", "-pk")

    def __str__(self) -> str:
        return f"{self.get_outcome_display()} {self.code or ''} {shown(self.answer)}".strip()


class Acknowledgement(AddedOnly):
    """A client pressed the button on the page that its notice links to: the only proof of reading. Only ever added."""

    PART_OF = "notice"
    NAMED_WITH = ("notice",)
    PERSONAL = ("from_address", "user_agent")

    notice = models.OneToOneField(Notice, models.PROTECT, related_name="acknowledgement", verbose_name=_("notice"))
    at = models.DateTimeField(_("at"))
    from_address = models.GenericIPAddressField(_("from"), null=True, blank=True)
    user_agent = models.CharField(_("by the program"), max_length=300, blank=True)

    class Meta:
        verbose_name = _("acknowledgement")
        verbose_name_plural = _("acknowledgements")
        ordering = ("-at",)

    def __str__(self) -> str:
        return f"{shown(self.notice.recipient_name)}, {self.at:%Y-%m-%d %H:%M:%S %Z}"
