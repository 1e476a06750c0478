"""Any run of `minigan train`, told to MLflow too, which keeps it in a database on the disk: pip install mlflow.

    python examples/trackers/mlflow_local.py wgan_gp --steps 1000
    mlflow ui --backend-store-uri sqlite:///runs/mlflow/runs.db

A run that is resumed becomes a second one there, which begins after the checkpoint.
"""

import sys

import mlflow

from minigan.command import recipe
from minigan.training import Hook

STATUSES = {0: "FINISHED", 1: "FAILED"}  # others were stopped


class MLflow(Hook):
    def begun(self, run):
        folder = (run.folder.path.parent / "mlflow").resolve()
        folder.mkdir(exist_ok=True)
        mlflow.set_tracking_uri(f"sqlite:///{(folder / 'runs.db').as_posix()}")
        if mlflow.get_experiment_by_name("minigan") is None:
            mlflow.create_experiment("minigan", artifact_location=(folder / "pictures").as_uri())
        mlflow.set_experiment("minigan")
        mlflow.start_run(run_name=run.settings.title)
        mlflow.log_params(vars(run.settings))

    def stepped(self, step, losses):
        mlflow.log_metrics(dict(losses), step=step)

    def sampled(self, step, pictures):
        for path in pictures.values():
            mlflow.log_artifact(str(path), "samples")

    def evaluated(self, step, numbers):
        mlflow.log_metrics(dict(numbers), step=step)

    def ended(self, step, status):
        mlflow.end_run(STATUSES.get(status, "KILLED"))


if __name__ == "__main__":
    sys.exit(recipe.main(hooks=[MLflow()]))
