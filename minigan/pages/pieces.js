// Pieces of the page of a generator: noise, points and ways between them, and who computes.
function uniform(seed) {  // a stream of numbers in [0, 1): mulberry32
  let state = seed >>> 0;
  return () => {
    state = state + 0x6d2b79f5 >>> 0;
    let x = Math.imul(state ^ state >>> 15, state | 1);
    x ^= x + Math.imul(x ^ x >>> 7, x | 61);
    return ((x ^ x >>> 14) >>> 0) / 2 ** 32;
  };
}

function noise({ kind, dim, low = -1, high = 1, noise: free = dim, categories = 0 }, random) {
  const z = new Float32Array(dim);
  for (let k = 0; k < dim; k++) {
    if (kind === "normal") z[k] = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    else if (kind !== "code" || k < free || k >= free + categories) z[k] = low + (high - low) * random();
  }
  return z;
}

const mix = (a, b, s, t) => a.map((x, k) => s * x + t * b[k]);
const size = (v) => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));

function between(a, b, t, circle) {  // the great circle from a to b, its length changing evenly; or the straight line
  if (!circle) return mix(a, b, 1 - t, t);
  const [la, lb] = [size(a), size(b)], u = a.map((x) => x / la), v = b.map((x) => x / lb);
  const angle = 2 * Math.atan2(size(mix(u, v, 1, -1)), size(mix(u, v, 1, 1)));
  if (!(angle > 1e-6 && angle < Math.PI - 1e-6)) return mix(a, b, 1 - t, t);
  const long = ((1 - t) * la + t * lb) / Math.sin(angle);
  return mix(u, v, long * Math.sin((1 - t) * angle), long * Math.sin(t * angle));
}

class Computer {  // a worker, or where there is none the page itself; what is more urgent comes first
  constructor(held) {
    this.waiting = [];
    this.now = null;
    try {
      const text = [$("runner").textContent, $("worker").textContent];
      this.worker = new Worker(URL.createObjectURL(new Blob(text, { type: "text/javascript" })));
      this.worker.onmessage = ({ data }) => this.done(data);
      this.worker.onerror = () => { if (this.worker) this.alone(held); };
      this.worker.postMessage({ programs: held.programs, bytes: held.bytes });
    } catch {
      this.alone(held);
    }
  }

  alone(held) {
    this.worker = null;
    begin(held);
    if (this.now) this.send();
  }

  run(name, given, rank = 0) {
    return new Promise((resolve) => {
      this.waiting.push({ name, given, rank, resolve });
      if (!this.now) this.next();
    });
  }

  drop(rank) { this.waiting = this.waiting.filter((job) => job.rank !== rank); }

  next() {
    const first = Math.min(...this.waiting.map((job) => job.rank)), k = this.waiting.findIndex((job) => job.rank === first);
    this.now = k < 0 ? null : this.waiting.splice(k, 1)[0];
    if (this.now) this.send();
  }

  send() {
    const { name, given } = this.now;
    if (this.worker) this.worker.postMessage({ name, given });
    else setTimeout(() => this.done(result(this.now)), 0);
  }

  done(data) {
    const { resolve } = this.now;
    this.next();
    resolve(data);
  }
}

function paint(canvas, [channels, height, width], numbers) {  // from [-1, 1] to pixels
  const shown = new ImageData(width, height), area = width * height;
  for (let k = 0; k < area; k++) {
    for (let c = 0; c < 3; c++) shown.data[4 * k + c] = Math.round((numbers[channels === 3 ? c * area + k : k] + 1) * 127.5);
    shown.data[4 * k + 3] = 255;
  }
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").putImageData(shown, 0, 0);
}
