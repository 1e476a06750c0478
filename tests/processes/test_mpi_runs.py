"""`mpiexec -n P minigan train`: one run, whatever befalls one of its processes."""

import csv
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_mpi import needs_mpi

from minigan.training import checkpoint

pytestmark = [needs_mpi, pytest.mark.mpi]

ROOT = Path(__file__).parent.parent.parent
DATA = Path(tempfile.gettempdir()) / f"minigan-{os.getpid()}.npy"
TRAIN = ["train", "mlp", "--data", str(DATA), "--batch-size", "64"]
LONG = ["--steps", "100000", "--checkpoint-every", "20"]


@pytest.fixture(scope="module", autouse=True)
def images():
    """The images of the runs, few, so that each process begins at once."""
    np.save(DATA, np.random.default_rng(0).integers(0, 256, (4096, 28, 28), np.uint8))
    yield
    DATA.unlink()


def started(ranks, *arguments, program=("-m", "minigan")):
    """The program on so many processes, in a session of its own."""
    return subprocess.Popen(
        ["mpiexec", "-n", str(ranks), sys.executable, *program, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def ended(program, seconds=120):
    """(exit status, what it said); AssertionError if it does not end within so many seconds."""
    try:
        said, _ = program.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(program.pid, signal.SIGKILL)
        raise AssertionError(f"it goes on after {seconds} s: {program.communicate()[0]}") from None
    return program.returncode, said


def together(ranks, *arguments):
    """What a program on so many processes says that ends well."""
    status, said = ended(started(ranks, *arguments))
    assert status == 0, said
    return said


def log(folder):
    with (folder / "log.csv").open() as lines:
        return [{k: float(v) for k, v in row.items() if k != "images_per_s"} for row in csv.DictReader(lines)]


def process(folder, rank):
    """The number of the process of that rank which runs in that folder."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words, names = ((entry / name).read_bytes().split(b"\0") for name in ("cmdline", "environ"))
        except OSError:  # it has ended
            continue
        if str(folder).encode() in words and f"PMI_RANK={rank}".encode() in names:
            return int(entry.name)
    raise AssertionError(f"no process of rank {rank}")


@pytest.fixture
def at_work(tmp_path):
    """at_work(*options): a run on two processes that has written a checkpoint."""
    programs = []

    def begin(*options):
        program = started(2, *TRAIN, *LONG, "--out", str(tmp_path), *options)
        programs.append(program)
        end = time.monotonic() + 90
        while not checkpoint.find(tmp_path / "checkpoints"):
            assert program.poll() is None, program.communicate()[0]
            assert time.monotonic() < end
            time.sleep(0.2)
        return program

    yield begin
    for program in programs:
        if program.poll() is None:
            os.killpg(program.pid, signal.SIGKILL)


def test_two_processes_log_what_one_does(tmp_path):
    for ranks in (1, 2):
        said = together(ranks, *TRAIN, "--steps", "30", "--out", str(tmp_path / str(ranks)))
        assert said.count("30 steps of 64 images") == 1, "one speaks, of the whole batch"
    for mine, alone in zip(log(tmp_path / "2")[:10], log(tmp_path / "1")[:10], strict=True):
        assert mine == pytest.approx(alone, abs=1e-3)


def test_the_same_bits_on_any_number_and_a_run_that_goes_on_with_another(tmp_path):
    options = [*TRAIN, "--virtual-ranks", "4"]
    together(1, *options, "--steps", "24", "--out", str(tmp_path / "whole"))
    for ranks, steps in ((4, "8"), (1, "16"), (2, "24")):
        resumed = [] if steps == "8" else ["--resume"]
        together(ranks, *options, "--steps", steps, "--out", str(tmp_path / "parts"), *resumed)
    whole, parts = (checkpoint.load(checkpoint.find(tmp_path / n / "checkpoints")[-1])[0] for n in ("whole", "parts"))
    assert all(np.array_equal(parts[name], whole[name]) for name in whole)


def test_a_run_goes_on_to_the_last_bit_on_as_many(tmp_path):
    for folder, steps in (("whole", "16"), ("parts", "9"), ("parts", "16")):
        resumed = ["--resume"] if (tmp_path / folder).exists() else []
        together(2, *TRAIN, "--steps", steps, "--out", str(tmp_path / folder), *resumed)
    whole, parts = (checkpoint.load(checkpoint.find(tmp_path / n / "checkpoints")[-1])[0] for n in ("whole", "parts"))
    assert all(np.array_equal(parts[name], whole[name]) for name in whole)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_any_process_saves_once_and_ends_all(at_work, tmp_path, rank):
    program = at_work()
    os.kill(process(tmp_path, rank), signal.SIGTERM)
    status, said = ended(program)
    assert (status, said.count("everything is saved")) == (130, 1), said
    step = len(log(tmp_path))
    assert checkpoint.find(tmp_path / "checkpoints")[-1].name == f"step_{step:08d}.safetensors"
    together(4, "resume", str(tmp_path), "--steps", str(step + 5))
    assert len(log(tmp_path)) == step + 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_mpiexec_saves_and_ends_all(at_work, number):
    program = at_work()
    program.send_signal(number)
    status, said = ended(program)
    assert (status, said.count("everything is saved")) == (130, 1), said


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_is_killed_ends_all_and_the_run_goes_on(at_work, tmp_path, rank):
    program = at_work()
    os.kill(process(tmp_path, rank), signal.SIGKILL)
    status, _ = ended(program, 20)
    assert status != 0
    step = int(checkpoint.find(tmp_path / "checkpoints")[-1].stem.removeprefix("step_"))
    together(2, "resume", str(tmp_path), "--steps", str(step + 5))
    assert len(log(tmp_path)) == step + 5


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_stands_still_ends_all(at_work, tmp_path, rank):
    program = at_work("--patience", "4")
    os.kill(process(tmp_path, rank), signal.SIGSTOP)
    status, said = ended(program, 30)
    assert status != 0
    assert f"process {2 - rank} of 2 has waited 4 s for the others" in said


def test_a_process_whose_gpu_waits_for_ever_ends_all():
    waits = """
        import time
        from minigan.processes.mpi import MPIGroup
        group = MPIGroup(patience=2)
        with group.waiting():
            time.sleep(1 if group.rank else 60)
    """
    program = started(2, program=["-c", textwrap.dedent(waits)])
    status, said = ended(program, 20)
    assert status != 0
    assert "process 1 of 2 has waited 2 s for the others" in said


def test_a_network_that_breaks_ends_all(tmp_path):
    """In a network of its own, whose only device MPI is told to use and which is taken away."""
    if os.geteuid() != 0 or shutil.which("ip") is None or subprocess.run(["unshare", "-n", "true"]).returncode:
        pytest.skip("needs the right to make a network")
    by_tcp = {"MPIR_CVAR_NOLOCAL": "1", "MPIR_CVAR_CH4_NETMOD": "ofi", "FI_PROVIDER": "tcp", "FI_TCP_IFACE": "lo"}
    broken, out = tmp_path / "broken", tmp_path / "run"
    run = ["mpiexec", "-n", "2", sys.executable, "-m", "minigan", *TRAIN, *LONG, "--patience", "4", "--out", str(out)]
    script = f"""
        ip link set lo up
        {shlex.join(run)} & run=$!
        cd {shlex.quote(str(tmp_path))}
        until compgen -G "run/checkpoints/*.safetensors" >/dev/null; do kill -0 $run || exit 9; sleep 0.2; done
        ip link set lo down
        touch broken
        wait $run
    """
    program = subprocess.Popen(
        ["unshare", "-n", "bash", "-c", script],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | by_tcp,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    status, said = ended(program)
    assert broken.exists(), said
    assert status not in (0, 9)
    assert "has waited 4 s for the others" in said


def test_a_full_disk_ends_all_with_one_message(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", small]).returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        status, said = ended(started(2, *TRAIN, *LONG, "--out", str(small / "run")))
    finally:
        subprocess.run(["umount", "-l", small], check=True)
    assert (status, said.count("No space left on device")) == (1, 1), said


def test_what_is_wrong_with_the_line_or_the_folder_is_said_once(tmp_path):
    (tmp_path / "file").write_text("")
    for ranks, arguments, words in (
        (2, [*TRAIN, "--stepz", "3"], "there is no option --stepz"),
        (3, [*TRAIN, "--out", str(tmp_path / "a")], "a batch of 64 does not split into 3 equal parts: take 63 or 66"),
        (2, [*TRAIN, "--data", str(tmp_path / "nowhere")], "no such folder or file"),
        (2, [*TRAIN, "--data", "x" * 300], "File name too long"),
        (2, [*TRAIN, "--out", str(tmp_path / "file")], "cannot write there"),
        (2, [*TRAIN, "--virtual-ranks", "4", "--out", str(tmp_path / "file")], "cannot write there"),
        (3, [*TRAIN, "--virtual-ranks", "4", "--batch-size", "12"], "as many on each of 3 processes, got 4"),
    ):
        status, said = ended(started(ranks, *arguments))
        assert status in (1, 2)
        assert said.count(words) == 1, said
        assert "Abort" not in said


def test_a_streamed_folder_is_read_in_parts(tmp_path):
    for k, image in enumerate(np.random.default_rng(0).integers(0, 256, (64, 28, 28)).astype("uint8")):
        (tmp_path / "pictures").mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / "pictures" / f"{k}.png")
    folder = ["--data", str(tmp_path / "pictures"), "--stream", "--batch-size", "16", "--steps", "10"]
    for ranks in (1, 2):
        together(ranks, "train", "mlp", *folder, "--out", str(tmp_path / str(ranks)))
    for mine, alone in zip(log(tmp_path / "2"), log(tmp_path / "1"), strict=True):
        assert mine == pytest.approx(alone, abs=1e-3)
