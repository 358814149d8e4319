//! The experts of published feature releases: lengths of a row, and how many seconds of video a row stands for.
//!
//! From `compute_dims` and `expert_timings` of MMT (gabeur/mmt) and the configurations of Collaborative Experts.

/// What is known of an expert.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct KnownExpert {
    /// Its name in MMT.
    pub(crate) name: &'static str,
    /// Lengths that a row may have.
    pub(crate) dims: &'static [usize],
    /// Seconds of video that each row stands for, one row after another; `None` where rows have no time.
    pub(crate) seconds_per_row: Option<f64>,
}

const fn untimed(name: &'static str, dims: &'static [usize]) -> KnownExpert {
    KnownExpert {
        name,
        dims,
        seconds_per_row: None,
    }
}

const fn timed(name: &'static str, dims: &'static [usize], seconds: f64) -> KnownExpert {
    KnownExpert {
        name,
        dims,
        seconds_per_row: Some(seconds),
    }
}

/// All of them. `face` has 512 values in MSR-VTT and 128 in LSMDC.
const KNOWN: [KnownExpert; 32] = [
    timed("s3d", &[1024], 1.0),
    timed("vggish", &[128], 1.0),
    timed("rgb", &[2048], 0.2),
    timed("scene", &[2208], 1.0),
    untimed("face", &[512, 128]),
    untimed("audio", &[128]),
    untimed("speech", &[300]),
    untimed("ocr", &[300]),
    untimed("flow", &[1024]),
    untimed("audio_c", &[128]),
    untimed("face_c", &[512, 128]),
    untimed("ocr_c", &[300]),
    untimed("speech_c", &[300]),
    untimed("i3d", &[1024]),
    untimed("i3d_logits", &[400]),
    untimed("resnext101_32x48d", &[2048]),
    untimed("resnext101_32x48d_logits", &[1000]),
    untimed("senet154", &[2048]),
    untimed("senet154_logits", &[1000]),
    untimed("densenet161", &[2208]),
    // 365 in MMT, 1000 in Collaborative Experts.
    untimed("densenet161_logits", &[365, 1000]),
    untimed("scene_logits", &[365, 1000]),
    untimed("rgb_logits", &[1000]),
    untimed("r2p1d", &[512]),
    untimed("r2p1d_logits", &[359]),
    untimed("r2p1dk", &[512]),
    untimed("r2p1dk_logits", &[400]),
    untimed("s3dg", &[1024]),
    untimed("s3dg_logits", &[512]),
    untimed("antoine_rgb", &[2048]),
    untimed("antoine_flow", &[1024]),
    untimed("antoine_face", &[128]),
];

/// The expert of this name, if it is one of a published release.
pub(crate) fn known(name: &str) -> Option<KnownExpert> {
    KNOWN.into_iter().find(|expert| expert.name == name)
}

impl KnownExpert {
    /// Middle of each of `n_rows` rows in seconds; `None` where rows have no time.
    pub(super) fn times_s(self, n_rows: usize) -> Option<Vec<f32>> {
        let seconds = self.seconds_per_row?;
        // As NumPy does it: the mean of start and end, both made in f64.
        let time = |row: usize| {
            let start = row as f64 * seconds;
            ((start + (start + seconds)) / 2.0) as f32
        };
        Some((0..n_rows).map(time).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_every_length_is_one_of_the_tables() {
        for (index, expert) in KNOWN.iter().enumerate() {
            assert!(
                KNOWN[..index].iter().all(|other| other.name != expert.name),
                "{}",
                expert.name
            );
        }
        let face = known("face").expect("the expert is known");
        assert_eq!((face.dims, face.times_s(3)), (&[512, 128][..], None));
        assert_eq!(known("smell"), None);
    }

    #[test]
    fn rows_stand_for_parts_of_a_video_one_after_another() {
        let times = |name| known(name).expect("the expert is known").times_s(3);
        assert_eq!(times("s3d"), Some(vec![0.5, 1.5, 2.5]));
        assert_eq!(times("rgb"), Some(vec![0.1, 0.3, 0.5]));
    }
}
