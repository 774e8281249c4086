// What the receiver sends: its run, marks, and new items, which wait here while the page is paused.

import { counted, find, grouped } from "./dom.js";
import { say } from "./notices.js";

const MOST_WAITING = 200_000; // items; the page keeps no more either

const status = find("#status");
let run = null;
let waiting = null; // what came since the page was paused, or null
let letGo = 0; // of those that wait
let missed = 0;
const calls = { items: () => {}, restart: () => {}, forget: () => {} };

export const currentRun = () => run;
// `items(items, run)` for new items; `restart()` if the receiver was started again; `forget()` if items were cleared.
export function on(given) { Object.assign(calls, given); }

export function connect() {
  const source = new EventSource("/api/events");
  source.addEventListener("open", () => { status.textContent = "live"; status.className = "status live"; });
  source.addEventListener("error", () => {
    // The browser reconnects by itself, unless the server refused because too many pages are open.
    const refused = source.readyState === EventSource.CLOSED;
    status.textContent = refused ? "refused: close other pages and reload" : "receiver is gone, trying again";
    status.className = "status lost";
  });
  source.addEventListener("run", (event) => {
    const data = JSON.parse(event.data);
    const now = data.run ?? data;
    // A restarted receiver numbers its items from the start.
    if (run !== null && run !== now) { release(); calls.restart(); }
    run = now;
  });
  source.addEventListener("mark", (event) => { if (JSON.parse(event.data).forget) calls.forget(); });
  source.addEventListener("message", (event) => {
    const data = JSON.parse(event.data);
    tellMissed(data.missed?.lines ?? data.missed);
    if (waiting === null) calls.items(data.items, run);
    else hold(data.items);
  });
}

function tellMissed(count) {
  if (!count) return;
  missed += count;
  say("missed", `${counted(missed, "older item")} came before this page could show them, and the receiver no longer keeps them.`);
}

function hold(items) {
  waiting.push(...items);
  if (waiting.length > MOST_WAITING) {
    const surplus = waiting.length - MOST_WAITING * 3 / 4;
    waiting.splice(0, surplus);
    letGo += surplus;
  }
  drawPause();
}

function release() {
  const items = waiting ?? [];
  waiting = null;
  if (items.length) calls.items(items, run);
  if (letGo) say("let-go", `${grouped(letGo)} items that came during the pause were too many, and are not here.`);
  letGo = 0;
  drawPause();
}

export function togglePause() {
  if (waiting !== null) release();
  else { waiting = []; drawPause(); }
}

function drawPause() {
  const button = find("#pause");
  button.setAttribute("aria-pressed", String(waiting !== null));
  const count = waiting?.filter((item) => !item.q).length;
  const text = waiting === null ? "Pause" : count ? `Paused · ${grouped(count)} waiting` : "Paused";
  if (button.textContent !== text) button.textContent = text;
}
