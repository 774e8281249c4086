// Builds elements from text only: logged data is never parsed as HTML.

export const find = (selector) => document.querySelector(selector);

export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") element.className = value;
    else if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const MOST_CHOICES = 500; // A program that makes up names without end must not freeze the page.

export function offer(select, value) {
  // Adds a choice in alphabetical order.
  const options = [...select.options].slice(1);
  if (options.length >= MOST_CHOICES) return;
  if (options.some((option) => option.value === value)) return;
  const next = options.find((option) => option.value > value) ?? null;
  select.insertBefore(make("option", { value, textContent: visible(value) || "none" }), next);
}

// Control characters, and those that change the text direction, are shown as escapes.
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
export const visible = (text) =>
  text.replace(UNSAFE, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));

// Formats numbers. What does so is made when it is first used: Intl takes as long to start as all else until there are lines.
export function formatter(options) {
  let made = null;
  return (number) => (made ??= new Intl.NumberFormat("en-US", options)).format(number);
}

// As it was sent, for reading.
export const exact = formatter({ maximumFractionDigits: 6 });
export const grouped = (number) => (number >= 0 && number < 1_000 && Number.isInteger(number) ? String(number) : exact(number));
export const counted = (number, noun) => `${grouped(number)} ${noun}${number === 1 ? "" : "s"}`;

// Text between backticks is code.
export const prose = (text) => text.split("`").map((part, index) => (index % 2 ? make("code", { textContent: part }) : part));

export function violationCard(violation) {
  return make("div", { class: "violation" },
    make("b", { textContent: visible(violation.finding) }),
    make("p", {}, ...prose(violation.consequence)),
    make("p", { class: "cure" }, ...prose(violation.cure)));
}
