//! `sandman hosts`: the hosts of the deployment with their versions and partitions, and when each was last seen.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::client::{self, HostArgs};
use super::output;
use sandman_operate::hosts::{HostLine, configured_otherwise};

const AFTER: &str = "\
On PostgreSQL, any host of a deployment knows all of them; on SQLite there is
one. SEEN is the time since the host's last heartbeat, which it sends once a
second; after 10 seconds of silence it counts as gone. SHARDS lists the outbox
shards that the host publishes, PARTITIONS how many partitions it consumes,
HANDLERS the version of each handler that it serves, with `!` if the active
version does not load there. LAG is the number of records that all handlers have
still to handle, as that host sees it.

Exit codes:
  0  it worked
  1  the host refused
  2  the command line was wrong
  3  the host could not be asked

Examples:
  sandman hosts
  sandman hosts --json | jq '.[] | select(.live) | {name, shards}'";

/// Show the hosts of the deployment: partitions, shards, versions, lag, and when each was last seen.
#[derive(Args, Debug)]
#[command(after_long_help = format!("{AFTER}\n\n{}", client::FINDS))]
pub(super) struct HostsArgs {
    #[command(flatten)]
    host: HostArgs,

    /// Print everything as JSON: name, live, asked, silentMillis, shards, sandman, admin, configuration, handlers.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &HostsArgs) -> Result<ExitCode> {
    client::asking(|| {
        let hosts: Vec<HostLine> = args.host.client()?.get("/v1/hosts")?;
        client::show(args.json, &hosts, |hosts| print(hosts))?;
        Ok(ExitCode::SUCCESS)
    })
}

fn print(hosts: &[HostLine]) {
    let head = [
        "NAME",
        "SEEN",
        "SHARDS",
        "PARTITIONS",
        "LAG",
        "HANDLERS",
        "ADMIN",
        "SANDMAN",
    ];
    let rows: Vec<_> = hosts.iter().map(row).collect();
    client::table(head, &rows);
    for host in hosts {
        for handler in &host.report.handlers {
            if let Some(unable) = handler
                .unable
                .as_ref()
                .filter(|unable| unable.since_millis > handler.since_millis)
            {
                let (host, name, version) = (&host.name, &handler.name, unable.version);
                output::line(&format!(
                    "{host}: {name}: version {version} does not load: {}",
                    unable.reason
                ));
            }
        }
    }
    let others = configured_otherwise(hosts);
    if !others.is_empty() {
        let others = others.join(", ");
        output::line(&format!(
            "warning: handlers or routes are configured otherwise than on the host that was asked: {others}; see \
             `sandman reload`"
        ));
    }
}

fn row(host: &HostLine) -> [String; 8] {
    let list = |words: Vec<String>| match words.is_empty() {
        true => "-".to_owned(),
        false => words.join(","),
    };
    let handlers = &host.report.handlers;
    let seconds = host.silent_millis / 1_000;
    let seen = match host.live {
        true => format!("{seconds} s ago"),
        false => format!("gone, {seconds} s ago"),
    };
    let lag: u64 = handlers.iter().filter_map(|handler| handler.lag).sum();
    let versions = handlers.iter().map(|handler| {
        let unable = handler.unable.as_ref();
        let mark = if unable.is_some_and(|unable| unable.since_millis > handler.since_millis) {
            "!"
        } else {
            ""
        };
        format!("{}@{}{mark}", handler.name, handler.version)
    });
    let partitions: usize = handlers.iter().map(|handler| handler.partitions.len()).sum();
    [
        host.name.clone(),
        seen,
        list(host.shards.iter().map(ToString::to_string).collect()),
        partitions.to_string(),
        lag.to_string(),
        list(versions.collect()),
        host.report.admin.clone(),
        host.report.sandman.clone(),
    ]
}
