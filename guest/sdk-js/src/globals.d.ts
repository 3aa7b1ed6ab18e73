/** The globals of a component in addition to the language. With `"types": ["sandman-sdk/globals"]` in `tsconfig.json`, TypeScript knows these and none of Node's. */

/** The handler's log; `log` of `sandman-sdk` is the same. */
declare var console: {
  trace(...values: unknown[]): void;
  debug(...values: unknown[]): void;
  log(...values: unknown[]): void;
  info(...values: unknown[]): void;
  warn(...values: unknown[]): void;
  error(...values: unknown[]): void;
};

/** The time of the call, as in `Date`. */
declare var performance: { now(): number; readonly timeOrigin: number };

/** Decodes base64 into bytes, one per character. */
declare function atob(text: string): string;
/** Encodes bytes, one per character, as base64. */
declare function btoa(bytes: string): string;
