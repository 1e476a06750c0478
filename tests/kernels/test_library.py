"""Which compiled kernels are loaded, and what is said where there are none."""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import compiled_variants
import numpy as np
import pytest

import minigan as mg
from minigan.command import cli
from minigan.errors import DeviceError
from minigan.kernels import compiled, cpu, installation, kernels, library, on_cpu, variants

BUILT = compiled_variants.runnable()
needs_kernels = pytest.mark.skipif(not BUILT, reason="needs the compiled kernels: python -m building")


@pytest.fixture
def asking(monkeypatch):
    """A function that sets MINIGAN_KERNELS for what is loaded next."""

    def forget():
        library.search.cache_clear()
        on_cpu.cache_clear()

    def ask(value):
        monkeypatch.setenv(library.VARIABLE, value)
        forget()

    yield ask
    monkeypatch.undo()
    forget()


@pytest.fixture
def elsewhere(tmp_path, monkeypatch, asking):
    """A folder in which libraries are looked for, empty at first."""
    real = variants.library_path
    monkeypatch.setattr(library, "library_path", lambda variant: real(variant, folder=tmp_path))
    asking("auto")
    return tmp_path


def test_numpy_does_the_work_when_asked(asking, capsys):
    asking("numpy")
    assert kernels(np.ones(3)) is cpu
    assert library.find() is None
    mg.show_config()
    assert "kernels    NumPy's: MINIGAN_KERNELS=numpy asks for them" in capsys.readouterr().out
    assert installation.without_compiled() is None  # nobody wants them


@needs_kernels
@pytest.mark.parametrize("name", [*BUILT, "auto", "compiled"])
def test_the_variant_asked_for_is_loaded_by_default_the_best(name, asking, capsys):
    asking(name)
    assert kernels(np.ones(3)) is compiled
    found = library.find()
    assert found.variant.name == (name if name in BUILT else BUILT[-1])
    assert cli.main(["config"]) == 0
    assert f"compiled, {found.variant.name}, by {found.compiler}" in capsys.readouterr().out
    assert installation.versions()["kernels"].startswith(found.variant.name)
    assert installation.without_compiled() is None


@pytest.mark.parametrize("value", ["NumPy", "avx512", "x86-64-v5", "compiled,numpy"])
def test_a_choice_that_there_is_not_is_named_with_those_that_there_are(value, asking, capsys):
    asking(value)
    with pytest.raises(DeviceError, match=f"MINIGAN_KERNELS={value}: expected one of auto, numpy, compiled, x86-64-v2"):
        mg.tensor([1.0]) + 1
    assert cli.main(["config"]) == 1
    assert "expected one of" in capsys.readouterr().err


def test_the_kernels_of_another_processor_are_refused(asking):
    others = {v.name for v in variants.VARIANTS} - {v.name for v in variants.variants()}
    asking(min(others))
    with pytest.raises(DeviceError, match=r"there are no such kernels"):
        library.find()


@needs_kernels
def test_a_processor_is_given_no_more_than_it_can_do(asking, monkeypatch):
    for level, best in enumerate((None, *BUILT), variants.variants()[0].level - 1):
        monkeypatch.setattr(library.Library, "function", lambda self, name, level=level: lambda *args: level)
        monkeypatch.setattr(library.Library, "text", lambda self, name: variants.digest())
        asking("auto")
        found, why = library.search()
        assert (found and found.variant.name) == best
        assert found or why == "this processor has not the instructions they are made of"


@pytest.mark.parametrize("said", [None, "where minigan was built, there was no C compiler"])
def test_where_none_were_built_numpy_works_and_says_what_to_do(said, elsewhere):
    if said:
        (elsewhere / variants.MISSING).write_text(f"{said}\nthe rest is for who looks\n")
    assert kernels(np.ones(3)) is cpu
    why = installation.without_compiled()
    assert (
        why == f"{said or 'compiled ones have not been built'}; install a C compiler (gcc or clang), then minigan again"
    )
    assert f"NumPy's: {why}" in "\n".join(installation.config_lines())
    assert installation.about_kernels()["why"] == why
    assert installation.versions()["kernels"] == "numpy"


def test_the_first_training_says_that_numpy_works_and_a_resumed_one_does_not(elsewhere, tmp_path, capsys):
    command = ["train", "mlp", "--data", "digits", "--steps", "1", "--batch-size", "8"]
    note = "note: NumPy's kernels do the work"
    assert cli.main([*command, "--out", str(tmp_path / "run")]) == 0
    assert capsys.readouterr().out.count(note) == 1
    assert cli.main(["resume", str(tmp_path / "run"), "--steps", "2"]) == 0
    assert note not in capsys.readouterr().out


@pytest.mark.parametrize("value", ["compiled", "x86-64-v3", "arm64"])
def test_who_insists_on_kernels_that_there_are_not_gets_an_error(value, elsewhere, asking):
    asking(value)
    with pytest.raises(DeviceError, match=f"MINIGAN_KERNELS={value}: there are no such kernels"):
        kernels(np.ones(3))


@needs_kernels
@pytest.mark.parametrize("damage", ["stale", "garbage", "another"])
def test_a_library_that_is_not_of_these_sources_is_not_used(damage, elsewhere, monkeypatch):
    for variant in variants.variants():
        path = variants.library_path(variant)
        if path.exists():
            shutil.copy(path, elsewhere)
    plainest = elsewhere / variants.library_path(variants.variants()[0]).name
    if damage == "stale":
        monkeypatch.setattr(library, "digest", lambda: "0123456789abcdef")
    elif damage == "garbage":
        plainest.write_bytes(b"no library" * 1000)
    else:
        shutil.copy(_libm(), plainest)
    assert library.find() is None
    assert "; to install minigan again makes it anew" in installation.without_compiled()


def _libm():
    """The file of a library that has none of the functions."""
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("needs Linux")
    return re.search(r"/\S*libm[.-]\S*so\S*", maps.read_text())[0]


def test_a_change_of_any_source_changes_the_digest(tmp_path, monkeypatch):
    shutil.copytree(variants.SOURCES, tmp_path / "c")
    monkeypatch.setattr(variants, "SOURCES", tmp_path / "c")
    known = {variants.digest()}
    for path in sorted((tmp_path / "c").iterdir()):
        path.write_text(path.read_text() + "\n")
        known.add(variants.digest())
    (tmp_path / "c" / "more.h").write_text("")
    known.add(variants.digest())
    assert len(known) == len(list((tmp_path / "c").iterdir())) + 1


def test_every_exported_function_is_declared_with_types_that_are_known():
    text = "\n".join(path.read_text() for path in variants.source_files())
    declared = library.declarations()
    assert len(declared) > 20
    assert declared.keys() == set(re.findall(r"^EXPORT\b[^(]*?(\w+)\(", text, re.MULTILINE))
    assert declared["cpu_level"] == (ctypes.c_int64, [])
    assert declared["set_threads"] == (None, [ctypes.c_int64])
    assert all(None not in arguments for _, arguments in declared.values())


@needs_kernels
def test_want_of_memory_is_pythons_error(monkeypatch):
    monkeypatch.setattr(library.find(), "_loaded", type("Full", (), {"conv": staticmethod(lambda *args: 1)}))
    with pytest.raises(MemoryError, match="conv: no memory"):
        library.call("conv", 1, 2)


@pytest.mark.parametrize("find", [library._by_interface, library._by_layout, library.address])
def test_the_address_of_an_array_is_where_its_first_element_lies(find, rng):
    whole = rng.normal(size=(4, 6, 5)).astype(np.float32)
    for array in (whole, whole[1:, ::2], whole.T, whole[::-1], whole[:0], np.ones(())):
        assert find(array) == array.__array_interface__["data"][0]


def test_a_scalar_has_no_address():
    with pytest.raises((TypeError, AttributeError)):
        library.address(np.float32(1))


def test_a_program_without_compiled_kernels_loads_no_library():
    script = "import minigan as mg; mg.tensor([1.0]) + 1; print('minigan-' in open('/proc/self/maps').read())"
    if not Path("/proc/self/maps").exists():
        pytest.skip("needs Linux")
    run = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "MINIGAN_KERNELS": "numpy"}, capture_output=True, text=True
    )
    assert run.stdout == "False\n", run.stderr
