// The page of a generator. A code is noise z, a class, and how far each slider has moved the point that z leads to.
const held = JSON.parse($("content").textContent);
const SAMPLES = 24, AT_FIRST = 4, SECONDS = 1.6;  // of the way from one kept sample to the next
const PICTURE = 0, WALK = 1, TILES = 2, KEPT = 3;  // what is computed before what
const computer = new Computer(held);
const told = held.classes ?? (held.noise.kind === "code" ? held.noise.categories : null);  // how many classes
let seed = 1, chosen = null, now = null, kept = [], samples = [], playing = false, place = 0, drawn = 0;

// --- codes, points, images ---

const zero = () => held.sliders.map(() => 0);
const fresh = (z, label) => ({ z, label, moves: zero(), psi: 1, base: null });

function given({ z, label }) {  // what the network takes
  if (held.noise.kind !== "code") return held.classes === null ? [z] : [z, [label]];
  const whole = Float32Array.from(z);
  for (let k = 0; k < told; k++) whole[held.noise.noise + k] = k === label ? 1 : 0;
  return [whole];
}

async function point(code, rank) {  // where the code is in the space that sliders and ways are in
  if (code.base === null) code.base = held.programs.mapping ? await computer.run("mapping", given(code), rank) : given(code)[0];
  let found = Float32Array.from(code.base);
  if (code.psi !== 1) found = mix(Float32Array.from(held.space.centre), found, 1 - code.psi, code.psi);
  held.sliders.forEach(({ vector }, k) => {
    if (code.moves[k]) found = found.map((x, i) => x + code.moves[k] * vector[i]);
  });
  return found;
}

const image = (found, label, rank) =>
  computer.run("synthesis", held.classes === null || held.programs.mapping ? [found] : [found, [label]], rank);
const imageOf = async (code, rank) => image(await point(code, rank), code.label, rank);

// --- the picture ---

let due = false, busy = false;
async function show() {  // the newest wish; those in between are left out
  due = true;
  if (busy) return;
  busy = true;
  while (due) {
    due = false;
    const begun = performance.now();
    paint($("picture"), held.image, await imageOf(now, PICTURE));
    $("spent").textContent = `${Math.round(performance.now() - begun)} ms`;
  }
  busy = false;
}

function choose(code) {
  now = { ...code, moves: [...code.moves] };
  reflect();
  show();
}

function reflect() {  // sliders and classes say where the picture is
  held.sliders.forEach((_, k) => slide($(`slider-${k}`), now.moves[k]));
  if ($("psi")) slide($("psi"), now.psi);
  mark();
}

function slide(input, value) {
  input.value = value;
  input.parentElement.lastElementChild.textContent = value.toFixed(1);
}

function slider(name, id, low, high, at, change, title = "") {
  const label = make("label", "", name), input = make("input"), shown = make("output");
  Object.assign(input, { id, type: "range", min: low, max: high, step: 0.1 });
  if (title) label.title = title;
  label.append(input, shown);
  slide(input, at);
  input.addEventListener("input", () => {
    shown.textContent = Number(input.value).toFixed(1);
    change(Number(input.value));
    show();
  });
  $("sliders").append(label);
}

// --- classes ---

function mark() {
  for (const b of $("classes").children) b.setAttribute("aria-pressed", String(b.dataset.of === String(chosen)));
}

function ofClass(label) {
  chosen = label;
  if (label !== null) choose({ ...now, label, base: null });
  mark();
  fill();
}

// --- samples, and those that are kept ---

function thumbnail(code, name) {
  const b = make("button"), canvas = make("canvas", crisp);
  b.setAttribute("aria-label", name);
  b.append(canvas);
  if (told !== null) b.append(make("span", "of", String(code.label)));
  return [b, canvas];
}

async function fill() {  // new samples, of the chosen class or of all in turn
  const mine = ++drawn, random = uniform(seed);
  computer.drop(TILES);
  samples = Array.from({ length: SAMPLES }, (_, k) => fresh(noise(held.noise, random), told === null ? null : chosen ?? k % told));
  const tiles = samples.map((code, k) => {
    const [b, canvas] = thumbnail(code, `sample ${k + 1}${told === null ? "" : `, class ${code.label}`}`);
    b.setAttribute("aria-pressed", "false");
    b.addEventListener("click", () => toggle(code, b));
    code.tile = b;
    return [b, canvas];
  });
  $("samples").replaceChildren(...tiles.map(([b]) => b));
  if (now === null) {
    samples.slice(0, AT_FIRST).forEach((code) => keep(code, code.tile));
    choose(samples[0]);
  }
  for (let k = 0; k < SAMPLES; k++) {
    const numbers = await imageOf(samples[k], TILES);
    if (mine !== drawn) return;
    paint(tiles[k][1], held.image, numbers);
  }
}

function toggle(code, b) {
  const already = kept.find((one) => one.from === b);
  if (already) drop(already);
  else { keep(code, b); choose(code); }
}

function keep(code, from = null) {
  const one = { ...code, moves: [...code.moves], from };
  kept.push(one);
  if (from) from.setAttribute("aria-pressed", "true");
  const root = make("div", "one"), [b, canvas] = thumbnail(one, `kept sample ${kept.length}: show it`), away = make("button", "away", "×");
  away.setAttribute("aria-label", "let it go");
  b.addEventListener("click", () => choose(one));
  away.addEventListener("click", () => drop(one));
  root.append(b, away);
  one.root = root;
  $("kept").append(root);
  imageOf(one, KEPT).then((numbers) => paint(canvas, held.image, numbers));
  changed();
}

function drop(one) {
  kept = kept.filter((other) => other !== one);
  if (one.from) one.from.setAttribute("aria-pressed", "false");
  one.root.remove();
  changed();
}

// --- the walk ---

function changed() {
  const enough = kept.length > 1;
  $("kept-count").textContent = `${kept.length} kept`;
  $("place").max = Math.max(kept.length, 1);
  $("place").disabled = $("play").disabled = !enough;
  $("way").textContent = enough
    ? `${held.space.circle ? "Along great circles, as normal noise lies near a sphere" : "Along straight lines"}, from each to the next and back to the first${told !== null && !held.programs.mapping && held.classes !== null ? "; the class changes half way" : ""}.`
    : "Keep two samples or more to walk from one to the next.";
  if (!enough) pause();
  go(Math.min(place, kept.length));
}

let walking = false, missed = false;
async function go(at) {
  place = at;
  $("place").value = at;
  if (!kept.length) return;
  missed = true;
  if (walking) return;
  walking = true;
  while (missed) {
    missed = false;
    const n = kept.length, k = Math.floor(place) % n, t = place - Math.floor(place), [a, b] = [kept[k], kept[(k + 1) % n]];
    if (!n) break;
    $("place").setAttribute("aria-valuetext", `${Math.round(100 * t)} % of the way from ${k + 1} to ${(k + 1) % n + 1}`);
    kept.forEach((one, j) => one.root.firstElementChild.setAttribute("aria-current", String(j === (t < 0.5 ? k : (k + 1) % n))));
    const found = between(await point(a, WALK), await point(b, WALK), t, held.space.circle);
    paint($("walk"), held.image, await image(found, t < 0.5 ? a.label : b.label, WALK));
  }
  walking = false;
}

function pause() {
  playing = false;
  $("play").textContent = "▶";
  $("play").setAttribute("aria-label", "play");
}

async function play() {
  playing = true;
  $("play").textContent = "❚❚";
  $("play").setAttribute("aria-label", "pause");
  for (let before = performance.now(); playing;) {
    const time = await new Promise(requestAnimationFrame);
    if (!playing) return;
    const step = Math.max(0, time - before) / 1000 / SECONDS;
    before = time;
    await go((place + step) % kept.length);
  }
}

// --- all together ---

function save() {
  const link = make("a");
  link.href = $("picture").toDataURL("image/png");
  link.download = "sample.png";
  link.click();
}

async function check() {  // does this browser compute what Python does?
  const { given: [z, ...more], every, numbers } = held.check;
  const first = held.programs.mapping ? await computer.run("mapping", [z, ...more], KEPT) : z;
  const found = await computer.run("synthesis", held.programs.mapping ? [first] : [first, ...more], KEPT);
  const apart = numbers.reduce((most, x, k) => Math.max(most, Math.abs(x - found[k * every])), 0);
  $("checked").textContent = apart < 1e-4 ? `the same numbers, within ${apart.toExponential(0)}` : `other numbers, by ${apart.toPrecision(2)}`;
  $("checked").dataset.apart = apart;
}

const crisp = held.image[2] <= 64 ? "crisp" : "";
for (const id of ["picture", "walk"]) {
  if (crisp) $(id).classList.add(crisp);
  $(id).style.aspectRatio = `${held.image[2]} / ${held.image[1]}`;
  [$(id).height, $(id).width] = held.image.slice(1);
}
held.sliders.forEach(({ name, reach, share }, k) => {
  const title = share === undefined ? "" : `${(100 * share).toFixed(1)} % of what the first layer does with all directions`;
  slider(name, `slider-${k}`, -reach, reach, 0, (value) => { now.moves[k] = value; }, title);
});
if (held.space.centre) slider("truncation", "psi", 0, 1.5, 1, (value) => { now.psi = value; }, "towards the mean style at 0");
$("hint").textContent = !held.sliders.length ? "No layer is known to take the noise, so there are no directions to move along."
  : held.sliders[0].share === undefined ? "The codes that the network was taught to show in its samples."
  : held.programs.mapping ? "Directions along which styles change the layers' weights most (SeFa), in standard deviations of the styles."
  : "Directions along which the first layer changes most (SeFa), in standard deviations of the noise.";
if (told !== null) {
  $("classes").hidden = false;
  for (const label of [null, ...Array(told).keys()]) {
    const b = make("button", "", label === null ? "all" : String(label));
    b.dataset.of = String(label);
    b.setAttribute("aria-label", label === null ? "samples of all classes" : `class ${label}`);
    b.addEventListener("click", () => ofClass(label));
    $("classes").append(b);
  }
}
$("anew").addEventListener("click", () => { seed++; fill(); });
$("keep").addEventListener("click", () => keep(now));
$("reset").addEventListener("click", () => choose({ ...now, moves: zero(), psi: 1 }));
$("save").addEventListener("click", save);
$("play").addEventListener("click", () => playing ? pause() : play());
$("place").addEventListener("input", () => { pause(); go(Number($("place").value)); });
fill();
check();
