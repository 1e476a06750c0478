// The page of a run: samples and charts look at the same step.
const run = JSON.parse($("run").textContent);
let first = 0, last = 0, charts = [], frames = [], frame = 0, at = 0, playing = null, pairs = null;

const half = () => 0.1 * ($("smoothing").value / 100) ** 2 * (last - first);  // of the window, in steps

function smoothing() {
  const steps = Math.round(2 * half());
  $("window").textContent = steps < 2 ? "off" : `over ${whole(steps)} steps`;
  charts.forEach((chart) => chart.smoothen(half()));
}

function look(step) {  // every chart marks this step; the samples are the nearest to it
  at = step;
  $("at").textContent = `step ${whole(at)}`;
  charts.forEach((chart) => chart.look(at));
  if (frames.length) show(nearest(frames.map((f) => f.step), at));
  compare();
}

// --- samples ---

function show(k) {
  frame = k;
  const { step, src } = frames[frame], picture = $("picture");
  if (picture.getAttribute("src") !== src) picture.src = src;
  picture.alt = `samples of step ${step}`;
  $("slider").value = frame;
  $("slider").setAttribute("aria-valuetext", `step ${step}`);
  $("step").textContent = `step ${whole(step)}`;
  for (const b of $("strip").children) b.setAttribute("aria-current", String(Number(b.dataset.frame) === frame));
}

function go(k) { look(frames[Math.max(0, Math.min(frames.length - 1, k))].step); }

function fit() {  // small images by whole multiples of their pixels, large ones as wide as there is room
  const picture = $("picture"), ratio = window.devicePixelRatio || 1, room = picture.parentElement.clientWidth;
  const times = Math.floor(room * ratio / picture.naturalWidth), width = times * picture.naturalWidth / ratio;
  picture.classList.toggle("crisp", times > 0);
  picture.style.width = `${width > 0.7 * room ? width : room}px`;
}

function choose(name) {
  frames = run.frames[name];
  $("slider").max = frames.length - 1;
  $("strip").replaceChildren();
  const few = Math.min(6, frames.length);
  for (let k = 0; k < few; k++) {
    const i = few > 1 ? Math.round(k * (frames.length - 1) / (few - 1)) : 0, b = make("button"), small = make("img");
    small.src = frames[i].src;
    small.alt = "";
    b.append(small, whole(frames[i].step));
    b.dataset.frame = i;
    b.setAttribute("aria-label", `samples of step ${frames[i].step}`);
    b.addEventListener("click", () => { pause(); go(i); });
    $("strip").append(b);
  }
  const taken = run.taken[name];
  $("taken").textContent = taken > frames.length ? `${frames.length} of ${whole(taken)} pictures, evenly spread.` : "";
  for (const part of [$("slider").parentElement, $("strip")]) part.hidden = frames.length < 2;
}

function pause() {
  clearInterval(playing);
  playing = null;
  $("play").textContent = "▶";
  $("play").setAttribute("aria-label", "play");
}

function play() {
  if (playing !== null) return pause();
  if (frame === frames.length - 1) go(0);
  $("play").textContent = "❚❚";
  $("play").setAttribute("aria-label", "pause");
  playing = setInterval(() => {
    go(frame + 1);
    if (frame === frames.length - 1) pause();
  }, 300);
}

// --- what a translator is given, and what it makes of it ---

function compare() {  // the pictures nearest to the step
  if (!pairs) return;
  for (const [id, series] of [["before", pairs[0]], ["after", pairs[1]]]) {
    const { src } = series[nearest(series.map((f) => f.step), at)];
    if ($(id).getAttribute("src") !== src) $(id).src = src;
  }
}

function divide() { $("before").style.clipPath = `inset(0 ${100 - $("divide").value}% 0 0)`; }

function samples() {  // those of the series that is chosen, if there are any
  pairs = run.frames.before && run.frames.after ? [run.frames.before, run.frames.after] : null;
  $("compared").hidden = !pairs;
  const names = Object.keys(run.frames).filter((name) => !pairs || !["before", "after"].includes(name));
  $("samples").hidden = !names.length;
  if (!names.length) return;
  const chosen = $("series").options.length && names.includes($("series").value) ? $("series").value : names[0];
  $("series").replaceChildren(...names.map((name) => new Option(name || "samples", name)));
  $("series").value = chosen;
  $("series").hidden = names.length < 2;
  choose(chosen);
}

// --- the page ---

function resize() {
  charts.forEach((chart) => chart.resize(half()));
  if ($("picture").naturalWidth) fit();
}

document.addEventListener("keydown", (e) => {
  if (e.altKey || e.ctrlKey || e.metaKey || e.target.matches("input, select") && e.target.id !== "slider") return;
  const by = Math.max(1, Math.round((last - first) / 100)), ends = { Home: first, End: last };
  const to = frames.length ? { ArrowRight: frame + 1, ArrowLeft: frame - 1, Home: 0, End: frames.length - 1 }[e.key] : undefined;
  const step = { ArrowRight: at + by, ArrowLeft: at - by, ...ends }[e.key];
  if (step === undefined) return;
  e.preventDefault();
  pause();
  if (to !== undefined) go(to); else look(Math.max(first, Math.min(last, step)));
});

if ($("filter")) $("filter").addEventListener("input", (e) => {
  const wanted = e.target.value.trim().toLowerCase();
  for (const row of document.querySelectorAll("dl.settings > div")) row.hidden = !row.textContent.toLowerCase().includes(wanted);
});

function draw_all() {  // what `run` holds now; who looks at the last step goes on doing so
  const ended = at === last, point = (step) => { pause(); look(step); };
  first = run.first;
  last = Math.max(run.last, run.first + 1);
  charts = run.charts.map((spec) => new Chart(spec, first, last, point));
  if (run.looks.some((l) => l.verdict)) charts.unshift(new Verdicts(run.looks, first, last, point));
  const per = Math.max(0, ...run.charts.flatMap((spec) => spec.curves.map((curve) => curve.per || 0)));
  const note = per ? [make("p", "soft", `Each point of a long curve stands for about ${whole(per)} rows of log.csv: their mean, and from the lowest to the highest.`)] : [];
  $("charts").replaceChildren(...charts.map((chart) => chart.root), ...note);
  $("bar").hidden = !run.charts.length;
  $("charts").hidden = !charts.length;
  samples();
  $("view").classList.toggle("single", !charts.length || !frames.length);
  resize();
  smoothing();
  look(ended ? last : Math.max(first, Math.min(last, at)));
}

$("series").addEventListener("change", (e) => { choose(e.target.value); look(at); });
$("picture").addEventListener("load", fit);
$("slider").addEventListener("input", (e) => { pause(); go(Number(e.target.value)); });
$("play").addEventListener("click", play);
$("divide").addEventListener("input", divide);
$("smoothing").addEventListener("input", smoothing);
divide();
draw_all();
new ResizeObserver(resize).observe($("charts"));
