//! Text to token ids: BERT's normaliser, pre-tokeniser and WordPiece, over a vocabulary file or one built
//! from the training captions.
//!
//! The parts come from the crate `tokenizers`; they are called one by one, so that a caption that spells out
//! `[SEP]` is ordinary text and cannot end a sequence.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use ahash::AHashMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::tokenizer::{
    Model, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer,
};

use crate::config::ConfigError;

/// Special tokens in the order in which a built vocabulary starts.
const SPECIAL: [&str; 5] = [PAD, UNK, CLS, SEP, "[MASK]"];
const PAD: &str = "[PAD]";
const UNK: &str = "[UNK]";
const CLS: &str = "[CLS]";
const SEP: &str = "[SEP]";

/// Longer words become `[UNK]`, as in BERT.
const MAX_WORD_CHARS: usize = 100;

/// Sizes of a vocabulary that is built; the special tokens and the alphabet of English need some 60.
const VOCAB_SIZE: RangeInclusive<usize> = 64..=1_000_000;

/// Where token ids come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextConfig {
    /// A `vocab.txt`, one token a line; `None` builds a vocabulary from the training captions.
    pub vocab: Option<PathBuf>,
    /// Lower-cases and strips accents. On by default; MMT does so even with the cased vocabulary.
    pub lower_case: bool,
    /// Most tokens of a vocabulary that is built; without effect when `vocab` is given. Default 8000.
    pub vocab_size: usize,
    /// Published BERT weights that the text tower begins with, as safetensors or a file of PyTorch, or the folder with
    /// them and their `config.json`; needs the `vocab` that was published with them.
    pub weights: Option<PathBuf>,
}

impl Default for TextConfig {
    fn default() -> Self {
        Self {
            vocab: None,
            lower_case: true,
            vocab_size: 8000,
            weights: None,
        }
    }
}

impl TextConfig {
    /// Checks every field without reading any file.
    ///
    /// # Errors
    /// [`ConfigError`] with a path relative to the text section.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if let (Some(weights), None) = (&self.weights, &self.vocab) {
            return Err(ConfigError {
                path: "weights".to_owned(),
                value: format!("`{}`", weights.display()),
                allowed: "none without `vocab`, which must be the vocabulary that was published with them"
                    .to_owned(),
            });
        }
        if VOCAB_SIZE.contains(&self.vocab_size) {
            return Ok(());
        }
        Err(ConfigError {
            path: "vocab_size".to_owned(),
            value: self.vocab_size.to_string(),
            allowed: format!("{} to {}", VOCAB_SIZE.start(), VOCAB_SIZE.end()),
        })
    }
}

/// Why a tokenizer could not be made or a text not be encoded.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// The vocabulary file could not be read.
    #[error("cannot read vocabulary `{}`", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A special token is not in the vocabulary.
    #[error("the vocabulary has no `{token}`")]
    MissingToken {
        /// The token.
        token: &'static str,
    },
    /// A token occurs twice in the vocabulary.
    #[error("vocabulary lines {first} and {second} are both `{token}`")]
    DuplicateToken {
        /// The token.
        token: String,
        /// Line of the first, from 1.
        first: usize,
        /// Line of the second, from 1.
        second: usize,
    },
    /// The vocabulary to be built cannot hold the special tokens and the alphabet of the captions.
    #[error("a vocabulary of {size} tokens is too small: the captions' alphabet needs {needed}")]
    TooSmall {
        /// Tokens asked for.
        size: usize,
        /// Tokens needed at least.
        needed: usize,
    },
    /// Fewer tokens allowed than `[CLS]` and `[SEP]` take.
    #[error("max_tokens is {max_tokens}, allowed is 2 or more")]
    MaxTokens {
        /// The value.
        max_tokens: usize,
    },
    /// The crate `tokenizers` refused the text.
    #[error("cannot tokenize `{text}`")]
    Tokenize {
        /// The text.
        text: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A WordPiece tokenizer with BERT's special tokens.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    normalizer: BertNormalizer,
    model: WordPiece,
    tokens: Vec<String>,
    lower_case: bool,
    pad: i64,
    cls: i64,
    sep: i64,
}

impl Tokenizer {
    /// Reads a `vocab.txt`: the token of line `i`, counted from 0, has id `i`.
    ///
    /// # Errors
    /// [`TokenizerError::Read`], and those of [`Self::from_vocab_text`].
    pub fn from_vocab_file(path: &Path, lower_case: bool) -> Result<Self, TokenizerError> {
        let text = std::fs::read_to_string(path).map_err(|source| TokenizerError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::from_vocab_text(&text, lower_case)
    }

    /// Takes the text of a `vocab.txt`; blanks at line ends are dropped, as BERT's own code does.
    ///
    /// # Errors
    /// [`TokenizerError::MissingToken`] without `[PAD]`, `[UNK]`, `[CLS]` or `[SEP]`;
    /// [`TokenizerError::DuplicateToken`] when a token has two ids.
    pub fn from_vocab_text(text: &str, lower_case: bool) -> Result<Self, TokenizerError> {
        Self::from_tokens(
            text.lines().map(|line| line.trim_end().to_owned()).collect(),
            lower_case,
        )
    }

    /// Builds a vocabulary of at most `size` tokens from `texts`, the same for the same texts in any order.
    ///
    /// The special tokens come first, then every character of the texts in code point order, alone and as a
    /// `##` piece, so that no text in this alphabet has an `[UNK]`; then whole words, the most frequent
    /// first, equal counts in code point order. (The WordPiece trainer of the crate is not used: the order
    /// of its `##` pieces, and with it the ids, follows a randomly seeded hash map.)
    ///
    /// # Errors
    /// [`TokenizerError::TooSmall`] when `size` does not hold special tokens and alphabet.
    pub fn from_captions<'a>(
        texts: impl IntoIterator<Item = &'a str>,
        size: usize,
        lower_case: bool,
    ) -> Result<Self, TokenizerError> {
        let normalizer = normalizer(lower_case);
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for text in texts {
            for word in split_words(&normalizer, text)? {
                *counts.entry(word).or_default() += 1;
            }
        }
        let alphabet: BTreeSet<char> = counts.keys().flat_map(|word| word.chars()).collect();
        let needed = SPECIAL.len() + 2 * alphabet.len();
        if size < needed {
            return Err(TokenizerError::TooSmall { size, needed });
        }
        let mut tokens: Vec<String> = SPECIAL.iter().map(|&token| token.to_owned()).collect();
        tokens.extend(alphabet.iter().map(char::to_string));
        tokens.extend(alphabet.iter().map(|character| format!("##{character}")));
        let known: HashSet<String> = tokens.iter().cloned().collect();
        let mut words: Vec<(String, u64)> = counts
            .into_iter()
            .filter(|(word, _)| !known.contains(word))
            .collect();
        // A stable sort keeps the map's code point order among equal counts.
        words.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        tokens.extend(words.into_iter().take(size - needed).map(|(word, _)| word));
        Self::from_tokens(tokens, lower_case)
    }

    fn from_tokens(tokens: Vec<String>, lower_case: bool) -> Result<Self, TokenizerError> {
        let mut ids: BTreeMap<&str, usize> = BTreeMap::new();
        for (id, token) in tokens.iter().enumerate() {
            if let Some(first) = ids.insert(token, id) {
                let (first, second) = (first + 1, id + 1);
                return Err(TokenizerError::DuplicateToken {
                    token: token.clone(),
                    first,
                    second,
                });
            }
        }
        let id = |token: &'static str| match ids.get(token) {
            Some(&id) => Ok(id as i64),
            None => Err(TokenizerError::MissingToken { token }),
        };
        let (pad, cls, sep) = (id(PAD)?, id(CLS)?, id(SEP)?);
        id(UNK)?;
        let model = WordPiece::builder()
            .vocab(
                ids.iter()
                    .map(|(&token, &id)| (token.to_owned(), id as u32))
                    .collect::<AHashMap<_, _>>(),
            )
            .unk_token(UNK.to_owned())
            .max_input_chars_per_word(MAX_WORD_CHARS)
            .build()
            .map_err(|source| TokenizerError::Tokenize {
                text: String::new(),
                source,
            })?;
        Ok(Self {
            normalizer: normalizer(lower_case),
            model,
            tokens,
            lower_case,
            pad,
            cls,
            sep,
        })
    }

    /// Ids of a caption: `[CLS]`, its word pieces, `[SEP]`. When that is more than `max_tokens`, the ids are
    /// cut there and the last becomes `[SEP]`.
    ///
    /// # Errors
    /// [`TokenizerError::MaxTokens`] below 2; [`TokenizerError::Tokenize`].
    pub fn encode(&self, text: &str, max_tokens: usize) -> Result<Vec<i64>, TokenizerError> {
        if max_tokens < 2 {
            return Err(TokenizerError::MaxTokens { max_tokens });
        }
        let mut ids = vec![self.cls];
        for word in split_words(&self.normalizer, text)? {
            let pieces = self
                .model
                .tokenize(&word)
                .map_err(|source| TokenizerError::Tokenize {
                    text: text.to_owned(),
                    source,
                })?;
            ids.extend(pieces.iter().map(|piece| i64::from(piece.id)));
        }
        ids.truncate(max_tokens - 1);
        ids.push(self.sep);
        Ok(ids)
    }

    /// Rows that a word embedding table needs.
    pub fn vocab_size(&self) -> usize {
        self.tokens.len()
    }

    /// Id of `[PAD]`.
    pub fn pad_id(&self) -> i64 {
        self.pad
    }

    /// Whether text is lower-cased first.
    pub fn lower_case(&self) -> bool {
        self.lower_case
    }

    /// The vocabulary as the text of a `vocab.txt`; [`Self::from_vocab_text`] reads it back.
    pub fn vocab_text(&self) -> String {
        let mut text = self.tokens.join("\n");
        text.push('\n');
        text
    }
}

fn normalizer(lower_case: bool) -> BertNormalizer {
    BertNormalizer::new(true, true, None, lower_case)
}

/// BERT's basic tokens of a text: normalised, split at blanks and around punctuation.
fn split_words(normalizer: &BertNormalizer, text: &str) -> Result<Vec<String>, TokenizerError> {
    let failed = |source| TokenizerError::Tokenize {
        text: text.to_owned(),
        source,
    };
    let mut split = PreTokenizedString::from(text);
    split
        .normalize(|part| normalizer.normalize(part))
        .map_err(failed)?;
    BertPreTokenizer.pre_tokenize(&mut split).map_err(failed)?;
    let words = split.get_splits(OffsetReferential::Normalized, OffsetType::None);
    Ok(words.into_iter().map(|(word, _, _)| word.to_owned()).collect())
}

#[cfg(test)]
mod tests;
