// The form for pictures: usual sizes by a click, and the usual prompt of the model that is chosen.

"use strict";

document.addEventListener("click", (event) => {
  const size = event.target.closest("[data-width]");
  if (!size) return;
  document.querySelector("#width").value = size.dataset.width;
  const height = document.querySelector("#height");
  height.value = size.dataset.height;
  height.dispatchEvent(new Event("input", { bubbles: true }));
});

// a prompt that nobody has touched follows the model: its trigger words are another's otherwise
let usual = document.querySelector("#chips")?.dataset.usual;
document.addEventListener("htmx:afterSettle", () => {
  const chips = document.querySelector("#chips");
  const prompt = document.querySelector("#prompt");
  if (!chips || chips.dataset.usual === usual) return;
  if (prompt.value === usual) {
    prompt.value = chips.dataset.usual;
    prompt.dispatchEvent(new Event("input", { bubbles: true }));
  }
  usual = chips.dataset.usual;
});
