// The engine of componentize-qjs, with nothing in it that differs from build to build.
//
// A component is a picture of the engine's memory once the guest's module is loaded. The engine asks the machine that builds for
// the seed of its hash tables, and for the time; both would be in the picture, and with them another digest for each build. So the
// two are asked of functions of WASI that always answer the same while a component is made: the arguments and the folder of a
// program that has neither, and the resolution of a clock. In a finished component none of WASI is left.

import { readFileSync } from "node:fs";

/** What is asked, and what is asked in its place: a function with the same parameters. */
const INSTEAD = [
  ["wasi:random/insecure-seed", "insecure-seed", "wasi:cli/environment", "get-arguments"],
  ["wasi:clocks/wall-clock", "now", "wasi:cli/environment", "initial-cwd"],
  ["wasi:clocks/monotonic-clock", "now", "wasi:clocks/monotonic-clock", "resolution"],
];

const MAGIC = Buffer.from("\0asm\x01\0\0\0", "latin1");
const IMPORTS = 2;
const LAST_SECTION = 13;

/**
 * The engine in the native library of componentize-qjs, or undefined where there is none that is known.
 *
 * The library holds four: for size or for speed, with waiting or without. The one that is wanted has the fewest imports, since it
 * never waits, and is the larger one of these.
 */
export function sameEachTime(library) {
  const file = readFileSync(library);
  const engines = [];
  for (let at = file.indexOf(MAGIC); at >= 0; at = file.indexOf(MAGIC, at + 1)) {
    const engine = moduleAt(file, at);
    if (engine !== undefined) engines.push(engine);
  }
  engines.sort((one, other) => one.imports.length - other.imports.length || other.wasm.length - one.wasm.length);
  return engines.length === 0 ? undefined : withoutChance(engines[0]);
}

/** The module that begins there, if it asks for a seed. */
function moduleAt(file, start) {
  let at = start + MAGIC.length;
  let imports;
  while (at < file.length && file[at] <= LAST_SECTION && !file.subarray(at, at + MAGIC.length).equals(MAGIC)) {
    const [size, body] = number(file, at + 1);
    if (body + size > file.length) break;
    if (file[at] === IMPORTS) imports = { from: at - start, to: body + size - start, body: file.subarray(body, body + size) };
    at = body + size;
  }
  if (imports === undefined || found(imports.body, INSTEAD[0]) === undefined) return undefined;
  return { wasm: file.subarray(start, at), imports: imports.body, ...imports };
}

function withoutChance({ wasm, imports, from, to }) {
  for (const instead of INSTEAD) {
    const place = found(imports, instead);
    if (place === undefined) return undefined;
    const [, , module, name] = instead;
    imports = Buffer.concat([
      imports.subarray(0, place.start),
      text(`${module}@${place.version}`),
      text(name),
      imports.subarray(place.end),
    ]);
  }
  return Buffer.concat([wasm.subarray(0, from), Buffer.of(IMPORTS), leb(imports.length), imports, wasm.subarray(to)]);
}

/** Where an import stands, whatever the version of its interface is. */
function found(imports, [module, name]) {
  const prefix = Buffer.from(`${module}@`);
  for (let at = imports.indexOf(prefix); at > 0; at = imports.indexOf(prefix, at + 1)) {
    // Shorter than 128 bytes, so that its length is one.
    const end = at + imports[at - 1];
    if (imports.subarray(end, end + 1 + name.length).equals(text(name))) {
      const version = imports.toString("utf8", at + prefix.length, end);
      return { start: at - 1, end: end + 1 + name.length, version };
    }
  }
  return undefined;
}

function text(words) {
  return Buffer.concat([leb(words.length), Buffer.from(words)]);
}

function leb(value) {
  const bytes = [];
  for (; value > 127; value >>>= 7) bytes.push((value & 127) | 128);
  return Buffer.from([...bytes, value]);
}

/** A number of variable length, and where it ends. */
function number(bytes, at) {
  let value = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = bytes[at++];
    value |= (byte & 127) << shift;
    if (byte < 128) break;
  }
  return [value >>> 0, at];
}
