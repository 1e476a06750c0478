"""What is varied: values, ranges, every combination, and folders that any file system takes."""

import argparse

import pytest

from minigan.sweep.grid import MOST, Entry, combinations, count, entry, folder_name, run_name


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("loss=hinge,lsgan", "loss", ["hinge", "lsgan"]),
        ("--d-steps=1", "d_steps", ["1"]),
        ("seed=0..3", "seed", ["0", "1", "2", "3"]),
        ("seed=-1..1,7", "seed", ["-1", "0", "1", "7"]),
        ("seed=5..5", "seed", ["5"]),
        ("lr=1e-4, 2e-4", "lr", ["1e-4", "2e-4"]),
        ("data=../a,x=y", "data", ["../a", "x=y"]),
    ],
)
def test_an_entry_is_a_name_with_values(text, name, values):
    assert entry(text) == Entry(name, values)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("dcgan", "expected NAME=VALUE,VALUE,..., got 'dcgan' (a preset stands before --grid)"),
        ("=1", "expected NAME=VALUE,VALUE,..., got '=1'"),
        ("loss=", "loss=: a value is empty"),
        ("loss=a,,b", "loss=a,,b: a value is empty"),
        ("loss=a, ", "loss=a, : a value is empty"),
        ("seed=3..1", "seed=3..1: from 3 to 1 there is no number"),
        ("seed=1,0..2", "seed=1,0..2: 1 is there twice"),
        (f"seed=0..{MOST}", f"more than {MOST} values"),
        ("seed=0..999999999999", f"more than {MOST} values"),
    ],
)
def test_what_is_none_is_refused_with_the_reason(text, told):
    with pytest.raises(argparse.ArgumentTypeError) as refused:
        entry(text)
    assert told in str(refused.value)


def test_every_combination_is_there_once_and_all_have_a_seed_before_any_has_two():
    entries = [Entry("seed", ["0", "1"]), Entry("loss", ["a", "b"]), Entry("lr", ["1", "2", "3"])]
    found = list(combinations(entries))
    assert len(found) == len({tuple(one.values()) for one in found}) == count(entries) == 12
    assert {one["seed"] for one in found[:6]} == {"0"}
    assert list(found[0]) == ["seed", "loss", "lr"]  # as they were given


def test_a_folder_is_named_by_its_values():
    assert folder_name({"loss": "hinge", "lr": "1e-4", "seed": "-1"}) == "loss=hinge,lr=1e-4,seed=-1"


@pytest.mark.parametrize(
    ("one", "other"),
    [("a/b", "a_b"), ("A", "a"), ("a b", "a_b"), ("x." * 100, "x." * 101), ("größe", "gr__e"), ("a.", "a")],
)
def test_what_a_file_system_might_not_take_is_told_apart(one, other):
    names = [folder_name({"data": value}) for value in (one, other)]
    assert names[0].casefold() != names[1].casefold()
    for name in names:
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_.,=+-")
        assert len(name) < 200
        assert not name.endswith(".")
    assert run_name({"data": one}) == f"data={one}"
