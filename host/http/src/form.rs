//! Multipart forms: pictures in the fields that the route names, and text.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, header};
use multer::{Field, Multipart};
use serde_json::{Map, Value};

use super::body::{all_entries_are, content_type, not_utf8, utf8};
use super::parameters::{Parameters, is_utf8};
use super::picture::{Picture, PictureKind};
use super::refusal::HttpRefusal;
use sandman_core::digest;

/// The media type of forms.
pub(super) const MEDIA_TYPE: &str = "multipart/form-data";
/// Bytes of the longest boundary (RFC 2046).
const BOUNDARY: usize = 70;
/// The allowed encodings of a part, which leave it unchanged (RFC 7578).
const UNCHANGED: [&str; 3] = ["7bit", "8bit", "binary"];
const TRANSFER_ENCODING: HeaderName = HeaderName::from_static("content-transfer-encoding");
/// The field that names the charset of the others (RFC 7578).
const CHARSET: &str = "_charset_";
/// The most parts of one form.
const PARTS: usize = 64;
/// Bytes of a field's name.
const NAME: usize = 256;

/// A completely read form.
#[derive(Debug, Default)]
pub(super) struct Form {
    /// The text fields.
    pub(super) texts: Map<String, Value>,
    /// The pictures, at most one for each field.
    pub(super) pictures: Vec<Picture>,
}

/// What a route accepts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Takes<'a> {
    /// The fields that may hold a file.
    pub(super) fields: &'a [String],
    /// Bytes of one file.
    pub(super) most: usize,
}

/// Reads the form in `body`. A body that ends early is refused.
pub(super) async fn read(content_type: &Parameters, body: Vec<u8>, takes: Takes<'_>) -> Result<Form, HttpRefusal> {
    let boundary = boundary(content_type)?;
    let mut parts = Multipart::new(Body::from(body).into_data_stream(), boundary);
    let mut form = Form::default();
    let mut count = 0;
    while let Some(part) = parts.next_field().await.map_err(refused)? {
        count += 1;
        if count > PARTS {
            return Err(HttpRefusal::bad(format!("the form has more than {PARTS} parts")));
        }
        form.add(part, takes).await?;
    }
    let charset = form.texts.get(CHARSET).and_then(Value::as_str);
    match charset {
        Some(charset) if !is_utf8(charset) => Err(not_utf8("the form")),
        _ => Ok(form),
    }
}

fn boundary(content_type: &Parameters) -> Result<&str, HttpRefusal> {
    let boundary = content_type
        .get("boundary")
        .filter(|_| content_type.value == MEDIA_TYPE);
    let good = boundary.filter(|boundary| (1..=BOUNDARY).contains(&boundary.len()));
    good.ok_or_else(|| {
        let form = format!("Content-Type: {MEDIA_TYPE}; boundary=…");
        HttpRefusal::Bad(format!("a form needs a boundary of 1 to {BOUNDARY} characters: {form}"))
    })
}

/// The description of a part.
struct Described {
    field: String,
    /// The client's name of the file; `None` if the part is not a file. Used only to recognise files.
    file_name: Option<String>,
}

impl Described {
    fn read(headers: &HeaderMap) -> Result<Self, HttpRefusal> {
        let disposition = headers.get(header::CONTENT_DISPOSITION);
        let disposition = Parameters::parse(disposition.map_or(&[], |value| value.as_bytes()));
        let Some(field) = disposition.decoded("name").filter(|name| !name.is_empty()) else {
            return Err(HttpRefusal::bad("the form has a part without a name"));
        };
        if field.contains('\u{FFFD}') {
            return Err(not_utf8("the name of a form's part"));
        }
        for (name, taken) in [
            (TRANSFER_ENCODING, UNCHANGED.as_slice()),
            (header::CONTENT_ENCODING, &["identity"]),
        ] {
            if !all_entries_are(headers, &name, taken) {
                let problem = format!("the part {field:?} is encoded ({name}); send it as it is");
                return Err(HttpRefusal::Media(problem));
            }
        }
        let file_name = disposition.decoded("filename");
        let file_name = file_name.or_else(|| disposition.has("filename").then(|| "?".to_owned()));
        Ok(Self { field, file_name })
    }
}

impl Form {
    async fn add(&mut self, part: Field<'_>, takes: Takes<'_>) -> Result<(), HttpRefusal> {
        let Described { field, file_name } = Described::read(part.headers())?;
        if field.len() > NAME {
            return Err(HttpRefusal::bad(format!(
                "the name of a field has more than {NAME} bytes"
            )));
        }
        let is_utf8 = content_type(part.headers()).is_none_or(|described| described.is_utf8());
        let content = part.bytes().await.map_err(refused)?;
        if self.texts.contains_key(&field) || self.pictures.iter().any(|picture| picture.field == field) {
            return Err(HttpRefusal::bad(format!("the form has the field {field:?} twice")));
        }
        let Some(file_name) = file_name else {
            let what = format!("the field {field:?}");
            if !is_utf8 {
                return Err(not_utf8(&what));
            }
            let text = utf8(content.into(), &what)?;
            self.texts.insert(field, text.into());
            return Ok(());
        };
        if file_name.is_empty() && content.is_empty() {
            // Browsers send a file input without a chosen file like this.
            return Ok(());
        }
        if !takes.fields.contains(&field) {
            let problem = format!(
                "the field {field:?} accepts no file; files go into {}",
                takes.fields.join(", ")
            );
            return Err(HttpRefusal::Bad(problem));
        }
        if content.len() > takes.most {
            let (what, most) = (format!("the file in {field:?}"), takes.most);
            return Err(HttpRefusal::TooLarge { what, most });
        }
        let Some(kind) = PictureKind::of(&content) else {
            return Err(HttpRefusal::Picture(format!(
                "the file in {field:?} is not a jpeg, png or gif picture"
            )));
        };
        self.pictures.push(Picture {
            field,
            kind,
            digest: digest(&content),
            content,
        });
        Ok(())
    }
}

fn refused(error: multer::Error) -> HttpRefusal {
    HttpRefusal::Bad(format!("the form cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &[u8] = b"multipart/form-data; boundary=XX";
    const GIF: &str = "GIF89a and more";

    fn part(header: &str, content: &str) -> String {
        format!("--XX\r\nContent-Disposition: form-data; {header}\r\n\r\n{content}\r\n")
    }

    async fn parsed(body: String) -> Result<Form, HttpRefusal> {
        let fields = ["avatar".to_owned()];
        let takes = Takes {
            fields: &fields,
            most: 32,
        };
        read(&Parameters::parse(TYPE), body.into_bytes(), takes).await
    }

    #[tokio::test]
    async fn pictures_and_texts_are_read() {
        let avatar = part("name=\"avatar\"; filename=\"../../etc/passwd.svg\"", GIF);
        let body = format!("{avatar}{}--XX--\r\n", part("name=\"note\"", "héllo"));
        let form = parsed(body).await.expect("a good form");
        assert_eq!(form.texts.get("note"), Some(&Value::from("héllo")));
        assert_eq!(form.pictures.len(), 1);
        assert_eq!(form.pictures[0].kind, PictureKind::Gif);
        assert_eq!(form.pictures[0].content, GIF);
        let nothing = parsed(format!("{}--XX--\r\n", part("name=\"avatar\"; filename=\"\"", ""))).await;
        assert!(nothing.expect("a good form").pictures.is_empty());
    }

    #[tokio::test]
    async fn a_form_that_ends_early_is_refused_wherever_it_ends() {
        let body = format!("{}--XX--", part("name=\"avatar\"; filename=\"a.gif\"", GIF));
        parsed(body.clone()).await.expect("the whole form is good");
        for end in 1..body.len() - 2 {
            let cut = body[..end].to_owned();
            assert!(parsed(cut.clone()).await.is_err(), "taken: {cut:?}");
        }
    }

    #[tokio::test]
    async fn what_is_no_picture_of_ours_is_refused() {
        let avatar = "name=\"avatar\"; filename=\"a.gif\"";
        let long = format!("GIF89a{}", "x".repeat(27));
        for (body, words) in [
            (part(avatar, "<svg onload=alert(1)>"), "is not a jpeg"),
            (part(avatar, ""), "is not a jpeg"),
            (part(avatar, &long), "larger than 32 bytes"),
            (part("name=\"other\"; filename=\"a.gif\"", GIF), "accepts no file"),
            (part("filename=\"a.gif\"", GIF), "without a name"),
            (
                part(&format!("name=\"{}\"", "x".repeat(NAME + 1)), "1"),
                "more than 256 bytes",
            ),
            (part(avatar, GIF).repeat(2), "twice"),
            (part("name=\"x\"", "1").repeat(2), "twice"),
        ] {
            let error = parsed(format!("{body}--XX--")).await.expect_err(words);
            assert!(error.to_string().contains(words), "{error}");
        }
        let many: String = (0..=PARTS).map(|n| part(&format!("name=\"n{n}\""), "1")).collect();
        assert!(parsed(format!("{many}--XX--")).await.is_err());
        let takes = Takes { fields: &[], most: 1 };
        let without = Parameters::parse(b"multipart/form-data");
        assert!(read(&without, Vec::new(), takes).await.is_err());
    }
}
