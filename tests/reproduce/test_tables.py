"""Every table, by its own code, in a second or two."""

import math

import pytest

from minigan import reproduce
from minigan.reproduce import Plan, Protocol, files


def trial(name, folder, methods=("all",), **options):
    """The plan of a table's trial."""
    table = reproduce.load(name)
    protocol = Protocol({**table.short.settings, **table.trial}, 1)
    return Plan(table, protocol, table.chosen(methods), 1, folder, **options)


@pytest.mark.parametrize("name", reproduce.TABLES)
def test_each_cell_of_a_table_gives_its_columns_and_the_page_shows_them(name, tmp_path):
    plan = trial(name, tmp_path)
    results, interrupted = reproduce.run(plan)
    assert not interrupted
    assert results.missing == results.failed == []
    columns = {column.name for column in plan.table.columns}
    for result in results.found.values():
        assert set(result.numbers) <= columns
        assert result.numbers
        assert not any(isinstance(v, float) and math.isnan(v) for v in result.numbers.values())
    assert all(set(row.published) <= columns for row in plan.table.rows)
    page = files.write(results, tmp_path, {"protocol": "trial"}).read_text()
    assert plan.table.source.split(",")[0] in page
    assert "data:image/png" in page
