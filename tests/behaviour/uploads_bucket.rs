//! Uploaded files in a bucket of a real S3 server, which the hosts of a fleet share.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};
use sandman_tests::{Ask, Behaviour, DreamScape, Form, Handler, Result, S3_SECRET, S3Server, User, World, guest};
use serde_json::json;

use super::fleet;
use super::uploads_sweep::swept;

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("a_picture_that_one_host_took_is_served_by_the_other", shared)
        .on_real_kafka("has no groups that several hosts share"),
    Behaviour::new(
        "files_in_a_bucket_that_no_state_names_are_removed_after_their_time",
        removed,
    )
    .with_s3(),
    Behaviour::new("while_the_bucket_is_away_files_are_refused_and_all_else_goes_on", away).with_s3(),
    Behaviour::new("a_bucket_that_cannot_be_used_is_named_with_its_variables", unusable).with_s3(),
];

/// Where the files are, in the bucket.
const PREFIX: &str = "users/pictures";

/// A bucket of this world's own.
struct Place {
    name: String,
    /// The folder in which the server keeps the files with our prefix.
    files: PathBuf,
}

impl Place {
    fn make(world: &World, server: &S3Server) -> Result<Self> {
        // A bucket's name has 63 characters at most.
        let unique = world.deployment().rsplit('-').next().unwrap_or_default();
        let name = format!("bucket-{unique}");
        let files = server.make_bucket(&name)?.join(PREFIX);
        Ok(Self { name, files })
    }

    /// What a host needs to use it.
    fn environment(&self, server: &S3Server) -> Vec<(String, String)> {
        let mut environment = server.environment();
        let url = format!("s3://{}/{PREFIX}", self.name);
        environment.push(("SANDMAN_UPLOADS__URL".to_owned(), url));
        environment
    }

    fn has(&self, name: &str) -> bool {
        self.files.join("avatars").join(name).is_file()
    }
}

fn borrowed(environment: &[(String, String)]) -> Vec<(&str, &str)> {
    environment.iter().map(|(name, value)| (&**name, &**value)).collect()
}

fn member(app: &DreamScape<'_>) -> Result<User> {
    let user = app.user("ada")?;
    user.create(&json!({ "firstName": "Ada", "lastName": "Lovelace" }))?
        .has(201)?;
    Ok(user)
}

/// Gives the user another picture, and returns its address and its name.
fn pictured(user: &User) -> Result<(String, String)> {
    let body = user.picture(&Form::avatar(Form::PNG))?.has(200)?;
    let url = body["avatar"].as_str().context("no avatar")?;
    Ok((url.to_owned(), url.rsplit('/').next().unwrap_or_default().to_owned()))
}

fn serves(app: &DreamScape<'_>, url: &str) -> Result {
    let client = app.client()?;
    let whole = client.get(url)?;
    ensure!(
        whole.status == 200 && whole.body == Form::PNG && whole.header("content-type") == "image/png",
        "{}: {}",
        whole.status,
        whole.text()
    );
    let head = client.ask(&Ask::new("HEAD", url))?;
    let length = Form::PNG.len().to_string();
    ensure!(
        head.status == 200 && head.header("content-length") == length,
        "{head:?}"
    );
    let known = client.ask(&Ask::new("GET", url).header("If-None-Match", whole.header("etag")))?;
    ensure!(known.status == 304 && known.body.is_empty(), "{known:?}");
    Ok(())
}

fn shared(world: &World) -> Result {
    let server = S3Server::shared()?;
    let place = Place::make(world, server)?;
    let mut environment = place.environment(server);
    environment.extend(fleet::environment()?);
    let start = |name: &str| {
        let own = [("SANDMAN_HOST__NAME", name)];
        let environment = [&borrowed(&environment), &own[..]].concat();
        DreamScape::start_in(world, name, &environment)
    };
    let (one, two) = (start("one")?, start("two")?);

    let (first, name) = pictured(&member(&one)?)?;
    ensure!(place.has(&name), "it is not in the bucket");
    serves(&two, &first)?;
    serves(&one, &first)?;
    // And the other way round.
    let (second, _) = pictured(&two.user("ada")?)?;
    let seen = one.user("ada")?.settings()?.has(200)?;
    ensure!(seen["profile"]["photo"] == json!(second), "{seen}");
    serves(&one, &second)?;
    let missing = two.client()?.get("/uploads/avatars/avatar-1-2.png")?;
    ensure!(missing.status == 404, "{}", missing.status);

    // What a host took outlives it.
    one.stop()?;
    serves(&two, &first)?;
    for host in ["one", "two"] {
        let folder = world.folder().join(host).join("data/uploads");
        ensure!(!folder.exists(), "{} is there", folder.display());
    }
    let leaked = world.logged().iter().any(|line| line.contains(S3_SECRET));
    ensure!(!leaked, "the secret is in a log");
    Ok(())
}

fn removed(world: &World) -> Result {
    const ORPHAN: &str = "avatar-1733992200000-0af3.png";
    let server = S3Server::shared()?;
    let place = Place::make(world, server)?;
    let mut environment = place.environment(server);
    environment.push(("SANDMAN_UPLOADS__KEEP".to_owned(), "0s".to_owned()));
    let app = DreamScape::start_with(world, &borrowed(&environment))?;
    swept(&app)?;
    let (_, first) = pictured(&member(&app)?)?;
    // What a crash between the storing of a file and its commit leaves behind, and what is none of ours.
    let avatars = place.files.join("avatars");
    let foreign = [avatars.join("notes.txt"), place.files.with_file_name(ORPHAN)];
    for path in [&avatars.join(ORPHAN), &foreign[0], &foreign[1]] {
        // With what the server notes beside a file.
        let copied = Command::new("cp")
            .arg("--archive")
            .arg(avatars.join(&first))
            .arg(path)
            .status()?;
        ensure!(copied.success(), "cp ended with {copied}");
    }

    let app = app.kill_and_start()?;
    swept(&app)?;
    ensure!(!place.has(ORPHAN), "{ORPHAN} is still there");
    ensure!(place.has(&first), "a picture that a state names was removed");
    ensure!(
        foreign.iter().all(|path| path.is_file()),
        "somebody else's file was removed"
    );
    let removed = app.host().metrics()?.sum("sandman_uploads_removed_total", &[]);
    ensure!(removed == Some(1.0), "{removed:?} files were removed");

    let user = app.user("ada")?;
    let (_, second) = pictured(&user)?;
    user.delete()?.has(200)?;
    let app = app.kill_and_start()?;
    swept(&app)?;
    ensure!(
        !place.has(&first) && !place.has(&second),
        "the pictures of a deleted user are still there"
    );
    app.stop()?;
    Ok(())
}

fn away(world: &World) -> Result {
    let mut server = S3Server::start()?;
    let place = Place::make(world, &server)?;
    let environment = place.environment(&server);
    server.stop();
    let app = DreamScape::start_with(world, &borrowed(&environment))?;
    let told = world
        .logged()
        .iter()
        .any(|line| line.contains("does not answer") && line.contains(&place.name));
    ensure!(told, "the start said nothing of the server that is away");
    let user = member(&app)?;
    user.picture(&Form::avatar(Form::PNG))?
        .refuses(503, &["cannot be stored"])?;
    let seen = user.settings()?.has(200)?;
    ensure!(seen["profile"]["photo"].is_null(), "{seen}");

    server.go_on()?;
    let (url, name) = pictured(&user)?;
    ensure!(place.has(&name), "it is not in the bucket");
    serves(&app, &url)?;

    server.stop();
    app.client()?.get(&url)?.refuses(503, &["cannot be read"])?;
    user.settings()?.has(200)?;
    server.go_on()?;
    serves(&app, &url)
}

fn unusable(world: &World) -> Result {
    let server = S3Server::shared()?;
    let place = Place::make(world, server)?;
    let input = world.make_topic("work.asked")?;
    let witness = Handler::new("witness", &guest("witness")?);
    let witness = witness.consumes(&[&input]).emits(&witness::TYPES);
    let settings = world.settings()?.handler(witness).route("/work/{key}", &["witness"]);
    let with = |more: &[(&str, &str)]| {
        let environment = place.environment(server);
        let all = borrowed(&environment).into_iter().chain(more.iter().copied());
        let settings = settings.clone().without("uploads.url");
        all.fold(settings, |settings, (name, value)| settings.variable(name, value))
    };
    let names = ["uploads.url", "AWS_ENDPOINT_URL", "AWS_SECRET_ACCESS_KEY"];
    for (what, name, value) in [
        ("s3://no-such-bucket", "SANDMAN_UPLOADS__URL", "s3://no-such-bucket"),
        (
            "403 Forbidden",
            "AWS_SECRET_ACCESS_KEY",
            "another-secret-never-to-be-seen",
        ),
        ("403 Forbidden", "AWS_ACCESS_KEY_ID", "somebody"),
    ] {
        let ended = world.host_that_ends("", &with(&[(name, value)]))?;
        ended.says(1, &names)?;
        ended.says(1, &[what])?;
        ensure!(!ended.stderr.contains("never-to-be-seen"), "{}", ended.stderr);
    }
    // What can be seen without the server is seen by `check`.
    let file = world.configured("checked", &with(&[]))?;
    let file = file.to_string_lossy();
    let check = |environment: &[(&str, &str)]| world.command(&["check", "--config", &file], environment);
    let url = ("SANDMAN_UPLOADS__URL", "s3://pictures");
    check(&[url])?.says(0, &[])?;
    check(&[("SANDMAN_UPLOADS__URL", "s3://Pictures")])?.says(1, &["uploads.url", "s3://BUCKET/PREFIX"])?;
    check(&[url, ("AWS_ACCESS_KEY_ID", "somebody")])?.says(1, &["AWS_SECRET_ACCESS_KEY: is missing"])?;
    check(&[url, ("AWS_ENDPOINT_URL", "s3.example")])?.says(1, &["AWS_ENDPOINT_URL: must be"])?;
    check(&[url, ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "soon")])?.says(1, &["uploads.url", "soon"])?;
    Ok(())
}
