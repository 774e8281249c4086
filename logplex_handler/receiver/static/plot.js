// Plots over time, drawn by uPlot (vendor/uplot): lines or stacked bars, each on a card with its legend and its numbers.
// The pointer or the arrow keys read values; a click or Enter asks for the lines behind them; dragging chooses a span of time.

import { clockTime, zone } from "./clock.js";
import { colour } from "./colours.js";
import { exact, find, formatter, make, visible } from "./dom.js";

const HEIGHT = 180;
const MOST_BUCKETS = 90;
const POINT_SPACE = 12; // pixels between values that are all drawn as points
const JOINED = 3; // A line crosses a gap of up to so many of its usual intervals.
const WHOLE = [...Array(36).keys()].map((index) => [1, 2, 5][index % 3] * 10 ** Math.floor(index / 3)); // distances on an axis of counts
const tip = find("#tip");
const cards = new Set();

const plain = formatter({ maximumFractionDigits: 6, useGrouping: false }); // can be copied into a program
export const withUnit = (value, unit) => exact(value) + (unit ? ` ${visible(unit)}` : "");
const large = formatter({ maximumSignificantDigits: 3 });
export const bytes = (value) => value >= 1e6 ? large(value / 1e6) + " MB" : value >= 1e3 ? large(value / 1e3) + " kB" : value + " B";
export const clock = (second, long) => clockTime(second * 1000).slice(0, long ? 8 : 5);
const SPANS = { 1: "second", 60: "minute", 3600: "hour" };
export const span = (seconds) => SPANS[seconds] ?? (seconds % 60 === 0 ? `${seconds / 60} min` : `${seconds} s`);

// The seconds of a bucket. They depend on the span of time alone, so that a number keeps its meaning while lines come.
export function bucket(seconds) {
  return [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800].find((step) => seconds / step <= MOST_BUCKETS) ?? 3600;
}

// A canvas knows no variables.
const resolved = (colour) => colour.replace(/var\(([^)]*)\)/g, (_, name) => getComputedStyle(document.documentElement).getPropertyValue(name));

// The numbers on an axis, all with the digits that their distance needs.
function axisNumbers(splits, distance) {
  const [unit, name] = distance >= 1e9 ? [1e9, "G"] : distance >= 1e6 ? [1e6, "M"] : distance >= 1e3 && Math.max(...splits.map(Math.abs)) >= 1e4 ? [1e3, "k"] : [1, ""];
  return splits.map((value) => (value === null ? "" : exact(value / unit) + (value ? name : "")));
}

// The values by bucket for uPlot, which crosses what is undefined, and not what is null.
function joined(points, starts, step) {
  const present = starts.filter((start) => points.has(start));
  const intervals = present.slice(1).map((start, index) => start - present[index]).sort((a, b) => a - b);
  const longest = JOINED * Math.max(step, intervals[Math.floor(intervals.length / 2)] ?? step);
  let last = null;
  const values = starts.map((start) => points.get(start));
  starts.forEach((start, index) => {
    if (!points.has(start)) return;
    if (last !== null && start - starts[last] > longest) values.fill(null, last + 1, index);
    last = index;
  });
  return values;
}

export function card(id) {
  const dot = make("span", { class: "dot" }), title = make("h2"), kindName = make("span", { class: "kind" }), now = make("span", { class: "now" });
  const legend = make("div", { class: "legend" });
  const holder = make("div", { class: "plot", tabIndex: 0, role: "slider", "aria-valuemin": "0" });
  const head = make("tr"), body = make("tbody");
  const details = make("details", {}, make("summary", { textContent: "numbers" }),
    make("div", { tabIndex: 0, role: "region" }, make("table", {}, make("thead", {}, head), body)));
  const element = make("article", { class: "card", "data-metric": id }, make("header", {}, dot, title, kindName, now), legend, holder, details);
  const rows = new Map();
  let shown = null; // What `update` got.
  let starts = [];
  let drawn = null; // The uPlot, and what it was made for.
  let drawnFor = "";
  let place = null; // The bucket that the keyboard or the pointer is at, by its start, or null for the last one.

  const say = (target, text) => { if (target.textContent !== text) target.textContent = text; };
  const isOpen = (start) => start === shown.to && shown.unfinished;
  // The last series is drawn first: the first lies on top, and of a stack those below cover it.
  const order = () => shown.series.map((_, index) => shown.series.length - 1 - index);

  function data() {
    const middles = starts.map((start) => start + shown.step / 2);
    if (shown.kind !== "bars") return [middles, ...order().map((index) => joined(shown.series[index].points, starts, shown.step))];
    const below = starts.map(() => 0);
    const stacked = shown.series.map((one) => starts.map((start, index) => {
      const value = one.points.get(start);
      below[index] += value ?? 0;
      return value ? below[index] : null;
    }));
    return [middles, ...order().map((index) => stacked[index])];
  }

  function options() {
    const bars = shown.kind === "bars";
    return {
      width: Math.max(100, holder.clientWidth), height: HEIGHT, padding: [10, 26, 0, 0],
      legend: { show: false },
      cursor: { y: false, sync: { key: "time" }, drag: { x: true, y: false, setScale: false }, points: { show: !bars, size: 8 } },
      scales: {
        x: { range: () => [shown.from, shown.to + shown.step] },
        // Bars stand on zero; lines use the whole height, with zero if it is near.
        y: { range: (_, least, most) => bars ? [0, Math.max(1, most ?? 1) * 1.05] : uPlot.rangeNum(least ?? 0, most ?? 1, { min: { pad: .1, soft: 0, mode: 3 }, max: { pad: .1, soft: 0, mode: 3 } }) },
      },
      axes: [
        { stroke: () => resolved("var(--dim)"), grid: { show: false }, ticks: { stroke: () => resolved("var(--line)"), size: 4 }, size: 26, gap: 3, font: "11px system-ui, sans-serif", space: (_, __, ___, ____, width) => (width > 420 ? 76 : 54),
          values: (_, splits, __, ___, distance) => splits.map((second) => clock(second, distance < 60)) },
        { stroke: () => resolved("var(--dim)"), grid: { stroke: () => resolved("var(--line)"), width: 1 }, ticks: { show: false }, gap: 6, font: "11px system-ui, sans-serif", space: 32, ...((bars || shown.whole) && { incrs: WHOLE }),
          values: (_, splits, __, ___, distance) => axisNumbers(splits, distance),
          size: (_, values) => 14 + 6.6 * Math.max(2, ...(values ?? []).map((text) => text.length)) },
      ],
      series: [{}, ...order().map((index) => ({
        stroke: () => resolved(shown.series[index].colour), width: bars ? 0 : 2,
        fill: bars ? () => resolved(shown.series[index].colour) : undefined,
        paths: bars ? uPlot.paths.bars({ size: [.84, 26] }) : undefined,
        // Where the values are close to each other, only those without neighbours are drawn as points.
        points: { show: bars ? false : hasPoints, size: 6, fill: () => resolved(shown.series[index].colour) },
      }))],
      hooks: { draw: [shade], setSelect: [drag] },
    };
  }

  // What is not over yet is pale, because its number still changes; the chosen line's moment has a mark.
  function shade(plot) {
    const { ctx, bbox } = plot;
    const at = (second) => Math.round(plot.valToPos(second, "x", true));
    ctx.save();
    if (shown.unfinished) {
      ctx.globalAlpha = .62;
      ctx.fillStyle = resolved("var(--card)");
      ctx.fillRect(at(shown.to), bbox.top, bbox.left + bbox.width - at(shown.to), bbox.height);
    }
    if (shown.mark >= shown.from && shown.mark < shown.to + shown.step) {
      ctx.globalAlpha = 1;
      ctx.fillStyle = resolved("var(--accent)");
      ctx.fillRect(at(shown.mark) - devicePixelRatio, bbox.top, 2 * devicePixelRatio, bbox.height);
    }
    ctx.restore();
  }

  // uPlot finds the neighbours of gaps by itself, but not a value that is the only one.
  const hasPoints = (plot, number) => plot.bbox.width / devicePixelRatio >= (starts.length - 1) * POINT_SPACE
    || plot.data[number].filter((value) => value !== null && value !== undefined).length === 1;

  const placeIndex = () => { const index = place === null ? -1 : starts.indexOf(place); return index < 0 ? starts.length - 1 : index; };

  function words(index) {
    const start = starts[index];
    const values = shown.series.filter((one) => one.points.has(start))
      .map((one) => `${visible(one.name) || "value"}  ${withUnit(one.points.get(start), shown.unit)}`);
    const when = shown.step > 1 ? `${clock(start, true)} to ${clock(start + shown.step, true)}` : clock(start, true);
    return [when + (isOpen(start) ? ", not over yet" : ""), ...(values.length ? values : ["nothing"])];
  }

  function read() {
    const { idx, left, top } = drawn.cursor;
    if (idx !== null && idx !== undefined) showTip(drawn, idx, left, top);
  }

  function showTip(plot, index, left, top) {
    place = index === starts.length - 1 ? null : starts[index];
    const text = words(index);
    tip.textContent = text.join("\n");
    tip.hidden = false;
    const box = plot.over.getBoundingClientRect();
    tip.style.left = Math.max(8, Math.min(box.left + left + 14, innerWidth - tip.offsetWidth - 8)) + "px";
    tip.style.top = Math.max(8, box.top + Math.max(0, top) - tip.offsetHeight - 10) + "px";
    holder.setAttribute("aria-valuenow", String(index));
    holder.setAttribute("aria-valuetext", text.join(", "));
  }

  function hide() { tip.hidden = true; }

  function drag(plot) {
    const { left, width } = plot.select;
    if (width < 6) return;
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    dragged = true;
    const at = (pixel) => Math.floor((plot.posToVal(pixel, "x")) / shown.step) * shown.step;
    shown.choose?.(at(left), at(left + width) + shown.step);
  }
  let dragged = false;

  // The series at this height: the nearest line, or the part of the stack.
  function seriesAt(index, top) {
    const present = shown.series.map((one, number) => [number, one.points.get(starts[index])]).filter(([, value]) => value !== undefined && (shown.kind !== "bars" || value > 0));
    if (!present.length) return null;
    const wanted = drawn.posToVal(top, "y");
    if (shown.kind === "bars") {
      let below = 0;
      for (const [number, value] of present) { below += value; if (wanted <= below) return number; }
      return present.at(-1)[0];
    }
    return present.sort((a, b) => Math.abs(a[1] - wanted) - Math.abs(b[1] - wanted))[0][0];
  }

  function ask(index, top) {
    const series = index === null ? null : seriesAt(index, top);
    if (series !== null && shown.pick) { hide(); shown.pick(series, starts[index], starts[index] + shown.step); }
  }

  holder.addEventListener("pointerleave", hide);
  holder.addEventListener("blur", hide);
  holder.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };
    if (event.ctrlKey || event.metaKey || event.altKey || !drawn) return;
    if (event.key in steps) {
      event.preventDefault();
      const index = Math.min(starts.length - 1, Math.max(0, placeIndex() + steps[event.key]));
      drawn.setCursor({ left: drawn.valToPos(starts[index] + shown.step / 2, "x"), top: 20 });
      showTip(drawn, index, drawn.cursor.left, 20);
    } else if (event.key === "Enter") ask(placeIndex(), 0);
    else if (event.key === "Escape") hide();
  });

  function draw() {
    if (!shown || !holder.clientWidth || !globalThis.uPlot) return;
    const wanted = JSON.stringify([shown.kind, shown.series.map((one) => one.colour)]);
    if (wanted === drawnFor) { drawn.setData(data()); return; }
    drawn?.destroy();
    drawnFor = wanted;
    drawn = new uPlot(options(), data(), holder);
    drawn.over.addEventListener("mousemove", read);
    drawn.over.addEventListener("pointerdown", () => { dragged = false; });
    drawn.over.addEventListener("click", () => { if (!dragged) ask(drawn.cursor.idx ?? null, drawn.cursor.top); });
  }

  function table() {
    if (!details.open) return;
    const names = [zone(), ...shown.series.map((one) => visible(one.name) || "value")];
    if (head.children.length !== names.length || names.some((name, index) => head.children[index].textContent !== name)) {
      head.replaceChildren(...names.map((name) => make("th", { scope: "col", textContent: name })));
      body.replaceChildren();
      rows.clear();
    }
    const present = new Set(starts.filter((start) => shown.series.some((one) => one.points.has(start))));
    for (const [start, row] of rows) if (!present.has(start)) { row.remove(); rows.delete(start); }
    let next = null;
    for (const start of present) {
      if (!rows.has(start)) rows.set(start, make("tr", {}, make("td", { textContent: clock(start, true) }), ...shown.series.map(() => make("td"))));
      const row = rows.get(start);
      shown.series.forEach((one, index) => say(row.children[index + 1], one.points.has(start) ? plain(one.points.get(start)) : ""));
      if (row.nextSibling !== next || !row.parentNode) body.insertBefore(row, next);
      next = row;
    }
  }
  details.addEventListener("toggle", () => { if (shown) table(); });

  // `series`: [{name, colour (as in CSS), points: Map(start of a bucket → value)}]; `stream`: whose colour the title has, if any; `from`, `to`: the first and the last bucket; `step`: seconds.
  // With `whole`, the axis has whole numbers only.
  // `pick(series, from, to)` is called when somebody asks for the lines of a bucket, and `choose(from, to)` after a drag.
  function update(what) {
    shown = what;
    starts = [];
    for (let start = shown.from; start <= shown.to; start += shown.step) starts.push(start);
    say(title, visible(shown.title));
    title.title = visible(shown.title);
    dot.hidden = !shown.stream;
    if (shown.stream) colour(dot, "stream", shown.stream);
    say(kindName, shown.kindName);
    say(now, shown.now);
    const names = shown.series.map((one) => one.colour + visible(one.name)).join("\n") + (shown.left ?? 0);
    if (legend.dataset.names !== names) {
      legend.dataset.names = names;
      legend.replaceChildren(...shown.series.map((one) => {
        const swatch = make("i");
        swatch.style.background = one.colour;
        return make("span", {}, swatch, visible(one.name) || "no source");
      }), ...(shown.left ? [make("span", { class: "left", textContent: `${shown.left} more are not drawn: choose one above` })] : []));
    }
    holder.setAttribute("aria-label", `${shown.kindName} ${visible(shown.title)}`);
    details.lastChild.setAttribute("aria-label", `numbers of ${visible(shown.title)}`);
    holder.setAttribute("aria-valuemax", String(starts.length - 1));
    holder.setAttribute("aria-valuenow", String(placeIndex()));
    holder.setAttribute("aria-valuetext", words(placeIndex()).join(", "));
    draw();
    table();
  }

  new ResizeObserver(() => { if (drawn && holder.clientWidth) drawn.setSize({ width: holder.clientWidth, height: HEIGHT }); else draw(); }).observe(holder);
  const one = { element, update, redraw() { drawnFor = ""; draw(); }, remove() { drawn?.destroy(); cards.delete(one); element.remove(); } };
  cards.add(one);
  return one;
}

// The lines do not wait for uPlot, which takes as long to start as all of the page.
export function load() {
  const script = make("script", { src: "/static/vendor/uplot/uPlot.iife.min.js" });
  script.addEventListener("load", () => { for (const one of cards) one.redraw(); });
  document.head.append(script);
}

// Colours of a canvas do not follow the theme by themselves.
new MutationObserver(() => { for (const one of cards) one.redraw(); }).observe(document.documentElement, { attributeFilter: ["data-theme"] });

// Shows these cards, [id, what for `update`], in this order, and leaves the elements that are there in their places.
export function arrange(place, kept, wanted) {
  for (const [id, one] of kept) if (!wanted.some(([other]) => other === id)) { one.remove(); kept.delete(id); }
  wanted.forEach(([id, what], index) => {
    if (!kept.has(id)) kept.set(id, card(what.name));
    const { element, update } = kept.get(id);
    if (place.children[index] !== element) place.insertBefore(element, place.children[index] ?? null);
    update(what);
  });
}
