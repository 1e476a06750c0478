// The page of games in the plane: films of the same frames, of which one is shown, at a frame that may lie between two.
const held = JSON.parse($("content").textContent);
const arrays = arraysOf(held.arrays, bytesOf(held.bytes));
const SPEED = 5, ARROW = 0.055, SENTENCES = {  // frames in a second; of the side, the length of a usual gradient
  loss: "<b>Do not wait for it to fall.</b> What one player wins the other loses, so a good game is level, not low. Look for jumps: there the points leave a mode, or arrive at one.",
  good: `<b>How well is it going?</b> The share of ${held.counted} samples within three deviations of a mode; how many modes they reach is told above the plane. The losses tell neither.`,
  eigenvalues: "<b>Which is the larger?</b> By step, the largest real part, how fast the worst direction is driven away, and the largest height, how fast the game turns. Where turning is the larger, the players chase each other; where driving away is, something is still on its way. Both grow as the critic's surface gets steeper.",
};
let film = 0, at = 0, playing = false, charts = [], push = 1, reach = 1;

const frames = () => held.films[film].steps.length;
const of = (name) => arrays[`${name} ${film}`];
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const channels = (hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));

function frame(name, k = at) {  // the numbers of an array at a frame, between two a mixture of both
  const { shape, data } = of(name), each = data.length / shape[0], low = Math.floor(k), t = k - low;
  const first = data.subarray(low * each, (low + 1) * each);
  if (!t) return first;
  return first.map((x, j) => (1 - t) * x + t * data[(low + 1) * each + j]);
}

// --- the plane ---

function surface(numbers) {  // a small picture of what the critic says
  const side = of("surface").shape[1], small = make("canvas"), made = channels(colour("--p1")), real = channels(colour("--p0"));
  small.width = small.height = side;
  const shown = new ImageData(side, side);
  numbers.forEach((x, k) => {
    shown.data.set([...(x > 0 ? real : made), Math.round(150 * Math.min(1, Math.abs(x)))], 4 * k);
  });
  small.getContext("2d").putImageData(shown, 0, 0);
  return small;
}

function plane() {
  const canvas = $("plane"), ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, pen = canvas.getContext("2d");
  canvas.width = canvas.height = Math.round(width * ratio);
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.fillStyle = colour("--card");
  pen.fillRect(0, 0, width, width);
  const place = (v, k) => [(v[k] / held.reach + 1) * width / 2, (1 - v[k + 1] / held.reach) * width / 2];
  if ($("show-surface").checked) {
    const cell = width / (of("surface").shape[1] - 1);
    pen.imageSmoothingQuality = "high";
    pen.drawImage(surface(frame("surface")), -cell / 2, -cell / 2, width + cell, width + cell);
  }
  const dots = (v, radius, draws) => { for (let k = 0; k < v.length; k += 2) { pen.beginPath(); pen.arc(...place(v, k), radius, 0, 7); draws(); } };
  if ($("show-real").checked) {
    pen.strokeStyle = colour("--p0");
    pen.globalAlpha = 0.7;
    dots(arrays.real.data, 2.2, () => pen.stroke());
  }
  const samples = frame("samples"), pushes = frame("pushes");
  pen.strokeStyle = colour("--p1");
  pen.globalAlpha = 0.35;
  if ($("show-trails").checked) trails(pen, place);
  pen.globalAlpha = 0.75;
  pen.strokeStyle = colour("--ink");
  if ($("show-arrows").checked) for (let k = 0; k < samples.length; k += 2) arrow(pen, ...place(samples, k), pushes[k], -pushes[k + 1], width);
  pen.globalAlpha = 1;
  pen.fillStyle = colour("--p1");
  pen.strokeStyle = colour("--card");
  pen.lineWidth = 1;
  dots(samples, 3.2, () => { pen.fill(); pen.stroke(); });
}

function trails(pen, place) {  // where each point was in the last four frames
  const before = [4, 3, 2, 1, 0].map((back) => Math.max(0, at - back)).map((k) => frame("samples", k));
  for (let k = 0; k < before[0].length; k += 2) {
    pen.beginPath();
    before.forEach((v, j) => j ? pen.lineTo(...place(v, k)) : pen.moveTo(...place(v, k)));
    pen.stroke();
  }
}

function arrow(pen, x, y, dx, dy, width) {
  const size = Math.hypot(dx, dy), long = ARROW * width * Math.min(2.5, size / push);
  if (long < 1.5) return;
  const [u, v] = [dx / size, dy / size], [tx, ty] = [x + u * long, y + v * long], head = Math.min(5, 0.4 * long);
  pen.beginPath();
  pen.moveTo(x, y);
  pen.lineTo(tx, ty);
  for (const side of [1, -1]) {
    pen.moveTo(tx, ty);
    pen.lineTo(tx - head * (u + side * 0.6 * v), ty - head * (v - side * 0.6 * u));
  }
  pen.stroke();
}

// --- eigenvalues ---

const SMALL = 0.1, KINDS = { in: "drawn in", turn: "turning", out: "driven away" };
const squeezed = (x) => Math.asinh(x / SMALL);
const kind = (re, im) => re > 0.01 ? "out" : Math.abs(im) > Math.abs(re) ? "turn" : "in";

function values() {
  const numbers = of("eigenvalues").data.subarray(...[Math.round(at), Math.round(at) + 1].map((k) => k * 2 * of("eigenvalues").shape[1]));
  const width = Math.max($("values").clientWidth, 220), height = Math.min(width, 300);
  const x = (v) => width / 2 + squeezed(v) / reach * (width / 2 - 8), y = (v) => height / 2 - squeezed(v) / reach * (height / 2 - 8);
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "eigenvalues in the complex plane" });
  svg.append(draw("rect", { class: "left", x: 0, y: 0, width: width / 2, height }));
  for (const power of [0.1, 1, 10, 100, 1000]) for (const v of [power, -power]) {
    if (squeezed(power) > reach) continue;
    svg.append(draw("line", { class: "grid", x1: x(v), x2: x(v), y1: 0, y2: height }), draw("line", { class: "grid", x1: 0, x2: width, y1: y(v), y2: y(v) }));
    if (power < 1) continue;
    const told = String(v).replace("-", "−");
    svg.append(draw("text", { x: x(v), y: height / 2 + 13, "text-anchor": "middle" }, told), draw("text", { x: width / 2 + 4, y: y(v) + 4 }, `${told}i`));
  }
  svg.append(draw("line", { class: "axis", x1: width / 2, x2: width / 2, y1: 0, y2: height }), draw("line", { class: "grid", x1: 0, x2: width, y1: height / 2, y2: height / 2 }));
  const counted = { in: 0, turn: 0, out: 0 };
  for (let k = 0; k < numbers.length; k += 2) {
    const [re, im] = [numbers[k], numbers[k + 1]];
    if (!re && !im) continue;
    for (const side of im ? [im, -im] : [0]) {
      svg.append(draw("circle", { class: kind(re, im), cx: x(re).toFixed(1), cy: y(side).toFixed(1), r: 3.5 }));
      counted[kind(re, im)]++;
    }
  }
  $("values").replaceChildren(svg);
  $("values-legend").replaceChildren(...Object.entries(KINDS).map(([name, told]) => {
    const item = make("span");
    item.append(make("i", name), `${told} `, make("b", "", String(counted[name])));
    return item;
  }));
}

// --- one moment, in all panels ---

function show(k) {
  at = Math.max(0, Math.min(frames() - 1, k));
  const near = Math.round(at), { steps, modes } = held.films[film], step = steps[near];
  $("slider").value = near;
  $("slider").setAttribute("aria-valuetext", `step ${step}`);
  $("at").textContent = `step ${whole(step)} of ${whole(steps[steps.length - 1])}`;
  $("modes").textContent = modes[near] === null ? "" : `${modes[near]} ${modes[near] === 1 ? "mode" : "modes"} reached`;
  plane();
  values();
  charts.forEach((chart) => chart.look(step));
}

const usual = (v) => {  // the ninth tenth of the lengths of vectors
  const sizes = Array.from({ length: v.length / 2 }, (_, k) => Math.hypot(v[2 * k], v[2 * k + 1])).sort((a, b) => a - b);
  return sizes[Math.floor(0.9 * (sizes.length - 1))] || 1;
};

function choose(k) {
  const share = at / (frames() - 1);
  film = k;
  const { steps, about, parameters, charts: specs } = held.films[film];
  [...$("games").children].forEach((b, j) => b.setAttribute("aria-pressed", String(j === film)));
  $("about").textContent = about;
  $("parameters").textContent = whole(parameters);
  $("slider").max = steps.length - 1;
  push = usual(of("pushes").data);
  reach = squeezed(of("eigenvalues").data.reduce((most, x) => Math.max(most, Math.abs(x)), 1)) * 1.03;
  charts = [];
  for (const name of Object.keys(SENTENCES)) {
    $(`${name}-card`).replaceChildren();
    if (!specs[name]) continue;
    const chart = new Chart(specs[name], steps[0], steps[steps.length - 1], (step) => { pause(); show(nearest(steps, step)); });
    const told = make("p", "soft");
    told.innerHTML = SENTENCES[name];
    chart.root.append(told);
    $(`${name}-card`).append(chart.root);
    chart.resize(name === "loss" ? 0.01 * steps[steps.length - 1] : 0);
    charts.push(chart);
  }
  show(Math.round(share * (frames() - 1)));
}

function pause() {
  playing = false;
  $("play").textContent = "▶";
  $("play").setAttribute("aria-label", "play");
}

async function play() {
  if (at >= frames() - 1) show(0);
  playing = true;
  $("play").textContent = "❚❚";
  $("play").setAttribute("aria-label", "pause");
  for (let before = performance.now(); playing;) {
    const time = await new Promise(requestAnimationFrame);
    if (!playing) return;
    show(at + Math.max(0, time - before) / 1000 * SPEED);
    before = time;
    if (at >= frames() - 1) pause();
  }
}

function redraw() {
  charts.forEach((chart) => chart.resize(chart.half));
  show(at);
}

held.films.forEach(({ title }, k) => {
  const b = make("button", "", title);
  b.addEventListener("click", () => choose(k));
  $("games").append(b);
});
$("games").hidden = held.films.length < 2;
$("play").addEventListener("click", () => playing ? pause() : play());
$("slider").addEventListener("input", () => { pause(); show(Number($("slider").value)); });
for (const box of document.querySelectorAll(".toggles input")) box.addEventListener("change", plane);
document.addEventListener("keydown", (e) => {
  if (e.altKey || e.ctrlKey || e.metaKey || e.target.matches("input")) return;
  const to = { ArrowRight: Math.floor(at) + 1, ArrowLeft: Math.ceil(at) - 1, Home: 0, End: frames() - 1 }[e.key];
  if (to === undefined) return;
  e.preventDefault();
  pause();
  show(to);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
at = 0.4 * (frames() - 1);  // there is more to see than at the first frame
choose(0);
new ResizeObserver(redraw).observe(document.querySelector("main"));
