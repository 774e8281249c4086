// Light or dark: as the system has it, until the reader chooses.

import { find } from "./dom.js";

const prefersDark = matchMedia("(prefers-color-scheme: dark)");
let theme = null;
try { theme = localStorage.getItem("theme"); } catch { /* Nothing is kept then. */ }
const apply = () => { document.documentElement.dataset.theme = theme ?? (prefersDark.matches ? "dark" : "light"); };

export function switchTheme() {
  theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  try { localStorage.setItem("theme", theme); } catch { /* For this visit only. */ }
  apply();
  dispatchEvent(new Event("resize")); // What is painted on a canvas has colours of its own.
}

apply();
prefersDark.addEventListener("change", apply);
find("#theme").addEventListener("click", switchTheme);
