// A plot over time in SVG: lines or stacked bars, with a description of the point under the pointer.

import { find, make, visible } from "./dom.js";

const NS = "http://www.w3.org/2000/svg";
const HEIGHT = 180, LEFT = 46, RIGHT = 8, TOP = 10, BOTTOM = 22;
const tip = find("#tip");

function draw(parent, tag, attributes, text) {
  const element = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

// The steps of an axis: 1, 2 or 5 times a power of ten.
function steps(most) {
  if (!(most > 0)) return [0, 1];
  const rough = most / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((times) => times * power >= rough) * power;
  const values = [];
  for (let value = 0; value < most + step; value += step) values.push(value);
  return values;
}

// As it was sent, for reading; `short` is for an axis, whose numbers are round.
const exact = new Intl.NumberFormat("en-US", { maximumFractionDigits: 6 });
export const withUnit = (value, unit) => exact.format(value) + (unit ? ` ${visible(unit)}` : "");
const short = (value) =>
  value >= 1e6 ? +(value / 1e6).toPrecision(3) + "M" : value >= 1e4 ? +(value / 1e3).toPrecision(3) + "k"
    : String(+value.toPrecision(3));
export const bytes = (value) => value >= 1e6 ? +(value / 1e6).toPrecision(3) + " MB" : value >= 1e3 ? +(value / 1e3).toPrecision(3) + " kB" : value + " B";
export const clock = (second, long) => new Date(second * 1000).toISOString().slice(11, long ? 19 : 16);

// `series`: [{name, colour, points: Map(second → value)}]; `from`, `to`, `step`: seconds.
export function plot({ series, kind, unit, from, to, step, label, width: WIDTH }) {
  const svg = document.createElementNS(NS, "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("class", "plot");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  const seconds = [];
  for (let second = from; second <= to; second += step) seconds.push(second);
  const stacked = kind === "bars";
  const total = (second) => series.reduce((sum, one) => sum + (one.points.get(second) ?? 0), 0);
  const most = Math.max(0, ...seconds.flatMap((second) =>
    stacked ? [total(second)] : series.map((one) => one.points.get(second) ?? 0)));
  const levels = steps(most);
  const top = levels.at(-1);
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
  const slot = (WIDTH - LEFT - RIGHT) / seconds.length;
  const x = (second) => LEFT + slot * ((second - from) / step + 0.5);

  for (const level of levels) {
    draw(svg, "line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(level), y2: y(level) });
    draw(svg, "text", { x: LEFT - 7, y: y(level) + 4, "text-anchor": "end" }, short(level));
  }
  const every = Math.max(1, Math.ceil(seconds.length / 5));
  seconds.forEach((second, index) => {
    if (index % every === 0) {
      const atEnd = WIDTH - x(second) < 30;
      draw(svg, "text", { x: atEnd ? WIDTH - 2 : x(second), y: HEIGHT - 6, "text-anchor": atEnd ? "end" : "middle" }, clock(second, to - from < 600));
    }
  });

  if (stacked) {
    const width = Math.max(1.5, Math.min(26, slot - 2));
    for (const second of seconds) {
      let below = 0;
      for (const one of series) {
        const value = one.points.get(second) ?? 0;
        if (!value) continue;
        draw(svg, "rect", {
          x: x(second) - width / 2, y: y(below + value), width, fill: one.colour,
          height: Math.max(1, y(below) - y(below + value)), rx: Math.min(2, width / 4),
        });
        below += value;
      }
    }
  } else {
    for (const one of series) {
      // A line crosses buckets without a value only if there are few of them.
      const parts = [];
      let last = -Infinity;
      for (const second of seconds) {
        if (!one.points.has(second)) continue;
        const joined = second - last <= step * 3;
        parts.push(`${joined ? "L" : "M"}${x(second).toFixed(1)} ${y(one.points.get(second)).toFixed(1)}`);
        last = second;
      }
      draw(svg, "path", { d: parts.join(""), stroke: one.colour });
      if (one.points.size <= 40) {
        for (const [second, value] of one.points) {
          if (second >= from && second <= to) {
            draw(svg, "circle", { class: "dot", cx: x(second), cy: y(value), r: 3, fill: one.colour });
          }
        }
      }
    }
  }

  const cross = draw(svg, "line", { class: "cross", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" });
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width * WIDTH - LEFT) / slot;
    const second = seconds[Math.min(seconds.length - 1, Math.max(0, Math.floor(at)))];
    cross.setAttribute("x1", x(second));
    cross.setAttribute("x2", x(second));
    cross.setAttribute("visibility", "visible");
    const words = series.filter((one) => one.points.has(second))
      .map((one) => `${visible(one.name) || "value"}  ${withUnit(one.points.get(second), unit)}`);
    tip.textContent = [clock(second, true), ...(words.length ? words : ["nothing"])].join("\n");
    tip.hidden = false;
    tip.style.left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8) + "px";
    tip.style.top = Math.max(8, event.clientY - tip.offsetHeight - 10) + "px";
  });
  svg.addEventListener("pointerleave", () => { tip.hidden = true; cross.setAttribute("visibility", "hidden"); });
  return svg;
}

// A plot with its name, its legend, and its numbers as a table.
export function card({ title, kindName, now, id, open, ...rest }) {
  const legend = make("div", { class: "legend" }, ...rest.series.map((one) => {
    const swatch = make("i");
    swatch.style.background = one.colour;
    return make("span", {}, swatch, visible(one.name) || "no source");
  }));
  const seconds = [...new Set(rest.series.flatMap((one) => [...one.points.keys()]))]
    .filter((second) => second >= rest.from && second <= rest.to).sort((a, b) => b - a);
  const rows = seconds.map((second) => make("tr", {}, make("td", { textContent: clock(second, true) }),
    ...rest.series.map((one) => make("td", { textContent: one.points.has(second) ? String(+one.points.get(second).toFixed(6)) : "" }))));
  const head = make("tr", {}, make("th", { textContent: "UTC" }), ...rest.series.map((one) => make("th", { textContent: visible(one.name) || "value" })));
  const details = make("details", { open }, make("summary", { textContent: "numbers" }),
    make("div", {}, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows))));
  return make("article", { class: "card", "data-metric": id },
    make("header", {}, make("h3", { textContent: visible(title), title: visible(title) }), make("span", { class: "kind", textContent: kindName }),
      make("span", { class: "now", textContent: now })),
    legend, plot({ ...rest, label: `${kindName} ${title}` }), details);
}

// The width of a plot in a grid of cards: as in style.css, a card has at least 420 pixels, with gaps of 14.
export function widthIn(grid) {
  const columns = Math.max(1, Math.floor((grid.clientWidth + 14) / (420 + 14)));
  return Math.max(240, (grid.clientWidth - 14 * (columns - 1)) / columns - 30);
}

// The seconds of a bucket, so that a plot has at most sixty buckets.
export function bucket(span) {
  return [1, 2, 5, 10, 15, 30, 60, 120, 300, 600].find((step) => span / step <= 60) ?? 3600;
}

export const colourOf = (index) => `var(--s${index % 6})`;
