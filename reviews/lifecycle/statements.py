"""The statement of a month goes to its client, once, after a person has looked at it; the copy is kept."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

from django.db import transaction
from django.utils import translation
from django.utils.text import slugify
from django.utils.translation import gettext as _

from agreements.models import Client
from config import scope, zones
from config.history import acting
from config.models import User
from config.periods import Month, Period
from incidents import notices, tasks
from incidents.document import Document
from incidents.document_pdf import pdf_of
from incidents.lifecycle import Refused
from incidents.models import Attachment, Notice
from incidents.models.notice import NoticeKind
from reviews import compliance, compliance_document
from reviews.models import ClientStatement

#: Of Django, by which a role may send one.
SEND = "reviews.add_clientstatement"


@dataclass(frozen=True)
class PreparedStatement:
    """What a client would be sent now: made as it would be sent; nothing of it is saved."""

    client: Client
    month: Month
    version: int
    document: Document
    attachment: Attachment
    mails: list[Notice]


def is_over(client: Client, month: Month, now: dt.datetime) -> bool:
    """Whether that month is over where the client lives."""
    return Period.of_months(month).ends_in(zones.zone(client.time_zone)) <= now


def prepare_statement(client: Client, month: Month, *, now: dt.datetime, message: str = "") -> PreparedStatement:
    """The statement, its PDF and its mails. Refused before the month is over, and where a message names another."""
    period = Period.of_months(month)
    if not is_over(client, month, now):
        over = {"month": compliance_document.period_in_words(period), "zone": client.time_zone}
        raise Refused(_("%(month)s is not over yet in %(zone)s.") % over)
    names = client.strangers_in([message], Client.objects.values_list("name", flat=True)) if message.strip() else []
    if names:
        said = {"client": client, "names": ", ".join(names)}
        raise Refused({"message": _("%(client)s would read of %(names)s here. Write it otherwise.") % said})
    version = client.statements.filter(month=month).count() + 1
    with translation.override(client.language):
        told = replace(compliance.of(client, period, now).told, message=message.strip())
        document = compliance_document.statement_of(told, client, made_at=now)
        content = pdf_of(document, facts=told.canonical(), made_at=now)
        name = slugify(f"statement {month:%Y-%m} v{version}")
        attachment = Attachment.pdf(name, content, client=client, made_at=now)
        report = notices.Report(document.text, document.html, attachment)
        mails = notices.to_contacts(
            NoticeKind.STATEMENT,
            client,
            now=now,
            moment=f"statement-{client.pk}-{month:%Y-%m}-{version}",
            headline=f"{document.title}: {document.subtitle}",
            report=report,
        )
    return PreparedStatement(client, month, version, document, attachment, mails)


def send_statement(
    client: Client, month: Month, *, by: User, now: dt.datetime, message: str = "", reason: str = ""
) -> ClientStatement:
    """Queue the statement to all contacts of the client, and keep it. Once for a month; again only with a reason."""
    if not by.has_perm(SEND):
        raise Refused(_("That is for a manager."))
    seen = scope.clients_of(by)
    if seen is not None and client.pk not in seen:
        raise Refused(scope.REFUSAL)
    with transaction.atomic(), acting(by, reason=reason):
        client = Client.objects.select_for_update(no_key=True).get(pk=client.pk)  # one at a time
        is_again = client.statements.filter(month=month).exists()
        if is_again and not reason.strip():
            raise Refused({"reason": _("It was sent already. Say why it is sent again; that is kept, not sent.")})
        prepared = prepare_statement(client, month, now=now, message=message)
        if not prepared.mails:
            nobody = _("%(client)s has no contact that can be mailed. Add one, or hand it over by other means.")
            raise Refused(nobody % {"client": client})
        statement = _keep(prepared, by=by, now=now, reason=reason.strip() if is_again else "")
        tasks.deliver.ring_on_commit()
    return statement


def _keep(prepared: PreparedStatement, *, by: User, now: dt.datetime, reason: str) -> ClientStatement:
    """Save the copy and queue the mails."""
    notices.attach(prepared.attachment, prepared.mails)
    notices.queue(prepared.mails)
    statement = ClientStatement(
        client=prepared.client,
        month=prepared.month,
        version=prepared.version,
        reissue_reason=reason,
        language=prepared.document.language,
        html=prepared.document.html,
        text=prepared.document.text,
        attachment=prepared.attachment,
        made_at=now,
        by=by,
    )
    statement.full_clean()
    statement.save()
    return statement
