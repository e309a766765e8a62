// Photos that are dropped or chosen are sent a few at a time; each appears as soon as it is accepted.
// Without this script the form sends all of them at once.  A connection that is cut costs nothing:
// the server knows by their content what it has.

"use strict";

const FILES_AT_ONCE = 8;
const BYTES_AT_ONCE = 12e6;
const WAITS = [1000, 3000, 9000];
const BESIDE = /\.(txt|mask\.png)$/i;

const form = document.querySelector("#drop");
if (form) begin(form);

function begin(form) {
  const input = form.querySelector("input[type=file]");
  const zone = form.querySelector(".drop-zone");
  const state = { waiting: [], done: 0, total: 0, isSending: false };
  const add = (files) => send(form, state, files);

  form.dataset.again = "";
  input.required = false;
  form.querySelector("button[type=submit]").textContent = "Choose photos";
  input.classList.add("only-heard");
  input.addEventListener("change", () => { add([...input.files]); input.value = ""; });
  form.addEventListener("submit", (event) => { event.preventDefault(); input.click(); });
  form.querySelector("[data-retry]").addEventListener("click", () => add([]));
  for (const name of ["dragenter", "dragover"]) {
    document.addEventListener(name, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      zone.classList.add("over");
    });
  }
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) zone.classList.remove("over"); });
  document.addEventListener("drop", async (event) => {
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    zone.classList.remove("over");
    add(await droppedFiles(event.dataTransfer));
  });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length) add([...event.clipboardData.files]);
  });
  window.addEventListener("beforeunload", (event) => { if (state.isSending) event.preventDefault(); });
}

// --- what was dropped, folders too ----------------------------------------------------------------
async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  const found = await Promise.all(entries.map(filesIn));
  return found.flat();
}

async function filesIn(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const inner = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    inner.push(...some);
  }
  return (await Promise.all(inner.map(filesIn))).flat();
}

// --- sending --------------------------------------------------------------------------------------
async function send(form, state, files) {
  // captions and masks come after the photos they belong to
  const beside = files.filter((file) => BESIDE.test(file.name));
  state.waiting.push(...files.filter((file) => !BESIDE.test(file.name)), ...beside);
  state.total += files.length;
  if (state.isSending || !state.waiting.length) return;
  state.isSending = true;
  showRetry(form, false);
  try {
    while (state.waiting.length) {
      const batch = nextBatch(state.waiting);
      tell(form, state, 0, batch);
      take(await sentWithPatience(form, state, batch));
      state.waiting.splice(0, batch.length);
      state.done += batch.length;
      tell(form, state, 0, state.waiting.slice(0, 1));
    }
    say(form, `${state.done} of ${state.total} files were sent.`);
    state.done = state.total = 0;
    document.body.dispatchEvent(new Event("pictures"));
  } catch (problem) {
    say(form, `${problem.message} ${state.waiting.length} of ${state.total} files are left.`);
    showRetry(form, true);
  } finally {
    state.isSending = false;
  }
}

function nextBatch(waiting) {
  let bytes = 0;
  let count = 0;
  while (count < waiting.length && count < FILES_AT_ONCE && (count === 0 || bytes + waiting[count].size <= BYTES_AT_ONCE)) {
    bytes += waiting[count].size;
    count += 1;
  }
  return waiting.slice(0, count);
}

async function sentWithPatience(form, state, batch) {
  for (const wait of WAITS) {
    try {
      return await sent(form, state, batch);
    } catch (problem) {
      if (!problem.isPassing) throw problem;
      say(form, `${problem.message} Trying again…`);
      await new Promise((resolve) => { setTimeout(resolve, wait); });
    }
  }
  return sent(form, state, batch);
}

/** Sends some files; the part of a page that the server answers. */
function sent(form, state, batch) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const data = new FormData();
    for (const file of batch) data.append("files", file, file.name);
    request.open("POST", form.action);
    request.setRequestHeader("HX-Request", "true");
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) tell(form, state, event.loaded / event.total, batch);
    });
    request.addEventListener("error", () => reject(passing("The connection was cut.")));
    request.addEventListener("load", () => {
      const away = request.getResponseHeader("HX-Redirect");
      if (away) { state.isSending = false; location.assign(away); return; }
      if (request.status >= 500) { reject(passing("The server does not answer.")); return; }
      if (request.getResponseHeader("HX-Retarget")) {
        document.querySelector("#problems").innerHTML = request.responseText;
        reject(new Error("It did not go on."));
        return;
      }
      resolve(request.responseText);
    });
    request.send(data);
  });
}

function passing(message) {
  return Object.assign(new Error(message), { isPassing: true });
}

// --- what the page shows of it --------------------------------------------------------------------
function take(html) {
  const part = document.createElement("template");
  part.innerHTML = html;
  const gallery = document.querySelector("#pictures");
  for (const card of part.content.querySelectorAll("[data-cards] > li")) {
    if (document.getElementById(card.id)) continue;
    gallery.append(card);
    window.htmx?.process(card);
  }
  const told = [...part.content.querySelectorAll("[data-told] > li")];
  if (told.length) {
    document.querySelector("#told").hidden = false;
    document.querySelector("#told [data-told]").append(...told);
  }
  showCount(Number(part.content.querySelector("[data-count]").dataset.count));
}

function showCount(count) {
  document.querySelector("#photos [data-count]").textContent = count;
  document.querySelector("#photos [data-plural]").hidden = count === 1;
  document.querySelector("[data-none]").hidden = count > 0;
  const train = document.querySelector("#train");
  if (train) train.hidden = count === 0;
}

function tell(form, state, part, batch) {
  form.querySelector("progress").value = (state.done + part * batch.length) / state.total;
  const name = batch[0]?.name;
  if (name) say(form, part < 1 ? `Sending ${name}, ${state.done} of ${state.total} done` : `Looking at ${name}, ${state.done} of ${state.total} done`);
}

function say(form, words) {
  form.querySelector(".drop-progress").hidden = false;
  const status = form.querySelector("[role=status]");
  if (status.textContent !== words) status.textContent = words;
}

function showRetry(form, isShown) {
  form.querySelector("[data-retry]").hidden = !isShown;
}
