"""What happened that changed no audited row, and belongs into the trail all the same."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from config.history import AddedOnly, Caller, current_actor_name, current_caller, current_request_id


class EventKind(models.TextChoices):
    SIGNED_IN = "signed_in", _("Signed in")
    SIGNED_OUT = "signed_out", _("Signed out")
    SIGN_IN_FAILED = "sign_in_failed", _("Sign-in failed")
    CONFIRMED = "confirmed", _("Confirmed again who it is")
    FACTOR_ADDED = "factor_added", _("Second factor added")
    FACTOR_REMOVED = "factor_removed", _("Second factor removed")
    FACTORS_RESET = "factors_reset", _("Second factor reset")
    SSO_REFUSED = "sso_refused", _("Single sign-on refused")
    SSO_LINKED = "sso_linked", _("Single sign-on linked")
    SSO_UNLINKED = "sso_unlinked", _("Single sign-on unlinked")
    SESSION_ENDED = "session_ended", _("Session ended")
    LOCKED_OUT = "locked_out", _("Locked out")
    ADDRESS_LOCKED = "address_locked", _("Address locked")
    NAME_LOCKED = "name_locked", _("Name locked")
    LOCK_LIFTED = "lock_lifted", _("Lock lifted")
    ACTION_REFUSED = "action_refused", _("Action refused")
    LINK_OPENED = "link_opened", _("Link opened")
    LINK_USED = "link_used", _("Link used")
    LINK_REFUSED = "link_refused", _("Link refused")
    VERIFY_FAILED = "verify_failed", _("Trail does not verify")
    TEXTS_REDUCED = "texts_reduced", _("Texts reduced")
    TEXT_CHECKED = "text_checked", _("Text compared")
    PSEUDONYMISED = "pseudonymised", _("Contact pseudonymised")
    IMPORTED = "imported", _("Imported")
    ANCHOR_TAKEN = "anchor_taken", _("Anchor taken")


#: What each kind says to its reader, filled in from `said`.
SENTENCES: dict[str, str | Promise] = {
    EventKind.SIGNED_IN: _("Signed in (%(how)s)."),
    EventKind.SIGNED_OUT: _("Signed out."),
    EventKind.SIGN_IN_FAILED: _("Sign-in as “%(name)s” failed."),
    EventKind.LOCKED_OUT: _("Sign-in as “%(name)s” from this address is locked for %(minutes)s minutes."),
    EventKind.CONFIRMED: _("Confirmed again who it is, by %(how)s."),
    EventKind.FACTOR_ADDED: _("A second factor was added: %(what)s."),
    EventKind.FACTOR_REMOVED: _("A second factor was removed: %(what)s."),
    EventKind.FACTORS_RESET: _("The second factor of “%(name)s” was taken away: %(why)s"),
    EventKind.SSO_REFUSED: _("Single sign-on of %(name)s was refused: %(why)s"),
    EventKind.SSO_LINKED: _("“%(name)s” was linked to the provider’s “%(subject)s”."),
    EventKind.SSO_UNLINKED: _("The link of “%(name)s” to the provider was taken away: %(why)s"),
    EventKind.SESSION_ENDED: _("The session ended: %(why)s."),
    EventKind.ADDRESS_LOCKED: _("Sign-in from this address is locked for %(minutes)s minutes, under whatever name."),
    EventKind.NAME_LOCKED: _("Sign-in as “%(name)s” from addresses new to it is locked for %(minutes)s minutes."),
    EventKind.LOCK_LIFTED: _("A lock of sign-in was lifted (%(name)s %(of)s): %(why)s"),
    EventKind.ACTION_REFUSED: _("%(method)s %(path)s was refused: the role does not allow it."),
    EventKind.LINK_OPENED: _("The link of a notice was opened."),
    EventKind.LINK_USED: _("A notice was confirmed as read by its link."),
    EventKind.LINK_REFUSED: _("A link was refused: %(why)s."),
    EventKind.VERIFY_FAILED: _("The trail is not what was sealed: %(first)s"),
    EventKind.TEXTS_REDUCED: _("Texts of notices were reduced to their digests: %(count)s, of before %(before)s."),
    EventKind.TEXT_CHECKED: _("A text was compared with what was sent: %(answer)s."),
    EventKind.PSEUDONYMISED: _("A contact of %(client)s was pseudonymised (no. %(number)s)."),
    EventKind.IMPORTED: _(
        "Imported from “%(file)s” (%(what)s): %(added)s added, %(changed)s changed, %(same)s the same."
    ),
    EventKind.ANCHOR_TAKEN: _("The anchor of seal %(number)s was printed, to be kept elsewhere."),
}

#: Facts that are codes, as people read them.
CODES: dict[str, str | Promise] = {
    "unknown": _("nothing is there, or it was cut off or made up"),
    "expired": _("it has expired"),
    "revoked": _("it was revoked"),
    "colleague": _("a colleague cannot confirm for the client"),
    "as_sent": _("it is what was sent"),
    "not_as_sent": _("it is not what was sent"),
    "password": _("password"),
    "app": _("authenticator app"),
    "recovery": _("recovery code"),
    "codes": _("recovery codes"),
    "passkey": _("passkey"),
    "passkey_alone": _("passkey, without a password"),
    "sso": _("single sign-on"),
    "sso_app": _("single sign-on, then authenticator app"),
    "sso_recovery": _("single sign-on, then recovery code"),
    "sso_passkey": _("single sign-on, then passkey"),
    "sso_stale": _("This sign-in was not begun here, or too long ago."),
    "sso_declined": _("The provider did not sign you in."),
    "sso_token": _("What the provider answered does not prove who you are."),
    "sso_unverified": _("The provider does not say that your mail address is verified."),
    "sso_domain": _("Mail addresses of this domain are not let in."),
    "sso_nobody": _("There is no account that could be linked to this mail address."),
    "sso_linked": _("One of the two is linked already: the account here, or the one at the provider."),
    "sso_closed": _("The account here is closed."),
    "sso_role": _("There is no role for you here."),
    "sso_other": _("At the provider you are not who is signed in here."),
    "sso_not_anew": _("The provider does not say that it asked you again who you are."),
    "idle": _("nothing was done in it for too long"),
    "old": _("it was as old as a session may become"),
    "owner": _("its owner ended it from elsewhere"),
    "undecided": _("what is kept of it is not signed by our key"),
}


class Event(AddedOnly):
    """Somebody signed in, was refused, opened a link: an act that leaves no history row (config/audit/events.py).

    `said` holds the facts that its sentence needs, text by name: no secret, and no address of anybody at a client.
    """

    #: What names a person, and may be blanked one day without breaking the chain.
    PERSONAL: ClassVar[tuple[str, ...]] = ("address",)

    kind = models.CharField(_("kind"), max_length=20, choices=EventKind.choices)
    at = models.DateTimeField(_("at"), db_default=Now())  # the database's clock, which no process of ours can set
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("actor")
    )
    actor_name = models.CharField(_("actor’s name"), max_length=200, default=current_actor_name)
    caller = models.CharField(_("by way of"), max_length=10, choices=Caller.choices, default=current_caller)
    request_id = models.UUIDField(default=current_request_id, db_index=True)
    about = models.CharField(_("about"), max_length=100, blank=True)  # "incidents.notice", with its key
    about_pk = models.PositiveBigIntegerField(null=True)
    said = models.JSONField(_("facts"), default=dict)
    address = models.GenericIPAddressField(_("from"), null=True)

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ("-at", "-pk")
        default_permissions = ("view",)  # nobody adds one by hand, and nothing changes or removes one
        constraints = (
            models.CheckConstraint(
                condition=models.Q(about="", about_pk=None) | ~models.Q(about="") & models.Q(about_pk__isnull=False),
                name="event_about_a_row_or_none",
            ),
        )
        indexes = (
            # the trail, newest first
            models.Index(fields=("-at", "-id"), name="event_newest"),
            # the trail of one object
            models.Index(fields=("about", "about_pk"), name="event_about", condition=~models.Q(about="")),
        )

    def __str__(self) -> str:
        return self.sentence

    @property
    def sentence(self) -> str:
        """What happened, in the reader's language."""
        return str(SENTENCES[self.kind]) % _Facts(self.said)


class _Facts(dict[str, Any]):
    """A fact that is a code reads as its words, one that an old row does not have as a dash."""

    def __getitem__(self, name: str) -> Any:
        fact = super().__getitem__(name)
        return CODES.get(fact, fact)

    def __missing__(self, name: str) -> str:
        return "–"
