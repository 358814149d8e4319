//! The file of a shard: one JSON object, schema `hitbench.shard/1`.

use std::fs;
use std::path::Path;

use hitbench_kernels::RankCount;
use hitbench_reports::record::Direction;
use serde::{Deserialize, Serialize};

use super::super::error::EvalError;
use super::super::evaluate::About;
use super::super::ids::IdProblem;
use super::super::join::{Joined, JoinedBy};
use super::super::notice::Notice;
use super::Shard;
use crate::metric::{
    Counts, DirectionCounts, OwnCounts, OwnGroup, Pairing, PartialCounts, Protocol, Resampling, Rules,
};
use crate::part::Part;

/// What the file is, and its version.
const SCHEMA: &str = "hitbench.shard/1";

/// Read before all else, so that a newer file is told by its version.
#[derive(Deserialize)]
struct WireSchema {
    schema: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireShard {
    schema: String,
    part: usize,
    of: usize,
    contents: String,
    build_id: String,
    command: Vec<String>,
    about: WireAbout,
    joined: WireJoined,
    notices: Vec<Notice>,
    in_f16: bool,
    t2v: WireCounts,
    v2t: WireCounts,
    /// BLAKE3 of all before, as it would be written with an empty text here.
    checksum: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireAbout {
    protocol: String,
    rules: Rules,
    resampling: Option<Resampling>,
    score: String,
    kernel: Option<String>,
    source: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireJoined {
    /// The video of each text.
    video_of: Vec<u32>,
    /// Texts that take part.
    kept: Vec<u32>,
    n_videos: usize,
    text_ids: Vec<String>,
    video_ids: Vec<String>,
    kept_videos: Option<Vec<u32>>,
    problems: Vec<IdProblem>,
    by: JoinedBy,
}

/// Columns of numbers, one entry a query.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireCounts {
    greater: Vec<u64>,
    equal: Vec<u64>,
    own_equal: Vec<u64>,
    score: Vec<f64>,
    queries: Vec<u32>,
    true_items: Vec<u32>,
    clusters: Vec<u32>,
    n_gallery: usize,
    n_masked: usize,
    n_without_caption: usize,
    gallery_of_videos: bool,
    one_true_item: bool,
    /// `greater`, `equal` and `own_equal` of each score that a true item of a query has, best first.
    own: Option<Vec<Vec<[u64; 3]>>>,
}

/// The file's bytes.
pub(super) fn bytes(shard: &Shard) -> Vec<u8> {
    let Shard {
        contents,
        build_id,
        command,
        about,
        joined,
        notices,
        in_f16,
        counts,
        path: _,
    } = shard;
    let mut wire = WireShard {
        schema: SCHEMA.to_owned(),
        part: counts.part.index(),
        of: counts.part.of(),
        contents: contents.clone(),
        build_id: build_id.clone(),
        command: command.clone(),
        about: WireAbout {
            protocol: about.protocol.id.to_owned(),
            rules: about.rules.clone(),
            resampling: about.resampling,
            score: about.score.to_owned(),
            kernel: about.kernel.map(|kernel| kernel.to_string()),
            source: about.source.clone(),
        },
        joined: joined.into(),
        notices: notices.clone(),
        in_f16: *in_f16,
        t2v: (&counts.counts.t2v).into(),
        v2t: (&counts.counts.v2t).into(),
        checksum: String::new(),
    };
    wire.checksum = wire.sum();
    let mut bytes = wire.json();
    bytes.push(b'\n');
    bytes
}

impl WireShard {
    fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and finite numbers always serialise")
    }

    /// The checksum of a shard whose checksum is empty.
    fn sum(&self) -> String {
        blake3::hash(&self.json()).to_hex().to_string()
    }
}

/// Reads a file.
///
/// # Errors
/// [`EvalError::Shard`] with what is wrong in it.
pub(super) fn read(path: &Path) -> Result<Shard, EvalError> {
    let wrong = |problem: String| EvalError::Shard {
        path: path.to_owned(),
        problem,
    };
    let bytes = fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let json = |error: serde_json::Error| wrong(error.to_string());
    let WireSchema { schema } = serde_json::from_slice(&bytes).map_err(json)?;
    if schema != SCHEMA {
        return Err(wrong(format!("expected schema `{SCHEMA}`, found `{schema}`")));
    }
    let mut wire: WireShard = serde_json::from_slice(&bytes).map_err(json)?;
    let checksum = std::mem::take(&mut wire.checksum);
    if wire.sum() != checksum {
        return Err(wrong("its checksum is that of other contents".to_owned()));
    }
    checked(wire, path).map_err(wrong)
}

/// The shard, or what cannot be in it.
fn checked(wire: WireShard, path: &Path) -> Result<Shard, String> {
    let score = ["matrix", "dot", "cosine"]
        .into_iter()
        .find(|score| *score == wire.about.score);
    let about = About {
        protocol: Protocol::find(&wire.about.protocol).map_err(|error| error.to_string())?,
        rules: wire.about.rules,
        post: None,
        resampling: wire.about.resampling,
        score: score.ok_or_else(|| format!("unknown score `{}`", wire.about.score))?,
        kernel: match &wire.about.kernel {
            None => None,
            Some(kernel) => Some(kernel.parse().map_err(|_| format!("unknown kernel `{kernel}`"))?),
        },
        source: wire.about.source,
    };
    let counts = Counts {
        t2v: wire.t2v.checked(Direction::T2v)?,
        v2t: wire.v2t.checked(Direction::V2t)?,
    };
    Ok(Shard {
        contents: wire.contents,
        build_id: wire.build_id,
        command: wire.command,
        about,
        joined: wire.joined.checked()?,
        notices: wire.notices,
        in_f16: wire.in_f16,
        counts: PartialCounts {
            part: Part::new(wire.part, wire.of).map_err(|error| error.to_string())?,
            counts,
        },
        path: path.to_owned(),
    })
}

impl From<&Joined> for WireJoined {
    fn from(joined: &Joined) -> Self {
        let pairing = &joined.pairing;
        Self {
            video_of: (0..pairing.n_captions() as u32)
                .map(|text| pairing.video_of(text))
                .collect(),
            kept: pairing.kept_captions(),
            n_videos: pairing.n_videos(),
            text_ids: joined.text_ids.clone(),
            video_ids: joined.video_ids.clone(),
            kept_videos: joined.kept_videos.clone(),
            problems: joined.problems.clone(),
            by: joined.by,
        }
    }
}

impl WireJoined {
    fn checked(self) -> Result<Joined, String> {
        let mut kept = vec![false; self.video_of.len()];
        for text in self.kept {
            *kept
                .get_mut(text as usize)
                .ok_or_else(|| format!("there is no text {text}"))? = true;
        }
        let ids = (self.text_ids.len(), self.video_ids.len());
        if ids != (self.video_of.len(), self.n_videos) {
            return Err("expected an id for every text and every video".to_owned());
        }
        let pairing = Pairing::new(self.video_of, self.n_videos).and_then(|pairing| pairing.with_mask(kept));
        Ok(Joined {
            pairing: pairing.map_err(|error| error.to_string())?,
            text_ids: self.text_ids,
            video_ids: self.video_ids,
            kept_videos: self.kept_videos,
            problems: self.problems,
            by: self.by,
        })
    }
}

impl From<&DirectionCounts> for WireCounts {
    fn from(counts: &DirectionCounts) -> Self {
        let column = |value: fn(&RankCount) -> u64| counts.counts.iter().map(value).collect();
        let own = counts.own.as_ref().map(|own| {
            let groups = |query| {
                own.of(query)
                    .iter()
                    .map(|g| [g.greater, g.equal, g.own_equal])
                    .collect()
            };
            (0..own.n_queries()).map(groups).collect()
        });
        Self {
            greater: column(|count| count.greater),
            equal: column(|count| count.equal),
            own_equal: column(|count| count.own_equal),
            score: counts.counts.iter().map(|count| count.score).collect(),
            queries: counts.queries.clone(),
            true_items: counts.true_items.clone(),
            clusters: counts.clusters.clone(),
            n_gallery: counts.n_gallery,
            n_masked: counts.n_masked,
            n_without_caption: counts.n_without_caption,
            gallery_of_videos: counts.gallery_of_videos,
            one_true_item: counts.one_true_item,
            own,
        }
    }
}

impl WireCounts {
    fn checked(self, direction: Direction) -> Result<DirectionCounts, String> {
        let n_queries = self.queries.len();
        let own = self.own.map(|queries| {
            let mut own = OwnCounts::default();
            for groups in queries {
                own.push(groups.into_iter().map(|[greater, equal, own_equal]| OwnGroup {
                    greater,
                    equal,
                    own_equal,
                }));
            }
            own
        });
        let lengths = [
            ("greater", self.greater.len()),
            ("equal", self.equal.len()),
            ("own_equal", self.own_equal.len()),
            ("score", self.score.len()),
            ("true_items", self.true_items.len()),
            ("clusters", self.clusters.len()),
            ("own", own.as_ref().map_or(n_queries, OwnCounts::n_queries)),
        ];
        if let Some((name, found)) = lengths.into_iter().find(|(_, length)| *length != n_queries) {
            return Err(format!(
                "{direction}: expected {n_queries} entries of `{name}`, found {found}"
            ));
        }
        let counts = self
            .greater
            .iter()
            .zip(&self.equal)
            .zip(&self.own_equal)
            .zip(&self.score);
        Ok(DirectionCounts {
            direction,
            counts: counts
                .map(|(((&greater, &equal), &own_equal), &score)| RankCount {
                    greater,
                    equal,
                    own_equal,
                    score,
                })
                .collect(),
            queries: self.queries,
            true_items: self.true_items,
            clusters: self.clusters,
            n_gallery: self.n_gallery,
            n_masked: self.n_masked,
            n_without_caption: self.n_without_caption,
            gallery_of_videos: self.gallery_of_videos,
            one_true_item: self.one_true_item,
            own,
        })
    }
}

/// The text of a shard, changed by hand, with the checksum that it should have; as it is where it is no shard.
#[cfg(test)]
pub(super) fn with_checksum(text: &str) -> String {
    let Ok(mut wire) = serde_json::from_str::<WireShard>(text) else {
        return text.to_owned();
    };
    wire.checksum = String::new();
    wire.checksum = wire.sum();
    String::from_utf8(wire.json()).expect("JSON is UTF-8")
}
