// Lets Node load TypeScript, for tests: `node --import sandman-sdk/ts --test`. The guest's own esbuild takes the types out.

import { createRequire, register } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const guest = createRequire(join(process.cwd(), "package.json"));
const esbuild = pathToFileURL(guest.resolve("esbuild")).href;

const hooks = `
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import esbuild from ${JSON.stringify(esbuild)};

export async function load(url, context, next) {
  if (!/^file:.*\\.m?ts$/.test(url)) return next(url, context);
  const sourcefile = fileURLToPath(url);
  const { code } = await esbuild.transform(await readFile(sourcefile, "utf8"), {
    loader: "ts", format: "esm", target: "esnext", sourcemap: "inline", sourcefile,
  });
  return { format: "module", source: code, shortCircuit: true };
}
`;

register(`data:text/javascript,${encodeURIComponent(hooks)}`);
