//! The test cases of the recommendation's own suite, by their names there without `test_`, and what it does not look at.

use super::*;

const TRACE: u128 = 0x1234_5678_9012_3456_7890_1234_5678_9012;
const PARENT: &str = "00-12345678901234567890123456789012-1234567890123456-01";

fn read(parents: &[&str], states: &[&str]) -> Option<TraceContext> {
    let bytes = |texts: &[&str]| -> Vec<Vec<u8>> { texts.iter().map(|text| text.as_bytes().to_vec()).collect() };
    let (parents, states) = (bytes(parents), bytes(states));
    TraceContext::read(parents.iter().map(Vec::as_slice), states.iter().map(Vec::as_slice))
}

#[track_caller]
fn continues(parent: &str) {
    assert_eq!(
        read(&[parent], &[]).map(|context| context.trace_id),
        Some(TRACE),
        "{parent:?}"
    );
}

#[track_caller]
fn starts_anew(parents: &[&str]) {
    assert_eq!(read(parents, &["foo=1"]), None, "{parents:?}");
}

/// What is carried on of these headers `tracestate`.
fn carried(states: &[&str]) -> Option<String> {
    let context = read(&[PARENT], states).expect("a valid traceparent");
    context.tracestate().map(str::to_owned)
}

/// A parent with one of its parts, from 0, replaced.
fn with(part: usize, text: &str) -> String {
    let mut parts: Vec<_> = PARENT.split('-').collect();
    parts[part] = text;
    parts.join("-")
}

#[test]
fn a_span_continues_the_trace_in_version_00() {
    let context = read(&[PARENT], &["foo=1"]).unwrap();
    assert_eq!(
        context.traceparent(0xab),
        "00-12345678901234567890123456789012-00000000000000ab-01"
    );
    // Of the flags only `sampled` is defined, and only what is defined is passed on.
    for (flags, passed) in [("00", "00"), ("02", "00"), ("03", "01"), ("fe", "00"), ("ff", "01")] {
        let context = read(&[&with(3, flags)], &[]).unwrap();
        assert!(context.traceparent(1).ends_with(&format!("-{passed}")), "{flags}");
    }
    assert_eq!(
        TraceContext::new(1).traceparent(2),
        format!("00-{:032x}-{:016x}-01", 1, 2)
    );
}

#[test]
fn traceparent_cases() {
    // both_traceparent_and_tracestate_missing, traceparent_included_tracestate_missing
    starts_anew(&[]);
    continues(PARENT);
    // traceparent_duplicated: two headers, the same or not
    starts_anew(&[PARENT, PARENT]);
    starts_anew(&[&with(1, "12345678901234567890123456789011"), PARENT]);
    // traceparent_version_0x00
    starts_anew(&[&format!("{PARENT}.")]);
    starts_anew(&[&format!("{PARENT}-what-the-future-will-be-like")]);
    // traceparent_version_0xcc
    continues(&with(0, "cc"));
    continues(&format!("{}-what-the-future-will-be-like", with(0, "cc")));
    continues(&format!("{}-", with(0, "cc")));
    starts_anew(&[&format!("{}.what-the-future-will-be-like", with(0, "cc"))]);
    // traceparent_version_0xff
    starts_anew(&[&with(0, "ff")]);
    // traceparent_version_illegal_characters, _too_long, _too_short
    for version in [".0", "0.", "000", "0000", "0", "", "0A", "é"] {
        starts_anew(&[&with(0, version)]);
    }
    // traceparent_trace_id_all_zero, _illegal_characters, _too_long, _too_short
    for trace in [
        "00000000000000000000000000000000",
        ".2345678901234567890123456789012",
        "1234567890123456789012345678901.",
        "1234567890123456789012345678901A",
        "123456789012345678901234567890123",
        "1234567890123456789012345678901",
    ] {
        starts_anew(&[&with(1, trace)]);
    }
    // traceparent_parent_id_all_zero, _illegal_characters, _too_long, _too_short
    for parent in [
        "0000000000000000",
        ".234567890123456",
        "123456789012345.",
        "123456789012345A",
        "12345678901234567",
        "123456789012345",
    ] {
        starts_anew(&[&with(2, parent)]);
    }
    // traceparent_trace_flags_illegal_characters, _too_long, _too_short
    for flags in [".0", "0.", "0A", "001", "1", ""] {
        starts_anew(&[&with(3, flags)]);
    }
    // traceparent_ows_handling
    for around in [" ", "\t", " \t", "\t "] {
        continues(&format!("{around}{PARENT}{around}"));
    }
    starts_anew(&["", "  "]);
    assert_eq!(TraceContext::read([&b"00-\xff"[..]], []), None);
}

#[test]
fn tracestate_cases() {
    let foo = Some("foo=1".to_owned());
    // tracestate_included_traceparent_missing, _included
    assert_eq!(read(&[], &["foo=1"]), None);
    assert_eq!(carried(&["foo=1,bar=2"]), Some("foo=1,bar=2".to_owned()));
    // tracestate_empty_header
    assert_eq!(carried(&[""]), None);
    assert_eq!(carried(&["foo=1", ""]), foo);
    assert_eq!(carried(&["", "foo=1"]), foo);
    // tracestate_multiple_headers_different_keys
    assert_eq!(
        carried(&["foo=1,bar=2", "rojo=1", "congo=2", "baz=3"]),
        Some("foo=1,bar=2,rojo=1,congo=2,baz=3".into())
    );
    // tracestate_duplicated_keys: kept as they are
    assert_eq!(carried(&["foo=1,foo=1"]), Some("foo=1,foo=1".to_owned()));
    // tracestate_all_allowed_characters
    let key = "abcdefghijklmnopqrstuvwxyz0123456789_-*/";
    let value: String = (' '..='~').filter(|letter| !",=".contains(*letter)).collect();
    for member in [format!("{key}={value}"), format!("{key}@a-z0-9_-*/={value}")] {
        assert_eq!(carried(&[&member]), Some(member.clone()));
    }
    // tracestate_ows_handling
    for text in ["foo=1 \t , \t bar=2, \t baz=3", "foo=1\t \t,\t \tbar=2,\t \tbaz=3"] {
        assert_eq!(carried(&[text]), Some("foo=1,bar=2,baz=3".to_owned()));
    }
    for text in [" foo=1", "\tfoo=1", "foo=1 ", "foo=1\t", "\t foo=1 \t"] {
        assert_eq!(carried(&[text]), foo);
    }
    // tracestate_key_illegal_characters, _key_illegal_vendor_format
    for text in [
        "foo =1",
        "FOO=1",
        "foo.bar=1",
        "foo@=1,bar=2",
        "@foo=1,bar=2",
        "foo@@bar=1,bar=2",
        "foo@bar@baz=1,bar=2",
        "=1",
        "foo",
        "_foo=1",
    ] {
        assert_eq!(carried(&[text]), None, "{text}");
    }
    // tracestate_value_illegal_characters
    for text in ["foo=bar=baz", "foo=,bar=3", "foo=é", "foo=a\u{7f}", "foo=a\nb"] {
        assert_eq!(carried(&[text]), None, "{text:?}");
    }
    // tracestate_key_length_limit
    let of = |letter: &str, count: usize| letter.repeat(count);
    for key in [of("z", 256), format!("{}@{}", of("t", 241), of("v", 14))] {
        assert_eq!(carried(&["foo=1", &format!("{key}=1")]), Some(format!("foo=1,{key}=1")));
    }
    for key in [
        of("z", 257),
        format!("{}@v", of("t", 242)),
        format!("t@{}", of("v", 15)),
    ] {
        assert_eq!(carried(&["foo=1", &format!("{key}=1")]), None);
    }
    assert_eq!(
        carried(&[&format!("foo={}", of("v", 256))]).map(|state| state.len()),
        Some(260)
    );
    assert_eq!(carried(&[&format!("foo={}", of("v", 257))]), None);
    // tracestate_member_count_limit
    let members = |count: usize| -> Vec<String> { (1..=count).map(|n| format!("bar{n:02}={n:02}")).collect() };
    assert_eq!(carried(&[&members(32).join(",")]), Some(members(32).join(",")));
    assert_eq!(carried(&[&members(33).join(",")]), None);
    // An invalid state does not make the parent invalid.
    assert!(read(&[PARENT], &["foo=1", "é"]).is_some());
}

#[test]
fn a_long_state_loses_its_large_members_first_and_then_the_last() {
    let small = |n: usize| format!("k{n:02}={}", "v".repeat(36));
    let large = format!("large={}", "v".repeat(200));
    let all: Vec<_> = (0..12).map(small).collect();
    let exactly: Vec<_> = all.iter().cloned().chain([format!("end={}", "v".repeat(16))]).collect();
    assert_eq!(exactly.join(",").len(), 512);
    assert_eq!(carried(&[&exactly.join(",")]), Some(exactly.join(",")));
    assert_eq!(carried(&[&format!("{large},{}", all.join(","))]), Some(all.join(",")));
    let longer: Vec<_> = (0..20).map(small).collect();
    assert_eq!(carried(&[&longer.join(",")]), Some(all.join(",")));
}
