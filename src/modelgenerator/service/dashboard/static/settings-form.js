// The form of a training: faults stand at their fields while somebody writes, and what he has
// opened, or writes in, is left as it is when the server answers with new parts of the page.

"use strict";

// what somebody types while the server answers stays
Idiomorph.defaults.ignoreActiveValue = true;

/** Puts the faults that the server told of to their fields, and takes away those that are over. */
function placeFaults() {
  const told = new Map();
  for (const item of document.querySelectorAll("[data-fault]")) {
    told.set(item.dataset.fault, item.textContent.trim());
  }
  for (const setting of document.querySelectorAll("[data-setting]")) {
    const fault = told.get(setting.dataset.setting) ?? "";
    const place = setting.querySelector(".fault");
    place.textContent = fault;
    place.hidden = fault === "";
    setting.classList.toggle("faulty", fault !== "");
    const control = setting.querySelector("input, select, textarea");
    if (fault) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
    if (fault) setting.closest("details")?.setAttribute("open", "");
  }
}

document.addEventListener("htmx:afterSettle", (event) => {
  if (document.querySelector("#estimate #told") && event.target.id === "estimate") placeFaults();
});

// a number that is none is empty to the server: it is said here
document.addEventListener("htmx:configRequest", (event) => {
  for (const input of document.querySelectorAll("#fields input[type=number]")) {
    if (input.validity.badInput) event.detail.parameters[input.name] = "no number";
  }
});

// the JSON is not renewed under somebody's hands, and what is open stays open
document.addEventListener("htmx:oobBeforeSwap", (event) => {
  const { target, fragment } = event.detail;
  if (target === document.activeElement) event.detail.shouldSwap = false;
  const open = [...target.querySelectorAll("details")].map((one) => one.open);
  fragment.querySelectorAll("details").forEach((one, place) => { one.open = open[place] ?? false; });
});

let opened = [];
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target.id !== "fields") return;
  opened = [...event.detail.target.querySelectorAll("details[open]")].map((one) => one.id);
});
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id !== "fields") return;
  for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
});
