//! Words of a text, for word vectors and for counting words in common.

/// The words of `text`, lower-cased: longest runs of letters, digits and apostrophes, without apostrophes at
/// the ends.
pub(super) fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '\''))
        .map(|word| word.trim_matches('\'').to_lowercase())
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    #[test]
    fn words_are_runs_of_letters_digits_and_inner_apostrophes() {
        let words: Vec<String> = super::words("He's on the 'Man-made' Café #2,  isn't it?\n''").collect();
        assert_eq!(
            words,
            ["he's", "on", "the", "man", "made", "café", "2", "isn't", "it"]
        );
    }
}
