//! One array out of any file that holds some: found, checked against the file's length, put into row-major order.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use half::{bf16, f16};
use hitbench_kernels::map::FileMap;

use super::buffer::{Aligned, Buffer};
use super::error::FormatError;
use super::flaw::Flaw;
use super::layout::{Element, Layout, Shape};
use super::location::Location;
use super::npy::{self, Header};
use super::pickle::{self, Pickle};
use super::{bigfile, hdf5, npz, safetensors};

/// Rows of an array in Fortran order that are gathered in one sweep over its columns.
const ROWS_AT_ONCE: usize = 64;

fn each<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&chunk| value(chunk)).collect()
}

/// What a file is, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// One NumPy array.
    Npy,
    /// A zip archive of NumPy arrays.
    Npz,
    /// Named tensors.
    Safetensors,
    /// A Python pickle.
    Pickle,
    /// Data sets in groups.
    Hdf5,
}

impl Format {
    /// The format whose files begin so, or are called so where their first bytes do not tell; `None` for anything
    /// else.
    pub(crate) fn of(path: &Path, bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(npy::MAGIC) {
            return Some(Self::Npy);
        }
        if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
            return Some(if pickle::is_archive(bytes) {
                Self::Pickle
            } else {
                Self::Npz
            });
        }
        if bytes.starts_with(hdf5::MAGIC) {
            return Some(Self::Hdf5);
        }
        if pickle::is_likely(path, bytes) {
            return Some(Self::Pickle);
        }
        safetensors::is_likely(bytes).then_some(Self::Safetensors)
    }
}

/// An array of one or two axes in row-major order and this machine's byte order.
#[derive(Debug)]
pub(crate) struct Array {
    pub(crate) location: Location,
    pub(crate) element: Element,
    pub(crate) shape: Vec<usize>,
    pub(crate) buffer: Buffer,
}

/// How the values of the array at `location` lie, and where.
fn find(location: &Location) -> Result<(Layout, Buffer), FormatError> {
    if location.path.is_dir() {
        return bigfile::read(location);
    }
    let map = Arc::new(open(location)?);
    match Format::of(&location.path, &map) {
        Some(Format::Npy) => read_npy(location, &map),
        Some(Format::Npz) => npz::read(location, &map),
        Some(Format::Safetensors) => safetensors::read(location, &map),
        Some(Format::Pickle) => Pickle::of_file(location, &map)?.array(location.member.as_deref()),
        Some(Format::Hdf5) => hdf5::read(location, &map),
        None => Err(FormatError::Unknown {
            location: location.clone(),
            found: describe(&map),
        }),
    }
}

impl Array {
    /// Reads the array at `location`. Its values stay in the file where they can.
    ///
    /// # Errors
    /// [`FormatError`] that names the file, and the position of whatever is wrong in it.
    pub(crate) fn read(location: &Location) -> Result<Self, FormatError> {
        let (layout, buffer) = find(location)?;
        Self::new(location, layout, buffer)
    }

    /// As [`Self::read`], of an array with more axes whose sizes but two are 1.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) fn read_squeezed(location: &Location) -> Result<Self, FormatError> {
        let (layout, buffer) = find(location)?;
        Self::squeezed(location, layout, buffer)
    }

    /// As [`Self::new`], of an array with more axes whose sizes but two are 1.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn squeezed(
        location: &Location,
        mut layout: Layout,
        buffer: Buffer,
    ) -> Result<Self, FormatError> {
        if layout.shape.len() > 2 {
            layout.shape.retain(|&size| size != 1);
        }
        Self::new(location, layout, buffer)
    }

    /// The values of a tensor of a safetensors file as f32; `None` where they are no floats.
    ///
    /// # Errors
    /// [`FormatError::Memory`].
    pub(crate) fn floats_of(
        location: &Location,
        dtype: ::safetensors::Dtype,
        bytes: &[u8],
    ) -> Result<Option<Vec<f32>>, FormatError> {
        let element = match dtype {
            ::safetensors::Dtype::F16 => Element::F16,
            ::safetensors::Dtype::BF16 => Element::Bf16,
            ::safetensors::Dtype::F32 => Element::F32,
            ::safetensors::Dtype::F64 => Element::F64,
            _ => return Ok(None),
        };
        let layout = Layout {
            element,
            swapped: cfg!(target_endian = "big"),
            fortran: false,
            shape: vec![bytes.len() / element.size()],
        };
        let values = Aligned::copy(bytes).map_err(|error| FormatError::memory(location, error))?;
        Self::new(location, layout, Buffer::Owned(values))?
            .to_f32()
            .map(Some)
    }

    /// The values as f32; those of f64 are rounded.
    ///
    /// # Errors
    /// [`FormatError::Element`] for an array of anything but floats.
    pub(crate) fn to_f32(&self) -> Result<Vec<f32>, FormatError> {
        let bytes = self.buffer.bytes();
        Ok(match self.element {
            Element::F16 => each(bytes, |chunk| f16::from_ne_bytes(chunk).to_f32()),
            Element::Bf16 => each(bytes, |chunk| bf16::from_ne_bytes(chunk).to_f32()),
            Element::F32 => each(bytes, f32::from_ne_bytes),
            Element::F64 => each(bytes, |chunk| f64::from_ne_bytes(chunk) as f32),
            other @ (Element::Bool | Element::Int(_) | Element::Bytes(_) | Element::Unicode(_)) => {
                return Err(FormatError::Element {
                    location: self.location.clone(),
                    found: other.to_string(),
                });
            }
        })
    }

    /// Puts the values into row-major order and this machine's byte order, copying only where that changes them.
    pub(crate) fn new(location: &Location, layout: Layout, buffer: Buffer) -> Result<Self, FormatError> {
        let (size, word) = (layout.element.size(), layout.element.word());
        let memory = |error| FormatError::memory(location, error);
        if !matches!(layout.shape.len(), 1 | 2) {
            return Err(FormatError::Axes {
                location: location.clone(),
                shape: Shape(layout.shape),
            });
        }
        let buffer = if layout.is_native() && buffer.is_aligned(word) {
            buffer
        } else {
            let mut owned = match (layout.fortran, &layout.shape[..]) {
                (true, &[n_rows, n_columns]) => {
                    transposed(buffer.bytes(), n_rows, n_columns, size).map_err(memory)?
                }
                _ => buffer.into_owned().map_err(memory)?,
            };
            if layout.swapped {
                owned.bytes_mut().chunks_exact_mut(word).for_each(<[u8]>::reverse);
            }
            Buffer::Owned(owned)
        };
        Ok(Self {
            location: location.clone(),
            element: layout.element,
            shape: layout.shape,
            buffer,
        })
    }

    /// The texts in an array of one axis, each up to its first zero.
    ///
    /// # Errors
    /// [`FormatError::Text`] for anything but a list of texts, [`FormatError::Entry`] for one that is no UTF-8 or no
    /// Unicode.
    pub(crate) fn texts(self) -> Result<Vec<String>, FormatError> {
        let location = &self.location;
        let refused = |found: String| FormatError::Text {
            location: location.clone(),
            found,
        };
        if self.shape.len() != 1 {
            return Err(refused(format!("an array of shape {}", Shape(self.shape))));
        }
        let entries = self.buffer.bytes().chunks_exact(self.element.size()).enumerate();
        match self.element {
            Element::Bytes(_) => entries
                .map(|(entry, bytes)| utf8(location, entry, bytes))
                .collect(),
            Element::Unicode(_) => entries
                .map(|(entry, bytes)| unicode(location, entry, bytes))
                .collect(),
            number => Err(refused(number.to_string())),
        }
    }
}

/// A text up to its first zero byte.
///
/// # Errors
/// [`FormatError::Entry`].
pub(crate) fn utf8(location: &Location, entry: usize, bytes: &[u8]) -> Result<String, FormatError> {
    let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    let text = str::from_utf8(text).map_err(|_| FormatError::Entry {
        location: location.clone(),
        entry,
        problem: format!("expected UTF-8, found `{}`", text.escape_ascii()),
    })?;
    Ok(text.to_owned())
}

/// A text of UTF-32 in this machine's byte order, up to its first zero.
fn unicode(location: &Location, entry: usize, bytes: &[u8]) -> Result<String, FormatError> {
    let codes = bytes.chunks_exact(size_of::<u32>());
    codes
        .map(bytemuck::pod_read_unaligned::<u32>)
        .take_while(|&code| code != 0)
        .map(|code| {
            char::from_u32(code).ok_or_else(|| FormatError::Entry {
                location: location.clone(),
                entry,
                problem: format!("expected Unicode characters, found the number {code:#x}"),
            })
        })
        .collect()
}

/// Maps the file of `location`.
///
/// # Errors
/// [`FormatError::Read`], [`FormatError::NotAFile`].
pub(crate) fn open(location: &Location) -> Result<FileMap, FormatError> {
    let read_error = |source| FormatError::Read {
        path: location.path.clone(),
        source,
    };
    if !fs::metadata(&location.path).map_err(read_error)?.is_file() {
        return Err(FormatError::NotAFile {
            path: location.path.clone(),
        });
    }
    FileMap::open(&location.path).map_err(read_error)
}

/// What an unknown file looks like, for the error.
fn describe(bytes: &[u8]) -> String {
    match bytes {
        [] => "an empty file".to_owned(),
        bytes => format!(
            "a file that begins with `{}`",
            bytes[..bytes.len().min(8)].escape_ascii()
        ),
    }
}

fn read_npy(location: &Location, map: &Arc<FileMap>) -> Result<(Layout, Buffer), FormatError> {
    let (header, values) = npy_header(location, map)?;
    let start = values.start;
    let buffer = Buffer::Mapped {
        map: Arc::clone(map),
        range: values,
    };
    match header {
        Header::Objects(shape) => {
            let pickle = Pickle::of_objects(location, buffer, start, &shape)?;
            pickle.array(location.member.as_deref())
        }
        Header::Numbers(layout) => {
            if let Some(member) = &location.member {
                return Err(FormatError::NoMembers {
                    path: location.path.clone(),
                    member: member.clone(),
                });
            }
            check_length(location, &layout, start, buffer.bytes().len())?;
            Ok((layout, buffer))
        }
    }
}

/// The header of an `.npy` file, and where what comes behind it lies.
///
/// # Errors
/// [`FormatError::Malformed`].
pub(crate) fn npy_header(location: &Location, map: &FileMap) -> Result<(Header, Range<usize>), FormatError> {
    let flawed = |flaw| FormatError::flaw(location, flaw);
    let (start, length) = npy::dictionary(&map[..map.len().min(npy::PREFIX)]).map_err(flawed)?;
    let Some(dictionary) = map.get(start..start + length) else {
        let expected = format!("a header of {length} bytes");
        return Err(flawed(Flaw::new(map.len(), expected, "the end of the file")));
    };
    let header = npy::parse(dictionary, start).map_err(flawed)?;
    Ok((header, start + length..map.len()))
}

/// Checks that the values of an array, which begin at byte `start`, are `found` bytes.
///
/// # Errors
/// [`FormatError::TooLarge`] for a shape that no machine could hold, [`FormatError::ValueBytes`] for another length.
pub(crate) fn check_length(
    location: &Location,
    layout: &Layout,
    start: usize,
    found: usize,
) -> Result<usize, FormatError> {
    let shape = || Shape(layout.shape.clone());
    let expected = layout.n_bytes().ok_or_else(|| FormatError::TooLarge {
        location: location.clone(),
        shape: shape(),
    })?;
    if expected != found {
        return Err(FormatError::ValueBytes {
            location: location.clone(),
            start,
            array: format!("{} of shape {}", layout.element, shape()),
            expected,
            found,
        });
    }
    Ok(expected)
}

/// Row-major bytes of a matrix `[n_rows, n_columns]` whose columns lie one after another in `bytes`.
fn transposed(
    bytes: &[u8],
    n_rows: usize,
    n_columns: usize,
    size: usize,
) -> Result<Aligned, super::buffer::OutOfMemory> {
    let mut out = Aligned::zeros(bytes.len())?;
    let row_bytes = n_columns * size;
    if row_bytes == 0 {
        return Ok(out);
    }
    let blocks = out.bytes_mut().chunks_mut(ROWS_AT_ONCE * row_bytes);
    for (block, rows) in blocks.enumerate() {
        for column in 0..n_columns {
            let column_start = (column * n_rows + block * ROWS_AT_ONCE) * size;
            let values = bytes[column_start..].chunks_exact(size);
            for (row, value) in rows.chunks_exact_mut(row_bytes).zip(values) {
                row[column * size..][..size].copy_from_slice(value);
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
