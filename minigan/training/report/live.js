// While the run goes on: what has changed is fetched and put where it belongs, and the reader stays where they are.
const known = JSON.parse($("known").textContent);

function put(name, content) {
  if (typeof content === "object") return Object.assign(run, content);
  document.querySelector(`[data-part="${name}"]`).innerHTML = content;
}

function redraw() {  // without the page being shorter for a moment, which would scroll it
  const { scrollX, scrollY } = window;
  document.body.style.minHeight = `${document.documentElement.scrollHeight}px`;
  draw_all();
  document.body.style.minHeight = "";
  window.scrollTo(scrollX, scrollY);
}

async function refresh() {
  let wait = 5;
  try {
    const reply = await fetch("changes?" + new URLSearchParams(known));
    if (!reply.ok) throw new Error(await reply.text());
    const told = await reply.json();
    for (const [name, { tag, content }] of Object.entries(told.changed)) {
      put(name, content);
      known[name] = tag;
    }
    if ("curves" in told.changed || "pictures" in told.changed) redraw();
    wait = told.wait;
  } catch (error) {
    document.querySelector('[data-part="state"]').textContent = "minigan watch has ended, or its run is gone: this page is as it was last.";
    delete known.state;
  }
  setTimeout(refresh, 1000 * wait);
}

setTimeout(refresh, 1000);
