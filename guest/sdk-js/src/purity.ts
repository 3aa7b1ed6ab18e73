/** Removes impure globals: the time is that of the call, and there is no source of randomness. */

let now: number | undefined;

/** Where a call first scheduled something asynchronous. */
let left: Error | undefined;

/** Runs one call at the given time. Asynchronous work would never run, so it makes the call fail. */
export function at<T>(nowMillis: number, call: () => T): T {
  now = nowMillis;
  left = undefined;
  try {
    const made = call();
    throwIfLeft(left);
    return made;
  } finally {
    now = undefined;
    left = undefined;
  }
}

function throwIfLeft(error: Error | undefined): void {
  if (error !== undefined) throw error;
}

/** Names that exist in Node or browsers but not in QuickJS. */
const ABSENT = (
  "AbortController AbortSignal Atomics Blob BroadcastChannel Buffer ByteLengthQueuingStrategy CompressionStream " +
  "CountQueuingStrategy Crypto CryptoKey CustomEvent DecompressionStream Event EventSource EventTarget File FormData Headers " +
  "Intl MessageChannel MessageEvent MessagePort Navigator Performance PerformanceEntry PerformanceMark PerformanceMeasure " +
  "PerformanceObserver PerformanceObserverEntryList PerformanceResourceTiming ReadableByteStreamController ReadableStream " +
  "ReadableStreamBYOBReader ReadableStreamBYOBRequest ReadableStreamDefaultController ReadableStreamDefaultReader Request " +
  "Response Storage SubtleCrypto TextDecoder TextDecoderStream TextEncoder TextEncoderStream TransformStream " +
  "TransformStreamDefaultController URL URLSearchParams WebAssembly WritableStream WritableStreamDefaultController " +
  "WritableStreamDefaultWriter clearImmediate clearInterval clearTimeout document global localStorage navigator process " +
  "require self structuredClone window"
).split(" ");

/** A hint for an error about an undefined name, if Node has this name. */
export function hintFor(error: Error): string {
  const name = /^'?(\w+)'? is not defined$/.exec(error.message)?.[1];
  if (error.name !== "ReferenceError" || name === undefined || !ABSENT.includes(name)) return "";
  return `; ${name} is Node's or a browser's, and a component has none`;
}

/** Removes what exists in Node but not in a component; returns a function that restores it. */
export function hide(): () => void {
  const hidden = ABSENT.flatMap((name) => {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    return before?.configurable === true && Reflect.deleteProperty(globalThis, name) ? [{ name, before }] : [];
  });
  return () => {
    for (const { name, before } of hidden) Object.defineProperty(globalThis, name, before);
  };
}

function time(who: string): number {
  if (now === undefined) {
    throw new Error(`${who} has no time while the module is loaded: time is that of a call, context.nowMillis`);
  }
  return now;
}

function absent(who: string, why: string): () => never {
  return () => {
    throw new Error(`${who} is not available: ${why}`);
  };
}

const PURE = "a handler is pure, and the same trigger gives the same outcome";
const RANDOM = `${PURE}; derive what you need from event.eventId or from the key`;
const LATER = `${PURE} at once; ask to be called again with retry(), or emit an event`;
const ELSEWHERE = `${PURE} on every machine; emit an event, and let another service do it`;

function pureDate(Real: DateConstructor): DateConstructor {
  function PureDate(this: unknown, ...given: unknown[]): unknown {
    if (new.target === undefined) return new Real(time("Date()")).toString();
    return Reflect.construct(Real, given.length === 0 ? [time("new Date()")] : given, new.target);
  }
  PureDate.now = () => time("Date.now()");
  PureDate.parse = Real.parse;
  PureDate.UTC = Real.UTC;
  Object.defineProperty(PureDate, "length", { value: 7 });
  Object.defineProperty(PureDate, "name", { value: "Date" });
  PureDate.prototype = Real.prototype;
  return PureDate as unknown as DateConstructor;
}

/** Replaces impure globals; returns a function that restores them. */
export function install(console: unknown): () => void {
  const undo: (() => void)[] = [];
  const set = (holder: object, name: string, value: unknown) => {
    const before = Object.getOwnPropertyDescriptor(holder, name);
    Object.defineProperty(holder, name, { value, writable: true, configurable: true, enumerable: before?.enumerable ?? false });
    undo.push(() => {
      if (before === undefined) Reflect.deleteProperty(holder, name);
      else Object.defineProperty(holder, name, before);
    });
  };
  const Real = Date;
  set(globalThis, "Date", pureDate(Real));
  set(Real.prototype, "constructor", globalThis.Date);
  set(Math, "random", absent("Math.random()", RANDOM));
  set(globalThis, "performance", { now: () => time("performance.now()"), timeOrigin: 0 });
  set(globalThis, "crypto", {
    getRandomValues: absent("crypto.getRandomValues()", RANDOM),
    randomUUID: absent("crypto.randomUUID()", RANDOM),
  });
  for (const name of ["setTimeout", "setInterval", "setImmediate", "queueMicrotask", "requestAnimationFrame"]) {
    set(globalThis, name, absent(`${name}()`, LATER));
  }
  for (const name of ["fetch", "XMLHttpRequest", "WebSocket"]) set(globalThis, name, absent(`${name}()`, ELSEWHERE));
  const then = Promise.prototype.then;
  set(Promise.prototype, "then", function (this: Promise<unknown>, ...given: Parameters<typeof then>) {
    if (now !== undefined) {
      left ??= new Error("a promise is waited for, by await or then(), and what follows never runs: a handler decides at once");
    }
    return Reflect.apply(then, this, given);
  });
  // Garbage collection happens at different times in different instances.
  for (const name of ["WeakRef", "FinalizationRegistry"]) set(globalThis, name, undefined);
  if (console !== undefined) set(globalThis, "console", console);
  return () => {
    while (undo.length > 0) undo.pop()?.();
  };
}
