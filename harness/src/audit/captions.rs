//! Findings about captions: shared by several videos, repeated within one, empty, long.

use std::collections::HashMap;
use std::fmt::Write;

use serde::Serialize;

use super::finding::{Finding, GroupFinding};
use crate::metric::Groups;

/// What was found in the captions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaptionFindings {
    /// Captions looked at.
    pub n: usize,
    /// Texts without a caption, which are left out here.
    pub n_texts_without: usize,
    /// Captions of the table that belong to no text.
    pub n_unused: usize,
    /// Captions that describe several videos in the same words. Blanks between words and around them do not count.
    pub across_videos: GroupFinding,
    /// The same, and neither case nor one final period counts.
    pub across_videos_loosely: GroupFinding,
    /// Captions that one video has more than once.
    pub within_a_video: GroupFinding,
    /// Captions without a word. They are in no group.
    pub empty: Finding,
    /// The longest caption.
    pub longest: Longest,
}

/// The caption with the most words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Longest {
    /// What blanks part.
    pub n_words: usize,
    /// Its id; of several the first.
    pub id: String,
}

/// A caption to be looked at.
pub(super) struct Caption<'a> {
    /// Number of its text among all that take part.
    pub(super) text: u32,
    /// Its video.
    pub(super) video: u32,
    /// Its words.
    pub(super) words: &'a str,
}

/// Looks at captions; `id` names a text. Beside the findings, the texts of equal captions: of `n_texts`.
pub(super) fn look(
    captions: &[Caption<'_>],
    (n_texts, n_unused): (usize, usize),
    id: impl Fn(u32) -> String,
) -> (CaptionFindings, Groups) {
    let exact: Vec<String> = captions.iter().map(|caption| collapsed(caption.words)).collect();
    let text_id = |place: u32| id(captions[place as usize].text);
    let finding = |groups: &[Vec<u32>]| {
        let words = |group: &[u32]| Some(exact[group[0] as usize].clone());
        GroupFinding::new(groups, captions.len(), text_id, words)
    };
    let equal = groups_by(&exact, |_| 0);
    let across = |groups: &[Vec<u32>]| -> Vec<Vec<u32>> {
        let several = |group: &&Vec<u32>| {
            let first = captions[group[0] as usize].video;
            group.iter().any(|&place| captions[place as usize].video != first)
        };
        groups.iter().filter(several).cloned().collect()
    };
    let loose: Vec<String> = exact.iter().map(|caption| loosened(caption)).collect();
    let loosely = groups_by(&loose, |_| 0);
    let within = groups_by(&exact, |place| captions[place].video);
    let empty: Vec<u32> = (0u32..)
        .zip(&exact)
        .filter_map(|(place, words)| words.is_empty().then_some(place))
        .collect();

    let mut texts = Groups::new(n_texts);
    for group in &equal {
        for pair in group.windows(2) {
            let [a, b] = [pair[0], pair[1]].map(|place| captions[place as usize].text);
            texts.join(a, b);
        }
    }
    let n_words = |place: usize| exact[place].split(' ').filter(|word| !word.is_empty()).count();
    // Of several the first: `max_by_key` takes the last.
    let longest = (0..captions.len()).rev().max_by_key(|&place| n_words(place));
    let findings = CaptionFindings {
        n: captions.len(),
        n_texts_without: n_texts - captions.len(),
        n_unused,
        across_videos: finding(&across(&equal)),
        across_videos_loosely: finding(&across(&loosely)),
        within_a_video: finding(&within),
        empty: Finding::new(&empty, captions.len(), text_id),
        longest: Longest {
            n_words: longest.map_or(0, n_words),
            id: longest.map_or(String::new(), |place| text_id(place as u32)),
        },
    };
    (findings, texts)
}

/// Places of equal words, those apart to which `apart` gives another number; at least two a group, and none of no
/// words.
fn groups_by(words: &[String], apart: impl Fn(usize) -> u32) -> Vec<Vec<u32>> {
    let mut first = HashMap::new();
    let mut groups = Groups::new(words.len());
    for (place, words) in words.iter().enumerate().filter(|(_, words)| !words.is_empty()) {
        let first = *first.entry((apart(place), words)).or_insert(place as u32);
        groups.join(first, place as u32);
    }
    groups.several()
}

/// Words with one blank between them.
fn collapsed(caption: &str) -> String {
    let mut words = caption.split_whitespace();
    let mut out = words.next().unwrap_or_default().to_owned();
    for word in words {
        // A string takes everything that is written to it.
        let _ = write!(out, " {word}");
    }
    out
}

/// Lower case, without one period at the end and the blank before it.
fn loosened(collapsed: &str) -> String {
    let lower = collapsed.to_lowercase();
    match lower.strip_suffix('.') {
        None => lower,
        Some(rest) => rest.trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(captions: &[(u32, &str)]) -> (CaptionFindings, Groups) {
        let captions: Vec<Caption<'_>> = (0u32..)
            .zip(captions)
            .map(|(text, &(video, words))| Caption { text, video, words })
            .collect();
        look(&captions, (captions.len(), 0), |text| format!("t{text}"))
    }

    fn ids(finding: &GroupFinding) -> Vec<String> {
        finding.first.iter().map(|group| group.ids.join(" ")).collect()
    }

    #[test]
    fn captions_are_told_apart_by_words_and_videos() {
        let (found, texts) = found(&[
            (0, "a man  runs"),
            (1, " a man runs\t"),
            (0, "a man runs"),
            (2, "A man runs ."),
            (3, "a dog"),
            (3, "a dog"),
            (4, "a dog."),
            (5, " "),
            (6, ""),
            (7, "one two three four five"),
            (8, "five four three two one"),
        ]);
        assert_eq!(ids(&found.across_videos), ["t0 t1 t2"]);
        assert_eq!(
            found.across_videos.first[0].caption.as_deref(),
            Some("a man runs")
        );
        assert_eq!(ids(&found.across_videos_loosely), ["t0 t1 t2 t3", "t4 t5 t6"]);
        assert_eq!(ids(&found.within_a_video), ["t0 t2", "t4 t5"]);
        assert_eq!((found.within_a_video.n, found.within_a_video.n_groups), (4, 2));
        assert_eq!(
            (found.empty.n, &found.empty.first[..]),
            (2, &["t7".to_owned(), "t8".into()][..])
        );
        assert_eq!(found.across_videos.share, 3.0 / 11.0);
        assert_eq!((found.longest.n_words, found.longest.id.as_str()), (5, "t9"));
        assert_eq!(texts.several(), [vec![0, 1, 2], vec![4, 5]]);
    }

    #[test]
    fn nothing_is_found_in_good_captions_or_in_none() {
        let (good, _) = found(&[(0, "a b"), (1, "c d"), (1, "b a")]);
        assert_eq!(
            [
                good.across_videos.n,
                good.across_videos_loosely.n,
                good.within_a_video.n,
                good.empty.n
            ],
            [0; 4]
        );
        let (none, _) = found(&[]);
        assert_eq!((none.empty.share, none.longest.n_words), (0.0, 0));
    }

    #[test]
    fn a_long_group_names_its_first_five() {
        let all: Vec<(u32, &str)> = (0..9).map(|video| (video, "x")).collect();
        let (found, _) = found(&all);
        assert_eq!((found.across_videos.n, found.across_videos.first[0].n), (9, 9));
        assert_eq!(ids(&found.across_videos), ["t0 t1 t2 t3 t4"]);
    }
}
