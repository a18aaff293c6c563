"""The next release, made out of this one: a column more in each big table, which it fills; an index and a check."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.services.processes import ROOT

NEW = "of_the_next"
#: What the next release adds to each model, and what it writes there itself.
COLUMNS = {
    "incident": 'models.CharField(max_length=20, default="next", db_default="", editable=False)',
    "deadline": 'models.CharField(max_length=20, default="next", null=True, editable=False)',
    "notice": 'models.CharField(max_length=20, default="next", null=True, editable=False)',
}
MIGRATION = """
from django.db import migrations, models
from config.concurrently import AddCheckConcurrently, AddIndexConcurrently, FillHistory

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
    made = (
        f'AddIndexConcurrently("incident", models.Index(fields=["{NEW}"], name="incident_{NEW}"))',
        f'AddCheckConcurrently("notice", models.CheckConstraint(condition=~models.Q(kind=""), name="notice_{NEW}"))',
    )
    for number, steps in enumerate(made, start=950):
        name = f"0{number}_concurrently"
        (migrations / f"{name}.py").write_text(MIGRATION.format(atomic=False, after=last, steps=steps))
        last = name
    return folder
