"""The examples of trackers, against modules that take the calls which the real ones take, and no other."""

import importlib.util
import sys
import types

import pytest
from example_scripts import EXAMPLES
from quick_run import QuickYardstick, quick_curves
from tiny_run import build, rows, settings

from minigan import training, viz
from minigan.training import loop


@pytest.fixture(autouse=True)
def quick(monkeypatch, few_digits):
    monkeypatch.setattr(loop, "Yardstick", QuickYardstick)
    monkeypatch.setattr(viz, "loss_curves", quick_curves)


def script(name):
    path = EXAMPLES / "trackers" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(out, hook):
    return training.run(build, settings(out, epochs=2), hooks=[hook], measure=lambda *about: {"score": 0.5})


def test_weights_and_biases(tmp_path, monkeypatch):
    class Run:
        def __init__(self):
            self.logged, self.step, self.exit_code = {}, 0, None

        def log(self, data, step=None):
            assert step >= self.step  # an earlier one is dropped
            self.step = step
            self.logged.setdefault(step, {}).update(data)

        def finish(self, exit_code=None):
            self.exit_code = exit_code

    made = []

    def init(project=None, name=None, config=None, dir=None, mode=None):
        assert (mode, dir, config["batch_size"]) == ("offline", str(tmp_path), 16)
        made.append(Run())
        return made[0]

    class Image:
        def __init__(self, data_or_path):
            self.path = data_or_path

    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(init=init, Image=Image, __spec__=None))
    run(tmp_path, script("weights_and_biases").WeightsAndBiases())
    (held,) = made
    assert [held.logged[int(row["step"])]["d_loss"] for row in rows(tmp_path)] == [
        float(row["d_loss"]) for row in rows(tmp_path)
    ]
    assert held.logged[6]["samples"].path == str(tmp_path / "samples" / "step_00000006.png")
    assert held.logged[12]["score"] == 0.5
    assert held.logged[0]["verdict"]
    assert held.exit_code == 0


def test_mlflow(tmp_path, monkeypatch):
    metrics, artifacts, about = {}, [], {}

    def log_metrics(values, step=None):
        metrics.setdefault(step, {}).update(values)

    module = types.SimpleNamespace(
        set_tracking_uri=lambda uri: about.update(uri=uri),
        get_experiment_by_name=lambda name: None,
        create_experiment=lambda name, artifact_location=None: about.update(made=(name, artifact_location)),
        set_experiment=lambda experiment_name: about.update(experiment=experiment_name),
        start_run=lambda run_id=None, run_name=None: about.update(name=run_name),
        log_params=lambda params: about.update(params=params),
        log_metrics=log_metrics,
        log_artifact=lambda local_path, artifact_path=None: artifacts.append((local_path, artifact_path)),
        end_run=lambda status="FINISHED": about.update(status=status),
    )
    monkeypatch.setitem(sys.modules, "mlflow", module)
    run(tmp_path / "run", script("mlflow_local").MLflow())
    assert [metrics[int(row["step"])]["g_loss"] for row in rows(tmp_path / "run")] == [
        float(row["g_loss"]) for row in rows(tmp_path / "run")
    ]
    assert metrics[12]["score"] == 0.5
    assert [name for name, _ in artifacts] == [str(p) for p in sorted((tmp_path / "run" / "samples").glob("*.png"))]
    assert about["uri"] == f"sqlite:///{tmp_path.as_posix()}/mlflow/runs.db"
    assert about["made"] == ("minigan", (tmp_path / "mlflow" / "pictures").as_uri())
    assert (about["name"], about["params"]["batch_size"], about["status"]) == ("tiny", 16, "FINISHED")
