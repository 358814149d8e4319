//! Arguments that name scores or embeddings, their ids and their protocol: those of every command that reads them.

use clap::Args;
use hitbench_kernels::KernelId;

use crate::eval::{EvalError, F32_KERNEL, Given, IdList, IdMap, Mask, Names};
use crate::format::{Location, Matrix};
use crate::metric::Protocol;

/// What is given, and what is said about it.
#[derive(Debug, Args)]
pub(super) struct InputArgs {
    /// Similarity matrix: text rows, video columns.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["text", "video"])]
    sim: Option<Location>,
    /// Text embeddings, a row a text.
    #[arg(long, value_name = "FILE", requires = "video", group = "embeddings")]
    text: Option<Location>,
    /// Video embeddings, a row a video.
    #[arg(long, value_name = "FILE", requires = "text")]
    video: Option<Location>,
    /// Ids of the texts in row order: one a line, FILE.csv::COLUMN, texts in .npy, .npz or HDF5, or a BigFile folder.
    #[arg(long, value_name = "FILE")]
    text_ids: Option<Location>,
    /// Ids of the videos in column order, as --text-ids. Without --map, a text belongs to the video of the same id.
    #[arg(long, value_name = "FILE")]
    video_ids: Option<Location>,
    /// CSV file with the header text_id,video_id: which text belongs to which video.
    #[arg(long, value_name = "FILE")]
    map: Option<Location>,
    /// Zeros and ones, one a text: which texts exist. Of shape (videos, captions) it also says that rows are
    /// captions video by video.
    #[arg(long, value_name = "FILE")]
    mask: Option<Location>,
    /// Leaves out ids that are repeated, unknown or missing instead of refusing them, and says how many.
    #[arg(long)]
    allow_missing: bool,
    /// Named protocol, whose counts must be met; `hitbench protocols` lists them.
    #[arg(long, value_name = "NAME", default_value = "custom")]
    protocol: String,
    /// Kernel that scores embeddings; default cpu/auto/f32.
    #[arg(long, value_name = "ID", conflicts_with = "sim", requires = "embeddings")]
    kernel: Option<KernelId>,
    /// Scales embeddings to length 1 first, so that scores are cosines.
    #[arg(long, conflicts_with = "sim", requires = "text")]
    normalize: bool,
}

impl InputArgs {
    /// The kernel of embeddings.
    pub(super) fn kernel(&self) -> KernelId {
        self.kernel.unwrap_or(F32_KERNEL)
    }

    /// Reads the scores or embeddings; `None` when neither are named.
    pub(super) fn given(&self) -> Result<Option<Given>, EvalError> {
        Ok(match (&self.sim, &self.text, &self.video) {
            (Some(sim), _, _) => Some(Given::Scores(Matrix::read(sim)?)),
            (None, Some(text), Some(video)) => Some(Given::Embeddings {
                text: Matrix::read(text)?,
                video: Matrix::read(video)?,
                kernel: self.kernel(),
                normalize: self.normalize,
            }),
            _ => None,
        })
    }

    /// Reads ids, map and mask.
    pub(super) fn names(&self) -> Result<Names, EvalError> {
        if self.allow_missing && self.text_ids.is_none() {
            return Err(EvalError::Usage {
                problem: "--allow-missing is about ids, and none are given",
                remedy: "give --text-ids and --video-ids",
            });
        }
        self.read_names()
    }

    /// The same for inputs that may have ids of their own.
    pub(super) fn read_names(&self) -> Result<Names, EvalError> {
        Ok(Names {
            texts: self.text_ids.as_ref().map(IdList::read).transpose()?,
            videos: self.video_ids.as_ref().map(IdList::read).transpose()?,
            map: self.map.as_ref().map(IdMap::read).transpose()?,
            mask: self.mask.as_ref().map(Mask::read).transpose()?,
            allow_missing: self.allow_missing,
        })
    }

    /// The protocol of that name.
    pub(super) fn protocol(&self) -> Result<Protocol, EvalError> {
        Ok(Protocol::find(&self.protocol)?)
    }

    /// The arguments again, as words of a command line.
    pub(super) fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        let files = [
            ("sim", &self.sim),
            ("text", &self.text),
            ("video", &self.video),
            ("text-ids", &self.text_ids),
            ("video-ids", &self.video_ids),
            ("map", &self.map),
            ("mask", &self.mask),
        ];
        for (name, file) in files {
            words.extend(option(name, file.as_ref()));
        }
        words.extend(option("protocol", Some(&self.protocol)));
        words.extend(option("kernel", self.kernel.as_ref()));
        words.extend(switch("allow-missing", self.allow_missing));
        words.extend(switch("normalize", self.normalize));
        words
    }
}

/// The words of an option, none where it has no value.
pub(super) fn option(name: &str, value: Option<&impl ToString>) -> Vec<String> {
    value.map_or(Vec::new(), |value| vec![format!("--{name}"), value.to_string()])
}

/// The word of a switch that is on.
pub(super) fn switch(name: &str, on: bool) -> Option<String> {
    on.then(|| format!("--{name}"))
}
