//! The bytes of an array: a part of a mapped file, or memory of our own.

use std::ops::Range;
use std::sync::Arc;

use hitbench_kernels::map::FileMap;

/// Bytes aligned for every element type that we rank.
#[derive(Debug, Clone)]
pub(crate) enum Buffer {
    /// A part of a mapped file.
    Mapped {
        /// The file, shared by the arrays in it.
        map: Arc<FileMap>,
        /// The part.
        range: Range<usize>,
    },
    /// Memory of our own.
    Owned(Aligned),
}

/// Memory of a given length that starts on a multiple of eight bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Aligned {
    words: Vec<u64>,
    n_bytes: usize,
}

/// Memory that the system does not give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutOfMemory {
    /// Bytes asked for.
    pub(crate) n_bytes: usize,
}

impl Aligned {
    /// Zeros.
    ///
    /// # Errors
    /// [`OutOfMemory`], where a plain vector would end the process.
    pub(crate) fn zeros(n_bytes: usize) -> Result<Self, OutOfMemory> {
        let n_words = n_bytes.div_ceil(size_of::<u64>());
        let mut words = Vec::new();
        words
            .try_reserve_exact(n_words)
            .map_err(|_| OutOfMemory { n_bytes })?;
        words.resize(n_words, 0);
        Ok(Self { words, n_bytes })
    }

    /// A copy of some bytes.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub(crate) fn copy(bytes: &[u8]) -> Result<Self, OutOfMemory> {
        let mut copy = Self::zeros(bytes.len())?;
        copy.bytes_mut().copy_from_slice(bytes);
        Ok(copy)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.n_bytes]
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.words)[..self.n_bytes]
    }
}

impl Buffer {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Mapped { map, range } => &map[range.clone()],
            Self::Owned(aligned) => aligned.bytes(),
        }
    }

    /// Whether elements of `size` bytes can be read in place.
    pub(crate) fn is_aligned(&self, size: usize) -> bool {
        self.bytes().as_ptr().addr().is_multiple_of(size)
    }

    /// Memory of our own with the same bytes.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub(crate) fn into_owned(self) -> Result<Aligned, OutOfMemory> {
        match self {
            Self::Owned(aligned) => Ok(aligned),
            mapped @ Self::Mapped { .. } => Aligned::copy(mapped.bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_not_there_is_an_error() {
        let n_bytes = usize::MAX / 2;
        assert_eq!(Aligned::zeros(n_bytes).unwrap_err(), OutOfMemory { n_bytes });
    }

    #[test]
    fn any_length_starts_aligned() {
        for n_bytes in [0, 1, 7, 8, 9, 4097] {
            let bytes: Vec<u8> = (0..n_bytes).map(|i| i as u8).collect();
            let copy = Buffer::Owned(Aligned::copy(&bytes).unwrap());
            assert_eq!(copy.bytes(), bytes);
            assert!(copy.is_aligned(8));
        }
    }

    #[test]
    fn a_part_of_a_file_is_read_in_place_where_it_is_aligned() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, (0..=255).collect::<Vec<u8>>()).unwrap();
        let map = Arc::new(FileMap::open(&path).unwrap());
        let part = |range| Buffer::Mapped {
            map: Arc::clone(&map),
            range,
        };
        assert!(part(16..32).is_aligned(8) && !part(17..33).is_aligned(2));
        assert_eq!(part(17..20).bytes(), [17, 18, 19]);
        assert_eq!(part(17..20).into_owned().unwrap().bytes(), [17, 18, 19]);
    }
}
