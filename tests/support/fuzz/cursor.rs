//! Values out of the bytes of a fuzzer, until they run out; then everything is zero and empty.

#[derive(Clone, Copy)]
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    /// Up to 255 bytes, as many as the next byte says.
    pub(super) fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    /// As [`Cursor::bytes`]; the next byte decides whether there are any, and whether they stand there thousands of times.
    pub(super) fn large(&mut self) -> Option<Vec<u8>> {
        match self.byte() {
            kind if kind % 4 == 0 => None,
            kind if kind % 4 == 1 => Some(self.bytes().repeat(usize::from(kind) * 40)),
            _ => Some(self.bytes().to_vec()),
        }
    }

    /// Text, with whatever is no UTF-8 replaced.
    pub(super) fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }
}
