/** Puts what is not pure out of a handler's reach: the time is that of the call, and there is no random source. */

let now: number | undefined;

/** Runs one call, at a time. */
export function at<T>(nowMillis: number, call: () => T): T {
  now = nowMillis;
  try {
    return call();
  } finally {
    now = undefined;
  }
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

/** Replaces the globals that are not pure; returns what puts them back. */
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
  // When something is collected differs from one instance to the next.
  for (const name of ["WeakRef", "FinalizationRegistry"]) set(globalThis, name, undefined);
  if (console !== undefined) set(globalThis, "console", console);
  return () => {
    while (undo.length > 0) undo.pop()?.();
  };
}
