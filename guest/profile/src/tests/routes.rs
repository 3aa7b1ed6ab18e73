//! Each route's exact reply and each event's exact payload.

use super::*;

fn ada() -> Value {
    json!({ "firstName": "Ada", "lastName": "Lovelace" })
}

/// What `POST` answers of a profile with nothing but names and what is laid over them.
fn whole(more: &Value) -> Value {
    let mut whole = json!({
        "id": "key-1", "userId": "key-1", "name": "Ada Lovelace", "email": null, "firstName": "Ada",
        "lastName": "Lovelace", "phone": null, "avatar": null, "dateOfBirth": null, "nationality": null,
        "createdAt": NOW, "updatedAt": NOW,
        "user": { "email": null, "firstName": "Ada", "lastName": "Lovelace" },
    });
    whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    whole
}

#[test]
fn a_post_creates_the_profile() {
    let mut user = User::default();
    let mut body = ada();
    body["phone"] = json!("+33 (6) 12.34-56 78");
    body["dateOfBirth"] = json!("1815-12-10T23:30:00.000Z");
    body["nationality"] = json!("GB");
    body["userId"] = json!("somebody else");
    body["preferences"] = json!({ "language": "en" });
    let done = user.post(body);
    let details = json!({
        "firstName": "Ada", "lastName": "Lovelace", "phone": "+33612345678", "dateOfBirth": "1815-12-10",
        "nationality": "GB",
    });
    assert_eq!((done.status, &done.reply), (201, &whole(&details)));
    assert_eq!(done.events, [profile_updated(details)]);
}

#[test]
fn a_post_answers_null_for_what_is_not_set_and_empty_texts_set_nothing() {
    for empty in [
        json!({}),
        json!({ "phone": "", "dateOfBirth": "", "nationality": "", "avatar": "" }),
    ] {
        let mut body = ada();
        body.as_object_mut().unwrap().extend(empty.as_object().unwrap().clone());
        let mut user = User::default();
        let done = user.post(body);
        assert_eq!((done.status, &done.reply), (201, &whole(&json!({}))));
        assert_eq!(done.events, [profile_updated(ada())]);
    }
    let call = Call::request("POST", OF_USER).claims(&claims()).body(&ada());
    let reply = User::default().call(call).reply;
    assert_eq!(
        (&reply["email"], &reply["user"]["email"]),
        (&json!("token@example.com"), &json!("token@example.com"))
    );
}

#[test]
fn a_post_needs_both_names_and_says_all_that_is_wrong() {
    let mut user = User::default();
    user.post(json!({}))
        .is_refused(400, "firstName is required; lastName is required");
    user.post(json!({ "firstName": "Ada", "lastName": null }))
        .is_refused(400, "lastName is required");
    user.post(json!({ "firstName": "", "lastName": "Lovelace" }))
        .is_refused(400, "firstName is required");
    let wrong = json!({ "firstName": " ", "lastName": 7, "phone": "12", "dateOfBirth": "10/12/1815" });
    let error = "firstName must not be empty; lastName must be a text; \
                 phone must be a phone number in E.164, for example +33612345678; \
                 dateOfBirth must be an ISO 8601 date, for example 1990-12-31";
    user.post(wrong).is_refused(400, error);
    user.post(json!([])).is_refused(400, "the body must be a JSON object");
    user.call(Call::request("POST", OF_USER))
        .is_refused(400, "the body must be a JSON object");
}

#[test]
fn a_post_is_refused_only_after_another_and_always_publishes() {
    let exists = "Profile already exists for this user";
    let mut user = User::default();
    user.registered(&created(json!({ "firstName": "Ada", "lastName": "Lovelace" })))
        .unwrap();
    user.put(json!({ "name": "Countess" }));
    // Nothing in it is news, but that there is a profile.
    let done = user.post(ada());
    assert_eq!((done.status, done.events), (201, vec![profile_updated(ada())]));
    let account = json!({ "email": "ada@example.com", "firstName": "Ada", "lastName": "Lovelace" });
    assert_eq!(
        (&done.reply["user"], &done.reply["name"]),
        (&account, &json!("Countess"))
    );
    user.post(ada()).is_refused(409, exists);

    let mut user = User::default();
    user.put(json!({ "name": "Ada", "photo": "/ada.png" }));
    let mut pictured = ada();
    pictured["avatar"] = json!("/ada.png");
    let done = user.post(ada());
    assert_eq!((done.status, done.events), (201, vec![profile_updated(pictured)]));
    user.post(ada()).is_refused(409, exists);

    user.delete();
    assert_eq!(user.post(ada()).status, 201);
}

#[test]
fn a_put_publishes_the_real_old_and_new_values() {
    let mut user = User::default();
    user.registered(&created(json!({ "firstName": "Ada", "lastName": "Lovelace" })))
        .unwrap();
    let done = user.put(json!({ "name": "Countess", "email": "new@example.com" }));
    let changes = json!({
        "username": { "old": "Ada Lovelace", "new": "Countess" },
        "email": { "old": "ada@example.com", "new": "new@example.com" },
    });
    assert_eq!(done.events, [updated(changes)]);
    let mut reply = section("Countess", "new@example.com", None);
    reply["message"] = json!("Profile updated successfully");
    assert_eq!((done.status, done.reply), (200, reply));
    let done = user.put(json!({ "name": "Lady King" }));
    assert_eq!(
        done.events,
        [updated(
            json!({ "username": { "old": "Countess", "new": "Lady King" } })
        )]
    );
}

#[test]
fn a_put_with_a_new_photo_publishes_the_whole_profile_after_the_account() {
    let mut user = User::default();
    user.post(ada());
    let done = user.put(json!({ "name": "Countess", "photo": "https://example.com/ada.png" }));
    let mut profile = ada();
    profile["avatar"] = json!("https://example.com/ada.png");
    let account = updated(json!({ "username": { "old": "Ada Lovelace", "new": "Countess" } }));
    assert_eq!(done.events, [account, profile_updated(profile)]);
    assert_eq!(done.reply["profile"]["photo"], json!("https://example.com/ada.png"));
}

#[test]
fn an_empty_photo_takes_the_picture_away() {
    let mut user = User::default();
    user.put(json!({ "photo": "" })).changes_nothing();
    user.put(json!({ "photo": "/ada.png" }));
    // Of this user nothing else is known: the profile of the event is empty.
    let done = user.put(json!({ "photo": "" }));
    assert_eq!(done.events, [profile_updated(json!({}))]);
    assert_eq!(done.reply["profile"]["photo"], Value::Null);
    user.put(json!({ "photo": "" })).changes_nothing();

    user.post(ada());
    user.upload(picture());
    let done = user.put(json!({ "photo": "" }));
    assert_eq!(done.events, [profile_updated(ada())]);
    assert_eq!(user.get()["profile"]["photo"], Value::Null);
}

#[test]
fn a_put_before_the_registration_makes_what_is_missing() {
    let mut user = User::default();
    let done = user.put(json!({ "name": "Ada", "email": "ada@example.com", "photo": "/ada.png" }));
    // The token has told an address; a name there was none.
    let changes = json!({
        "username": { "old": null, "new": "Ada" },
        "email": { "old": "token@example.com", "new": "ada@example.com" },
    });
    assert_eq!(
        done.events,
        [updated(changes), profile_updated(json!({ "avatar": "/ada.png" }))]
    );
}

#[test]
fn a_put_that_changes_nothing_publishes_nothing() {
    let mut user = User::default();
    user.post(ada());
    user.put(json!({ "name": "Ada", "photo": "/ada.png" }));
    for same in [
        json!({ "name": " Ada ", "photo": "/ada.png" }),
        json!({ "name": null, "photo": null }),
        json!({ "name": "", "email": "" }),
        json!({ "unknown": "field" }),
        json!({}),
        Value::Null,
    ] {
        let done = user.put(same);
        assert_eq!(
            (done.status, done.reply["profile"]["name"].clone()),
            (200, json!("Ada"))
        );
        done.changes_nothing();
    }
    for body in [
        json!({}),
        json!({ "profile": {}, "preferences": null, "travel": { "dietary": null, "travelPreferences": {} } }),
        json!({ "profile": "", "preferences": { "language": "" }, "travel": { "dietary": "" } }),
        json!({ "unknown": "field" }),
    ] {
        User::default().form(&body).changes_nothing();
    }
}

#[test]
fn a_put_of_preferences_alone_begins_a_profile_that_publishes_nothing_and_may_be_posted() {
    for body in [
        json!({ "preferences": { "language": "fr" } }),
        json!({ "notifications": { "sms": true } }),
        json!({ "privacy": { "marketing": false } }),
        json!({ "travel": { "dietary": [] } }),
        json!({ "travelPreferences": { "seatPreference": "aisle" } }),
    ] {
        let mut user = User::default();
        let done = user.form(&body);
        let untouched = section("", "token@example.com", None);
        assert_eq!(
            (done.status, &done.reply["profile"]),
            (200, &untouched["profile"]),
            "{body}"
        );
        assert_eq!(
            (&done.events, &done.state),
            (&vec![], &Change::Put(Profile::begun(NOW)))
        );
        user.form(&body).changes_nothing();
        assert_eq!(user.upload(picture()).status, 200, "{body}");
        assert_eq!(user.post(ada()).status, 201, "{body}");
        assert_eq!(user.delete().status, 200, "{body}");
    }
}

#[test]
fn a_claimed_address_that_is_none_counts_as_absent() {
    for claimed in [json!(""), json!("  "), json!(7), json!(["a@b.c"]), Value::Null] {
        let mut user = User::default();
        let claims = json!({ "userId": "key-1", "email": claimed });
        let read = user.call(Call::request("GET", OWN).claims(&claims));
        assert_eq!(read.reply, section("", "", None), "{claimed}");
        let body = json!({ "profile": { "email": "new@example.com" } });
        let done = user.call(Call::request("PUT", OWN).claims(&claims).body(&body));
        let changes = json!({ "email": { "old": null, "new": "new@example.com" } });
        assert_eq!((done.status, done.events), (200, vec![updated(changes)]), "{claimed}");
    }
}

#[test]
fn the_address_in_the_token_is_no_change_when_it_is_put() {
    let mut user = User::default();
    let done = user.put(json!({ "email": "token@example.com" }));
    assert_eq!(done.events, []);
    let done = user.put(json!({ "email": "new@example.com" }));
    let changes = json!({ "email": { "old": "token@example.com", "new": "new@example.com" } });
    assert_eq!(done.events, [updated(changes)]);
}

#[test]
fn a_put_says_all_that_is_wrong_and_changes_nothing_of_it() {
    let mut user = User::default();
    user.post(ada());
    let error = "profile.email must be an e-mail address; profile.photo must be an http(s) URL or an absolute path";
    user.put(json!({ "name": "New", "email": "x", "photo": "x" }))
        .is_refused(400, error);
    user.put(json!("Ada")).is_refused(400, "profile must be an object");
}

#[test]
fn a_picture_becomes_the_photo() {
    let mut user = User::default();
    user.upload(picture()).is_refused(404, "Profile not found");
    user.post(ada());
    let done = user.upload(picture());
    let mut profile = ada();
    profile["avatar"] = json!(picture().url);
    assert_eq!(done.events, [profile_updated(profile)]);
    assert_eq!(done.status, 200);
    assert_eq!(done.reply["message"], json!("Avatar uploaded successfully"));
    assert_eq!(done.reply["avatar"], json!(picture().url));
    assert_eq!(done.reply["profile"], whole(&json!({ "avatar": picture().url })));
    assert_eq!(done.reply.as_object().unwrap().len(), 3);
    assert_eq!(user.get()["profile"]["photo"], json!(picture().url));
}

#[test]
fn a_file_that_is_no_fitting_picture_is_refused() {
    let mut user = User::default();
    user.post(ada());
    user.call(Call::request("POST", AVATAR))
        .is_refused(400, "avatar must be one file");
    let with = |change: &dyn Fn(&mut UploadedFile)| {
        let mut file = picture();
        change(&mut file);
        file
    };
    let kind = "avatar must be a JPEG, PNG or GIF picture";
    for media_type in ["image/svg+xml", "image/webp", "application/pdf", ""] {
        user.upload(with(&|file| media_type.clone_into(&mut file.media_type)))
            .is_refused(400, kind);
    }
    user.upload(with(&|file| file.size += 1))
        .is_refused(400, "avatar must be 2 MB at most");
    user.upload(with(&|file| "photo".clone_into(&mut file.field)))
        .is_refused(400, "avatar is required: the file came in another field");
    for media_type in ["image/jpeg", "image/png", "image/gif"] {
        assert_eq!(
            user.upload(with(&|file| media_type.clone_into(&mut file.media_type)))
                .status,
            200
        );
    }
}

#[test]
fn a_profile_is_deleted_once() {
    let mut user = User::default();
    user.delete().is_refused(404, "Profile not found");
    user.post(ada());
    let done = user.delete();
    assert_eq!(
        (done.status, done.reply),
        (200, json!({ "message": "Profile deleted successfully" }))
    );
    assert_eq!((done.events, done.state), (vec![], Change::Delete));
    assert_eq!(user.get(), section("", "token@example.com", None));
}

#[test]
fn a_route_that_is_not_served_is_rejected() {
    let refused = Call::request("PATCH", OWN).run(on_request).unwrap_err();
    assert!(matches!(refused, Failure::Rejected(reason) if reason.contains("PATCH /api/v1/users/profile")));
}
