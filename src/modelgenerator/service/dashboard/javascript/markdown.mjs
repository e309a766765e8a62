// In the place of codemirror-json-schema's own: that one brings a highlighter of a megabyte, for
// program code that no sentence of our schemas has in it.

import md from "markdown-it";

const renderer = md();

export function renderMarkdown(markdown, inline = true) {
  return inline ? renderer.renderInline(markdown) : renderer.render(markdown);
}
