// A strip above the lines that says what happened to them: each notice once, with what can be done about it.

import { find, make } from "./dom.js";

const strip = find("#notices");
const known = new Map();

// Shows or replaces the notice with this name; `actions` are [text, call].
export function say(name, text, actions = []) {
  const buttons = actions.map(([label, call]) => {
    const button = make("button", { type: "button", textContent: label });
    button.addEventListener("click", () => { unsay(name); call(); });
    return button;
  });
  const close = make("button", { type: "button", class: "quiet", textContent: "✕", "aria-label": "Dismiss" });
  close.addEventListener("click", () => unsay(name));
  const old = known.get(name);
  // The text of a notice that only counts up is changed in place, so that a button in it keeps the focus.
  if (old && !actions.length) { old.querySelector("span").textContent = text; return; }
  const notice = make("p", { class: "notice", "data-notice": name }, make("span", { textContent: text }), ...buttons, close);
  if (old) old.replaceWith(notice); else strip.append(notice);
  known.set(name, notice);
}

export function unsay(name) {
  known.get(name)?.remove();
  known.delete(name);
}
