//! Handlers that feed themselves.

use super::*;

fn warnings(handlers: &[(&str, &str, &str)]) -> Vec<String> {
    let text: String = handlers
        .iter()
        .map(|(name, topics, emits)| {
            format!("[handlers.{name}]\ncomponent = 'x'\ntopics = [{topics}]\nemits = [{emits}]\n")
        })
        .collect();
    good(&format!("[host]\nsource = 's'\n{text}"), &[]).warnings()
}

#[test]
fn a_handler_whose_events_come_back_to_it_is_warned_of() {
    let itself = warnings(&[
        ("a", "'dreamscape.x', 'dreamscape.y'", "'y', 'z'"),
        ("b", "'dreamscape.z'", ""),
    ]);
    assert_eq!(itself.len(), 1, "{itself:?}");
    assert!(
        itself[0].contains("handler `a` may emit what it consumes"),
        "{itself:?}"
    );
    let round = warnings(&[
        ("a", "'dreamscape.x'", "'y'"),
        ("b", "'dreamscape.y'", "'z'"),
        ("c", "'dreamscape.z'", "'x'"),
        ("d", "'dreamscape.z'", "'w'"),
    ]);
    assert_eq!(round.len(), 1, "{round:?}");
    assert!(round[0].contains("handlers `a`, `b`, `c`"), "{round:?}");
    assert_eq!(
        warnings(&[("a", "'dreamscape.x'", "'y'"), ("b", "'dreamscape.y'", "'z'")]),
        [""; 0]
    );
    // The same name on another topic is another event.
    assert_eq!(warnings(&[("a", "'other.y'", "'y'")]), [""; 0]);
}
