//! Uploaded pictures: recognised by their first bytes, regardless of their names and declared types.

use axum::body::Bytes;

/// The format of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PictureKind {
    Jpeg,
    Png,
    Gif,
}

const SIGNATURES: [(&[u8], PictureKind); 4] = [
    (b"\xFF\xD8\xFF", PictureKind::Jpeg),
    (b"\x89PNG\r\n\x1A\n", PictureKind::Png),
    (b"GIF87a", PictureKind::Gif),
    (b"GIF89a", PictureKind::Gif),
];

impl PictureKind {
    const ALL: [Self; 3] = [Self::Jpeg, Self::Png, Self::Gif];

    /// Recognises the format by the beginning of the content. It is not decoded, because clients upload files with
    /// little more than a signature.
    pub(super) fn of(content: &[u8]) -> Option<Self> {
        let found = SIGNATURES.iter().find(|(signature, _)| content.starts_with(signature));
        found.map(|(_, kind)| *kind)
    }

    /// The format of a file name's extension. DreamScape's earlier service kept the extensions that its clients had chosen.
    pub(super) fn of_extension(extension: &str) -> Option<Self> {
        let extension = extension.to_ascii_lowercase();
        let ours = |kind: &Self| kind.extension() == extension || (*kind == Self::Jpeg && extension == "jpeg");
        Self::ALL.into_iter().find(ours)
    }

    /// The extension of our files.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Gif => "gif",
        }
    }

    /// The media type.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
        }
    }
}

/// A picture from a form, not stored yet.
#[derive(Debug)]
pub(super) struct Picture {
    /// The form's field.
    pub(super) field: String,
    /// What it is.
    pub(super) kind: PictureKind,
    /// Its bytes.
    pub(super) content: Bytes,
    /// SHA-256 of the bytes, lower-case hex.
    pub(super) digest: String,
}

#[cfg(test)]
mod tests {
    use super::PictureKind;

    #[test]
    fn pictures_are_known_by_their_first_bytes_alone() {
        let known: [(&[u8], PictureKind); 5] = [
            (b"\xFF\xD8\xFF", PictureKind::Jpeg),
            (b"\xFF\xD8\xFF\xE0rest", PictureKind::Jpeg),
            (b"\x89PNG\r\n\x1A\n", PictureKind::Png),
            (b"GIF87a", PictureKind::Gif),
            (b"GIF89a<script>", PictureKind::Gif),
        ];
        for (content, kind) in known {
            assert_eq!(PictureKind::of(content), Some(kind), "{content:?}");
            assert_eq!(PictureKind::of_extension(kind.extension()), Some(kind));
        }
        let others: [&[u8]; 7] = [
            b"",
            b"\xFF\xD8",
            b"\x89PNG\n",
            b"GIF88a",
            b" GIF89a",
            b"<svg>",
            b"RIFF....WEBP",
        ];
        for content in others {
            assert_eq!(PictureKind::of(content), None, "{content:?}");
        }
        assert_eq!(PictureKind::of_extension("svg"), None);
    }
}
