//! Password files, in the format of `psql`.

use std::path::Path;

/// Finds the password in a file of `psql`'s format: `host:port:database:user:password` per line, `*` for any. A file
/// that others may read is ignored, as by `psql`.
pub(super) fn password_in(file: &Path, asked: [&str; 4]) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    if is_open_to_others(file) {
        tracing::warn!(file = %file.display(), "ignored, because others may read it; chmod 0600");
        return None;
    }
    text.lines().find_map(|line| password_of(line, asked))
}

#[cfg(unix)]
fn is_open_to_others(file: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(file).is_ok_and(|meta| meta.mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_: &Path) -> bool {
    false
}

fn password_of(line: &str, asked: [&str; 4]) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let mut fields = vec![String::new()];
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        // The password is the rest, colons included.
        let is_last = fields.len() == 5;
        match letter {
            ':' if !is_last => fields.push(String::new()),
            '\\' => fields.last_mut()?.extend(letters.next()),
            other => fields.last_mut()?.push(other),
        }
    }
    let [host, port, database, user, password] = fields.try_into().ok()?;
    let mut meant = [host, port, database, user].into_iter().zip(asked);
    meant
        .all(|(field, asked)| field == "*" || field == asked)
        .then_some(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_password_file_is_meant_by_its_fields() {
        let asked = ["db", "5432", "sandman", "u"];
        assert_eq!(password_of("db:5432:sandman:u:a:b", asked).as_deref(), Some("a:b"));
        assert_eq!(password_of("*:*:*:u:p\\\\q", asked).as_deref(), Some("p\\q"));
        assert_eq!(password_of("other:*:*:*:p", asked), None);
        assert_eq!(password_of("#db:5432:sandman:u:p", asked), None);
        assert_eq!(password_of("db:5432", asked), None);
    }
}
