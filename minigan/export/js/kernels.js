// Products and windows over images: what takes the time. Arrays are flat, rows first; sums are of doubles.

const TILE = 4;  // rows and columns of a product that are computed together, in sixteen sums

// c (m, n) = a (m, k) b, b (k, n) at `at` and further; `c` from `into` on
function product(m, n, k, a, from, b, at, c, into) {
  if (m === 1) return row(n, k, a, from, b, at, c, into);
  const panel = new Float64Array(TILE * k), left = new Float64Array(TILE * k * Math.ceil(m / TILE));
  for (let i = 0; i < m; i++) {
    const to = (i - i % TILE) * k + i % TILE;
    for (let p = 0; p < k; p++) left[to + p * TILE] = a[from + i * k + p];
  }
  for (let j = 0; j < n; j += TILE) {
    const columns = Math.min(TILE, n - j);
    if (columns < TILE) panel.fill(0);
    for (let p = 0; p < k; p++) {
      const start = at + p * n + j;
      for (let q = 0; q < columns; q++) panel[p * TILE + q] = b[start + q];
    }
    for (let i = 0; i < m; i += TILE) tile(k, left, i * k, panel, c, into + i * n + j, n, Math.min(TILE, m - i), columns);
  }
}

function tile(k, a, from, b, c, into, n, rows, columns) {
  let c00 = 0, c01 = 0, c02 = 0, c03 = 0, c10 = 0, c11 = 0, c12 = 0, c13 = 0;
  let c20 = 0, c21 = 0, c22 = 0, c23 = 0, c30 = 0, c31 = 0, c32 = 0, c33 = 0;
  for (let p = 0, q = from; p < k * TILE; p += TILE, q += TILE) {
    const b0 = b[p], b1 = b[p + 1], b2 = b[p + 2], b3 = b[p + 3];
    const a0 = a[q], a1 = a[q + 1], a2 = a[q + 2], a3 = a[q + 3];
    c00 += a0 * b0; c01 += a0 * b1; c02 += a0 * b2; c03 += a0 * b3;
    c10 += a1 * b0; c11 += a1 * b1; c12 += a1 * b2; c13 += a1 * b3;
    c20 += a2 * b0; c21 += a2 * b1; c22 += a2 * b2; c23 += a2 * b3;
    c30 += a3 * b0; c31 += a3 * b1; c32 += a3 * b2; c33 += a3 * b3;
  }
  if (rows === TILE && columns === TILE) {
    c[into] = c00; c[into + 1] = c01; c[into + 2] = c02; c[into + 3] = c03; into += n;
    c[into] = c10; c[into + 1] = c11; c[into + 2] = c12; c[into + 3] = c13; into += n;
    c[into] = c20; c[into + 1] = c21; c[into + 2] = c22; c[into + 3] = c23; into += n;
    c[into] = c30; c[into + 1] = c31; c[into + 2] = c32; c[into + 3] = c33;
    return;
  }
  const sums = [c00, c01, c02, c03, c10, c11, c12, c13, c20, c21, c22, c23, c30, c31, c32, c33];
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) c[into + i * n + j] = sums[i * TILE + j];
}

function row(n, k, a, from, b, at, c, into) {
  const sums = new Float64Array(n);
  for (let p = 0; p < k; p++) {
    const scale = a[from + p], start = at + p * n;
    if (scale !== 0) for (let j = 0; j < n; j++) sums[j] += scale * b[start + j];
  }
  for (let j = 0; j < n; j++) c[into + j] = sums[j];
}

// (n, m) of an (m, n) that begins at `at`
function transposed(x, m, n, at = 0) {
  const found = new x.constructor(m * n);
  for (let i = 0; i < m; i++) for (let j = 0; j < n; j++) found[j * m + i] = x[at + i * n + j];
  return found;
}

// where windows lie: of a large image (height, width) and a small one (rows, columns), a place for each window
const windows = (big, small, { kernel_shape, strides, pads, dilations = [1, 1] }) => ({
  height: big[0], width: big[1], rows: small[0], columns: small[1], kernel: kernel_shape, strides, pads, dilations,
});

// for each pixel of a window, and each row of windows: visit(row of the columns' matrix, start in the image, step, from, to)
function eachRow(s, channels, at, visit) {
  const [kh, kw] = s.kernel, [sh, sw] = s.strides, [dh, dw] = s.dilations;
  for (let c = 0, k = 0; c < channels; c++) for (let u = 0; u < kh; u++) for (let v = 0; v < kw; v++, k++) {
    const left = v * dw - s.pads[1];
    const from = Math.max(0, Math.ceil(-left / sw)), to = Math.min(s.columns, Math.ceil((s.width - left) / sw));
    for (let i = 0; i < s.rows; i++) {
      const y = i * sh + u * dh - s.pads[0];
      if (y >= 0 && y < s.height) visit((k * s.rows + i) * s.columns, at + (c * s.height + y) * s.width + left, sw, from, to);
    }
  }
}

// (channels kh kw, rows columns): what each window sees
function unfolded(x, at, channels, s, empty = 0) {
  const found = new Float32Array(channels * s.kernel[0] * s.kernel[1] * s.rows * s.columns);
  if (empty !== 0) found.fill(empty);
  eachRow(s, channels, at, (to, start, step, from, end) => {
    for (let j = from; j < end; j++) found[to + j] = x[start + j * step];
  });
  return found;
}

// the adjoint of it: what windows say is added where they lie
function folded(columns, channels, s, y, at) {
  eachRow(s, channels, at, (from, start, step, first, end) => {
    for (let j = first; j < end; j++) y[start + j * step] += columns[from + j];
  });
}

function convolved(x, w, b, attributes) {
  const [n, channels, height, width] = x.shape, [out, each, kh, kw] = w.shape, { group, strides, pads, dilations } = attributes;
  const size = (side, k, axis) => Math.floor((side + pads[axis] + pads[axis + 2] - (k - 1) * dilations[axis] - 1) / strides[axis]) + 1;
  const rows = size(height, kh, 0), columns = size(width, kw, 1), places = rows * columns, part = out / group;
  const y = { shape: [n, out, rows, columns], data: new Float32Array(n * out * places) };
  const s = windows([height, width], [rows, columns], attributes), bare = kh * kw === 1 && places === height * width && !pads.some(Boolean);
  for (let i = 0; i < n; i++) for (let g = 0; g < group; g++) {
    const at = (i * channels + g * each) * height * width, seen = bare ? x.data : unfolded(x.data, at, each, s);
    product(part, places, each * kh * kw, w.data, g * part * each * kh * kw, seen, bare ? at : 0, y.data, (i * out + g * part) * places);
  }
  return shifted(y, b);
}

function spread(x, w, b, attributes) {  // the transposed convolution
  const [n, channels, rows, columns] = x.shape, [, each, kh, kw] = w.shape;
  const { group, strides, pads, dilations, output_padding: beyond } = attributes;
  const size = (side, k, axis) => (side - 1) * strides[axis] + (k - 1) * dilations[axis] + 1 + beyond[axis] - pads[axis] - pads[axis + 2];
  const height = size(rows, kh, 0), width = size(columns, kw, 1), places = rows * columns, part = channels / group, taps = each * kh * kw;
  const y = { shape: [n, each * group, height, width], data: new Float32Array(n * each * group * height * width) };
  const s = windows([height, width], [rows, columns], attributes), said = new Float32Array(taps * places);
  for (let g = 0; g < group; g++) {
    const turned = transposed(w.data, part, taps, g * part * taps);
    for (let i = 0; i < n; i++) {
      product(taps, places, part, turned, 0, x.data, (i * channels + g * part) * places, said, 0);
      folded(said, each, s, y.data, (i * group + g) * each * height * width);
    }
  }
  return shifted(y, b);
}

function shifted(y, b) {  // a bias for each channel
  const size = y.shape[2] * y.shape[3];
  if (b) for (let k = 0; k < y.data.length; k++) y.data[k] += b.data[Math.floor(k / size) % b.data.length];
  return y;
}

// of each window the largest value, or the mean; what lies outside an image is `empty`
function pooled(x, attributes, empty, join, done) {
  const [n, channels, height, width] = x.shape, { kernel_shape: [kh, kw], strides, pads } = attributes;
  const size = (side, k, axis) => Math.floor((side + pads[axis] + pads[axis + 2] - k) / strides[axis]) + 1;
  const rows = size(height, kh, 0), columns = size(width, kw, 1), places = rows * columns;
  const y = { shape: [n, channels, rows, columns], data: new Float32Array(n * channels * places) };
  const s = windows([height, width], [rows, columns], attributes);
  for (let i = 0; i < n * channels; i++) {
    const seen = unfolded(x.data, i * height * width, 1, s, empty);
    for (let p = 0; p < places; p++) {
      let found = seen[p];
      for (let t = 1; t < kh * kw; t++) found = join(found, seen[t * places + p]);
      y.data[i * places + p] = done(found, kh * kw);
    }
  }
  return y;
}
