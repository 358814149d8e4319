//! Arrays and lists of texts out of the data sets of a file.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use hdf5_reader::Datatype;
use hdf5_reader::messages::HdfMessage;
use hitbench_kernels::map::FileMap;

use super::dataset::DataSet;
use super::datatype::Kind;
use super::file::File;
use super::links::{Found, is_data_set};
use crate::format::array::{Array, utf8};
use crate::format::buffer::Buffer;
use crate::format::error::FormatError;
use crate::format::layout::{Element, Layout, Shape};
use crate::format::location::Location;

/// What is looked for when no name is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Numbers,
    Texts,
}

/// Reads the data set that `location` names, or the only one of numbers.
///
/// # Errors
/// [`FormatError::Member`] for a name that is not there or is needed, [`FormatError::Element`] for elements that are
/// no numbers, [`FormatError::Container`], [`FormatError::Malformed`] and [`FormatError::Unread`] for files that are
/// damaged or hold what is not read.
pub(crate) fn read(location: &Location, map: &Arc<FileMap>) -> Result<(Layout, Buffer), FormatError> {
    let file = File::open(location, map)?;
    numbers_of(&file, &file.find(Wanted::Numbers)?)
}

/// All data sets of a file, which is opened and searched once.
pub(crate) struct DataSets {
    file: File,
    found: BTreeMap<String, Found>,
}

impl fmt::Debug for DataSets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl DataSets {
    /// Opens a file and finds the names in it.
    ///
    /// # Errors
    /// Those of a damaged file, as [`read`] has them.
    pub(crate) fn open(location: &Location, map: &Arc<FileMap>) -> Result<Self, FormatError> {
        let file = File::open(location, map)?;
        let found = file.data_sets()?.into_iter();
        let found = found.map(|found| (found.path.clone(), found)).collect();
        Ok(Self { file, found })
    }

    /// Paths of the data sets, ascending.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.found.keys().map(String::as_str)
    }

    /// The numbers at a path; `None` when there is no such data set.
    ///
    /// # Errors
    /// As [`read`].
    pub(crate) fn numbers(&self, name: &str) -> Result<Option<(Layout, Buffer)>, FormatError> {
        let found = self.found.get(name);
        found.map(|found| numbers_of(&self.file, found)).transpose()
    }

    /// The list of texts at a path; `None` when there is no such data set.
    ///
    /// # Errors
    /// As [`read_texts`].
    pub(crate) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, FormatError> {
        let found = self.found.get(name);
        found.map(|found| texts_of(&self.file, found)).transpose()
    }
}

fn numbers_of(file: &File, found: &Found) -> Result<(Layout, Buffer), FormatError> {
    let data_set = DataSet::open(file, found)?;
    match data_set.kind()? {
        Kind::Plain { element, swapped } => {
            let layout = data_set.layout(element, swapped)?;
            let buffer = data_set.values(&layout)?;
            Ok((layout, buffer))
        }
        other => Err(FormatError::Element {
            location: data_set.location,
            found: described(other),
        }),
    }
}

/// Reads the list of texts that `location` names, or the only one there is.
///
/// # Errors
/// As [`read`]; [`FormatError::Text`] for anything else than a list of texts.
pub(crate) fn read_texts(location: &Location, map: &Arc<FileMap>) -> Result<Vec<String>, FormatError> {
    let file = File::open(location, map)?;
    texts_of(&file, &file.find(Wanted::Texts)?)
}

fn texts_of(file: &File, found: &Found) -> Result<Vec<String>, FormatError> {
    let data_set = DataSet::open(file, found)?;
    match data_set.kind()? {
        Kind::Plain { element, swapped } => {
            let layout = data_set.layout(element, swapped)?;
            let buffer = data_set.values(&layout)?;
            Array::new(&data_set.location, layout, buffer)?.texts()
        }
        Kind::Texts => texts(file, &data_set),
        other => Err(FormatError::Text {
            location: data_set.location,
            found: described(other),
        }),
    }
}

/// Texts of any length, for each of which the data set holds its place in a heap.
fn texts(file: &File, data_set: &DataSet<'_>) -> Result<Vec<String>, FormatError> {
    let location = &data_set.location;
    let reference = data_set.inner.vlen_reference_size();
    let layout = data_set.layout(Element::Bytes(reference), false)?;
    if layout.shape.len() != 1 {
        return Err(FormatError::Text {
            location: location.clone(),
            found: format!("an array of shape {}", Shape(layout.shape)),
        });
    }
    let places = data_set.values(&layout)?;
    // A heap holds each text once.
    let mut left = file.map.len();
    let texts = places
        .bytes()
        .chunks_exact(reference)
        .enumerate()
        .map(|(entry, place)| {
            let text = data_set.inner.resolve_vlen_reference_bytes(place, 1);
            let text = text.map_err(|source| data_set.damaged(source))?;
            left = left.checked_sub(text.len()).ok_or_else(|| FormatError::Entry {
                location: location.clone(),
                entry,
                problem: "expected texts of at most the file's length, found more".to_owned(),
            })?;
            utf8(location, entry, &text)
        });
    texts.collect()
}

fn described(kind: Kind) -> String {
    match kind {
        Kind::Plain { element, .. } => element.to_string(),
        Kind::Texts => "texts".to_owned(),
        Kind::Other(name) => name,
    }
}

impl File {
    /// The data set that the location names or, without a name, the only one of the wanted kind.
    fn find(&self, wanted: Wanted) -> Result<Found, FormatError> {
        let member = |found: &[Found]| FormatError::Member {
            path: self.location.path.clone(),
            member: self.location.member.clone(),
            known: found.iter().map(|found| found.path.clone()).collect(),
        };
        if let Some(path) = &self.location.member {
            let found = self.object(path)?;
            if let Some(found) = found
                && is_data_set(&*self.header(&found.path, found.address)?)
            {
                return Ok(found);
            }
            return Err(member(&self.data_sets()?));
        }
        let mut suitable = self.data_sets()?;
        suitable.retain(|found| self.may_hold(found, wanted));
        match (&suitable[..], wanted) {
            ([one], _) => Ok(one.clone()),
            ([], Wanted::Texts) => Err(FormatError::Text {
                location: self.location.clone(),
                found: "no data set of texts".to_owned(),
            }),
            _ => Err(member(&suitable)),
        }
    }

    /// Whether a data set is of the wanted kind. One that cannot be read could be.
    fn may_hold(&self, found: &Found, wanted: Wanted) -> bool {
        let Ok(header) = self.header(&found.path, found.address) else {
            return true;
        };
        let mut types = header.messages.iter().filter_map(|message| match message {
            HdfMessage::Datatype(found) => Some(&found.datatype),
            _ => None,
        });
        types.next().is_some_and(|datatype| match datatype {
            Datatype::FixedPoint { .. } | Datatype::FloatingPoint { .. } | Datatype::Enum { .. } => {
                wanted == Wanted::Numbers
            }
            Datatype::String { .. } | Datatype::VarLen { .. } => wanted == Wanted::Texts,
            _ => false,
        })
    }
}
