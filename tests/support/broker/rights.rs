//! Rights of the user that hosts log in as, on a broker that has users. They are asked of Kafka in its own words, since the
//! client library's wrapper has no request for them.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, ensure};

use crate::Result;

/// The user, who has no right but what is granted.
pub const USER: &str = "host";
/// The user's password.
pub const PASSWORD: &str = "host-secret";

/// What a right is about, by its number in the protocol.
#[derive(Clone, Copy, Debug)]
pub enum Resource {
    /// A topic.
    Topic = 2,
    /// A consumer group.
    Group = 3,
    /// A transactional id.
    TransactionalId = 5,
}

/// What one may do, by its number in the protocol.
#[derive(Clone, Copy, Debug)]
pub enum Operation {
    /// Everything.
    All = 2,
    /// Read.
    Read = 3,
    /// Write.
    Write = 4,
}

/// The requests, in the one version that older and newer brokers understand.
const CREATE_ACLS: i16 = 30;
const DELETE_ACLS: i16 = 31;
const VERSION: i16 = 1;
/// A name as it is, and all that begin with it.
const LITERAL: u8 = 3;
const PREFIXED: u8 = 4;
/// What goes before what is granted, and a grant.
const DENY: u8 = 2;
const ALLOW: u8 = 3;

/// Grants the user everything on all that begins with the name.
pub(super) fn grant(broker: &str, of: Resource, prefix: &str) -> Result {
    let acl = acl((of, prefix, PREFIXED), Operation::All, ALLOW);
    one(&ask(broker, CREATE_ACLS, &acl)?)
}

/// Takes a right on a topic away, whatever is granted.
pub(super) fn deny(broker: &str, topic: &str, operation: Operation) -> Result {
    let acl = acl((Resource::Topic, topic, LITERAL), operation, DENY);
    one(&ask(broker, CREATE_ACLS, &acl)?)
}

/// Gives back what was taken away.
pub(super) fn deny_no_more(broker: &str, topic: &str, operation: Operation) -> Result {
    let acl = acl((Resource::Topic, topic, LITERAL), operation, DENY);
    one(&ask(broker, DELETE_ACLS, &acl)?)
}

/// An array of one right; as a filter it means that one.
fn acl((of, name, pattern): (Resource, &str, u8), operation: Operation, permission: u8) -> Vec<u8> {
    let mut acl = vec![0, 0, 0, 1, of as u8];
    acl.extend(text(name));
    acl.push(pattern);
    acl.extend(text(&format!("User:{USER}")));
    acl.extend(text("*"));
    acl.extend([operation as u8, permission]);
    acl
}

/// Both answers begin with the throttle time, the number of results, and the first one's code.
fn one(answer: &[u8]) -> Result {
    ensure!(
        answer.get(4..10) == Some(&[0, 0, 0, 1, 0, 0]),
        "it is refused: {answer:?}"
    );
    Ok(())
}

fn text(text: &str) -> Vec<u8> {
    let length = i16::try_from(text.len()).unwrap_or(i16::MAX);
    [&length.to_be_bytes(), text.as_bytes()].concat()
}

/// Sends a request and returns the answer's body.
fn ask(broker: &str, request: i16, body: &[u8]) -> Result<Vec<u8>> {
    let correlation = [0, 0, 0, 7];
    let mut message = [request.to_be_bytes(), VERSION.to_be_bytes()].concat();
    message.extend(correlation);
    message.extend(text("tests"));
    message.extend(body);
    let mut stream = TcpStream::connect(broker).with_context(|| format!("nobody listens at {broker}"))?;
    let length = u32::try_from(message.len())?;
    stream.write_all(&[length.to_be_bytes().as_slice(), &message].concat())?;
    let mut length = [0; 4];
    stream.read_exact(&mut length).context("the broker hangs up")?;
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer)?;
    ensure!(answer.starts_with(&correlation), "not the answer: {answer:?}");
    Ok(answer.split_off(correlation.len()))
}
