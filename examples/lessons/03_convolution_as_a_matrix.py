# %% [markdown]
# # 3. Convolution as a matrix, and its transpose
#
# A convolution is linear: y = C x, with the image and the result laid out as vectors. The matrix C holds each weight
# many times and is mostly zeros. Its transpose, C^T, takes something of y's size to x's: that is the transposed
# convolution of a generator, and also what brings a gradient back through a convolution. It does not undo it.

# %%
import numpy as np
from lesson import Lesson

import minigan as mg
from minigan import viz

lesson = Lesson("03_convolution_as_a_matrix")
rng = np.random.default_rng(0)


# %%
def matrix(w, side, **options):
    """C: a column for each pixel, what the convolution makes of an image that is 1 there and 0 elsewhere."""
    pixels = mg.tensor(np.eye(side * side).reshape(-1, 1, side, side))
    return mg.conv2d(pixels, w, **options).numpy().reshape(side * side, -1).T


def apart(a, b):
    return f"{abs(a.ravel() - b.ravel()).max():.0e}"


w = mg.tensor(rng.integers(1, 10, (1, 1, 3, 3)).astype(float))
x = mg.tensor(rng.normal(0, 1, (1, 1, 4, 4)))
C = matrix(w, 4)
y = mg.conv2d(x, w)
print(
    f"3x3 weights on 4x4 pixels: C is {C.shape[0]} x {C.shape[1]}; y and C x are",
    apart(C @ x.numpy().ravel(), y.numpy()),
    "apart",
)

# %% [markdown]
# The transposed convolution multiplies by C^T; and the gradient of <y, g> with respect to x is the same C^T g.

# %%
g = mg.tensor(rng.normal(0, 1, y.shape))
back = C.T @ g.numpy().ravel()
print("transposed convolution and C^T g are", apart(mg.conv_transpose2d(g, w).numpy(), back), "apart")
print("gradient with respect to x and C^T g are", apart(mg.grad(mg.conv2d(x, w), x, g).numpy(), back), "apart")

# %% [markdown]
# So T(x, w, y) = <conv(x, w), y> is a number that is linear in each of its three arguments. Leave one out, and what
# multiplies it is one of three faces: the convolution (y left out), the transposed convolution (x), the gradient of the
# weights (w). Each face is linear in the two others, so its own gradients are again faces: three functions, six rules
# of a line each, and convolution can be differentiated any number of times. They stand in minigan/ops/conv.py.

# %%
faces = {"x": mg.conv_transpose2d(g, w), "w": mg.grad(mg.conv2d(x, w), w, g), "y": mg.conv2d(x, w)}
for name, argument in {"x": x, "w": w, "y": g}.items():
    print(f"T = <face of {name}, {name}> = {mg.sum(faces[name] * argument).item():.12f}")
mg.testing.gradcheck(mg.conv2d, [x, w], order=3)
print("conv2d agrees with difference quotients to third order")

# %% [markdown]
# The figure: C for stride 1; for stride 2, whose rows step two pixels at a time; and C^T of that one, which a generator
# uses to go from 2x2 to 4x4. Count the entries of its rows: some pixels are written once, one four times. That is the
# checkerboard in samples of young generators; 4x4 weights of stride 2 write each inner pixel four times.

# %%
narrow = matrix(w, 4, stride=2, padding=1)
shown = {"stride 1: 4x4 to 2x2": C, "stride 2, padding 1: 4x4 to 2x2": narrow, "its transpose: 2x2 to 4x4": narrow.T}
figure = viz.empty_figure(figsize=(10, 3.4), layout="constrained")
for k, (title, entries) in enumerate(shown.items()):
    axes = figure.add_subplot(1, 3, k + 1)
    axes.set_title(title, fontsize="medium")
    axes.imshow(np.where(entries == 0, np.nan, entries), cmap="viridis", vmin=0, vmax=9)
    rows, columns = entries.shape
    axes.set(xticks=[], yticks=[], xlabel=f"{rows} x {columns}, {np.count_nonzero(entries)} entries not zero")
lesson.figure(figure)

# %% [markdown]
# **Exercise.** A transposed convolution of stride 1 is also an ordinary one: with the weights turned by half a turn and
# more padding. Which padding p makes `conv2d(g, turned, padding=p)` equal to `conv_transpose2d(g, w)` for 3x3 weights?

# %%
answer = 1


def check(p: int) -> str:
    made, wanted = mg.conv2d(g, mg.flip(w, (2, 3)), padding=p), mg.conv_transpose2d(g, w)
    return "" if made.shape == wanted.shape else f"padding {p} makes {made.shape[2:]}, wanted are {wanted.shape[2:]}."


lesson.exercise(check, answer)
