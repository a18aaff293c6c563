"""Rows of the trail are sealed each minute, and what an insider does to them afterwards is found and named."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from pytest_django import Settings

from agreements.models import Client
from config import tasks
from config.audit import anchors, append_only, canonical, seals, sources, verification
from config.celery import app as celery
from config.models import Seal, SealedRange, User
from tests import cast

pytestmark = pytest.mark.django_db

MINUTE = dt.timedelta(minutes=1)


def change(client: Client, name: str) -> int:
    """A change as the product makes it; the key of its history row."""
    client.name = name
    client.save()
    return int(client.history.latest().pk)


def as_owner(statement: str, *values: Any) -> None:
    """What the owner of the tables can do, who takes the triggers away and puts them back."""
    with append_only.lifted(connection), connection.cursor() as cursor:
        cursor.execute(statement, values)


def found() -> list[str]:
    return [str(finding) for finding in verification.verify().findings]


@pytest.fixture
def northwind_client(db: None) -> Client:
    return cast.client("Northwind", "UTC", "ops@northwind.example")


@pytest.fixture
def three(northwind_client: Client) -> list[int]:
    """Three sealed changes of one client's name, the last two in a seal of their own."""
    first = change(northwind_client, "Northwind one")
    seals.seal()
    rows = [first, change(northwind_client, "Northwind two"), change(northwind_client, "Northwind three")]
    seals.seal()
    return rows


# ── sealing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_added_is_sealed_once_and_each_seal_goes_on_from_the_one_before(northwind_client: Client) -> None:
    before = seals.seal()
    change(northwind_client, "Northwind Traders")
    assert (before, seals.seal(), seals.seal()) == (2, 1, 0)
    second, first = Seal.objects.all()
    assert (first.number, second.number, second.previous, second.total) == (1, 2, first.digest, before + 1)
    assert second.since_at == first.cut_at
    assert found() == []


def test_a_minute_in_which_nothing_happened_has_its_seal_and_a_second_sealer_adds_none(
    northwind_client: Client,
) -> None:
    seals.seal()
    seals.seal()
    assert Seal.objects.count() == 1
    as_owner("UPDATE config_seal SET cut_at = %s", timezone.now() - MINUTE)
    seals.seal()
    assert Seal.objects.count() == 2


def test_a_long_backlog_is_sealed_in_parts_that_take_nothing_for_backdated(
    northwind_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seals, "ROWS", 3)
    for number in range(7):
        change(northwind_client, f"Northwind {number}")
    assert seals.seal() == 9
    assert list(Seal.objects.order_by("number").values_list("rows", "is_whole")) == [(3, False), (3, False), (3, True)]
    assert seals.seal() == 0
    assert found() == []


def test_every_table_that_only_grows_is_sealed_by_a_rising_key_or_proves_itself() -> None:
    unsealed = {model._meta.label for model in sources.added_only()} - {m._meta.label for m in sources.sealed()}
    assert unsealed == {"config.Examination", "config.Seal", "config.SealedRange", "incidents.TermsCopy"}
    assert all(model._meta.pk.get_internal_type() == "BigAutoField" for model in sources.sealed())


# ── the bytes ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_row_has_the_same_bytes_on_every_database(settings: Settings) -> None:
    settings.SEAL_KEY = "k" * 40
    berlin = dt.timezone(dt.timedelta(hours=1))
    row = sources.history_of(User).objects.create(
        history_id=7,
        history_date=dt.datetime(2026, 11, 24, 12, 0, 0, 1200, tzinfo=berlin),
        history_type="+",
        request_id=uuid.UUID(int=5),
        actor_name="Zoë “Ada”",
        caller="shell",
        id=3,
        username="zoë",
        is_staff=True,
        date_joined=dt.datetime(2026, 11, 24, 12, tzinfo=berlin),
    )
    history: Any = sources.history_of(User)
    form = canonical.Form(history, canonical.columns(history), canonical.fingerprint("k" * 40))
    ((pk, digest, _at),) = form.digests(6, 7)
    assert (pk, digest.hex()) == (7, "b3f7ab1d2754ba8b71a69dcf9fb130a2")
    content = {"b": [{"d": 1, "c": None}], "a": "ü", "at": row.history_date, "n": Decimal("1.50"), "t": dt.time(9, 30)}
    assert canonical.encoded(content) == (
        b'{"a":"\\u00fc","at":"2026-11-24T11:00:00.001200+00:00","b":[{"c":null,"d":1}],'
        b'"n":"1.50","t":"09:30:00.000000"}'
    )


def test_a_column_that_is_added_later_changes_nothing_that_was_sealed(three: list[int]) -> None:
    history = sources.history_of(Client)
    by = next(iter(canonical.keys()))
    form = canonical.Form(history, "history_id,name", by)
    before = list(form.digests(None, three[-1]))
    as_owner("UPDATE agreements_historicalclient SET time_zone = 'Europe/Berlin'")
    assert list(form.digests(None, three[-1])) == before
    with pytest.raises(canonical.ColumnGone, match="fax"):
        canonical.Form(history, "fax,history_id,name", by)


def test_what_names_a_person_enters_by_a_key_and_can_be_given_up_for_its_digest(
    northwind_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    contact = northwind_client.contacts.get()
    contact.is_active = False  # one that is erased gets no mail
    cast.save(contact)
    seals.seal()
    rows = list(contact.history.all())
    history = type(rows[0])
    kept = {(row.pk, "address"): canonical.stand_in(history, "address", contact.address) for row in rows}
    as_owner("UPDATE agreements_historicalcontact SET address = '[erased]'")
    as_owner("UPDATE agreements_contact SET address = '[erased]'")
    assert len(found()) == len(rows)
    monkeypatch.setattr(canonical, "_registered", [lambda model, after, upto: kept if model is history else {}])
    assert found() == []
    assert contact.address not in str(kept)


# ── what an insider tries ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_changed_row_is_named_with_its_object_and_its_seal(three: list[int]) -> None:
    as_owner("UPDATE agreements_historicalclient SET name = 'Nobody' WHERE history_id = %s", three[0])
    (finding,) = found()
    assert f"agreements.HistoricalClient {three[0]}, of client" in finding
    assert "“Northwind three”: changed after it was sealed" in finding
    assert "(seal 1)" in finding


@pytest.mark.parametrize("column", ["history_date", "actor_name", "history_change_reason", "changed", "caller"])
def test_a_change_of_any_column_is_found(three: list[int], column: str) -> None:
    value: object = timezone.now() if column == "history_date" else "other"
    statement = f"UPDATE agreements_historicalclient SET {column} = %s WHERE history_id = %s"  # noqa: S608
    as_owner(statement, value, three[1])
    assert ["changed after it was sealed" in finding for finding in found()] == [True]


def test_a_removed_row_is_named(three: list[int]) -> None:
    as_owner("DELETE FROM agreements_historicalclient WHERE history_id = %s", three[1])
    (finding,) = found()
    assert f"agreements.HistoricalClient {three[1]}: removed after it was sealed" in finding


def copied(key: int, *, as_key: int, dated: dt.datetime | None = None) -> None:
    row = sources.history_of(Client).objects.get(pk=key)
    row.pk, row.history_date, row._state.adding = as_key, dated or row.history_date, True
    row.save(force_insert=True)


def test_a_row_that_is_slipped_into_a_gap_of_the_keys_is_named(northwind_client: Client) -> None:
    first = change(northwind_client, "One")
    copied(first, as_key=first + 5)  # as after four transactions that were rolled back
    seals.seal()
    assert found() == []
    copied(first, as_key=first + 2)
    (finding,) = found()
    assert f"agreements.HistoricalClient {first + 2}, of client" in finding
    assert "slipped in after this range of keys was sealed" in finding


def test_a_row_that_bears_an_instant_from_before_the_last_seal_is_named(three: list[int]) -> None:
    copied(three[-1], as_key=three[-1] + 1, dated=timezone.now() - MINUTE)
    seals.seal()
    (finding,) = found()
    assert "slipped into the past: it says that it is of " in finding
    assert "(seal 3)" in finding


def test_a_row_that_is_dated_ahead_is_named(three: list[int]) -> None:
    copied(three[-1], as_key=three[-1] + 1, dated=timezone.now() + MINUTE)
    seals.seal()
    (finding,) = found()
    assert "dated after its seal" in finding


def test_the_first_row_in_the_order_of_the_seals_comes_first(northwind_client: Client) -> None:
    User.objects.create(username="olga")
    seals.seal()
    later = change(northwind_client, "Northwind later")
    seals.seal()
    as_owner("UPDATE agreements_historicalclient SET actor_name = 'x' WHERE history_id = %s", later)
    as_owner("UPDATE config_historicaluser SET actor_name = 'x'")
    assert [finding.seal for finding in verification.verify().findings] == [1, 2]


@pytest.mark.parametrize("column", ["cut_at", "rows", "total", "digest", "mac", "is_whole"])
def test_an_altered_seal_is_named(three: list[int], column: str) -> None:
    value = {"cut_at": timezone.now() - MINUTE, "digest": "0" * 64, "mac": "0" * 64, "is_whole": False}.get(column, 99)
    as_owner(f"UPDATE config_seal SET {column} = %s WHERE number = 1", value)  # noqa: S608
    assert found()[0].startswith("Seal 1 of ")


def test_a_row_that_is_changed_together_with_its_digest_in_the_seal_is_found(three: list[int]) -> None:
    as_owner("UPDATE agreements_historicalclient SET name = 'x' WHERE history_id = %s", three[0])
    part = SealedRange.objects.get(seal=1, table="agreements.historicalclient")
    form = canonical.Form(sources.history_of(Client), part.columns, part.seal.key)
    rows = [(key, digest) for key, digest, _at in form.digests(part.after, part.upto)]
    digests = b"".join(seals.ROW.pack(*row) for row in rows)
    as_owner("UPDATE config_sealedrange SET digests = %s WHERE id = %s", digests, part.pk)
    assert [finding.partition(" of ")[0] for finding in found()] == ["Seal 1"]
    seal = Seal.objects.get(number=1)
    as_owner("UPDATE config_seal SET digest = %s WHERE number = 1", seals.digest(seal, seal.ranges.all()))
    assert [finding.partition(": ")[2] for finding in found()] == [
        "forged: its signature is not by the key that it names (seal 1)",
        "it does not name the seal before it: one of the two is not the original (seal 2)",
    ]


def test_a_seal_that_was_removed_with_its_rows_is_named(three: list[int]) -> None:
    client = Client.objects.get()
    change(client, "Northwind four")
    seals.seal()
    as_owner("DELETE FROM config_sealedrange WHERE seal_id = 2")
    as_owner("DELETE FROM config_seal WHERE number = 2")
    as_owner("DELETE FROM agreements_historicalclient WHERE history_id IN (%s, %s)", *three[1:])
    assert found() == ["Seal 2: removed (seal 2)"]


def test_a_range_that_would_keep_the_sealer_from_a_table_is_found(three: list[int]) -> None:
    part = SealedRange.objects.get(seal=2)
    SealedRange.objects.create(
        seal_id=1, table="config.historicaluser", after=0, upto=2**40, rows=0, columns=part.columns, digests=b""
    )
    assert found()[0].startswith("Seal 1 of ")


def test_a_range_of_no_seal_is_found(three: list[int]) -> None:
    append_only.remove(connection)
    stray = SealedRange.objects.create(
        seal_id=99, table="config.historicaluser", after=0, upto=2**40, rows=0, columns="", digests=b""
    )
    assert [finding for finding in found() if "trigger" not in finding] == [
        f"The range config.historicaluser 0–{2**40}: it says that rows are sealed, and there is no such seal (seal 99)"
    ]
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM config_sealedrange WHERE id = %s", [stray.pk])


def test_another_key_is_named_and_a_former_key_is_no_harm(three: list[int], settings: Settings) -> None:
    settings.SEAL_KEY, former = "another key, " * 4, settings.SEAL_KEY
    (finding,) = found()
    assert "which is neither SEAL_KEY nor one of SEAL_KEY_FALLBACKS" in finding
    assert former not in finding
    settings.SEAL_KEY_FALLBACKS = [former]
    change(Client.objects.get(), "Northwind four")
    seals.seal()
    assert found() == []
    assert len(set(Seal.objects.values_list("key", flat=True))) == 2


# ── what is live ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_update_past_the_trail_is_found(three: list[int]) -> None:
    cast.past_the_trail(Client.objects, name="Nobody")
    (finding,) = found()
    assert finding.endswith("“Nobody”: differs from its newest history row: name")


def test_a_row_that_is_added_or_removed_past_the_trail_is_found(three: list[int]) -> None:
    cast.add_past_the_trail(Client.objects, [Client(name="Nobody", time_zone="UTC")])
    as_owner("DELETE FROM agreements_contact")
    added, removed = found()
    assert added.endswith("“Nobody”: there is no history of it: written past the trail")
    assert "agreements.Contact" in removed
    assert "removed past the trail" in removed


def test_a_role_that_is_given_past_the_trail_is_found(max_: User) -> None:
    group = max_.groups.get()
    assert found() == []
    other = User.objects.create(username="eve")
    as_owner("INSERT INTO config_user_groups (user_id, group_id) VALUES (%s, %s)", other.pk, group.pk)
    as_owner("DELETE FROM config_user_groups WHERE user_id = %s", max_.pk)
    assert [finding.rpartition(": ")[2] for finding in found()] == [
        f"group {group.pk} was taken away past the trail",
        f"group {group.pk} was given past the trail",
    ]


# ── anchors ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def head() -> anchors.Anchor:
    newest = Seal.objects.first()
    assert newest is not None
    return anchors.of(newest)


def cut_tail() -> None:
    as_owner("DELETE FROM config_sealedrange WHERE seal_id = 2")
    as_owner("DELETE FROM config_seal WHERE number = 2")
    as_owner("DELETE FROM agreements_historicalclient WHERE name <> 'Northwind one'")
    as_owner("UPDATE agreements_client SET name = 'Northwind one'")


def test_a_tail_that_was_cut_off_is_found_by_an_anchor_alone(three: list[int]) -> None:
    anchor = head()
    assert list(anchors.check(anchor)) == []
    cut_tail()
    as_owner("DELETE FROM agreements_historicalclient WHERE history_type = '+'")  # see the first seal
    (finding,) = anchors.check(anchor)
    assert "the newest seal here is 1: what was sealed since then was cut off, or an older copy" in str(finding)


def test_an_old_copy_that_went_on_is_found_by_an_anchor(three: list[int]) -> None:
    anchor = head()
    cut_tail()
    change(Client.objects.get(), "Northwind never late")
    seals.seal()
    (finding,) = anchors.check(anchor)
    assert "the seal with that number is another one" in str(finding)


def test_an_anchor_is_read_back_from_a_mail_that_quotes_it(three: list[int]) -> None:
    mail = "Subject: anchor\n\n" + "\n".join(f"> {line}" for line in str(head()).splitlines()) + "\nRegards\n"
    assert anchors.read(mail + str(head())) == [head(), head()]
    assert anchors.read("number: 5\n") == []


def test_an_anchor_that_was_altered_where_it_was_kept_is_told(three: list[int]) -> None:
    (anchor,) = anchors.read(str(head()).replace("rows: 5", "rows: 4"))
    (finding,) = anchors.check(anchor)
    assert "not by us, or altered where it was kept" in str(finding)


# ── from the command line, and the watch ────────────────────────────────────────────────────────────────────────────


def test_the_command_seals_verifies_and_anchors(
    northwind_client: Client, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    call_command("audit", "seal")
    call_command("audit", "anchor")
    said = capsys.readouterr().out
    assert said.startswith("2 rows sealed.\n")
    (tmp_path / "anchor").write_text(said)
    call_command("audit", "verify", "--anchor", str(tmp_path / "anchor"))
    assert "Nothing was changed, removed or slipped in since it was sealed." in capsys.readouterr().out
    cast.past_the_trail(Client.objects, name="Nobody")
    with pytest.raises(CommandError, match="Not as it was sealed: 1 found") as refused:
        call_command("audit", "verify")
    assert refused.value.returncode == 1
    (tmp_path / "nothing").write_text("number: 1")
    with pytest.raises(CommandError, match="nothing holds no anchor"):
        call_command("audit", "verify", "--anchor", str(tmp_path / "nothing"))


def test_rows_that_wait_too_long_for_their_seal_are_a_problem(northwind_client: Client) -> None:
    now = timezone.now()
    assert seals.problems(now + 9 * MINUTE) == []
    (problem,) = seals.problems(now + 12 * MINUTE)
    assert (problem.key, problem.is_red) == ("trail-unsealed", False)
    seals.seal()
    assert seals.problems(now + 12 * MINUTE) == []


def test_a_trail_of_years_that_gets_its_first_seal_now_is_no_problem_yet(northwind_client: Client) -> None:
    now = timezone.now()
    as_owner("UPDATE agreements_historicalclient SET history_date = %s", now - dt.timedelta(days=600))
    MigrationRecorder.Migration.objects.update(applied=now)  # by the upgrade that brought the seals
    assert seals.problems(now) == []
    (problem,) = seals.problems(now + 31 * MINUTE)
    assert "wait for 3" in problem.sentence


def test_the_watch_asks_little_while_the_trail_is_sealed(
    northwind_client: Client, django_assert_num_queries: Callable[[int], Any]
) -> None:
    seals.seal()
    with django_assert_num_queries(1):
        seals.problems(timezone.now())


def test_every_bell_that_the_beat_rings_has_its_task(settings: Settings) -> None:
    celery.loader.import_default_modules()
    assert {bell["task"] for bell in settings.CELERY_BEAT_SCHEDULE.values()} <= set(celery.tasks)


def test_the_bell_seals(northwind_client: Client) -> None:
    tasks.keep_trail()
    assert Seal.objects.get().rows == 2
