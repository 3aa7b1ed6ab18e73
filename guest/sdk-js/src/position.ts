/** Finds the source location of an exception. The build stores the bundle's source map in the component. */

/** What the build knows of the bundle: the sources, and where each segment of it comes from, relative to the segment before. */
export interface SourceMap {
  readonly sources: readonly string[];
  readonly mappings: string;
}

/** A source map in which a line can be looked up alone: decoding all of it takes longer than a call may. */
export interface Positions extends SourceMap {
  /** For each line of the bundle: where it begins in the mappings, and the source, line and column that its first segment is relative to. */
  readonly lines: Int32Array;
}

const FIELDS = 4;

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** The numbers of one segment: base64, five bits per digit, least significant first, with the sign in the lowest bit. */
function numbers(segment: string): number[] {
  const found: number[] = [];
  let value = 0;
  let shift = 0;
  for (const digit of segment) {
    const bits = DIGITS.indexOf(digit);
    value += (bits & 31) << shift;
    if ((bits & 32) !== 0) {
      shift += 5;
      continue;
    }
    found.push((value & 1) === 1 ? -(value >> 1) : value >> 1);
    value = shift = 0;
  }
  return found;
}

/** Decodes the source map once, while the module is loaded, so that no call has to. */
export function positions({ sources, mappings }: SourceMap): Positions {
  const lines = mappings.split(";");
  const found = new Int32Array(lines.length * FIELDS);
  let [at, source, sourceLine, sourceColumn] = [0, 0, 0, 0];
  for (const [index, segments] of lines.entries()) {
    found.set([at, source, sourceLine, sourceColumn], index * FIELDS);
    at += segments.length + 1;
    for (const segment of segments.split(",")) {
      const [, toSource = 0, toLine = 0, toColumn = 0] = numbers(segment);
      source += toSource;
      sourceLine += toLine;
      sourceColumn += toColumn;
    }
  }
  return { sources, mappings, lines: found };
}

/** Maps a position in the bundle to a position in the sources, both starting at 1. */
export function original(map: Positions, line: number, column: number): string | undefined {
  const start = (line - 1) * FIELDS;
  if (start < 0 || start >= map.lines.length) return undefined;
  const [at = 0, ...from] = map.lines.subarray(start, start + FIELDS);
  let [source = 0, sourceLine = 0, sourceColumn = 0] = from;
  const end = map.mappings.indexOf(";", at);
  let found: string | undefined;
  let generated = 0;
  for (const segment of map.mappings.slice(at, end < 0 ? undefined : end).split(",")) {
    const [step = 0, toSource, toLine = 0, toColumn = 0] = numbers(segment);
    generated += step;
    if (generated > column - 1) break;
    if (toSource === undefined) continue;
    source += toSource;
    sourceLine += toLine;
    sourceColumn += toColumn;
    found = `${map.sources[source]}:${sourceLine + 1}:${sourceColumn + 1}`;
  }
  return found;
}

/** The source locations of an error's stack, innermost first. */
function placesOf(error: unknown, map: Positions | undefined): string[] {
  const stack = error instanceof Error ? (error.stack ?? "") : "";
  const places: string[] = [];
  for (const [, line, column] of stack.matchAll(/:(\d+):(\d+)\)?$/gm)) {
    const place = map === undefined ? undefined : original(map, Number(line), Number(column));
    if (place !== undefined) places.push(place);
  }
  return places;
}

/**
 * The first location in the stack, or in its cause's stack, that is in the guest's own sources; otherwise the first in a package. Locations in
 * the SDK do not help the guest's author.
 */
export function placeOf(error: unknown, map: Positions | undefined): string {
  const places = [...placesOf(error, map), ...placesOf(error instanceof Error ? error.cause : undefined, map)];
  const foreign = places.filter((place) => !place.startsWith("sandman-sdk/") && !place.startsWith("<"));
  return foreign.find((place) => !place.includes("node_modules/")) ?? foreign[0] ?? "";
}
