//! `sandman explain`: the story of an event or of a key.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::builder::NonEmptyStringValueParser;
use clap::{ArgGroup, Args};
use indicatif::{ProgressBar, ProgressStyle};

use super::client::{self, HostArgs};
use super::output;
use super::recordings::cpu;
use sandman_core::printable;
use sandman_operate::control::ExplainLine;
use sandman_operate::explain::{FoundRecord, LookedAt, Question, Relation, Story, StoryInvocation};
use sandman_operate::letters::{HeldAs, LetterLine};

const AFTER: &str = "\
EVENT is an eventId, topic/partition/offset, or a correlation id; --key tells
the story of a key. Shows the records in Kafka that belong to it and where each
came from; the recorded invocations with their attempts, state changes and
published events; the dead letters with their reasons and numbers, even if Kafka
no longer has them; and the redrives.

The host reads its recordings and the last --scan records of each partition of
its topics. What it did not read is listed at the end. The handler's `record`
decides which invocations are recorded: every failure, and a sample of the
others. The token needs the scope read-data.

Exit codes:
  0  something was found
  1  nothing was found in the places listed
  2  the command line was wrong
  3  the host could not be asked, or refuses this to this token

Examples:
  sandman explain --key u-1
  sandman explain --key u-1 --scan 100000
  sandman explain 0b5f0c1e-3f0a-4a55-9c8a-0d2f6f1f7a11
  sandman explain dreamscape.user.created/2/1045
  sandman explain journey-7 --json | jq .invocations";

/// Bytes of an invocation's outcome that are shown; `sandman replay` shows all of it.
const REASON: usize = 500;

/// Trace an event: where it came from, what handled it, and what it led to.
#[derive(Args, Debug)]
#[command(after_long_help = format!("{AFTER}\n\n{}", client::FINDS))]
#[command(group(ArgGroup::new("about").required(true).args(["event", "key"])))]
pub(super) struct ExplainArgs {
    /// An eventId, topic/partition/offset, or a correlation id.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    event: Option<String>,

    /// Tell everything about this key.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    key: Option<String>,

    /// How many of the last records of each partition to read from Kafka; 0 reads none.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    scan: u64,

    #[command(flatten)]
    host: HostArgs,

    /// Print the story as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ExplainArgs) -> Result<ExitCode> {
    client::asking(|| {
        let question = Question {
            event: args.event.clone(),
            key: args.key.clone(),
            scan: args.scan,
        };
        let story = asked(args, &question)?;
        let is_empty = is_empty(&story);
        match args.json {
            true => output::json(&story)?,
            false => print(&story),
        }
        Ok(match is_empty {
            true => ExitCode::FAILURE,
            false => ExitCode::SUCCESS,
        })
    })
}

fn asked(args: &ExplainArgs, question: &Question) -> Result<Story> {
    let client = args.host.client()?;
    let body = serde_json::to_vec(question).context("the question cannot be written as JSON")?;
    let mut response = client.post("/v1/explain", ("application/json", &body))?;
    client.refused(&mut response)?;
    // On stderr, and hidden if that is not a terminal.
    let bar = ProgressBar::new(1);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len} topics, {msg}") {
        bar.set_style(style);
    }
    for line in client::lines(&mut response) {
        let line = line?;
        match serde_json::from_str(&line).with_context(|| format!("the host said {line:?}, which is not understood"))? {
            ExplainLine::Looking { topic, done, of } => {
                bar.set_length(of);
                bar.set_position(done);
                bar.set_message(printable::line(&topic, printable::LONGEST).into_owned());
            }
            ExplainLine::Story(story) => {
                bar.finish_and_clear();
                return Ok(story);
            }
            ExplainLine::Error(error) => bail!("{error}"),
        }
    }
    bail!("the host did not finish the story")
}

fn is_empty(story: &Story) -> bool {
    story.records.is_empty() && story.invocations.is_empty() && story.letters.is_empty()
}

fn print(story: &Story) {
    let about = match (&story.question.event, &story.question.key) {
        (Some(event), _) => event.clone(),
        (None, key) => format!("key {}", key.as_deref().unwrap_or_default()),
    };
    output::line(&format!("the story of {}", shown(&about)));
    if is_empty(story) {
        output::line("nothing was found");
    }
    if !story.records.is_empty() {
        output::line("\non Kafka");
    }
    let is_of_key = story.question.key.is_some();
    story.records.iter().for_each(|record| print_record(record, is_of_key));
    if !story.invocations.is_empty() {
        output::line("\nrecorded invocations");
    }
    story.invocations.iter().for_each(print_invocation);
    if !story.letters.is_empty() {
        output::line("\ndead letters in the store");
    }
    story.letters.iter().for_each(print_letter);
    for note in &story.notes {
        output::line(&format!("\n{}", shown(note)));
    }
    output::line("\nlooked at");
    print_looked_at(&story.looked_at);
}

fn print_looked_at(all: &[LookedAt]) {
    let is_plain = |looked: &&LookedAt| looked.read == 0 && looked.not.is_empty();
    let mut last = "";
    for looked in all.iter().filter(|looked| !is_plain(looked)) {
        let not = match looked.not.as_str() {
            "" => String::new(),
            not if not == last => "; the same not looked at".to_owned(),
            not => format!("; not looked at: {not}"),
        };
        last = &looked.not;
        output::line(&shown(&format!("  {}: {}{not}", looked.what, looked.read)));
    }
    let empty: Vec<&str> = all.iter().filter(is_plain).map(|looked| looked.what.as_str()).collect();
    if !empty.is_empty() {
        output::line(&shown(&format!("  nothing in: {}", empty.join(", "))));
    }
}

fn print_letter(letter: &LetterLine) {
    let LetterLine {
        id,
        at,
        handler,
        version,
        code,
        reason,
        redriven,
        ..
    } = letter;
    let place = super::dlq::place(letter);
    let what = match letter.held {
        Some(HeldAs::Behind) => format!("waits for {handler} behind the letter that holds its key"),
        _ => format!("given up by {handler}, version {version}, {code}: {reason}"),
    };
    output::line(&shown(&format!("  {at}  letter {id}: {what}")));
    let redriven = match redriven {
        0 => "never redriven".to_owned(),
        1 => "redriven once, and failed again".to_owned(),
        times => format!("redriven {times} times, and failed again"),
    };
    let held = match letter.held {
        Some(HeldAs::Head) => "; it holds its key, see `sandman dlq release`",
        Some(HeldAs::Behind) => "; see `sandman dlq release`",
        None if letter.ordered => "; it is being redriven",
        None => "",
    };
    output::line(&shown(&format!(
        "      from {place}; {redriven}{held}; sandman dlq show {id}"
    )));
}

fn print_record(record: &FoundRecord, is_of_key: bool) {
    let is = match record.is {
        Relation::Effect if is_of_key => "published",
        Relation::Related if is_of_key => "an event of the key",
        Relation::Itself => "the event",
        Relation::Cause => "its cause",
        Relation::Effect => "published because of it",
        Relation::DeadLetter => "dead letter",
        Relation::Related => "related",
    };
    let at = record.at.as_deref().unwrap_or("-");
    let event_type = record.event_type.as_deref().unwrap_or("no event");
    let place = &record.place;
    output::line(&shown(&format!(
        "  {at}  {is}: {event_type} at {place}, key {}",
        record.key
    )));
    if let Some(first) = &record.again {
        let what = match record.again_given_up {
            true => "which was given up",
            false => "handled once, where the handler's `dedupe` remembers it",
        };
        output::line(&shown(&format!("      the same event as at {first}: {what}")));
    }
    let ids = [
        ("eventId", &record.event_id),
        ("causationId", &record.causation_id),
        ("correlationId", &record.correlation_id),
    ];
    for (name, id) in ids {
        if let Some(id) = id.as_ref().filter(|id| !id.is_empty()) {
            output::line(&shown(&format!("      {name} {id}")));
        }
    }
    print_origin(record);
}

/// The invocation that published the record or gave it up, according to its headers.
fn print_origin(record: &FoundRecord) {
    let said = |name: &str| {
        record
            .says
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    };
    if let Some(reason) = said("reason") {
        let by = [said("handler"), said("version"), said("attempts")].map(|text| text.unwrap_or("-"));
        let [handler, version, attempts] = by;
        let noun = if attempts == "1" { "attempt" } else { "attempts" };
        output::line(&shown(&format!(
            "      given up by {handler}, version {version}, after {attempts} {noun}: {reason}"
        )));
    } else if let Some(trigger) = said("trigger") {
        let by = ["handler", "version", "digest", "attempt", "revision"].map(|name| said(name).unwrap_or("-"));
        let [handler, version, digest, attempt, revision] = by;
        output::line(&shown(&format!(
            "      published by {handler}, version {version} ({digest}), because of {trigger}, attempt {attempt}, state revision {revision}"
        )));
    }
}

fn print_invocation(invocation: &StoryInvocation) {
    let StoryInvocation {
        recording,
        at,
        handler,
        version,
        digest,
        attempt,
        trigger,
        place,
        outcome,
        ..
    } = invocation;
    output::line(&shown(&format!(
        "  {at}  {handler}, version {version} ({digest}), attempt {attempt}: {trigger} from {place}"
    )));
    let letter = match (invocation.letter, invocation.dead_letter) {
        (Some(letter), true) => format!("; a redrive of letter {letter}, which stays"),
        (Some(letter), false) if invocation.outcome.starts_with("failed") => format!("; a redrive of letter {letter}"),
        (Some(letter), false) => format!("; a redrive of letter {letter}, which left the store with it"),
        (None, true) => "; given up, dead letter".to_owned(),
        (None, false) => String::new(),
    };
    output::line(&shown(&format!("      {}{letter}", printable::line(outcome, REASON))));
    for (path, before, after) in &invocation.state {
        let place = if path.is_empty() { "the state" } else { path };
        let text = |text: &str| {
            if text.is_empty() {
                "nothing".to_owned()
            } else {
                text.to_owned()
            }
        };
        output::line(&shown(&format!("        {place}: {} -> {}", text(before), text(after))));
    }
    for (event_type, id, topic) in &invocation.published {
        output::line(&shown(&format!("      published {event_type} {id} to {topic}")));
    }
    let cpu = cpu(invocation.cpu_micros);
    output::line(&format!("      {cpu} of CPU time; sandman replay {recording}"));
}

fn shown(text: &str) -> std::borrow::Cow<'_, str> {
    printable::line(text, usize::MAX)
}
