// The requests of the lines: batch sizes, retries, refusals and violations.

import { clockTime, zone } from "./clock.js";
import { colour } from "./colours.js";
import { close, onClose, open, openedNumber } from "./dissect.js";
import { counted, find, grouped, make, prose, visible, violationCard } from "./dom.js";
import { currentRun } from "./events.js";
import { streams } from "./lines.js";
import { arrange, bucket, bytes, span } from "./plot.js";

const SHOWN = 200;
const KEPT = 20_000;
const SPAN = 900; // seconds
const STREAM = 4; // the column of its name

let requests = [];
const totals = { requests: 0, lines: 0, retries: 0, refused: 0, meant: 0, violations: 0, largest: 0 };
let changed = true;
const kept = new Map(); // The cards.
const rows = new Map(); // Those of the table, by the number of the request.
let rowsZone = zone(); // In which their times are.
export const count = () => totals.requests;
let wanted = ""; // The run and the number of a request to open as soon as it comes.
let opened = () => {}; // Called with the run and the number of the opened request, or with "".
export { close };
export const onOpened = (call) => { opened = call; };
const named = (number) => `${currentRun()}:${number}`;
export const violations = () => totals.violations;

export function add(request) {
  requests.push(request);
  if (requests.length > KEPT * 1.25) requests = requests.slice(-KEPT);
  totals.requests += 1;
  totals.retries += request.retry;
  if (taken(request)) totals.lines += request.frames;
  else if (request.on_purpose) totals.meant += 1;
  else totals.refused += 1;
  totals.violations += request.violations.length;
  totals.largest = Math.max(totals.largest, request.bytes);
  changed = true;
  if (wanted === named(request.n)) show(request.n);
}

// Opens a request, now or when it comes; "" closes the panel.
export function want(name) {
  wanted = name;
  const found = requests.find((one) => named(one.n) === name);
  if (found) show(found.n);
  else if (!name) close();
}

function show(number) {
  wanted = "";
  if (number === openedNumber()) return;
  // Beside the panel there is less room, so that the row may have moved.
  open(number).then(() => rows.get(number)?.scrollIntoView({ block: "nearest" }));
  opened(named(number));
  draw(true);
}

export function clear() {
  requests = [];
  close();
  for (const name of Object.keys(totals)) totals[name] = 0;
  changed = true;
}

// The latest requests of which no line was taken, the newest first.
export const refused = (most) => requests.filter((one) => !taken(one) && !one.on_purpose).slice(-most).reverse();

const isBad = (request) => request.violations.length > 0 || (!taken(request) && !request.on_purpose);

// Why a request was refused, as elements.
export const reasons = (request) => request.status === 401
  ? [make("p", {}, ...prose("Not let in: the user is not `token`, or it is an unknown or rotated token.")), ...request.violations.map(violationCard)]
  : request.violations.map(violationCard);

const taken = (request) => request.status >= 200 && request.status < 300 && !request.on_purpose;

export function draw(force) {
  if (!changed && !force) return;
  changed = false;
  const frames = requests.filter(taken).map((one) => one.frames).sort((a, b) => a - b);
  const tiles = [
    ["requests", grouped(totals.requests)],
    ["packets taken", grouped(totals.lines)],
    ["median batch", frames.length ? counted(frames[Math.ceil(frames.length / 2) - 1], "packet") : "–"],
    ["largest body", totals.largest ? bytes(totals.largest) : "–"],
    ["retries", grouped(totals.retries)],
    ["refused", grouped(totals.refused), totals.refused > 0],
    ["on purpose", grouped(totals.meant)],
    ["violations", grouped(totals.violations), totals.violations > 0],
  ];
  find("#tiles").replaceChildren(...tiles.map(([name, value, alert]) =>
    make("div", { class: alert ? "alert" : "" }, make("dt", { textContent: name }), make("dd", { textContent: value }))));
  drawPlots();
  const wanted = find("#only-bad").checked ? requests.filter(isBad) : requests;
  drawRows(wanted.slice(-SHOWN));
  find("#request-count").textContent = wanted.length > SHOWN ? `the last ${SHOWN} of ${grouped(wanted.length)}` : "";
}

function drawPlots() {
  const place = find("#health");
  if (!requests.length) { arrange(place, kept, []); return; }
  const newest = Math.floor(requests.at(-1).time);
  const recent = requests.filter((one) => one.time >= newest - SPAN);
  const step = bucket(SPAN);
  const to = Math.floor(newest / step) * step;
  const from = Math.floor(Math.min(recent[0].time, newest - 20 * step) / step) * step;
  const kinds = [
    ["taken", "var(--green)", taken],
    ["on purpose", "var(--faint)", (one) => one.on_purpose],
    ["refused", "var(--red)", (one) => !taken(one) && !one.on_purpose],
  ];
  const at = (one) => Math.floor(one.time / step) * step;
  const answers = kinds.map(([name, colour, is]) => {
    const points = new Map();
    for (const one of recent) if (is(one)) points.set(at(one), (points.get(at(one)) ?? 0) + 1);
    return { name, colour, points };
  });
  const sizes = new Map();
  for (const one of recent) if (taken(one)) sizes.set(at(one), [...(sizes.get(at(one)) ?? []), one.frames]);
  const of = (what) => new Map([...sizes].map(([second, list]) => [second, what(list.sort((a, b) => a - b))]));
  const batches = [
    { name: "largest", colour: "var(--high)", points: of((list) => list.at(-1)) },
    { name: "median", colour: "var(--mid)", points: of((list) => list[Math.ceil(list.length / 2) - 1]) },
  ];
  const shared = { from, to, step, unit: "", now: "", unfinished: to + step > Date.now() / 1000, mark: NaN };
  arrange(place, kept, [
    ["requests", { ...shared, name: "requests", title: "Requests", kindName: `of every ${span(step)}`, series: answers, kind: "bars" }],
    ["batches", { ...shared, name: "batches", title: "Packets in a request", kindName: `taken in every ${span(step)}`, series: batches, kind: "lines", whole: true }],
  ]);
}

// The newest first. A row that is there stays, with its focus and what is open in it.
function drawRows(wanted) {
  const place = find("#request-table tbody");
  if (rowsZone !== zone()) { rows.clear(); place.replaceChildren(); rowsZone = zone(); }
  const numbers = new Set(wanted.map((one) => one.n));
  for (const [number, element] of rows) if (!numbers.has(number)) { element.remove(); rows.delete(number); }
  let next = null;
  for (const request of wanted) {
    if (!rows.has(request.n)) rows.set(request.n, row(request));
    const element = rows.get(request.n);
    element.classList.toggle("open", request.n === openedNumber());
    // Only lines give a stream its colour; a request that was refused may name any.
    if (streams.has(request.stream)) colour(element.children[STREAM], "stream", request.stream);
    if (element.nextSibling !== next || !element.parentNode) place.insertBefore(element, next);
    next = element;
  }
}

function row(request) {
  const how = taken(request) ? "good" : request.on_purpose ? "meant" : "bad";
  const remarks = make("td");
  if (request.on_purpose) remarks.append("on purpose ");
  if (request.retry) remarks.append("retry ");
  if (request.status === 401) remarks.append("not let in: unknown or rotated token ");
  if (request.violations.length) {
    remarks.append(make("details", {}, make("summary", { textContent: counted(request.violations.length, "violation") }),
      ...request.violations.map(violationCard)));
  }
  const time = make("button", { class: "opens", title: "Headers and body", textContent: clockTime(request.time * 1000) });
  time.addEventListener("click", () => show(request.n));
  return make("tr", {},
    make("td", {}, time),
    make("td", {}, make("span", { class: "answer " + how, textContent: request.status || "none" })),
    make("td", { class: "number", textContent: grouped(request.frames) }),
    make("td", { class: "number", textContent: grouped(request.bytes) }),
    make("td", { textContent: visible(request.stream) }),
    make("td", { class: "mono", textContent: visible((request.frame_id ?? "").slice(0, 40)) }),
    remarks);
}

// After the panel, the focus goes back to where it was opened.
onClose((number) => { opened(""); draw(true); rows.get(number)?.querySelector(".opens").focus(); });
