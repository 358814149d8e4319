//! Named protocols: which test set, how many captions and videos it must have, and the rules it is read by.
//!
//! The same split name hides different counts in published work (4,778 or 4,917 videos of ActivityNet, 999 or
//! 1,000 clips of LSMDC), so a name stands for its sizes, and numbers of different protocols share no column.

use super::{CaptionRule, MedianRule, MetricError, Rules, TieRule};

/// A named way to evaluate. Obtained from [`Protocol::find`], so that one in hand is one of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocol {
    /// Name in suites, records and tables.
    pub id: &'static str,
    /// What is tested, in a few words.
    pub about: &'static str,
    /// Captions and videos that the test set must have; `None` accepts any.
    pub sizes: Option<Sizes>,
    /// Default tie rule.
    pub ties: TieRule,
    /// Default rule for several captions a video in `v2t`.
    pub captions: CaptionRule,
    /// Default median of an even number of ranks.
    pub median: MedianRule,
    /// Default cut-offs of R@K.
    pub recall_at: [u64; 4],
    /// Where the sizes come from.
    pub source: &'static str,
}

/// Captions and videos of a test set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Captions that take part, which are the queries of `t2v`.
    pub n_captions: usize,
    /// Videos, which are its gallery.
    pub n_videos: usize,
}

/// The protocol that accepts any test set.
const CUSTOM: Protocol = Protocol::CUSTOM;

/// A protocol of fixed sizes with the default rules.
const fn sized(
    id: &'static str,
    about: &'static str,
    n_captions: usize,
    n_videos: usize,
    source: &'static str,
) -> Protocol {
    Protocol {
        id,
        about,
        sizes: Some(Sizes { n_captions, n_videos }),
        source,
        ..CUSTOM
    }
}

/// All protocols, `custom` last.
pub const PROTOCOLS: [Protocol; 13] = [
    sized(
        "msrvtt-1ka",
        "MSR-VTT 1k-A (JSFusion) test, one sentence a video",
        1000,
        1000,
        "MSRVTT_JSFUSION_test.csv; val_list_jsfusion.txt of Collaborative Experts",
    ),
    sized(
        "msrvtt-1kb",
        "MSR-VTT 1k-B (Miech) test, first caption of each video",
        1000,
        1000,
        "test_list_miech.txt of Collaborative Experts",
    ),
    sized(
        "msrvtt-full",
        "MSR-VTT full test, all 20 captions of each video",
        59_800,
        2990,
        "test_list_full.txt of Collaborative Experts; 59,800 queries in MDMMT",
    ),
    sized(
        "msrvtt-full-ce",
        "MSR-VTT full test without the six captions that Collaborative Experts lacks",
        59_794,
        2990,
        "Collaborative Experts, which expects six missing queries",
    ),
    sized(
        "msrvtt-full-first",
        "MSR-VTT full test, first caption of each video",
        2990,
        2990,
        "MMT and HCQ with one caption a video",
    ),
    sized(
        "activitynet-val1-paragraph",
        "ActivityNet Captions val_1, sentences of a video joined",
        4917,
        4917,
        "val_1.json as distributed",
    ),
    sized(
        "activitynet-val2-paragraph",
        "ActivityNet Captions val_2, sentences of a video joined",
        4885,
        4885,
        "val_2.json as distributed",
    ),
    sized(
        "lsmdc-1000",
        "LSMDC16 public test clips",
        1000,
        1000,
        "LSMDC16_challenge_1000_publictect.csv",
    ),
    sized(
        "msvd-670",
        "MSVD test, all captions of each video",
        27_763,
        670,
        "Collaborative Experts: 670 * 81 slots, 26,507 of them empty",
    ),
    sized(
        "didemo-paragraph",
        "DiDeMo test, sentences of a video joined",
        1004,
        1004,
        "test list of Collaborative Experts",
    ),
    sized(
        "vatex-1500",
        "VATEX test of the HGR split, ten English captions a video",
        15_000,
        1500,
        "HGR split; ten captions a video by the data set's description",
    ),
    sized(
        "youcook2-val",
        "YouCook2 validation clips",
        3492,
        3492,
        "VALUE YC2R",
    ),
    CUSTOM,
];

impl Protocol {
    /// The protocol that accepts any test set.
    pub const CUSTOM: Self = Self {
        id: "custom",
        about: "any test set",
        sizes: None,
        ties: TieRule::Average,
        captions: CaptionRule::MinRank,
        median: MedianRule::MeanOfMiddle,
        recall_at: [1, 5, 10, 50],
        source: "",
    };

    /// The protocol of this name.
    ///
    /// # Errors
    /// [`MetricError::UnknownProtocol`] with all names.
    pub fn find(id: &str) -> Result<Self, MetricError> {
        let found = PROTOCOLS.iter().find(|protocol| protocol.id == id);
        found.copied().ok_or_else(|| MetricError::UnknownProtocol {
            id: id.to_owned(),
            known: PROTOCOLS.map(|protocol| protocol.id).join(", "),
        })
    }

    /// Whether a test set has the captions (those that take part) and the videos of this protocol; `None` where the
    /// number of videos is not known.
    ///
    /// # Errors
    /// [`MetricError::Protocol`] names the first count that differs.
    pub fn check(&self, n_captions: usize, n_videos: Option<usize>) -> Result<(), MetricError> {
        let Some(sizes) = self.sizes else { return Ok(()) };
        for (what, expected, found) in [
            ("captions", sizes.n_captions, Some(n_captions)),
            ("videos", sizes.n_videos, n_videos),
        ] {
            if let Some(found) = found.filter(|&found| found != expected) {
                return Err(MetricError::Protocol {
                    protocol: self.id,
                    what,
                    expected,
                    found,
                });
            }
        }
        Ok(())
    }

    /// The rules to use where nothing else is asked for.
    pub fn rules(&self) -> Rules {
        Rules {
            ties: self.ties,
            captions: self.captions,
            median: self.median,
            recall_at: self.recall_at.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_unique() {
        for protocol in PROTOCOLS {
            assert_eq!(Protocol::find(protocol.id).unwrap(), protocol);
            assert_eq!(protocol.rules(), Rules::default());
        }
        let error = Protocol::find("msrvtt").unwrap_err().to_string();
        assert!(
            error.starts_with("unknown protocol `msrvtt`, known are msrvtt-1ka, "),
            "{error}"
        );
    }

    #[test]
    fn sizes_must_match() {
        let full = Protocol::find("msrvtt-full").unwrap();
        assert!(full.check(59_800, Some(2990)).is_ok() && full.check(59_800, None).is_ok());
        for (n_captions, n_videos, message) in [
            (
                59_794,
                2990,
                "protocol `msrvtt-full` has 59800 captions, found 59794",
            ),
            (59_800, 2989, "protocol `msrvtt-full` has 2990 videos, found 2989"),
        ] {
            assert_eq!(
                full.check(n_captions, Some(n_videos)).unwrap_err().to_string(),
                message
            );
        }
        assert!(Protocol::find("custom").unwrap().check(3, Some(5)).is_ok());
    }
}
