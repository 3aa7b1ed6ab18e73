//! `[uploads]`: where uploaded files are kept.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::environment::trimmed;
use super::kind::{Kind, duration};
use super::problem::ProblemReport;
use super::secret::Secret;
use super::section::{Section, resolve};

/// `[uploads]`.
#[derive(Clone, Debug)]
pub struct UploadsConfig {
    /// The location of the files.
    pub url: UploadsUrl,
    /// How long a file is kept after no state names it any more.
    pub keep: Duration,
}

/// The location of uploaded files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UploadsUrl {
    /// A folder on this machine.
    Folder(PathBuf),
    /// A bucket of an S3 server, which several hosts may share.
    S3(Bucket),
}

/// A bucket of an S3 server, and the access to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// The prefix of all keys, without a slash at its ends; may be empty.
    pub prefix: String,
    /// AWS's own variables: the server, the region, the credentials.
    pub access: BTreeMap<String, Secret>,
}

impl fmt::Display for UploadsUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(out, "file:{}", folder.display()),
            Self::S3(bucket) => write!(out, "{bucket}"),
        }
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "s3://{}", self.name)?;
        match &*self.prefix {
            "" => Ok(()),
            prefix => write!(out, "/{prefix}"),
        }
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The variables with the server's address.
const ENDPOINTS: [&str; 3] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];
/// Requests are signed only with both.
const CREDENTIALS: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];

pub(super) fn read(mut section: Section<'_>, aws: BTreeMap<String, Secret>) -> UploadsConfig {
    let default = resolve(&section.report.folder, "data/uploads");
    let mut config = UploadsConfig {
        keep: section.or("keep", &duration(Duration::ZERO..=10 * 365 * DAY), 30 * DAY),
        url: section.or("url", &url(&section.report.folder), UploadsUrl::Folder(default)),
    };
    if let UploadsUrl::S3(bucket) = &mut config.url {
        let trimmed = |(name, secret): (String, Secret)| {
            let text = trimmed(&name, secret.expose().to_owned(), section.report);
            (name, Secret::new(text))
        };
        bucket.access = aws.into_iter().map(trimmed).collect();
        check(&bucket.access, section.report);
    }
    section.finish();
    config
}

fn check(aws: &BTreeMap<String, Secret>, report: &ProblemReport) {
    let [id, secret] = CREDENTIALS;
    for (missing, there) in [(id, secret), (secret, id)] {
        if aws.contains_key(there) && !aws.contains_key(missing) {
            let problem = format!("is missing: {there} is set, and uploads.url is in a bucket");
            report.refuse(missing, problem);
        }
    }
    for name in ENDPOINTS {
        let is_address = |url: &Secret| {
            ["http://", "https://"]
                .iter()
                .any(|kind| url.expose().starts_with(kind))
        };
        if aws.get(name).is_some_and(|url| !is_address(url)) {
            let problem =
                "must be the address of an S3 server, such as https://s3.example:9000; leave it out for AWS's own";
            report.refuse(name, problem);
        }
    }
}

fn url(folder: &Path) -> Kind<UploadsUrl> {
    let folder = folder.to_owned();
    Kind::text(
        "\"file:PATH\", the path of a folder, or \"s3://BUCKET/PREFIX\"",
        move |text| {
            if let Some(place) = text.strip_prefix("s3://") {
                return bucket(place).map(UploadsUrl::S3);
            }
            let path = text.strip_prefix("file:")?;
            (!path.is_empty()).then(|| UploadsUrl::Folder(resolve(&folder, path)))
        },
    )
}

/// A bucket as S3 names them, and a prefix of plain parts.
fn bucket(place: &str) -> Option<Bucket> {
    let (name, prefix) = place.split_once('/').unwrap_or((place, ""));
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let part = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(plain);
    let named = (3..=63).contains(&name.len()) && name.bytes().all(lower);
    let placed = prefix.is_empty() || prefix.split('/').all(part);
    (named && placed).then(|| Bucket {
        name: name.to_owned(),
        prefix: prefix.to_owned(),
        access: BTreeMap::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::bucket;

    #[test]
    fn a_bucket_has_a_plain_name_and_perhaps_a_prefix() {
        for (place, shown) in [
            ("pictures", "s3://pictures"),
            ("pictures/", "s3://pictures"),
            ("my.pictures-2/users/a_b/", "s3://my.pictures-2/users/a_b"),
        ] {
            assert_eq!(bucket(place).map(|bucket| bucket.to_string()).as_deref(), Some(shown));
        }
        for place in [
            "",
            "x",
            "/a",
            "Pictures",
            "pictures//a",
            "pictures/../a",
            "pictures/a b",
            "pictures/a//",
            "pictures?x=1",
            "me:secret@pictures",
        ] {
            assert_eq!(bucket(place), None, "{place}");
        }
    }
}
