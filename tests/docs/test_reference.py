"""The reference says something of every public name, and says it as the docstring does."""

import inspect

import commands
import formulas
import prose
import public
import pytest
import reference

import minigan as mg
from minigan.command.cli import COMMANDS
from minigan.command.presets import PRESETS
from minigan.op import OPS


def test_nothing_public_is_without_a_word():
    assert [name.full for name in public.everything() if not public.document(name)] == []


def methods_without(value):
    """The public methods of a class of which nothing is said, here or in the function of their name."""
    said = {n: public.own_document(getattr(item, "__func__", item)) for n, item in public.methods(value)}
    return [name for name, text in said.items() if not (text or public.own_document(getattr(mg, name, None)))]


def test_no_method_is_without_a_word():
    classes = {name.full: name.value for name in public.everything() if name.kind == "class"}
    assert {full: methods_without(value) for full, value in classes.items() if methods_without(value)} == {}


def test_a_missing_word_is_noticed(monkeypatch):
    monkeypatch.setattr(mg.nn.Linear, "__doc__", None)
    assert any(name.full == "minigan.nn.Linear" and not public.document(name) for name in public.everything())
    monkeypatch.setattr(mg.nn.Sequential, "undescribed", lambda self: None, raising=False)
    assert methods_without(mg.nn.Sequential) == ["undescribed"]


def test_what_is_public():
    rooms = public.rooms()
    assert {f"minigan.{name}" for name in mg._ON_FIRST_USE} - {*rooms} == {"minigan.command"}
    assert {"minigan.gan.losses", "minigan.gan.penalties", "minigan.nn.init", "minigan.training.report"} <= {*rooms}
    full = {name.full for name in public.everything()}
    offered = {n for n, value in vars(mg).items() if callable(value) and not n.startswith("_")}
    assert {f"minigan.{n}" for n in offered} - full - {"minigan.unknown", "minigan.ModuleType"} == {"minigan.Any"}
    assert {"minigan.save", "minigan.data.DATASETS", "minigan.gan.losses.hinge", "minigan.viz.grid"} <= full


def test_every_name_has_one_entry():
    text = "\n".join(text for _, text in reference.pages())
    entries = [line for line in text.splitlines() if line.startswith((":::{py:", "::::{py:"))]
    shown = [n for n in public.everything() if reference.homes().get(id(n.value), n) == n]
    methods = sum(len(public.methods(n.value)) for n in shown if n.kind == "class")
    assert len(entries) == len(shown) + methods


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (mg.conv2d, "x: Tensor, w: Tensor, b: Tensor | None = None, *, stride"),
        (mg.nn.LeakyReLU, "negative_slope: float = 0.01"),
        (mg.grad, "create_graph: bool = False) -> Tensor | list[Tensor]"),
        (mg.gan.ScoreGame, "loss: Loss, latent: Callable[[int, Stream], Tensor]"),
    ],
)
def test_signatures(value, written):
    shown = reference.signature(value)
    assert written in shown
    assert [part for part in ("minigan.", "collections", " at 0x") if part in shown] == []
    assert [p for p in inspect.signature(value).parameters if p != "self" and p not in shown] == []


def test_text_stands_as_it_is_written():
    text = "A norm <x, y> of |x|**2, `a_b`.\n\n    y = x*2\n\nTwo:\n\n- `one`: first,\n  to its end;\n- two_three."
    shown = prose.markdown(text)
    assert r"A norm \<x, y\> of \|x\|\*\*2, `a_b`." in shown
    assert "```text\ny = x*2\n```" in shown
    assert "- `one`: first,\n  to its end;\n- two\\_three." in shown


def test_every_command_and_every_preset_has_a_page():
    pages = dict(commands.pages())
    for name in COMMANDS:
        assert f"usage: minigan {name}" in pages[f"reference/commands/{name}.md"]
    assert [name for name in PRESETS if f"| `{name}` |" not in pages["reference/presets.md"]] == []


def test_every_op_is_on_the_sheet():
    ((_, sheet),) = formulas.pages()
    for name, op in OPS.items():
        entry = sheet.split(f"(op-{name})=")[1].split("\n(op-")[0]
        assert formulas.typeset(op.formula) in entry
        assert "| gradient of | is |" in entry or "No rule" in entry
    assert "<code>-g * y / b</code>" in sheet


@pytest.mark.parametrize(
    ("formula", "html"),
    [
        ("x^(-1/2)", "x<sup>\u22121/2</sup>"),
        ("1 / (1 + e^-x)", "1 / (1 + e<sup>\u2212x</sup>)"),
        ("x w^T (+ b)", "x w<sup>T</sup> (+ b)"),
        ("low <= x <= high", "low ≤ x ≤ high"),
        ("<x, x'>", "&lt;x, x'&gt;"),
    ],
)
def test_formulas_as_books_print_them(formula, html):
    assert formulas.typeset(formula) == html
