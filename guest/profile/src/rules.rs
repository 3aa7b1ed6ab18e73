//! What a value must look like. A rule gives the value as it is stored, or says how it must be.

use sandman_sdk::time;

use crate::codes;

/// A rule's answer.
pub type Ruled = Result<String, &'static str>;

/// Longest name, in characters.
pub const NAME: usize = 100;
/// Longest address of an e-mail, in bytes: what SMTP carries.
pub const EMAIL: usize = 254;
/// Longest address of a picture, in bytes.
pub const URL: usize = 2048;

/// A person's name: some text in one line, without spaces around it.
///
/// # Errors
///
/// How it must be.
pub fn name(text: &str) -> Ruled {
    line(text, NAME, "must be 100 characters at most")
}

/// The name of an imported profile: it may have begun as a first and a last name.
///
/// # Errors
///
/// How it must be.
pub fn whole_name(text: &str) -> Ruled {
    line(text, 2 * NAME + 1, "must be 201 characters at most")
}

fn line(text: &str, longest: usize, must: &'static str) -> Ruled {
    let text = text.trim();
    if text.is_empty() {
        return Err("must not be empty");
    }
    if text.chars().count() > longest {
        return Err(must);
    }
    if text.chars().any(char::is_control) {
        return Err("must be one line of text");
    }
    Ok(text.to_owned())
}

/// An e-mail address. Only mail that arrives can prove one; this refuses what cannot be one.
///
/// # Errors
///
/// How it must be.
pub fn email(text: &str) -> Ruled {
    const MUST: &str = "must be an e-mail address";
    let text = text.trim();
    let (local, domain) = text.rsplit_once('@').ok_or(MUST)?;
    let labels_fit = domain.contains('.') && domain.split('.').all(|label| !label.is_empty());
    let printable = !text.contains(|letter: char| letter.is_whitespace() || letter.is_control());
    if local.is_empty() || local.contains('@') || !labels_fit || !printable || text.len() > EMAIL {
        return Err(MUST);
    }
    Ok(text.to_owned())
}

/// A phone number: E.164 once spaces, dots, dashes and brackets are taken out.
///
/// # Errors
///
/// How it must be.
pub fn phone(text: &str) -> Ruled {
    let number: String = text.chars().filter(|letter| !" .-()[]".contains(*letter)).collect();
    let digits = number.strip_prefix('+').unwrap_or_default();
    let fits = (2..=15).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|digit| digit.is_ascii_digit());
    fits.then_some(number)
        .ok_or("must be a phone number in E.164, for example +33612345678")
}

/// A day of the calendar. Of a date with a time, as a database or a date picker writes it, the date counts.
///
/// # Errors
///
/// How it must be.
pub fn date(text: &str) -> Ruled {
    const MUST: &str = "must be an ISO 8601 date, for example 1990-12-31";
    if time::is_date(text) {
        return Ok(text.to_owned());
    }
    let date = text.get(..10).filter(|_| time::millis_of(text).is_some());
    date.map(str::to_owned).ok_or(MUST)
}

/// A time from outside, as events write it.
///
/// # Errors
///
/// How it must be.
pub fn time(text: &str) -> Ruled {
    let millis =
        time::millis_of(text).ok_or("must be an ISO 8601 date and time, for example 2025-12-12T10:30:00.000Z")?;
    Ok(time::iso_millis(millis))
}

/// A nationality.
///
/// # Errors
///
/// How it must be.
pub fn nationality(text: &str) -> Ruled {
    let known = codes::is_country(text);
    known
        .then(|| text.to_owned())
        .ok_or("must be a country in ISO 3166-1 alpha-2, for example FR")
}

/// Where a picture is: an `http` or `https` URL, or an absolute path of this site.
///
/// # Errors
///
/// How it must be.
pub fn picture(text: &str) -> Ruled {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let fits = match rest {
        Some(rest) => !rest.starts_with(['/', '?', '#']) && !rest.is_empty(),
        // Two slashes would begin the name of another site.
        None => text.starts_with('/') && !text.starts_with("//"),
    };
    let printable = !text.contains(|letter: char| letter.is_whitespace() || letter.is_control() || letter == '\\');
    (fits && printable && text.len() <= URL)
        .then(|| text.to_owned())
        .ok_or("must be an http(s) URL or an absolute path")
}
