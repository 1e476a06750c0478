"""What was aimed at, and whether the figures reach it: float32 against float32, TF32 beside it."""

from typing import Any, NamedTuple


class Target(NamedTuple):
    """Captured minigan against a kind of PyTorch: minigan's milliseconds over PyTorch's, at most so much."""

    workload: str
    rival: str
    most: float


TARGETS = (
    *(Target(name, "torch eager", 0.5) for name in ("dcgan28", "wgan_gp")),
    *(Target(name, "torch graph", 1.0) for name in ("dcgan28", "wgan_gp")),
    *(Target(name, "torch graph", 1.3) for name in ("dcgan64", "dcgan128")),
)


def figure(variants: dict[str, dict[str, Any]], name: str) -> float | None:
    """The median ms of a variant that was timed and whose losses agree."""
    entry = variants.get(name, {})
    return entry.get("milliseconds") if entry.get("agrees") and "error" not in entry else None


def fastest(variants: dict[str, dict[str, Any]], kind: str, tf32: bool) -> tuple[str, float] | None:
    """The fastest variant whose name begins so, in this precision, with D's parameters in the graph as usual."""
    names = [name for name in variants if name.startswith(kind) and ("tf32" in name) == tf32 and "frozen" not in name]
    timed = {name: ms for name in names if (ms := figure(variants, name)) is not None}
    return min(timed.items(), key=lambda item: item[1]) if timed else None


def evaluate(steps: dict[str, Any]) -> list[dict[str, Any]]:
    """Each target with the ratio found and whether it is met: None where a figure is missing."""
    results = []
    for target in TARGETS:
        variants = steps.get(target.workload, {}).get("variants", {})
        ours, rival = figure(variants, "minigan captured"), fastest(variants, target.rival, tf32=False)
        ratio = ours / rival[1] if ours is not None and rival else None
        tf32, rival_tf32 = figure(variants, "minigan captured tf32"), fastest(variants, target.rival, tf32=True)
        results.append(
            {
                "workload": target.workload,
                "against": target.rival,
                "at_most": target.most,
                "ratio": ratio,
                "fastest_of_them": rival and rival[0],
                "met": None if ratio is None else ratio <= target.most,
                "tf32_ratio": tf32 / rival_tf32[1] if tf32 is not None and rival_tf32 else None,
            }
        )
    return results
