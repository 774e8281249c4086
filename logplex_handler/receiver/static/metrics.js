// Draws metrics as a consumer would: measure as percentiles, sample as its last value, count as a sum,
// each by time step, stream and source.

import { shadeOf } from "./colours.js";
import { counted, find, offer } from "./dom.js";
import { arrange, bucket, clock, span, withUnit } from "./plot.js";
import * as scope from "./scope.js";

const KEPT = 3600; // seconds
const COLOURS = 12; // The most series of a plot.
const MOST_PLOTS = 60; // that are drawn; a filter finds the others
const TRIMMED = 10_000; // values of an origin, from which on old ones are forgotten
const LEAST_BUCKETS = 20; // that an axis shows
const PERCENTILES = [["p99", 0.99, "var(--high)"], ["p95", 0.95, "var(--mid)"], ["p50", 0.5, "var(--low)"]];
const KINDS = ["measure", "sample", "count"];

// By kind, name and unit: {kind, name, unit, origins: Map(stream and source → origin)}. An origin is
// {stream, source, times, values, lines, trimAt}: the seconds of its values, the values, and the numbers of the lines that sent them.
const known = new Map();
const streams = new Set();
const kept = new Map(); // The cards.
let newest = 0;
let changed = false;
let lines = { want() {}, chosenTime: () => NaN };
export const count = () => known.size;

// `want(number)` chooses a line; `chosenTime()` is the chosen line's, in seconds, or NaN.
export const connect = (calls) => { lines = calls; };

export function add(line) {
  const second = Math.floor(Date.parse(line.t) / 1000);
  if (!Number.isFinite(second)) return;
  // A line with a wrong clock moves the plots until the next line comes.
  newest = Math.abs(second - newest) > KEPT ? second : Math.max(newest, second);
  streams.add(line.s);
  for (const [kind, name, value, unit, source] of line.m) {
    const id = `${kind}#${name} ${unit}`;
    let metric = known.get(id);
    if (!metric) known.set(id, metric = { kind, name, unit, origins: new Map() });
    const key = `${line.s}\n${source}`;
    let origin = metric.origins.get(key);
    if (!origin) {
      metric.origins.set(key, origin = { stream: line.s, source, times: [], values: [], lines: [], trimAt: TRIMMED });
      offer(find("#source"), source);
    }
    origin.times.push(second);
    origin.values.push(value);
    origin.lines.push(line.n);
    if (origin.times.length > origin.trimAt) trim(origin);
  }
  changed = true;
}

// Forgets values that are too old to be drawn.
function trim(origin) {
  const stays = origin.times.map((second) => second >= newest - KEPT);
  for (const name of ["times", "values", "lines"]) origin[name] = origin[name].filter((_, index) => stays[index]);
  origin.trimAt = Math.max(TRIMMED, 2 * origin.times.length);
}

export function clear() { known.clear(); streams.clear(); newest = 0; changed = true; }

// The nearest rank: the value below which this share of the values lies.
export function percentile(sorted, share) {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

// The values of each bucket, by its start, in the order they came.
function gathered({ times, values }, from, to, step) {
  const found = new Map();
  for (let index = 0; index < times.length; index += 1) {
    const start = Math.floor(times[index] / step) * step;
    if (start < from || start > to) continue;
    const there = found.get(start);
    if (there) there.push(values[index]);
    else found.set(start, [values[index]]);
  }
  return found;
}

const mapped = (lists, what) => new Map([...lists].map(([start, list]) => [start, what(list)]));

// Draws the time around this moment (seconds), unless it is drawn anyway.
export function bringIntoView(moment) {
  const { from, to, step } = drawnSpan();
  const half = Number(find("#range").value) / 2;
  if (moment < from || moment >= to + step) choose(Math.floor(moment - half), Math.ceil(moment + half));
}

// The span of time that is drawn: the one that is chosen, or the last minutes.
function drawnSpan() {
  const chosen = scope.spanned();
  if (chosen) {
    const [first, end] = [chosen.from / 1000, chosen.to / 1000];
    const step = bucket(end - first);
    return { from: Math.floor(first / step) * step, to: (Math.ceil(end / step) - 1) * step, step };
  }
  const range = Number(find("#range").value);
  const step = bucket(range);
  let oldest = newest;
  for (const { origins } of known.values()) for (const { times } of origins.values()) for (const second of times) if (second < oldest && second >= newest - range) oldest = second;
  const first = Math.max(newest - range, Math.min(oldest, newest - LEAST_BUCKETS * step));
  return { from: Math.floor(first / step) * step, to: Math.floor(newest / step) * step, step };
}

const labelOf = ({ stream, source }) => [streams.size > 1 ? stream : "", source].filter(Boolean).join(" · ");

// A stream has the colour that it has in the lines, and its sources have shades of it. The sources of a single stream have colours of their own.
function colour(origin, all) {
  if (streams.size < 2) return shadeOf("source", origin.source);
  return shadeOf("stream", origin.stream, all.filter(({ stream }) => stream === origin.stream).indexOf(origin));
}

// Shows the lines with this metric in a bucket, and chooses the last one with this value, or the last one.
function showLines(metric, origin, from, to, wanted) {
  const terms = [scope.keyTerm(`${metric.kind}#${metric.name}`)];
  if (origin.source) terms.push(scope.pairTerm("source", origin.source));
  if (streams.size > 1) terms.push(scope.pairTerm("stream", origin.stream));
  const found = [];
  origin.times.forEach((second, index) => {
    if (second >= from && second < to && (wanted === null || origin.values[index] === wanted)) found.push(origin.lines[index]);
  });
  scope.change({ text: terms.join(" "), within: { from: from * 1000, to: to * 1000 }, opens: true });
  if (found.length) lines.want(found.at(-1));
}

const choose = (from, to) => scope.change({ within: { from: from * 1000, to: to * 1000 } });

find("#all-times").addEventListener("click", () => scope.change({ within: null }));
find("#range").addEventListener("input", () => { if (scope.spanned()) scope.change({ within: null }); });

export function draw(force) {
  if (!changed && !force) return;
  const { from, to, step } = drawnSpan();
  // A bucket is over when later lines have come, or, if the clocks agree, when its time is over.
  const sinceNewest = Date.now() / 1000 - newest;
  const unfinished = newest < to + step && !(sinceNewest < KEPT && newest + sinceNewest >= to + step);
  changed = unfinished;
  const source = find("#source").value;
  const text = find("#metric-name").value.toLowerCase();
  const wanted = [];
  let left = 0;
  const together = find("#percentile").value;
  const each = { measure: together || "percentiles", sample: "last", count: "sum" };
  const put = (metric, origins, series, suffix, rest) => {
    if (wanted.length >= MOST_PLOTS) { left += 1; return; }
    const points = series[0]?.points ?? new Map();
    const finished = [...points.keys()].filter((start) => !unfinished || start < to || points.size === 1);
    const last = finished.length ? points.get(Math.max(...finished)) : null;
    const sum = metric.kind === "count" ? series.flatMap((one) => [...one.points.values()]).reduce((a, b) => a + b, 0) : null;
    const shown = sum !== null ? `${withUnit(sum, metric.unit)} in all` : last === null || origins.length > 1 ? "" : (metric.kind === "measure" ? `${together || "p99"} ` : "") + withUnit(last, metric.unit);
    wanted.push([JSON.stringify([metric.kind, metric.name, metric.unit, suffix]), {
      choose,
      pick(index, start, end) {
        showLines(metric, origins[index] ?? origins[0], start, end, metric.kind === "measure" ? series[index].points.get(start) : null);
      },
      name: `${metric.kind}#${metric.name}${suffix}`, series, kind: metric.kind === "count" ? "bars" : "lines", from, to, step, unfinished, mark: lines.chosenTime(), unit: metric.unit,
      kindName: `${metric.kind}${metric.unit ? `, ${metric.unit}` : ""}: ${each[metric.kind]} of every ${span(step)}`, now: shown, ...rest,
    }]);
  };
  const metrics = [...known.values()].filter((one) => one.name.toLowerCase().includes(text))
    .sort((a, b) => a.kind === b.kind ? (a.name < b.name ? -1 : 1) : KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind));
  for (const metric of metrics) {
    const origins = [...metric.origins.values()].filter((one) => (!source || one.source === source) && scope.showsStream(one.stream))
      .sort((a, b) => (labelOf(a) < labelOf(b) ? -1 : 1));
    if (!origins.length) continue;
    if (metric.kind === "measure" && !together) {
      // One plot for each origin, because a measure already has three lines.
      for (const origin of origins) {
        const sorted = mapped(gathered(origin, from, to, step), (list) => Float64Array.from(list).sort());
        const series = PERCENTILES.map(([name, share, shade]) => ({ name, colour: shade, points: mapped(sorted, (list) => percentile(list, share)) }));
        const label = labelOf(origin);
        put(metric, [origin], series, label ? `@${label}` : "", { title: metric.name + (label ? ` · ${label}` : ""), stream: streams.size > 1 ? origin.stream : "" });
      }
    } else {
      const share = PERCENTILES.find(([name]) => name === together)?.[1];
      const what = metric.kind === "measure" ? (list) => percentile(Float64Array.from(list).sort(), share) : metric.kind === "count" ? (list) => list.reduce((a, b) => a + b, 0) : (list) => list.at(-1);
      // More than there are colours could not be told apart: those with most values remain.
      const drawn = new Set([...origins].sort((a, b) => b.values.length - a.values.length).slice(0, COLOURS));
      const these = origins.filter((one) => drawn.has(one));
      const series = these.map((origin) => ({
        name: labelOf(origin), colour: colour(origin, these), points: mapped(gathered(origin, from, to, step), what),
      }));
      put(metric, these, series, "", { title: metric.name, left: origins.length - these.length });
    }
  }
  arrange(find("#plots"), kept, wanted);
  const chosen = scope.spanned();
  find("#all-times").hidden = chosen === null;
  if (chosen) find("#all-times span").textContent = `${clock(chosen.from / 1000, true)} to ${clock(chosen.to / 1000, true)}`;
  find("#more-metrics").hidden = left === 0;
  find("#more-metrics").textContent = `${counted(left, "more metric")} ${left === 1 ? "is" : "are"} not drawn: filter by name, source or stream.`;
  find("#no-metrics").hidden = known.size > 0;
}
