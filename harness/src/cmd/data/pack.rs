//! `hitbench data cache`: packs features ahead of time, and checks what is packed.

use std::time::Instant;

use serde::Serialize;

use super::print;
use super::source::{SourceArgs, load_checked};
use crate::cmd::failure::Failure;

/// Packs the features of a published data set into the cache folder, which its first use does otherwise, and checks every
/// packed value.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  hitbench data cache suites/real/msrvtt-1ka.yaml\n\n\
                        The cache folder is $HITBENCH_CACHE, else $XDG_CACHE_HOME/hitbench, else ~/.cache/hitbench; \
                        packed features lie in `features` under it, and may be deleted at any time."
)]
pub(super) struct CacheArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Print one JSON object (schema hitbench.data-cache/1).
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Serialize)]
struct View {
    schema: &'static str,
    /// The packed file; null for data that need none.
    pack: Option<String>,
    size_bytes: u64,
    n_videos: usize,
    n_recordings: usize,
    time_ns: u64,
}

/// Runs the command.
///
/// # Errors
/// Those of the data; [`DataError::DamagedPack`](crate::data::DataError::DamagedPack).
pub(super) fn run(args: &CacheArgs) -> Result<(), Failure> {
    let start = Instant::now();
    let data = load_checked(&args.source.config()?)?;
    let recordings = || {
        data.videos
            .iter()
            .flat_map(|video| video.experts.iter().flatten())
    };
    let pack = recordings().find_map(|features| features.rows.pack());
    let view = View {
        schema: "hitbench.data-cache/1",
        pack: pack.map(|path| path.display().to_string()),
        size_bytes: pack
            .and_then(|path| path.metadata().ok())
            .map_or(0, |metadata| metadata.len()),
        n_videos: data.videos.len(),
        n_recordings: recordings().count(),
        time_ns: u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX),
    };
    print(&view, args.json, |out| match &view.pack {
        None => writeln!(out, "these data need no packing"),
        Some(pack) => writeln!(
            out,
            "{pack}: {:.1} MB, {} recordings of {} videos, read and checked in {:.1} s",
            view.size_bytes as f64 / 1e6,
            view.n_recordings,
            view.n_videos,
            view.time_ns as f64 / 1e9
        ),
    })
}
