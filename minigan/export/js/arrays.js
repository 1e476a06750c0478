// Arrays of numbers that a page holds. An array is { shape, data }, its type that of its data.

const TYPES = { float32: Float32Array, float64: Float64Array, int64: Int32Array, int32: Int32Array, bool: Uint8Array };
const count = (shape) => shape.reduce((a, b) => a * b, 1);

// bytes of a text in base 64
const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

// the numbers of 16-bit floats, given as their bits
function halves(bits) {
  const found = new Float32Array(bits.length);
  for (let k = 0; k < bits.length; k++) {
    const b = bits[k], power = b >> 10 & 31, rest = b & 1023;
    const size = power === 0 ? rest * 2 ** -24 : power === 31 ? (rest ? NaN : Infinity) : (1 + rest / 1024) * 2 ** (power - 15);
    found[k] = b & 32768 ? -size : size;
  }
  return found;
}

// arrays by name of what a page holds: each has a shape, and numbers, or a place among the bytes and how they are kept there
function arraysOf(described, bytes) {
  const found = {};
  for (const [name, { shape, type, at, scales, values }] of Object.entries(described)) {
    const n = count(shape);
    let data;
    if (values) data = TYPES[type].from(values);
    else if (type === "float16") data = halves(new Uint16Array(bytes.buffer, at, n));
    else if (type === "int8") {
      const steps = new Float32Array(bytes.buffer, scales, shape[0]), whole = new Int8Array(bytes.buffer, at, n), each = n / shape[0];
      data = Float32Array.from(whole, (v, k) => v * steps[Math.floor(k / each)]);
    } else data = new Float32Array(bytes.buffer, at, n);
    found[name] = { shape, data };
  }
  return found;
}
