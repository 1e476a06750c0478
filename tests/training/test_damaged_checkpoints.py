"""Damaged checkpoints and generators, thousands of them: each one is refused by name, and the run before it is used."""

import random
import re

import pytest

import minigan as mg
from minigan import export
from minigan.errors import CheckpointError
from minigan.gan import uniform_latent
from minigan.system.disk import BLANK, is_whole, sealed
from minigan.training import checkpoint


def mutated(content, rng):
    """The bytes with one thing wrong: a bit, some bytes, a hole, an end, more of them, or two parts exchanged."""
    n, k = len(content), rng.randrange(len(content))
    some = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 9)))
    kind = rng.randrange(6)
    if kind == 0:
        return content[:k] + bytes([content[k] ^ 1 << rng.randrange(8)]) + content[k + 1 :]
    if kind == 1:
        return content[:k] + some + content[k + len(some) :]
    if kind == 2:
        return content[:k] + content[k + rng.randrange(1, 64) :]
    if kind == 3:
        return content[:k]
    if kind == 4:
        return content[:k] + some * rng.choice([1, 100]) + content[k:]
    j = rng.randrange(n)
    return content[j:] + content[:j]


def saved(folder):
    G = mg.models.dcgan(16, 3, width=1).generator
    checkpoint.save(folder, G.state_dict(), {"settings": {"lr": 0.1}}, 5, distance=0.5)
    return export.save_generator(folder / "generator.safetensors", export.Generator(G, uniform_latent(3)))


def read(path):
    return export.load_generator(path) if path.name == "generator.safetensors" else checkpoint.load(path)


def mutate(tmp_path, count):
    generator = saved(tmp_path)
    files = [generator, tmp_path / "step_00000005.safetensors", tmp_path / "step_00000005.json"]
    rng = random.Random(0)
    originals = {path: path.read_bytes() for path in files}
    for k in range(count):
        path = files[k % 3]
        content = mutated(originals[path], rng)
        if content == originals[path]:
            continue
        path.write_bytes(content)
        arrays = path.with_suffix(".safetensors")
        with pytest.raises(CheckpointError, match=re.escape(str(arrays))):
            read(arrays)
        path.write_bytes(originals[path])
    for path in files[:2]:
        read(path)


def test_500_mutated_files_are_refused(tmp_path):
    mutate(tmp_path, 500)


@pytest.mark.slow
def test_10000_mutated_files_are_refused(tmp_path):
    mutate(tmp_path, 10_000)


def test_damaged_ones_leave_the_best_of_the_rest_and_the_one_before(tmp_path, capsys):
    (tmp_path / "checkpoints").mkdir()
    for step in (1, 2, 3):
        checkpoint.save(tmp_path / "checkpoints", {"x": mg.tensor(float(step))}, {}, step, distance=3.0 - step)
    folder = mg.runs.RunFolder(tmp_path)
    newest = checkpoint.find(folder.checkpoints)[-1]
    newest.write_bytes(newest.read_bytes()[:-1])
    assert folder.load_newest()[1]["x"] == 2.0
    assert f"{newest}: its checksum is not the one in {newest.stem}.json; trying the one before" in (
        capsys.readouterr().out
    )
    newest.with_suffix(".json").write_text("[]")
    checkpoint.settle(folder.checkpoints)
    assert checkpoint.find_best(folder.checkpoints).stem == "step_00000002"


def test_a_seal_is_of_every_byte():
    content = b'{"sha256": "' + BLANK + b'", "x": 1}'
    whole = sealed(content, b"beside")
    digest = re.search(b"[0-9a-f]{64}", whole)[0].decode()
    assert is_whole(whole, digest, b"beside")
    assert not is_whole(whole, digest, b"besides")
    assert not is_whole(whole + b" ", digest, b"beside")
    assert not is_whole(whole, digest[:-1], b"beside")
    with pytest.raises(ValueError, match="no blank"):
        sealed(b"{}")
