// Keeps, filters and draws the lines. Only visible rows exist as elements, so a hundred thousand lines
// cost as little as forty.

import { span } from "./address.js";
import { counted, find, grouped, make, offer, visible, violationCard } from "./dom.js";

const ROW = 22; // pixels, as in style.css
const SPARE = 8; // rows above and below the visible ones
const KEPT = 200_000;
const LONGEST = 1_500; // characters of a row; the details show all

const list = find("#list");
const space = list.querySelector(".space");
const rows = list.querySelector(".rows");
const detail = find("#detail");
const newer = find("#newer");

let all = [];
let shown = [];
let filter = { text: "", stream: "", process: "", level: 7, bad: false };
let following = true;
let chosen = null;
let due = false;
let lastTop = 0;
let firstDay = null;
let wanted = null; // The number of a line to choose as soon as it comes.
let told = () => {}; // Called when another line is chosen.
const streams = new Map();
const processes = new Map();
const pool = [];

export const counts = { violations: 0, total: 0 };

export function add(lines) {
  const before = chosen;
  for (const line of lines) {
    counts.total += 1;
    counts.violations += line.w ?? 0;
    if (!streams.has(line.s)) {
      streams.set(line.s, colour(line.s));
      offer(find("#stream"), line.s);
      list.classList.toggle("several", streams.size > 1);
    }
    if (!processes.has(line.p)) { processes.set(line.p, colour(line.p)); offer(find("#process"), line.p); }
    all.push(line);
    if (passes(line)) shown.push(line);
    if (line.n === wanted) { wanted = null; chosen = line; }
  }
  if (chosen !== before && chosen) { follow(false); keepChosenInSight(); show(chosen); }
  if (all.length > KEPT) {
    all = all.slice(all.length - KEPT * 3 / 4);
    const length = shown.length;
    shown = all.filter(passes);
    const dropped = length - shown.length;
    if (!following) list.scrollTop = Math.max(0, list.scrollTop - dropped * ROW);
  }
  draw();
}

export function clear() {
  all = []; shown = []; chosen = null; wanted = null; firstDay = null;
  counts.total = counts.violations = 0;
  close();
  draw();
}

function colour(process) {
  let hash = 0;
  for (const character of process) hash = (hash * 31 + character.codePointAt(0)) >>> 0;
  return "p" + (hash % 8);
}

function passes(line) {
  return line.v <= filter.level
    && (!filter.stream || line.s === filter.stream)
    && (!filter.process || line.p === filter.process)
    && (!filter.bad || line.w)
    && (!filter.span || isWithin(line, filter.span))
    && (!filter.text || (line.l ??= line.x.toLowerCase()).includes(filter.text));
}

function isWithin(line, { from, to }) {
  const moment = Date.parse(line.t);
  return from <= moment && moment < to;
}

export function refilter() {
  filter = {
    text: find("#search").value.toLowerCase(),
    stream: find("#stream").value,
    process: find("#process").value,
    level: Number(find("#level").value),
    bad: find("#only-violations").checked,
    span: span(),
  };
  shown = all.filter(passes);
  if (!following) keepChosenInSight();
  draw();
}

// In the middle of the list, with the lines around it. The list must have its new height before.
function keepChosenInSight() {
  const index = chosen === null ? -1 : shown.indexOf(chosen);
  if (index < 0) return;
  space.style.height = shown.length * ROW + "px";
  list.scrollTop = index * ROW - (list.clientHeight - ROW) / 2;
}

// Draws once in the next frame, however often it is called.
export function draw() {
  if (due) return;
  due = true;
  requestAnimationFrame(() => { due = false; drawNow(); });
}

function drawNow() {
  const height = shown.length * ROW;
  space.style.height = height + "px";
  if (following) list.scrollTop = height;
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - SPARE);
  const last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + SPARE);
  rows.style.transform = `translateY(${first * ROW}px)`;
  while (pool.length < last - first) pool.push(newRow());
  pool.forEach((row, index) => {
    const line = shown[first + index];
    row.element.hidden = first + index >= last;
    if (!row.element.hidden) fill(row, line, first + index);
  });
  find("#empty").hidden = counts.total > 0;
  find("#no-match").hidden = counts.total === 0 || shown.length > 0;
  const filtered = shown.length !== all.length;
  find("#match-count").textContent = filtered ? `${grouped(shown.length)} of ${grouped(all.length)}` : "";
  newer.hidden = following || last >= shown.length - 1;
  const index = chosen === null ? -1 : shown.indexOf(chosen);
  if (index >= first && index < last) list.setAttribute("aria-activedescendant", "row-" + chosen.n);
  else list.removeAttribute("aria-activedescendant");
}

function newRow() {
  const time = make("span", { class: "time" });
  const stream = make("span", { class: "stream" });
  const name = make("span", { class: "name" });
  const text = make("span", { class: "text" });
  const note = make("span", { class: "note" });
  const element = make("div", { class: "row", role: "option" }, time, stream, name, text, note);
  const row = { element, time, stream, name, text, note, line: null, sought: "" };
  element.addEventListener("click", () => choose(row.line, true));
  rows.append(element);
  return row;
}

function fill(row, line, index) {
  const { element } = row;
  element.setAttribute("aria-selected", String(line === chosen));
  if (row.line === line && row.sought === filter.text) return;
  row.line = line;
  row.sought = filter.text;
  element.id = "row-" + line.n;
  element.dataset.index = index;
  element.className = "row"
    + (line.v <= 3 ? " error" : line.v === 4 ? " warning" : line.v === 7 ? " debug" : "")
    + (line.w ? " bad" : "") + (line.h ? " unseen" : "");
  row.time.textContent = timeOf(line);
  row.time.title = visible(line.t);
  row.stream.textContent = visible(line.s);
  row.stream.className = "stream " + streams.get(line.s);
  row.name.textContent = visible(`app[${line.p}]`);
  row.name.className = "name " + processes.get(line.p);
  row.note.textContent = [line.k ? `${line.k} packets` : "", line.w ? "⚠ " + counted(line.w, "violation") : ""].filter(Boolean).join("  ");
  mark(row.text, visible(line.x.length > LONGEST ? line.x.slice(0, LONGEST) + "…" : line.x), filter.text);
}

// The time in UTC, with the date if that is not the first line's; any other text as it is.
function timeOf(line) {
  const moment = Date.parse(line.t);
  if (!Number.isFinite(moment)) return visible(line.t.slice(0, 23));
  const written = new Date(moment).toISOString();
  firstDay ??= written.slice(0, 10);
  return (written.startsWith(firstDay) ? "" : written.slice(5, 10) + " ") + written.slice(11, 23);
}

function mark(element, text, sought) {
  if (!sought) { element.textContent = text; return; }
  const parts = [];
  const lower = text.toLowerCase();
  let from = 0;
  for (let at; (at = lower.indexOf(sought, from)) >= 0 && parts.length < 40; from = at + sought.length) {
    parts.push(text.slice(from, at), make("mark", { textContent: text.slice(at, at + sought.length) }));
  }
  element.replaceChildren(...parts, text.slice(from));
}

export function follow(wanted) {
  following = wanted;
  find("#follow").setAttribute("aria-pressed", String(wanted));
  draw();
}
export const isFollowing = () => following;

function reveal(index) {
  const top = index * ROW;
  if (top < list.scrollTop) list.scrollTop = top;
  else if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
}

export const chosenNumber = () => chosen?.n ?? wanted;
// The chosen line's time in seconds since the epoch, or NaN.
export const chosenTime = () => Date.parse(chosen?.t ?? "") / 1000;
export const onChoice = (call) => { told = call; };

// Chooses the line of this number, now or when it comes; null chooses none.
export function want(number) {
  const line = number === null ? null : all.find((one) => one.n === number);
  wanted = line ? null : number;
  if (line) { if (line !== chosen) choose(line, true); }
  else { chosen = null; close(); }
}

function choose(line, open) {
  if (!line) return;
  chosen = line;
  told();
  follow(false);
  reveal(shown.indexOf(line));
  if (open || !detail.hidden) show(line);
  draw();
}

function move(by) {
  if (!shown.length) return;
  const at = chosen === null ? -1 : shown.indexOf(chosen);
  const from = at >= 0 ? at : (by > 0 ? Math.floor(list.scrollTop / ROW) - 1 : shown.length);
  choose(shown[Math.min(shown.length - 1, Math.max(0, from + by))], false);
}

export function close() {
  detail.hidden = true;
  draw();
}

async function show(line) {
  const answer = await fetch("/api/lines/" + line.n);
  if (chosen !== line) return;
  const known = answer.ok ? await answer.json() : null;
  const button = make("button", { class: "quiet", textContent: "✕", title: "Close (Esc)", "aria-label": "Close" });
  button.addEventListener("click", () => { close(); list.focus(); });
  const heading = make("header", {},
    make("h2", { class: processes.get(line.p), textContent: visible(`app[${line.p}]`) }),
    make("span", { class: "kind", textContent: visible(line.t) }), make("p", { class: "grow" }), button);
  const parts = [heading];
  if (!known) parts.push(make("p", { textContent: "The receiver no longer keeps this line." }), raw(line.x));
  else {
    parts.push(...known.violations.map(violationCard));
    if (!known.shown) parts.push(make("p", { textContent: "Customers do not see this line." }));
    if (known.pairs.length) parts.push(make("h3", { textContent: "Pairs" }), table(known.pairs));
    parts.push(make("h3", { textContent: "Text" }), raw(known.text));
    if (known.parts.length) parts.push(make("h3", { textContent: `Sent in ${counted(known.parts.length, "packet")}` }), ...known.parts.map(raw));
    const packet = Object.entries({ stream: known.stream, ...known.packet });
    parts.push(make("h3", { textContent: "Packet" }), table(packet.map(([k, v]) => [k, String(v ?? "none")])));
  }
  detail.replaceChildren(...parts);
  detail.hidden = false;
  detail.scrollTop = 0;
}

const raw = (text) => make("pre", { class: "raw", tabIndex: 0, textContent: visible(text) });
const shownValue = (value) => value.split("\n").map(visible).join("\n");
const table = (pairs) => make("table", {}, ...pairs.map(([key, value]) =>
  make("tr", {}, make("td", { textContent: visible(key) }), make("td", { textContent: shownValue(value) }))));

list.addEventListener("scroll", () => {
  const atEnd = list.scrollTop + list.clientHeight >= shown.length * ROW - ROW;
  if (following && !atEnd && list.scrollTop < lastTop) follow(false);
  lastTop = list.scrollTop;
  draw();
}, { passive: true });

list.addEventListener("keydown", (event) => {
  const page = Math.max(1, Math.floor(list.clientHeight / ROW) - 1);
  const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
  if (event.key in steps) {
    event.preventDefault();
    move(steps[event.key] === Infinity ? shown.length : steps[event.key] === -Infinity ? -shown.length : steps[event.key]);
  } else if (event.key === "Enter" && chosen) { event.preventDefault(); show(chosen); }
});
newer.addEventListener("click", () => follow(true));
new ResizeObserver(draw).observe(list);
