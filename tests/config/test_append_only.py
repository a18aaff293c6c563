"""What the database itself refuses: the trail is only added to, and what is kept is not deleted."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, connection, models, transaction

from agreements.models import Client, OpeningHours, ServiceAgreement
from config.audit import append_only, sources
from config.erased import ERASED
from config.history import acting
from config.models import User
from incidents.models import Notice
from tests import cast

pytestmark = pytest.mark.django_db

ADDED_ONLY = [pytest.param(model, id=model._meta.label) for model in sources.added_only()]
KEPT = [pytest.param(model, id=model._meta.label) for model in append_only.kept()]


def run(statement: str, *values: Any) -> None:
    """As somebody with a database console does it, past everything of ours."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)


def refused(statement: str, *values: Any) -> str:
    with pytest.raises(IntegrityError) as error:
        run(statement, *values)
    return str(error.value)


@pytest.fixture
def trail(northwind: ServiceAgreement) -> type[models.Model]:
    """A history with a row in it."""
    return sources.history_of(Client)


def test_every_table_is_shut_after_the_migrations() -> None:
    assert append_only.missing(connection) == []


@pytest.mark.parametrize("model", ADDED_ONLY)
def test_every_table_of_the_trail_has_its_triggers(model: type[models.Model]) -> None:
    names = {name for (table, name) in append_only._found(connection) if table == model._meta.db_table}
    assert {f"{model._meta.db_table}_unchanged", f"{model._meta.db_table}_undeleted"} <= names


def test_a_row_of_the_trail_is_not_changed(trail: type[models.Model]) -> None:
    said = refused("UPDATE agreements_historicalclient SET actor_name = 'somebody else'")
    assert "rows of agreements_historicalclient are never changed" in said
    with pytest.raises(IntegrityError), transaction.atomic():
        cast.past_the_trail(trail._default_manager, actor_name="somebody else")


def test_a_row_of_the_trail_is_not_deleted(trail: type[models.Model]) -> None:
    assert "are never deleted" in refused("DELETE FROM agreements_historicalclient")
    with pytest.raises(append_only.NeverDeleted), transaction.atomic():
        trail._default_manager.all().delete()


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL has no REPLACE.")
def test_a_row_of_the_trail_is_not_replaced(trail: type[models.Model]) -> None:
    said = refused("REPLACE INTO agreements_historicalclient SELECT * FROM agreements_historicalclient")
    assert "are never replaced" in said


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="Only PostgreSQL has TRUNCATE.")
@pytest.mark.parametrize("model", KEPT)
def test_what_is_kept_is_not_emptied_at_once(model: type[models.Model]) -> None:
    assert "are never deleted" in refused(f'TRUNCATE "{model._meta.db_table}" CASCADE')


@pytest.mark.parametrize("statement", ["DELETE FROM agreements_client", "DELETE FROM config_user"])
def test_what_is_kept_is_not_deleted(statement: str, northwind: ServiceAgreement, olga: User) -> None:
    assert "are never deleted: they belong to the audit trail" in refused(statement)


def test_who_leaves_is_not_deleted(olga: User) -> None:
    for delete in (olga.delete, User.objects.all().delete, User.objects.filter(pk=olga.pk).delete):
        with (
            pytest.raises(append_only.NeverDeleted, match="Nothing is deleted here: users stay"),
            transaction.atomic(),
        ):
            delete()
    assert User.objects.get() == olga


def test_a_line_of_something_may_be_taken_out_and_leaves_its_row_in_the_trail(contoso: ServiceAgreement) -> None:
    with acting(reason="Typing mistake"):
        OpeningHours.objects.earliest("pk").delete()
    removed = OpeningHours.history.first()
    assert (removed.history_type, removed.history_change_reason) == ("-", "Typing mistake")


class TestErasing:
    """The one change that a row of the trail allows: a personal value gives way to a fixed mark."""

    @pytest.fixture(autouse=True)
    def _personal(self, monkeypatch: pytest.MonkeyPatch, trail: Any) -> None:
        monkeypatch.setattr(Client, "PERSONAL", ("name",), raising=False)
        append_only.install(connection)

    def test_a_personal_value_gives_way_to_the_mark(self, trail: Any) -> None:
        run("UPDATE agreements_historicalclient SET name = %s", ERASED)
        assert trail._default_manager.get().name == ERASED

    def test_and_to_nothing_else(self) -> None:
        assert "are never changed" in refused("UPDATE agreements_historicalclient SET name = 'Southwind'")

    def test_and_nothing_changes_with_it(self) -> None:
        mark = ERASED
        refused("UPDATE agreements_historicalclient SET name = %s, actor_name = 'somebody else'", mark)
        refused("UPDATE agreements_historicalclient SET name = %s, history_user_id = 1", mark)
        refused("UPDATE agreements_historicalclient SET history_id = history_id + 1")

    def test_and_what_is_erased_does_not_come_back(self) -> None:
        run("UPDATE agreements_historicalclient SET name = %s", ERASED)
        refused("UPDATE agreements_historicalclient SET name = 'Northwind'")


class TestInstalling:
    def test_a_trigger_that_was_taken_away_or_bent_is_found_and_comes_back_with_the_next_migration(self) -> None:
        table = "agreements_historicalclient"
        on = f" ON {table}" if connection.vendor == "postgresql" else ""
        run(f"DROP TRIGGER {table}_unchanged{on}")
        run(f"DROP TRIGGER {table}_undeleted{on}")
        if connection.vendor == "postgresql":
            run(
                f"CREATE TRIGGER {table}_undeleted BEFORE DELETE ON {table} FOR EACH ROW WHEN (false)"
                f" EXECUTE FUNCTION {append_only._FUNCTION}()"
            )
        else:
            run(f"CREATE TRIGGER {table}_undeleted BEFORE DELETE ON {table} WHEN 0 BEGIN SELECT 1; END")
        assert append_only.missing(connection) == [f"{table}_unchanged", f"{table}_undeleted"]
        call_command("migrate", verbosity=0)
        assert append_only.missing(connection) == []

    @pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite cannot switch a trigger off.")
    def test_a_trigger_that_was_switched_off_is_found(self) -> None:
        run("ALTER TABLE agreements_historicalclient DISABLE TRIGGER USER")
        assert append_only.missing(connection) == [
            "agreements_historicalclient_unchanged",
            "agreements_historicalclient_undeleted",
        ]
        append_only.install(connection)
        assert append_only.missing(connection) == []

    @pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite's triggers call no function.")
    def test_a_function_that_does_nothing_is_found(self) -> None:
        run(
            f"CREATE OR REPLACE FUNCTION {append_only._FUNCTION}() RETURNS trigger LANGUAGE plpgsql"
            " AS $$ BEGIN RETURN NULL; END $$"
        )
        assert append_only.missing(connection) == [f"{append_only._FUNCTION}()"]
        append_only.install(connection)
        assert append_only.missing(connection) == []

    def test_a_migration_that_has_something_to_do_finds_the_tables_open_and_leaves_them_shut(self) -> None:
        """A step may fill a new column of old rows."""
        append_only.open_for_steps(using="default", plan=["a step"])
        assert append_only.missing(connection)
        append_only.shut_again(using="default")
        assert append_only.missing(connection) == []


class TestEmptying:
    def test_inside_the_block_a_test_may_make_a_loss_and_after_it_no_more(self, northwind: ServiceAgreement) -> None:
        with append_only.lifted(connection):
            sources.history_of(Client)._default_manager.all().delete()
            Notice.objects.all().delete()
        assert append_only.missing(connection) == []
        cast.client("Southwind", "UTC")
        refused("DELETE FROM agreements_historicalclient")

    def test_a_block_that_fails_leaves_the_tables_shut(self, trail: Any) -> None:
        with pytest.raises(DatabaseError), append_only.lifted(connection):  # noqa: PT012 - what went before it is undone
            trail._default_manager.all().delete()
            run("nonsense")
        assert append_only.missing(connection) == []
        assert trail._default_manager.exists()

    def test_a_database_that_is_not_a_test_s_is_not_emptied(self, trail: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(append_only, "is_disposable", lambda _connection: False)
        with pytest.raises(CommandError, match="its audit trail is never emptied"):
            call_command("flush", interactive=False, verbosity=0)
        assert trail._default_manager.exists()

    @pytest.mark.parametrize(
        ("name", "is_disposable"),
        [
            ("/var/lib/due-notice/db.sqlite3", False),
            ("due_notice", False),
            ("latest_due_notice", False),
            ("test_1", True),
        ],
    )
    def test_a_test_s_database_is_known_by_its_name(
        self, name: str, is_disposable: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connection, "is_in_memory_db", lambda: False, raising=False)
        monkeypatch.setitem(connection.settings_dict, "NAME", name)
        assert append_only.is_disposable(connection) is is_disposable


@pytest.mark.django_db(transaction=True)
def test_a_test_that_commits_has_its_database_emptied_after_it(northwind: ServiceAgreement) -> None:
    call_command("flush", interactive=False, verbosity=0)
    assert not sources.history_of(Client)._default_manager.exists()
    assert append_only.missing(connection) == []
