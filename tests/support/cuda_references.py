"""What each CUDA kernel of minigan/kernels computes, in NumPy: one function of its name, its arguments in its order.

Pointers are flat arrays in memory order; results are written in place. The kernels are held against these
functions, and the stand-in for CuPy runs them in the kernels' place.
"""

import ctypes

import numpy as np

REFERENCES = {}


def reference(function):
    REFERENCES[function.__name__] = function
    return function


def at_address(address, size, dtype):
    """The `size` elements that lie at an address, not copied."""
    kind = np.ctypeslib.as_ctypes_type(dtype)
    return np.ctypeslib.as_array(ctypes.cast(int(address), ctypes.POINTER(kind)), (int(size),))


# --- element by element ---------------------------------------------------------------------------------------


@reference
def leaky_relu(x, y, slope, n):
    y[:n] = (np.where(x > 0, x, slope * x) if slope else np.maximum(x, 0))[:n]


@reference
def leaky_relu_grad(g, y, out, slope, n):
    out[:n] = np.where(y > 0, g, slope * g if slope else g.dtype.type(0))[:n]


@reference
def total_of_slices(parts, total, slices, n):
    total[:n] = parts.reshape(slices, n).sum(0)


@reference
def softplus(x, y, n):
    y[:n] = np.logaddexp(0, x, dtype=x.dtype)[:n]


@reference
def sigmoid(x, y, n):
    y[:n] = _logistic(x)[:n]


# --- means of functions, lengths of rows ------------------------------------------------------------------------


def _logistic(v):
    small = np.exp(-np.abs(v))
    return np.where(v >= 0, 1, small) / (1 + small)


VALUES = (  # of each function, in the order in which kernels know them
    lambda v: v,
    lambda v: np.maximum(v, 0),
    _logistic,
    lambda v: np.logaddexp(0, v, dtype=v.dtype),
    lambda v: v * v,
)
SLOPES = (
    lambda v, g: g,
    lambda v, g: np.where(v > 0, g, 0),
    lambda v, g: g * (_logistic(v) * (1 - _logistic(v))),
    lambda v, g: g * _logistic(v),
    lambda v, g: 2 * g * v,
)


@reference
def sums_of(x, sums, n, f, scale, shift, weight):
    values = VALUES[f](scale * x + shift)
    step = 256 * sums.size  # blocks of 256 threads take turns
    whole = np.append(values, np.zeros(-n % step, x.dtype)).reshape(-1, sums.size, 256)
    sums[:] = weight * whole.sum(axis=(0, 2))


@reference
def slopes_of(g, x, out, n, f, scale, shift, weight):
    out[:] = SLOPES[f](scale * x + shift, weight * g[0])


@reference
def lengths(x, length, rows, columns, eps):
    length[:] = np.sqrt((x.reshape(rows, columns) ** 2).sum(axis=1) + eps)


# --- sums over rows -------------------------------------------------------------------------------------------


@reference
def column_sums(x, y, parts, sums, arrived, rows, columns, step):
    sums[:] = (x if y is None else x * y).reshape(rows, columns).sum(axis=0)


@reference
def channel_sums(g, x, stats, parts, sums, arrived, rows, columns, step):
    g, x, (mean, r) = g.reshape(rows, columns), x.reshape(rows, columns), stats.reshape(2, columns)
    sums[:] = np.concatenate([g.sum(axis=0), (g * ((x - mean) * r)).sum(axis=0)])


@reference
def channel_stats(x, parts, stats, arrived, rows, columns, step, eps):
    x = x.reshape(rows, columns)
    stats[:] = np.concatenate([x.mean(axis=0), 1 / np.sqrt(x.var(axis=0) + eps)])


@reference
def total_of_parts(parts, total, count, columns):
    total[:] = parts.reshape(count, columns).sum(axis=0)


@reference
def scale_shift(x, w, b, z, rows, columns):
    z[:] = (x.reshape(rows, columns) * w + b).reshape(-1)


@reference
def batch_norm(x, stats, w, b, z, rows, columns):
    mean, r = stats.reshape(2, columns)
    y = (x.reshape(rows, columns) - mean) * r
    z[:] = (y * (1 if w is None else w) + (0 if b is None else b)).reshape(-1)


@reference
def batch_norm_grad(g, x, stats, sums, w, d, rows, columns):
    (mean, r), (plain, along) = stats.reshape(2, columns), sums.reshape(2, columns) / g.dtype.type(rows)
    y = (x.reshape(rows, columns) - mean) * r
    d[:] = ((g.reshape(rows, columns) - plain - y * along) * r * (1 if w is None else w)).reshape(-1)


@reference
def track(running_mean, running_var, batches, mean, r, unbiased, momentum, eps, columns):
    var = np.maximum(1 / (r * r) - eps, 0) * unbiased
    running_mean[:] = running_mean * (1 - momentum) + mean * momentum
    running_var[:] = running_var * (1 - momentum) + var * momentum
    batches += 1


# --- convolution ----------------------------------------------------------------------------------------------


def windows(x, s, first, channels):
    """The windows of channels-last x: (n, oh, ow, kh, kw, channels), zero in the padding."""
    x = x.reshape(s["n"], s["h"], s["w"], s["c"])[..., first : first + channels]
    padded = np.zeros(_padded(s, channels), x.dtype)
    padded[:, s["top"] : s["top"] + s["h"], s["left"] : s["left"] + s["w"]] = x
    found = np.empty((s["n"], s["oh"], s["ow"], s["kh"], s["kw"], channels), x.dtype)
    for i, j, rows, cols in _taps(s):
        found[:, :, :, i, j] = padded[:, rows, cols]
    return found


def spread(found, x, bias, s, first, channels):
    """The adjoint of `windows`, written into the channels of x, with their bias."""
    padded = np.zeros(_padded(s, channels), x.dtype)
    for i, j, rows, cols in _taps(s):
        padded[:, rows, cols] += found[:, :, :, i, j]
    if bias is not None:
        padded += bias[first : first + channels]
    part = x.reshape(s["n"], s["h"], s["w"], s["c"])[..., first : first + channels]
    part[...] = padded[:, s["top"] : s["top"] + s["h"], s["left"] : s["left"] + s["w"]]


def _padded(s, channels):
    """A shape that holds x and every window."""
    height = max(s["top"] + s["h"], (s["oh"] - 1) * s["sh"] + (s["kh"] - 1) * s["dh"] + 1)
    width = max(s["left"] + s["w"], (s["ow"] - 1) * s["sw"] + (s["kw"] - 1) * s["dw"] + 1)
    return s["n"], height, width, channels


def _taps(s):
    """(i, j, rows, columns): the pixels of padded x that element (i, j) of the windows meets."""
    for i, j in np.ndindex(s["kh"], s["kw"]):
        rows = slice(i * s["dh"], i * s["dh"] + s["sh"] * (s["oh"] - 1) + 1, s["sh"])
        cols = slice(j * s["dw"], j * s["dw"] + s["sw"] * (s["ow"] - 1) + 1, s["sw"])
        yield i, j, rows, cols


def bfloat16(x):
    """The bits of float32 x rounded to bfloat16: what is cut off counts as more than a half, less, or exactly one."""
    bits = x.view(np.uint32)
    upper, lower = bits >> 16, bits & 0xFFFF
    up = (lower > 0x8000) | ((lower == 0x8000) & (upper % 2 == 1))
    return np.where(np.isnan(x), upper | 0x40, upper + up).astype(np.uint16)


def from_bfloat16(bits):
    """The float32 numbers whose upper halves these are."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


@reference
def rounded(x, y, n, second_x, second_y, second_n):
    y[:] = bfloat16(x)
    if second_n:
        second_y[:] = bfloat16(second_x)


@reference
def im2col(x, col, s, first, channels):
    found = windows(x, s, first, channels).reshape(-1)
    col[:] = bfloat16(found) if col.dtype == np.uint16 else found


@reference
def col2im(col, bias, x, s, first, channels):
    spread(col.reshape(s["n"], s["oh"], s["ow"], s["kh"], s["kw"], channels), x, bias, s, first, channels)


@reference
def conv(x, w, bias, y, s, first, c, first_o, o):
    y = y.reshape(-1, s["o"])[:, first_o : first_o + o]
    y[...] = windows(x, s, first, c).reshape(len(y), -1) @ w.reshape(o, -1).T
    if bias is not None:
        y += bias[first_o : first_o + o]


@reference
def conv_input(w, y, bias, x, s, first, c, first_o, o):
    found = y.reshape(-1, s["o"])[:, first_o : first_o + o] @ w.reshape(o, -1)
    spread(found.reshape(s["n"], s["oh"], s["ow"], s["kh"], s["kw"], c), x, bias, s, first, c)


@reference
def conv_weight(x, y, parts, s, first, c, first_o, o, step):
    found = windows(x, s, first, c).reshape(-1, s["kh"] * s["kw"] * c)
    y = y.reshape(-1, s["o"])[:, first_o : first_o + o]
    for z, part in enumerate(parts.reshape(-1, o, found.shape[1])):
        part[...] = y[z * step : (z + 1) * step].T @ found[z * step : (z + 1) * step]


@reference
def product(left, left_row, left_depth, left_matrix, right, right_row, right_depth, right_matrix, bias, out, m, n, k):
    size = left.itemsize

    def matrix(x, start, rows, row, depth):
        return np.lib.stride_tricks.as_strided(x[start:], (rows, k), (row * size, depth * size))

    for z, y in enumerate(out.reshape(-1, m, n)):
        a = matrix(left, z * left_matrix, m, left_row, left_depth)
        y[...] = a @ matrix(right, z * right_matrix, n, right_row, right_depth).T
        if bias is not None:
            y += bias


# --- pooling --------------------------------------------------------------------------------------------------


def _pool_windows(x, s):
    """(n, oh, ow, c, kh kw)"""
    found = windows(x, s, 0, s["c"])
    return found.transpose(0, 1, 2, 5, 3, 4).reshape(*found.shape[:3], s["c"], -1)


def _pool_spread(found, x, s):
    n, oh, ow, c, _ = found.shape
    spread(found.reshape(n, oh, ow, c, s["kh"], s["kw"]).transpose(0, 1, 2, 4, 5, 3), x, None, s, 0, c)


@reference
def pool_max(x, y, s, n):
    y[:] = _pool_windows(x, s).max(axis=-1).reshape(-1)


@reference
def pool_winner(x, y, winner, s, n):
    winner[:] = _pool_windows(x, s).argmax(axis=-1).reshape(-1)


@reference
def pool_take(x, winner, y, s, n):
    found = _pool_windows(x, s)
    y[:] = np.take_along_axis(found, winner.reshape(*found.shape[:4], 1), -1).reshape(-1)


@reference
def pool_max_grad(g, x, y, out, s, n):
    winner = _pool_windows(x, s).argmax(axis=-1)[..., None]
    found = np.where(winner == np.arange(s["kh"] * s["kw"]), g.reshape(winner.shape), g.dtype.type(0))
    _pool_spread(found, out, s)


@reference
def pool_sum(x, y, s, n):
    y[:] = _pool_windows(x, s).sum(axis=-1).reshape(-1)


@reference
def pool_spread(g, x, s, n):
    shape = (s["n"], s["oh"], s["ow"], s["c"])
    _pool_spread(np.broadcast_to(g.reshape(*shape, 1), (*shape, s["kh"] * s["kw"])), x, s)


# --- optimizer updates ----------------------------------------------------------------------------------------


def rows(table, dtype):
    """(p, g, slots) of each row of a struct Table."""
    for k in range(64):
        size = int(table["size"][k])
        if size:
            slots = [at_address(a, size, dtype) if a else None for a in table["slot"][:, k]]
            yield at_address(table["p"][k], size, dtype), at_address(table["g"][k], size, dtype), slots


def limited(g):
    return np.where(np.isinf(g), np.copysign(np.finfo(g.dtype).max, g), g)


@reference
def sgd(table, lr, momentum, weight_decay, nesterov, slots):
    for p, g, (v, *_) in rows(table, momentum.dtype):
        g = limited(g + weight_decay * p)
        if slots:
            v[:] = momentum * v + g
            g = g + momentum * v if nesterov else v
        p -= lr[0].astype(p.dtype) * g


@reference
def rmsprop(table, lr, alpha, eps, weight_decay, momentum, centered):
    for p, g, slots in rows(table, alpha.dtype):
        s, average, buffer = slots[0], slots[1], slots[2 if centered else 1]
        g = limited(g + weight_decay * p)
        s[:] = alpha * s + (1 - alpha) * g * g
        square = s
        if centered:
            average[:] = alpha * average + (1 - alpha) * g
            square = np.fmax(s - average * average, s * s.dtype.type(np.finfo(s.dtype).epsneg))
        step = g / (np.sqrt(square) + eps)
        if momentum:
            buffer[:] = step = momentum * buffer + step
        p -= lr[0].astype(p.dtype) * step


@reference
def adam(table, lr, t, beta1, beta2, eps, weight_decay, decoupled):
    for p, g, (m, v, _) in rows(table, eps.dtype):
        real = p.dtype.type
        correction = real(np.sqrt(1 - beta2 ** t[0]))
        rate = real(lr[0] / (1 - beta1 ** t[0])) * correction
        if decoupled:
            p *= real(1 - lr[0] * weight_decay)
        else:
            g = g + real(weight_decay) * p
        g = limited(g)
        m[:] = real(beta1) * m + real(1 - beta1) * g
        v[:] = real(beta2) * v + real(1 - beta2) * g * g
        p -= rate * m / (np.sqrt(v) + eps * correction)


@reference
def total(table, *, dtype):
    for p, g, slots in rows(table, dtype):
        p[:] = sum((slot for slot in slots if slot is not None), g.copy())


@reference
def average(table, decay, *, dtype):
    for shadow, parameter, _ in rows(table, dtype):
        shadow += (1 - decay[0]).astype(dtype) * (parameter - shadow)


# --- random draws and batches -----------------------------------------------------------------------------------


def _words(n, draw, at):
    step = draw["step"] if at is None else at[0]
    counter = np.array([draw["first"], 0, step, 0], np.uint64)
    return np.random.Philox(counter=counter, key=np.array([draw["key0"], draw["key1"]])).random_raw(int(n))


@reference
def random_words(out, n, draw, at):
    out[:] = _words(n, draw, at)


@reference
def random_uniform(out, n, draw, at, low, width):
    digits = 53 if out.dtype == np.float64 else 24
    unit = (_words(n, draw, at) >> np.uint64(64 - digits)).astype(out.dtype) * out.dtype.type(2.0**-digits)
    out[:] = unit * width + low


@reference
def random_normal(out, n, draw, at, mean, std):
    halves = _words(-(-n // 2), draw, at).view(np.uint32).reshape(-1, 2).astype(out.dtype)
    radius = np.sqrt(-2 * np.log((halves[:, 0] + 1) * out.dtype.type(2.0**-32)))
    angle = halves[:, 1] * out.dtype.type(2.0**-31 * np.pi)
    both = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    out[:] = both.reshape(-1)[:n] * std + mean


@reference
def random_integers(out, n, draw, at, high):
    out[:] = (_words(n, draw, at) >> np.uint64(32)) * np.uint64(high) >> np.uint64(32)


@reference
def gather_images(images, order, k, out, per_epoch, batch, size):
    position = k[0] % per_epoch * batch
    chosen = images.reshape(-1, size)[order[position : position + batch]]
    out[:] = (chosen.astype(out.dtype) * out.dtype.type(1 / 127.5) - 1).reshape(-1)


@reference
def scaled(images, out, size):
    out[:] = (images.astype(out.dtype) * out.dtype.type(1 / 127.5) - 1).reshape(-1)
