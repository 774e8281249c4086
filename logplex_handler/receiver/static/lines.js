// The lines that the page keeps, those that match the query, and of these the ones in the span of time.

import { assign, hueOf } from "./colours.js";
import * as scope from "./scope.js";

const KEPT = 200_000;

// All lines have the same fields, which makes the query fast.
class Line {
  constructor(item, run, serial) {
    this.n = item.n; // the receiver's number, which begins anew with each run
    this.run = run;
    this.i = serial; // unique on this page
    this.at = momentOf(item.t);
    this.t = item.t;
    this.s = item.s;
    this.a = item.a;
    this.p = item.p;
    this.v = item.v;
    this.x = item.x;
    this.l = item.x.toLowerCase();
    this.w = item.w ?? 0;
    this.h = item.h ?? 0;
    this.k = item.k ?? 0;
    this.m = item.m;
    this.y = undefined; // the packets of a long line, once they are known
  }
}

// A time in milliseconds since 1970, or NaN if it cannot be read. Most lines are of the same minute as the one before.
let minute = { text: "", start: NaN };
function momentOf(text) {
  if (text.length === 32 && text.endsWith("+00:00")) {
    if (!text.startsWith(minute.text) || !minute.text) minute = { text: text.slice(0, 17), start: Date.parse(text.slice(0, 17) + "00Z") };
    const seconds = Number(text.slice(17, 26));
    if (seconds >= 0 && seconds < 60) return minute.start + Math.floor(seconds * 1_000);
  }
  return Date.parse(text);
}

let all = [];
let matching = []; // pass the query
let inSpan = matching; // of these, those in the span; the same array if there is no span
let previewed = []; // the last lines, shown until all before them have come
let preview = null; // of these, those that pass
let serial = 0;
export const counts = { total: 0, violations: 0, bySender: 0, letGo: 0 };
export const streams = new Map(); // by name: how many lines
export const processes = new Map();

// As `heroku logs` shows a customer's lines: packet by packet, without those that nobody sees.
let asCustomer = false;
export const isAsCustomer = () => asCustomer;

// Called with a long line whose packets are not known; what sets its `y` calls `refilter` afterwards.
let onLong = () => {};
export function onLongLine(call) { onLong = call; }

export const kept = () => all;
export const matches = () => matching;
export const shown = () => preview ?? inSpan;

const within = (line, span) => span === null || (line.at >= span.from && line.at < span.to);

// Takes new lines of a run of the receiver; returns whether older ones were let go.
export function add(items, run) {
  const { test } = scope.current();
  const span = scope.spanned();
  for (const item of items) {
    serial += 1;
    const line = new Line(item, run, serial);
    keep(line);
    if (test(line)) put(line, span);
  }
  if (all.length <= KEPT) return false;
  const surplus = all.length - KEPT * 3 / 4;
  counts.letGo += surplus;
  all = all.slice(surplus);
  refilter();
  return true;
}

function keep(line) {
  counts.total += 1;
  counts.violations += line.w;
  for (const [kind, name, value] of line.m ?? []) if (kind === "count" && name === "logplex_handler.dropped") counts.bySender += value;
  // The order in which names came, not in which they are drawn, decides on their colours, so that a reload keeps them.
  if (!streams.has(line.s)) hueOf("stream", line.s);
  if (!processes.has(line.p)) hueOf("process", line.p);
  streams.set(line.s, (streams.get(line.s) ?? 0) + 1);
  processes.set(line.p, (processes.get(line.p) ?? 0) + 1);
  all.push(line);
}

function put(line, span) {
  for (const one of asCustomer ? packetsOf(line) : [line]) {
    matching.push(one);
    if (inSpan !== matching && within(one, span)) inSpan.push(one);
  }
}

// The packets of a line as lines; they have the line's number, and numbers between it and the next.
function packetsOf(line) {
  if (line.h) return [];
  if (!line.y) { if (line.k) onLong(line); return [line]; }
  return line.y.map((text, index) => ({ ...line, x: text, l: text.toLowerCase(), i: line.i + index / line.y.length }));
}

export function refilter() {
  if (preview) filterPreview();
  const { test } = scope.current();
  const span = scope.spanned();
  matching = [];
  inSpan = span === null ? matching : [];
  if (asCustomer || span !== null) for (const line of all) { if (test(line)) put(line, span); }
  else for (const line of all) { if (test(line)) matching.push(line); }
}

// Shows these lines, with small numbers of their own, until `endPreview`.
export function startPreview(items, run) {
  previewed = items.map((item, index) => new Line(item, run, index - items.length));
  filterPreview();
}

export function endPreview() {
  previewed = [];
  preview = null;
  assign("stream", streams.keys());
  assign("process", processes.keys());
}

function filterPreview() {
  const { test } = scope.current();
  const span = scope.spanned();
  preview = previewed.filter((line) => test(line) && within(line, span));
}

export function viewAsCustomer(wanted) { asCustomer = wanted; refilter(); }

// Forgets all lines; the function that it returns brings them back, before those that came since.
export function setAside() {
  const before = all;
  const letGo = counts.letGo;
  forget();
  return () => {
    const since = all;
    forget();
    counts.letGo = letGo;
    for (const line of [...before, ...since]) keep(line);
    refilter();
  };
}

function forget() {
  all = [];
  for (const name of Object.keys(counts)) counts[name] = 0;
  streams.clear();
  processes.clear();
  refilter();
}

// The index of the line with this serial number, or of the next one after it.
export function indexOf(serialNumber) {
  let low = 0;
  const found = shown();
  for (let high = found.length; low < high;) {
    const middle = (low + high) >> 1;
    if (found[middle].i < serialNumber) low = middle + 1; else high = middle;
  }
  return low;
}

export const isShown = (line) => shown()[indexOf(line.i)]?.i === line.i;
// Errors and lines with violations are what one jumps to.
export const isTrouble = (line) => line.v <= 3 || line.w > 0;
