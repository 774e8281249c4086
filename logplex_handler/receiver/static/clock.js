// Times of lines: in UTC or in the time zone of the browser.

import { visible } from "./dom.js";

let local = false;
let firstDay = null;
export function useLocal(wanted) { local = wanted; firstDay = null; }

// The offset of the zone is asked for once in a quarter of an hour, because it may change with the season.
const offsets = new Map();
function shifted(moment) {
  if (!local) return moment;
  const quarter = Math.floor(moment / 900_000);
  if (!offsets.has(quarter)) offsets.set(quarter, new Date(moment).getTimezoneOffset() * 60_000);
  return moment - offsets.get(quarter);
}

const written = (moment) => new Date(shifted(moment)).toISOString();

// The time of a line, with the date if that is not the first line's; a time that cannot be read stays as it is.
export function timeOf(line) {
  if (!Number.isFinite(line.at)) return visible(line.t.slice(0, 23));
  const text = written(line.at);
  firstDay ??= text.slice(0, 10);
  return (text.startsWith(firstDay) ? "" : text.slice(5, 10) + " ") + text.slice(11, 23);
}

// A moment on the time bar, with as many digits as its step needs, and perhaps with its date.
export const clockTime = (moment, step = 1, dated = false) => written(moment).slice(dated ? 5 : 11, step < 1_000 ? 23 : 19).replace("T", " ");
export const zone = () => (local ? Intl.DateTimeFormat().resolvedOptions().timeZone : "UTC");
