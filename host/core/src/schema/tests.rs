//! Schemas and documents, good, bad and hostile; and both held against what the library `jsonschema` says.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn schema(schema: &Value) -> Schema {
    Schema::parse(&schema.to_string()).unwrap_or_else(|error| panic!("{error}"))
}

fn misfits(schema: &Schema, document: &Value) -> Vec<Misfit> {
    let bytes = document.to_string().len();
    schema.misfits(document, bytes, 9).expect("within its budget")
}

fn refused(schema: &Value) -> String {
    Schema::parse(&schema.to_string())
        .expect_err("a schema that is refused")
        .to_string()
}

/// A schema whose every level can be read in two ways, neither of which fits.
fn branching() -> Schema {
    schema(&json!({ "$ref": "#/$defs/a", "$defs": {
        "a": { "anyOf": [
            { "type": "array", "items": { "$ref": "#/$defs/a" } },
            { "items": { "$ref": "#/$defs/a" }, "type": "array" },
            { "items": { "$ref": "#/$defs/a" }, "type": "array", "minItems": 0 },
        ] },
    } }))
}

fn nested(levels: usize, inmost: &Value) -> Value {
    (0..levels).fold(inmost.clone(), |inner, _| json!([inner]))
}

#[test]
fn branches_into_themselves_are_not_multiplied() {
    for levels in [20, 120] {
        assert_eq!(misfits(&branching(), &nested(levels, &json!("x"))).len(), 1);
        assert_eq!(misfits(&branching(), &nested(levels, &json!([]))), []);
    }
    // The same by a chain of definitions, each of which asks the next one twice.
    let mut defs = serde_json::Map::new();
    for n in 0..150 {
        let next = json!({ "$ref": format!("#/$defs/d{}", n + 1) });
        defs.insert(
            format!("d{n}"),
            json!({ "properties": { "a": { "anyOf": [next, next, next] } } }),
        );
    }
    defs.insert("d150".to_owned(), json!(false));
    let chain = schema(&json!({ "$ref": "#/$defs/d0", "$defs": defs }));
    let deep = (0..100).fold(json!(1), |inner, _| json!({ "a": inner }));
    assert_eq!(misfits(&chain, &deep), []);
}

#[test]
fn a_check_that_takes_too_much_is_given_up() {
    // Every entry against every value.
    let values: Vec<_> = (0..2_000).collect();
    let listed = schema(&json!({ "items": { "enum": values } }));
    let document = json!(vec![1_999; 1_000]);
    let over = listed.misfits(&document, 5_000, 1).expect_err("over its budget");
    assert!(over.to_string().contains("200,000 steps"), "{over}");
    // Every letter against every state.
    let pattern = schema(&json!({ "pattern": "(\\p{L}{1,9}x?)+$" }));
    let text = json!("y".repeat(100_000));
    pattern.misfits(&text, 100_000, 1).expect_err("over its budget");
    // More levels than the stack should have.
    let mut inner = json!({});
    for _ in 0..20 {
        inner = json!({ "allOf": [inner] });
    }
    let deep = schema(
        &json!({ "$ref": "#/$defs/a", "$defs": { "a": { "allOf": [inner], "items": { "allOf": [
        { "allOf": [{ "allOf": [{ "allOf": [{ "$ref": "#/$defs/a" }] }] }] }
    ] } } } }),
    );
    let over = deep.misfits(&nested(120, &json!(1)), 1_000, 1).expect_err("too deep");
    assert!(over.to_string().contains("nested schemas"), "{over}");
}

#[test]
fn what_many_texts_would_take_is_counted_not_waited_for() {
    let unique = schema(&json!({ "uniqueItems": true }));
    let numbers: Vec<_> = (0..30_000).collect();
    let document = json!(numbers);
    assert_eq!(misfits(&unique, &document), []);
    assert_eq!(misfits(&unique, &json!([1, "1", [1], 1.0])).len(), 1);
    // A pattern over which a search that goes back would never come back.
    let pattern = schema(&json!({ "pattern": "^(a+)+$" }));
    assert_eq!(misfits(&pattern, &json!(format!("{}!", "a".repeat(5_000)))).len(), 1);
}

#[test]
fn schemas_that_are_none_or_too_large_are_refused_by_name() {
    for (bad, words) in [
        (json!({ "type": 7 }), "`type` must be"),
        (
            json!({ "properties": { "a": { "minLength": -1 } } }),
            "at `/properties/a`: `minLength`",
        ),
        (json!({ "items": [{}] }), "`prefixItems`"),
        (json!({ "$ref": "#/$defs/none" }), "has no target"),
        (json!({ "$ref": "https://example.com/x.json" }), "another document"),
        (json!({ "$ref": "file:///etc/passwd" }), "another document"),
        (
            json!({ "unevaluatedProperties": false }),
            "`unevaluatedProperties` is not supported",
        ),
        (json!({ "$dynamicRef": "#a" }), "`$dynamicRef` is not supported"),
        (json!({ "$schema": "https://example.com/mine" }), "is not draft 6, 7"),
        (
            json!({ "pattern": "(?=a)" }),
            "the pattern is not supported: look-around",
        ),
        (
            json!({ "pattern": "(((((x{1,99}){1,99}){1,99}){1,99}){1,99}" }),
            "the pattern is not supported",
        ),
        (json!({ "pattern": "(x{1,999}){1,999}" }), "when compiled"),
        (json!({ "pattern": "(".repeat(1_000) }), "the pattern is not supported"),
        (json!({ "$ref": "#" }), "refers to itself"),
        (
            json!({ "allOf": [{ "anyOf": [{ "not": { "$ref": "#/allOf/0" } }] }] }),
            "refers to itself",
        ),
        (json!({ "allOf": vec![json!({}); 10_001] }), "10000 subschemas"),
        (json!({ "title": "x".repeat(300_000) }), "bytes"),
        (json!(7), "a schema is an object"),
    ] {
        let error = refused(&bad);
        assert!(error.contains(words), "{error}");
        assert!(error.len() < 500, "{} bytes", error.len());
    }
    let many: Vec<_> = (0..100)
        .map(|n| json!({ "pattern": format!("\\p{{L}}{{1,9}}{n}") }))
        .collect();
    assert!(refused(&json!({ "allOf": many })).contains("bytes of compiled patterns"));
    assert!(Schema::parse("{").is_err());
}

#[test]
fn a_misfit_names_the_rule_and_the_place_and_nothing_of_the_sender() {
    let of_users = schema(&json!({
        "properties": { "a": { "items": { "type": "integer" } }, "b/c": { "maxLength": 1 } },
        "additionalProperties": { "type": "null" },
        "required": ["d"],
    }));
    let found = misfits(
        &of_users,
        &json!({ "a": [1, "secret"], "b/c": "secret", "secret": "secret" }),
    );
    let mut found: Vec<_> = found
        .iter()
        .map(|misfit| format!("{} {}", misfit.place, misfit.problem))
        .collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            " lacks `d`, which is required",
            "/* must be of type null",
            "/a/1 must be of type integer",
            "/b~1c must have at most 1 characters",
        ]
    );
}

#[test]
fn older_drafts_are_read_as_they_were_meant() {
    let seven = schema(&json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "definitions": { "n": { "$id": "#n", "type": "integer" } },
        "items": [{ "$ref": "#n", "minimum": 9 }],
        "additionalItems": false,
        "dependencies": { "a": ["b"] },
    }));
    assert_eq!(misfits(&seven, &json!([1])), []);
    assert_eq!(misfits(&seven, &json!(["x", 2])).len(), 2);
    assert_eq!(misfits(&seven, &json!({ "a": 1 })).len(), 1);
}

#[test]
fn patterns_mean_what_they_mean_to_javascript() {
    for (pattern, fits, not) in [
        ("^\\d+$", "12", "١٢"),
        ("^[\\w-]+$", "a_b-c", "é"),
        ("^[^\\d\\s]$", "x", "5"),
        ("^[[&&a]$", "[", "b"),
        ("^[^]$", "\n", ""),
        ("a|[]", "a", "b"),
        ("^.$", "x", "\r"),
        ("\\u00e9", "é", "e"),
        ("^\\/x\\.$", "/x.", "/xy"),
        ("^(?<name>a)$", "a", "b"),
        ("\\bword\\b", "a word", "words"),
        ("^\\p{Lu}$", "É", "é"),
    ] {
        let schema = schema(&json!({ "pattern": pattern }));
        assert_eq!(misfits(&schema, &json!(fits)), [], "{pattern} {fits:?}");
        assert_eq!(misfits(&schema, &json!(not)).len(), 1, "{pattern} {not:?}");
    }
}

/// Small values, so that schemas and documents meet.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        (-2..5_i64).prop_map(Value::from),
        prop::sample::select(vec![0.5, 1.0, 1.5, -2.0]).prop_map(Value::from),
        "[ab1]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[abc]", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

/// Schemas that hold no others; `$ref` leads to definitions that do not lead further.
fn flat_schemas() -> impl Strategy<Value = Value> {
    let types = ["null", "boolean", "integer", "number", "string", "array", "object"];
    let names = || prop::collection::btree_set("[abc]", 0..3);
    let pair = |keyword: &'static str| (0..4_u32).prop_map(move |n| (keyword, json!(n)));
    prop_oneof![
        prop::sample::select(types.to_vec()).prop_map(|name| json!({ "type": name })),
        prop::sample::subsequence(types.to_vec(), 1..4).prop_map(|names| json!({ "type": names })),
        prop::collection::vec(values(), 1..3).prop_map(|values| json!({ "enum": values })),
        values().prop_map(|value| json!({ "const": value })),
        prop_oneof![
            pair("minimum"),
            pair("exclusiveMinimum"),
            pair("maximum"),
            pair("exclusiveMaximum"),
            pair("minLength"),
            pair("maxLength"),
            pair("minItems"),
            pair("maxItems"),
            pair("minProperties"),
            pair("maxProperties"),
        ]
        .prop_map(|(keyword, n)| json!({ keyword: n })),
        prop::sample::select(vec![0.5, 1.5, 2.0]).prop_map(|unit| json!({ "multipleOf": unit })),
        prop::sample::select(vec!["^a", "b$", "^[ab]+$", "1", "^$"]).prop_map(|pattern| json!({ "pattern": pattern })),
        Just(json!({ "uniqueItems": true })),
        names().prop_map(|names| json!({ "required": names })),
        names().prop_map(|names| json!({ "dependentRequired": { "a": names } })),
        prop::sample::select(vec!["#/$defs/x", "#/$defs/y"]).prop_map(|target| json!({ "$ref": target })),
        any::<bool>().prop_map(Value::from),
    ]
}

/// Schemas of every keyword.
fn schemas() -> impl Strategy<Value = Value> {
    flat_schemas().prop_recursive(3, 16, 3, |inner| {
        let list = prop::collection::vec(inner.clone(), 1..4);
        let map = prop::collection::btree_map("[abc]", inner.clone(), 0..3);
        prop_oneof![
            prop::sample::select(vec!["allOf", "anyOf", "oneOf", "prefixItems"])
                .prop_flat_map(move |keyword| list.clone().prop_map(move |list| json!({ keyword: list }))),
            prop::sample::select(vec![
                "not",
                "items",
                "contains",
                "additionalProperties",
                "propertyNames"
            ])
            .prop_flat_map({
                let inner = inner.clone();
                move |keyword| inner.clone().prop_map(move |schema| json!({ keyword: schema }))
            }),
            (inner.clone(), 0..3_u32, 0..3_u32)
                .prop_map(|(what, least, most)| json!({ "contains": what, "minContains": least, "maxContains": most })),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(condition, then, other)| json!({ "if": condition, "then": then, "else": other })),
            (map.clone(), map, inner.clone()).prop_map(|(named, dependent, rest)| json!({
                "properties": named, "dependentSchemas": dependent, "patternProperties": { "^[bc]$": true },
                "additionalProperties": rest,
            })),
            prop::collection::vec(inner, 2..4).prop_map(|schemas| {
                let mut all = serde_json::Map::new();
                schemas
                    .into_iter()
                    .filter_map(|schema| schema.as_object().cloned())
                    .for_each(|schema| all.extend(schema));
                Value::Object(all)
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn what_fits_is_what_fits_for_the_library(
        all in schemas(), x in schemas(), documents in prop::collection::vec(values(), 8),
    ) {
        let mut whole = json!({ "allOf": [all], "$defs": { "x": x, "y": { "items": { "$ref": "#/$defs/x" } } } });
        if x.to_string().contains("$ref") {
            whole["$defs"]["x"] = json!(true);
        }
        let theirs = jsonschema::validator_for(&whole).expect("a schema");
        let ours = schema(&whole);
        for document in documents {
            let found = misfits(&ours, &document);
            prop_assert_eq!(found.is_empty(), theirs.is_valid(&document), "{} {} {:?}", &whole, &document, found);
        }
    }

    #[test]
    fn any_json_is_a_schema_or_refused(any in values(), keyword in "(\\$ref|type|items|properties|pattern|enum|allOf|if)") {
        if let Ok(schema) = Schema::parse(&json!({ keyword: any }).to_string()) {
            misfits(&schema, &any);
        }
    }
}
