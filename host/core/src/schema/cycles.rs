//! Whether a check of a schema always ends: each cycle must descend into the document.

use super::rule::{Node, NodeIx};

/// A node that leads to itself for one and the same value; `None` if there is none.
pub(super) fn endless(nodes: &[Node]) -> Option<NodeIx> {
    let mut done = vec![false; nodes.len()];
    let mut open = vec![false; nodes.len()];
    for start in 0..nodes.len() {
        // An explicit stack, because a chain of references would otherwise be a chain of calls.
        let mut stack = vec![(start, false)];
        while let Some((at, leaves)) = stack.pop() {
            let (Some(is_open), Some(is_done)) = (open.get_mut(at), done.get_mut(at)) else {
                continue;
            };
            if leaves {
                (*is_open, *is_done) = (false, true);
            } else if *is_open {
                return Some(at);
            } else if !*is_done {
                *is_open = true;
                stack.push((at, true));
                let rules = nodes.get(at).map(|node| node.rules.as_slice()).unwrap_or_default();
                stack.extend(
                    rules
                        .iter()
                        .flat_map(|rule| rule.of_the_same_value())
                        .map(|next| (next, false)),
                );
            }
        }
    }
    None
}
