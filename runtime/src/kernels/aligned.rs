//! Bytes where vectors find them fastest.

use std::ops::{Deref, DerefMut};

/// Bytes that a core takes from memory, or from another core's cache, at once.
pub const CACHE_LINE: usize = 64;

/// Bytes from the beginning of a cache line on: a vector of theirs, however wide, is in one line and not in two.
#[derive(Debug, Default)]
pub struct AlignedBytes {
    bytes: Vec<i8>,
    start: usize,
    length: usize,
}

impl AlignedBytes {
    /// `length` zeros.
    pub fn zeros(length: usize) -> Self {
        let bytes = vec![0; length + CACHE_LINE];
        let start = bytes.as_ptr().align_offset(CACHE_LINE).min(CACHE_LINE);
        AlignedBytes {
            bytes,
            start,
            length,
        }
    }
}

impl Deref for AlignedBytes {
    type Target = [i8];

    fn deref(&self) -> &[i8] {
        &self.bytes[self.start..][..self.length]
    }
}

impl DerefMut for AlignedBytes {
    fn deref_mut(&mut self) -> &mut [i8] {
        &mut self.bytes[self.start..][..self.length]
    }
}

/// Elsewhere in memory, a cache line begins elsewhere.
impl Clone for AlignedBytes {
    fn clone(&self) -> Self {
        let mut clone = AlignedBytes::zeros(self.length);
        clone.copy_from_slice(self);
        clone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_begin_at_a_cache_line_also_when_cloned() {
        for length in [0, 1, 63, 64, 1000, 1 << 20] {
            let mut bytes = AlignedBytes::zeros(length);
            bytes.fill(7);
            let clone = bytes.clone();
            for bytes in [&bytes, &clone] {
                assert!(bytes.as_ptr().addr().is_multiple_of(CACHE_LINE));
                assert_eq!(bytes[..], vec![7; length]);
            }
        }
    }
}
