//! The lexical baseline: cosine of TF-IDF vectors of captions against the words that a "video" was made of.
//!
//! It uses what the model is denied, the identity of words, and so says how much two texts have in common.

use std::collections::{BTreeMap, BTreeSet};

use super::dataset::{Dataset, Split};
use super::words::words;

/// Scores of a split's captions against its videos' lexical texts.
#[derive(Debug, Clone, PartialEq)]
pub struct LexicalScores {
    /// Captions of the split, in the order of [`Dataset::split_captions`].
    pub n_queries: usize,
    /// Videos of the split, in its order.
    pub n_gallery: usize,
    /// Cosines `[n_queries, n_gallery]`, row-major.
    pub scores: Vec<f32>,
}

/// TF-IDF scores of a split, or `None` for data whose videos were not made of words.
///
/// A text is a vector over words with weights `(1 + ln tf) * ln((1 + n) / (1 + df))` (sublinear term
/// frequency, smoothed inverse document frequency), scaled to unit length. The `n` documents that `df`
/// counts are the training captions and the training videos' lexical texts; words that occur in none of
/// them have `df` 0.
pub fn lexical_scores(data: &Dataset, split: Split) -> Option<LexicalScores> {
    if data.lexical.is_empty() {
        return None;
    }
    let training = data
        .split_captions(Split::Train)
        .into_iter()
        .map(|caption| data.captions[caption].text.as_str());
    let training = training.chain(
        data.splits
            .train
            .iter()
            .map(|&video| data.lexical[video].as_str()),
    );
    let idf = InverseFrequency::count(training);
    let queries: Vec<_> = data
        .split_captions(split)
        .into_iter()
        .map(|caption| idf.vector(&data.captions[caption].text))
        .collect();
    let gallery: Vec<_> = data
        .splits
        .of(split)
        .iter()
        .map(|&video| idf.vector(&data.lexical[video]))
        .collect();
    let mut postings: BTreeMap<&str, Vec<(usize, f64)>> = BTreeMap::new();
    for (item, vector) in gallery.iter().enumerate() {
        for (word, weight) in vector {
            postings.entry(word).or_default().push((item, *weight));
        }
    }
    let mut scores = Vec::with_capacity(queries.len() * gallery.len());
    for query in &queries {
        let mut row = vec![0.0f64; gallery.len()];
        for (word, weight) in query {
            for &(item, other) in postings.get(word.as_str()).into_iter().flatten() {
                row[item] += weight * other;
            }
        }
        scores.extend(row.into_iter().map(|score| score as f32));
    }
    Some(LexicalScores {
        n_queries: queries.len(),
        n_gallery: gallery.len(),
        scores,
    })
}

/// Document frequencies of words.
struct InverseFrequency {
    n_documents: f64,
    documents: BTreeMap<String, f64>,
}

impl InverseFrequency {
    fn count<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut counted = Self {
            n_documents: 0.0,
            documents: BTreeMap::new(),
        };
        for text in texts {
            counted.n_documents += 1.0;
            for word in words(text).collect::<BTreeSet<String>>() {
                *counted.documents.entry(word).or_default() += 1.0;
            }
        }
        counted
    }

    /// The text's unit vector; empty for a text without words.
    fn vector(&self, text: &str) -> BTreeMap<String, f64> {
        let mut vector: BTreeMap<String, f64> = BTreeMap::new();
        for word in words(text) {
            *vector.entry(word).or_default() += 1.0;
        }
        for (word, weight) in &mut vector {
            let documents = self.documents.get(word).copied().unwrap_or(0.0);
            *weight = (1.0 + weight.ln()) * ((1.0 + self.n_documents) / (1.0 + documents)).ln();
        }
        let norm = vector.values().map(|weight| weight * weight).sum::<f64>().sqrt();
        if norm > 0.0 {
            vector.values_mut().for_each(|weight| *weight /= norm);
        }
        vector
    }
}

#[cfg(test)]
mod tests;
