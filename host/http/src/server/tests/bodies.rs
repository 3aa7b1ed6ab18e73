//! Bodies as clients encode them: which are read, and which are refused as a media type that is not taken (415).

use super::{JSON, has, serve};

const FORM: &str = "Content-Type: multipart/form-data; boundary=XX\r\n";
/// The start of what `gzip` makes.
const GZIP: &[u8] = b"\x1F\x8B\x08\x00\x00\x00\x00\x00\x00\x03\xAB\xAE\x05\x00";

/// A form with a picture whose part has this disposition, and other headers, each with its line end.
fn form(disposition: &str, headers: &str) -> Vec<u8> {
    let head = format!("--XX\r\nContent-Disposition: {disposition}\r\n{headers}\r\n");
    [head.as_bytes(), b"\x89PNG\r\n\x1A\nand little else\r\n--XX--\r\n"].concat()
}

#[tokio::test]
async fn a_body_that_is_compressed_is_no_media_type_of_ours_on_any_route() {
    let served = serve().await;
    for coding in ["gzip", "deflate", "br", "zstd", "GZIP", "identity, gzip", "aws-chunked"] {
        let coded = format!("Content-Encoding: {coding}\r\n");
        for (line, kind, body) in [
            ("POST /users/u-1", JSON, GZIP),
            ("POST /users/u-1", JSON, b"{}"),
            ("POST /users/u-1", "", GZIP),
            ("POST /users/u-1/avatar", FORM, GZIP),
            ("POST /users/u-1/avatar", JSON, GZIP),
        ] {
            let answer = served.ask(line, &format!("{kind}{coded}"), body).await;
            has(&answer, 415, "{\"error\":\"the body is compressed");
            has(&answer, 415, "accept-encoding: identity");
        }
    }
    let twice = format!("{JSON}Content-Encoding: identity\r\nContent-Encoding: gzip\r\n");
    has(&served.ask("POST /users/u-1", &twice, GZIP).await, 415, "compressed");
    assert_eq!(served.count(), 0);
    // What is not compressed may say so, and where there is nothing nothing is compressed.
    for (coding, body) in [("identity", "{}"), ("Identity", "{}"), ("", "{}"), ("gzip", "")] {
        let headers = format!("{JSON}Content-Encoding: {coding}\r\n");
        has(&served.ask("POST /users/u-1", &headers, body).await, 200, "done");
    }
}

#[tokio::test]
async fn a_body_that_is_not_utf_8_is_no_media_type_of_ours() {
    let served = serve().await;
    let utf_16: Vec<u8> = "{\"a\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let with_mark = [b"\xFF\xFE", utf_16.as_slice()].concat();
    let big: Vec<u8> = "[1]".encode_utf16().flat_map(u16::to_be_bytes).collect();
    for (parameters, body) in [
        ("", b"{\"a\":\"\xE9\"}".as_slice()),
        ("", &utf_16),
        ("", &with_mark),
        ("", &big),
        ("; charset=iso-8859-1", b"{\"a\":\"\xE9\"}"),
        ("; charset=iso-8859-1", "{\"a\":\"é\"}".as_bytes()),
        ("; Charset=\"UTF-16\"", b"{}"),
        (";CHARSET=utf-16le", &utf_16),
        ("; q=\"a;charset=utf-8\"; charset=utf-32", b"{}"),
    ] {
        let headers = format!("Content-Type: application/json{parameters}\r\n");
        has(&served.ask("POST /users/u-1", &headers, body).await, 415, "UTF-8");
    }
    assert_eq!(served.count(), 0);
    for parameters in [
        "",
        ";",
        "; charset=utf-8",
        ";charset=UTF-8",
        "; Charset=\"Utf-8\"",
        "; charset=utf8",
        "; charset='utf-8'",
        "; charset=us-ascii",
        "; charset=",
        "; version=1; charset=utf-8",
        "; q=\"a;charset=utf-16\"",
    ] {
        let headers = format!("Content-Type: application/JSON {parameters}\r\n");
        let answer = served.ask("POST /users/u-1", &headers, "{\"a\":\"é\"}").await;
        has(&answer, 200, "done");
    }
}

#[tokio::test]
async fn a_file_is_known_as_one_however_its_part_says_so() {
    let served = serve().await;
    for disposition in [
        "form-data; name=\"avatar\"; filename=\"me.png\"",
        "form-data; name=avatar; filename=me.png",
        "form-data; name=avatar; filename=my picture.png",
        "Form-Data; Name=\"avatar\"; FileName=\"me.png\"",
        "form-data;NAME = \"avatar\" ;FILENAME = \"me.png\"",
        "form-data; filename=\"me.png\"; name=\"avatar\"",
        "form-data; name=\"avatar\"; filename*=UTF-8''m%C3%A9.png",
        "form-data; name=\"avatar\"; filename=\"me.png\"; filename*=UTF-8'fr'm%C3%A9.png",
        "form-data; name=\"avatar\"; filename*=iso-8859-1'en'm%E9.png",
        "form-data; name=\"avatar\"; filename*=\"UTF-8''me.png\"",
        "form-data; name=\"avatar\"; filename*=nonsense",
        "form-data; name=\"avatar\"; filename*0=\"a long \"; filename*1=\"name.png\"",
        "form-data; name=\"avatar\"; filename*0*=UTF-8''m%C3; filename*1*=%A9.png",
        "form-data; name*=utf-8''avat%61r; filename=\"me.png\"",
        "form-data; name=\"avatar\"; filename=\"a; name=b.png\"",
        "form-data; filename=\"a; name=b.png\"; name=\"avatar\"",
        "form-data; name=\"avatar\"; filename=\"C:\\pictures\\me.png\"",
        "form-data; name=\"avatar\"; filename=\"a\\\"; name=\\\"b.png\"",
        "form-data; name=\"avatar\"; filename=\"mé\u{1F600}.png\"",
        "form-data; name=\"avatar\"; filename=\"me.png\"; size=1; unknown",
        "form-data; name=\"avatar\"; filename=\"\"",
    ] {
        let answer = served
            .ask(
                "POST /users/u-1/avatar",
                FORM,
                form(disposition, "Content-Type: image/png\r\n"),
            )
            .await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{disposition}: {answer}");
        let fields: Vec<_> = served.last().files.into_iter().map(|file| file.field).collect();
        assert_eq!(fields, ["avatar"], "{disposition}");
    }
    // A name in an encoding of old: the file is one all the same.
    let mut old = form("form-data; name=\"avatar\"; filename=\"m?.png\"", "");
    if let Some(byte) = old.iter_mut().find(|byte| **byte == b'?') {
        *byte = 0xE9;
    }
    has(&served.ask("POST /users/u-1/avatar", FORM, old).await, 200, "done");
    assert_eq!(served.last().files.len(), 1);
}

#[tokio::test]
async fn a_form_s_boundary_is_found_however_it_is_written() {
    let served = serve().await;
    for content_type in [
        "multipart/form-data; boundary=XX",
        "Multipart/Form-Data; Boundary=XX",
        "multipart/form-data;BOUNDARY=\"XX\"",
        "multipart/form-data; charset=utf-8; boundary=XX",
        "multipart/form-data; boundary=XX; charset=\"utf-8\"",
        "multipart/form-data; boundary=XX;",
    ] {
        let headers = format!("Content-Type: {content_type}\r\n");
        let form = form("form-data; name=\"avatar\"; filename=\"me.png\"", "");
        has(&served.ask("POST /users/u-1/avatar", &headers, form).await, 200, "done");
    }
    let body = String::from_utf8_lossy(&form("form-data; name=\"note\"", "")).replace("XX", "=_a=b'(c)");
    let body = body.replace('\u{FFFD}', "");
    let headers = "Content-Type: multipart/form-data; boundary==_a=b'(c)\r\n";
    has(&served.ask("POST /users/u-1/avatar", headers, body).await, 200, "done");
    for content_type in ["multipart/form-data", "multipart/form-data; boundary=\"\""] {
        let headers = format!("Content-Type: {content_type}\r\n");
        let form = form("form-data; name=\"avatar\"; filename=\"me.png\"", "");
        has(
            &served.ask("POST /users/u-1/avatar", &headers, form).await,
            400,
            "boundary",
        );
    }
}

#[tokio::test]
async fn a_part_that_is_encoded_or_not_utf_8_is_no_media_type_of_ours() {
    let served = serve().await;
    let text = |headers: &str, content: &[u8]| {
        let head = format!("--XX\r\nContent-Disposition: form-data; name=\"note\"\r\n{headers}\r\n");
        [head.as_bytes(), content, b"\r\n--XX--\r\n"].concat()
    };
    let charset = |name: &str| {
        let field = "--XX\r\nContent-Disposition: form-data; name=\"_charset_\"\r\n\r\n";
        [format!("{field}{name}\r\n").as_bytes(), &text("", b"abc")].concat()
    };
    let picture = "form-data; name=\"avatar\"; filename=\"a\"";
    for (body, words) in [
        (text("", b"caf\xE9"), "UTF-8"),
        (
            text("Content-Type: text/plain; charset=ISO-8859-1\r\n", b"caf\xE9"),
            "UTF-8",
        ),
        (
            text("Content-Type: text/plain; Charset=\"utf-16\"\r\n", b"abc"),
            "UTF-8",
        ),
        (charset("iso-8859-1"), "UTF-8"),
        (
            text("Content-Transfer-Encoding: base64\r\n", b"Y2Fm"),
            "content-transfer-encoding",
        ),
        (
            text("Content-Transfer-Encoding: Quoted-Printable\r\n", b"caf=C3=A9"),
            "content-transfer-encoding",
        ),
        (
            form(picture, "Content-Transfer-Encoding: base64\r\n"),
            "content-transfer-encoding",
        ),
        (form(picture, "Content-Encoding: gzip\r\n"), "content-encoding"),
        (
            form("form-data; name*=iso-8859-1''avat%E4r; filename=\"a\"", ""),
            "UTF-8",
        ),
    ] {
        has(&served.ask("POST /users/u-1/avatar", FORM, body).await, 415, words);
    }
    assert_eq!(served.count(), 0);
    for body in [
        text("Content-Type: text/plain; charset=utf-8\r\n", "café".as_bytes()),
        text(
            "Content-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n",
            "café".as_bytes(),
        ),
        text("Content-Transfer-Encoding: Binary\r\n", b"abc"),
        charset("UTF-8"),
        form(
            picture,
            "Content-Type: image/png; charset=binary\r\nContent-Transfer-Encoding: binary\r\n",
        ),
    ] {
        has(&served.ask("POST /users/u-1/avatar", FORM, body).await, 200, "done");
    }
}
