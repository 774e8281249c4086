// One request, dissected: its headers, its body with every octet count over its frame, and what Logplex does with it.

import { counted, find, grouped, make, visible, violationCard } from "./dom.js";
import { currentRun } from "./events.js";
import { icon } from "./icons.js";

const SHOWN = 50; // frames at a time
const panel = find("#request");

let opened = null; // The number of the request.
let closed = () => {}; // Called with the number when the panel closes.
export const openedNumber = () => opened;
export const onClose = (call) => { closed = call; };

export function close() {
  if (opened === null) return;
  const number = opened;
  opened = null;
  panel.hidden = true;
  closed(number);
}

// Bytes as text, with escapes for all that is not printable UTF-8.
function shownBytes(bytes) {
  try {
    return visible(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)).replaceAll("\\u000a", "\\n");
  } catch {
    return [...bytes].map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "\\x" + byte.toString(16).padStart(2, "0"))).join("");
  }
}

// A part of the body, in which the byte at `bad` is marked.
function part(body, from, to, bad) {
  if (bad === null || bad < from || bad >= Math.max(to, from + 1)) return [shownBytes(body.subarray(from, to))];
  // At the end of what there is, the byte that is missing is marked.
  const byte = bad < body.length ? shownBytes(body.subarray(bad, bad + 1)) : "";
  const code = bad < body.length ? "0x" + body[bad].toString(16).padStart(2, "0") : "the end";
  return [shownBytes(body.subarray(from, bad)), make("mark", { class: "bad", title: `byte ${bad}: ${code}`, textContent: byte || "∎" }), shownBytes(body.subarray(bad + 1, to))];
}

// Where the framing breaks may be within a frame that Logplex reads, or after the last one.
function frame(body, one, number, bad) {
  const space = body[one.packet - 1] === 0x20 && bad !== one.packet - 1 ? 1 : 0;
  const count = part(body, one.count, one.packet - space, bad);
  const packet = part(body, one.packet, one.end, one.bad ?? bad);
  return make("li", { class: one.bad === null ? "frame" : "frame broken" },
    make("span", { class: "octets", title: `frame ${number}: its octet count, and the ${counted(one.end - one.packet, "byte")} that it spans` }, ...count),
    ...(one.line === null ? [] : [make("a", { class: "to-line", href: `#line=${currentRun()}:${one.line}`, textContent: "line", "aria-label": `the line of frame ${number}` })]),
    make("code", {}, ...packet));
}

function bodyOf(found) {
  const body = Uint8Array.from(atob(found.body), (character) => character.charCodeAt(0));
  const parts = [];
  const frames = make("ol", { class: "frames" });
  const rest = make("button", { class: "quiet" });
  let done = 0;
  const more = () => {
    frames.append(...found.dissected.slice(done, done + SHOWN).map((one, index) => frame(body, one, done + index + 1, found.bad)));
    done = Math.min(done + SHOWN, found.dissected.length);
    rest.hidden = done === found.dissected.length;
    rest.textContent = `Show more of ${counted(found.dissected.length, "frame")}`;
  };
  rest.addEventListener("click", more);
  more();
  parts.push(frames, rest);
  const end = found.dissected.length ? found.dissected.at(-1).end : 0;
  const unread = found.unread ?? body.length;
  if (end < unread) parts.push(make("pre", { class: "raw", tabIndex: 0 }, ...part(body, end, unread, found.bad)));
  if (unread < body.length || (found.bad !== null && found.bad >= body.length)) {
    parts.push(make("p", { class: "unread", textContent: `Logplex reads nothing from byte ${grouped(unread)} on:` }),
      make("pre", { class: "raw lost", tabIndex: 0 }, ...part(body, unread, Math.min(body.length, unread + 10_000), found.bad)));
  }
  if (body.length < found.body_bytes) parts.push(make("p", { textContent: `The first ${grouped(body.length)} of ${grouped(found.body_bytes)} bytes are shown.` }));
  return parts;
}

// The first is open; of the others, what was found.
function briefly(violation, index) {
  const [title, ...rest] = violationCard(violation).children;
  return make("details", { class: "violation", open: index === 0 }, make("summary", {}, title), ...rest);
}

function button(name, text, call) {
  const one = make("button", { class: "action" }, icon(name), text);
  one.addEventListener("click", call);
  return one;
}

export async function open(number) {
  opened = number;
  const answer = await fetch("/api/requests/" + number);
  const found = answer.ok ? await answer.json() : null;
  if (opened !== number) return;
  const end = make("button", { class: "quiet", title: "Close (Esc)", "aria-label": "Close" }, icon("close"));
  end.addEventListener("click", close);
  const heading = make("h2", { tabIndex: -1, textContent: "Request" });
  const parts = [make("header", { class: "title" }, heading, make("p", { class: "grow" }), end)];
  if (!found?.headers) parts.push(make("p", { textContent: "The receiver no longer keeps this request as it came." }), ...(found?.violations ?? []).map(violationCard));
  else {
    heading.textContent = visible(found.line);
    const said = make("output");
    const copy = async () => {
      try { await navigator.clipboard.writeText(found.curl); said.textContent = "copied: it sends to $LOGPLEX_URL"; }
      catch { said.textContent = "the browser does not let it be copied"; }
    };
    const again = async () => {
      said.textContent = "";
      const result = await fetch(`/api/requests/${number}/again`, { method: "POST" });
      const { status } = result.ok ? await result.json() : {};
      said.textContent = status === undefined ? "could not be sent again" : `sent again: ${status || "no answer"}`;
    };
    parts.push(
      make("p", { class: "verdict" }, make("span", { class: "answer " + (found.status >= 200 && found.status < 300 ? "good" : "bad"), textContent: found.status || "none" }), " ", visible(found.answer)),
      make("p", { class: "actions" }, ...(found.curl ? [button("copy", "Copy as curl", copy), button("again", "Send again", again)] : []), said),
      ...found.violations.map(briefly),
      make("h3", { textContent: `Body, ${counted(found.body_bytes, "byte")}` + (found.sent_bytes === found.body_bytes ? "" : `, sent as ${grouped(found.sent_bytes)}`) }),
      ...bodyOf(found),
      make("h3", { textContent: "Headers" }),
      make("table", {}, make("tbody", {}, ...found.headers.map(([name, value]) => make("tr", {}, make("th", { scope: "row", textContent: visible(name) }), make("td", { textContent: visible(value) }))))));
  }
  panel.replaceChildren(...parts);
  panel.hidden = false;
  panel.scrollTop = 0;
  heading.focus();
}
