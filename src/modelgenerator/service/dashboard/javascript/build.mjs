// Writes ../static from the published packages: nothing in it is edited by hand but dashboard.*.

import { build } from "esbuild";
import { copyFile, readdir, readFile, writeFile } from "node:fs/promises";

const into = "../static/";
const plainMarkdown = {
  name: "plain-markdown",
  setup({ onLoad }) {
    onLoad({ filter: /codemirror-json-schema\/dist\/utils\/markdown\.js$/ }, async () => ({
      contents: await readFile("markdown.mjs", "utf8"),
      resolveDir: process.cwd(),
    }));
  },
};
const made = await build({
  entryPoints: ["editor.mjs"],
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  legalComments: "eof",
  metafile: true,
  plugins: [plainMarkdown],
  outfile: `${into}editor.js`,
});
await copyFile("node_modules/htmx.org/dist/htmx.min.js", `${into}htmx.js`);
await copyFile("node_modules/idiomorph/dist/idiomorph-ext.min.js", `${into}idiomorph.js`);
await copyFile("node_modules/uplot/dist/uPlot.iife.min.js", `${into}uplot.js`);
await copyFile("node_modules/uplot/dist/uPlot.min.css", `${into}uplot.css`);

// of what is really in the bundle
const owner = /^node_modules\/((?:@[^/]+\/)?[^/]+)\//;
const used = Object.values(made.metafile.outputs).flatMap((one) =>
  Object.entries(one.inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0).map(([file]) => file),
);
const names = new Set(used.map((file) => owner.exec(file)?.[1]).filter(Boolean));
for (const name of ["htmx.org", "idiomorph", "uplot"]) names.add(name);
const licences = [];
for (const name of [...names].sort()) {
  const folder = `node_modules/${name}`;
  const { version, license } = JSON.parse(await readFile(`${folder}/package.json`, "utf8"));
  const file = (await readdir(folder)).find((one) => /^licen[cs]e(\.|$)/i.test(one));
  const text = file ? await readFile(`${folder}/${file}`, "utf8") : "";
  licences.push(`${name} ${version}: ${license ?? "MIT"}\n\n${text.trim()}\n`);
}
await writeFile(`${into}LICENCES.txt`, `What the scripts are made of.\n\n${licences.join("\n---\n\n")}`);
