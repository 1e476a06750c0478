"""What was aimed at, and whether the figures reach it: float32 against float32, TF32 and bfloat16 beside it."""

from typing import Any, NamedTuple

from .plan import COMPILED, PRECISIONS, variant


class Target(NamedTuple):
    """Captured minigan against a kind of PyTorch: minigan's milliseconds over PyTorch's, at most so much."""

    workload: str
    rival: str
    most: float


TARGETS = (
    Target("dcgan28", "torch eager", 0.5),
    Target("dcgan28", "torch graph", 1.0),
    *(Target(name, "torch graph", 1.2) for name in ("wgan_gp", "dcgan64", "dcgan128")),
)
JUDGED, *BESIDE = PRECISIONS


def figure(variants: dict[str, dict[str, Any]], name: str) -> float | None:
    """The median ms of a variant that was timed and whose losses agree."""
    entry = variants.get(name, {})
    return entry.get("milliseconds") if entry.get("agrees") and "error" not in entry else None


def fastest(variants: dict[str, dict[str, Any]], kind: str, precision: str) -> tuple[str, float] | None:
    """The fastest variant whose name begins so, in this precision, with D's parameters in the graph as usual."""
    names = [name for name in variants if name.startswith(kind) and name != COMPILED]
    alike = [name for name in names if variant(name).precision == precision and not variant(name).frozen]
    timed = {name: ms for name in alike if (ms := figure(variants, name)) is not None}
    return min(timed.items(), key=lambda item: item[1]) if timed else None


def ratio(variants: dict[str, dict[str, Any]], kind: str, precision: str) -> float | None:
    """minigan's captured step over that variant; None where a figure is missing."""
    ours = fastest(variants, "minigan captured", precision)
    theirs = fastest(variants, kind, precision)
    return ours[1] / theirs[1] if ours and theirs else None


def evaluate(steps: dict[str, Any]) -> list[dict[str, Any]]:
    """Each target with its ratio and whether it is met, None where a figure is missing; other precisions beside."""
    results = []
    for target in TARGETS:
        variants = steps.get(target.workload, {}).get("variants", {})
        found, rival = ratio(variants, target.rival, JUDGED), fastest(variants, target.rival, JUDGED)
        results.append(
            {
                "workload": target.workload,
                "against": target.rival,
                "at_most": target.most,
                "ratio": found,
                "fastest_of_them": rival and rival[0],
                "met": None if found is None else found <= target.most,
                "beside": {precision: ratio(variants, target.rival, precision) for precision in BESIDE},
            }
        )
    return results
