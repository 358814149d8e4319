//! What one expert saw of one video, as a file has it, checked.

use std::path::Path;

use half::f16;

use crate::data::error::DataError;

/// Rows of one expert for one video; at least one row, all values finite.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::data) struct Recording {
    /// Length of a row.
    pub(in crate::data) dim: usize,
    /// Rows `[n_rows, dim]`.
    pub(in crate::data) values: Vec<f32>,
    /// Mean time of each row in seconds, if known.
    pub(in crate::data) times_s: Option<Vec<f32>>,
    /// Whether the file had times for more rows than there are, which were cut off.
    pub(in crate::data) times_cut: bool,
}

impl Recording {
    /// The recording that an array is: one axis is one row. `None` for no rows, and for a first value that is NaN,
    /// which is how published features say that the expert has nothing on the video.
    ///
    /// # Errors
    /// [`DataError::FeatureShape`] for another number of axes or rows without values (`expected` is the length of
    /// a row, if known), [`DataError::NotFinite`].
    pub(in crate::data) fn new(
        path: &Path,
        video: &str,
        shape: &[usize],
        values: Vec<f32>,
        expected: Option<usize>,
    ) -> Result<Option<Self>, DataError> {
        let (n_rows, row_len) = match *shape {
            [0, ..] if shape.len() <= 2 => return Ok(None),
            [row_len] => (1, row_len),
            [n_rows, row_len] => (n_rows, row_len),
            _ => (0, 0),
        };
        let dim = expected.unwrap_or(row_len);
        if n_rows == 0 || row_len != dim || dim == 0 {
            return Err(DataError::FeatureShape {
                path: path.to_owned(),
                video: video.to_owned(),
                found: shape.to_vec(),
                expected: expected.map_or("[rows, dim]".to_owned(), |dim| format!("[rows, {dim}]")),
            });
        }
        if values[0].is_nan() {
            return Ok(None);
        }
        refuse_non_finite(path, video, &values, dim)?;
        Ok(Some(Self {
            dim,
            values,
            times_s: None,
            times_cut: false,
        }))
    }

    /// Number of rows.
    pub(super) fn n_rows(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Gives each row its time and puts the rows into time order; equal times keep their order.
    pub(super) fn set_times(&mut self, times_s: Vec<f32>) {
        if !times_s.is_sorted_by(|a, b| a.total_cmp(b).is_le()) {
            let mut order: Vec<usize> = (0..times_s.len()).collect();
            order.sort_by(|&a, &b| times_s[a].total_cmp(&times_s[b]));
            let dim = self.dim;
            let rows = order
                .iter()
                .flat_map(|&row| &self.values[row * dim..(row + 1) * dim]);
            self.values = rows.copied().collect();
            self.times_s = Some(order.iter().map(|&row| times_s[row]).collect());
        } else {
            self.times_s = Some(times_s);
        }
    }
}

/// Refuses NaN and infinity in rows of `dim` values.
///
/// # Errors
/// [`DataError::NotFinite`].
pub(super) fn refuse_non_finite(
    path: &Path,
    video: &str,
    values: &[f32],
    dim: usize,
) -> Result<(), DataError> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(place) => Err(DataError::NotFinite {
            path: path.to_owned(),
            video: video.to_owned(),
            row: place / dim,
            column: place % dim,
            value: values[place],
        }),
    }
}

/// Identity of what one expert saw of one video: of its rows as f32, or as f16 where they are kept so, and its times.
///
/// `rows` are fed one after another, so that rows of a shared table count like rows of their own.
pub(in crate::data) fn digest<'a>(
    rows: impl IntoIterator<Item = RowBytes<'a>>,
    times_s: Option<&[f32]>,
) -> blake3::Hash {
    let mut hash = blake3::Hasher::new();
    for row in rows {
        match row {
            RowBytes::F32(values) => update(&mut hash, values, |value| value.to_le_bytes()),
            RowBytes::F16(values) => update(&mut hash, values, |value| value.to_le_bytes()),
        }
    }
    let values = hash.finalize();
    let mut hash = blake3::Hasher::new();
    hash.update(values.as_bytes());
    update(&mut hash, times_s.unwrap_or_default(), |value| {
        value.to_le_bytes()
    });
    hash.finalize()
}

/// Rows whose bytes are hashed.
#[derive(Debug, Clone, Copy)]
pub(in crate::data) enum RowBytes<'a> {
    /// Rows of f32.
    F32(&'a [f32]),
    /// Rows of f16.
    F16(&'a [f16]),
}

/// Feeds the bytes of values, low byte first.
fn update<T: bytemuck::NoUninit, const N: usize>(
    hash: &mut blake3::Hasher,
    values: &[T],
    bytes: impl Fn(T) -> [u8; N],
) {
    if cfg!(target_endian = "little") {
        hash.update(bytemuck::cast_slice(values));
    } else {
        for &value in values {
            hash.update(&bytes(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(shape: &[usize], values: &[f32]) -> Result<Option<Recording>, DataError> {
        Recording::new(Path::new("f"), "v", shape, values.to_vec(), None)
    }

    #[test]
    fn the_three_signs_of_an_absent_expert() {
        assert_eq!(read(&[0, 4], &[]).unwrap(), None);
        assert_eq!(read(&[0], &[]).unwrap(), None);
        assert_eq!(read(&[1, 2], &[f32::NAN, 1.0]).unwrap(), None);
        // Only the first value is a sign; any other NaN is damage.
        let error = read(&[1, 2], &[1.0, f32::NAN]).unwrap_err();
        assert_eq!(error.to_string(), "`f`: video `v`, row 0, column 1 is NaN");
    }

    #[test]
    fn a_vector_is_one_row_and_times_sort_rows() {
        let one = read(&[2], &[1.0, 2.0]).unwrap().unwrap();
        assert_eq!((one.dim, one.n_rows()), (2, 1));
        let mut three = read(&[3, 1], &[1.0, 2.0, 3.0]).unwrap().unwrap();
        three.set_times(vec![5.0, 4.0, 5.0]);
        assert_eq!(three.values, [2.0, 1.0, 3.0]);
        assert_eq!(three.times_s, Some(vec![4.0, 5.0, 5.0]));
        let error = read(&[2, 1, 2], &[0.0; 4]).unwrap_err();
        assert!(matches!(error, DataError::FeatureShape { .. }), "{error}");
    }

    #[test]
    fn digests_tell_values_types_and_times_apart_and_no_row_bounds() {
        let values = [1.0f32, 2.0, 3.0, 4.0];
        let whole = digest([RowBytes::F32(&values)], None);
        let by_row = values.chunks(2).map(RowBytes::F32);
        assert_eq!(digest(by_row, None), whole);
        assert_ne!(digest([RowBytes::F32(&values)], Some(&[1.0, 2.0])), whole);
        assert_ne!(digest([RowBytes::F16(&values.map(f16::from_f32))], None), whole);
    }
}
