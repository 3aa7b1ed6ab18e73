//! Reads a file line by line, with a limit on the length of a line in memory.

use std::io::{self, BufRead, BufReader, Read};

/// The lines of a file.
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    longest: usize,
    line: Vec<u8>,
    /// The number of the last line, from 1.
    number: u64,
    /// Bytes read so far.
    pub(super) bytes: u64,
}

/// A line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Text<'a> {
    /// The whole line.
    Whole(&'a [u8]),
    /// It is longer than the limit, and was skipped.
    TooLong,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(file: R, longest: usize) -> Self {
        Self {
            reader: BufReader::with_capacity(256 << 10, file),
            longest,
            line: Vec::new(),
            number: 0,
            bytes: 0,
        }
    }

    /// The next line that is not blank, with its number; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Text<'_>)>> {
        loop {
            self.line.clear();
            let Some(too_long) = self.read()? else { return Ok(None) };
            self.number += 1;
            if too_long {
                return Ok(Some((self.number, Text::TooLong)));
            }
            if !self.line.trim_ascii().is_empty() {
                // Borrowed again, because a borrow from inside the loop would last until the end of the function.
                break;
            }
        }
        Ok(Some((self.number, Text::Whole(self.line.trim_ascii()))))
    }

    /// Reads up to the end of the line; returns whether it was too long. `None` at the end of the file.
    fn read(&mut self) -> io::Result<Option<bool>> {
        let (mut began, mut too_long) = (false, false);
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                return Ok(began.then_some(too_long));
            }
            began = true;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let (part, used) = match end {
                Some(end) => (buffer.get(..end).unwrap_or_default(), end + 1),
                None => (buffer, buffer.len()),
            };
            too_long |= self.line.len() + part.len() > self.longest;
            if !too_long {
                self.line.extend_from_slice(part);
            }
            self.reader.consume(used);
            self.bytes += used as u64;
            if end.is_some() {
                return Ok(Some(too_long));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lines, Text};

    #[test]
    fn lines_are_numbered_blank_ones_too_and_long_ones_passed_over() {
        let mut lines = Lines::new(&b"one\n\n  \r\n0123456789\nfive\r\nlast"[..], 9);
        let mut next = || {
            lines
                .next()
                .expect("a file that can be read")
                .map(|(number, text)| (number, format!("{text:?}")))
        };
        let whole = |number, text: &str| Some((number, format!("{:?}", Text::Whole(text.as_bytes()))));
        assert_eq!(next(), whole(1, "one"));
        assert_eq!(next(), Some((4, "TooLong".to_owned())));
        assert_eq!(next(), whole(5, "five"));
        assert_eq!(next(), whole(6, "last"));
        assert_eq!(next(), None);
        assert_eq!(lines.bytes, 30);
    }
}
