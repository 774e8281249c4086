// What the receiver sends: its run, marks, and new items, which wait here while the page is paused.

import { counted, find, grouped, make } from "./dom.js";
import { say } from "./notices.js";

const MOST_WAITING = 200_000; // items; the page keeps no more either

const status = find("#status");
let run = null;
let waiting = null; // what came since the page was paused, or null
let letGo = 0; // of those that wait
const missed = { lines: 0, requests: 0 };
let backlog = null; // messages to be taken yet, while the last lines are shown already; or null
const calls = { items: () => {}, restart: () => {}, forget: () => {}, undoable: () => {}, preview: () => {}, loaded: () => {} };

export const currentRun = () => run;
// `items(items, run)` for new items; `restart()` if the receiver was started again; `forget(canUndo)` if items were
// cleared or brought back; `undoable(canUndo)` if they were before this page was opened; `preview(items, run)` for the last lines, which come again; `loaded()` when they have come.
export function on(given) { Object.assign(calls, given); }

// The first message stands in the page itself, or of many items the last lines, which come again. All else comes once those are on the screen.
export async function start() {
  const first = JSON.parse(find("#first").textContent);
  run = first.run;
  if (first.message) take(first.message);
  else {
    backlog = [];
    calls.preview(first.lines, run);
  }
  await frame();
  await frame();
  connect(first.id);
}

function connect(seen = "") {
  const source = new EventSource("/api/events?seen=" + seen);
  source.addEventListener("open", () => { status.textContent = backlog ? "loading" : "live"; status.className = "status live"; });
  source.addEventListener("error", () => {
    // The browser reconnects by itself, unless the server refused because too many pages are open.
    const refused = source.readyState === EventSource.CLOSED;
    status.textContent = refused ? "refused: close other pages and reload" : "receiver is gone, trying again";
    status.className = "status lost";
  });
  source.addEventListener("run", (event) => {
    const { run: now } = JSON.parse(event.data);
    // A restarted receiver numbers its items from the start.
    if (run !== null && run !== now) { drop(); release(); calls.restart(); }
    run = now;
  });
  source.addEventListener("mark", (event) => {
    const { forget, undo, behind } = JSON.parse(event.data);
    if (!behind) endLoading();
    if (!forget) { calls.undoable(undo); return; }
    drop();
    if (waiting) waiting = [];
    calls.forget(undo);
    drawPause();
  });
  source.addEventListener("message", (event) => {
    if (!backlog) { take(JSON.parse(event.data)); return; }
    backlog.push(event.data);
    if (backlog.length === 1) load();
  });
}

function take({ missed: lost, behind, items }) {
  tellMissed(lost.lines, lost.requests);
  if (waiting === null || backlog) calls.items(items, run);
  else hold(items);
  if (!behind) endLoading();
}

// A frame, also while the page is in the background, where there are none.
const frame = () => new Promise((resolve) => { requestAnimationFrame(resolve); setTimeout(resolve, 100); });

// Between what is much to take, the page is drawn and can be used.
async function load() {
  const mine = backlog;
  while (mine.length) {
    // What came with the last of it is taken at once.
    if (backlog) await frame();
    if (mine.length) take(JSON.parse(mine.shift()));
  }
}

// What is still to be taken is not wanted any more.
function drop() {
  if (backlog) backlog.length = 0;
  endLoading();
}

function endLoading() {
  if (backlog) calls.loaded();
  backlog = null;
}

// Clears the lines and the requests of the receiver, or brings them back; a mark tells all pages.
export async function clear() { await change("/api/lines", "DELETE"); }
export async function undo() { await change("/api/undo", "POST"); }

async function change(path, method) {
  const answer = await fetch(path, { method }).catch(() => null);
  if (!answer?.ok) say("aside", "The receiver does not answer, so nothing has changed.");
}

function tellMissed(lines, requests) {
  if (!lines && !requests) return;
  missed.lines += lines;
  missed.requests += requests;
  const parts = Object.entries(missed).filter(([, count]) => count).map(([noun, count]) => counted(count, noun.slice(0, -1)));
  say("missed", `The receiver keeps only the latest: ${parts.join(" and ")} came before this page could show them.`);
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
  const text = waiting === null ? "Pause" : count ? `Paused · ${grouped(count)}` : "Paused";
  const more = count ? " waiting" : "";
  // A narrow screen shows the number alone.
  if (button.textContent !== text + more) button.replaceChildren(text, make("span", { class: "wide", textContent: more }));
}
