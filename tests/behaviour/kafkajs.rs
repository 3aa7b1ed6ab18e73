//! The clients that DreamScape has, as they are: KafkaJS and Node's own HTTP.

use anyhow::{Context, ensure};
use sandman_tests::{Behaviour, DreamScape, Result, World, untouched};
use serde_json::{Value, json};

pub const BEHAVIOURS: &[Behaviour] =
    &[Behaviour::new("clients_in_node_get_what_the_documentation_promises", clients).in_node()];

const USER: &str = "665f1c2e9b1e8a0012345678";
const EMAIL: &str = "ada@example.com";

fn clients(world: &World) -> Result {
    let app = DreamScape::start(world)?;
    // It knows two seconds after it began to talk to it.
    app.sees_kafka(true)?;
    let task = json!({
        "brokers": world.cluster()?.brokers(),
        "prefix": world.topic(""),
        "url": app.host().http()?,
        "token": app.user(USER)?.token(),
        "user": USER,
        "email": EMAIL,
    });
    let printed = world.node("clients.mjs", &[("TASK", &task.to_string())])?;
    let saw: Value = serde_json::from_str(printed.lines().last().context("nothing was printed")?)?;
    check_replies(&saw["replies"], &app)?;
    let avatar = &saw["replies"]["avatar"]["body"]["avatar"];
    check_events(saw["events"].as_array().context("no events")?, avatar)?;
    // Our events lie where KafkaJS put those of the same user.
    for event in saw["events"].as_array().into_iter().flatten() {
        ensure!(
            event["partition"] == saw["partition"],
            "{event} is not in partition {}",
            saw["partition"]
        );
    }
    Ok(())
}

fn check_replies(replies: &Value, app: &DreamScape<'_>) -> Result {
    let answered = |name: &str, status: u16, body: Value| -> Result {
        let reply = &replies[name];
        let good = reply["status"] == status && reply["body"] == body;
        ensure!(
            good,
            "{name} answered {} {}\n  not {status} {body}",
            reply["status"],
            reply["body"]
        );
        let id = reply["correlation"].as_str().unwrap_or_default();
        ensure!(
            id.starts_with("node-"),
            "{name} was answered with the correlation id {id:?}"
        );
        Ok(())
    };
    let registered = untouched(json!({ "name": "Ada Lovelace", "email": EMAIL, "photo": null }));
    answered("registered", 200, registered)?;
    let mut settings = json!({
        "profile": { "name": "Countess", "email": EMAIL, "photo": null },
        "preferences": { "language": "French", "currency": "EUR", "timezone": "Europe/Paris" },
        "notifications": { "dealAlerts": false, "tripReminders": true, "priceAlerts": true, "newsletter": true },
        "privacy": { "profileVisibility": "friends", "dataSharing": false, "marketing": false },
        "travel": { "preferredDestinations": ["Lima"], "accommodationType": [], "activities": [], "dietary": [] },
    });
    let mut put = settings.clone();
    put["message"] = json!("Profile updated successfully");
    answered("put", 200, put)?;
    let posted = &replies["post"];
    ensure!(
        posted["status"] == 201 && posted["body"]["user"]["email"] == EMAIL,
        "the profile was answered with {posted}"
    );
    answered("again", 409, json!({ "error": "Profile already exists for this user" }))?;
    let avatar = &replies["avatar"]["body"];
    ensure!(
        replies["avatar"]["status"] == 200,
        "the picture was answered with {avatar}"
    );
    ensure!(avatar["profile"]["avatar"] == avatar["avatar"], "{avatar}");
    ensure!(
        replies["picture"]["type"] == "image/png",
        "the picture is {}",
        replies["picture"]
    );
    answered("picture", 200, json!("iVBORw0KGgphbmQgbGl0dGxlIGVsc2U="))?;
    settings["profile"]["photo"] = avatar["avatar"].clone();
    answered("get", 200, settings)?;
    answered(
        "refused",
        400,
        json!({ "error": "profile.email must be an e-mail address" }),
    )?;
    let missing = "this needs a token: Authorization: Bearer …";
    answered("stranger", 401, json!({ "success": false, "message": missing }))?;
    answered("deleted", 200, json!({ "message": "Profile deleted successfully" }))?;
    answered("health", 200, app.health(true))
}

fn check_events(events: &[Value], avatar: &Value) -> Result {
    let names = json!({ "firstName": "Ada", "lastName": "Lovelace" });
    let mut pictured = names.clone();
    pictured["avatar"] = avatar.clone();
    let preferences = json!({
        "language": "fr", "currency": "EUR", "notifications": { "email": false, "sms": true, "push": true },
    });
    let renamed = json!({ "username": { "old": "Ada Lovelace", "new": "Countess" } });
    let expected = [
        ("user.updated", vec![json!({ "changes": renamed })]),
        (
            "user.profile.updated",
            vec![json!({ "profile": names }), json!({ "profile": pictured })],
        ),
        ("user.preferences.updated", vec![json!({ "preferences": preferences })]),
    ];
    for (name, payloads) in expected {
        let of_type: Vec<_> = events.iter().filter(|event| event["topic"] == name).collect();
        ensure!(of_type.len() == payloads.len(), "{name} was read as {of_type:?}");
        for (event, mut payload) in of_type.into_iter().zip(payloads) {
            let value = &event["value"];
            payload["userId"] = json!(USER);
            payload["updatedAt"] = value["timestamp"].clone();
            ensure!(
                value["payload"] == payload,
                "{name} told {}\n  not {payload}",
                value["payload"]
            );
            ensure!(event["key"] == USER, "its key is {}", event["key"]);
            for field in ["eventType", "source", "version", "correlationId", "timestamp"] {
                ensure!(
                    event["headers"][field] == value[field],
                    "header {field} differs in {event}"
                );
            }
            ensure!(value.get("causationId").is_none(), "a request caused it: {value}");
        }
    }
    Ok(())
}
