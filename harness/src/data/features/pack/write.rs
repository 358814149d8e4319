//! Writes a packed file block after block.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use hitbench_models::config::ExpertSpec;
use tempfile::NamedTempFile;

use super::{ALIGNMENT, Block, Header, MAGIC, Trailer, as_half};
use crate::data::config::FeatureDtype;
use crate::data::error::DataError;
use crate::data::features::recording::{Recording, RowBytes, digest};

/// A file on its way: it appears whole under its name or not at all.
pub(in crate::data::features) struct PackWriter {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
    /// Bytes written.
    len: u64,
    dtype: FeatureDtype,
    experts: Vec<ExpertSpec>,
    /// For each video the blocks of its experts, by number in `experts`.
    videos: Vec<Vec<(usize, Block)>>,
    times_s: Vec<f32>,
}

impl PackWriter {
    /// Begins a file.
    ///
    /// # Errors
    /// [`DataError::Write`].
    pub(in crate::data::features) fn create(path: &Path, dtype: FeatureDtype) -> Result<Self, DataError> {
        let failed = |source| DataError::Write {
            path: path.to_owned(),
            source,
        };
        let folder = path.parent().unwrap_or(Path::new("."));
        let file = NamedTempFile::new_in(folder).map_err(failed)?;
        let mut writer = Self {
            path: path.to_owned(),
            file: BufWriter::with_capacity(1 << 20, file),
            len: 0,
            dtype,
            experts: Vec::new(),
            videos: Vec::new(),
            times_s: Vec::new(),
        };
        writer.write(&MAGIC)?;
        Ok(writer)
    }

    /// Adds the next video; an expert that was not met before becomes one of the file's.
    ///
    /// # Errors
    /// [`DataError::Write`]; [`DataError::ExpertDim`] for rows of another length than before; [`DataError::Overflow`] for
    /// a value beyond f16.
    pub(in crate::data::features) fn push(
        &mut self,
        source: &Path,
        video: &str,
        recordings: &[(String, Recording)],
    ) -> Result<(), DataError> {
        let mut blocks = Vec::with_capacity(recordings.len());
        for (name, recording) in recordings {
            let expert = self.expert(source, name, recording.dim)?;
            blocks.push((expert, self.block(video, name, recording)?));
        }
        self.videos.push(blocks);
        Ok(())
    }

    fn expert(&mut self, source: &Path, name: &str, dim: usize) -> Result<usize, DataError> {
        match self.experts.iter().position(|expert| expert.name == name) {
            Some(expert) if self.experts[expert].dim == dim => Ok(expert),
            Some(expert) => Err(DataError::ExpertDim {
                path: source.to_owned(),
                expert: name.to_owned(),
                found: dim,
                expected: vec![self.experts[expert].dim],
            }),
            None => {
                self.experts.push(ExpertSpec {
                    name: name.to_owned(),
                    dim,
                });
                Ok(self.experts.len() - 1)
            }
        }
    }

    fn block(&mut self, video: &str, expert: &str, recording: &Recording) -> Result<Block, DataError> {
        let padding = self.len.next_multiple_of(ALIGNMENT as u64) - self.len;
        self.write(&[0; ALIGNMENT][..padding as usize])?;
        let start = self.len;
        let times = recording.times_s.as_deref();
        let digest = match self.dtype {
            FeatureDtype::F32 => {
                self.write(bytemuck::cast_slice(&recording.values))?;
                digest([RowBytes::F32(&recording.values)], times)
            }
            FeatureDtype::F16 => {
                let halves: Result<Vec<_>, usize> = recording
                    .values
                    .iter()
                    .enumerate()
                    .map(|(place, &value)| as_half(value).ok_or(place))
                    .collect();
                let halves = halves.map_err(|place| DataError::Overflow {
                    video: video.to_owned(),
                    expert: expert.to_owned(),
                    row: place / recording.dim,
                    column: place % recording.dim,
                    value: recording.values[place],
                })?;
                self.write(bytemuck::cast_slice(&halves))?;
                digest([RowBytes::F16(&halves)], times)
            }
        };
        let first_time = self.times_s.len() as u64;
        self.times_s.extend(times.unwrap_or_default());
        Ok(Block {
            start,
            first_time,
            n_rows: u32::try_from(recording.n_rows()).map_err(|_| DataError::TooManyRows {
                video: video.to_owned(),
                expert: expert.to_owned(),
            })?,
            has_times: times.is_some().into(),
            digest: *digest.as_bytes(),
        })
    }

    /// Number of experts met.
    pub(in crate::data::features) fn experts(&self) -> &[ExpertSpec] {
        &self.experts
    }

    /// Writes the index and gives the file its name; `header` has all but the experts.
    ///
    /// # Errors
    /// [`DataError::Write`].
    pub(in crate::data::features) fn finish(mut self, mut header: Header) -> Result<(), DataError> {
        let mut order: Vec<usize> = (0..self.experts.len()).collect();
        order.sort_by(|&a, &b| self.experts[a].name.cmp(&self.experts[b].name));
        header.experts = order.iter().map(|&expert| self.experts[expert].clone()).collect();
        let mut index = serde_json::to_vec(&header).expect("a header is plain data");
        let header_len = index.len() as u64;
        let absent = Block {
            start: 0,
            first_time: 0,
            n_rows: 0,
            has_times: 0,
            digest: [0; 32],
        };
        for blocks in &self.videos {
            for &expert in &order {
                let block = blocks.iter().find(|(number, _)| *number == expert);
                let block = block.map_or(absent, |(_, block)| *block);
                index.extend_from_slice(bytemuck::bytes_of(&block));
            }
        }
        index.extend_from_slice(bytemuck::cast_slice(&self.times_s));
        let trailer = Trailer {
            index_start: self.len,
            index_len: index.len() as u64,
            header_len,
            checksum: *blake3::hash(&index).as_bytes(),
        };
        self.write(&index)?;
        self.write(bytemuck::bytes_of(&trailer))?;
        let path = self.path.clone();
        let failed = |source| DataError::Write {
            path: path.clone(),
            source,
        };
        let file = self
            .file
            .into_inner()
            .map_err(|error| failed(error.into_error()))?;
        File::sync_all(file.as_file()).map_err(failed)?;
        file.persist(&self.path).map_err(|error| failed(error.error))?;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        self.len += bytes.len() as u64;
        let written: io::Result<()> = self.file.write_all(bytes);
        written.map_err(|source| DataError::Write {
            path: self.path.clone(),
            source,
        })
    }
}
