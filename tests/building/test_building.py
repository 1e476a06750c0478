"""How the kernels come to a machine: with its compiler, with one that is fetched, or not at all."""

import os
import shutil
import subprocess
import sys
from email import message_from_string
from pathlib import Path
from zipfile import ZipFile

import pytest

pytest.importorskip("setuptools", minversion="77")

from building import backend, compilers, make, platforms, sources

ROOT = Path(__file__).parent.parent.parent
PLAINEST = sources.variants()[:1]
needs_compiler = pytest.mark.skipif(compilers.installed() is None, reason="needs a C compiler")


@pytest.fixture(autouse=True)
def nothing_is_left_in_the_checkout():
    def files():
        return {path for path in ROOT.glob("*") if path.suffix != ".pyc"} | set(sources.LIBRARIES.glob("*"))

    before = files()
    yield
    assert files() == before


@pytest.fixture
def no_compiler(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.delenv("MINIGAN_KERNELS", raising=False)
    monkeypatch.setattr(backend, "zig", lambda: None)
    monkeypatch.setattr(compilers, "zig", lambda: None)
    compilers.installed.cache_clear()
    yield
    compilers.installed.cache_clear()


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(("offered", "asked"), [(True, ["ziglang"]), (False, [])])
@pytest.mark.parametrize("hook", ["get_requires_for_build_wheel", "get_requires_for_build_editable"])
def test_a_compiler_is_asked_for_where_there_is_none_and_one_is_to_be_had(
    hook, offered, asked, no_compiler, monkeypatch
):
    monkeypatch.setattr(backend, "offered", lambda package: offered)
    monkeypatch.setattr(backend.build_meta, hook, lambda settings: ["wheel"])
    assert getattr(backend, hook)() == ["wheel", *asked]


@needs_compiler
def test_no_compiler_is_asked_for_where_there_is_one(monkeypatch):
    monkeypatch.setattr(backend, "offered", lambda package: pytest.fail("the index was asked"))
    assert backend._compiler_to_fetch() == []


def test_nothing_is_compiled_or_asked_for_where_numpy_is_wanted(tmp_path, no_compiler, monkeypatch, capsys):
    monkeypatch.setenv("MINIGAN_KERNELS", "numpy")
    monkeypatch.setattr(backend, "offered", lambda package: pytest.fail("the index was asked"))
    assert backend._compiler_to_fetch() == []
    assert not backend.compile_or_say_why(tmp_path / "lib")
    assert (tmp_path / "lib" / sources.MISSING).read_text() == "minigan was built with MINIGAN_KERNELS=numpy\n"
    assert "minigan will compute with NumPy" in capsys.readouterr().out


def test_a_package_is_offered_if_pip_would_install_it(tmp_path, monkeypatch):
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert not compilers.offered("ziglang")
    with ZipFile(tmp_path / "ziglang-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("ziglang-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: ziglang\nVersion: 1.0\n")
        wheel.writestr("ziglang-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("ziglang-1.0.dist-info/RECORD", "")
    assert compilers.offered("ziglang")


@pytest.mark.parametrize(("status", "answer"), [(0, True), (1, False)])
def test_where_there_is_no_pip_uv_is_asked(status, answer, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", script(tmp_path / "python", "exit 1"))
    monkeypatch.setenv("UV", script(tmp_path / "uv", f'[ "$2" = --help ] || exit {status}'))
    assert compilers.offered("ziglang") is answer
    monkeypatch.delenv("UV")
    assert compilers.offered("ziglang")


@needs_compiler
@pytest.mark.parametrize("broken", ["exit 1", "exec cc -nonsense", "kill -9 $$"])
def test_a_compiler_that_does_not_work_is_passed_over(broken, tmp_path, monkeypatch):
    monkeypatch.setenv("CC", script(tmp_path / "broken", broken))
    compilers.installed.cache_clear()
    assert compilers.installed().command[0] in compilers.NAMES
    compilers.installed.cache_clear()


def test_where_none_is_to_be_had_the_reason_lies_where_the_libraries_would(tmp_path, no_compiler):
    (tmp_path / "minigan-x86-64-v2.so").write_text("of other sources")
    assert not backend.compile_or_say_why(tmp_path)
    assert os.listdir(tmp_path) == [sources.MISSING]
    assert (tmp_path / sources.MISSING).read_text().startswith("where minigan was built, there was no C compiler")


def test_a_compilation_that_fails_is_a_reason_too(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("MINIGAN_KERNELS", raising=False)
    compiler = script(tmp_path / "fails", "echo the disk is full >&2; exit 1")
    monkeypatch.setattr(backend, "found", lambda: compilers.Compiler(compiler))
    assert not backend.compile_or_say_why(tmp_path / "lib")
    said = (tmp_path / "lib" / sources.MISSING).read_text()
    assert said.startswith("where minigan was built, the C compiler failed\n")
    assert "the disk is full" in said
    assert said.strip() in capsys.readouterr().out


def test_libraries_stay_as_they_were_if_one_cannot_be_made(tmp_path):
    compiler = script(tmp_path / "fails", "exit 1")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "there").write_text("before")
    with pytest.raises(compilers.CompilerError, match=r"cpu\.c"):
        make.make(compilers.Compiler(compiler), sources.variants(), tmp_path / "lib")
    assert os.listdir(tmp_path / "lib") == ["there"]


@pytest.mark.parametrize("kernels", [True, False])
def test_a_wheel_is_for_any_python_and_for_the_platform_of_its_libraries(kernels, tmp_path):
    libraries = tmp_path / "lib"
    libraries.mkdir()
    held = "minigan-x86-64-v2.so" if kernels else sources.MISSING
    (libraries / held).write_text("what would be compiled")
    tag = platforms.here() if kernels else "any"
    name = backend.wheel(tmp_path, libraries, tag)
    assert name.endswith(f"-py3-none-{tag}.whl")
    with ZipFile(tmp_path / name) as wheel:
        names = wheel.namelist()
        inside = next(name for name in names if name.endswith(".dist-info/WHEEL"))
        assert message_from_string(wheel.read(inside).decode()).get_all("Tag") == [f"py3-none-{tag}"]
    assert f"minigan/kernels/lib/{held}" in names
    assert {f"minigan/kernels/c/{path.name}" for path in sources.source_files()} <= set(names)
    assert not [name for name in names if name.startswith("building")]


# --- whole installations, which fetch what they need --------------------------------------------------------------


@pytest.fixture
def empty(tmp_path):
    """(a copy of the checkout, a fresh environment, a function that runs a program of it with nothing on its PATH)."""
    copy, venv = tmp_path / "checkout", tmp_path / "venv"
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("needs a checkout")
    for name in listed.stdout.splitlines():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy / name)
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "MINIGAN_DATA"))}

    def run(program, *arguments, **environment):
        given = {**kept, "PATH": "", "HOME": str(tmp_path), **environment}
        done = subprocess.run([venv / "bin" / program, *arguments], cwd=copy, env=given, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return copy, run


@pytest.mark.slow
def test_the_readmes_first_command_on_a_machine_without_a_compiler(empty, tmp_path):
    copy, run = empty
    command = next(
        line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("pip install -e .")
    )
    install, train = (part.split() for part in command.split(" && "))
    run(*install)
    assert '"compiled": true' in run("minigan", "config", "--json")
    assert "clang" in run("minigan", "config")
    said = run(*train, "--data", "digits", "--steps", "2", "--out", str(tmp_path / "run"))
    assert "NumPy's kernels" not in said
    assert not (copy / "build").exists()
    assert not (tmp_path / ".cache" / "zig").exists()


@pytest.mark.slow
def test_an_installation_where_no_compiler_can_be_fetched(empty, tmp_path):
    _, run = empty
    links = str(tmp_path / "links")
    run("pip", "download", "-q", "--no-deps", "-d", links, "setuptools")
    run("pip", "install", "-q", "numpy", "threadpoolctl", "matplotlib", "pillow", "safetensors", "tqdm")
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": links, "PIP_EXTRA_INDEX_URL": ""}
    said = run("pip", "install", "-v", "--no-deps", "-e", ".", **offline)
    assert "minigan will compute with NumPy" in said
    assert "kernels    NumPy's: where minigan was built, there was no C compiler" in run("minigan", "config")
    said = run("minigan", "train", "mlp", "--data", "digits", "--steps", "2", "--out", str(tmp_path / "run"))
    assert "note: NumPy's kernels do the work" in said
    assert "install a C compiler" in said
