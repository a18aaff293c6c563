"""What the doctor looks at on this floor: whether notices go out, and by what they go."""

from __future__ import annotations

import datetime as dt
import email.message
import email.policy
import email.utils
from collections.abc import Iterator

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from config import doctor, installation, times, zones
from config.doctor import Finding, error, ok, warning
from incidents import smtp, watchdog
from incidents.models import Deadline, Heartbeat
from incidents.models.sending import Part

RELAY_PATIENCE = 10.0  # seconds for each step of the conversation


@doctor.register(gettext_lazy("worker and beat"))
def workers_are_at_work(now: dt.datetime) -> Iterator[Finding]:
    """Their passes ring once a second by the beat, or by the loop: where they come, both are alive."""
    problems = watchdog.red_problems(now)
    for problem in problems:
        yield error(problem.sentence, problem.detail or _("Look at the page “Needs a person” and the workers' log."))
    if not problems:
        beats = dict(Heartbeat.objects.values_list("part", "at"))
        oldest = now - min(beats[part] for part in Part)
        yield ok(
            _("Planner, sender and auditor were at work within the last %(age)s.") % {"age": times.duration(oldest)}
        )


@doctor.register(gettext_lazy("queue"))
def queue_is_clean(now: dt.datetime) -> Iterator[Finding]:
    problems = [problem for problem in watchdog.audit(now) if not problem.is_red]
    for problem in problems:
        concerned = problem.detail.split(", ") if problem.detail else ()
        yield warning(problem.sentence, _("`manage.py outbox audit` looks through all of it."), *concerned)
    if not problems:
        yield ok(_("Nothing of what a minute's audit looks at waits for a person or was lost."))


@doctor.register(gettext_lazy("who notices silence"), asks_database=False)
def somebody_outside_notices_silence(now: dt.datetime) -> Iterator[Finding]:
    if not settings.HEARTBEAT_URL:
        yield warning(
            _("Nobody outside notices when all of this is silent."),
            _("Set HEARTBEAT_URL to a dead man's switch that alarms you."),
        )
    if not settings.CANARY_ADDRESS:
        yield warning(
            _("No mail tests the whole way before a client waits for one."),
            _("Set CANARY_ADDRESS to a mailbox of yours."),
        )
    if settings.HEARTBEAT_URL and settings.CANARY_ADDRESS:
        yield ok(_("A dead man's switch and a canary do."))


@doctor.register(gettext_lazy("rules of deadlines"))
def open_deadlines_are_by_the_present_rules(now: dt.datetime) -> Iterator[Finding]:
    older = Deadline.objects.open().exclude(iana_version=zones.IANA_VERSION).exclude(iana_version="")[:1000].count()
    if older:
        yield warning(
            _("Open deadlines that were counted by other time zone rules: %(count)d.") % {"count": older},
            _("`manage.py deadlines recheck` lists those that the present ones would move."),
        )
    else:
        yield ok(_("Every open one was counted by the present time zone rules."))


# ── the mail relay ──────────────────────────────────────────────────────────────────────────────────────────────────


@doctor.register(gettext_lazy("mail relay"), reaches_out=True, asks_database=False)
def relay_lets_us_in(now: dt.datetime) -> Iterator[Finding]:
    """It is spoken to as before a mail, and none is sent."""
    relay = settings.MAIL_RELAY
    transport = smtp.Transport(relay, timeout=min(settings.SMTP_TIMEOUT, RELAY_PATIENCE))
    try:
        transport.sign_in()
    except smtp.DeliveryError as refusal:
        yield _refused(refusal)
        return
    finally:
        transport.close()
    said = {"host": f"{relay.host}:{relay.port}", "security": _SECURITY[relay.encryption]}
    if relay.encryption == "none" and not installation.is_this_machine(relay.host):
        yield warning(
            _("%(host)s takes our mails over a connection that anybody on the way can read.") % said,
            _("Write EMAIL_URL with smtp+starttls:// or smtps://, if it can do that."),
        )
    yield ok(_("%(host)s lets us in (%(security)s).") % said)


_SECURITY = {"none": "no TLS", "starttls": "STARTTLS", "tls": "TLS"}


def send_test_mail(address: str) -> Finding:
    """A real message past the queue, which keeps no trace of it here."""
    message = email.message.EmailMessage(policy=email.policy.SMTP)
    sender = email.utils.parseaddr(settings.NOTICE_FROM)[1]
    message["From"], message["To"] = settings.NOTICE_FROM, address
    message["Subject"] = "Due Notice: a test message"
    message["Date"] = email.utils.formatdate()
    message["Message-ID"] = email.utils.make_msgid(domain=sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(
        f"Somebody who runs Due Notice at {settings.PUBLIC_URL} asked for this message, to see whether mail arrives.\n"
        "It tells nothing else; there is nothing to do.\n"
    )
    transport = smtp.Transport(settings.MAIL_RELAY, timeout=min(settings.SMTP_TIMEOUT, RELAY_PATIENCE))
    try:
        answer = transport.send(message.as_bytes(), sender=sender, recipient=address, before_data=lambda: True)
    except smtp.DeliveryError as refusal:
        return _refused(refusal)
    finally:
        transport.close()
    return ok(_("The mail server took a test message: %(answer)s. Look whether it arrives.") % {"answer": answer})


def _refused(refusal: smtp.DeliveryError) -> Finding:
    answer = f"{refusal.code or ''} {refusal.answer}".strip()
    return error(
        _("The mail server fails us (%(phase)s): %(answer)s.")
        % {"phase": refusal.phase.label.lower(), "answer": answer},
        _("Correct EMAIL_URL or NOTICE_FROM, or have the mail server let us in from this machine."),
    )
