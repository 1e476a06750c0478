"""Every table, by its own code, in a second or two."""

import math

import numpy as np
import pytest

from minigan import data, metrics, reproduce
from minigan.reproduce import Plan, Protocol, dirac, files, load, unrolled


def trial(name, folder, methods=(), **options):
    """The plan of a table's trial: of the first and the last of its usual methods, if none are named."""
    table = load(name)
    protocol = Protocol({**table.short.settings, **table.trial}, 1)
    usual = table.chosen()
    return Plan(table, protocol, table.chosen(methods) if methods else [usual[0], usual[-1]], 1, folder, **options)


def check(plan):
    """Every cell gives what the table's columns are, and the page shows the table and a picture."""
    results, interrupted = reproduce.run(plan)
    assert not interrupted
    assert results.missing == results.failed == []
    columns = {column.name for column in plan.table.columns}
    for result in results.found.values():
        assert set(result.numbers) <= columns
        assert result.numbers
        assert not any(isinstance(v, float) and math.isnan(v) for v in result.numbers.values())
    assert all(set(row.published) <= columns for row in plan.table.rows)
    page = files.write(results, plan.folder, {"protocol": "trial"}).read_text()
    assert plan.table.source.split(",")[0] in page
    assert "data:image/png" in page


@pytest.mark.parametrize("name", reproduce.TABLES)
def test_a_table_is_computed_and_its_page_written(name, tmp_path):
    check(trial(name, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("name", reproduce.TABLES)
def test_so_is_each_of_its_methods(name, tmp_path):
    check(trial(name, tmp_path, ["all"]))


@pytest.mark.parametrize("name", reproduce.TABLES)
def test_a_table_says_where_its_figures_are_from_and_what_it_does_otherwise(name):
    table = load(name)
    assert "arXiv" in table.source
    assert all(
        f.sure in ("read", "remembered", "derived", "elsewhere") for r in table.rows for f in r.published.values()
    )
    assert table.full is None or table.short.deviations
    assert not any("," in row.name for row in table.rows)  # --methods has commas between


# --- the Dirac-GAN ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "middle", "rest"),
    [
        ({"loss": "minimax"}, 0, -1 / 4),
        ({"loss": "nonsaturating"}, 0, -1 / 4),
        ({"loss": "wasserstein"}, 0, -1),
        ({"loss": "hinge"}, 0, -1),
        *[({"penalty": "r1", "weight": g / 2}, -g / 2, g * g / 4 - 1 / 4) for g in (0.3, 1, 2)],
        ({"loss": "relativistic", "penalty": "r1_r2", "weight": 0.15}, -0.3, 0.09 - 1 / 4),
        ({"noise": 0.7}, -0.49 / 4, 0.49**2 / 16 - 1 / 4),
        ({"consensus": 1.0}, -1 / 4, -1 / 4),
    ],
)
def test_the_eigenvalues_of_a_method_are_their_closed_form(field, middle, rest):
    found = np.linalg.eigvals(dirac.jacobian(dirac.Field(**field)))
    root = complex(rest) ** 0.5
    # a double eigenvalue moves by the root of what its matrix does
    np.testing.assert_allclose(sorted(found, key=_order), sorted([middle + root, middle - root], key=_order), atol=1e-7)


def _order(value):
    return value.imag, value.real


@pytest.mark.parametrize(
    ("radius", "turn", "verdict"),
    [
        (lambda t: 0.97**t, 0.2, "converges"),
        (lambda t: 1.01**t, 0.2, "diverges"),
        (lambda t: 1 + 0 * t, 0.2, "circles"),
        (lambda t: 1 / (1 + t / 100), 0.2, "closes in"),
        (lambda t: 1 + 0 * t, 0.0, "gets stuck"),
    ],
)
def test_what_a_way_does_is_told(radius, turn, verdict):
    t = np.arange(501)
    points = radius(t)[:, None] * np.stack([np.cos(turn * t), np.sin(turn * t)], 1)
    assert dirac.behaviour(points) == verdict


# --- mixtures -----------------------------------------------------------------------------------------------------


def test_the_ring_of_the_demonstration_has_seven_modes_and_ours_eight():
    assert len(np.unique(data.ring_centres().round(5), axis=0)) == len(unrolled.ring(False).centres) == 8
    assert len(np.unique(data.ring_centres(endpoint=True).round(5), axis=0)) == len(unrolled.ring(True).centres) == 7
    mixture = unrolled.ring(True)
    held = metrics.mode_coverage(mixture.points(8000, 0), mixture.centres, mixture.std).histogram
    assert 1.8 < held[0] / held[1:].mean() < 2.2


def test_a_density_has_a_mass_of_one():
    samples = np.random.default_rng(0).normal(0, 0.5, (400, 2))
    side = 2 * unrolled.REACH / unrolled.CELLS
    assert unrolled.density(samples).sum() * side**2 == pytest.approx(1, abs=1e-3)


def test_a_stray_sample_holds_no_mode():
    mixture = unrolled.ring(False)
    samples = np.concatenate([np.tile(mixture.centres[:3], (200, 1)), mixture.centres])
    assert unrolled.held(samples, mixture) == 3
    assert metrics.mode_coverage(samples, mixture.centres, mixture.std).modes == 8
