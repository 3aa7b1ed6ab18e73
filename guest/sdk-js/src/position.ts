/** Where in the guest's sources an exception came from. The build leaves the bundle's source map in the component. */

interface SourceMap {
  readonly sources: readonly string[];
  readonly mappings: string;
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** The numbers of one segment: base 64, five bits a digit, the least first, the sign in the lowest bit. */
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

/** The place in the sources of a place in the bundle, both from 1. */
export function original(map: SourceMap, line: number, column: number): string | undefined {
  let [source, sourceLine, sourceColumn] = [0, 0, 0];
  let found: string | undefined;
  for (const [at, segments] of map.mappings.split(";").entries()) {
    let generated = 0;
    for (const segment of segments.split(",")) {
      const [step = 0, toSource, toLine = 0, toColumn = 0] = numbers(segment);
      generated += step;
      if (toSource === undefined) continue;
      source += toSource;
      sourceLine += toLine;
      sourceColumn += toColumn;
      if (at === line - 1 && generated <= column - 1) {
        found = `${map.sources[source]}:${sourceLine + 1}:${sourceColumn + 1}`;
      }
    }
    if (at === line - 1) return found;
  }
  return found;
}

/** The places in the sources of an error's stack, the innermost first. */
function placesOf(error: unknown, map: SourceMap | undefined): string[] {
  const stack = error instanceof Error ? (error.stack ?? "") : "";
  const places: string[] = [];
  for (const [, line, column] of stack.matchAll(/:(\d+):(\d+)\)?$/gm)) {
    const place = map === undefined ? undefined : original(map, Number(line), Number(column));
    if (place !== undefined) places.push(place);
  }
  return places;
}

/**
 * The first place of a stack, or else of its cause's, that is in the guest's own sources; else the first in a package. A place in
 * the SDK tells a guest's author nothing.
 */
export function placeOf(error: unknown, map: SourceMap | undefined): string {
  const places = [...placesOf(error, map), ...placesOf(error instanceof Error ? error.cause : undefined, map)];
  const foreign = places.filter((place) => !place.startsWith("sandman-sdk/") && !place.startsWith("<"));
  return foreign.find((place) => !place.includes("node_modules/")) ?? foreign[0] ?? "";
}
