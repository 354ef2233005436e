// The live board in a page: replaces a part where it has changed and leaves the rest alone, so that what is opened stays
// open; tells time, probe and gap under the pointer; a click on the lanes holds them. Everything comes with the message:
// nothing is fetched.
const PARTS = ["head", "lanes", "happened", "folds"];

function render({ model, el }) {
  const room = document.createElement("div");
  room.className = "lpm-room";
  room.innerHTML = `<style>${model.get("css_text")}</style><section class="lpm-board" aria-label="Board"></section><div class="lpm-tip" role="tooltip" hidden></div>`;
  const board = room.querySelector("section");
  const tip = room.querySelector(".lpm-tip");
  const shown = {};
  for (const name of model.get("shown")) {
    const part = document.createElement("div");
    part.className = `lpm-part lpm-part-${name}`;
    part.dataset.part = name;
    board.append(part);
    shown[name] = part;
  }
  const touched = new Map(); // folds that a person opened or closed
  let held = false; // the lanes, by a click
  let pointer = null;

  const put = (name) => {
    const part = shown[name];
    if (!part || (name === "lanes" && held)) return;
    part.innerHTML = model.get(name);
    for (const fold of part.querySelectorAll("details")) {
      if (touched.has(fold.dataset.key)) fold.open = touched.get(fold.dataset.key);
    }
    if (name === "lanes" && pointer) tell(pointer);
  };
  board.addEventListener("click", (event) => {
    const fold = event.target.closest("summary")?.parentElement;
    if (fold) touched.set(fold.dataset.key, !fold.open);
  });
  // at once: between press and release the picture may have been drawn again
  board.addEventListener("pointerdown", (event) => {
    if (!event.target.closest(".lpm-part-lanes svg")) return;
    held = !held;
    shown.lanes.classList.toggle("lpm-held", held);
    if (!held) put("lanes");
  });

  const tell = (event) => {
    const svg = shown.lanes?.querySelector("svg");
    const told = svg && under(svg, event);
    tip.hidden = !told;
    if (!told) return;
    tip.textContent = told + (held ? " (held; click to go on)" : " (click to hold)");
    const box = room.getBoundingClientRect();
    tip.style.left = `${Math.min(event.clientX - box.left + 12, box.width - tip.offsetWidth - 4)}px`;
    tip.style.top = `${event.clientY - box.top + 14}px`;
  };
  board.addEventListener("pointermove", (event) => tell((pointer = { clientX: event.clientX, clientY: event.clientY })));
  board.addEventListener("pointerleave", () => { pointer = null; tip.hidden = true; });

  let heard = Date.now();
  for (const name of PARTS) { put(name); model.on(`change:${name}`, () => { heard = Date.now(); put(name); }); }
  // a board that is drawn no more, of a kernel that ended, must not look like one that is
  const watch = setInterval(() => {
    const silent = Math.round((Date.now() - heard) / 1000);
    const stale = model.get("live") && silent >= 8;
    room.classList.toggle("lpm-stale", stale);
    if (stale) room.dataset.silent = `Not renewed for ${silent} s: the kernel does not answer, or the reason stands below. Run the first cell again.`;
  }, 1000);
  if (model.get("names_page")) { named(model); model.on("change:title", () => named(model)); }
  if (model.get("tells")) room.append(notifier(model));
  el.append(room);
  return () => clearInterval(watch);
}

// Time, probe and gap under a point of the lanes; nothing beside them.
function under(svg, at) {
  const box = svg.getBoundingClientRect();
  const view = svg.viewBox.baseVal;
  const scale = Math.min(box.width / view.width, box.height / view.height);
  const column = (at.clientX - box.left) / scale - Number(svg.dataset.left);
  const columns = Number(svg.dataset.columns);
  const lane = Math.floor(((at.clientY - box.top) / scale - Number(svg.dataset.top)) / Number(svg.dataset.lane));
  const probes = svg.querySelectorAll("path[data-probe]");
  if (column < 0 || column > columns || lane < 0 || lane >= probes.length) return "";
  const gap = document.elementsFromPoint(at.clientX, at.clientY).find((one) => one.classList?.contains("lpm-gap"));
  if (gap) return gap.querySelector("title").textContent;
  const ns = BigInt(svg.dataset.begin) + BigInt(Math.round((column / columns) * Number(svg.dataset.length)));
  const time = new Date(Number(ns / 1000000n)).toISOString().slice(11, 23);
  return `${probes[lane].dataset.probe}: ${time} UTC`;
}

// The state in the title and the icon of the page.
function named(model) {
  document.title = model.get("title");
  let icon = document.querySelector("link[rel~=icon]");
  if (!icon) { icon = document.createElement("link"); icon.rel = "icon"; document.head.append(icon); }
  const drawn = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="6" fill="${model.get("colour")}"/><text x="16" y="24" font-size="22" text-anchor="middle" fill="${model.get("colour") === "#f5b025" ? "#1b1f24" : "#fff"}">${model.get("sign")}</text></svg>`;
  icon.href = `data:image/svg+xml,${encodeURIComponent(drawn)}`;
}

// A notification and a tone for what nobody should miss, for who asks for it.
function notifier(model) {
  const label = document.createElement("label");
  label.className = "lpm-notify";
  label.innerHTML = '<input type="checkbox"> notify me, with a sound';
  const wanted = label.querySelector("input");
  wanted.addEventListener("change", async () => {
    if (wanted.checked && "Notification" in window) await Notification.requestPermission();
  });
  model.on("change:alarm", () => {
    const text = model.get("alarm");
    if (!text || !wanted.checked) return;
    if ("Notification" in window && Notification.permission === "granted") new Notification(text);
    const audio = new AudioContext();
    const tone = audio.createOscillator();
    tone.connect(audio.destination);
    tone.start();
    tone.stop(audio.currentTime + 0.4);
  });
  return label;
}

export default { render };
