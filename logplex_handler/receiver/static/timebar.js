// The bar above the lines: how many there were when, by level, and where the violations are. A click goes
// there, a drag keeps to that span of time.

import { clockTime } from "./clock.js";
import { counted, find } from "./dom.js";
import * as lines from "./lines.js";
import * as list from "./list.js";
import * as scope from "./scope.js";

const NARROWEST = 5; // pixels of a column, with the gap
const FEWEST = 20; // columns
const canvas = find("#timebar");
const note = find("#timebar-note");
const DAY = 86400e3;
const STEPS = [100, 200, 500, 1e3, 2e3, 5e3, 10e3, 15e3, 30e3, 60e3, 120e3, 300e3, 600e3, 900e3, 1800e3, 3600e3, 7200e3, 21600e3, DAY];
// Lines whose clock is off by more than this many times the span of most lines are left out.
const FAR = 10;

let axis = null; // {from, step, pitch: pixels of a column, columns: [{usual, warnings, errors, violations}]}
let drag = null; // {from, to} in pixels
let drawnAt = 0;
let waiting = false;

// Draws at most four times a second, and after the lines.
export function draw() {
  if (waiting) return;
  waiting = true;
  setTimeout(() => requestAnimationFrame(() => { waiting = false; drawNow(); }), Math.max(50, drawnAt + 250 - performance.now()));
}

// The first and the last moment, of a sample without the tenth at either end; then of all that are not far from it.
function extent(all) {
  const sample = [];
  for (let index = 0; index < all.length; index += Math.ceil(all.length / 200)) if (Number.isFinite(all[index].at)) sample.push(all[index].at);
  if (!sample.length) return null;
  sample.sort((a, b) => a - b);
  const [low, high] = [sample[Math.floor(sample.length / 10)], sample[Math.floor(sample.length * 9 / 10)]];
  const most = FAR * (high - low) + 3_600_000;
  let from = Infinity;
  let to = -Infinity;
  for (const { at } of all) {
    if (at < low - most || at > high + most) continue;
    if (at < from) from = at;
    if (at > to) to = at;
  }
  return { from, to };
}

function gather(all, width) {
  const found = extent(all);
  if (!found) return null;
  const most = Math.max(FEWEST, Math.floor(width / NARROWEST));
  const step = STEPS.find((one) => (found.to - found.from) / one < most - 1) ?? Math.ceil((found.to - found.from) / most);
  const from = Math.floor(found.from / step) * step;
  const length = Math.max(FEWEST, Math.min(most, Math.floor((found.to - from) / step) + 1));
  const columns = Array.from({ length }, () => ({ usual: 0, warnings: 0, errors: 0, violations: 0 }));
  for (const { at, v, w } of all) {
    const column = columns[Math.floor((at - from) / step)];
    if (!column) continue;
    if (v <= 3) column.errors += 1; else if (v === 4) column.warnings += 1; else column.usual += 1;
    if (w) column.violations += 1;
  }
  return { from, step, pitch: width / length, columns };
}

const sum = ({ usual, warnings, errors }) => usual + warnings + errors;

function drawNow() {
  drawnAt = performance.now();
  // The end of a search draws it.
  if (lines.isSearching()) return;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width) return;
  const all = lines.matches();
  axis = gather(all, width);
  const ratio = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  if (!axis) { label(null); return; }
  const style = getComputedStyle(canvas);
  const colour = (name) => style.getPropertyValue(name);
  const highest = Math.max(...axis.columns.map(sum), 1);
  const room = height - 8; // under the marks of violations
  const span = selected();
  if (span) {
    context.fillStyle = colour("--chosen");
    context.fillRect(span.from, 0, Math.max(2, span.to - span.from), height);
  }
  axis.columns.forEach((column, index) => {
    let bottom = height;
    for (const [count, name, least] of [[column.usual, "--bar", 2], [column.warnings, "--bar-warning", 4], [column.errors, "--red", 4]]) {
      if (!count) continue;
      const tall = Math.max(least, count / highest * (room - 8));
      context.fillStyle = colour(name);
      context.fillRect(index * axis.pitch, bottom - tall, axis.pitch - 1, tall);
      bottom -= tall;
    }
    if (column.violations) {
      context.fillStyle = colour("--amber");
      context.fillRect(index * axis.pitch, 0, axis.pitch - 1, 4);
    }
  });
  label(all);
}

function label(all) {
  const span = scope.spanned();
  find("#span").hidden = span === null;
  if (span) find("#span-text").textContent = `${when(span.from, 1)} – ${when(span.to, 1)}`;
  canvas.setAttribute("aria-label", axis
    ? `${counted(all.length, "line")} from ${when(axis.from)} to ${when(endOf(axis))}` : "No lines");
  find("#time-from").textContent = axis ? when(axis.from) : "";
  find("#time-to").textContent = axis ? when(endOf(axis)) : "";
}

const endOf = ({ from, step, columns }) => from + columns.length * step;
// More than a day has each time of the clock twice.
const when = (moment, step = axis.step) => clockTime(moment, step, axis !== null && endOf(axis) - axis.from > DAY);
const timeAt = (pixel) => axis.from + Math.floor(pixel / axis.pitch) * axis.step;
const pixelAt = (moment) => (moment - axis.from) / axis.step * axis.pitch;

// The selected span in pixels.
function selected() {
  if (drag) return { from: Math.min(drag.from, drag.to), to: Math.max(drag.from, drag.to) };
  const span = scope.spanned();
  return span && { from: pixelAt(span.from), to: pixelAt(span.to) };
}

function hover(x) {
  const column = axis?.columns[Math.floor(x / axis.pitch)];
  note.hidden = !column;
  if (!column) return;
  const parts = [when(timeAt(x)), counted(sum(column), "line")];
  if (column.errors) parts.push(counted(column.errors, "error"));
  if (column.warnings) parts.push(counted(column.warnings, "warning"));
  if (column.violations) parts.push(`${column.violations} with violations`);
  note.textContent = parts.join(" · ");
  note.style.left = Math.min(Math.max(0, x - note.offsetWidth / 2), canvas.clientWidth - note.offsetWidth) + "px";
}

canvas.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || !axis) return;
  canvas.setPointerCapture(event.pointerId);
  drag = { from: event.offsetX, to: event.offsetX };
});
canvas.addEventListener("pointermove", (event) => {
  hover(event.offsetX);
  if (!drag) return;
  drag.to = event.offsetX;
  requestAnimationFrame(drawNow);
});
canvas.addEventListener("pointerup", (event) => {
  if (!drag) return;
  const { from, to } = selected();
  drag = null;
  if (to - from < NARROWEST) list.toTime(timeAt(event.offsetX));
  else scope.change({ within: { from: timeAt(from), to: timeAt(to) + axis.step } });
  draw();
});
canvas.addEventListener("pointercancel", () => { drag = null; draw(); });
canvas.addEventListener("pointerleave", () => { note.hidden = true; });
find("#span-clear").addEventListener("click", () => scope.change({ within: null }));
new ResizeObserver(draw).observe(canvas);
