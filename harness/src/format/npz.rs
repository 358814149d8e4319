//! `.npz`: a zip archive with one `.npy` a member, stored or deflated.

use std::io::{Cursor, Read};
use std::sync::Arc;

use hitbench_kernels::map::FileMap;
use zip::ZipArchive;

use super::array::check_length;
use super::buffer::{Aligned, Buffer};
use super::error::FormatError;
use super::flaw::Flaw;
use super::layout::Layout;
use super::location::Location;
use super::npy::{self, Header};
use super::pickle::Pickle;

/// What members are called behind the name of their array.
const SUFFIX: &str = ".npy";
/// Deflate cannot make bytes from fewer than a thousandth of their number (RFC 1951: at most 258 from two bits).
const LARGEST_RATIO: u64 = 1032;

/// Reads the member that `location` names, or the only one there is.
///
/// # Errors
/// [`FormatError::Container`] for a damaged archive, [`FormatError::Member`] for a name that is not there or is
/// needed, and those of the array in it.
pub(crate) fn read(location: &Location, map: &Arc<FileMap>) -> Result<(Layout, Buffer), FormatError> {
    let container = |source: zip::result::ZipError| FormatError::Container {
        location: location.clone(),
        source: Box::new(source),
    };
    let mut archive = ZipArchive::new(Cursor::new(&map[..])).map_err(|error| {
        let expected = "a zip archive, whose directory is at its end";
        let flaw = Flaw::new(map.len(), expected, format!("the end of a file without: {error}"));
        FormatError::flaw(location, flaw)
    })?;
    let names = archive
        .file_names()
        .map(|name| Ok(name?.into_owned()))
        .collect::<Result<Vec<String>, _>>()
        .map_err(container)?;
    let index = choose(location, &names)?;
    let mut member = archive.by_index(index).map_err(container)?;
    let (packed, unpacked) = (member.compressed_size(), member.size());
    if packed > map.len() as u64
        || unpacked > packed.saturating_mul(LARGEST_RATIO).saturating_add(LARGEST_RATIO)
    {
        return Err(FormatError::flaw(
            location,
            Flaw::new(
                0,
                "sizes that deflate can reach",
                format!(
                    "{packed} bytes that claim to become {unpacked} in a file of {}",
                    map.len()
                ),
            ),
        ));
    }
    read_member(location, &mut member, unpacked)
}

/// Index of the member that is meant.
fn choose(location: &Location, names: &[String]) -> Result<usize, FormatError> {
    let bare = |name: &str| name.strip_suffix(SUFFIX).unwrap_or(name).to_owned();
    let found = match &location.member {
        Some(member) => names
            .iter()
            .position(|name| name == member || bare(name) == *member),
        None => (names.len() == 1).then_some(0),
    };
    found.ok_or_else(|| FormatError::Member {
        path: location.path.clone(),
        member: location.member.clone(),
        known: names.iter().map(|name| bare(name)).collect(),
    })
}

/// Reads an array of `n_bytes` in all. What is wrong has its position in the unpacked member.
fn read_member(
    location: &Location,
    member: &mut impl Read,
    n_bytes: u64,
) -> Result<(Layout, Buffer), FormatError> {
    let flawed = |flaw| FormatError::flaw(location, flaw);
    let unreadable = |source: std::io::Error| FormatError::Container {
        location: location.clone(),
        source: Box::new(source),
    };
    let n_bytes = usize::try_from(n_bytes).map_err(|_| {
        flawed(Flaw::new(
            0,
            "a member that fits this machine",
            format!("{n_bytes} bytes"),
        ))
    })?;
    let mut head = vec![0; npy::PREFIX.min(n_bytes)];
    member.read_exact(&mut head).map_err(unreadable)?;
    let (start, length) = npy::dictionary(&head).map_err(flawed)?;
    let values_start = start + length;
    if values_start > n_bytes {
        let expected = format!("a header of {length} bytes");
        return Err(flawed(Flaw::new(n_bytes, expected, "the end of the member")));
    }
    let read = head.len();
    head.resize(values_start.max(read), 0);
    member.read_exact(&mut head[read..]).map_err(unreadable)?;
    let header = npy::parse(&head[start..values_start], start).map_err(flawed)?;
    let n_values = match &header {
        Header::Numbers(layout) => check_length(location, layout, values_start, n_bytes - values_start)?,
        Header::Objects(_) => n_bytes - values_start,
    };
    let mut values = Aligned::zeros(n_values).map_err(|error| FormatError::memory(location, error))?;
    // A version 1 header may end before the bytes that any version needs.
    let early = &head[values_start..];
    let (first, rest) = values.bytes_mut().split_at_mut(early.len());
    first.copy_from_slice(early);
    member.read_exact(rest).map_err(unreadable)?;
    // Reading on to the end has the archive's checksum verified.
    if member.read(&mut [0]).map_err(unreadable)? != 0 {
        return Err(flawed(Flaw::new(n_bytes, "the end of the member", "more bytes")));
    }
    let values = Buffer::Owned(values);
    match header {
        Header::Numbers(layout) => Ok((layout, values)),
        // The member is already named: the object must be an array, or have only one.
        Header::Objects(shape) => Pickle::of_objects(location, values, values_start, &shape)?.array(None),
    }
}
