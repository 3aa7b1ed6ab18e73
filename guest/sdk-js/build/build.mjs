// Makes a guest in TypeScript or JavaScript a component: `sandman build` runs it in the guest's folder.
//
// Lines on stdout that start with "step " say what is being done. Mistakes of the guest go to stderr, and end it with 1.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { createRequire, SourceMap } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

import { entry } from "./entry.mjs";
import { sameEachTime } from "./runtime.mjs";

const MISTAKES = 1;

const { values: options } = parseArgs({
  options: {
    entry: { type: "string" },
    wit: { type: "string" },
    out: { type: "string" },
  },
});

// What builds belongs to the guest, which pins it; this file may lie somewhere else.
const guest = createRequire(join(process.cwd(), "package.json"));
const load = (name) => import(pathToFileURL(guest.resolve(name)).href).then((module) => module.default ?? module);

const sdk = relative(process.cwd(), join(dirname(fileURLToPath(import.meta.url)), ".."));

class Mistakes extends Error {}

/** Checks the types, where the guest has some. */
async function checkTypes() {
  if (!existsSync("tsconfig.json") || !existsSync("node_modules/typescript/package.json")) return;
  const { bin } = guest("typescript/package.json");
  const compiler = join(dirname(guest.resolve("typescript/package.json")), bin.tsc);
  const child = spawn(process.execPath, [compiler, "--noEmit", "--pretty", "false"], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stdout.on("data", (data) => (said += data));
  child.stderr.on("data", (data) => (said += data));
  const code = await new Promise((done, failed) => child.on("error", failed).on("close", done));
  // tsc writes src/handler.ts(3,5): as the place; everything else writes src/handler.ts:3:5:
  const node = /Do you need to install type definitions for node\?.*/g;
  said = said.replace(node, "It is Node's, and a component has none.");
  if (code !== 0) throw new Mistakes(said.replace(/^(\S.*?)\((\d+),(\d+)\):/gm, "$1:$2:$3:").trim());
}

/** One module with all that the guest imports, and its source map. */
async function bundle() {
  const esbuild = await load("esbuild");
  try {
    const built = await esbuild.build({
      stdin: { contents: entry(`./${options.entry}`), resolveDir: process.cwd(), sourcefile: "component.js" },
      bundle: true,
      write: false,
      outfile: "handler.js",
      format: "esm",
      platform: "neutral",
      mainFields: ["module", "main"],
      conditions: ["import", "default"],
      target: "es2022",
      // Made of promises, so that waiting for one can be told from not waiting: see src/purity.ts.
      supported: { "async-await": false, "async-generator": false, "for-await": false },
      charset: "utf8",
      legalComments: "none",
      sourcemap: "external",
      sourcesContent: false,
      external: ["sandman:*"],
      absWorkingDir: process.cwd(),
      logLevel: "silent",
    });
    const [map, code] = built.outputFiles;
    const { sources, mappings } = JSON.parse(map.text);
    const warnings = await esbuild.formatMessages(built.warnings, { kind: "warning" });
    process.stderr.write(warnings.join(""));
    // The SDK by its name, wherever it lies.
    const named = (source) => (source.startsWith(`${sdk}/`) ? `sandman-sdk${source.slice(sdk.length)}` : source);
    return { code: code.text, map: { sources: sources.map(named), mappings } };
  } catch (fault) {
    if (!Array.isArray(fault.errors)) throw fault;
    const errors = await esbuild.formatMessages(fault.errors, { kind: "error" });
    throw new Mistakes(errors.join("").trim());
  }
}

/** The engine that makes the same component of the same module each time, on every machine; where it is not found, another one does. */
function engine() {
  const libraries = Object.keys(guest.cache).filter((file) => file.endsWith(".node"));
  const runtimeBytes = libraries.map(sameEachTime).find((found) => found !== undefined);
  if (runtimeBytes !== undefined) return { runtimeBytes };
  const { version } = guest("componentize-qjs/package.json");
  process.stderr.write(`componentize-qjs ${version} is not known to sandman-sdk: each build makes a component with another digest\n`);
  return { sync: true };
}

/** Puts the engine and the module into a component, as they are once the module is loaded. */
async function componentize({ code, map }) {
  // The last line, so that no other one moves.
  const jsSource = `${code}\nglobalThis.sandmanSourceMap(${JSON.stringify(map)});\n`;
  const { componentize } = await load("componentize-qjs");
  try {
    const { component } = await componentize({ witPath: options.wit, jsSource, stubWasi: true, ...engine() });
    return component;
  } catch (fault) {
    throw new Mistakes(inTheSources(String(fault.message ?? fault), map));
  }
}

/** What the engine says of a module that fails while it is loaded, with places in the sources rather than in the bundle. */
function inTheSources(said, map) {
  const places = new SourceMap({ version: 3, names: [], ...map });
  let first;
  const text = said.replace(/componentize-qjs:user\.js:(\d+):(\d+)/g, (place, line, column) => {
    const { originalSource, originalLine, originalColumn } = places.findEntry(Number(line) - 1, Number(column) - 1);
    if (originalSource === undefined) return place;
    const source = `${originalSource}:${originalLine + 1}:${originalColumn + 1}`;
    if (!originalSource.startsWith("sandman-sdk/")) first ??= source;
    return source;
  });
  const words = text.replace(/^[^]*Failed to finish JavaScript module evaluation: /, "").trim();
  return `${first === undefined ? "" : `${first}: `}the module fails while it is loaded: ${words}`;
}

try {
  process.stdout.write("step bundling\n");
  const types = checkTypes();
  // Both are awaited below; a mistake of one is not to be taken for one that nobody looks at.
  types.catch(() => {});
  const bundled = await bundle();
  process.stdout.write("step making the component of\n");
  const component = await componentize(bundled);
  await types;
  await writeFile(options.out, component);
} catch (fault) {
  if (!(fault instanceof Mistakes)) throw fault;
  process.stderr.write(`${fault.message}\n`);
  process.exitCode = MISTAKES;
}
