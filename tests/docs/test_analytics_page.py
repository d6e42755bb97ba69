"""The page about analytics names what there is, and nothing else."""

import re
from pathlib import Path

from analytics.migrate import migrations
from analytics.questions import questions

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "analytics.md").read_text(encoding="utf-8")


def rows_of(heading):
    """Cells of the table below a heading."""
    part = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("| ")
    ]


def test_the_table_of_questions_has_each_once():
    named = [name for _, cell in rows_of("Questions")[1:] for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(named) == sorted(questions())


def test_the_table_of_tables_names_only_tables_that_migrations_make():
    made = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+)|RENAME TABLE .* TO (\w+);?$")
    tables = {name for m in migrations() for text in m.statements for found in made.findall(text) for name in found}
    named = {name for cells in rows_of("Tables")[1:] for name in re.findall(r"`(\w+)`", cells[0])}
    assert named <= tables
    assert tables - named <= {"", "schema_migrations", "worktime_months", "events_by_person", "events_by_key"}
