//! The bytes of a data set: where they lie, and whether the file can hold as many.

use std::sync::Arc;

use hdf5_reader::Dataset;
use hdf5_reader::filters::{FILTER_DEFLATE, FILTER_FLETCHER32, FILTER_SHUFFLE};
use hdf5_reader::io::Cursor;
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::filter_pipeline::FilterPipelineMessage;
use hdf5_reader::messages::layout::DataLayout;

use super::datatype::{self, Kind};
use super::file::{File, unpacked};
use super::links::Found;
use crate::format::array::check_length;
use crate::format::buffer::{Aligned, Buffer};
use crate::format::error::FormatError;
use crate::format::layout::{Element, Layout, Shape};
use crate::format::location::Location;

/// A data set of a file.
pub(super) struct DataSet<'a> {
    file: &'a File,
    pub(super) location: Location,
    pub(super) inner: Dataset,
    address: u64,
}

impl<'a> DataSet<'a> {
    /// Opens what was found.
    ///
    /// # Errors
    /// [`FormatError::Container`] for a damaged header, [`FormatError::Unread`] when its name stands for two objects.
    pub(super) fn open(file: &'a File, found: &Found) -> Result<Self, FormatError> {
        let inner = file.inner.dataset(&found.path);
        let inner = inner.map_err(|source| file.damaged(&found.path, source))?;
        let location = file.at(&found.path);
        if inner.address() != found.address {
            return Err(FormatError::Unread {
                location,
                expected: "every name once",
                found: "two objects of this name".to_owned(),
            });
        }
        Ok(Self {
            file,
            location,
            inner,
            address: found.address,
        })
    }

    /// What its elements are.
    ///
    /// # Errors
    /// [`FormatError::Container`].
    pub(super) fn kind(&self) -> Result<Kind, FormatError> {
        Ok(datatype::parse(
            &self.inner.raw_datatype().map_err(|source| self.damaged(source))?,
        ))
    }

    /// How its elements lie, if they are of this type.
    ///
    /// # Errors
    /// [`FormatError::Unread`] for a size that this machine cannot count.
    pub(super) fn layout(&self, element: Element, swapped: bool) -> Result<Layout, FormatError> {
        let sizes = self.inner.shape().iter().map(|&size| usize::try_from(size));
        let shape = sizes
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| FormatError::Unread {
                location: self.location.clone(),
                expected: "sizes that fit this machine",
                found: format!("{:?}", self.inner.shape()),
            })?;
        Ok(Layout {
            element,
            swapped,
            fortran: false,
            shape,
        })
    }

    /// The bytes of its elements, in the file's own pages where they lie there in one piece.
    ///
    /// # Errors
    /// [`FormatError::ValueBytes`] for more or fewer than the shape needs, [`FormatError::Unread`] for values in
    /// other files or in none, or packed by an unknown program, [`FormatError::Container`] for damaged ones.
    pub(super) fn values(&self, layout: &Layout) -> Result<Buffer, FormatError> {
        let n_bytes = layout.n_bytes().ok_or_else(|| FormatError::TooLarge {
            location: self.location.clone(),
            shape: Shape(layout.shape.clone()),
        })?;
        let memory = |error| FormatError::memory(&self.location, error);
        let header = self
            .file
            .header(self.location.member.as_deref().unwrap_or_default(), self.address)?;
        let (mut place, mut filters) = (None, None);
        for message in &header.messages {
            match message {
                HdfMessage::DataLayout(found) => place = Some(&found.layout),
                HdfMessage::FilterPipeline(found) => filters = Some(found),
                HdfMessage::ExternalFiles(_) => {
                    return Err(self.unread("values in this file", "values in others"));
                }
                _ => {}
            }
        }
        let is_absent = |address| Cursor::is_undefined_offset(address, self.file.offset_size());
        match place {
            _ if n_bytes == 0 => Ok(Buffer::Owned(Aligned::zeros(0).map_err(memory)?)),
            Some(DataLayout::Compact { data }) => {
                check_length(&self.location, layout, 0, data.len())?;
                Ok(Buffer::Owned(Aligned::copy(data).map_err(memory)?))
            }
            Some(DataLayout::Contiguous { address, size }) if !is_absent(*address) => {
                let path = self.location.member.as_deref().unwrap_or_default();
                let range = self.file.slice(path, *address, *size, "values")?;
                check_length(&self.location, layout, range.start, range.len())?;
                Ok(Buffer::Mapped {
                    map: Arc::clone(&self.file.map),
                    range,
                })
            }
            Some(DataLayout::Chunked {
                address,
                chunk_indexing,
                ..
            }) if !is_absent(*address) => {
                self.check_packing(n_bytes, filters, chunk_indexing.is_some())?;
                let mut values = Aligned::zeros(n_bytes).map_err(memory)?;
                let read = self.inner.read_raw_bytes_into(values.bytes_mut());
                read.map_err(|source| self.damaged(source))?;
                Ok(Buffer::Owned(values))
            }
            _ => Err(self.unread("values", "only what to take for absent ones")),
        }
    }

    /// Checks, before memory is asked for, that the file can hold the values, and that we know how they are packed.
    fn check_packing(
        &self,
        n_bytes: usize,
        filters: Option<&FilterPipelineMessage>,
        is_new: bool,
    ) -> Result<(), FormatError> {
        if n_bytes > unpacked(self.file.map.len()) {
            let expected = "values that a file of this length can hold";
            return Err(self.unread(expected, format!("{n_bytes} bytes of them")));
        }
        let ids = || filters.into_iter().flat_map(|filters| &filters.filters);
        let known = [FILTER_DEFLATE, FILTER_SHUFFLE, FILTER_FLETCHER32];
        if let Some(other) = ids().find(|filter| !known.contains(&filter.id)) {
            let name = other.name.as_deref().unwrap_or("without a name");
            let found = format!("filter {} ({})", other.id, name.escape_debug());
            return Err(self.unread("values packed with gzip, shuffle or fletcher32", found));
        }
        // The new layout may leave chunks at the edges as they are, which the crate does not look for: harmless under
        // gzip and fletcher32, which then fail, but not under shuffle alone.
        if is_new && ids().count() > 0 && ids().all(|filter| filter.id == FILTER_SHUFFLE) {
            return Err(self.unread("shuffled values that are packed too", "shuffled ones alone"));
        }
        Ok(())
    }

    pub(super) fn damaged(&self, source: hdf5_reader::error::Error) -> FormatError {
        FormatError::Container {
            location: self.location.clone(),
            source: Box::new(source),
        }
    }

    fn unread(&self, expected: &'static str, found: impl Into<String>) -> FormatError {
        FormatError::Unread {
            location: self.location.clone(),
            expected,
            found: found.into(),
        }
    }
}
