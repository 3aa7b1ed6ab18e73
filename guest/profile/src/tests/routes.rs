//! Each route's exact reply and each event's exact payload.

use super::*;

fn ada() -> Value {
    json!({ "firstName": "Ada", "lastName": "Lovelace" })
}

#[test]
fn a_post_creates_the_profile() {
    let mut user = User::default();
    let mut body = ada();
    body["phone"] = json!("+33 (6) 12.34-56 78");
    body["dateOfBirth"] = json!("1815-12-10");
    body["nationality"] = json!("GB");
    body["userId"] = json!("somebody else");
    body["preferences"] = json!({ "language": "en" });
    let done = user.post(body);
    let details = json!({
        "firstName": "Ada", "lastName": "Lovelace", "phone": "+33612345678", "dateOfBirth": "1815-12-10",
        "nationality": "GB",
    });
    let mut reply = details.clone();
    let more = json!({ "userId": "key-1", "name": "Ada Lovelace", "createdAt": NOW, "updatedAt": NOW });
    reply.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    assert_eq!((done.status, &done.reply), (201, &reply));
    assert_eq!(done.events, [profile_updated(details)]);
}

#[test]
fn a_post_needs_both_names_and_says_all_that_is_wrong() {
    let mut user = User::default();
    user.post(json!({}))
        .is_refused(400, "firstName is required; lastName is required");
    user.post(json!({ "firstName": "Ada", "lastName": null }))
        .is_refused(400, "lastName is required");
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
fn a_second_post_is_refused_but_one_after_the_registration_is_not() {
    let exists = "Profile already exists for this user";
    let mut user = User::default();
    user.registered(&created(json!({ "firstName": "A", "lastName": "L" })))
        .unwrap();
    let done = user.post(ada());
    assert_eq!((done.status, done.events), (201, vec![profile_updated(ada())]));
    assert_eq!(done.reply["email"], json!("ada@example.com"));
    user.post(ada()).is_refused(409, exists);

    let mut user = User::default();
    user.put(json!({ "name": "Ada" }));
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
    let section = json!({ "name": "Countess", "email": "new@example.com" });
    let reply = json!({ "message": "Profile updated successfully", "profile": section });
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
fn a_put_before_the_registration_makes_what_is_missing() {
    let mut user = User::default();
    let done = user.put(json!({ "name": "Ada", "email": "ada@example.com", "photo": "/ada.png" }));
    // The token has told an address; a name there was none, so none is claimed.
    let changes = json!({
        "username": { "new": "Ada" },
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
        json!({ "name": null }),
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
        let section = json!({ "email": "token@example.com" });
        assert_eq!((done.status, &done.reply["profile"]), (200, &section), "{body}");
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
        assert_eq!(read.reply, json!({ "profile": {} }), "{claimed}");
        let body = json!({ "profile": { "email": "new@example.com" } });
        let done = user.call(Call::request("PUT", OWN).claims(&claims).body(&body));
        let changes = json!({ "email": { "new": "new@example.com" } });
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
    assert_eq!(done.reply["message"], json!("Avatar updated successfully"));
    assert_eq!(
        (&done.reply["avatar"], &done.reply["profile"]["avatar"]),
        (&json!(picture().url), &json!(picture().url))
    );
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
    assert_eq!(user.get(), json!({ "profile": { "email": "token@example.com" } }));
}

#[test]
fn a_route_that_is_not_served_is_rejected() {
    let refused = Call::request("PATCH", OWN).run(on_request).unwrap_err();
    assert!(matches!(refused, Failure::Rejected(reason) if reason.contains("PATCH /api/v1/users/profile")));
}

#[test]
fn a_state_of_an_older_or_newer_version_is_read() {
    let older = json!({ "name": "Ada", "createdAt": NOW, "someday": { "more": true } });
    let done = Done::of(Call::request("GET", OWN).state(&older).run(on_request).unwrap());
    assert_eq!(done.reply, json!({ "profile": { "name": "Ada" } }));
}
