//! Embeddings as files that other programs read.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use npyz::WriterBuilder;
use serde::{Deserialize, Serialize};

use super::embedded::Embedded;
use super::error::EmbedError;

/// What says what an export holds.
const ABOUT: &str = "embed.json";

const SCHEMA: &str = "hitbench.embed/1";

/// Folder of files that are being written.
const ASIDE: &str = ".unfinished";

/// All other files that an export may have.
const NAMES: [&str; 8] = [
    "text.npy",
    "video.npy",
    "semantic-text.npy",
    "semantic-video.npy",
    "feature-text.npy",
    "feature-video.npy",
    "captions.csv",
    "videos.txt",
];

/// What an export holds: schema `hitbench.embed/1`, as `embed.json` beside it has it.
#[derive(Debug, Serialize)]
pub struct Exported {
    schema: &'static str,
    trial: String,
    build_id: String,
    steps: u64,
    data: String,
    content_hash: String,
    n_texts: usize,
    n_videos: usize,
    /// Columns of `text.npy` and `video.npy`.
    pub dim: usize,
    /// Names of the files, this one left out.
    pub files: Vec<String>,
}

/// Writes a folder: `text.npy` and `video.npy` (f32, rows in the order of the test split; their dot products are the
/// model's scores), with two levels each level's unit rows as `LEVEL-text.npy` and `LEVEL-video.npy`, and ids:
/// `captions.csv` (`text_id,video_id,text`) and `videos.txt`; and `embed.json`, which says what there is. All are written aside
/// first; then an older export goes. `folder` is one of [`prepare`].
///
/// # Errors
/// [`EmbedError::Write`], [`EmbedError::Split`].
pub fn export(embedded: &Embedded, folder: &Path) -> Result<Exported, EmbedError> {
    let aside = folder.join(ASIDE);
    let failed = |source| EmbedError::Write {
        path: folder.to_owned(),
        source,
    };
    remove(&aside)
        .and_then(|()| fs::create_dir(&aside))
        .map_err(failed)?;
    let mut files = Files {
        folder: &aside,
        names: Vec::new(),
    };
    let (Embedded { texts, videos, .. }, split) = (embedded, embedded.pairs()?);
    let mut dim = 0;
    for (name, rows) in [("text", texts), ("video", videos)] {
        let (values, columns) = embedded.scored(rows);
        files.array(&format!("{name}.npy"), [rows.n_rows, columns], &values)?;
        dim = columns;
        if let (Some(semantic), Some(feature)) = (&rows.semantic, &rows.feature) {
            let shape = [rows.n_rows, rows.dim];
            files.array(&format!("semantic-{name}.npy"), shape, semantic)?;
            files.array(&format!("feature-{name}.npy"), shape, feature)?;
        }
    }
    let (_, video_ids) = split.ids();
    files.write("captions.csv", |out| {
        let mut out = csv::Writer::from_writer(out);
        out.write_record(["text_id", "video_id", "text"])?;
        for (caption, video) in split.pairs() {
            out.write_record([&*caption.id, video, &*caption.text])?;
        }
        out.flush()
    })?;
    files.write("videos.txt", |out| {
        video_ids.iter().try_for_each(|id| writeln!(out, "{id}"))
    })?;
    let exported = Exported {
        schema: SCHEMA,
        trial: embedded.model.trial.clone(),
        build_id: embedded.model.build_id.clone(),
        steps: embedded.model.steps,
        data: embedded.data.name.clone(),
        content_hash: embedded.data.content_hash.clone(),
        n_texts: texts.n_rows,
        n_videos: videos.n_rows,
        dim,
        files: files.names.clone(),
    };
    files.write(ABOUT, |out| {
        serde_json::to_writer_pretty(&mut *out, &exported)?;
        writeln!(out)
    })?;
    let moved = || -> io::Result<()> {
        for name in older(folder).unwrap_or_default() {
            remove(&folder.join(name))?;
        }
        // First what makes this an export, so that one that is interrupted here can be made again.
        for name in [ABOUT]
            .into_iter()
            .chain(exported.files.iter().map(String::as_str))
        {
            fs::rename(aside.join(name), folder.join(name))?;
        }
        fs::remove_dir(&aside)
    };
    moved().map_err(failed)?;
    Ok(exported)
}

/// Makes a folder for an export, before the work; it may be empty or hold an older one.
///
/// # Errors
/// [`EmbedError::Occupied`], [`EmbedError::Write`].
pub fn prepare(folder: &Path) -> Result<(), EmbedError> {
    let is_fit = || -> io::Result<bool> {
        fs::create_dir_all(folder)?;
        if older(folder).is_some() {
            return Ok(true);
        }
        let mut entries = fs::read_dir(folder)?;
        entries.try_fold(true, |fit, entry| Ok(fit && entry?.file_name() == ASIDE))
    };
    let path = folder.to_owned();
    match is_fit() {
        Ok(true) => Ok(()),
        Ok(false) => Err(EmbedError::Occupied { path }),
        Err(source) => Err(EmbedError::Write { path, source }),
    }
}

/// The files of the export in a folder; `None` where there is none.
fn older(folder: &Path) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Older {
        schema: String,
        files: Vec<String>,
    }
    let text = fs::read(folder.join(ABOUT)).ok()?;
    let Older { schema, mut files } = serde_json::from_slice(&text).ok()?;
    files.retain(|name| NAMES.contains(&name.as_str()));
    (schema == SCHEMA).then_some(files)
}

/// Removes a file or a folder with all in it, if it is there.
fn remove(path: &Path) -> io::Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })
}

/// Files of a folder.
struct Files<'a> {
    folder: &'a Path,
    names: Vec<String>,
}

impl Files<'_> {
    fn array(&mut self, name: &str, shape: [usize; 2], values: &[f32]) -> Result<(), EmbedError> {
        self.write(name, |out| {
            let mut array = npyz::WriteOptions::new()
                .default_dtype()
                .shape(&shape.map(|len| len as u64))
                .writer(out)
                .begin_nd()?;
            array.extend(values.iter().copied())?;
            array.finish()
        })
    }

    fn write(
        &mut self,
        name: &str,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), EmbedError> {
        let path: PathBuf = self.folder.join(name);
        let written = || {
            let mut file = BufWriter::new(File::create(&path)?);
            fill(&mut file)?;
            file.flush()
        };
        written().map_err(|source| EmbedError::Write { path, source })?;
        self.names.push(name.to_owned());
        Ok(())
    }
}
