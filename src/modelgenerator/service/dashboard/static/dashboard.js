// What pages need of a script beside htmx: none of it is needed to read a page or to send a form.
// Everything listens on the document, so that parts that come later need nothing said.

"use strict";

// --- times in the reader's own zone ---------------------------------------------------------------
const shownTimes = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function showTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    time.textContent = shownTimes.format(new Date(time.dateTime));
    time.title = time.dateTime;
  }
}

// --- the menu of a small screen -------------------------------------------------------------------
function toggleMenu(button) {
  const isOpen = document.body.classList.toggle("menu-open");
  button.setAttribute("aria-expanded", String(isOpen));
}

// --- forms ----------------------------------------------------------------------------------------
// asked again before it is done, by the browser's own dialog: it works for every reader
document.addEventListener("submit", (event) => {
  const sure = event.target.dataset.sure;
  if (sure && !window.confirm(sure)) {
    event.preventDefault();
    event.stopImmediatePropagation();
  }
}, true);

// a second click sends nothing; coming back to the page makes its buttons work again
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented || event.target.matches("[hx-post], [hx-get], [data-again]")) return;
  for (const button of event.target.querySelectorAll("button[type=submit]")) {
    button.setAttribute("aria-disabled", "true");
    setTimeout(() => { button.disabled = true; });
  }
});
window.addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button[aria-disabled=true]")) {
    button.disabled = false;
    button.removeAttribute("aria-disabled");
  }
});

// --- clicks ---------------------------------------------------------------------------------------
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button, [data-insert]");
  if (!button) return;
  if (button.matches(".menu-button")) toggleMenu(button);
  if (button.matches("[data-back]")) history.back();
  if (button.matches("[data-copy]")) await copy(button);
  if (button.matches("[data-insert]")) insert(button);
});

async function copy(button) {
  const source = button.dataset.copy ? document.querySelector(button.dataset.copy) : button.parentElement.querySelector("pre");
  await navigator.clipboard.writeText((source.value ?? source.textContent).trim());
  const words = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = words; }, 1500);
}

// a field that nobody was in has its cursor at the beginning, where nobody wants the word
const visited = new WeakSet();
document.addEventListener("focusin", (event) => visited.add(event.target));

/** Puts a word into the text field that `data-into` names: at its cursor, or at its end. */
function insert(button) {
  const field = document.querySelector(button.dataset.into);
  const { selectionStart, selectionEnd, value } = field;
  const [from, to] = visited.has(field) ? [selectionStart, selectionEnd] : [value.length, value.length];
  const before = from > 0 && !/\s$/.test(value.slice(0, from)) ? " " : "";
  const after = to < value.length && !/^[\s,.]/.test(value.slice(to)) ? " " : "";
  field.setRangeText(before + button.dataset.insert + after, from, to, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.focus();
}

// --- what comes later -----------------------------------------------------------------------------
function ready(root) {
  showTimes(root);
  for (const button of root.querySelectorAll("[data-back]")) button.hidden = history.length < 2;
}

document.addEventListener("htmx:afterSwap", (event) => ready(event.target.isConnected ? event.target : document));
ready(document);
