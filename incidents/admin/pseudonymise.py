"""The page on which an administrator pseudonymises a contact of a client: whom, what that gives up, and sure?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.functional import Promise, cached_property
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from agreements.admin import client
from agreements.models import Client, Contact
from config.forms import ActForm, Done, reason_field
from incidents import pseudonymising
from incidents.admin.foretold import facts


class Pseudonymise(ActForm):
    """Asks first for the contact, whom the address names; then tells what will happen."""

    subject: Client
    slug = "pseudonymise"
    label = _("Pseudonymise a contact")
    permission = "agreements.pseudonymise_contact"
    presets = ("contact",)
    page = "admin/agreements/client/pseudonymise.html"

    contact = forms.ModelChoiceField(Contact.objects.none(), widget=forms.HiddenInput)
    typed = forms.CharField(
        label=_("Mail address of the contact"),
        help_text=_("Type it, so that nobody is given up by a slip: this cannot be undone."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    reason = reason_field(
        help_text=_("Kept in the audit trail, so leave the name out: for example who asked for it, and when.")
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["contact"].queryset = self.contacts  # type: ignore[attr-defined]  # it is a choice of rows

    @classmethod
    def is_lawful(cls, subject: Client) -> bool:
        return Contact.objects.known().filter(client=subject).exists()

    @property
    def contacts(self) -> Any:
        """Who can be chosen."""
        return Contact.objects.known().filter(client=self.subject)

    @cached_property
    def chosen(self) -> Contact | None:
        key = str(self["contact"].value() or "")
        return self.contacts.filter(pk=key).first() if key.isdecimal() else None

    def explanation(self) -> str | Promise:
        if self.chosen is None:
            return ""
        foreseen = pseudonymising.foresee(self.chosen, now=timezone.now())
        return facts(
            _now("Not possible now: %(why)s") % {"why": foreseen.obstacle} if foreseen.obstacle else "",
            _now("Contact: %(contact)s") % {"contact": self.chosen},
            _now(
                "Name, address and telephone number go from this contact, from every notice to them, and from the "
                "history of both; so do the texts of those notices, and what their mail servers and mail programs said "
                "of them. Nobody can bring that back, and the contact gets no mail again."
            ),
            _now(
                "It stays that there was a contact, what was owed and sent when, whether it was read, and a signed "
                "digest of each value, so that the audit trail still proves the rest. What colleagues typed elsewhere "
                "stays too."
            ),
            _now("Rows that change: %(rows)s.") % {"rows": _listed(foreseen.tally)},
        )

    def clean_typed(self) -> str:
        typed: str = self.cleaned_data["typed"]
        if self.chosen is not None and typed.strip().casefold() != self.chosen.address.casefold():
            raise forms.ValidationError(_("That is not the mail address of this contact."))
        return typed

    def act(self, *, now: dt.datetime) -> Done:
        contact, reason = self.cleaned_data["contact"], self.cleaned_data["reason"]
        tally = pseudonymising.pseudonymise(contact, by=self.by, reason=reason, now=now)
        return Done(_now("The contact is pseudonymised. Rows that changed: %(rows)s.") % {"rows": _listed(tally)})


def _listed(tally: pseudonymising.Tally) -> str:
    counts: Sequence[tuple[Any, int]] = tally.most_common()
    return "; ".join(f"{pseudonymising.label(model)}: {count}" for model, count in counts)


client.ACTS.append(Pseudonymise)
