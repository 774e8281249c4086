// Draws metrics as a consumer would: measure as percentiles, sample as its last value, count as a sum,
// each by time step and source.

import { find, offer } from "./dom.js";
import { bucket, card, colourOf, widthIn, withUnit } from "./plot.js";

const KEPT = 3600; // seconds
const MOST_PLOTS = 60; // that are drawn; a filter finds the others
const MOST_SOURCES = 12; // in one plot
const PERCENTILES = [["p99", 0.99, "var(--high)"], ["p95", 0.95, "var(--mid)"], ["p50", 0.5, "var(--low)"]];

// By kind, name and unit: {kind, name, unit, sources: Map(source → Map(second → [values]))}.
const known = new Map();
let newest = 0;
let changed = false;
export const count = () => known.size;

export function add(line) {
  const second = Math.floor(Date.parse(line.t) / 1000);
  if (!Number.isFinite(second)) return;
  // A line with a wrong clock moves the plots until the next line comes.
  newest = Math.abs(second - newest) > KEPT ? second : Math.max(newest, second);
  for (const [kind, name, value, unit, source] of line.m) {
    const id = `${kind}#${name} ${unit}`;
    if (!known.has(id)) known.set(id, { kind, name, unit, sources: new Map() });
    const { sources } = known.get(id);
    if (!sources.has(source)) { sources.set(source, new Map()); offer(find("#source"), source); }
    const bySecond = sources.get(source);
    if (bySecond.has(second)) bySecond.get(second).push(value);
    else bySecond.set(second, [value]);
    if (bySecond.size > KEPT * 1.5) for (const old of bySecond.keys()) if (old < newest - KEPT) bySecond.delete(old);
  }
  changed = true;
}

export function clear() { known.clear(); newest = 0; changed = true; }

// The nearest rank: the value below which this share of the values lies.
export function percentile(sorted, share) {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

function gathered(bySecond, from, to, step) {
  const found = new Map();
  for (const [second, values] of bySecond) {
    const start = Math.floor(second / step) * step;
    if (start < from || start > to) continue;
    const there = found.get(start);
    if (there) for (const value of values) there.push(value);
    else found.set(start, [...values]);
  }
  return found;
}

const mapped = (values, what) => new Map([...values].sort((a, b) => a[0] - b[0]).map(([second, list]) => [second, what(list)]));

export function draw(force) {
  if (!changed && !force) return;
  changed = false;
  const range = Number(find("#range").value);
  const wanted = find("#source").value;
  const text = find("#metric-name").value.toLowerCase();
  const place = find("#plots");
  const open = new Set([...place.querySelectorAll("details[open]")].map((one) => one.closest("article").dataset.metric));
  let oldest = newest;
  for (const metric of known.values()) for (const values of metric.sources.values()) for (const second of values.keys()) if (second < oldest && second >= newest - range) oldest = second;
  const step = bucket(Math.max(20, Math.min(range, newest - oldest)));
  const to = Math.floor(newest / step) * step;
  const from = Math.floor(Math.max(newest - range, Math.min(oldest, newest - 20 * step)) / step) * step;
  const cards = [];
  const width = widthIn(place);
  let left = 0;
  const put = (metric, series, kind, title, suffix) => {
    const id = `${metric.kind}#${metric.name}${suffix}`;
    const all = series[0]?.points;
    const last = all?.size ? [...all.values()].at(-1) : null;
    cards.push(card({
      id, series, kind, from, to, step, width, unit: metric.unit, title, open: open.has(id),
      kindName: { measure: "measure", sample: "sample", count: step === 1 ? "count a second" : `count in ${step} s` }[metric.kind] + (metric.unit ? `, ${metric.unit}` : ""),
      now: series.length === 1 || metric.kind === "measure" ? (last === null ? "" : `${series[0].name && metric.kind === "measure" ? series[0].name + " " : ""}${withUnit(last, metric.unit)}`) : "",
    }));
  };
  const metrics = [...known.values()].filter((one) => one.name.toLowerCase().includes(text))
    .sort((a, b) => a.kind === b.kind ? (a.name < b.name ? -1 : 1) : ["measure", "sample", "count"].indexOf(a.kind) - ["measure", "sample", "count"].indexOf(b.kind));
  for (const metric of metrics) {
    const sources = [...metric.sources].filter(([source]) => !wanted || source === wanted).sort((a, b) => (a[0] < b[0] ? -1 : 1));
    if (!sources.length) continue;
    if (cards.length >= MOST_PLOTS) { left += 1; continue; }
    if (metric.kind === "measure") {
      // One plot for each source, because a measure already has three lines.
      for (const [source, values] of sources) {
        if (cards.length >= MOST_PLOTS) break;
        const sorted = mapped(gathered(values, from, to, step), (list) => list.sort((a, b) => a - b));
        const series = PERCENTILES.map(([name, share, colour]) => ({ name, colour, points: mapped(sorted, (list) => percentile(list, share)) }));
        put(metric, series, "lines", metric.name + (source ? ` · ${source}` : ""), source ? `@${source}` : "");
      }
    } else {
      const what = metric.kind === "count" ? (list) => list.reduce((a, b) => a + b, 0) : (list) => list.at(-1);
      const series = sources.slice(0, MOST_SOURCES).map(([source, values], index) => ({
        name: source, colour: colourOf(index), points: mapped(gathered(values, from, to, step), what),
      }));
      put(metric, series, metric.kind === "count" ? "bars" : "lines", metric.name, "");
    }
  }
  place.replaceChildren(...cards);
  find("#more-metrics").hidden = left === 0;
  find("#more-metrics").textContent = `${left} more metrics are not drawn: filter by name or source.`;
  find("#no-metrics").hidden = known.size > 0;
}
