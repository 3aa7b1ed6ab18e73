//! Pictures: known by their content, bounded, kept only if something names them, and served as nothing but pictures.

use std::fs;

use anyhow::{Context, ensure};
use sandman_tests::{Ask, Behaviour, DreamScape, Form, Reply, Result, User, World};
use serde_json::json;

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("a_picture_is_known_by_its_content_and_kept_only_if_it_counts", kept),
    Behaviour::new("uploads_are_served_as_pictures_and_nothing_else_is", served),
];

const LARGEST: usize = 2 << 20;

/// A PNG by its signature, of `bytes` bytes.
fn large(bytes: usize) -> Vec<u8> {
    let mut content = Form::PNG.to_vec();
    content.resize(bytes, 7);
    content
}

/// A user with a profile.
fn member(app: &DreamScape<'_>, id: &str) -> Result<User> {
    let user = app.user(id)?;
    user.create(&json!({ "firstName": "Ada", "lastName": "Lovelace" }))?
        .has(201)?;
    Ok(user)
}

fn url(reply: &Reply) -> Result<String> {
    let body = reply.has(200)?;
    let url = body["avatar"].as_str().context("no avatar")?;
    Ok(url.to_owned())
}

fn kept(world: &World) -> Result {
    let app = DreamScape::start(world)?;
    let mut events = app.events()?;
    let user = member(&app, "ada")?;
    let stranger = app.user("stranger")?;

    // Nothing is left of what was refused, by the edge or by a handler.
    refused_by_the_edge(&user)?;
    stranger
        .picture(&Form::avatar(Form::PNG))?
        .refuses(404, &["Profile not found"])?;
    cut_short(&user)?;
    ensure!(app.uploads()?.is_empty(), "left behind: {:?}", app.uploads()?);
    ensure!(
        user.settings()?.has(200)?["profile"]["photo"].is_null(),
        "there is a photo"
    );

    // The name and the type that a client claims mean nothing, whatever tricks are in them.
    let mut urls = Vec::new();
    for name in [
        "me.png",
        "../../../../etc/passwd",
        "a/b\\c.html",
        "%2e%2e%2fx.svg",
        "x.png.exe",
        ".htaccess",
        "é\u{202e}gnp.exe",
    ] {
        let form = Form::default().file("avatar", name, Form::PNG);
        urls.push(url(&user.picture(&form)?)?);
    }
    let with_text = Form::avatar(&large(LARGEST)).text("caption", "me");
    urls.push(url(&user.picture(&with_text)?)?);
    let names: Vec<_> = app
        .uploads()?
        .iter()
        .map(|path| {
            path.strip_prefix(world.folder().join("data"))
                .map(|path| format!("/{}", path.display()))
        })
        .collect::<Result<_, _>>()?;
    let mut wanted = urls.clone();
    wanted.sort();
    ensure!(names == wanted, "the files are {names:?}, the answers said {wanted:?}");
    ensure!(
        fs::metadata(app.uploads()?.last().context("none")?)?.len() > 0,
        "an empty file"
    );

    let mut told = vec![json!({ "profile": { "firstName": "Ada", "lastName": "Lovelace" } })];
    told.extend(
        urls.iter()
            .map(|url| json!({ "profile": { "firstName": "Ada", "lastName": "Lovelace", "avatar": url } })),
    );
    let told: Vec<_> = told
        .into_iter()
        .map(|payload| ("user.profile.updated", payload))
        .collect();
    events.of(&user)?.is(&told)?;
    events.of(&stranger)?.is(&[])
}

fn refused_by_the_edge(user: &User) -> Result {
    let disguised: [&[u8]; 6] = [
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"<!DOCTYPE html><script>alert(1)</script>",
        b"MZ\x90\x00",
        b"RIFF\x00\x00\x00\x00WEBPVP8 ",
        b" \x89PNG\r\n\x1A\n",
        b"",
    ];
    for content in disguised {
        user.picture(&Form::avatar(content))?
            .refuses(400, &["avatar", "jpeg, png or gif"])?;
    }
    user.picture(&Form::avatar(&large(LARGEST + 1)))?
        .refuses(413, &["avatar", "2097152 bytes"])?;
    user.picture(&Form::avatar(&large(LARGEST * 3)))?
        .refuses(413, &["larger than"])?;
    user.picture(&Form::default())?.refuses(400, &[])?;
    user.picture(&Form::default().text("avatar", "me.png"))?
        .refuses(400, &["avatar"])?;
    user.picture(&Form::default().file("photo", "me.png", Form::PNG))?
        .refuses(400, &["photo"])?;
    user.picture(&Form::avatar(Form::PNG).file("avatar", "b.png", Form::PNG))?
        .refuses(400, &["twice"])?;
    let json = user
        .picturing(&Form::default())
        .json(&json!({ "avatar": "/uploads/avatars/mine.png" }));
    user.client().ask(&json)?.refuses(400, &["avatar must be one file"])?;
    let nothing = Ask::new("POST", &format!("{}/avatar", user.path()));
    user.client().ask(&nothing)?.refuses(400, &["avatar must be one file"])
}

/// A form that ends early: by its own words, and because its client went away.
fn cut_short(user: &User) -> Result {
    let whole = Form::avatar(Form::PNG).bytes();
    let request = |announced: usize, sent: &[u8]| {
        let head = format!(
            "POST {}/avatar HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {}\r\nContent-Length: {announced}\r\n\r\n",
            user.path(),
            Form::media_type()
        );
        [head.as_bytes(), sent].concat()
    };
    for length in [1, 40, whole.len() / 2, whole.len() - 30, whole.len() - 4] {
        let cut = whole.get(..length).unwrap_or_default();
        let reply = user.client().raw(&request(cut.len(), cut))?;
        reply
            .refuses(400, &["form"])
            .with_context(|| format!("cut after {length} bytes"))?;
        // Whoever hangs up may hear of it or not; a picture it is not.
        if let Some(reply) = user.client().raw_cut_short(&request(whole.len(), cut))? {
            reply.refuses(400, &[])?;
        }
    }
    Ok(())
}

fn served(world: &World) -> Result {
    let app = DreamScape::start(world)?;
    let user = member(&app, "ada")?;
    for (content, media_type) in [
        (Form::PNG, "image/png"),
        (Form::JPEG, "image/jpeg"),
        (Form::GIF, "image/gif"),
    ] {
        let url = url(&user.picture(&Form::avatar(content))?)?;
        let reply = user.client().get(&url)?;
        reply.has(200)?;
        ensure!(reply.body == content, "{url} is another file");
        for (name, value) in [
            ("content-type", media_type),
            ("x-content-type-options", "nosniff"),
            ("cache-control", "public, max-age=31536000, immutable"),
            ("content-security-policy", "default-src 'none'; sandbox"),
        ] {
            ensure!(reply.header(name) == value, "{name} is {:?}", reply.header(name));
        }
        let known = Ask::new("GET", &url).header("If-None-Match", reply.header("etag"));
        user.client().ask(&known)?.has(304)?;
        let head = user.client().ask(&Ask::new("HEAD", &url))?;
        ensure!(
            head.status == 200 && head.body.is_empty(),
            "HEAD answered {}",
            head.status
        );
        for method in ["POST", "DELETE"] {
            user.client().ask(&Ask::new(method, &url))?.refuses(405, &[])?;
        }
        path_tricks(&user, &url)?;
    }
    ensure!(app.uploads()?.len() == 3, "files were lost: {:?}", app.uploads()?);
    Ok(())
}

/// The store lies beside the uploads, and nobody reads it from there.
fn path_tricks(user: &User, url: &str) -> Result {
    let name = url.rsplit('/').next().unwrap_or_default();
    let tricks = [
        "/uploads".to_owned(),
        "/uploads/".to_owned(),
        "/uploads/avatars".to_owned(),
        "/uploads/avatars/".to_owned(),
        "/uploads/../sandman.db".to_owned(),
        "/uploads/avatars/../../sandman.db".to_owned(),
        "/uploads/..%2fsandman.db".to_owned(),
        "/uploads/%2e%2e/%2e%2e/sandman.toml".to_owned(),
        "/uploads//etc/passwd".to_owned(),
        "/uploads/avatars/..\\..\\sandman.db".to_owned(),
        format!("/uploads/avatars/../avatars/{name}"),
        format!("/uploads/./avatars/{name}"),
        format!("/uploads//avatars/{name}"),
        format!("/uploads/avatars/{name}/"),
        format!("/uploads/avatars/{name}%00.png"),
        format!("/uploads/avatars/{}", name.to_uppercase()),
        format!("/UPLOADS/avatars/{name}"),
        "/uploads/avatars/avatar-1765535400000-00000000000000000000000000000000.png".to_owned(),
    ];
    for path in tricks {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let reply = user.client().raw(request.as_bytes())?;
        ensure!(
            [400, 404].contains(&reply.status),
            "{path} answered {} {}",
            reply.status,
            reply.text()
        );
        ensure!(!reply.text().contains("SQLite"), "{path} is the store");
    }
    Ok(())
}
