"""The one engine: gradients of tensors with respect to tensors, to any order.

    grad(y, x)                      dy/dx
    grad(y, x, create_graph=True)   the same, recorded, so that it can be differentiated again

A gradient penalty is the second form inside the first: the norm of grad(score, x, create_graph=True) is a
number like any other, and grad of it with respect to the critic's weights runs back through the backward pass.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import iadd
from types import MethodType
from typing import Any, overload

from .errors import DTypeError, GraphError, ShapeError, described
from .kernels import kernels, memory, portable
from .kernels.calls import done
from .op import call_rule
from .ops.reduce import sum
from .ops.shape import reshape
from .recording import Cause, GradCall, mode, recording, watch
from .tensor import Node, Tensor, Unrecorded, as_tensor, node_of, ones_like, zeros_like


@overload
def grad(y: Tensor, inputs: Tensor, grad_output: Tensor | None = None, *, create_graph: bool = False) -> Tensor: ...
@overload
def grad(
    y: Tensor, inputs: Sequence[Tensor], grad_output: Tensor | None = None, *, create_graph: bool = False
) -> list[Tensor]: ...


def grad(
    y: Tensor,
    inputs: Tensor | Sequence[Tensor],
    grad_output: Tensor | None = None,
    *,
    create_graph: bool = False,
) -> Tensor | list[Tensor]:
    """The gradient of y with respect to `inputs`: a Tensor for a Tensor, a list for a list, each shaped as its input.

    y must have one element unless `grad_output`, a cotangent of y's shape, is given; the result is then the
    vector-Jacobian product. With `create_graph` the result can be differentiated again. An input that y does
    not depend on gets zeros. Only ops on a path from `inputs` to y are visited, so gradients nobody asked for
    cost nothing; the graph is not consumed.

    Raises GraphError if y depends on none of the inputs, or if an array that the gradient reads was changed in
    place since the forward pass; ShapeError if y has several elements and no `grad_output`; DTypeError if y or the
    inputs are no Tensors.
    """
    single = isinstance(inputs, Tensor)
    if not isinstance(y, Tensor):
        raise DTypeError(f"grad: expected y, a Tensor computed from the inputs, got {described(y)}")
    targets = all_tensors(inputs, "grad")
    seed = _seed(y, grad_output)
    wanted = {node_of(t) for t in targets}
    path = _path(node_of(y), wanted)
    if not path:
        raise GraphError(f"grad: y of shape {y.shape} depends on none of the {len(targets)} inputs: {_why(y, targets)}")
    cotangents, order = _swept(path, wanted, seed, create_graph)
    results = [cotangents[node_of(t)] if node_of(t) in cotangents else zeros_like(t) for t in targets]
    if not create_graph:
        for g in results:  # so that who differentiates one is told why that is impossible
            if g.version is None and g.node is None:
                g.version = Unrecorded()
    if watch.gradients is not None:
        found = [cotangents.get(node_of(t)) for t in targets]
        watch.gradients(GradCall(y, targets, seed, grad_output is not None, found, order))
    return results[0] if single else results


def pulled_back(y: Tensor | None, targets: Sequence[Node], g: Tensor, *, create_graph: bool) -> list[Tensor | None]:
    """What flows to each of these nodes from y, whose cotangent is g, without having passed through another of them.

    None where that is zero. GraphError if there is no path at all to one of them.
    """
    wanted = set(targets)
    path = [] if y is None or y.node is None else _path(y.node, wanted, beyond=False)
    if not wanted.issubset(path):
        raise GraphError("checkpoint: done again, the function reads other Tensors than it did before")
    cotangents, _ = _swept(path, wanted, g, create_graph, beyond=False)
    return [cotangents.get(node) for node in targets]


def _swept(
    path: list[Node], wanted: set[Node], seed: Tensor, create_graph: bool, beyond: bool = True
) -> tuple[dict[Node, Tensor], int]:
    """(the cotangents of the wanted nodes, the order of this derivative)."""
    order = 1 + max((node.order for node in path if node.op is not None), default=0)
    with recording(create_graph, order):
        return _sweep(path, wanted, seed, create_graph, beyond), order


def _why(y: Tensor, targets: list[Tensor]) -> str:
    """What may have kept y from depending on the targets."""
    if _reads_unrecorded_gradient(node_of(y)):
        return "y is computed from a gradient that was taken without create_graph=True"
    whole = sorted({str(t.dtype) for t in (y, *targets) if t.dtype.kind != "f"})
    if whole:
        return f"only floats have gradients, and among these is {' and '.join(whole)}"
    return "were they used under no_grad(), cut off by detach(), or made after y?"


def _reads_unrecorded_gradient(root: Node) -> bool:
    seen, stack = {root}, [root]
    while stack:
        node = stack.pop()
        if node.op is None and node.order:
            return True
        parents = {p for p in node.parents if p is not None} - seen
        seen |= parents
        stack.extend(parents)
    return False


def _seed(y: Tensor, grad_output: Tensor | None) -> Tensor:
    if grad_output is None:
        if y.size != 1:
            raise ShapeError(f"grad: y has shape {y.shape}; give grad_output, a cotangent of that shape, or sum y")
        return ones_like(y)
    grad_output = as_tensor(grad_output, "grad: grad_output")
    if grad_output.shape != y.shape:
        raise ShapeError(f"grad: y has shape {y.shape}, grad_output {grad_output.shape}")
    return grad_output


def _path(root: Node, wanted: set[Node], beyond: bool = True) -> list[Node]:
    """The nodes between `root` and those wanted, each after everything that uses it.

    Those that lead from one that is wanted to another are among them if they are to be looked for `beyond` it.
    """
    leads: dict[Node, bool] = {}  # does the node lead to one that is wanted?
    finished: list[Node] = []
    stack = [(root, False)]
    while stack:
        node, expanded = stack.pop()
        if expanded:
            leads[node] = node in wanted or any(p is not None and leads[p] for p in node.parents)
            if leads[node]:
                finished.append(node)
        elif node not in leads:
            leads[node] = False
            stack.append((node, True))
            if beyond or node not in wanted:
                stack.extend((p, False) for p in node.parents if p is not None and p not in leads)
    return finished[::-1]


def _sweep(path: list[Node], wanted: set[Node], seed: Tensor, create_graph: bool, beyond: bool) -> dict[Node, Tensor]:
    """The cotangents of the wanted nodes: each rule on the path called once, contributions added up.

    Those of wanted nodes themselves are called if the gradient flows on `beyond` them.
    """
    on_path = set(path)
    cotangents = {path[0]: seed}
    owned: set[Node] = set()  # cotangents in a buffer made here, which may be added to in place
    shares: dict[Node, list[Tensor]] = {}  # of leaves, to be added up at the end
    watched = watch.callback is not None
    for node in path:
        if node not in cotangents or (node in wanted and not beyond):
            continue
        g = cotangents[node] if node in wanted else cotangents.pop(node)
        shared: dict[str, Tensor] = {}  # what several rules of the node need
        at_once = None if node.op is None or node.op.gradients is None else _at_once(node, g, on_path)
        for i, parent in enumerate(node.parents):
            if parent is None or parent not in on_path:
                continue
            if watched:
                mode.cause = Cause("rule", node, i, g)
            contribution = call_rule(node, i, g, shared) if at_once is None else at_once.get(i)
            if contribution is None:
                continue
            if contribution.data.shape != parent.shape:
                if watched:
                    mode.cause = Cause("unbroadcast", node, i, g)
                contribution = _unbroadcast(contribution, parent.shape)
            held = cotangents.get(parent)
            if held is None:
                cotangents[parent] = contribution
            elif parent in shares:
                shares[parent].append(contribution)
            elif parent in owned:
                held.data = done(iadd, held.data, contribution.data)
            elif parent.op is None and not (create_graph or watched) and contribution.device == "cuda":
                shares[parent] = [held, contribution]
            else:
                if watched:
                    mode.cause = Cause("add", node, i, g)
                cotangents[parent] = held + contribution
                if not (create_graph or watched):
                    owned.add(parent)
    return {node: g for node, g in (cotangents | _added_up(shares)).items() if node in wanted}


def _at_once(node: Node, g: Tensor, on_path: set[Node]) -> dict[int, Tensor]:
    """The contributions of a node that gives all at once, by the numbers of its parents: those that are not zero."""
    asked = [i for i, parent in enumerate(node.parents) if parent in on_path]
    return node.op.gradients(g, asked) if asked else {}


def _added_up(shares: dict[Node, list[Tensor]]) -> dict[Node, Tensor]:
    """The sum of each node's share of arrays on a GPU, where one launch for all of them takes less than many."""
    totals = {node: Tensor(memory.maker(each[0].data).empty_like(each[0].data)) for node, each in shares.items()}
    rows = [(totals[node].data, *(share.data for share in each)) for node, each in shares.items()]
    if rows:
        kernels(rows[0][0]).update(portable.total, rows)
    return totals


def _unbroadcast(g: Tensor, shape: tuple[int, ...]) -> Tensor:
    """g summed over the axes along which an argument of `shape` was broadcast."""
    extra = g.ndim - len(shape)
    axes = [i for i, n in enumerate(g.shape) if i < extra or (shape[i - extra] == 1 and n != 1)]
    return reshape(sum(g, axes), shape)


# --- products with the Jacobian and the Hessian -------------------------------------------------------------

Function = Callable[..., Tensor]


def vjp(fn: Function, inputs: Tensor | Sequence[Tensor]) -> "tuple[Tensor, Callable[..., Tensor | list[Tensor]]]":
    """(y, pullback) for y = fn(*inputs): pullback(cotangent, create_graph=False) is cotangent^T J, shaped as inputs."""
    points = all_tensors(inputs, "vjp")
    y = fn(*points)

    def pullback(cotangent: Tensor, *, create_graph: bool = False) -> "Tensor | list[Tensor]":
        pulled = grad(y, points, cotangent, create_graph=create_graph)
        return pulled[0] if isinstance(inputs, Tensor) else pulled

    return y, pullback


def jvp(fn: Function, inputs: Tensor | Sequence[Tensor], tangents: Tensor | Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """(y, J t) for y = fn(*inputs): the derivative of y along `tangents`, by differentiating a vjp (Townsend 2017).

    The vjp u^T J is linear in u, and its derivative along t with respect to u is J t; both remain differentiable.
    """
    points = all_tensors(inputs, "jvp")
    y = fn(*points)
    u = zeros_like(y)
    pulled = grad(y, points, u, create_graph=True)
    slope = inner(pulled, _fitting("jvp", pulled, tangents))
    if not depends_on(slope, [u]):
        return y, zeros_like(y)  # J itself is zero
    return y, grad(slope, u, create_graph=True)


def hvp(
    fn: Function, inputs: Tensor | Sequence[Tensor], vectors: Tensor | Sequence[Tensor]
) -> "tuple[Tensor, Tensor | list[Tensor]]":
    """(y, H v) for a one-element y = fn(*inputs): the Hessian times `vectors`, shaped as inputs (Pearlmutter 1994)."""
    points = all_tensors(inputs, "hvp")
    y = fn(*points)
    first = grad(y, points, create_graph=True)
    slope = inner(first, _fitting("hvp", first, vectors))
    if depends_on(slope, points):
        second = grad(slope, points, create_graph=True)
    else:
        second = [zeros_like(p) for p in points]  # y is linear: its gradient is a constant
    return y, second[0] if isinstance(inputs, Tensor) else second


def depends_on(y: Tensor, inputs: Sequence[Tensor]) -> bool:
    """True if recorded ops lead from any of `inputs` to y, so that `grad(y, inputs)` can be taken."""
    return y.node is not None and bool(_path(y.node, {t.node for t in inputs if t.node is not None}))


def all_tensors(xs: Any, name: str, what: str = "inputs") -> list[Tensor]:
    """`xs`, a Tensor or several, as a list; DTypeError, in words of `name` and `what`, for anything else."""
    if isinstance(xs, Tensor):
        return [xs]
    if not isinstance(xs, list | tuple):
        told = "; give its .values()" if isinstance(xs, Mapping) else _offered(xs)
        if told or isinstance(xs, str) or hasattr(xs, "__array__") or not isinstance(xs, Iterable):
            raise DTypeError(f"{name}: expected a list of Tensors as {what}, got {described(xs)}{told}")
    tensors = list(xs)
    for k, x in enumerate(tensors):
        if not isinstance(x, Tensor):
            raise DTypeError(
                f"{name}: expected a list of Tensors as {what}, got {described(x)} as item {k}{_offered(x)}"
            )
    return tensors


def _offered(x: Any) -> str:
    """What gives Tensors where x is none, as the end of a sentence; "" if nothing of x does."""
    if isinstance(x, MethodType):
        return "; call it, with ()"
    return "; give its .parameters()" if callable(getattr(x, "parameters", None)) else ""


def inner(xs: Sequence[Tensor], ys: Sequence[Tensor]) -> Tensor:
    """The sum over i of <xs[i], ys[i]>: a 0-d tensor."""
    first, *rest = (sum(x * y) for x, y in zip(xs, ys, strict=True))
    for term in rest:
        first = first + term
    return first


def _fitting(name: str, gs: Sequence[Tensor], vs: Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    vectors = all_tensors(as_tensor(vs, name) if hasattr(vs, "__array__") else vs, name, "vectors")
    if [v.shape for v in vectors] != [g.shape for g in gs]:
        raise ShapeError(f"{name}: inputs have shapes {[g.shape for g in gs]}, vectors {[v.shape for v in vectors]}")
    return vectors
