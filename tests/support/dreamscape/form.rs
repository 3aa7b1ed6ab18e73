//! Multipart forms as browsers send them.

/// A form that is being filled in.
#[derive(Clone, Debug, Default)]
pub struct Form {
    parts: Vec<u8>,
}

const BOUNDARY: &str = "----sandman-tests-boundary";

impl Form {
    /// The smallest file that is a PNG by its signature.
    pub const PNG: &[u8] = b"\x89PNG\r\n\x1A\nand little else";
    /// The same for JPEG.
    pub const JPEG: &[u8] = b"\xFF\xD8\xFF\xE0and little else";
    /// The same for GIF.
    pub const GIF: &[u8] = b"GIF89aand little else";

    /// The form of the avatar's route, with a picture.
    pub fn avatar(content: &[u8]) -> Self {
        Self::default().file("avatar", "me.png", content)
    }

    /// With a file; the media type that it claims is never the right one, because the host must not believe it.
    #[must_use]
    pub fn file(self, field: &str, name: &str, content: &[u8]) -> Self {
        let head = format!("name=\"{field}\"; filename=\"{name}\"\r\nContent-Type: image/svg+xml");
        self.part(&head, content)
    }

    /// With a text.
    #[must_use]
    pub fn text(self, field: &str, text: &str) -> Self {
        self.part(&format!("name=\"{field}\""), text.as_bytes())
    }

    /// With a part whose disposition has these parameters; headers may follow them.
    #[must_use]
    pub fn part(mut self, head: &str, content: &[u8]) -> Self {
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n");
        self.parts.extend([head.as_bytes(), content, b"\r\n"].concat());
        self
    }

    /// What `Content-Type` says.
    pub fn media_type() -> String {
        format!("multipart/form-data; boundary={BOUNDARY}")
    }

    /// The whole body.
    pub fn bytes(&self) -> Vec<u8> {
        [self.parts.as_slice(), format!("--{BOUNDARY}--\r\n").as_bytes()].concat()
    }
}
