//! What is drawn when, and that nothing depends on how far the trial has come.

use std::collections::{BTreeMap, BTreeSet};

use hitbench_models::config::Preset;
use hitbench_models::{HitConfig, MomentumConfig};

use super::*;
use crate::data::config::{DataConfig, SyntheticConfig};
use crate::metric::{CaptionRule, MedianRule, TieRule};
use crate::suite::config::{CaptionChoice, EvalConfig, TrainConfig};

fn synthetic() -> SyntheticConfig {
    SyntheticConfig {
        videos: 150,
        test_videos: 70,
        captions: 3,
        ..SyntheticConfig::default()
    }
}

fn cell() -> CellConfig {
    CellConfig {
        device: "cpu".into(),
        protocol: "custom".into(),
        data: DataConfig::Synthetic(synthetic()),
        text: TextConfig::default(),
        model: HitConfig::preset(Preset::Tiny),
        train: TrainConfig {
            steps: 10,
            batch: 16,
            lr: 1e-3,
            threads: 1,
            checkpoint_every: 5,
            log_every: 5,
            ..TrainConfig::default()
        },
        momentum: MomentumConfig::default(),
        eval: EvalConfig {
            kernel: "reference/f64".into(),
            ties: TieRule::Average,
            captions: CaptionRule::MinRank,
            median: MedianRule::MeanOfMiddle,
            recall_at: vec![1, 10],
            resamples: 10,
        },
    }
}

fn data() -> Dataset {
    Dataset::load(&DataConfig::Synthetic(synthetic())).unwrap()
}

#[test]
fn a_batch_is_a_function_of_seed_and_step() {
    let data = data();
    let loader = Loader::new(&data, &cell(), 3).unwrap();
    let again = Loader::new(&data, &cell(), 3).unwrap();
    let late = again.batch(77).unwrap();
    assert_eq!(loader.batch(77).unwrap(), late);
    assert_ne!(loader.batch(76).unwrap(), late);
    assert_ne!(Loader::new(&data, &cell(), 4).unwrap().batch(77).unwrap(), late);
}

#[test]
fn an_epoch_has_every_video_at_most_once_and_all_its_captions_come_in_time() {
    let data = data();
    let loader = Loader::new(&data, &cell(), 0).unwrap();
    // 80 training videos, 5 batches of 16.
    for epoch in 0..3 {
        let ids: Vec<i64> = (0..5)
            .flat_map(|step| loader.batch(5 * epoch + step).unwrap().video_ids)
            .collect();
        let distinct: BTreeSet<i64> = ids.iter().copied().collect();
        assert_eq!((ids.len(), distinct.len()), (80, 80));
        assert!(distinct.iter().all(|&id| id < 80));
    }
    let mut seen: BTreeMap<i64, BTreeSet<Vec<i64>>> = BTreeMap::new();
    for step in 0..200 {
        let batch = loader.batch(step).unwrap();
        let rows = batch
            .text
            .token_ids
            .chunks(batch.text.seq_len)
            .zip(&batch.text.lengths);
        for (&video, (row, &len)) in batch.video_ids.iter().zip(rows) {
            let row = row[..len].to_vec();
            let own = &loader.texts_of[video as usize];
            assert!(own.iter().any(|&caption| loader.tokens[caption] == row));
            seen.entry(video).or_default().insert(row);
        }
    }
    let all = seen.iter().filter(|&(&video, rows)| {
        let own = &loader.texts_of[video as usize];
        own.iter()
            .map(|&caption| &loader.tokens[caption])
            .collect::<BTreeSet<_>>()
            .len()
            == rows.len()
    });
    assert_eq!(all.count(), 80);
}

#[test]
fn shuffled_pairs_keep_the_videos_and_lose_the_captions() {
    let data = data();
    let mut shuffled = cell();
    shuffled.train.shuffle_pairs = true;
    let (plain, shuffled) = (
        Loader::new(&data, &cell(), 0).unwrap(),
        Loader::new(&data, &shuffled, 0).unwrap(),
    );
    let mut own = 0;
    for step in 0..20 {
        let batch = shuffled.batch(step).unwrap();
        assert_eq!(batch.video_ids, plain.batch(step).unwrap().video_ids);
        let rows = batch
            .text
            .token_ids
            .chunks(batch.text.seq_len)
            .zip(&batch.text.lengths);
        for (&video, (row, &len)) in batch.video_ids.iter().zip(rows) {
            let captions = &shuffled.texts_of[video as usize];
            own += usize::from(
                captions
                    .iter()
                    .any(|&caption| shuffled.tokens[caption] == row[..len]),
            );
        }
    }
    // 320 pairs, 4 expected by chance, a few more from duplicates.
    assert!(own < 20, "{own}");
}

#[test]
fn joined_captions_are_one_text_a_video() {
    let data = data();
    let mut joined = cell();
    joined.train.captions = CaptionChoice::Joined;
    joined.model.max_text_tokens = 100;
    let loader = Loader::new(&data, &joined, 0).unwrap();
    let batch = loader.batch(0).unwrap();
    for (row, &video) in batch.video_ids.iter().enumerate() {
        let of_video = data
            .captions
            .iter()
            .filter(|caption| caption.video == video as usize);
        let text: Vec<&str> = of_video.map(|caption| caption.text.as_str()).collect();
        let tokens = loader.test().tokenizer().encode(&text.join(" "), 100).unwrap();
        let found = &batch.text.token_ids[row * batch.text.seq_len..][..batch.text.lengths[row]];
        assert_eq!((text.len(), found), (3, &tokens[..]));
    }
}

#[test]
fn long_experts_are_cut_to_a_random_part_in_training_and_a_fixed_one_at_test() {
    let data = data();
    let mut short = cell();
    short.model.video_input.max_expert_tokens = 2;
    let loader = Loader::new(&data, &short, 0).unwrap();
    let other = Loader::new(&data, &short, 1).unwrap();
    let batch = loader.batch(0).unwrap();
    // `[CLS]`, and at most an aggregated row and two rows of each of five experts.
    assert!(batch.video.lengths.iter().all(|&len| (2..=16).contains(&len)));
    let video = (0..80)
        .find(|&video| loader.test().video_batches().n_rows(video).next() > Some(4))
        .unwrap();
    let position = |batch: &PairBatch| {
        let rows = batch.video_ids.iter().position(|&id| id as usize == video);
        rows.map(|row| batch.video.position[row * batch.video.seq_len..][..4].to_vec())
    };
    let chosen: BTreeSet<_> = (0..200)
        .filter_map(|step| position(&loader.batch(step).unwrap()))
        .collect();
    assert!(chosen.len() > 5, "{chosen:?}");
    assert!(chosen.iter().all(|times| times[2] <= times[3]), "{chosen:?}");
    let picked = loader
        .test()
        .video_batches()
        .choose(video, |n_rows| vec![n_rows as u32])[0]
        .clone();
    assert_eq!(
        picked,
        loader
            .test()
            .video_batches()
            .n_rows(video)
            .next()
            .map(|n_rows| vec![n_rows as u32])
    );
    let test = |loader: &Loader<'_>| loader.test().videos().map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!(test(&loader), test(&other));
}

#[test]
fn the_test_split_comes_whole_short_ones_first() {
    let data = data();
    let loader = Loader::new(&data, &cell(), 0).unwrap();
    let texts: Vec<_> = loader.test().texts().map(Result::unwrap).collect();
    let videos: Vec<_> = loader.test().videos().map(Result::unwrap).collect();
    let mut places: Vec<usize> = texts.iter().flat_map(|batch| batch.places.clone()).collect();
    let lengths: Vec<usize> = texts
        .iter()
        .flat_map(|batch| batch.batch.lengths.clone())
        .collect();
    assert!(lengths.is_sorted());
    let captions = data.split_captions(Split::Test);
    let most = cell().model.max_text_tokens;
    let expected = places.iter().map(|&place| {
        let text = &data.captions[captions[place]].text;
        loader.test().tokenizer().encode(text, most).unwrap().len()
    });
    assert!(expected.eq(lengths));
    places.sort_unstable();
    assert!(places.iter().copied().eq(0..210));
    let lengths: Vec<usize> = videos
        .iter()
        .flat_map(|batch| batch.batch.lengths.clone())
        .collect();
    let places = videos.iter().flat_map(|batch| batch.places.clone());
    assert!(
        places
            .map(|place| loader.test().video_batches().n_tokens(data.splits.test[place]))
            .eq(lengths.iter().copied())
    );
    assert!(lengths.is_sorted() && lengths.len() == 70);
}

#[test]
fn batches_made_ahead_come_in_order_and_end_at_the_first_error() {
    let data = data();
    let loader = Loader::new(&data, &cell(), 0).unwrap();
    let mut steps = Vec::new();
    let done: Result<(), DataError> = loader.for_each_batch(3..9, |step, batch| {
        assert_eq!(batch, loader.batch(step).unwrap());
        steps.push(step);
        Ok(())
    });
    assert!(done.is_ok() && steps == [3, 4, 5, 6, 7, 8]);
    let mut count = 0;
    let stopped = loader.for_each_batch(0..1_000_000, |step, _| {
        count += 1;
        let name = "stop".to_owned();
        if step == 4 {
            Err(DataError::EmptySplit { split: "train", name })
        } else {
            Ok(())
        }
    });
    assert!(matches!(stopped, Err(DataError::EmptySplit { .. })) && count == 5);
}

#[test]
fn a_batch_larger_than_the_training_split_is_refused() {
    let mut large = cell();
    large.train.batch = 81;
    let message = Loader::new(&data(), &large, 0).unwrap_err().to_string();
    assert_eq!(
        message,
        "81 training videos with a caption, one for each pair of a batch, asked for, but `synthetic` has 80"
    );
}

#[test]
fn a_vocabulary_file_takes_the_place_of_the_captions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vocab.txt");
    std::fs::write(&path, "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n").unwrap();
    let mut with_file = cell();
    with_file.text.vocab = Some(path);
    let data = data();
    let loader = Loader::new(&data, &with_file, 0).unwrap();
    assert_eq!(loader.inputs().vocab_size, 5);
    assert_eq!(loader.inputs().experts, data.experts);
    with_file.text.vocab = Some("nowhere/vocab.txt".into());
    assert!(matches!(
        Loader::new(&data, &with_file, 0),
        Err(DataError::Tokenizer { .. })
    ));
}
