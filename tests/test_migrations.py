"""An upgrade is made while the old release works: migrations expand first, contract a release later, lock nothing long.

What old code does not expect must not be asked of it, what it still reads must not go, and no table that grows may be
locked while its rows are read or written. A rule that cannot see so much asks for a reason in EXEMPT.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from django.db import connection, migrations, models
from django.db.migrations.exceptions import NodeNotFoundError
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ProjectState

from config.concurrently import AddCheckConcurrently, AddIndexConcurrently, FillHistory, StopFillingHistory
from config.history import history_of
from config.models import User
from config.roles import grant

#: The newest of each app when the rules were made; no installation has data that is older.
BASELINE = {"agreements": 3, "config": 2, "incidents": 2, "reviews": 2}

#: (app, migration): why what it does is harmless where the rules say otherwise, and in which release the old code went.
EXEMPT: dict[tuple[str, str], str] = {
    (
        "incidents",
        "0003_alarm_about_no_incident",
    ): "It lets in all that the one did whose place it takes.",
    (
        "reviews",
        "0003_statement_of_a_month",
    ): "The code before it says the first day, too.",
}

CONTRACTS = (
    migrations.RemoveField,
    migrations.DeleteModel,
    migrations.RenameField,
    migrations.RenameModel,
    migrations.AlterModelTable,
)

CONCURRENT = (AddIndexConcurrently, AddCheckConcurrently)


def dangers(migration: migrations.Migration, state: ProjectState) -> list[str]:
    """A sentence for each step that would hurt a release that works meanwhile; `state` is that before it."""
    app, state, found = migration.app_label, state.clone(), []
    made: set[str] = set()  # tables of this migration, in which nothing is yet
    for step in _steps(migration.operations):
        before = state.clone()
        step.state_forwards(app, state)
        if isinstance(step, migrations.CreateModel):
            made.add(step.name_lower)
        elif getattr(step, "model_name_lower", None) not in made:
            found += [f"{app}.{migration.name}: {step.describe()}: {why}" for why in _why(step, app, before, state)]
    if any(isinstance(step, CONCURRENT) for step in migration.operations) and migration.atomic:
        found.append(f"{app}.{migration.name}: what is made concurrently is so outside a transaction: atomic = False.")
    found += [f"{app}.{migration.name}: {why}" for why in _why_together(migration, made)]
    return found


def _steps(operations: Sequence[Operation]) -> Iterator[Operation]:
    for step in operations:
        if isinstance(step, migrations.SeparateDatabaseAndState):
            yield from _steps(step.database_operations)
        else:
            yield step


def _why(step: Operation, app: str, before: ProjectState, after: ProjectState) -> Iterator[str]:
    if isinstance(step, CONTRACTS):
        yield "the old release still uses it; take it away a release after the last that does"
    elif isinstance(step, migrations.AddIndex) and not isinstance(step, AddIndexConcurrently):
        yield "nobody can write meanwhile; config.concurrently.AddIndexConcurrently lets them"
    elif isinstance(step, AddCheckConcurrently):
        yield "no rule can see whether the old release writes what it refuses"
    elif isinstance(step, migrations.AddConstraint):
        yield "nobody can write while it looks at every row; config.concurrently.AddCheckConcurrently lets them"
    elif isinstance(step, migrations.RunSQL) or (isinstance(step, migrations.RunPython) and not _is_grant(step)):
        yield "no rule can see how many rows it reads or writes at once"
    elif isinstance(step, migrations.AddField):
        yield from _of_new(step.field)
    elif isinstance(step, migrations.AlterField):
        old, new = (state.apps.get_model(app, step.model_name)._meta.get_field(step.name) for state in (before, after))
        yield from _of_change(old, new)


def _why_together(migration: migrations.Migration, made: set[str]) -> Iterator[str]:
    steps = list(_steps(migration.operations))
    changed = [(step.model_name_lower, step.name) for step in steps if isinstance(step, migrations.AddField)]
    filled = {(f"historical{step.model_name}", step.name) for step in steps if isinstance(step, FillHistory)}
    for table, name in changed:
        if table.startswith("historical") and table not in made and (table, name) not in filled:
            yield f"{table}.{name} is left out of the rows that the old release adds: FillHistory"
    first, *others = dict.fromkeys(table for table, _name in changed if table not in made) or [""]
    if migration.atomic and others not in ([], [f"historical{first}"]):
        yield "who works on one of its tables and waits for another is thrown out: one a migration, then its history"


def _is_grant(step: migrations.RunPython) -> bool:
    return step.code.__module__ == grant.__module__


def _of_new(field: Any) -> Iterator[str]:
    if field.many_to_many:
        return  # a table of its own
    if not field.null and not field.has_db_default():
        yield "rows that the old release adds have no value: null=True or db_default="
    if isinstance(field, models.GeneratedField):
        yield "every row is written anew"
    if field.unique or field.db_index:
        yield "an index is made while nobody can write: db_index=False here, then AddIndexConcurrently"


def _of_change(old: Any, new: Any) -> Iterator[str]:
    if old.db_type(connection) != new.db_type(connection) and not _only_grows(old, new):
        yield "every row is written anew, and the old release expects the old type"
    if old.null and not new.null:
        yield "every row is looked at, and the old release may still leave it out"
    if (new.unique and not old.unique) or (new.db_index and not old.db_index):
        yield "an index is made while nobody can write: AddIndexConcurrently does not"


def _only_grows(old: Any, new: Any) -> bool:
    is_text = isinstance(old, models.CharField) and isinstance(new, models.CharField)
    return is_text and (new.max_length or 0) > (old.max_length or 0)


# ── ours ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_no_migration_since_the_baseline_hurts_the_release_before_it() -> None:
    loader = MigrationLoader(None)
    found = {
        (app, name): problems
        for (app, name), migration in loader.disk_migrations.items()
        if app in BASELINE and int(name[:4]) > BASELINE[app]
        if (problems := dangers(migration, _state_before(loader, app, name)))
    }
    assert {key: problems for key, problems in found.items() if key not in EXEMPT} == {}
    assert set(EXEMPT) <= set(found), "an exemption that nothing needs"


@pytest.mark.django_db
@pytest.mark.parametrize("app", BASELINE)
def test_a_database_that_has_run_only_some_of_what_was_made_one_is_refused(app: str) -> None:
    replaced = MigrationLoader(connection).disk_migrations[app, "0001_tables"].replaces
    MigrationRecorder(connection).record_unapplied(*replaced[-1])
    with pytest.raises(NodeNotFoundError, match="some of the replaced migrations are already applied"):
        MigrationLoader(connection)


def _state_before(loader: MigrationLoader, app: str, name: str) -> ProjectState:
    return loader.project_state([(app, name)], at_end=False)


# ── planted ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def state() -> ProjectState:
    """All tables as they are after the newest migrations."""
    return MigrationLoader(None).project_state()


def planted(*operations: Operation, atomic: bool = True) -> migrations.Migration:
    kind = type("Migration", (migrations.Migration,), {"operations": list(operations), "atomic": atomic})
    migration: migrations.Migration = kind("0999_planted", "incidents")
    return migration


def index() -> models.Index:
    return models.Index(fields=["title"], name="incident_title")


def check(refused: str = "") -> models.CheckConstraint:
    return models.CheckConstraint(condition=~models.Q(title=refused), name="planted")


TABLE = "incident"
NEW_TABLE = migrations.CreateModel("Planted", [("id", models.BigAutoField(primary_key=True))])
SHORT = models.CharField(max_length=20)


@pytest.mark.parametrize(
    "step",
    [
        migrations.AddField(TABLE, "planted", SHORT),
        migrations.AddField(TABLE, "planted", models.CharField(max_length=20, default="")),
        migrations.AddField(TABLE, "planted", models.CharField(max_length=20, null=True, unique=True)),
        migrations.AddField(TABLE, "planted", models.ForeignKey("config.User", models.PROTECT, null=True)),
        migrations.AlterField(TABLE, "title", models.IntegerField()),
        migrations.AlterField(TABLE, "title", models.CharField(max_length=5)),
        migrations.AlterField(TABLE, "resolved_at", models.DateTimeField()),
        migrations.AlterField(TABLE, "title", models.CharField(max_length=200, db_index=True)),
        migrations.RemoveField(TABLE, "title"),
        migrations.RenameField(TABLE, "title", "heading"),
        migrations.RenameModel("Incident", "Event"),
        migrations.DeleteModel("Heartbeat"),
        migrations.AlterModelTable(TABLE, "elsewhere"),
        migrations.AddIndex(TABLE, index()),
        migrations.AddConstraint(TABLE, check()),
        migrations.RunPython(migrations.RunPython.noop),
        migrations.RunSQL("UPDATE incidents_incident SET title = title"),
        migrations.SeparateDatabaseAndState([migrations.RemoveField(TABLE, "title")]),
        AddIndexConcurrently(TABLE, index()),  # in a transaction
    ],
    ids=lambda step: step.describe(),
)
def test_what_hurts_is_found(state: ProjectState, step: Operation) -> None:
    assert len(dangers(planted(step), state)) == 1


NEW, OF_HISTORY, OF_ANOTHER = (
    migrations.AddField(table, "planted", models.CharField(max_length=20, null=True))
    for table in (TABLE, f"historical{TABLE}", "deadline")
)
FILL = FillHistory(TABLE, "planted")


@pytest.mark.parametrize("steps", [[NEW, OF_HISTORY], [OF_HISTORY, NEW, FILL], [NEW, OF_ANOTHER]])
def test_what_hurts_together_is_found(state: ProjectState, steps: list[Operation]) -> None:
    assert len(dangers(planted(*steps), state)) == 1


def test_a_check_is_weighed_by_a_person_and_made_outside_a_transaction(state: ProjectState) -> None:
    step = AddCheckConcurrently(TABLE, check())
    assert [len(dangers(planted(step, atomic=atomic), state)) for atomic in (False, True)] == [1, 2]


@pytest.mark.parametrize(
    "steps",
    [
        [NEW],
        [NEW, OF_HISTORY, FILL],
        [migrations.AddField(TABLE, "planted", models.CharField(max_length=20, db_default="", default=""))],
        [migrations.AlterField(TABLE, "title", models.CharField("what happened", max_length=1000))],
        [migrations.AlterField("deadline", "incident", models.ForeignKey("incidents.Incident", models.CASCADE))],
        [NEW_TABLE, migrations.AddField("planted", "name", SHORT)],
        [NEW_TABLE, migrations.AddIndex("planted", models.Index(fields=["id"], name="planted_id"))],
        [grant("incidents", {})],
    ],
    ids=lambda steps: steps[-1].describe(),
)
def test_what_hurts_nobody_is_let_pass(state: ProjectState, steps: list[Operation]) -> None:
    assert dangers(planted(*steps), state) == []


@pytest.mark.django_db
@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="On SQLite no two releases work side by side.")
def test_history_is_filled_whoever_writes_it_until_nobody_needs_that(state: ProjectState, olga: User) -> None:
    """As if the name were new, and the old release left it out."""
    connection.check_constraints()  # PostgreSQL alters no table of which it still has to check a row
    kept = history_of(User)
    for step, said in ((FillHistory, "Olga"), (StopFillingHistory, "")):
        with connection.schema_editor() as editor:
            step("user", "first_name").database_forwards("config", editor, state, state)
        row = kept.objects.latest("pk")
        row.pk, row.first_name = None, ""
        row.save()
        assert kept.objects.latest("pk").first_name == said


@pytest.mark.django_db(transaction=True)
def test_indexes_and_checks_are_made_beside_their_users_on_either_database(state: ProjectState) -> None:
    """A check takes the place of one of its name, and what was broken off can be run again."""
    steps = [AddIndexConcurrently(TABLE, index()), *(AddCheckConcurrently(TABLE, check(word)) for word in ("a", "b"))]
    assert dangers(planted(steps[0], atomic=False), state) == []
    states = [state]
    for step in steps:
        states.append(states[-1].clone())
        step.state_forwards("incidents", states[-1])

    def go(number: int, *, back: bool = False) -> tuple[bool, str]:
        """One step; whether the index is there then, and which check."""
        before, after = states[number : number + 2]
        with connection.schema_editor(atomic=False) as editor:
            if back:
                steps[number].database_backwards("incidents", editor, after, before)
            else:
                steps[number].database_forwards("incidents", editor, before, after)
        with connection.cursor() as cursor:
            names = connection.introspection.get_constraints(cursor, "incidents_incident")
            cursor.execute(
                "SELECT sql FROM sqlite_master WHERE name = 'incidents_incident'"
                if connection.vendor == "sqlite"
                else "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'planted'"
            )
            told = " ".join(text for (text,) in cursor.fetchall())
        assert "NOT VALID" not in told
        checks = [word for word in ("a", "b") if f"'{word}'" in told and "planted" in names]
        return "incident_title" in names, "".join(checks)

    try:
        assert go(0) == (True, "")
        assert go(1) == (True, "a")
        assert go(2) == go(2) == (True, "b")
        assert go(2, back=True) == (True, "a")
    finally:
        go(1, back=True)
        left = go(0, back=True)
    assert left == (False, "")
