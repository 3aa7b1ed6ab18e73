//! What a language's runtime would ask the world for: the time is the call's, and everything else is a failure that says what to
//! do instead, with its place. So is what would end a call without a word.

use anyhow::{Context, ensure};
use sandman_tests::{Newcomer, Result, World};
use serde_json::Value;

const EVENT: &str = "shop/events/created.json";

/// A guest that does what the user's id in the event says.
struct Asked<'a> {
    lang: &'a str,
    handler: &'a str,
    /// Changes of the new guest.
    edits: &'a [(&'a str, &'a str)],
    /// Ids, and the words with which each call fails.
    fails: &'a [(&'a str, &'a [&'a str])],
}

impl Asked<'_> {
    /// Builds the guest once, has it fail at each of these within one host, and asks it for the time.
    fn run(&self, world: &World) -> Result {
        let newcomer = Newcomer::in_folder(world)?;
        newcomer.does(&["new", "shop", "--lang", self.lang])?;
        for (from, to) in self.edits {
            newcomer.edit(self.handler, from, to)?;
        }
        newcomer.edit(
            "sandman.toml",
            "[handlers.shop]",
            "[handlers.shop]\nretry = { attempts = 1 }",
        )?;
        let dev = newcomer.dev(&[])?;
        dev.shows(&["out ", "user.seen", "u-1"])?;
        for (id, words) in self.fails {
            newcomer.edit(EVENT, "u-1", id)?;
            let shown = [&["dead ", "user.created", id][..], words].concat();
            dev.shows(&shown).with_context(|| (*id).to_owned())?;
            newcomer.edit(EVENT, id, "u-1")?;
        }
        dev.interrupt()?;

        newcomer.edit(EVENT, "u-1", "clock")?;
        let told = newcomer.does(&["invoke", "shop", "--event", EVENT, "--now", "1735689600123", "--json"])?;
        let told: Value = serde_json::from_str(&told)?;
        ensure!(told["state"]["document"]["times"] == 1_735_689_600_123_i64, "{told}");
        Ok(())
    }
}

pub(super) fn typescript(world: &World) -> Result {
    const CASES: &str = r#"let times = (state?.times ?? 0) + 1;
      switch (userId) {
        case "a-random": times = Math.floor(Math.random() * 10); break;
        case "a-timer": (globalThis as unknown as { setTimeout(call: () => void): void }).setTimeout(() => {}); break;
        case "a-then": void Promise.resolve(1).then(() => log.info("then ran")); break;
        case "an-await": void (async () => { await Promise.resolve(1); log.info("went on"); })(); break;
        case "an-intl": new Intl.NumberFormat(); break;
        case "a-cause": throw new Error("outer", { cause: new TypeError("inner") });
        case "an-object": throw { odd: true };
        case "a-heap": return 3 as never;
        case "clock": times = Date.now() + new Date().getTime() - performance.now(); break;
      }"#;
    Asked {
        lang: "ts",
        handler: "shop/src/handler.ts",
        edits: &[("const times = (state?.times ?? 0) + 1;", CASES)],
        fails: &[
            (
                "a-random",
                &["src/handler.ts:27:", "Math.random() is not available", "event.eventId"],
            ),
            (
                "a-timer",
                &["src/handler.ts:28:", "setTimeout() is not available", "retry()"],
            ),
            ("a-then", &["src/handler.ts:29:", "what follows never runs"]),
            ("an-await", &["src/handler.ts:30:", "what follows never runs"]),
            ("an-intl", &["src/handler.ts:31:", "Intl is Node's or a browser's"]),
            (
                "a-cause",
                &["src/handler.ts:32:", "Error: outer; caused by TypeError: inner"],
            ),
            ("an-object", &["panicked: {\"odd\":true}"]),
            (
                "a-heap",
                &["panicked: TypeError: on[\"user.created\"] returned something"],
            ),
        ],
    }
    .run(world)
}

/// What is kept from one call to the next shows where instances are reused; there is no time while a module is loaded.
pub(super) fn kept(world: &World) -> Result {
    let handler = "shop/src/handler.ts";
    let newcomer = Newcomer::in_folder(world)?;
    newcomer.does(&["new", "shop", "--lang", "ts"])?;
    newcomer.edit(handler, "export default", "const began = Date.now();\n\nexport default")?;
    let ended = newcomer.sandman(&["build", "shop"])?;
    ended.says(1, &["has no time while the module is loaded", "src/handler.ts:17:"])?;

    newcomer.edit(handler, "const began = Date.now();", "let calls = 0;")?;
    newcomer.edit(handler, "(state?.times ?? 0) + 1;", "(calls += 1);")?;
    newcomer.edit("sandman.toml", "emits =", "instances = \"reused\"\nemits =")?;
    newcomer.does(&["build", "shop"])?;
    let differs = "the state is {\"times\":1}, and then {\"times\":2}";
    let ended = newcomer.sandman(&["check"])?;
    ended.says(1, &["not pure", "user.created 1.0", differs])?;
    // The developer's loop waits for one that is.
    let dev = newcomer.dev(&[])?;
    dev.complains(&["not pure", differs])?;
    dev.complains(&["waiting for a change in"])?;
    newcomer.edit(handler, "(calls += 1);", "calls + 1;")?;
    dev.shows(&["out ", "user.seen", "\"times\":1"])?;
    dev.interrupt().map(drop)
}

pub(super) fn python(world: &World) -> Result {
    const COUNT: &str = "    times = (state.times if state else 0) + 1\n";
    const CASES: &str = r#"    times = (state.times if state else 0) + 1
    match event.payload.user_id:
        case "a-random":
            times = random.randrange(9)
        case "a-uuid":
            times = uuid.uuid4().int
        case "a-file":
            times = len(open("/etc/passwd").read())
        case "an-import":
            times = __import__("wave").WAVE_FORMAT_PCM
        case "a-missing":
            times = {}["nothing"]
        case "an-asyncio":
            asyncio.run(later())
        case "an-exit":
            os._exit(3)
        case "a-later":
            return later()
        case "clock":
            time.sleep(9)
            times = int(datetime.datetime.now(datetime.timezone.utc).timestamp() * 1000 + 0.5)
"#;
    Asked {
        lang: "py",
        handler: "shop/handler.py",
        edits: &[
            (
                "from dataclasses import dataclass\n",
                "import asyncio, datetime, os, random, time, uuid\nfrom dataclasses import dataclass\n",
            ),
            (
                "@on(\"user.created\"",
                "async def later():\n    pass\n\n\n@on(\"user.created\"",
            ),
            (COUNT, CASES),
        ],
        fails: &[
            (
                "a-random",
                &["panicked at handler.py:50", "ImpureError", "random.Random(seed)"],
            ),
            ("a-uuid", &["os.urandom()", "the event's id"]),
            ("a-file", &["there are no files in a call"]),
            ("an-import", &["import it at the top of a module"]),
            ("a-missing", &["panicked at handler.py:58: KeyError: 'nothing'"]),
            (
                "an-asyncio",
                &[
                    "panicked at handler.py:60",
                    "asyncio.new_event_loop()",
                    "nothing to wait for",
                ],
            ),
            (
                "an-exit",
                &["panicked at handler.py:62", "os._exit()", "decides by what it returns"],
            ),
            ("a-later", &["created returns put", "must not be async"]),
        ],
    }
    .run(world)
}

pub(super) fn go(world: &World) -> Result {
    const CASES: &str = r#"seen := Seen{Times: 1}
	switch event.Payload.UserID {
	case "a-rand":
		seen.Times = uint64(rand.Int())
	case "a-second":
		seen.Times = randv2.Uint64()
	case "a-crypto":
		seen.Times = uint64(len(crypto.Text()))
	case "a-file":
		_, err := os.ReadFile("x")
		return nil, err
	case "a-network":
		_, err := net.Dial("tcp", "10.0.0.1:80")
		return nil, err
	case "a-deadlock":
		<-make(chan int)
	case "a-goroutine":
		go func() { panic("beside it") }()
		time.Sleep(1)
	case "an-exit":
		os.Exit(3)
	case "a-map":
		var none map[string]int
		none["a"] = 1
	case "clock":
		time.Sleep(9 * time.Hour)
		seen.Times = uint64(time.Now().UnixMilli())
	}"#;
    const IMPORTS: &str = r#"import (
	crypto "crypto/rand"
	"math/rand"
	randv2 "math/rand/v2"
	"net"
	"os"
	"time"

	sandman "sandman/sdk"
)"#;
    Asked {
        lang: "go",
        handler: "shop/handler.go",
        edits: &[
            ("import sandman \"sandman/sdk\"", IMPORTS),
            ("seen := Seen{Times: 1}", CASES),
        ],
        fails: &[
            (
                "a-rand",
                &[
                    "panicked at shop/handler.go:48",
                    "math/rand",
                    "rand.New with a source that you seed",
                ],
            ),
            ("a-second", &["math/rand", "rand.New with a source that you seed"]),
            (
                "a-crypto",
                &["panicked at shop/handler.go:52", "crypto/rand", "the event's ID"],
            ),
            ("a-file", &["open x: a handler has no files", "go:embed"]),
            ("a-network", &["a handler has no network", "emit an event"]),
            (
                "a-deadlock",
                &[
                    "panicked at shop/handler.go:60",
                    "all goroutines are asleep - deadlock!",
                ],
            ),
            ("a-goroutine", &["panicked at shop/handler.go:62", "panic: beside it"]),
            (
                "an-exit",
                &["panicked at shop/handler.go:65", "os.Exit", "sandman.Reject"],
            ),
            (
                "a-map",
                &["panicked at shop/handler.go:68: assignment to entry in nil map"],
            ),
        ],
    }
    .run(world)
}
