//! W3C Trace Context (Recommendation of 2021): `traceparent` and `tracestate`, parsed strictly and written again.

/// Members of a `tracestate`, at most; with more of them all of it is dropped.
const MEMBERS: usize = 32;
/// Characters of a `tracestate` that are propagated: the minimum of the recommendation.
const LONGEST_STATE: usize = 512;
/// Members longer than this are dropped first if a `tracestate` is too long.
const LARGE_MEMBER: usize = 128;
/// Characters of a `traceparent` of version 00.
const LENGTH: usize = 55;
/// The one flag that the recommendation defines: the caller may have recorded the trace.
const SAMPLED: u8 = 1;

/// The trace that a trigger belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: u128,
    sampled: bool,
    state: Option<String>,
}

impl TraceContext {
    /// The context in the values of all headers `traceparent` and `tracestate`, in their order; `None` where there is no
    /// valid one.
    pub fn read<'a, P, S>(parents: P, states: S) -> Option<Self>
    where
        P: IntoIterator<Item = &'a [u8]>,
        S: IntoIterator<Item = &'a [u8]>,
    {
        let mut parents = parents.into_iter();
        let (first, second) = (parents.next()?, parents.next());
        let (trace_id, sampled) = parent(first).filter(|_| second.is_none())?;
        let state = state(states);
        Some(Self {
            trace_id,
            sampled,
            state,
        })
    }

    /// A trace that begins here.
    pub fn new(trace_id: u128) -> Self {
        Self {
            trace_id,
            sampled: true,
            state: None,
        }
    }

    /// The `traceparent` of a span of this trace, in version 00.
    pub fn traceparent(&self, span: u64) -> String {
        format!("00-{:032x}-{span:016x}-{:02x}", self.trace_id, u8::from(self.sampled))
    }

    /// The `tracestate`, if there is one.
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

/// The trace id, and whether it is sampled.
fn parent(value: &[u8]) -> Option<(u128, bool)> {
    let text = std::str::from_utf8(value).ok()?;
    let text = text.trim_matches([' ', '\t']);
    let (known, further) = text.split_at_checked(LENGTH)?;
    let mut parts = known.split('-');
    let version = hex(parts.next()?, 2)?;
    let trace_id = hex(parts.next()?, 32)?;
    let span = hex(parts.next()?, 16)?;
    let flags = hex(parts.next()?, 2)?;
    // A later version may have more fields after a dash; this one has not.
    let ends = parts.next().is_none() && (further.is_empty() || (version != 0 && further.starts_with('-')));
    let is_valid = ends && version != 0xff && trace_id != 0 && span != 0;
    is_valid.then_some((trace_id, flags & u128::from(SAMPLED) != 0))
}

fn hex(text: &str, length: usize) -> Option<u128> {
    let is_hex = text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_hex.then(|| u128::from_str_radix(text, 16).ok())?
}

/// The members of all headers as one text; `None` if there are none, or one of them is not valid.
fn state<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Option<String> {
    let mut members = Vec::new();
    for value in values {
        let text = std::str::from_utf8(value).ok()?;
        for member in text.split(',').map(|member| member.trim_matches([' ', '\t'])) {
            if member.is_empty() {
                continue;
            }
            if !is_member(member) || members.len() == MEMBERS {
                return None;
            }
            members.push(member);
        }
    }
    let mut length = members.iter().map(|member| member.len() + 1).sum::<usize>();
    // Commas are only between the members.
    let is_over = |length: usize| length > LONGEST_STATE + 1;
    for large in [true, false] {
        for at in (0..members.len()).rev() {
            let Some(member) = members.get(at).filter(|member| !large || member.len() > LARGE_MEMBER) else {
                continue;
            };
            if is_over(length) {
                length -= member.len() + 1;
                members.remove(at);
            }
        }
    }
    (!members.is_empty()).then(|| members.join(","))
}

fn is_member(member: &str) -> bool {
    member
        .split_once('=')
        .is_some_and(|(key, value)| is_key(key) && is_value(value))
}

/// A key, or the key of one tenant of a system: `tenant@system`.
fn is_key(key: &str) -> bool {
    let known = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/');
    let is_part = |part: &str, longest: usize| {
        (1..=longest).contains(&part.len())
            && part.bytes().all(known)
            && part.starts_with(|first: char| first.is_ascii_alphanumeric())
    };
    match key.split_once('@') {
        None => is_part(key, 256),
        Some((tenant, system)) => is_part(tenant, 241) && is_part(system, 14),
    }
}

/// Up to 256 printable characters; separators and trailing spaces were removed before.
fn is_value(value: &str) -> bool {
    let known = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'=' && byte != b',';
    (1..=256).contains(&value.len()) && value.bytes().all(known)
}

#[cfg(test)]
mod tests;
