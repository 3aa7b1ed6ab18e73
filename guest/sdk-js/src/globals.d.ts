/** What a component has beside the language: `"types": ["sandman-sdk/globals"]` in a `tsconfig.json` knows this and nothing of Node's. */

/** The handler's log; `log` of `sandman-sdk` is the same. */
declare var console: {
  trace(...values: unknown[]): void;
  debug(...values: unknown[]): void;
  log(...values: unknown[]): void;
  info(...values: unknown[]): void;
  warn(...values: unknown[]): void;
  error(...values: unknown[]): void;
};

/** The time of the call, as `Date` has it. */
declare var performance: { now(): number; readonly timeOrigin: number };

/** Bytes, one a character, of base 64. */
declare function atob(text: string): string;
/** Base 64 of bytes, one a character. */
declare function btoa(bytes: string): string;
