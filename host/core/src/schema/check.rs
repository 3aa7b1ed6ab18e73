//! Checks a document against a schema, step by step.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;

use serde_json::{Map, Value};

use super::pattern::Pattern;
use super::rule::{Countable, Limit, Members, Node, NodeIx, Rule, Side};
use super::values::{Decimal, Quantity, hash, same, text_weight, weight};
use super::{DEPTH, Misfit, OverBudget};

/// Characters of a name from the schema that are shown.
const NAME: usize = 100;

/// The most results that are remembered, about 10 MiB. Beyond that, the number of steps is the limit.
const SEEN: usize = 1 << 18;

/// Why a check stops.
#[derive(Clone, Copy, Debug)]
enum Stop {
    /// Enough is known: it does not fit.
    Misfit,
    Over(OverBudget),
}

type CheckResult = Result<(), Stop>;

/// A step into the document.
#[derive(Clone, Copy, Debug)]
enum Way<'s> {
    /// A member that the schema names.
    Named(&'s str),
    /// Another member. Its name is the sender's.
    Other,
    Entry(usize),
}

struct Check<'s> {
    nodes: &'s [Node],
    steps: u64,
    depth: u32,
    /// Only whether it fits is needed, not where it does not.
    trial: bool,
    path: Vec<Way<'s>>,
    found: Vec<Misfit>,
    most: usize,
    /// Results for values, by their addresses, at nodes that are reached in several ways.
    seen: HashMap<(NodeIx, *const Value), bool>,
}

pub(super) fn misfits(
    nodes: &[Node],
    root: NodeIx,
    document: &Value,
    (steps, most): (u64, usize),
) -> Result<Vec<Misfit>, OverBudget> {
    let mut check = Check {
        nodes,
        steps,
        depth: 0,
        trial: false,
        path: Vec::new(),
        found: Vec::new(),
        most,
        seen: HashMap::new(),
    };
    match check.node(root, document) {
        Ok(()) | Err(Stop::Misfit) => Ok(check.found),
        Err(Stop::Over(over)) => Err(over),
    }
}

impl<'s> Check<'s> {
    /// All rules of a node.
    fn node(&mut self, at: NodeIx, value: &Value) -> CheckResult {
        self.takes(1)?;
        let nodes = self.nodes;
        let Some(node) = nodes.get(at) else { return Ok(()) };
        let name = (at, std::ptr::from_ref(value));
        let kept = node.ways > 1;
        if kept {
            match self.seen.get(&name) {
                Some(true) => return Ok(()),
                Some(false) if self.trial => return Err(Stop::Misfit),
                // The places where it does not fit are still to be found.
                _ => {}
            }
        }
        if self.depth == DEPTH {
            return Err(Stop::Over(OverBudget("512 nested schemas")));
        }
        let before = self.found.len();
        self.depth += 1;
        let checked = node.rules.iter().try_for_each(|rule| self.rule(rule, value));
        self.depth -= 1;
        if kept && self.seen.len() < SEEN && !matches!(checked, Err(Stop::Over(_))) {
            self.seen.insert(name, checked.is_ok() && self.found.len() == before);
        }
        checked
    }

    fn rule(&mut self, rule: &'s Rule, value: &Value) -> CheckResult {
        match rule {
            Rule::Never => self.fail(|| "is not allowed".to_owned()),
            Rule::Type(types) => self.holds(types.has(value), || format!("must be of type {}", types.names())),
            Rule::OneOf(values, weight) => {
                self.takes(*weight)?;
                let known = values.iter().any(|known| same(known, value));
                self.holds(known, || "is not one of the values of its `enum` or `const`".to_owned())
            }
            Rule::All(nodes) => nodes.iter().try_for_each(|node| self.node(*node, value)),
            Rule::Any(nodes) => self.any(nodes, value),
            Rule::One(nodes) => self.one(nodes, value),
            Rule::Not(node) => {
                let fits = self.fits(*node, value)?;
                self.holds(!fits, || "fits the schema under its `not`".to_owned())
            }
            Rule::If(condition, then, otherwise) => {
                let next = if self.fits(*condition, value)? { then } else { otherwise };
                next.map_or(Ok(()), |next| self.node(next, value))
            }
            rule => match value {
                Value::Number(number) => self.number(rule, number),
                Value::String(text) => self.text(rule, text),
                Value::Array(entries) => self.array(rule, entries),
                Value::Object(members) => self.object(rule, members, value),
                Value::Null | Value::Bool(_) => Ok(()),
            },
        }
    }

    fn number(&mut self, rule: &Rule, number: &serde_json::Number) -> CheckResult {
        match rule {
            Rule::Limit(limit, bound, written) => {
                let order = Quantity::of(number).order(*bound);
                let (good, words) = match limit {
                    Limit::AtLeast => (order.is_ge(), "at least"),
                    Limit::MoreThan => (order.is_gt(), "more than"),
                    Limit::AtMost => (order.is_le(), "at most"),
                    Limit::LessThan => (order.is_lt(), "less than"),
                };
                self.holds(good, || format!("must be {words} {written}"))
            }
            Rule::MultipleOf(unit, written) => {
                // Powers of ten go from -324 to 308.
                self.takes(16)?;
                let good = Decimal::of(number).is_some_and(|number| number.is_multiple_of(*unit));
                self.holds(good, || format!("must be a multiple of {written}"))
            }
            _ => Ok(()),
        }
    }

    fn text(&mut self, rule: &Rule, text: &str) -> CheckResult {
        match rule {
            Rule::Count(Countable::Letters, side, limit) => {
                self.takes(text_weight(text))?;
                self.count(text.chars().count(), (*side, *limit), "characters")
            }
            Rule::Pattern(pattern) => {
                let found = self.matches(pattern, text)?;
                self.holds(found, || "does not match its `pattern`".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn array(&mut self, rule: &'s Rule, entries: &[Value]) -> CheckResult {
        match rule {
            Rule::Count(Countable::Entries, side, limit) => self.count(entries.len(), (*side, *limit), "entries"),
            Rule::Unique => self.unique(entries),
            Rule::Items { first, rest } => {
                for (n, entry) in entries.iter().enumerate() {
                    if let Some(node) = first.get(n).or(rest.as_ref()) {
                        self.inside(Way::Entry(n), *node, entry)?;
                    }
                }
                Ok(())
            }
            Rule::Contains { what, least, most } => {
                let mut count = 0_u64;
                for entry in entries {
                    count += u64::from(self.fits(*what, entry)?);
                    if count > *most || (count >= *least && *most == u64::MAX) {
                        break;
                    }
                }
                let good = (*least..=*most).contains(&count);
                self.holds(good, || {
                    "has too few or too many items that match its `contains`".to_owned()
                })
            }
            _ => Ok(()),
        }
    }

    fn object(&mut self, rule: &'s Rule, members: &Map<String, Value>, whole: &Value) -> CheckResult {
        match rule {
            Rule::Count(Countable::Members, side, limit) => self.count(members.len(), (*side, *limit), "members"),
            Rule::Required(names) => self.required(names, members),
            Rule::Dependent(of) => {
                for (name, others) in of {
                    self.takes(text_weight(name))?;
                    if members.contains_key(name) {
                        self.required(others, members)?;
                    }
                }
                Ok(())
            }
            Rule::DependentSchemas(of) => {
                for (name, node) in of {
                    self.takes(text_weight(name))?;
                    if members.contains_key(name) {
                        self.node(*node, whole)?;
                    }
                }
                Ok(())
            }
            Rule::Members(of) => {
                for (name, value) in members {
                    self.member(of, name, value)?;
                }
                Ok(())
            }
            Rule::Names(node) => {
                for name in members.keys() {
                    self.takes(text_weight(name))?;
                    // A temporary value: no result may be remembered under its address.
                    let name = Value::String(name.clone());
                    let seen = std::mem::take(&mut self.seen);
                    let fits = self.fits(*node, &name);
                    self.seen = seen;
                    let fits = fits?;
                    self.holds(fits, || "has a name that is not allowed".to_owned())?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn member(&mut self, of: &'s Members, name: &str, value: &Value) -> CheckResult {
        self.takes(text_weight(name))?;
        let known = of.named.get_key_value(name);
        if let Some((name, node)) = known {
            self.inside(Way::Named(name), *node, value)?;
        }
        let mut matched = known.is_some();
        for (pattern, node) in &of.patterns {
            if self.matches(pattern, name)? {
                matched = true;
                self.inside(Way::Other, *node, value)?;
            }
        }
        match of.rest {
            Some(node) if !matched => self.inside(Way::Other, node, value),
            _ => Ok(()),
        }
    }

    fn required(&mut self, names: &[String], members: &Map<String, Value>) -> CheckResult {
        for name in names {
            self.takes(text_weight(name))?;
            self.holds(members.contains_key(name), || {
                format!("lacks `{}`, which is required", cut(name))
            })?;
        }
        Ok(())
    }

    fn unique(&mut self, entries: &[Value]) -> CheckResult {
        let mut by_hash: HashMap<u64, Vec<&Value>> = HashMap::with_capacity(entries.len());
        for entry in entries {
            let steps = weight(entry);
            self.takes(steps)?;
            let mut hasher = DefaultHasher::new();
            hash(entry, &mut hasher);
            let others = by_hash.entry(hasher.finish()).or_default();
            for other in &*others {
                self.takes(steps)?;
                if same(other, entry) {
                    return self.fail(|| "has an entry twice".to_owned());
                }
            }
            others.push(entry);
        }
        Ok(())
    }

    fn any(&mut self, nodes: &[NodeIx], value: &Value) -> CheckResult {
        for node in nodes {
            if self.fits(*node, value)? {
                return Ok(());
            }
        }
        self.fail(|| "fits none of the schemas under its `anyOf`".to_owned())
    }

    fn one(&mut self, nodes: &[NodeIx], value: &Value) -> CheckResult {
        let mut fitting = 0;
        for node in nodes {
            fitting += u32::from(self.fits(*node, value)?);
            if fitting > 1 {
                break;
            }
        }
        let words = if fitting == 0 { "none" } else { "more than one" };
        self.holds(fitting == 1, || {
            format!("fits {words} of the schemas under its `oneOf`")
        })
    }

    /// Whether a value fits a node, without the places where it does not.
    fn fits(&mut self, at: NodeIx, value: &Value) -> Result<bool, Stop> {
        let before = std::mem::replace(&mut self.trial, true);
        let checked = self.node(at, value);
        self.trial = before;
        match checked {
            Ok(()) => Ok(true),
            Err(Stop::Misfit) => Ok(false),
            Err(over) => Err(over),
        }
    }

    fn inside(&mut self, way: Way<'s>, at: NodeIx, value: &Value) -> CheckResult {
        if self.trial {
            return self.node(at, value);
        }
        self.path.push(way);
        let checked = self.node(at, value);
        self.path.pop();
        checked
    }

    fn matches(&mut self, pattern: &Pattern, text: &str) -> Result<bool, Stop> {
        self.takes(pattern.steps(text))?;
        Ok(pattern.is_match(text))
    }

    fn count(&mut self, count: usize, (side, limit): (Side, u64), what: &str) -> CheckResult {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        match side {
            Side::Least => self.holds(count >= limit, || format!("must have at least {limit} {what}")),
            Side::Most => self.holds(count <= limit, || format!("must have at most {limit} {what}")),
        }
    }

    fn holds(&mut self, good: bool, problem: impl FnOnce() -> String) -> CheckResult {
        if good { Ok(()) } else { self.fail(problem) }
    }

    /// Records a misfit. Continues if more of them are wanted.
    fn fail(&mut self, problem: impl FnOnce() -> String) -> CheckResult {
        if self.trial {
            return Err(Stop::Misfit);
        }
        let place = self.path.iter().fold(String::new(), |place, way| match way {
            Way::Named(name) => format!("{place}/{}", cut(name).replace('~', "~0").replace('/', "~1")),
            Way::Other => format!("{place}/*"),
            Way::Entry(n) => format!("{place}/{n}"),
        });
        self.found.push(Misfit {
            place,
            problem: problem(),
        });
        if self.found.len() >= self.most {
            Err(Stop::Misfit)
        } else {
            Ok(())
        }
    }

    fn takes(&mut self, steps: u64) -> CheckResult {
        match self.steps.checked_sub(steps) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => Err(Stop::Over(OverBudget("200,000 steps and 8 for each of its bytes"))),
        }
    }
}

/// The beginning of a name from the schema.
fn cut(name: &str) -> String {
    name.chars().take(NAME).collect()
}
