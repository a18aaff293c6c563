"""The product as a PostgreSQL role that owns nothing: all of its work is done, and the trail can only be added to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.journeys.conftest import Product

DENIED = psycopg.errors.InsufficientPrivilege


@contextmanager
def console(product: Product) -> Iterator[psycopg.Connection]:
    """A database console, signed in as the product is; nothing of what is done there stays."""
    with psycopg.connect(product.processes.env["DATABASE_URL"]) as connection:
        yield connection
        connection.rollback()


def test_an_incident_runs_from_declared_to_closed_and_its_clients_are_told(real_product: Product) -> None:
    real_product.start_workers("worker")
    real_product.act("declare()")
    real_product.act("notify_all()")
    real_product.processes.wait_until(
        lambda: set(real_product.facts()["notify_met"]) == {"Contoso", "Northwind"}, 40, "the clients were told"
    )
    real_product.act("close_all()")
    real_product.act("look_around()")
    assert real_product.facts()["statuses"] == ["closed"]
    real_product.processes.manage("audit", "seal")
    assert "Nothing was changed, removed or slipped in" in real_product.processes.manage("audit", "verify").stdout
    with console(real_product) as database:
        kept = database.execute("SELECT status FROM incidents_historicalincident ORDER BY history_id").fetchall()
    assert [status for (status,) in kept][-3:] == ["acknowledged", "resolved", "closed"]


#: Each is a way in which the trail could be bent.
BENT = {
    "a row changed": "UPDATE incidents_historicalincident SET resolved_at = now()",
    "a row removed": "DELETE FROM incidents_historicaldeadline",
    "a table emptied": "TRUNCATE incidents_deliveryattempt",
    "an event removed": "DELETE FROM config_event",
    "an incident removed": "DELETE FROM incidents_incident",
    "incidents emptied": "TRUNCATE incidents_incident CASCADE",
    "a colleague removed": "DELETE FROM config_user",
    "a role widened": "INSERT INTO auth_group_permissions (group_id, permission_id) VALUES (1, 1)",
    "a trigger removed": "DROP TRIGGER incidents_historicalincident_unchanged ON incidents_historicalincident",
    "a trigger switched off": "ALTER TABLE incidents_historicalincident DISABLE TRIGGER USER",
    "another trigger": "CREATE TRIGGER mine BEFORE INSERT ON incidents_historicalincident"
    " FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "the function replaced": "CREATE OR REPLACE FUNCTION due_notice_append_only() RETURNS trigger LANGUAGE plpgsql"
    " AS $$ BEGIN RETURN OLD; END $$",
    "the function removed": "DROP FUNCTION due_notice_append_only CASCADE",
    "the table taken over": "ALTER TABLE incidents_historicalincident OWNER TO CURRENT_USER",
    "the table removed": "DROP TABLE incidents_historicalincident",
    "triggers passed by": "SET session_replication_role = replica",
    "a rule instead": "CREATE RULE mine AS ON INSERT TO incidents_historicalincident DO INSTEAD NOTHING",
    "the owner's name taken": "SET ROLE postgres",
}


def test_what_could_bend_the_trail_is_denied(real_product: Product) -> None:
    done = []
    for what, statement in BENT.items():
        with console(real_product) as database, contextlib.suppress(DENIED):
            database.execute(statement.encode())
            done.append(what)
    assert done == []


def test_a_grant_to_itself_is_worth_nothing(real_product: Product) -> None:
    with console(real_product) as database:
        database.execute("GRANT UPDATE ON incidents_historicalincident TO CURRENT_USER")  # PostgreSQL only warns
        with pytest.raises(DENIED):
            database.execute("UPDATE incidents_historicalincident SET resolved_at = now()")


def test_who_is_no_role_or_may_do_anything_is_refused(real_product: Product, postgres_url: str) -> None:
    env = {"DATABASE_URL": postgres_url}  # as the owner
    for role, sentence in (
        ("nobody_at_all", "There is no role nobody_at_all. Make it first"),
        ("postgres", "postgres is a superuser, whom no grant holds back"),
        ("x; DROP TABLE config_user", "The name of a role is written in small letters"),
    ):
        done = real_product.processes.manage("audit", "grants", "--role", role, "--apply", env=env, check=False)
        assert done.returncode == 1
        assert sentence in done.stderr
