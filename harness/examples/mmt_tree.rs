//! Writes a tree as MMT releases MSR-VTT, with generated features of realistic numbers of rows: how fast features are
//! packed and batches made is measured on it (see `loader_speed`).
//!
//! ```sh
//! cargo run --release -p hitbench --example mmt_tree -- DIR 10000
//! ```

use std::path::Path;

use hitbench_tests::files::Hdf5;
use hitbench_tests::layouts::{clips, mmt_file, msrvtt_lists, write};

/// Expert, length of a row, and most rows: a video of 10 to 30 seconds has two thirds of them to all.
const EXPERTS: [(&str, usize, usize); 7] = [
    ("face", 512, 10),
    ("ocr", 300, 12),
    ("rgb", 2048, 100),
    ("s3d", 1024, 20),
    ("scene", 2208, 20),
    ("speech", 300, 40),
    ("vggish", 128, 20),
];
const CAPTIONS: usize = 20;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, n_videos] = &arguments[..] else {
        panic!("usage: mmt_tree DIR N_VIDEOS");
    };
    let (folder, n_videos) = (
        Path::new(folder),
        n_videos.parse::<usize>().expect("a number of videos"),
    );
    let clips = clips((0..n_videos).map(|number| format!("video{number}")));
    msrvtt_lists(&folder.join("symlinked-feats"), &clips, n_videos / 10, CAPTIONS);
    for (number, clip) in clips.iter().enumerate() {
        let mut file = Hdf5::default();
        for caption in 0..CAPTIONS {
            file.texts(&format!("raw_captions.{caption}"), clip.words(caption));
        }
        for (expert, dim, most) in EXPERTS {
            let n_rows = most - (number * 7 + dim) % (most / 3 + 1);
            let value = |place: usize| ((number + place * 31) % 1013) as f32 / 1013.0 - 0.5;
            let shape = [n_rows as u64, dim as u64];
            file.f32(
                &format!("features.{expert}"),
                &shape,
                (0..n_rows * dim).map(value).collect(),
            );
            if ["s3d", "vggish"].contains(&expert) {
                let times = (0..n_rows)
                    .flat_map(|row| [row as f64, row as f64 + 1.0])
                    .collect();
                file.f64(&format!("features_t.{expert}"), &[n_rows as u64, 2], times);
            }
        }
        write(&mmt_file(folder, clip), file.bytes());
    }
}
