//! The seeded generator: videos with agents, actions, things, scenes, sounds and talk as latent factors,
//! recorded by five experts and described in sentences.
//!
//! The bytes depend on the settings alone, on no platform and no library's random numbers. What makes the
//! task hard for a bag of words is in `sense` and `Latent::with_one_change`.

mod describe;
mod latent;
mod lexicon;
mod sense;

use super::config::SyntheticConfig;
use super::dataset::{Caption, Dataset, Gaps, Splits, Video};
use super::draw::Draws;
use super::error::DataError;
use latent::Latent;
use sense::World;
pub(super) use sense::experts;

/// Generates the data set.
///
/// Training videos come first. In each split the originals come first, then the near-duplicates (own
/// recording and captions, one detail changed), then the exact duplicates (same features and captions under
/// another id); both kinds copy a random original of the same split.
///
/// # Errors
/// [`DataError::Config`] when the settings are impossible.
pub fn generate(config: &SyntheticConfig) -> Result<Dataset, DataError> {
    config.validate()?;
    let world = World::new(config.seed, config.noise);
    let n_train = config.videos - config.test_videos;
    let mut videos = Vec::with_capacity(config.videos);
    let mut texts: Vec<Vec<String>> = Vec::with_capacity(config.videos);
    for (first, n_videos) in [(0, n_train), (n_train, config.test_videos)] {
        let (n_near, n_exact) = config.duplicates_of(n_videos);
        let n_originals = n_videos - n_near - n_exact;
        let mut originals: Vec<Latent> = Vec::with_capacity(n_originals);
        for index in first..first + n_videos {
            let mut draws = Draws::new(config.seed, "video", &[index as u64]);
            let id = format!("synthetic{index:06}");
            if index - first >= n_originals + n_near {
                let copied = first + draws.below(n_originals);
                let Video { experts, .. } = &videos[copied];
                videos.push(Video {
                    id,
                    experts: Clone::clone(experts),
                });
                texts.push(texts[copied].clone());
                continue;
            }
            let latent = match index - first < n_originals {
                true => Latent::draw(&mut draws),
                false => originals[draws.below(n_originals)].with_one_change(&mut draws),
            };
            videos.push(Video {
                id,
                experts: world.record(&latent, config.absent_rate, &mut draws),
            });
            texts.push(describe::captions(&latent, config.captions, &mut draws));
            if originals.len() < n_originals {
                originals.push(latent);
            }
        }
    }
    let captions = texts.into_iter().enumerate().flat_map(|(video, texts)| {
        let caption = move |(number, text)| Caption {
            id: format!("synthetic{video:06}#{number}"),
            video,
            text,
        };
        texts.into_iter().enumerate().map(caption)
    });
    Dataset {
        name: "synthetic".to_owned(),
        about: about(config),
        experts: experts(),
        videos,
        captions: captions.collect(),
        splits: Splits {
            train: (0..n_train).collect(),
            val: Vec::new(),
            test: (n_train..config.videos).collect(),
        },
        lexical: Vec::new(),
        gaps: Gaps::default(),
        content_hash: String::new(),
    }
    .finish()
}

fn about(config: &SyntheticConfig) -> String {
    format!(
        "Generated videos, no real ones: {} videos with {} captions each, {} of them for testing, seed {}. \
         Agents, actions, things, scenes, sounds and talk are recorded by five experts (each absent from a \
         video with chance {}; noise {} on features of signals of unit length). In each split a share of {} \
         are near-duplicates that differ in one detail, and a share of {} exact duplicates under another id, \
         whose captions are equal too, so that no model can tell them apart.",
        config.videos,
        config.captions,
        config.test_videos,
        config.seed,
        config.absent_rate,
        config.noise,
        config.near_duplicate_rate,
        config.duplicate_rate,
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn small() -> SyntheticConfig {
        SyntheticConfig {
            videos: 300,
            test_videos: 100,
            ..SyntheticConfig::default()
        }
    }

    #[test]
    fn sizes_and_splits_are_as_asked() {
        let data = generate(&small()).unwrap();
        assert_eq!((data.videos.len(), data.captions.len()), (300, 600));
        assert_eq!(
            (
                data.splits.train.len(),
                data.splits.val.len(),
                data.splits.test.len()
            ),
            (200, 0, 100)
        );
        assert_eq!(
            data.gaps.videos_without_features + data.gaps.videos_without_captions,
            0
        );
        let ids: HashSet<&String> = data.videos.iter().map(|video| &video.id).collect();
        assert_eq!(ids.len(), 300);
        // 10 % absent; speech also where nobody speaks (60 %).
        let absent = &data.gaps.videos_without_expert;
        assert!(absent[..4].iter().all(|&n| (10..60).contains(&n)) && (160..230).contains(&absent[4]));
    }

    #[test]
    fn the_same_settings_give_the_same_bytes_on_every_platform() {
        assert_eq!(generate(&small()).unwrap(), generate(&small()).unwrap());
        let hash = generate(&small()).unwrap().content_hash;
        assert_eq!(
            hash,
            "56e7c7dabc8b84be42c02f3effb7a903cf2e3a1ab08f4724d03c3e0c1eaebcea"
        );
        let seeded = SyntheticConfig { seed: 8, ..small() };
        assert_ne!(generate(&seeded).unwrap().content_hash, hash);
    }

    #[test]
    fn exact_duplicates_are_exact_and_as_many_as_asked() {
        let config = SyntheticConfig {
            duplicate_rate: 0.1,
            near_duplicate_rate: 0.0,
            ..small()
        };
        let data = generate(&config).unwrap();
        let of = data.captions_of_videos();
        let texts = |video: usize| {
            of[video]
                .iter()
                .map(|&c| &data.captions[c].text)
                .collect::<Vec<_>>()
        };
        for (first, n_originals, n_videos) in [(0, 180, 200), (200, 90, 100)] {
            for copy in first + n_originals..first + n_videos {
                let same = |&original: &usize| data.videos[original].experts == data.videos[copy].experts;
                let original = (first..first + n_originals)
                    .find(same)
                    .expect("a copy has an original");
                assert_eq!(texts(original), texts(copy));
                assert_ne!(data.videos[original].id, data.videos[copy].id);
            }
        }
    }

    #[test]
    fn near_duplicates_have_a_recording_of_their_own() {
        let config = SyntheticConfig {
            near_duplicate_rate: 0.5,
            duplicate_rate: 0.0,
            ..small()
        };
        let data = generate(&config).unwrap();
        for (index, video) in data.videos.iter().enumerate() {
            assert!(
                data.videos[..index]
                    .iter()
                    .all(|other| other.experts != video.experts)
            );
        }
    }

    #[test]
    fn captions_use_a_small_vocabulary_and_rarely_repeat() {
        let data = generate(&small()).unwrap();
        let words: HashSet<&str> = data.captions.iter().flat_map(|c| c.text.split(' ')).collect();
        assert!((100..200).contains(&words.len()), "{}", words.len());
        let distinct: HashSet<&String> = data.captions.iter().map(|caption| &caption.text).collect();
        assert!(distinct.len() > 500, "{}", distinct.len());
    }
}
