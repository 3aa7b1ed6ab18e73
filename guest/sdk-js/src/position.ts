/** Finds the source location of an exception. The build stores the bundle's source map in the component. */

interface SourceMap {
  readonly sources: readonly string[];
  readonly mappings: string;
}

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

/** Maps a position in the bundle to a position in the sources, both starting at 1. */
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

/** The source locations of an error's stack, innermost first. */
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
 * The first location in the stack, or in its cause's stack, that is in the guest's own sources; otherwise the first in a package. Locations in
 * the SDK do not help the guest's author.
 */
export function placeOf(error: unknown, map: SourceMap | undefined): string {
  const places = [...placesOf(error, map), ...placesOf(error instanceof Error ? error.cause : undefined, map)];
  const foreign = places.filter((place) => !place.startsWith("sandman-sdk/") && !place.startsWith("<"));
  return foreign.find((place) => !place.includes("node_modules/")) ?? foreign[0] ?? "";
}
