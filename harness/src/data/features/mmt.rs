//! MMT's release (gabeur/mmt): a tree with one HDF5 file a video, which holds captions and features.
//!
//! `vid_feat_files/mult_h5/v/i/d/video7020.h5` has the data sets `raw_captions.I` (the words of caption `I`),
//! `features.EXPERT` `[T, dim]` and `features_t.EXPERT` `[T, 2]` (start and end in seconds). Times are taken from the
//! file for `s3d` and `vggish`, for other experts from the [table](super::known).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hitbench_kernels::map::FileMap;

use super::known::known;
use super::recording::{Recording, refuse_non_finite};
use super::source::{FeatureSource, VideoRecordings, spellings};
use crate::data::error::DataError;
use crate::format::{Array, DataSets, Location, open};

/// Where the tree is under the folder that a user names.
const PLACES: [&str; 4] = [
    "",
    "mult_h5",
    "vid_feat_files/mult_h5",
    "../vid_feat_files/mult_h5",
];
/// Experts whose files have times of their own.
const OWN_TIMES: [&str; 2] = ["s3d", "vggish"];
const FEATURES: &str = "features.";
const TIMES: &str = "features_t.";
const CAPTION: &str = "raw_captions.";

/// The tree.
#[derive(Debug)]
pub(in crate::data) struct Mmt {
    root: PathBuf,
}

impl Mmt {
    /// The tree in, under or beside a folder; `None` when there is none.
    pub(in crate::data) fn find(path: &Path) -> Option<Self> {
        let is_tree = |root: &PathBuf| root.ends_with("mult_h5") && root.is_dir();
        let mut roots = PLACES.into_iter().map(|place| match place {
            "" => path.to_owned(),
            place => path.join(place),
        });
        roots.find(is_tree).map(|root| Self { root })
    }

    /// Words of each caption of a video, in the file's order; `None` when the video has no file.
    ///
    /// # Errors
    /// [`DataError::Format`], [`DataError::NoCaptions`] for a file without a caption.
    pub(in crate::data) fn captions(&self, video: &str) -> Result<Option<Vec<Vec<String>>>, DataError> {
        self.with_file(video, |path, data_sets| {
            let mut captions = Vec::new();
            while let Some(words) = data_sets.texts(&format!("{CAPTION}{}", captions.len()))? {
                captions.push(words);
            }
            match captions.is_empty() {
                false => Ok(captions),
                true => Err(DataError::NoCaptions {
                    path: path.to_owned(),
                    video: video.to_owned(),
                }),
            }
        })
    }

    fn path(&self, id: &str) -> PathBuf {
        let mut path = self.root.clone();
        path.extend(id.chars().take(3).map(String::from));
        path.join(format!("{id}.h5"))
    }

    /// Calls `read` with the opened file of a video, if there is one.
    fn with_file<T>(
        &self,
        video: &str,
        read: impl FnOnce(&Path, &DataSets) -> Result<T, DataError>,
    ) -> Result<Option<T>, DataError> {
        let Some(path) = spellings(video)
            .map(|id| self.path(&id))
            .find(|path| path.exists())
        else {
            return Ok(None);
        };
        let location = Location::file(&path);
        let map: Arc<FileMap> = Arc::new(open(&location)?);
        read(&path, &DataSets::open(&location, &map)?).map(Some)
    }
}

impl FeatureSource for Mmt {
    fn read(&self, video: &str) -> Result<Option<VideoRecordings>, DataError> {
        self.with_file(video, |path, data_sets| {
            let mut found = Vec::new();
            for name in data_sets.names().filter_map(|name| name.strip_prefix(FEATURES)) {
                if let Some(recording) = recording(path, video, data_sets, name)? {
                    found.push((name.to_owned(), recording));
                }
            }
            Ok(found)
        })
    }

    fn files(&self, videos: &[&str]) -> Result<Vec<PathBuf>, DataError> {
        let files = videos.iter().flat_map(|video| spellings(video));
        Ok(files.map(|id| self.path(&id)).collect())
    }

    fn layout(&self) -> &'static str {
        "MMT, one HDF5 file a video"
    }

    fn is_published(&self) -> bool {
        true
    }
}

/// Rows and times of one expert.
fn recording(
    path: &Path,
    video: &str,
    data_sets: &DataSets,
    name: &str,
) -> Result<Option<Recording>, DataError> {
    let Some((shape, values)) = numbers(path, data_sets, &format!("{FEATURES}{name}"))? else {
        return Ok(None);
    };
    let Some(mut recording) = Recording::new(path, video, &shape, values, None)? else {
        return Ok(None);
    };
    let n_rows = recording.n_rows();
    let own = match OWN_TIMES.contains(&name) {
        true => numbers(path, data_sets, &format!("{TIMES}{name}"))?,
        false => None,
    };
    let Some((shape, times)) = own else {
        recording.times_s = known(name).and_then(|expert| expert.times_s(n_rows));
        return Ok(Some(recording));
    };
    match shape[..] {
        [n_times, 2] if n_times >= n_rows => {
            let (spans, _) = times.as_chunks::<2>();
            let middles: Vec<f32> = spans[..n_rows]
                .iter()
                .map(|[start, end]| (start + end) / 2.0)
                .collect();
            refuse_non_finite(path, video, &middles, 1)?;
            recording.times_cut = n_times > n_rows;
            recording.set_times(middles);
            Ok(Some(recording))
        }
        _ => Err(DataError::Times {
            path: path.to_owned(),
            video: video.to_owned(),
            found: shape,
            expected: format!("[{n_rows} or more, 2]"),
        }),
    }
}

/// Shape and values.
type Numbers = (Vec<usize>, Vec<f32>);

/// Shape and values of a data set.
fn numbers(path: &Path, data_sets: &DataSets, name: &str) -> Result<Option<Numbers>, DataError> {
    let Some((layout, buffer)) = data_sets.numbers(name)? else {
        return Ok(None);
    };
    let location = Location {
        path: path.to_owned(),
        member: Some(name.to_owned()),
    };
    let array = Array::new(&location, layout, buffer)?;
    Ok(Some((array.shape.clone(), array.to_f32()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_special_case_of_the_tree_is_read() {
        let Some(data) = hitbench_tests::test_data("synthetic/mmt") else {
            return;
        };
        let mmt = Mmt::find(&data).expect("the tree is there");
        let read = |video| mmt.read(video).expect("the file can be read");
        let names = |video| -> Vec<(String, usize, Option<usize>)> {
            let found = read(video).expect("the video is there");
            let n_times = |recording: &Recording| recording.times_s.as_ref().map(Vec::len);
            let found = found.iter().map(|(name, recording)| {
                let n_rows = recording.n_rows();
                (name.clone(), n_rows, n_times(recording))
            });
            found.collect()
        };
        let expert = |name: &str, n_rows, n_times| (name.to_owned(), n_rows, n_times);
        assert_eq!(
            names("video7020"),
            [
                expert("face", 1, None),
                expert("ocr", 2, None),
                expert("rgb", 3, Some(3)),
                expert("s3d", 5, Some(5)),
                expert("scene", 2, Some(2)),
                expert("speech", 4, None),
                expert("vggish", 5, Some(5)),
            ]
        );
        // An array without rows, a data set that is not there, a first value that is NaN.
        let absent = |video, expert: &str| names(video).iter().all(|(name, ..)| name != expert);
        assert!(absent("video9770", "face") && absent("video9770", "speech") && absent("video9771", "ocr"));
        let of = |video, expert: &str| {
            let found = read(video).expect("the video is there").into_iter();
            found
                .filter(|(name, _)| name == expert)
                .map(|(_, recording)| recording)
                .next()
        };
        let cut = of("video7020", "vggish").expect("the expert is there");
        assert!(cut.times_cut && cut.times_s == Some(vec![0.5, 1.5, 2.5, 3.5, 4.5]));
        assert!(!of("video7020", "s3d").expect("the expert is there").times_cut);
        assert!(read("video1").is_none());
        let captions = mmt
            .captions("video9771")
            .expect("the file can be read")
            .expect("the video is there");
        assert_eq!(captions.len(), 3);
        assert_eq!(captions[0], ["a", "little", "girl", "does", "gymnastics"]);
        assert_eq!(captions[2][6], "é");
    }
}
