// Charts of one run: all of them show the same steps, from run.first to run.last, and mark the same one.
const whole = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");
const number = (x) => {
  if (x === null) return "not finite";
  const size = Math.abs(x);
  if (size >= 1e6 || (size > 0 && size < 1e-3)) return x.toExponential(2).replace("e+", "e").replace(/\.?0+e/, "e");
  return size >= 1e4 ? whole(Math.round(x)) : String(Number(x.toPrecision(4)));
};

function nearest(xs, x) {  // the index of the element of ascending xs that is closest to x
  let low = 0, high = xs.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (xs[middle] < x) low = middle + 1; else high = middle;
  }
  return low > 0 && x - xs[low - 1] <= xs[low] - x ? low - 1 : low;
}

function average(x, y, half) {  // the mean of what lies within `half` steps to either side; null stays null
  let from = 0, to = 0;
  return x.map((at, k) => {
    while (to < x.length && x[to] <= at + half) to++;
    while (x[from] < at - half) from++;
    if (y[k] === null) return null;
    let sum = 0, count = 0;  // afresh: a running sum would not recover from a huge spike
    for (let i = from; i < to; i++) if (y[i] !== null) { sum += y[i]; count++; }
    return sum / count;
  });
}

// twice: a spike becomes a tent, not a plateau
const smooth = ({ x, y }, half) => average(x, average(x, y, half / 2), half / 2);

function ticks(low, high, most) {
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  const unit = [1, 2, 5, 10].find((u) => u * power >= rough) * power, found = [];
  for (let k = Math.ceil(low / unit - 1e-9); k * unit <= high * (1 + 1e-12) + unit * 1e-9; k++) found.push(k * unit);
  return found;
}

function decades(low, high) {  // ticks of a logarithmic axis, of which low and high are the logarithms
  if (high - low < 1) return ticks(10 ** low, 10 ** high, 4).filter((t) => t > 0);
  const found = [], each = Math.ceil((high - low) / 5);
  for (let k = Math.ceil(low); k <= high; k += each) found.push(10 ** k);
  return found;
}

const pressed = {};  // what a reader has chosen of which chart, however often it is made

const LEFT = 50, RIGHT = 10, TOP = 8, BOTTOM = 20, HEIGHT = 170;

class Chart {
  constructor(spec, first, last, look) {
    Object.assign(this, { spec, first, last, log: false, trim: false, width: 0, at: last });
    this.root = make("figure", "card chart");
    const head = make("header");
    head.append(make("h2", "", spec.title));
    const [low, high] = this.whole = this.extent(0), [inner, outer] = this.inner = this.extent(0.01);
    if (low > 0 && high > 20 * low) head.append(this.toggle("log", "a logarithmic scale"));
    const spiky = (outer - inner) / (high - low);
    this.trim = spiky < 0.2;
    if (spiky < 0.5) head.append(this.toggle("trim", "without the outermost hundredths, so that a few spikes do not flatten the rest"));
    this.legend = make("div", "legend");
    this.values = spec.curves.map((curve) => {
      const item = make("span"), value = make("b");
      item.append(make("i", "p" + curve.tone), spec.curves.length > 1 || curve.name !== spec.title ? curve.name + " " : "", value);
      this.legend.append(item);
      return value;
    });
    this.plot = make("div", "plot");
    const point = (e) => look(this.stepAt(e.clientX - this.plot.getBoundingClientRect().left));
    this.plot.addEventListener("pointermove", point);
    this.plot.addEventListener("pointerdown", point);
    this.root.append(head, this.legend, this.plot);
  }

  toggle(name, title) {
    const b = make("button", name, name), key = `${name} ${this.spec.title}`;
    this[name] = pressed[key] ?? this[name];
    b.title = title;
    b.setAttribute("aria-pressed", String(this[name]));
    b.addEventListener("click", () => {
      this[name] = pressed[key] = !this[name];
      b.setAttribute("aria-pressed", String(this[name]));
      this.render();
    });
    return b;
  }

  extent(cut) {  // the smallest and the largest value, of all or without a share of them at either end
    const all = this.spec.curves.flatMap((c) => [c.y, c.low || [], c.high || []]).flat().filter((v) => v !== null).sort((a, b) => a - b);
    return all.length ? [all[Math.floor(cut * (all.length - 1))], all[Math.ceil((1 - cut) * (all.length - 1))]] : [0, 1];
  }

  stepAt(x) {
    return Math.round(Math.min(Math.max(this.first + (x - LEFT) / (this.width - LEFT - RIGHT) * (this.last - this.first), this.first), this.last));
  }

  x(step) { return LEFT + (step - this.first) / (this.last - this.first) * (this.width - LEFT - RIGHT); }

  resize(half) {
    this.half = half;
    this.width = Math.max(this.plot.clientWidth, 200);
    this.render();
  }

  smoothen(half) {
    this.half = half;
    this.render();
  }

  render() {
    const scale = this.log ? Math.log10 : (v) => v;
    let [low, high] = (this.trim ? this.inner : this.whole).map(scale);
    const margin = high > low ? 0.04 * (high - low) : Math.max(0.1 * Math.abs(high), this.log ? 0.1 : 1e-6);
    low -= margin;
    high += margin;
    this.y = (v) => HEIGHT - BOTTOM - (scale(v) - low) / (high - low) * (HEIGHT - TOP - BOTTOM);
    const svg = draw("svg", { viewBox: `0 0 ${this.width} ${HEIGHT}`, role: "img", "aria-label": `${this.spec.title} by step` });
    const inner = draw("svg", { x: 0, y: TOP, width: this.width, height: HEIGHT - TOP - BOTTOM, viewBox: `0 ${TOP} ${this.width} ${HEIGHT - TOP - BOTTOM}` });
    for (const t of this.log ? decades(low, high) : ticks(low, high, 4)) {
      const y = this.y(t).toFixed(1);
      svg.append(draw("line", { class: "grid", x1: LEFT, x2: this.width - RIGHT, y1: y, y2: y }), draw("text", { x: LEFT - 6, y: Number(y) + 4, "text-anchor": "end" }, number(t)));
    }
    for (const t of ticks(this.first, this.last, Math.max(2, this.width / 110))) {
      const at = this.x(t), end = at > this.width - 40;
      if (Number.isInteger(t)) svg.append(draw("text", { x: end ? this.width - 2 : at, y: HEIGHT - 4, "text-anchor": end ? "end" : "middle" }, whole(t)));
    }
    this.smoothed = this.spec.curves.map((curve) => smooth(curve, this.half));
    const lines = this.spec.curves.map((curve, k) => this.line(curve.x, this.smoothed[k], `line p${curve.tone}`));
    inner.append(...this.spec.curves.map((curve) => this.raw(curve)), ...lines);
    for (const curve of this.spec.curves) inner.append(this.points(curve), this.marks(curve));
    this.cross = draw("line", { class: "cross", y1: TOP, y2: HEIGHT - BOTTOM });
    this.dots = this.spec.curves.map((curve) => draw("circle", { class: "p" + curve.tone, r: 4 }));
    svg.append(inner, this.cross, ...this.dots);
    this.plot.replaceChildren(svg);
    this.look(this.at);
  }

  line(xs, ys, cls) {
    let d = "", open = false;
    ys.forEach((y, k) => {
      if (y !== null) d += `${open ? "L" : "M"}${this.x(xs[k]).toFixed(1)} ${this.y(y).toFixed(1)}` + (open || (k + 1 < ys.length && ys[k + 1] !== null) ? "" : "h.01");
      open = y !== null;
    });
    return draw("path", { class: cls, d });
  }

  raw(curve) {
    if (curve.low) return this.line(curve.x.flatMap((x) => [x, x]), curve.low.flatMap((low, k) => [low, curve.high[k]]), `raw p${curve.tone}`);
    return this.line(curve.x, curve.y, `raw p${curve.tone}`);
  }

  points(curve) {  // where little was measured: each
    const few = curve.x.length <= 40 ? curve.x : [];
    return draw("path", { class: `points p${curve.tone}`, d: few.map((x, k) => curve.y[k] === null ? "" : `M${this.x(x).toFixed(1)} ${this.y(curve.y[k]).toFixed(1)}h.01`).join("") });
  }

  marks(curve) {  // a cross at the lower edge for each value that is not finite
    const y = HEIGHT - BOTTOM - 6;
    return draw("path", { class: "bad", d: curve.bad.map((step) => `M${(this.x(step) - 3).toFixed(1)} ${y - 3}l6 6m0-6l-6 6`).join("") });
  }

  look(step) {  // mark a step, and tell the values there
    this.at = step;
    const at = this.x(step).toFixed(1);
    this.cross.setAttribute("x1", at);
    this.cross.setAttribute("x2", at);
    this.spec.curves.forEach((curve, k) => {
      const i = nearest(curve.x, step), value = curve.y[i], smoothed = this.smoothed[k][i];
      const told = curve.low && curve.low[i] !== null ? `${number(value)} (${number(curve.low[i])} to ${number(curve.high[i])})` : number(value);
      this.values[k].textContent = told;
      this.dots[k].style.display = smoothed === null ? "none" : "";
      if (smoothed !== null) {
        this.dots[k].setAttribute("cx", this.x(curve.x[i]).toFixed(1));
        this.dots[k].setAttribute("cy", Math.min(Math.max(this.y(smoothed), TOP), HEIGHT - BOTTOM).toFixed(1));
      }
    });
  }
}

class Verdicts extends Chart {  // a band that is coloured from each look to the next
  constructor(looks, first, last, look) {
    super({ title: "verdict", curves: [] }, first, last, look);
    this.root.classList.add("verdicts");
    this.looks = looks;
    this.told = make("span");
    this.legend.append(this.told);
  }

  render() {
    const svg = draw("svg", { viewBox: `0 0 ${this.width} 18`, role: "img", "aria-label": "verdict by step" });
    const turns = this.looks.filter((look, k) => !k || look.verdict !== this.looks[k - 1].verdict);
    turns.forEach((look, k) => {
      const from = this.x(look.step), to = this.x(k + 1 < turns.length ? turns[k + 1].step : this.last);
      svg.append(draw("rect", { class: look.verdict, x: from.toFixed(1), y: 4, width: Math.max(to - from, 2).toFixed(1), height: 10 }));
    });
    this.cross = draw("line", { class: "cross", y1: 0, y2: 18 });
    svg.append(this.cross);
    this.plot.replaceChildren(svg);
    this.look(this.at);
  }

  look(step) {
    super.look(step);
    const before = this.looks.filter((look) => look.step <= step).pop() || this.looks[0];
    this.told.className = "word " + before.verdict;
    this.told.textContent = [before.verdict, before.titles.join("; ")].filter(Boolean).join(": ");
  }
}
