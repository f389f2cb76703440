//! Tables from outside (CSV, RFC 4180): what all who read one share.

/// Counts lines as an editor does: the reader's own count does not know of a record's end `\r\n` in time.
pub struct LineCount {
    at: usize,
    line: u64,
}

impl Default for LineCount {
    fn default() -> Self {
        Self { at: 0, line: 1 }
    }
}

impl LineCount {
    /// The line of the record that begins at this byte, or after the ends of lines there; never before the last one.
    pub fn count(&mut self, text: &[u8], byte: usize) -> u64 {
        let ends = text.get(byte..).unwrap_or_default().iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let passed = text.get(self.at..byte + ends).unwrap_or_default();
        self.line += passed.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.at += passed.len();
        self.line
    }
}
