"""The examples of trackers with the libraries themselves, and what they keep, read back: pip install wandb mlflow."""

import csv
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from example_scripts import EXAMPLES

pytestmark = pytest.mark.slow

READERS = {  # each prints {"step": {"d_loss": value, …}, …}
    "wandb": """
import json, sys
from pathlib import Path
from wandb.proto.wandb_internal_pb2 import Record

def records(data, at=7, block=1 << 15):  # LevelDB's log after a head of seven bytes
    while at + 7 <= len(data):
        if (left := block - at % block) < 7:
            at += left
            continue
        size, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]  # 1: whole, 2: first, 3, 4: last
        held = (b"" if kind < 3 else held) + data[at + 7 : at + 7 + size]
        if kind in (1, 4):
            yield Record.FromString(held)
        at += 7 + size

(file,) = Path(sys.argv[1]).glob("run/wandb/offline-run-*/*.wandb")
told = [r.history for r in records(file.read_bytes()) if r.WhichOneof("record_type") == "history"]
print(json.dumps({h.step.num: {i.key or i.nested_key[0]: json.loads(i.value_json) for i in h.item} for h in told}))
""",
    "mlflow": """
import json, sys
import mlflow

mlflow.set_tracking_uri(f"sqlite:///{sys.argv[1]}/mlflow/runs.db")
client = mlflow.MlflowClient()
(run,) = client.search_runs([client.get_experiment_by_name("minigan").experiment_id])
assert run.info.status == "FINISHED" and run.data.params["batch_size"] == "16"
assert [file.path for file in client.list_artifacts(run.info.run_id, "samples")]
held = {}
for name in run.data.metrics:
    for point in client.get_metric_history(run.info.run_id, name):
        held.setdefault(point.step, {})[name] = point.value
print(json.dumps(held))
""",
}


def python(folder: Path, *command: object) -> str:
    """What Python prints on its standard output, with the package of this checkout and nothing sent anywhere."""
    environment = os.environ | {"PYTHONPATH": str(EXAMPLES.parent), "WANDB_MODE": "offline", "WANDB_SILENT": "true"}
    environment |= {"MLFLOW_DISABLE_TELEMETRY": "true"}
    words = [sys.executable, *map(str, command)]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("library", "example"), [("wandb", "weights_and_biases"), ("mlflow", "mlflow_local")])
def test_what_a_run_tells_is_read_back(library, example, tmp_path):
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"needs {library}: pip install {library}")
    given = ["mlp", "--data", "digits", "--steps", 6, "--batch-size", 16, "--out", tmp_path / "run"]
    python(tmp_path, EXAMPLES / "trackers" / f"{example}.py", *given)
    held = json.loads(python(tmp_path, "-c", READERS[library], tmp_path))
    with (tmp_path / "run" / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert [held[row["step"]]["d_loss"] for row in rows] == pytest.approx([float(row["d_loss"]) for row in rows])
