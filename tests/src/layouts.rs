//! Data sets of a few hundred videos in exactly the layouts that users have, with captions that say what the features
//! show.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use crate::files::{Hdf5, Pickled};

/// Experts of MMT's MSR-VTT and LSMDC releases, and the lengths of their rows in MSR-VTT.
pub const EXPERTS: [(&str, usize); 7] = [
    ("face", 512),
    ("ocr", 300),
    ("rgb", 2048),
    ("s3d", 1024),
    ("scene", 2208),
    ("speech", 300),
    ("vggish", 128),
];

const WHO: [&str; 8] = ["man", "woman", "child", "dog", "cat", "horse", "chef", "band"];
const WHAT: [&str; 8] = [
    "runs", "sings", "sleeps", "eats", "jumps", "talks", "plays", "paints",
];
const WHERE: [&str; 8] = [
    "park", "kitchen", "street", "studio", "forest", "school", "stadium", "boat",
];

/// A video: what is seen in it, as numbers of words.
#[derive(Debug, Clone)]
pub struct Clip {
    /// Its id.
    pub id: String,
    seen: [usize; 3],
    number: usize,
}

impl Clip {
    /// The words of one of its captions; every one says the same in another way.
    pub fn words(&self, caption: usize) -> Vec<String> {
        let [who, what, place] = self.seen;
        let (who, what, place) = (WHO[who], WHAT[what], WHERE[place]);
        let text = match caption % 3 {
            0 => format!("a {who} {what} in a {place}"),
            1 => format!("in the {place} there is a {who} who {what}"),
            _ => format!("{who} {what} , it seems to be a {place}"),
        };
        text.split(' ').map(str::to_owned).collect()
    }

    /// Whether an expert has nothing on this video.
    fn lacks(&self, expert: &str) -> bool {
        let chance = match expert {
            "speech" => 3,
            "face" => 5,
            "ocr" => 7,
            _ => return false,
        };
        self.number.is_multiple_of(chance)
    }

    /// Rows of an expert `[n_rows, dim]`: the words that it can see, each in places of its own, and a little noise.
    fn rows(&self, expert: usize, dim: usize) -> Vec<f32> {
        let n_rows = 1 + (self.number + expert) % 4;
        let value = |row: usize, column: usize| {
            let noise = mix(self.number * 31 + expert * 7 + row, column) * 0.05;
            let signal = self
                .seen
                .iter()
                .enumerate()
                .filter(|&(word, _)| (word + expert).is_multiple_of(2));
            signal
                .map(|(word, &value)| mix(1_000_003 + word * 8 + value, column))
                .sum::<f32>()
                + noise
        };
        (0..n_rows)
            .flat_map(|row| (0..dim).map(move |column| (row, column)))
            .map(|(r, c)| value(r, c))
            .collect()
    }
}

/// A number in `[-1, 1)` that looks drawn.
fn mix(a: usize, b: usize) -> f32 {
    let mut x =
        (a as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (b as u64).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 31;
    x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^= x >> 29;
    (x >> 40) as f32 / (1u32 << 23) as f32 - 1.0
}

/// Videos with these ids.
pub fn clips(ids: impl IntoIterator<Item = String>) -> Vec<Clip> {
    let clip = |(number, id)| Clip {
        id,
        seen: [number % 8, (number / 8 + number) % 8, (number / 3) % 8],
        number,
    };
    ids.into_iter().enumerate().map(clip).collect()
}

/// Writes a file, and the folders that it lies in.
///
/// # Panics
/// When it cannot be written.
pub fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).expect("folders can be made");
    }
    fs::write(path, bytes).expect("files can be written");
}

fn list(clips: &[Clip]) -> String {
    let ids: Vec<&str> = clips.iter().map(|clip| clip.id.as_str()).collect();
    // As the real lists: no end of the last line.
    ids.join("\n")
}

/// Where MMT's release has the file of a video.
pub fn mmt_file(folder: &Path, clip: &Clip) -> PathBuf {
    let mut path = folder.join("vid_feat_files/mult_h5");
    path.extend(clip.id.chars().take(3).map(String::from));
    path.join(format!("{}.h5", clip.id))
}

/// MMT's tree under `folder/vid_feat_files/mult_h5`, with `n_captions` captions a video and these experts.
pub fn mmt_tree(folder: &Path, clips: &[Clip], n_captions: usize, experts: &[(&str, usize)]) {
    for clip in clips {
        let mut file = Hdf5::default();
        for caption in 0..n_captions {
            let words = clip.words(caption);
            let times = vec![0.0; words.len() * 2];
            file.f64(
                &format!("raw_captions_t.{caption}"),
                &[words.len() as u64, 2],
                times,
            );
            file.texts(&format!("raw_captions.{caption}"), words);
        }
        for (number, &(expert, dim)) in experts.iter().enumerate() {
            let name = format!("features.{expert}");
            match (clip.lacks(expert), clip.number % 2) {
                // Two of the signs of an absent expert; the third is no data set at all.
                (true, 0) => file.f32(&name, &[0, dim as u64], Vec::new()),
                (true, _) if expert == "ocr" => file.f32(&name, &[1, dim as u64], vec![f32::NAN; dim]),
                (true, _) => {}
                (false, _) => {
                    let rows = clip.rows(number, dim);
                    let n_rows = rows.len() / dim;
                    file.f32(&name, &[n_rows as u64, dim as u64], rows);
                    if ["s3d", "vggish"].contains(&expert) {
                        let times = (0..n_rows)
                            .flat_map(|row| [row as f64, row as f64 + 1.0])
                            .collect();
                        file.f64(&format!("features_t.{expert}"), &[n_rows as u64, 2], times);
                    }
                }
            }
        }
        write(&mmt_file(folder, clip), file.bytes());
    }
}

/// The pickles of Collaborative Experts under `folder/structured-symlinks`, with the same rows as [`mmt_tree`].
pub fn collaborative_experts(folder: &Path, clips: &[Clip], n_captions: usize) {
    let root = folder.join("structured-symlinks");
    let files = [
        "aggregated_facefeats_25fps_256px_stride1/face-fixed_seg.pickle",
        "aggregated_ocr_feats/ocr-raw.pickle",
        "aggregated_imagenet_25fps_256px_stride1_offset0/senet154-fixed_seg.pickle",
        "aggregated_s3d/s3d-fixed_seg.pickle",
        "aggregated_scene_25fps_256px_stride1_offset0/densenet161-fixed_seg.pickle",
        "aggregated_speech/speech-w2v.pickle",
        "aggregated_audio_feats/Audio_MSRVTT_new.pickle",
    ];
    let text = |text: &str| Pickled::Text(text.to_owned());
    for (number, ((expert, dim), file)) in EXPERTS.into_iter().zip(files).enumerate() {
        let entries = clips.iter().map(|clip| {
            let value = match clip.lacks(expert) {
                true => Pickled::Float(f64::NAN),
                false => {
                    let rows = clip.rows(number, dim);
                    Pickled::Array(vec![(rows.len() / dim) as u32, dim as u32], rows)
                }
            };
            (text(&clip.id), value)
        });
        write(&root.join(file), Pickled::Dict(entries.collect()).bytes());
    }
    let captions = clips.iter().map(|clip| {
        let captions = (0..n_captions).map(|caption| Pickled::texts(clip.words(caption)));
        (text(&clip.id), Pickled::List(captions.collect()))
    });
    write(
        &root.join("raw-captions.pkl"),
        Pickled::Dict(captions.collect()).bytes(),
    );
}

/// MSR-VTT 1k-A's lists and caption index in `folder`: all but the last `n_test` videos train.
pub fn msrvtt_lists(folder: &Path, clips: &[Clip], n_test: usize, n_captions: usize) {
    let (train, test) = clips.split_at(clips.len() - n_test);
    write(&folder.join("train_list_jsfusion.txt"), list(train));
    write(&folder.join("val_list_jsfusion.txt"), list(test));
    let index = test.iter().map(|clip| {
        let chosen = (clip.number % n_captions) as i32;
        (Pickled::Text(clip.id.clone()), Pickled::Int(chosen))
    });
    write(
        &folder.join("jsfusion_val_caption_idx.pkl"),
        Pickled::Dict(index.collect()).bytes(),
    );
}

/// MSR-VTT as MMT's archive unpacks: lists beside the tree, captions in the tree alone.
pub fn msrvtt_mmt(folder: &Path, n_videos: usize, n_test: usize) {
    let clips = clips((0..n_videos).map(|number| format!("video{number}")));
    msrvtt_lists(&folder.join("symlinked-feats"), &clips, n_test, 3);
    mmt_tree(folder, &clips, 3, &EXPERTS);
}

/// ActivityNet Captions as distributed, with MMT's tree of its two experts beside it.
pub fn activitynet_mmt(folder: &Path, n_videos: usize, n_test: usize) {
    let clips = clips((0..n_videos).map(|number| format!("v_{number:04}-_x")));
    let (train, test) = clips.split_at(n_videos - n_test);
    let annotations = |clips: &[Clip]| -> String {
        let entries = clips.iter().map(|clip| {
            let sentences: Vec<String> = (0..3).map(|caption| format!(" {}.", clip.words(caption).join(" "))).collect();
            let entry = json!({"duration": 9.5, "timestamps": [[0, 3.5], [3, 6], [6.5, 9.5]], "sentences": sentences});
            format!("{}: {entry}", Json::from(clip.id.as_str()))
        });
        format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
    };
    write(&folder.join("train.json"), annotations(train));
    write(&folder.join("val_1.json"), annotations(test));
    mmt_tree(folder, &clips, 3, &[("s3d", 1024), ("vggish", 128)]);
}

/// LSMDC16 as distributed, with MMT's tree beside it; faces have 128 values there.
pub fn lsmdc_mmt(folder: &Path, n_videos: usize, n_test: usize) {
    let time = |number: usize| {
        format!(
            "00.{:02}.{:02}.120-00.{:02}.{:02}.900",
            number / 60,
            number % 60,
            number / 60,
            number % 60
        )
    };
    let clips = clips((0..n_videos).map(|number| format!("{:04}_A_Film_{}", 1000 + number, time(number))));
    let (train, test) = clips.split_at(n_videos - n_test);
    let line = |clip: &Clip, caption: usize| {
        let at = "00.00.01.120\t00.00.03.900\t00.00.01.120\t00.00.03.900";
        format!(
            "{}\t{at}\tSOMEONE: \"{}.\n",
            clip.id,
            clip.words(caption).join(" ")
        )
    };
    // Some training clips have a second sentence.
    let mut lines: Vec<String> = train.iter().map(|clip| line(clip, 0)).collect();
    lines.extend(train.iter().step_by(5).map(|clip| line(clip, 1)));
    write(&folder.join("LSMDC16_annos_training.csv"), lines.concat());
    let lines: Vec<String> = test.iter().map(|clip| line(clip, 2)).collect();
    write(
        &folder.join("LSMDC16_challenge_1000_publictect.csv"),
        lines.concat(),
    );
    let experts = EXPERTS.map(|(expert, dim)| (expert, if expert == "face" { 128 } else { dim }));
    mmt_tree(folder, &clips, 1, &experts);
}
