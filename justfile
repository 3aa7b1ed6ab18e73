# `just` lists the recipes; each is what one would type.

default:
    @just --list

# Everything that must hold before a change lands.
ci:
    .ci/run

# All tests, on a real Kafka where Java and Maven are there.
test *arguments:
    cargo test {{arguments}}

# The behaviour tests alone, or those whose name contains FILTER.
behaviour *filter:
    cargo test -p sandman-tests --test behaviour -- {{filter}}

# The same with the stores of single hosts on PostgreSQL instead of in a file. CI does so with a chosen few.
behaviour-postgres *filter:
    SANDMAN_TEST_DATABASE=postgres cargo test -p sandman-tests --test behaviour -- {{filter}}

# Formatting, lints and documentation.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# The torture scenarios in full, hours of them; `just torture --list` names them, `just torture --scenario crash` runs some.
torture *arguments:
    cargo run --release -p sandman-tests --bin torture -- {{arguments}}

# Lints and renders the Helm chart, and puts what it tells a host to `sandman check`. Builds helm once into target/tools where it is
# not installed: two minutes of CPU time.
chart:
    command -v helm >/dev/null || [ -x target/tools/bin/helm ] || GOBIN="$PWD/target/tools/bin" go install helm.sh/helm/v3/cmd/helm@v3.22.0
    cargo build --bin sandman
    HELM=$(command -v helm || echo "$PWD/target/tools/bin/helm") SANDMAN="$PWD/target/debug/sandman" deploy/helm/check

# Advisories, licences and sources of the dependencies (needs cargo-deny).
deny:
    cargo deny check

# A fuzz target under libFuzzer, until it finds something; `just fuzz tokens -max_total_time=60` ends by itself. Needs cargo-fuzz
# and a nightly toolchain. What it learns stays in target/fuzz; what is worth keeping goes to tests/fuzz/corpus by hand.
fuzz target *arguments:
    cp Cargo.lock tests/fuzz/Cargo.lock
    mkdir -p target/fuzz/corpus/{{target}}
    cargo +nightly fuzz run --fuzz-dir tests/fuzz --target-dir target/fuzz --sanitizer none {{target}} \
        target/fuzz/corpus/{{target}} tests/fuzz/corpus/{{target}} -- {{arguments}}

# What the work of a handler costs, beside Kafka Streams, KafkaJS and plain Rust in the same run; `just bench stateful` is one case of
# it, `just bench stateful --events 100000 --only reused,streams` less of that. `just bench --help` names the cases.
bench *arguments:
    cargo build --release --workspace --bins
    target/release/bench {{arguments}}

# From a save to the new version that serves in `sandman dev`, three times in each language.
save-to-live *languages="rust ts go py":
    cargo build --release --bin sandman
    for language in {{languages}}; do tests/bench/save_to_live.sh target/release/sandman $language; done

# What HTTP can take.
http-load:
    cargo run --release -p sandman-tests --bin http_load

# The steps of an event's path by themselves; `just micro attempt` is one of them.
micro *arguments:
    cargo bench --workspace --bench micro -- {{arguments}}

# Where the host's CPU time goes (needs perf): the release build with line tables under a case of the bench.
profile *arguments="stateful --only reused --rounds 1 --seconds 0":
    cargo build --profile profiling --workspace --bins
    perf record --call-graph fp -o target/perf.data target/profiling/bench {{arguments}}
    perf report -i target/perf.data --comm sandman --no-children --sort symbol --stdio | head -150

# A component from a guest's folder.
build dir:
    cargo run --release -- build {{dir}}

# What Kafka's Java client makes of a thousand keys: the fixture of a behaviour test.
murmur2:
    java -cp 'target/kafka/jars/*' tests/kafka/Murmur2.java > tests/kafka/murmur2.tsv

# Writes docs/evidence.md from the saved reports of torture runs.
evidence:
    cargo run -p sandman-tests --bin torture -- --evidence tests/torture/reports/*.json > docs/evidence.md

# The WIT package as a file to be published: `wkg publish target/sandman-handler.wasm`.
wit-package:
    cargo run -p sandman --example wit_package -- target/sandman-handler.wasm
