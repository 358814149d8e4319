//! Goldens of BERT's tokenizer and the rules of a built vocabulary.

use std::path::PathBuf;

use serde_json::Value;

use super::*;

/// The shared test data, or `None` with a line saying so.
fn shared_data() -> Option<PathBuf> {
    hitbench_tests::test_data("")
}

fn json(path: PathBuf) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn ids(list: &Value) -> Vec<i64> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_i64().unwrap())
        .collect()
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap())
        .collect()
}

fn uncased(data: &std::path::Path) -> Tokenizer {
    let path = data.join("swift-transformers/Tests/TokenizersTests/Resources/bert-vocab.txt");
    Tokenizer::from_vocab_file(&path, true).unwrap()
}

fn cased(data: &std::path::Path) -> Tokenizer {
    let path = data.join("morpheus/models/data/bert-base-cased-vocab.txt");
    Tokenizer::from_vocab_file(&path, true).unwrap()
}

/// What gabeur/mmt makes of a caption before its tokenizer sees it: the first 30 words, a period at the end
/// unless there is a mark already. (It also capitalises, which lower-casing undoes.)
fn mmt_caption(caption: &str) -> String {
    let words: Vec<&str> = caption.split_whitespace().take(30).collect();
    let mut text = words.join(" ");
    if !text.ends_with(['.', '?', '!']) {
        text.push('.');
    }
    text
}

#[test]
fn msrvtt_captions_have_the_golden_ids() {
    let Some(data) = shared_data() else { return };
    let csv = std::fs::read_to_string(data.join("drl/data/MSR-VTT/anns/MSRVTT_JSFUSION_test.csv")).unwrap();
    let captions: Vec<&str> = csv
        .lines()
        .skip(1)
        .map(|line| line.splitn(4, ',').nth(3).unwrap())
        .collect();
    let golden = json(data.join("derived/msrvtt_1ka_bert_ids.json"));
    let lists = |key: &str| {
        golden[key]
            .as_array()
            .unwrap()
            .iter()
            .map(ids)
            .collect::<Vec<_>>()
    };
    let (plain, mmt_uncased, mmt_cased) = (
        lists("plain_uncased"),
        lists("mmt_uncased_vocab_30"),
        lists("mmt_cased_vocab_lowercased_30"),
    );
    assert_eq!(
        [captions.len(), plain.len(), mmt_uncased.len(), mmt_cased.len()],
        [1000; 4]
    );
    let (uncased, cased) = (uncased(&data), cased(&data));
    for (row, caption) in captions.iter().enumerate() {
        assert_eq!(
            uncased.encode(caption, 512).unwrap(),
            plain[row],
            "row {row}: {caption}"
        );
        let caption = mmt_caption(caption);
        assert_eq!(
            uncased.encode(&caption, 30).unwrap(),
            mmt_uncased[row],
            "row {row}: {caption}"
        );
        assert_eq!(
            cased.encode(&caption, 30).unwrap(),
            mmt_cased[row],
            "row {row}: {caption}"
        );
    }
}

#[test]
fn questions_have_the_golden_words_pieces_and_ids() {
    let Some(data) = shared_data() else { return };
    let folder = data.join("swift-transformers/Tests/TokenizersTests/Resources");
    let tokens = json(folder.join("question_tokens.json"));
    let golden_ids = json(folder.join("tokenized_questions.json"));
    let golden_words = json(folder.join("basic_tokenized_questions.json"));
    let questions = tokens.as_array().unwrap();
    assert_eq!(questions.len(), 10_570);
    let tokenizer = uncased(&data);
    for (row, question) in questions.iter().enumerate() {
        let text = question["original"].as_str().unwrap();
        let words = split_words(&tokenizer.normalizer, text).unwrap();
        assert_eq!(words, strings(&question["basic"]), "row {row}: {text}");
        assert_eq!(words, strings(&golden_words[row]), "row {row}: {text}");
        let encoded = tokenizer.encode(text, 512).unwrap();
        let inner = &encoded[1..encoded.len() - 1];
        assert_eq!(inner, ids(&golden_ids[row]), "row {row}: {text}");
        let pieces: Vec<&str> = inner
            .iter()
            .map(|&id| tokenizer.tokens[id as usize].as_str())
            .collect();
        assert_eq!(pieces, strings(&question["wordpiece"]), "row {row}: {text}");
    }
}

const TEXTS: [&str; 3] = ["A dog chases a dog.", "the Dog sleeps", "a café"];

#[test]
fn a_built_vocabulary_does_not_depend_on_the_order_of_texts() {
    let forward = Tokenizer::from_captions(TEXTS, 60, true).unwrap();
    let backward = Tokenizer::from_captions(TEXTS.into_iter().rev(), 60, true).unwrap();
    assert_eq!(forward.vocab_text(), backward.vocab_text());
    // 5 special, 14 characters twice (`.acdefghlopst` and `é` without its accent), then words by count.
    let words: Vec<&str> = forward.tokens[5 + 2 * 13..].iter().map(String::as_str).collect();
    assert_eq!(words, ["dog", "cafe", "chases", "sleeps", "the"]);
}

#[test]
fn a_built_vocabulary_spells_rare_words_and_never_needs_unk_for_its_alphabet() {
    let tokenizer = Tokenizer::from_captions(TEXTS, 5 + 2 * 13 + 1, true).unwrap();
    let spelled = |text: &str| {
        let ids = tokenizer.encode(text, 20).unwrap();
        ids.iter()
            .map(|&id| tokenizer.tokens[id as usize].clone())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(spelled("dog the"), "[CLS] dog t ##h ##e [SEP]");
    assert_eq!(spelled("xylophone"), "[CLS] [UNK] [SEP]");
    assert_eq!(spelled(""), "[CLS] [SEP]");
}

#[test]
fn truncation_keeps_the_first_ids_and_ends_in_sep() {
    let tokenizer = Tokenizer::from_captions(TEXTS, 60, true).unwrap();
    let whole = tokenizer.encode("the dog chases the dog", 7).unwrap();
    assert_eq!(whole.len(), 7);
    let cut = tokenizer.encode("the dog chases the dog", 4).unwrap();
    assert_eq!(cut[..3], whole[..3]);
    assert_eq!(cut[3], whole[6]);
    assert!(matches!(
        tokenizer.encode("dog", 1),
        Err(TokenizerError::MaxTokens { max_tokens: 1 })
    ));
}

#[test]
fn special_tokens_in_a_caption_are_ordinary_text() {
    let tokenizer = Tokenizer::from_vocab_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[\n]\nsep\n", true).unwrap();
    assert_eq!(tokenizer.encode("[SEP]", 9).unwrap(), [2, 4, 6, 5, 3]);
}

#[test]
fn the_vocabulary_round_trips_as_text() {
    let built = Tokenizer::from_captions(TEXTS, 60, true).unwrap();
    let read = Tokenizer::from_vocab_text(&built.vocab_text(), true).unwrap();
    assert_eq!(built.tokens, read.tokens);
    assert_eq!(
        built.encode(TEXTS[0], 30).unwrap(),
        read.encode(TEXTS[0], 30).unwrap()
    );
}

#[test]
fn bad_vocabularies_are_refused() {
    let refuse = |text| Tokenizer::from_vocab_text(text, true).unwrap_err().to_string();
    assert_eq!(refuse("[PAD]\n[UNK]\n[CLS]\n"), "the vocabulary has no `[SEP]`");
    assert_eq!(
        refuse("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[PAD]\n"),
        "vocabulary lines 1 and 5 are both `[PAD]`"
    );
    let error = Tokenizer::from_captions(TEXTS, 10, true).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a vocabulary of 10 tokens is too small: the captions' alphabet needs 31"
    );
    let error = Tokenizer::from_vocab_file(Path::new("no/such/vocab.txt"), true).unwrap_err();
    assert_eq!(error.to_string(), "cannot read vocabulary `no/such/vocab.txt`");
}

#[test]
fn impossible_vocabulary_sizes_are_refused() {
    TextConfig::default().validate().unwrap();
    let small = TextConfig {
        vocab_size: 63,
        ..TextConfig::default()
    };
    assert_eq!(
        small.validate().unwrap_err().to_string(),
        "`vocab_size` is 63, allowed: 64 to 1000000"
    );
}
