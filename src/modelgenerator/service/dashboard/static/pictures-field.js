// The photos of a flow's form: drop them, see them, take one out again, know how many are missing;
// and how much of them has been sent. Without this script the browser's own file field does it.

"use strict";

const chosenFiles = new WeakMap();

function begin(field) {
  const input = field.querySelector("input[type=file]");
  chosenFiles.set(field, []);
  input.addEventListener("change", () => add(field, [...input.files]));
  const drop = field.querySelector(".photos-here");
  drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    add(field, [...event.dataTransfer.files]);
  });
  field.querySelector("[data-instead]")?.addEventListener("change", () => show(field));
  show(field);
}

function isSame(one, other) {
  return one.name === other.name && one.size === other.size && one.lastModified === other.lastModified;
}

function add(field, files) {
  const known = chosenFiles.get(field);
  for (const file of files) if (!known.some((one) => isSame(one, file))) known.push(file);
  show(field);
}

/** What is chosen stands in the field itself, so that the form sends it with or without a script. */
function show(field) {
  const files = chosenFiles.get(field);
  const input = field.querySelector("input[type=file]");
  const held = new DataTransfer();
  for (const file of files) held.items.add(file);
  input.files = held.files;
  const list = field.querySelector(".chosen-pictures");
  for (const image of list.querySelectorAll("img")) URL.revokeObjectURL(image.src);
  list.replaceChildren(...files.map((file) => shown(field, file)));
  count(field, input, files);
}

function shown(field, file) {
  const item = document.createElement("li");
  const image = document.createElement("img");
  image.alt = file.name;
  image.src = URL.createObjectURL(file);
  image.addEventListener("error", () => image.replaceWith(named(file)));
  const button = document.createElement("button");
  button.type = "button";
  button.className = "small";
  button.textContent = "Remove";
  button.setAttribute("aria-label", `Remove ${file.name}`);
  button.addEventListener("click", () => {
    chosenFiles.set(field, chosenFiles.get(field).filter((one) => one !== file));
    show(field);
    field.querySelector("input[type=file]").focus();
  });
  item.append(image, button);
  return item;
}

function named(file) {
  const name = document.createElement("span");
  name.className = "file-name";
  name.textContent = file.name;
  return name;
}

function count(field, input, files) {
  const least = Number(field.dataset.least);
  const most = field.dataset.most ? Number(field.dataset.most) : Infinity;
  const isInstead = Boolean(field.querySelector("[data-instead]")?.value);
  // captions lie beside their photos as texts
  const total = Number(field.dataset.kept) + files.filter((file) => !/\.txt$/i.test(file.name)).length;
  const hasArchive = files.some((file) => /\.zip$/i.test(file.name));
  const line = field.querySelector(".picture-count");
  let wrong = "";
  // what an archive holds is counted when it has been sent
  if (files.length && !hasArchive) {
    if (total < least) wrong = `${least - total} more needed`;
    if (total > most) wrong = `${total - most} too many`;
  }
  line.textContent = files.length && !hasArchive ? `${total} chosen${wrong ? `: ${wrong}` : ""}` : "";
  line.classList.toggle("fault", Boolean(wrong));
  input.setCustomValidity(wrong && !isInstead ? `Choose ${least}${most < Infinity ? ` to ${most}` : " or more"} photos: ${wrong}.` : "");
}

function beginAll() {
  for (const field of document.querySelectorAll("[data-pictures]")) if (!chosenFiles.has(field)) begin(field);
}

document.addEventListener("htmx:xhr:progress", (event) => {
  const bar = event.target.querySelector?.(".upload-progress");
  if (!bar || !event.detail.lengthComputable) return;
  bar.hidden = false;
  bar.querySelector("progress").value = event.detail.loaded / event.detail.total;
  if (event.detail.loaded === event.detail.total) bar.querySelector("p").textContent = "Looking at your photos…";
});
document.addEventListener("htmx:sendError", (event) => {
  const words = event.target.querySelector?.(".upload-progress p");
  if (words) words.textContent = "The connection was lost. Nothing was started: press the button again.";
});
document.addEventListener("htmx:afterSettle", beginAll);
beginAll();
