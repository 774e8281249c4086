// Lines as text and as NDJSON, for the clipboard and for files.

import { make, visible } from "./dom.js";
import { LEVELS, pairsOf } from "./query.js";
import { customersPrefix } from "./row.js";
import * as lines from "./lines.js";

const NAMES = Object.fromEntries(["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"].map((name) => [LEVELS[name], name]));

// As `heroku logs` shows it, after the stream's name if there are several.
export const asText = (line) => `${lines.streams.size > 1 && !lines.isAsCustomer() ? line.s + " | " : ""}${customersPrefix(line)} ${line.x}\n`;

// The same for the clipboard, as the page shows it: without control characters, which a terminal could obey.
export const asShown = (line) => visible(asText(line).slice(0, -1)) + "\n";

const asJson = (line) => JSON.stringify({
  time: line.t, stream: line.s, app: line.a ?? "app", process: line.p, level: NAMES[line.v], text: line.x,
  pairs: Object.fromEntries([...pairsOf(line.x)].reverse()), violations: line.w ?? 0, shown: !line.h,
}) + "\n";

// What the list shows, as a file.
export function save(form) {
  lines.finish();
  const write = form === "text" ? asText : asJson;
  const type = form === "text" ? "text/plain" : "application/x-ndjson";
  const url = URL.createObjectURL(new Blob(lines.shown().map(write), { type }));
  const time = new Date().toISOString().slice(0, 19).replace(/:/g, "");
  make("a", { href: url, download: `lines-${time}.${form === "text" ? "log" : "ndjson"}` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

// Copies a text, and says so on the button for a moment.
export async function copy(text, button = null) {
  await navigator.clipboard.writeText(text);
  if (!button) return;
  const before = button.textContent;
  if (before === "copied") return;
  button.textContent = "copied";
  setTimeout(() => { button.textContent = before; }, 1_500);
}
