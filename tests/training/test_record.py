"""The files of a run as they are read: what was written comes back, what is damaged hides nothing else."""

import json
import math

import numpy as np
import pytest
from made_up_run import add_health, folder

import minigan as mg
from minigan.judge import Finding, Look
from minigan.training import RunFolder, checkpoint, record
from minigan.training.folder import Timings


def looks(*steps):
    finding = Finding("watch", "little variety", "Samples vary by 30 %.")
    return [Look(step, {"distance": 0.5, "floor": math.inf}, "watch", [finding]) for step in steps]


def test_looks_come_back_and_a_later_one_of_a_step_counts(tmp_path):
    run = RunFolder(tmp_path)
    for look in (*looks(4, 8), looks(8)[0]._replace(verdict="failing")):
        run.append_look(look)
    found = run.looks()
    assert [(look.step, look.verdict) for look in found] == [(4, "watch"), (8, "failing")]
    assert found[0].findings == looks(4)[0].findings
    assert math.isnan(found[0].numbers["floor"])  # JSON has no infinity


def test_looks_and_a_log_that_cannot_be_read_are_never_taken_for_none(tmp_path):
    run = RunFolder(tmp_path)
    run.health.mkdir()  # as unreadable as a file of somebody else's
    run.log.mkdir()
    with pytest.raises(mg.errors.CheckpointError, match=r"health\.jsonl: cannot be read"):
        run.cut_looks(3)
    with pytest.raises(mg.errors.CheckpointError, match=r"log\.csv: cannot be read"):
        run.cut_log(3)
    made = folder(tmp_path / "made")
    (made / "health.jsonl").mkdir()
    (made / "log.csv").unlink()
    (made / "log.csv").mkdir()
    assert [problem.split(" (")[0] for problem in record.read(made).problems] == [
        *("log.csv cannot be read", "health.jsonl cannot be read")
    ]


def test_names_of_columns_may_hold_commas_and_any_letter(tmp_path):
    run = RunFolder(tmp_path)
    rows = [{"step": k, "d_loss": 0.5 * k, "code 1,2": float(k), "Qualität": 1.0, "images_per_s": 9.0} for k in (1, 2)]
    run.append_log(rows)
    assert [{"step": step, **row} for step, row in record.read_log(tmp_path, [])] == rows
    run.cut_log(1)
    assert run.read_log() == {name: [value] for name, value in rows[0].items()}


def test_a_column_with_a_hole_is_not_moved_up(tmp_path):
    run = RunFolder(tmp_path)
    run.log.write_text("step,a,b,c\n1,5,,1\n2,,6,2\n3,7,,3\n")
    found = run.read_log()
    assert {name: found.pop(name) for name in ("step", "c")} == {"step": [1, 2, 3], "c": [1, 2, 3]}
    np.testing.assert_array_equal(found.pop("b"), [np.nan, 6, np.nan])
    assert found == {}


def test_a_cut_keeps_what_it_does_not_understand_beside_the_log(tmp_path, capsys):
    run = RunFolder(tmp_path)
    damaged = b"step,d_loss,a\xe9\n1,2,1e1\n\xb2,3,4\n2,4,\n3,5,6"
    for name in ("log.csv.damaged", "log.csv.damaged.2"):
        run.log.write_bytes(damaged)
        run.cut_log(2)
        assert (tmp_path / name).read_bytes() == damaged
        said = f"{tmp_path}: log.csv: 1 damaged row is left out; {name} is what it was\n"
        assert capsys.readouterr().out == said
    assert run.log.read_text() == f"{','.join(record.COLUMNS)},a\ufffd\n1,2.0,,,,,10.0\n2,4.0,,,,,\n"
    run.cut_log(2)  # what is left is whole
    assert capsys.readouterr().out == ""


def test_a_log_of_which_nothing_can_be_read_begins_anew(tmp_path, capsys):
    run = RunFolder(tmp_path)
    for header in ("stop,d_loss,g_loss", "step,d_loss;g_loss", "\0" * 19):
        run.log.write_text(f"{header}\n1,2,3\n")
        run.cut_log(1)
        assert not run.log.exists()
        said = capsys.readouterr().out
        assert "is what it was\n" in said
        assert said.endswith("log.csv has no rows of 1 of the 1 steps\n")
    run.append_log([{"step": 2, "d_loss": 0.5}])
    assert run.log.read_text() == f"{','.join(record.COLUMNS)}\n2,0.5,,,,\n"


def test_a_damaged_letter_of_the_header_hides_no_column(tmp_path, capsys):
    made = folder(tmp_path / "made", rows=2)
    whole, content = record.read(made).log, (made / "log.csv").read_bytes()
    for at in range(len(record.START)):
        for letter in b'\xff,"x\n':
            if letter == content[at]:
                continue
            damaged = content[:at] + bytes([letter]) + content[at + 1 :]
            (made / "log.csv").write_bytes(damaged)
            read = record.read(made)
            if letter != ord("\n"):
                assert read.problems == ["log.csv: a letter of its header is damaged"]
                assert read.log.keys() == whole.keys()
            RunFolder(made).cut_log(2)
            assert (made / "log.csv.damaged").read_bytes() == damaged
            if letter != ord("\n"):
                assert (made / "log.csv").read_bytes() == content
            (made / "log.csv.damaged").unlink()


def test_a_row_that_is_being_written_is_neither_a_row_nor_damage(tmp_path):
    made = folder(tmp_path / "made", rows=2)
    add_health(made, (1, 2))
    for name in ("log.csv", "health.jsonl"):
        (made / name).write_bytes((made / name).read_bytes()[:-2])
    run = record.read(made)
    assert run.problems == []
    assert run.log["d_loss"][0].tolist() == [1]
    assert [look.step for look in run.looks] == [1]


def test_a_log_grows_by_a_column_that_comes_later(tmp_path):
    run = RunFolder(tmp_path)
    run.append_log([{"step": 1, "d_loss": 1.0}, {"step": 2, "late": 2.0}])
    run.append_log([{"step": 3, "later, still": 3.0, "d_loss": 4.0}])
    RunFolder(tmp_path).append_log([{"step": 4, "last": 5.0}])
    found = record.series(record.read_log(tmp_path, []))
    found = {name: (steps.tolist(), values.tolist()) for name, (steps, values) in found.items()}
    assert found == {"d_loss": ([1, 3], [1, 4]), "late": ([2], [2]), "later, still": ([3], [3]), "last": ([4], [5])}
    assert run.log.read_text().startswith("step,d_loss,g_loss,d_real,d_fake,images_per_s,late,")


def test_a_log_of_zeros_is_a_problem_of_the_log(tmp_path):
    made = folder(tmp_path / "made")
    (made / "log.csv").write_bytes(bytes(200_000))
    assert record.read(made).problems == ["log.csv does not begin with a column step and is left out"]


def test_what_is_drawn_of_a_log_is_what_games_log():
    assert set(mg.viz.LINES) == set(record.SHOWN)


def test_a_number_called_step_is_no_step(tmp_path):
    made = folder(tmp_path / "made")
    add_health(made)
    lines = [json.loads(line) for line in (made / "health.jsonl").read_text().splitlines()]
    for line in lines:
        line["numbers"]["step"] = None
    (made / "health.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (made / "log.csv").write_text("step,a,step\n1,2,nan\n2,3,7\n")
    run = record.read(made)
    assert run.steps.tolist() == [0, 1, 2, 50, 100, 150, 200]
    assert run.log["a"][0].tolist() == [1, 2]


def test_settings_are_read_strictly_and_a_report_forgives(tmp_path):
    made = folder(tmp_path / "made", data="Bücher")
    held = (made / "config.json").read_bytes().replace(b"B\\u00fccher", b"B\xfccher")
    (made / "config.json").write_bytes(held)
    assert record.read(made).settings["data"] == "B\ufffdcher"
    with pytest.raises(mg.errors.CheckpointError, match=r"config\.json: cannot be read \('utf-8' codec"):
        RunFolder(made).settings()
    (made / "config.json").write_text('{"settings": {"name": "x", "colour": 3}}')
    with pytest.raises(mg.errors.CheckpointError, match=r"holds no config\.json of a training run .*colour"):
        RunFolder(made).settings()
    settings = {"name": "x", "colour": 3}
    (made / "checkpoints").mkdir()
    checkpoint.save(made / "checkpoints", {"t": mg.tensor(1.0)}, {"settings": settings}, 1)
    with pytest.raises(
        mg.errors.CheckpointError, match=r"holds no step_00000001\.safetensors of a training run .*colour"
    ):
        RunFolder(made).settings()
    assert record.read(made).settings == settings  # a report asks for no more
    (made / "config.json").unlink()
    assert record.read(made).settings == settings


def test_a_report_shows_what_is_left_of_settings(tmp_path):
    made = folder(tmp_path / "made")
    config = json.loads((made / "config.json").read_text())
    damaged = {"images": 3, "versions": [], "blas": {"a": 1}, "sha256": 64 * "0"}
    (made / "config.json").write_text(json.dumps({**config, **damaged}))
    run = record.read(made)
    assert run.problems == ["config.json is damaged"]
    assert run.title == "dcgan"
    assert {name: run.config[name] for name in ("images", "versions", "blas")} == {
        "images": {},
        "versions": {},
        "blas": [],
    }
    assert "dcgan" in mg.report.write(run).read_text()


def test_times_that_make_no_sense_are_left_out(tmp_path):
    made = folder(tmp_path / "made")
    whole = {"started": "2025-01-01T10:00:00+00:00", "first": 0}
    seconds = {"training": 3, "samples": "4", "health": -1.0, "checkpoints": None, "rest": 10**400}
    sessions = [whole, 7, {"started": 3, "ended": [], "last": "9"}]
    (made / "timings.json").write_text(json.dumps({**seconds, "sessions": sessions}))
    problems = []
    assert record.read_timings(made, problems) == ({"training": 3.0}, [whole, {}])
    assert problems == ["timings.json: what is damaged is left out"]
    for _ in range(2):
        Timings(RunFolder(made), 5).write(6)
        kept, now = (json.loads((made / name).read_text()) for name in ("timings.json.damaged", "timings.json"))
        assert kept["sessions"] == sessions
    assert (now["training"], len(now["sessions"])) == (3.0, 4)
    assert len(list(made.glob("timings.json*"))) == 2


def test_how_far_a_run_has_come_is_read_off_its_last_whole_row(tmp_path):
    assert record.reached(tmp_path) == (0, None)
    (tmp_path / "log.csv").write_text("step,d_loss\n")
    assert record.reached(tmp_path) == (0, None)
    (tmp_path / "log.csv").write_text("step,d_loss\n" + "".join(f"{k},0.5\n" for k in range(1, 3000)) + "3000,0.")
    (tmp_path / "config.json").write_text('{"total_steps": 4000}')
    assert record.reached(tmp_path) == (2999, 4000)
    (tmp_path / "config.json").write_text('{"total_steps": null}')  # before the clock has told
    (tmp_path / "log.csv").write_bytes(b"\xff\n")
    assert record.reached(tmp_path) == (0, None)
