"""The trail is whole: whatever way a change comes in, it leaves one row, with who, when, why, and by which way."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core import serializers
from django.core.management import call_command
from django.db import IntegrityError, models, transaction
from django.utils import timezone

from agreements.models import Client, ClientScope, Contact, SeverityDefinition
from config import roles
from config.audit import concerns, keeping, sources
from config.audit.append_only import NeverDeleted
from config.history import AuditedModel, AuditedQuerySet, Caller, PastTheTrail, ReasonMissing, acting, current_act
from config.models import Concern, User
from incidents import deadlines, lifecycle, notices, outbox
from incidents.models import Deadline, Incident, Notice, TimelineEntry
from tests import cast
from tests.journeys.seeded import copy_sqlite
from tests.services.processes import Processes
from tests.test_query_ratchet import first_of_everything

AUDITED = sources.audited()
EXPLAINED = [(model, name) for model in AUDITED for name in sorted(model.NEED_REASON)]
WHY = "The contract says so."


@pytest.fixture
def world(olga: User, roles: None) -> Incident:
    """At least one row of every audited model."""
    incident = first_of_everything(olga)
    agreement = incident.agreements.get()
    SeverityDefinition.objects.get_or_create(agreement=agreement, severity="low", defaults={"words": "A nuisance."})
    lifecycle.pause(incident, by=olga, now=timezone.now(), reason="Waiting for the client.")
    ClientScope.objects.create(user=olga, client=agreement.client)
    keeping.keep()
    concerns.look_at(Concern.objects.earliest("pk"), by=cast.aude(), remark="Asked about it.", now=timezone.now())
    return incident


def row_of(model: type[AuditedModel]) -> Any:
    return model._default_manager.order_by("-pk").first()


def other_value(row: Any, name: str) -> Any:
    """Something that this field does not hold."""
    field: Any = row._meta.get_field(name)
    now = getattr(row, field.attname)
    if field.choices:
        return next(value for value, _label in field.flatchoices if value != now)
    match field:
        case models.ForeignKey():
            return "0" * 64 if isinstance(now, str) else (now or 0) + 1
        case models.BooleanField():
            return not now
        case models.DateTimeField():
            return (now or timezone.now()) + dt.timedelta(minutes=1)
        case models.DateField():
            return (now or timezone.now().date()) + dt.timedelta(days=1)
        case models.TimeField():
            return dt.time(9, 17)
        case models.IntegerField():
            return (now or 0) + 1
        case _:
            return f"{now}x"[-(field.max_length or 1000) :]


class TestReasons:
    @pytest.fixture(autouse=True)
    def _world(self, world: Incident) -> None:
        pass

    @pytest.mark.django_db
    def test_what_must_be_explained_is_refused_without_a_reason_and_leaves_one_row_with_one(self, ada: User) -> None:
        saved: set[type[models.Model]] = set()
        for model, name in EXPLAINED:
            row = row_of(model)
            assert row is not None, model
            before = row.history.count()
            is_filled = name in model.MAY_BE_FILLED and getattr(row, name) in (None, "")
            setattr(row, name, other_value(row, name))
            if not is_filled:
                with acting(ada), pytest.raises(ReasonMissing), transaction.atomic():
                    row.save()
            assert row.history.count() == before
            with transaction.atomic():
                request_id = uuid.uuid4()
                try:
                    with acting(ada, reason=WHY, request_id=request_id), transaction.atomic():
                        row.save()
                except IntegrityError:
                    continue  # not so for any reason
                saved.add(model)
                latest = row.history.first()
                assert row.history.count() == before + 1
                assert latest.changed_names == [model._meta.get_field(name).name], (model, name)
                assert (latest.history_user, latest.actor_name) == (ada, "Ada Lind (ada)")
                assert (latest.history_change_reason, latest.request_id) == (WHY, request_id)
                assert latest.caller == Caller.COMMAND
                assert abs(latest.history_date - timezone.now()) < dt.timedelta(minutes=1)
                transaction.set_rollback(True)
        assert saved == {model for model, _name in EXPLAINED}

    @pytest.mark.django_db
    @pytest.mark.parametrize("reason", ["", "  "])
    def test_such_a_row_is_removed_for_a_reason_only(self, reason: str) -> None:
        for model in {model for model, _name in EXPLAINED}:
            row = row_of(model)
            refused = pytest.raises((ReasonMissing, NeverDeleted, models.ProtectedError))
            with acting(reason=reason), refused, transaction.atomic():
                row.delete()
            assert model._default_manager.filter(pk=row.pk).exists()

    @pytest.mark.django_db
    def test_a_status_that_goes_backwards_is_explained_and_one_that_goes_forwards_is_not(self) -> None:
        incident = Incident.objects.filter(status="declared").latest("pk")
        incident.status = "acknowledged"
        incident.save()
        incident.status = "declared"
        with pytest.raises(ReasonMissing, match="status"):
            incident.save()
        with acting(reason=WHY):
            incident.save()

    @pytest.mark.django_db
    def test_an_instant_that_has_come_needs_no_reason_and_moved_it_does(self) -> None:
        incident = Incident.objects.filter(acknowledged_at=None).latest("pk")
        incident.acknowledged_at = timezone.now()
        incident.save()
        incident.acknowledged_at -= dt.timedelta(hours=1)
        with pytest.raises(ReasonMissing, match="acknowledged at"):
            incident.save()

    @pytest.mark.django_db
    def test_a_role_is_given_to_who_has_one_or_taken_for_a_reason_only(self, olga: User) -> None:
        group = olga.groups.get()
        manager = group.__class__.objects.get(name=roles.MANAGER)
        changes: tuple[Callable[[], None], ...] = (
            lambda: olga.groups.add(manager),
            lambda: olga.groups.remove(group),
            lambda: olga.groups.clear(),
            lambda: manager.user_set.add(olga),  # from the other side
        )
        for change in changes:
            with pytest.raises(ReasonMissing), transaction.atomic():
                change()
        with acting(reason="Promoted."):
            olga.groups.add(manager)
        assert olga.history.first().history_change_reason == "Promoted."

    @pytest.mark.django_db
    def test_a_key_alone_is_no_way_around_it(self) -> None:
        """A row that was never read looks new until the database says that it is there."""
        first = Contact.objects.latest("pk")
        forged = Contact(pk=first.pk, client_id=first.client_id, name=first.name, address="eve@example.com")
        with pytest.raises(ReasonMissing), transaction.atomic():
            forged.save()
        unread = Contact.objects.only("name").get(pk=first.pk)
        unread.address = "eve@example.com"
        with pytest.raises(ReasonMissing), transaction.atomic():
            unread.save()
        assert Contact.objects.get(pk=first.pk).address == first.address

    @pytest.mark.django_db
    @pytest.mark.parametrize(("given", "kept"), [("", "No longer owed."), (WHY, WHY)])
    def test_what_follows_by_rule_says_the_reason_of_the_act_or_else_the_rule_s_own(
        self, given: str, kept: str
    ) -> None:
        deadline = Deadline.objects.open().latest("pk")
        with acting(reason=given), transaction.atomic():
            deadlines.end(Deadline.objects.filter(pk=deadline.pk), reason="No longer owed.", now=timezone.now())
        assert deadline.history.first().history_change_reason == kept


class TestNothingGoesPast:
    @pytest.mark.parametrize("model", AUDITED, ids=lambda model: model._meta.label)
    def test_rows_are_changed_and_added_one_by_one(self, model: type[AuditedModel]) -> None:
        """Refused before the database is asked, which this test has none of."""
        rows: Any = model._default_manager
        assert isinstance(rows.all(), AuditedQuerySet)
        written = {f.name for f in model._meta.concrete_fields if not f.primary_key}
        free = {f.name for f in model._meta.concrete_fields if f.attname in model.SILENT_FIELDS | model.QUEUE_FIELDS}
        for name in written - free:
            with pytest.raises(PastTheTrail, match="Save each row"):
                rows.filter(pk=1).update(**{name: None})
        if not model.FROZEN:
            with pytest.raises(PastTheTrail):
                rows.bulk_create([model()])

    @pytest.mark.django_db
    def test_nor_in_bulk_by_another_name(self, world: Incident) -> None:
        contact = Contact.objects.latest("pk")
        contact.address = "eve@example.com"
        with pytest.raises(PastTheTrail), transaction.atomic():
            Contact.objects.bulk_update([contact], ["address"])
        with pytest.raises(PastTheTrail), transaction.atomic():
            world.deadlines.update(met_at=timezone.now())

    @pytest.mark.django_db
    def test_the_queue_s_own_columns_may(self, world: Incident) -> None:
        assert Notice.objects.update(state="pending", superseded_by=None, tries=0) == Notice.objects.count()
        assert world.deadlines.update(next_action_at=None) == world.deadlines.count()

    @pytest.mark.django_db
    def test_what_is_loaded_from_a_file_leaves_its_row_and_needs_its_reason(
        self, world: Incident, tmp_path: Path
    ) -> None:
        contact = Contact.objects.latest("pk")
        dump = json.loads(serializers.serialize("json", [contact]))
        dump[0]["fields"]["address"] = "eve@example.com"
        file = tmp_path / "contacts.json"
        file.write_text(json.dumps(dump))
        with pytest.raises(ReasonMissing), transaction.atomic():
            call_command("loaddata", str(file), verbosity=0)
        with acting(reason="Taken over from the old system."):
            call_command("loaddata", str(file), verbosity=0)
        assert contact.history.first().history_change_reason == "Taken over from the old system."

    @pytest.mark.django_db
    def test_a_save_that_changes_nothing_leaves_nothing(self, world: Incident) -> None:
        for model in AUDITED:
            row = row_of(model)
            before = row.history.count()
            row.save()
            assert row.history.count() == before, model

    @pytest.mark.django_db
    def test_a_new_password_is_named_and_not_kept(self, olga: User) -> None:
        olga.set_password("another-one-2026")
        olga.save()
        assert olga.history.first().changed_names == ["password"]


class TestWays:
    """Each leaves one row of what was changed, said to have come in by it."""

    @pytest.fixture
    def contact(self, world: Incident) -> Contact:
        return Contact.objects.latest("pk")

    def form_of(self, client: Client, **changes: str) -> dict[str, str]:
        contact = client.contacts.get()
        return {
            "name": client.name, "time_zone": client.time_zone, "language": client.language, "is_active": "on",
            "contacts-TOTAL_FORMS": "1", "contacts-INITIAL_FORMS": "1",
            "contacts-MIN_NUM_FORMS": "1", "contacts-MAX_NUM_FORMS": "1000",
            "contacts-0-id": str(contact.pk), "contacts-0-client": str(client.pk), "contacts-0-name": contact.name,
            "contacts-0-address": contact.address, "contacts-0-phone": "", "contacts-0-position": "1",
            "contacts-0-is_active": "on", **changes,
        }  # fmt: skip

    @pytest.mark.django_db
    def test_a_form_and_the_table_below_it(self, contact: Contact, max_: User) -> None:
        browser, client = cast.browser_of(max_), contact.client
        page = f"/admin/agreements/client/{client.pk}/change/"
        changes = {"name": "Northwind Traders", "contacts-0-address": "desk@northwind.example"}
        refused = browser.post(page, self.form_of(client, **changes))
        assert refused.status_code == 200
        assert "Say why this is changed" in refused.content.decode()
        before = (client.history.count(), contact.history.count())
        assert before == (1, 1)
        assert browser.post(page, self.form_of(client, **changes, reason=WHY)).status_code == 302
        (whole, _added), (part, _also_added) = client.history.all(), contact.history.all()
        assert (whole.changed_names, part.changed_names) == (["name"], ["address"])
        assert whole.request_id == part.request_id
        for row in (whole, part):
            assert (row.caller, row.history_user, row.actor_name) == (Caller.ADMIN, max_, "Max Weber (max)")
            assert row.history_change_reason == WHY

    @pytest.mark.django_db
    def test_a_form_that_changes_nothing_leaves_nothing(self, contact: Contact, max_: User) -> None:
        client = contact.client
        browser = cast.browser_of(max_)
        answer = browser.post(f"/admin/agreements/client/{client.pk}/change/", self.form_of(client))
        assert answer.status_code == 302
        assert (client.history.count(), contact.history.count()) == (1, 1)

    @pytest.mark.django_db
    def test_a_verb(self, world: Incident, olga: User) -> None:
        before = world.history.count()
        lifecycle.reclassify(world, "low", by=olga, now=timezone.now(), reason=WHY)
        row = world.history.first()
        assert world.history.count() == before + 1
        assert row.changed_names == ["severity", "classified_at"]
        assert (row.history_user, row.history_change_reason) == (olga, WHY)
        ended = Deadline.history.filter(incident=world, changed__contains=",ended_at,")
        assert {row.request_id for row in ended} == {row.request_id}

    @pytest.mark.django_db
    def test_a_worker(self, northwind: Any, olga: User, relay: Any) -> None:
        now = timezone.now()
        incident = lifecycle.declare(
            by=olga, now=now, title="Down", severity="critical", detected_at=now,
            services=[cast.service("Object storage")],
        )  # fmt: skip
        lifecycle.notify_client(incident, by=olga, now=now)
        outbox.deliver(now)
        row = Deadline.history.filter(incident=incident, changed__contains=",met_at,").get()
        assert (row.caller, row.history_user, row.actor_name) == (Caller.WORKER, None, "system: outbox.deliver")
        assert row.history_change_reason.startswith("Accepted by the mail server")
        notices.raise_due(now + dt.timedelta(hours=5))  # its own columns are no act of anybody
        assert Deadline.history.filter(incident=incident, caller=Caller.WORKER).count() == 1

    @pytest.mark.django_db
    def test_outside_of_everything_it_is_the_command(self, world: Incident) -> None:
        entry = TimelineEntry.objects.latest("pk")
        with acting(reason=WHY):
            entry.text = "Something else."
            entry.save()
        row = entry.history.first()
        assert (row.caller, row.actor_name) == (Caller.COMMAND, current_act().actor_name)

    def test_the_shell(self, seeded_sqlite: Path, tmp_path: Path) -> None:
        code = """
from agreements.models import Client, Contact
from config.history import PastTheTrail, ReasonMissing, acting
client = Client.objects.create(name="By hand", time_zone="UTC")
row = client.history.get()
print(row.caller, row.actor_name, row.history_user)
client.is_active = False
try:
    client.save()
except ReasonMissing as refusal:
    print(*refusal.messages)
try:
    Contact.objects.update(is_active=False)
except PastTheTrail as refusal:
    print(refusal)
with acting(reason="Left us."):
    client.save()
print(client.history.count(), client.history.first().history_change_reason)
"""
        with Processes(tmp_path) as processes:
            copy_sqlite(seeded_sqlite, processes)
            said = processes.manage("shell", "-v0", "-c", code).stdout
        who, refused, past, left = said.strip().splitlines()
        assert who.startswith("shell shell (")
        assert who.endswith(") None")
        assert refused.startswith("Say why this is changed (active)")
        assert past == "This would go past the audit trail of agreements.Contact. Save each row."
        assert left == "2 Left us."
