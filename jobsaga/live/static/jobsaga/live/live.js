/* The pages are whole without this. With it they follow what happens, tell the time, and can be used by keyboard.

   A page is told over a socket that something has changed, or asks every few seconds where there is none; then it
   reads itself again and takes over the parts that differ. What one reads, has selected or points at stays where it is. */

const page = document.body.dataset;
const words = JSON.parse(page.words);
const say = (name, value) => words[name].replace("%s", value);
const trusted = window.trustedTypes
  ? trustedTypes.createPolicy("jobsaga-live", { createHTML: (text) => text })
  : { createHTML: (text) => text };
const stored = (name, value) => {
  try {
    return value === undefined ? localStorage.getItem(name) : localStorage.setItem(name, value);
  } catch {
    return null;
  }
};
const drift = Date.parse(page.now) - Date.now();
const now = () => Date.now() + drift;

/* -- times ------------------------------------------------------------------------------------------ */

const UNITS = [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]];

function coarse(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const [size, name] = UNITS.find(([each]) => seconds >= each);
  return `${Math.floor(seconds / size)} ${name}`;
}

function span(seconds) {
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1).replace(".", words.point)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const [size, name, small, smallName] = UNITS.find(([each]) => seconds >= each);
  const rest = Math.floor((seconds % size) / small);
  return `${Math.floor(seconds / size)} ${name}${rest ? ` ${rest} ${smallName}` : ""}`;
}

function ago(seconds) {
  if (seconds > -2 && seconds < 1) return words.now; // what has just come may be ahead of this clock
  return seconds > 0 ? say("ago", coarse(seconds)) : say("in", coarse(-seconds));
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function tick() {
  if (document.hidden || paused) return;
  const at = now();
  for (const each of document.querySelectorAll("[data-ago]")) {
    setText(each, ago((at - Date.parse(each.dataset.ago)) / 1000));
  }
  for (const each of document.querySelectorAll("[data-since]")) {
    setText(each, span((at - Date.parse(each.dataset.since)) / 1000));
  }
  showState();
}

/* -- taking over what differs ----------------------------------------------------------------------- */

const keyOf = (node) => (node.nodeType === 1 ? node.dataset.job || node.id || null : null);

function takeAttributes(old, fresh) {
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !(name === "open" && old.tagName === "DETAILS")) old.removeAttribute(name);
  }
}

function take(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) return old.replaceWith(fresh);
  if (old.nodeType !== 1) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return undefined;
  }
  if (old.isEqualNode(fresh) || old.matches("input, select, textarea")) return undefined;
  if (Number(old.dataset.version) > Number(fresh.dataset.version)) return undefined;
  const open = old.tagName === "DETAILS" && old.open;
  takeAttributes(old, fresh);
  if (open) old.open = true;
  takeChildren(old, fresh);
  return undefined;
}

function takeChildren(old, fresh) {
  const known = new Map([...old.children].map((each) => [keyOf(each), each]).filter(([key]) => key));
  let place = old.firstChild;
  for (const next of [...fresh.childNodes]) {
    const key = keyOf(next);
    const same = key ? known.get(key) : null;
    if (same) {
      if (same === place) place = place.nextSibling;
      else old.insertBefore(same, place);
      take(same, next);
    } else if (!key && place && !keyOf(place) && place.nodeName === next.nodeName) {
      const here = place;
      place = place.nextSibling;
      take(here, next);
    } else {
      old.insertBefore(next, place);
    }
  }
  while (place) {
    const gone = place;
    place = place.nextSibling;
    gone.remove();
  }
}

/* Whether someone is at work in this part of the page: then rows change in place, and none comes, goes or moves. */
function isInUse(region) {
  const selection = document.getSelection();
  return (
    region.matches(":hover") ||
    region.contains(document.activeElement) ||
    region.querySelector("input:checked") !== null ||
    (selection && !selection.isCollapsed && region.contains(selection.anchorNode))
  );
}

function takeRows(region, fresh) {
  let others = 0;
  const known = new Map([...region.querySelectorAll("[data-job]")].map((each) => [each.dataset.job, each]));
  for (const row of fresh.querySelectorAll("[data-job]")) {
    const same = known.get(row.dataset.job);
    if (same) take(same, row);
    else others += 1;
  }
  return others;
}

const regionLike = (where, region) => where.querySelector(`[data-region="${CSS.escape(region.dataset.region)}"]`);

/* Put a part that is new beside a neighbour that both pages have. */
function insert(fresh) {
  for (const [way, place] of [["previousElementSibling", "after"], ["nextElementSibling", "before"]]) {
    for (let each = fresh[way]; each; each = each[way]) {
      const here = each.dataset.region && regionLike(document, each);
      if (here) {
        here[place](fresh.cloneNode(true));
        return true;
      }
    }
  }
  return false;
}

function takePage(text) {
  const fresh = new DOMParser().parseFromString(trusted.createHTML(text), "text/html");
  if (!fresh.body.dataset.cursor) return location.reload(); // logged out, or something else is there now
  page.cursor = fresh.body.dataset.cursor;
  let waiting = 0;
  for (const region of document.querySelectorAll("[data-region]")) {
    const next = regionLike(fresh, region);
    if (!next) {
      if (!isInUse(region)) region.remove();
    } else if (isInUse(region)) {
      waiting += takeRows(region, next);
    } else {
      take(region, next);
    }
  }
  for (const next of [...fresh.querySelectorAll("main [data-region]")].reverse()) {
    if (!regionLike(document, next) && !insert(next)) waiting += 1;
  }
  showWaiting(waiting);
  watch();
  return undefined;
}

function showWaiting(count) {
  const note = document.getElementById("waiting-changes");
  note.hidden = !count;
  setText(note.firstElementChild, count === 1 ? words.change : say("changes", count));
}

/* -- reading the page again ------------------------------------------------------------------------- */

let paused = false;
let reading = null;
let wanted = false;
let timer = 0;
let lastRead = Date.now();
let failures = 0;

async function read() {
  if (paused || document.hidden) {
    wanted = true;
    return;
  }
  if (reading) {
    wanted = true;
    return;
  }
  wanted = false;
  reading = new AbortController();
  const limit = setTimeout(() => reading && reading.abort(), 20000);
  try {
    const answer = await fetch(location.href, { signal: reading.signal, headers: { "X-Requested-With": "jobsaga-live" } });
    if (!answer.ok) throw new Error(String(answer.status));
    const text = await answer.text();
    if (!paused) takePage(text);
    lastRead = Date.now();
    failures = 0;
  } catch {
    failures += 1;
  } finally {
    clearTimeout(limit);
    reading = null;
    showState();
    if (wanted) soon();
  }
}

/* The page of a job is read at once; others, which many may look at, a little later and not all at the same time. */
function soon() {
  if (timer) return;
  const pace = page.page === "job" ? 300 : 1500;
  const left = Math.max(0, lastRead + pace - Date.now());
  timer = setTimeout(() => {
    timer = 0;
    read();
  }, left + Math.random() * (page.page === "job" ? 30 : 500));
}

/* -- the socket ------------------------------------------------------------------------------------- */

let socket = null;
let attempts = 0;
let greeted = false;

function connect() {
  if (!page.socket || paused || socket || attempts > 1000) return;
  const address = new URL(page.socket, location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(address);
  socket.onopen = () => watch();
  socket.onmessage = (event) => hear(JSON.parse(event.data));
  socket.onclose = (event) => {
    socket = null;
    greeted = false;
    showState();
    if (paused || (event.code >= 4000 && event.code < 5000)) return;
    attempts += 1;
    const wait = Math.min(30000, 500 * 2 ** Math.min(attempts, 6));
    setTimeout(connect, wait * (0.5 + Math.random() / 2));
  };
}

function watch() {
  if (!socket || socket.readyState !== WebSocket.OPEN) return;
  const jobs = [...new Set([...document.querySelectorAll("[data-job]")].map((each) => each.dataset.job))];
  socket.send(JSON.stringify({ watch: jobs.slice(0, 200), after: page.cursor }));
}

function hear(said) {
  if (said.t === "hello") {
    greeted = true;
    attempts = 0;
    failures = 0;
    showState();
  } else if (said.t === "changed") {
    soon();
  } else if (said.t === "patch") {
    for (const job of said.jobs) show(job);
  }
}

function show(job) {
  for (const place of document.querySelectorAll(`[data-job="${CSS.escape(job.id)}"]`)) {
    if (Number(place.dataset.version) > job.version) continue;
    place.dataset.version = job.version;
    put(place.querySelector('[data-part="pill"]'), job.pill);
    put(place.querySelector('[data-part="bar"]'), job.bar);
    const text = place.querySelector('[data-part="said"]');
    if (text) setText(text, job.said);
    const left = place.querySelector('[data-part="left"]');
    if (left) setText(left, job.left);
  }
}

function put(place, html) {
  if (!place) return;
  const fresh = new DOMParser().parseFromString(trusted.createHTML(`<span>${html}</span>`), "text/html");
  takeChildren(place, fresh.body.firstElementChild);
}

/* -- the state of the connection -------------------------------------------------------------------- */

const pill = document.getElementById("connection");

function stateNow() {
  if (paused) return ["paused", words.paused];
  const silent = (Date.now() - lastRead) / 1000;
  if (greeted) return ["live", words.live];
  if (failures > 1 || silent > Math.max(40, 3 * Number(page.poll))) return ["stale", say("stale", coarse(silent))];
  if (page.socket && attempts < 3) return ["joining", words.joining];
  return ["polling", words.polling];
}

function showState() {
  const [kind, word] = stateNow();
  pill.dataset.kind = kind;
  setText(pill.querySelector("span"), word);
}

function pause() {
  paused = !paused;
  pill.setAttribute("aria-pressed", String(paused));
  if (paused) {
    if (reading) reading.abort();
    if (socket) socket.close(1000);
  } else {
    connect();
    read();
  }
  showState();
}

/* -- keys ------------------------------------------------------------------------------------------- */

const GO = { n: "now", j: "jobs", t: "types", w: "workers", s: "schedules", f: "failures", a: "activity", h: "health" };
const help = document.getElementById("help");
const keysOff = document.getElementById("keys-off");
let gone = 0;

function rows() {
  return [...document.querySelectorAll("main tr[data-job] th a, main li[data-job] .title")];
}

function step(by) {
  const all = rows();
  const here = document.activeElement.closest ? document.activeElement.closest("[data-job]") : null;
  const at = all.findIndex((each) => here && here.contains(each));
  const next = all[Math.max(0, Math.min(all.length - 1, at + by))];
  if (next) next.focus();
}

function select() {
  const row = document.activeElement.closest("[data-job]");
  const box = row && row.querySelector('input[type="checkbox"]');
  if (box) box.checked = !box.checked;
}

function press(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.target.matches("input, textarea, select, [contenteditable]") && event.target.type !== "checkbox") {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (stored("jobsaga-keys") === "off" && event.key !== "?") return;
  const second = Date.now() - gone < 1500;
  gone = 0;
  if (second && GO[event.key]) {
    const link = document.querySelector(`.side a[data-page="${GO[event.key]}"]`);
    if (link) location.href = link.href;
  } else if (event.key === "g") {
    gone = Date.now();
  } else if (event.key === "/") {
    event.preventDefault();
    (document.querySelector("#search input") || document.querySelector(".find input")).focus();
  } else if (event.key === "j" || event.key === "k") {
    step(event.key === "j" ? 1 : -1);
  } else if (event.key === "x") {
    select();
  } else if (event.key === "p") {
    pause();
  } else if (event.key === "?") {
    help.showModal();
  }
}

/* -- theme ------------------------------------------------------------------------------------------ */

const THEMES = ["", "light", "dark"];
const themeButton = document.getElementById("theme");

function setTheme(theme) {
  document.documentElement.toggleAttribute("data-theme", Boolean(theme));
  if (theme) document.documentElement.dataset.theme = theme;
  document.cookie = `jobsaga_theme=${theme}; path=/; max-age=${theme ? 31536000 : 0}; samesite=lax`;
  themeButton.dataset.theme = theme || "auto";
  themeButton.setAttribute("aria-label", say("theme", words[theme || "auto"]));
}

function nextTheme() {
  const here = THEMES.indexOf(document.documentElement.dataset.theme || "");
  setTheme(THEMES[(here + 1) % THEMES.length]);
}

/* -- time zone -------------------------------------------------------------------------------------- */

/* The browser knows its zone, the server does not: it becomes one more choice. */
function offerZone(select) {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (own && ![...select.options].some((each) => (each.value || each.text.split(" ")[0]) === own)) {
    select.add(new Option(own, own));
  }
  select.addEventListener("change", () => select.form.submit());
}

/* -- begin ------------------------------------------------------------------------------------------ */

for (const each of document.querySelectorAll("[data-script]")) each.hidden = false;
const isLive = document.querySelector("[data-region]") !== null;
pill.hidden = !isLive;
setTheme(document.documentElement.dataset.theme || "");
themeButton.addEventListener("click", nextTheme);
pill.addEventListener("click", pause);
document.addEventListener("keydown", press);
document.getElementById("show-changes").addEventListener("click", () => location.reload());
keysOff.checked = stored("jobsaga-keys") === "off";
keysOff.addEventListener("change", () => stored("jobsaga-keys", keysOff.checked ? "off" : "on"));
for (const each of document.querySelectorAll("[data-no-script]")) each.hidden = true;
offerZone(document.getElementById("zone"));
for (const each of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) each.hidden = true;
  each.addEventListener("click", () => navigator.clipboard.writeText(each.dataset.copy));
}
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
setInterval(tick, 1000);
if (isLive) {
  connect();
  const awake = () => {
    if (document.hidden || paused) return;
    connect();
    if (wanted || !greeted || Date.now() - lastRead > 60000) read();
  };
  document.addEventListener("visibilitychange", awake);
  window.addEventListener("online", awake);
  document.addEventListener("pointerout", () => wanted && soon());
  setInterval(() => {
    if (paused || document.hidden) return;
    const silent = Date.now() - lastRead;
    if (silent > (greeted ? 60000 : Number(page.poll) * 1000)) read();
  }, 1000);
}
showState();
