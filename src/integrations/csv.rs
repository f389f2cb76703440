//! Helpers for reading CSV files (RFC 4180).

/// Counts lines as an editor does. The CSV reader's own count learns too late of the `\r\n` that ends a record.
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
    /// Returns the line of the record that begins at `byte`, or behind the line ends there. Calls must go forward.
    pub fn count(&mut self, text: &[u8], byte: usize) -> u64 {
        let ends = text.get(byte..).unwrap_or_default().iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let passed = text.get(self.at..byte + ends).unwrap_or_default();
        self.line += passed.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.at += passed.len();
        self.line
    }
}
