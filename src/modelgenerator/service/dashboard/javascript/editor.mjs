// A JSON5 editor in the place of every <textarea data-editor>: completion and explanations from a
// JSON Schema (data-schema), faults at their place from the server (data-check).
// Without this script the textarea stays what it is and the form still works.

import { autocompletion } from "@codemirror/autocomplete";
import { indentWithTab } from "@codemirror/commands";
import { syntaxHighlighting } from "@codemirror/language";
import { linter, lintGutter } from "@codemirror/lint";
import { EditorState } from "@codemirror/state";
import { EditorView, hoverTooltip, keymap } from "@codemirror/view";
import { classHighlighter } from "@lezer/highlight";
import { basicSetup } from "codemirror";
import { json5, json5Language } from "codemirror-json5";
import { stateExtensions } from "codemirror-json-schema";
import { json5Completion, json5SchemaHover } from "codemirror-json-schema/json5";

const nonce = document.querySelector("meta[name=csp-nonce]")?.content ?? "";

/** What the server finds wrong: [{from, to, message}] in characters of the text. */
function checkedBy(address) {
  return linter(
    async (view) => {
      const body = new URLSearchParams({ text: view.state.doc.toString() });
      const answer = await fetch(address, { method: "POST", body });
      if (!answer.ok) return [];
      const { faults } = await answer.json();
      const length = view.state.doc.length;
      return faults.map(({ from, to, message }) => ({
        from: Math.min(from, length),
        to: Math.min(Math.max(to, from), length),
        severity: "error",
        message,
      }));
    },
    { delay: 500 },
  );
}

/** Completion and explanations of what the schema at `address` knows. */
async function knowing(address) {
  const schema = await (await fetch(address)).json();
  return [
    stateExtensions(schema),
    json5Language.data.of({ autocomplete: json5Completion() }),
    hoverTooltip(json5SchemaHover()),
    autocompletion(),
  ];
}

async function replace(textarea) {
  const { schema, check } = textarea.dataset;
  const extensions = [
    basicSetup,
    json5(),
    syntaxHighlighting(classHighlighter),
    lintGutter(),
    keymap.of([{ key: "Escape", run: leave }]),
    EditorView.cspNonce.of(nonce),
    EditorView.lineWrapping,
    // editable text takes the focus anyway; said in words, what scrolls it is known to be reachable
    EditorView.contentAttributes.of({ "aria-label": textarea.dataset.label ?? "JSON", tabindex: "0" }),
    EditorState.tabSize.of(2),
    EditorView.updateListener.of((update) => {
      if (!update.docChanged) return;
      textarea.value = update.state.doc.toString();
      textarea.dispatchEvent(new Event("input", { bubbles: true }));
    }),
    schema ? await knowing(schema) : [],
    check ? checkedBy(check) : [],
    // Tab goes on to the next control; Escape, then Tab, would be needed otherwise
    textarea.dataset.tab === "indents" ? keymap.of([indentWithTab]) : [],
  ];
  const view = new EditorView({ doc: textarea.value, extensions });
  view.dom.classList.add("editor");
  textarea.hidden = true;
  textarea.after(view.dom);
  textarea.editorView = view;
}

function leave(view) {
  view.contentDOM.blur();
  return true;
}

function replaceAll() {
  for (const textarea of document.querySelectorAll("textarea[data-editor]:not([data-replaced])")) {
    textarea.dataset.replaced = "";
    replace(textarea);
  }
}

replaceAll();
document.body.addEventListener("htmx:afterSettle", replaceAll);
