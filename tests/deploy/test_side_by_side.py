"""An upgrade while people work: the next release migrates, works beside this one on one database, and goes on alone.

The next release is made here: this one, with a column more in each big table, which it fills, and an index more.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.deploy.front import Front
from tests.deploy.test_proxy import Colleague
from tests.deploy.test_proxy import front as front  # a fixture
from tests.journeys.conftest import Product
from tests.journeys.conftest import real_product as real_product  # a fixture
from tests.services.processes import ROOT, Processes

NEW = "of_the_next"
#: What the next release adds to each model, and what it writes there itself.
COLUMNS = {
    "incident": 'models.CharField(max_length=20, default="next", db_default="", editable=False)',
    "deadline": 'models.CharField(max_length=20, default="next", null=True, editable=False)',
    "notice": 'models.CharField(max_length=20, default="next", null=True, editable=False)',
}
#: Four incidents that were declared by this release, and by the next.
BY_OLD = "SELECT id FROM incidents_incident WHERE of_the_next = '' ORDER BY id LIMIT 4"
BY_NEW = "SELECT id FROM incidents_incident WHERE of_the_next = 'next' ORDER BY id LIMIT 4"
FORMS = "SELECT count(DISTINCT columns) FROM config_sealedrange WHERE \"table\" = 'incidents.historicalincident'"
UNSENT = "SELECT 1 FROM incidents_notice WHERE state <> 'sent' LIMIT 1"
MIGRATION = """
from django.db import migrations, models
from config.concurrently import AddIndexConcurrently, FillHistory

class Migration(migrations.Migration):
    atomic = {atomic}
    dependencies = [("incidents", "{after}")]
    operations = [{steps}]
"""


def next_release(folder: Path) -> Path:
    """A copy of the product, one release on."""
    skipped = shutil.ignore_patterns(".*", "var", "docs", "node_modules")
    shutil.copytree(ROOT, folder, ignore=skipped)
    migrations = folder / "incidents" / "migrations"
    last = max(path.stem for path in migrations.glob("0*.py"))
    for number, (model, column) in enumerate(COLUMNS.items()):
        code = folder / "incidents" / "models" / f"{model}.py"
        kept, line, rest = code.read_text().partition("    history = AuditedRecords(excluded_fields")
        assert line
        code.write_text(f"{kept}    {NEW} = {column}\n{line}{rest}")
        add = [f'migrations.AddField("{table}", "{NEW}", {column})' for table in (model, f"historical{model}")]
        steps = ", ".join([*add, f'FillHistory("{model}", "{NEW}")'])
        name = f"0{900 + number}_{model}"
        (migrations / f"{name}.py").write_text(MIGRATION.format(atomic=True, after=last, steps=steps))
        last = name
    index = f'AddIndexConcurrently("incident", models.Index(fields=["{NEW}"], name="incident_{NEW}"))'
    (migrations / "0950_index.py").write_text(MIGRATION.format(atomic=False, after=last, steps=index))
    return folder


@pytest.fixture
def next_product(real_product: Product, tmp_path: Path) -> Product:
    """The next release on the same database; it has not migrated it yet."""
    code = next_release(tmp_path / "next")
    processes = Processes(tmp_path / "processes-of-next", real_product.processes.env, code=code)
    return Product(processes, real_product.inbox, real_product.parts)


def test_the_next_release_takes_over_while_people_work(
    front: Front, real_product: Product, next_product: Product, postgres_url: str
) -> None:
    old, new = real_product.processes, next_product.processes
    front.start_node("first")
    front.start()
    old.start_outbox("old-loop")
    people = [Colleague(front, number) for number in range(2)]
    for person in people:
        person.start()
    with new:
        new.env |= old.env  # as it is with the front
        new.manage("migrate", "-v0", env={"DATABASE_URL": postgres_url})  # as the owner
        front.start_node("second", new)
        front.let_in_node("second")
        new.start_outbox("new-loop")
        old.wait_until(lambda: len(front.rows(BY_NEW)) == 4, 30, "people declared by the next release too")
        for person in people:
            person.enough.set()
            person.join(30)
        assert {answer for person in people for answer in person.answers} == {302}, "nobody was held up or refused"

        ours, theirs = ([pk for (pk,) in front.rows(question)] for question in (BY_OLD, BY_NEW))
        next_product.act(f"see_through({[*ours[:2], *theirs[:2]]})")
        real_product.act(f"see_through({[*ours[2:], *theirs[2:]]})")  # for this one, too, all of it verifies
        assert front.rows(FORMS) == [(2,)], "each has sealed what it knows"

        front.take_out_node("first")
        assert old.stop("old-loop") == 0
        new.wait_until(lambda: not front.rows(UNSENT), 30, "all was sent")
        next_product.act("examine()")
    sent = [str(message_id) for (message_id,) in front.rows("SELECT message_id FROM incidents_notice")]
    assert sorted(str(mail.message["Message-ID"]) for mail in real_product.inbox.messages) == sorted(sent)
    assert len(sent) >= 16
