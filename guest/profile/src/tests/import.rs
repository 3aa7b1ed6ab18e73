//! Documents of the service before this one.

use super::*;

fn document(more: Value) -> Value {
    let mut document = json!({ "claimed": true, "createdAt": NOW, "updatedAt": NOW });
    document
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    document
}

#[test]
fn what_the_old_database_holds_is_written_as_requests_would_have_written_it() {
    let mut user = User::default();
    let done = user.imported(&json!({
        "name": " Ada Lovelace ", "email": "ada@example.com",
        "details": {
            "firstName": "Ada ", "lastName": "Lovelace", "phone": "+33 (6) 12.34-56 78", "avatar": "",
            "dateOfBirth": "1990-12-31T00:00:00.000Z", "nationality": null,
        },
        "registeredAt": "2024-12-12 08:30:00.123456+00", "claimed": true, "createdAt": "2024-12-12T09:30:00+01:00",
        "updatedAt": "2025-11-02T17:05:41Z",
    }));
    assert_eq!((done.status, &done.reply, &done.events), (200, &json!({}), &vec![]));
    let stored = json!({
        "name": "Ada Lovelace", "email": "ada@example.com",
        "details": {
            "firstName": "Ada", "lastName": "Lovelace", "phone": "+33612345678", "dateOfBirth": "1990-12-31",
        },
        "registeredAt": "2024-12-12T08:30:00.123Z", "claimed": true, "createdAt": "2024-12-12T08:30:00.000Z",
        "updatedAt": "2025-11-02T17:05:41.000Z",
    });
    assert_eq!(serde_json::to_value(&user.profile).unwrap(), stored);
    // What was imported once is the same when it is imported again.
    let mut again = User::default();
    again.imported(&stored);
    assert_eq!(again.profile, user.profile);
}

#[test]
fn what_a_request_is_refused_an_import_is() {
    for (wrong, error) in [
        (json!({ "name": " " }), "name must not be empty"),
        (
            json!({ "name": "x".repeat(202) }),
            "name must be 201 characters at most",
        ),
        (json!({ "email": "nobody" }), "email must be an e-mail address"),
        (
            json!({ "details": { "phone": "06 12 34 56 78" } }),
            "details.phone must be a phone number in E.164, for example +33612345678",
        ),
        (
            json!({ "details": { "dateOfBirth": "2025-02-30" } }),
            "details.dateOfBirth must be an ISO 8601 date, for example 1990-12-31",
        ),
        (
            json!({ "details": { "nationality": "France" } }),
            "details.nationality must be a country in ISO 3166-1 alpha-2, for example FR",
        ),
        (
            json!({ "details": { "first_name": "Ada" } }),
            "details.first_name is not known",
        ),
        (json!({ "username": "ada" }), "username is not known"),
        (json!({ "claimed": "yes" }), "claimed must be true or false"),
        (json!({ "claimed": null }), "claimed is required"),
        (json!({ "createdAt": 1_765_535_400 }), "createdAt must be a text"),
        (
            json!({ "updatedAt": "2024-13-45T99:99:99.000Z" }),
            "updatedAt must be an ISO 8601 date and time, for example 2025-12-12T10:30:00.000Z",
        ),
    ] {
        User::default().imported(&document(wrong)).is_refused(400, error);
    }
    let all = "claimed is required; createdAt is required; updatedAt is required";
    User::default().imported(&json!({})).is_refused(400, all);
    User::default()
        .imported(&json!([]))
        .is_refused(400, "the body must be a JSON object");
}
