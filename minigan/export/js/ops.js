// The ops of a program, by the names that ONNX has for them.

const axisOf = (axis, x) => axis < 0 ? axis + x.shape.length : axis;
const strides = (shape) => shape.map((_, k) => count(shape.slice(k + 1)));
const whole = (x) => Array.from(x.data);

// visit(place in the result, place in each argument) for all places; `steps` are each argument's strides
function each(shape, steps, visit) {
  const [a, b = a.map(() => 0)] = steps, last = shape.length - 1, size = count(shape);
  if (last < 0) return visit(0, 0, 0);
  if (!size) return undefined;
  const at = shape.map(() => 0), length = shape[last], sa = a[last], sb = b[last];
  for (let k = 0, p = 0, q = 0; k < size;) {
    for (let j = 0; j < length; j++, k++) visit(k, p + j * sa, q + j * sb);
    let axis = last - 1;
    for (; axis >= 0; axis--) {
      p += a[axis];
      q += b[axis];
      if (++at[axis] < shape[axis]) break;
      p -= a[axis] * shape[axis];
      q -= b[axis] * shape[axis];
      at[axis] = 0;
    }
    if (axis < 0) break;
  }
  return undefined;
}

// the shape that both have when what is of size 1 is repeated
function common(a, b) {
  const rank = Math.max(a.length, b.length), [x, y] = [a, b].map((s) => [...Array(rank - s.length).fill(1), ...s]);
  return x.map((size, k) => size === 1 ? y[k] : size);
}

// strides in an array of `shape` of places in one of the larger shape `into`
const repeated = (shape, into) => {
  const own = strides(shape), more = into.length - shape.length;
  return into.map((_, k) => k < more || shape[k - more] === 1 ? 0 : own[k - more]);
};

const ofOne = (f) => ([x]) => ({ shape: x.shape, data: x.data.map(f) });
const test = (f) => ([x]) => ({ shape: x.shape, data: Uint8Array.from(x.data, f) });

const ofTwo = (f, type = null) => ([x, y]) => {
  const shape = common(x.shape, y.shape), data = new (type || x.data.constructor)(count(shape)), a = x.data, b = y.data;
  each(shape, [repeated(x.shape, shape), repeated(y.shape, shape)], (k, p, q) => { data[k] = f(a[p], b[q]); });
  return { shape, data };
};

// over axes (all, if none are told): the first value, then `join` with each, then `done` with how many there were
const reduced = (first, join, done = (sum) => sum) => ([x, told], { axes = told && whole(told), keepdims = 1 }) => {
  const over = new Set((axes && axes.length ? axes : x.shape.map((_, k) => k)).map((axis) => axisOf(axis, x)));
  const kept = x.shape.map((size, k) => over.has(k) ? 1 : size), size = count(kept), many = count(x.shape) / size;
  const sums = new Float64Array(size).fill(first);
  each(x.shape, [strides(x.shape), repeated(kept, x.shape)], (_, p, q) => { sums[q] = join(sums[q], x.data[p]); });
  const data = x.data.constructor.from(sums, (sum) => done(sum, many));
  return { shape: keepdims ? kept : kept.filter((_, k) => !over.has(k)), data };
};

const soonest = (better) => ([x], { axis, keepdims }) => {
  const k = axisOf(axis, x), inner = count(x.shape.slice(k + 1)), length = x.shape[k], outer = count(x.shape.slice(0, k));
  const data = new Int32Array(outer * inner);
  for (let o = 0; o < outer; o++) for (let i = 0; i < inner; i++) {
    const at = (j) => x.data[(o * length + j) * inner + i];
    for (let j = 1; j < length; j++) if (better(at(j), at(data[o * inner + i]))) data[o * inner + i] = j;
  }
  return { shape: x.shape.flatMap((size, j) => j !== k ? [size] : keepdims ? [1] : []), data };
};

// the array whose place p is that of x at starts + p steps, within each axis
function picked(x, shape, starts, steps) {
  const own = strides(x.shape), data = new x.data.constructor(count(shape)), from = starts.reduce((sum, s, k) => sum + s * own[k], 0);
  each(shape, [steps.map((step, k) => step * own[k])], (k, p) => { data[k] = x.data[from + p]; });
  return { shape, data };
}

const even = (x) => { const r = Math.round(x); return Math.abs(x - Math.trunc(x)) === 0.5 && r % 2 ? r - 1 : r; };
const mirrored = { constant: (k, n) => k >= 0 && k < n ? k : -1, reflect: (k, n) => n - 1 - Math.abs(n - 1 - Math.abs(k)), edge: (k, n) => Math.min(Math.max(k, 0), n - 1) };

function multiplied(x, y) {  // of the last two axes, those before them repeated
  const vector = y.shape.length === 1, b = vector ? [y.shape[0], 1] : y.shape, a = x.shape.length === 1 ? [1, ...x.shape] : x.shape;
  const [m, k] = a.slice(-2), n = b[b.length - 1], stack = common(a.slice(0, -2), b.slice(0, -2));
  const data = new Float32Array(count(stack) * m * n);
  each(stack, [repeated(a.slice(0, -2), stack), repeated(b.slice(0, -2), stack)], (i, p, q) => {
    product(m, n, k, x.data, p * m * k, y.data, q * k * n, data, i * m * n);
  });
  return { shape: [...stack, ...(x.shape.length === 1 ? [] : [m]), ...(vector ? [] : [n])], data };
}

function rowsBy(x, w) {
  const [m, k] = x.shape, n = w.shape[0], found = new Float32Array(m * n);
  for (let i = 0; i < m; i++) for (let j = 0; j < n; j++) {
    let sum = 0;
    for (let p = 0, q = i * k, r = j * k; p < k; p++) sum += x.data[q + p] * w.data[r + p];
    found[i * n + j] = sum;
  }
  return found;
}

const OPS = {
  // element by element
  Abs: ofOne(Math.abs), Neg: ofOne((x) => -x), Sign: ofOne(Math.sign), Exp: ofOne(Math.exp), Log: ofOne(Math.log),
  Sqrt: ofOne(Math.sqrt), Sin: ofOne(Math.sin), Cos: ofOne(Math.cos), Tanh: ofOne(Math.tanh),
  Sigmoid: ofOne((x) => x < 0 ? Math.exp(x) / (1 + Math.exp(x)) : 1 / (1 + Math.exp(-x))),
  Softplus: ofOne((x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))), Relu: ofOne((x) => x < 0 ? 0 : x),
  Floor: ofOne(Math.floor), Ceil: ofOne(Math.ceil), Round: ofOne(even), Reciprocal: ofOne((x) => 1 / x),
  LeakyRelu: ([x], { alpha }) => ofOne((v) => v < 0 ? alpha * v : v)([x]),
  Elu: ([x], { alpha }) => ofOne((v) => v < 0 ? alpha * Math.expm1(v) : v)([x]),
  Add: ofTwo((x, y) => x + y), Sub: ofTwo((x, y) => x - y), Mul: ofTwo((x, y) => x * y),
  Div: ([x, y]) => ofTwo(x.data instanceof Int32Array ? (a, b) => Math.trunc(a / b) : (a, b) => a / b)([x, y]),
  Pow: ofTwo(Math.pow), Max: ofTwo(Math.max), Min: ofTwo(Math.min),
  Greater: ofTwo((x, y) => x > y, Uint8Array), GreaterOrEqual: ofTwo((x, y) => x >= y, Uint8Array),
  Less: ofTwo((x, y) => x < y, Uint8Array), LessOrEqual: ofTwo((x, y) => x <= y, Uint8Array), Equal: ofTwo((x, y) => x === y, Uint8Array),
  Not: test((x) => !x), IsNaN: test(Number.isNaN), IsInf: test((x) => Math.abs(x) === Infinity),
  Identity: ([x]) => x,
  Cast: ([x], { to }) => ({ shape: x.shape, data: TYPES[to].from(x.data, to === "bool" ? Boolean : undefined) }),
  Where: ([mask, x, y]) => {
    const shape = common(common(mask.shape, x.shape), y.shape), all = [mask, x, y].map((a) => OPS.Expand([a, { data: shape }]));
    return { shape, data: all[1].data.map((v, k) => all[0].data[k] ? v : all[2].data[k]) };
  },

  // over axes
  ReduceSum: reduced(0, (s, x) => s + x), ReduceMean: reduced(0, (s, x) => s + x, (s, n) => s / n),
  ReduceMax: reduced(-Infinity, Math.max), ReduceMin: reduced(Infinity, Math.min), ReduceSumSquare: reduced(0, (s, x) => s + x * x),
  ReduceLogSumExp: ([x], attributes) => {
    const most = OPS.ReduceMax([x], { ...attributes, keepdims: 1 }), powers = OPS.Exp([OPS.Sub([x, most])]);
    const sum = OPS.Log([OPS.ReduceSum([powers], attributes)]);
    return OPS.Add([sum, { shape: sum.shape, data: most.data }]);
  },
  Softmax: ([x], { axis }) => {
    const powers = OPS.Exp([OPS.Sub([x, OPS.ReduceMax([x], { axes: [axis] })])]);
    return OPS.Div([powers, OPS.ReduceSum([powers], { axes: [axis] })]);
  },
  ArgMax: soonest((x, y) => x > y), ArgMin: soonest((x, y) => x < y),
  CumSum: ([x, at]) => {
    const k = axisOf(at.data[0], x), inner = count(x.shape.slice(k + 1)), data = x.data.slice();
    for (let p = 0; p < data.length; p++) if (Math.floor(p / inner) % x.shape[k]) data[p] += data[p - inner];
    return { shape: x.shape, data };
  },

  // products, and images
  MatMul: ([x, y]) => multiplied(x, y),
  Gemm: ([x, w, b]) => {  // by the rows of w
    const y = { shape: [x.shape[0], w.shape[0]], data: rowsBy(x, w) };
    return b ? OPS.Add([y, b]) : y;
  },
  Conv: ([x, w, b], attributes) => convolved(x, w, b, attributes),
  ConvTranspose: ([x, w, b], attributes) => spread(x, w, b, attributes),
  MaxPool: ([x], attributes) => pooled(x, attributes, -Infinity, Math.max, (most) => most),
  AveragePool: ([x], attributes) => pooled(x, attributes, 0, (s, v) => s + v, (sum, n) => sum / n),
  Resize: ([x, , by]) => {  // each pixel repeated
    const [n, channels, height, width] = x.shape, [, , down, across] = by.data, shape = [n, channels, height * down, width * across];
    const data = new Float32Array(count(shape));
    for (let k = 0; k < data.length; k++) {
      const row = Math.floor(k / shape[3]);
      const from = Math.floor(row / shape[2]) * height + Math.floor(row % shape[2] / down);
      data[k] = x.data[from * width + Math.floor(k % shape[3] / across)];
    }
    return { shape, data };
  },

  // moved elements
  Reshape: ([x, to]) => {
    const shape = whole(to).map((size, k) => size === 0 ? x.shape[k] : size), left = shape.indexOf(-1);
    if (left >= 0) shape[left] = x.data.length / -count(shape);
    return { shape, data: x.data };
  },
  Unsqueeze: ([x, axes]) => {
    const added = new Set(whole(axes).map((axis) => axis < 0 ? axis + x.shape.length + axes.data.length : axis)), left = [...x.shape];
    return { shape: Array.from({ length: x.shape.length + added.size }, (_, k) => added.has(k) ? 1 : left.shift()), data: x.data };
  },
  Squeeze: ([x, axes]) => {
    const gone = new Set(whole(axes).map((axis) => axisOf(axis, x)));
    return { shape: x.shape.filter((_, k) => !gone.has(k)), data: x.data };
  },
  Transpose: ([x], { perm }) => {
    const own = strides(x.shape), shape = perm.map((axis) => x.shape[axis]), data = new x.data.constructor(x.data.length);
    each(shape, [perm.map((axis) => own[axis])], (k, p) => { data[k] = x.data[p]; });
    return { shape, data };
  },
  Expand: ([x, to]) => {
    const shape = common(x.shape, Array.from(to.data)), data = new x.data.constructor(count(shape));
    each(shape, [repeated(x.shape, shape)], (k, p) => { data[k] = x.data[p]; });
    return { shape, data };
  },
  Concat: (xs, { axis }) => {
    const k = axisOf(axis, xs[0]), shape = xs[0].shape.map((size, j) => j === k ? xs.reduce((sum, x) => sum + x.shape[k], 0) : size);
    const data = new xs[0].data.constructor(count(shape)), outer = count(shape.slice(0, k));
    for (let o = 0, at = 0; o < outer; o++) for (const x of xs) {
      const length = x.data.length / outer;
      data.set(x.data.subarray(o * length, (o + 1) * length), at);
      at += length;
    }
    return { shape, data };
  },
  Pad: ([x, widths, value], { mode }) => {
    const rank = x.shape.length, pads = whole(widths), own = strides(x.shape);
    const shape = x.shape.map((size, k) => size + pads[k] + pads[k + rank]), data = new x.data.constructor(count(shape));
    const from = shape.map((size, k) => Array.from({ length: size }, (_, j) => mirrored[mode](j - pads[k], x.shape[k])));
    const steps = strides(shape);
    for (let p = 0; p < data.length; p++) {
      let at = 0;
      for (let k = 0; k < rank && at >= 0; k++) {
        const j = from[k][Math.floor(p / steps[k]) % shape[k]];
        at = j < 0 ? -1 : at + j * own[k];
      }
      data[p] = at < 0 ? value.data[0] : x.data[at];
    }
    return { shape, data };
  },
  Slice: ([x, first, last, axes, by]) => {
    const shape = [...x.shape], starts = shape.map(() => 0), steps = shape.map(() => 1);
    whole(axes).forEach((axis, k) => {
      const n = x.shape[axis], step = by.data[k], within = (v) => Math.min(Math.max(v < 0 ? v + n : v, step > 0 ? 0 : -1), step > 0 ? n : n - 1);
      [starts[axis], steps[axis]] = [within(first.data[k]), step];
      shape[axis] = Math.max(0, Math.ceil((within(last.data[k]) - starts[axis]) / step));
    });
    return picked(x, shape, starts, steps);
  },
  Gather: ([x, indices], { axis }) => {
    const k = axisOf(axis, x), inner = count(x.shape.slice(k + 1)), outer = count(x.shape.slice(0, k)), n = x.shape[k];
    const shape = [...x.shape.slice(0, k), ...indices.shape, ...x.shape.slice(k + 1)], data = new x.data.constructor(count(shape));
    for (let o = 0, at = 0; o < outer; o++) for (const j of indices.data) {
      const from = (o * n + (j < 0 ? j + n : j)) * inner;
      data.set(x.data.subarray(from, from + inner), at);
      at += inner;
    }
    return { shape, data };
  },
  GatherElements: ([x, indices], { axis }) => {
    const k = axisOf(axis, x), own = strides(x.shape), steps = own.map((step, j) => j === k ? 0 : step), n = x.shape[k];
    const data = new x.data.constructor(indices.data.length);
    each(indices.shape, [steps], (p, q) => { const j = indices.data[p]; data[p] = x.data[q + (j < 0 ? j + n : j) * own[k]]; });
    return { shape: indices.shape, data };
  },
  Shape: ([x], { start, end }) => ({ shape: [end - start], data: Int32Array.from(x.shape.slice(start, end)) }),
  ConstantOfShape: ([to], { value }) => {
    const shape = whole(to);
    return { shape, data: new TYPES[value.type](count(shape)).fill(value.values[0]) };
  },
};
