//! The one error type of the metrics.

use hitbench_kernels::KernelError;

use crate::part::Part;

/// Why counts, metrics or intervals could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricError {
    /// Nothing to rank: no caption is left, or there is no video.
    #[error("nothing to rank: {n_captions} captions ({n_masked} of them masked), {n_videos} videos")]
    Empty {
        /// Captions, masked ones included.
        n_captions: usize,
        /// How many of them are masked.
        n_masked: usize,
        /// Videos.
        n_videos: usize,
    },
    /// Two things that describe the same items do not have the same length.
    #[error("`{what}` has {found} entries, expected {expected}")]
    Length {
        /// What is too short or too long.
        what: &'static str,
        /// Entries that the other things have.
        expected: usize,
        /// Entries that it has.
        found: usize,
    },
    /// A caption names a video that is not there.
    #[error("caption {caption} belongs to video {video}, but there are only {n_videos} videos")]
    NoSuchVideo {
        /// Index of the caption.
        caption: usize,
        /// The video that it names.
        video: u32,
        /// Number of videos.
        n_videos: usize,
    },
    /// NaN or infinity where a score must be.
    #[error("score at row {row}, column {column} is {value}")]
    NotFinite {
        /// Row (caption) of the bad score.
        row: usize,
        /// Column (video) of the bad score.
        column: usize,
        /// The score.
        value: f64,
    },
    /// Counts that no ranking can give: a defect of whatever counted.
    #[error(
        "impossible counts at entry {index}: greater {greater}, equal {equal}, own_equal {own_equal} \
         in a gallery of {n_gallery}"
    )]
    ImpossibleCounts {
        /// Position in the list of counts.
        index: usize,
        /// Items above the best true one.
        greater: u64,
        /// Items level with it.
        equal: u64,
        /// True items among these.
        own_equal: u64,
        /// Size of the gallery.
        n_gallery: usize,
    },
    /// Parts of an evaluation without one of them.
    #[error("part {part} is missing")]
    MissingPart {
        /// The first that is missing.
        part: Part,
    },
    /// A part of an evaluation that is given twice.
    #[error("part {part} is there twice")]
    RepeatedPart {
        /// Which.
        part: Part,
    },
    /// Parts of different sizes.
    #[error("parts of {expected} and parts of {found} are not parts of one evaluation")]
    OtherParts {
        /// Number of parts that the first belongs to.
        expected: usize,
        /// Number of parts that another belongs to.
        found: usize,
    },
    /// Parts of other inputs, or counted under other rules.
    #[error("parts are not of one evaluation: their {what} differ")]
    PartsDisagree {
        /// What differs.
        what: &'static str,
    },
    /// More true items in a list than there are, or none at all: a defect of whatever counted.
    #[error(
        "impossible counts at entry {index}: {found} true items in the list of a query that has {n_true}"
    )]
    TrueItems {
        /// Position in the list of counts.
        index: usize,
        /// True items in the list.
        found: u64,
        /// True items of the query.
        n_true: u64,
    },
    /// A cut-off of R@K below 1.
    #[error("R@K needs K of at least 1, found {k}")]
    CutOff {
        /// The cut-off.
        k: u64,
    },
    /// Sizes that are not those of the named protocol.
    #[error("protocol `{protocol}` has {expected} {what}, found {found}")]
    Protocol {
        /// The protocol's id.
        protocol: &'static str,
        /// `captions` or `videos`.
        what: &'static str,
        /// What the protocol has.
        expected: usize,
        /// What there is.
        found: usize,
    },
    /// No protocol of this name.
    #[error("unknown protocol `{id}`, known are {known}")]
    UnknownProtocol {
        /// The name as given.
        id: String,
        /// All names.
        known: String,
    },
    /// Too few resamples for the quantiles asked for.
    #[error("an interval of level {level} needs at least {needed} bootstrap resamples, found {found}")]
    Resamples {
        /// Level of the interval, in (0, 1).
        level: f64,
        /// Fewest resamples that will do.
        needed: usize,
        /// Resamples asked for.
        found: usize,
    },
    /// A comparison without cells, trials or queries on one of its sides.
    #[error("nothing to compare: a side has no cells, or a cell no trials or queries")]
    NothingToCompare,
    /// Trials of a comparison whose queries belong to different videos.
    #[error("the trials of a comparison do not have the same queries")]
    OtherQueries,
    /// A kernel refused its inputs.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}
