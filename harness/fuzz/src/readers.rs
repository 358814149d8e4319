//! The readers under test, one a format, with what is done to everything that they give.
//!
//! The fuzz targets and the test that replays their corpus (`tests/it/corpus.rs`) share this file. A new format adds
//! a line to [`READERS`], a target and a folder of the corpus.

use std::cell::OnceCell;
use std::error::Error;
use std::fs;
use std::path::Path;

use hitbench::data::config::{
    ActivitynetSplit, DidemoSplit, FeatureDtype, FolderConfig, LsmdcSplit, MsrvttSplit, MsvdSplit,
    PublishedConfig, VatexSplit, Youcook2Split,
};
use hitbench::data::{DataConfig, DataError, Dataset};
use hitbench::eval::{IdList, IdMap, Mask};
use hitbench::format::{FormatError, Location, Matrix, Pickle, Predictions, Qrels, TrecRun, View};
use tempfile::TempDir;

/// Where a file is memory.
const MEMORY: &str = "/dev/shm";

/// What a call of a reader came to: a sum of all that it gave, or its error with all causes.
pub(crate) type Outcome = Result<f64, String>;

/// A reader of one format.
pub(crate) struct Reader {
    /// Name of the target and of its folder of the corpus.
    pub(crate) name: &'static str,
    /// What the file is called, since names can decide how a file is read.
    pub(crate) file: &'static str,
    /// Reads the file in every way there is.
    pub(crate) read: fn(&Path) -> Vec<Outcome>,
}

/// Every reader.
pub(crate) const READERS: [Reader; 11] = [
    Reader {
        name: "npy",
        file: "input.npy",
        read: arrays,
    },
    Reader {
        name: "npz",
        file: "input.npz",
        read: arrays,
    },
    Reader {
        name: "safetensors",
        file: "input.safetensors",
        read: arrays,
    },
    Reader {
        name: "pickle",
        file: "input.pkl",
        read: pickles,
    },
    Reader {
        name: "hdf5",
        file: "input.h5",
        read: data_sets,
    },
    Reader {
        name: "bigfile",
        file: "input",
        read: folders,
    },
    Reader {
        name: "table",
        file: "input.csv",
        read: tables,
    },
    Reader {
        name: "trec",
        file: "input.txt",
        read: trec_files,
    },
    Reader {
        name: "predictions",
        file: "input.json",
        read: predictions,
    },
    Reader {
        name: "annotations",
        file: "input",
        read: annotations,
    },
    Reader {
        name: "features",
        file: "input",
        read: features,
    },
];

thread_local! {
    static FOLDER: OnceCell<TempDir> = const { OnceCell::new() };
}

/// Has the reader `name` read an input as a file, in memory where there is such a folder.
///
/// Panics where the reader does, or where an error says neither which file nor what is wrong with it.
pub(crate) fn run(name: &str, bytes: &[u8]) -> Vec<Outcome> {
    let reader = READERS.iter().find(|reader| reader.name == name);
    let reader = reader.expect("every target has a reader");
    FOLDER.with(|folder| {
        let folder = folder.get_or_init(|| {
            let memory = Path::new(MEMORY);
            let folder = if memory.is_dir() {
                tempfile::tempdir_in(memory)
            } else {
                tempfile::tempdir()
            };
            folder.expect("a temporary folder can be made")
        });
        let path = folder.path().join(reader.file);
        fs::write(&path, bytes).expect("a temporary file can be written");
        let outcomes = (reader.read)(&path);
        for message in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            check_message(&path, message);
        }
        outcomes
    })
}

/// Panics unless an error names the file, and the place or what was expected of it.
fn check_message(path: &Path, message: &str) {
    let names_file = message.contains(&path.display().to_string());
    let words = [
        "byte ",
        "line ",
        "expected ",
        "holds ",
        "has the columns",
        "has no column",
        "needs a header ",
        "column ",
        "occurs twice",
        "sentences but ",
        "cannot be read as features",
        "has no caption",
        "has a slash",
        "is empty",
        "is reserved",
        "is damaged: ",
        "larger than any memory",
    ];
    let says_what = words.iter().any(|word| message.contains(word));
    assert!(names_file && says_what, "an error that helps nobody: {message}");
}

fn locations(path: &Path, members: &[&str]) -> Vec<Location> {
    let named = members.iter().map(|member| Location {
        path: path.to_owned(),
        member: Some((*member).to_owned()),
    });
    std::iter::once(Location::file(path)).chain(named).collect()
}

fn outcome<T>(read: Result<T, impl Error>, sum: impl FnOnce(T) -> f64) -> Outcome {
    match read {
        Ok(value) => Ok(sum(value)),
        Err(error) => Err(chain(&error)),
    }
}

/// An error with its causes.
fn chain(error: &dyn Error) -> String {
    match error.source() {
        None => error.to_string(),
        Some(source) => format!("{error}: {}", chain(source)),
    }
}

fn sum_matrix(matrix: &Matrix) -> f64 {
    let rows = matrix.rows();
    let row = |row| (0..matrix.n_columns()).map(move |column| rows.get(row, column));
    (0..matrix.n_rows()).flat_map(row).sum()
}

/// A file of arrays as a matrix and as a mask, whole and by member.
fn arrays(path: &Path) -> Vec<Outcome> {
    let locations = locations(path, &["a", "sims"]);
    let both = locations.iter().flat_map(|location| {
        [
            outcome(Matrix::read(location), |matrix| sum_matrix(&matrix)),
            outcome(Mask::read(location), |mask| mask.kept.len() as f64),
        ]
    });
    both.collect()
}

/// The same and texts, of every data set that a file says it has.
fn data_sets(path: &Path) -> Vec<Outcome> {
    let known = match Matrix::read(&Location::file(path)) {
        Err(FormatError::Member { known, .. }) => known,
        _ => Vec::new(),
    };
    let mut members = vec!["a", "sims", "id"];
    members.extend(known.iter().map(String::as_str));
    let mut outcomes = Vec::new();
    for location in locations(path, &members) {
        outcomes.push(outcome(Matrix::read(&location), |matrix| sum_matrix(&matrix)));
        outcomes.push(outcome(Mask::read(&location), |mask| mask.kept.len() as f64));
        outcomes.push(outcome(IdList::read(&location), length));
    }
    outcomes
}

/// A BigFile folder: its shape, its ids and its values are parted by empty lines.
fn folders(path: &Path) -> Vec<Outcome> {
    let bytes = fs::read(path).expect("the file was written");
    let folder = path.with_extension("d");
    fs::create_dir_all(&folder).expect("a temporary folder can be made");
    let mut rest = &bytes[..];
    for name in ["shape.txt", "id.txt", "feature.bin"] {
        let end = rest
            .windows(2)
            .position(|two| two == b"\n\n")
            .filter(|_| name != "feature.bin");
        let (part, after) = match end {
            Some(end) => (&rest[..end], &rest[end + 2..]),
            None => (rest, &rest[rest.len()..]),
        };
        fs::write(folder.join(name), part).expect("a temporary file can be written");
        rest = after;
    }
    let location = Location::file(&folder);
    vec![
        outcome(Matrix::read(&location), |matrix| sum_matrix(&matrix)),
        outcome(IdList::read(&location), length),
    ]
}

fn length(list: IdList) -> f64 {
    list.ids.iter().map(String::len).sum::<usize>() as f64
}

/// The same as of arrays, and every value of the pickle.
fn pickles(path: &Path) -> Vec<Outcome> {
    let mut outcomes = arrays(path);
    outcomes.push(outcome(Pickle::read(path), |pickle| {
        let (mut sum, mut errors) = (0.0, Vec::new());
        // No recursion: a pickle may be as deep as it is long.
        let mut open = vec![pickle.root()];
        while let Some(value) = open.pop() {
            sum += value.offset() as f64 + value.describe().len() as f64;
            match value.view() {
                View::None => {}
                View::Bool(value) => sum += f64::from(u8::from(value)),
                View::Int(value) => sum += value as f64,
                View::Float(value) => sum += value,
                View::Text(text) => sum += text.len() as f64,
                View::Bytes(bytes) => sum += bytes.len() as f64,
                View::List(items) | View::Tuple(items) | View::Objects(_, items) => open.extend(items),
                View::Dict(entries) => {
                    for (key, value) in entries {
                        sum += key.to_string().len() as f64;
                        open.push(value);
                    }
                }
                View::Array(array) => match array.matrix() {
                    Ok(matrix) => sum += sum_matrix(&matrix) + array.shape().0.len() as f64,
                    Err(error) => errors.push(error),
                },
            }
        }
        for error in &errors {
            check_message(error.file(), &chain(error));
        }
        sum
    }));
    outcomes
}

/// Ids one a line, by column, and as a map.
fn tables(path: &Path) -> Vec<Outcome> {
    let lists = locations(path, &["id", "video_id"]);
    let mut outcomes: Vec<Outcome> = lists
        .iter()
        .map(|location| outcome(IdList::read(location), length))
        .collect();
    let map = IdMap::read(&Location::file(path));
    outcomes.push(outcome(map, |map| map.pairs.len() as f64));
    outcomes
}

/// A run and relevance judgements.
fn trec_files(path: &Path) -> Vec<Outcome> {
    let location = Location::file(path);
    let run = outcome(TrecRun::read(&location), |run| {
        assert_eq!(run.queries.len(), run.lists.len());
        run.lists.iter().flat_map(|list| &list.values).sum()
    });
    let qrels = outcome(Qrels::read(&location), |qrels| {
        assert_eq!(qrels.queries.len(), qrels.judgements.len());
        let values = qrels.judgements.iter().flat_map(|judged| &judged.values);
        values.map(|&relevance| relevance as f64).sum()
    });
    vec![run, qrels]
}

/// Lists of gallery indices, in either form.
fn predictions(path: &Path) -> Vec<Outcome> {
    vec![outcome(Predictions::read(&Location::file(path)), |read| {
        let place = |text| read.entry(text).to_string().len() as f64;
        let lists = read.lists.iter().enumerate();
        lists
            .map(|(text, list)| place(text) + list.iter().map(|&index| f64::from(index)).sum::<f64>())
            .sum()
    })]
}

/// What a data set came to; a split without captions is no flaw of a file.
fn data_outcome(read: Result<Dataset, DataError>) -> Outcome {
    match read {
        Err(DataError::EmptySplit { .. }) => Ok(0.0),
        read => outcome(read, |data| {
            let texts = data
                .captions
                .iter()
                .map(|caption| caption.text.len() as f64)
                .sum::<f64>();
            let experts = data
                .videos
                .iter()
                .flat_map(|video| video.experts.iter().flatten());
            let rows = experts.map(|features| features.rows.n_rows(2) as f64);
            texts + rows.sum::<f64>()
        }),
    }
}

/// Names of files and what is in them.
type Files<'a> = &'a [(&'a str, &'a [u8])];

/// Makes a folder anew and writes files into it.
fn fill(folder: &Path, files: Files<'_>) {
    let _ = fs::remove_dir_all(folder);
    for (name, bytes) in files {
        let path = folder.join(name);
        let parent = path.parent().expect("a file lies in a folder");
        fs::create_dir_all(parent).expect("a temporary folder can be made");
        fs::write(path, bytes).expect("a temporary file can be written");
    }
}

fn published<S>(folder: &Path, split: S) -> PublishedConfig<S> {
    PublishedConfig {
        annotations: vec![folder.to_owned()],
        features: folder.to_owned(),
        split,
        experts: Vec::new(),
        dtype: FeatureDtype::F32,
    }
}

/// The file as each annotation file of each published data set.
fn annotations(path: &Path) -> Vec<Outcome> {
    let bytes = fs::read(path).expect("the file was written");
    let folder = path.with_extension("d");
    let input = bytes.as_slice();
    let (a, b): (&[u8], &[u8]) = (b"a", b"b");
    let moment: &[u8] = br#"[{"video": "b.x", "description": "b"}]"#;
    let paragraph: &[u8] = br#"{"b": {"timestamps": [[0, 1]], "sentences": ["b"]}}"#;
    let clip: &[u8] = b"b\t0\t0\t0\t0\tb";
    let sets: [(DataConfig, Files<'_>); 8] = [
        (
            DataConfig::Msrvtt(published(&folder, MsrvttSplit::OneKB)),
            &[
                ("train_list_miech.txt", a),
                ("test_list_miech.txt", b),
                ("MSRVTT_data.json", input),
            ],
        ),
        (
            DataConfig::Msrvtt(published(&folder, MsrvttSplit::OneKA)),
            &[
                ("train_list_jsfusion.txt", a),
                ("MSRVTT_JSFUSION_test.csv", input),
                ("MSR_VTT.json", b"{}"),
            ],
        ),
        (
            DataConfig::Activitynet(published(&folder, ActivitynetSplit::Val1)),
            &[("train.json", input), ("val_1.json", paragraph)],
        ),
        (
            DataConfig::Lsmdc(published(&folder, LsmdcSplit::Public1000)),
            &[
                ("LSMDC16_annos_training.csv", input),
                ("LSMDC16_challenge_1000_publictect.csv", clip),
            ],
        ),
        (
            DataConfig::Msvd(published(&folder, MsvdSplit::Official)),
            &[
                ("train_list.txt", a),
                ("val_list.txt", b""),
                ("test_list.txt", b),
                ("captions.json", input),
            ],
        ),
        (
            DataConfig::Didemo(published(&folder, DidemoSplit::Official)),
            &[
                ("train_data.json", input),
                ("val_data.json", b"[]"),
                ("test_data.json", moment),
            ],
        ),
        (
            DataConfig::Vatex(published(&folder, VatexSplit::Random1k5)),
            &[
                ("train_list.txt", a),
                ("test1k5_sec_list.txt", b),
                ("vatex_training_v1.0.json", input),
            ],
        ),
        (
            DataConfig::Youcook2(published(&folder, Youcook2Split::Val)),
            &[("youcookii_annotations_trainval.json", input)],
        ),
    ];
    let outcomes = sets.into_iter().map(|(config, files)| {
        fill(&folder, files);
        data_outcome(Dataset::load_captions(&config))
    });
    outcomes.collect()
}

/// The file as features of an expert in every form, as captions in a pickle, and as MMT's file of a video.
fn features(path: &Path) -> Vec<Outcome> {
    let bytes = fs::read(path).expect("the file was written");
    let folder = path.with_extension("d");
    let input = bytes.as_slice();
    let mut outcomes = Vec::new();
    for (name, file) in [
        ("e.pickle", "e.pickle"),
        ("e.h5", "e.h5"),
        ("e.safetensors", "e.safetensors"),
        ("e", "e/a.npy"),
        ("e", "e/a.npz"),
    ] {
        let description = format!(
            "{{format: 1, name: x, captions: c.csv, lists: {{train: a.txt, test: b.txt}}, \
             experts: [{{name: e, dim: 2, features: {name}}}]}}"
        );
        let files: [(&str, &[u8]); 5] = [
            ("dataset.yaml", description.as_bytes()),
            ("c.csv", b"caption_id,video_id,text\n1,a,a\n2,b,b\n"),
            ("a.txt", b"a"),
            ("b.txt", b"b"),
            (file, input),
        ];
        fill(&folder, &files);
        let config = FolderConfig { path: folder.clone() };
        outcomes.push(data_outcome(Dataset::load(&DataConfig::Folder(config))));
    }
    let lists: [(&str, &[u8]); 2] = [("train_list_miech.txt", b"aaa"), ("test_list_miech.txt", b"bbb")];
    for file in ["raw-captions.pkl", "mult_h5/a/a/a/aaa.h5"] {
        let mut files = lists.to_vec();
        files.push((file, input));
        fill(&folder, &files);
        let config = DataConfig::Msrvtt(published(&folder, MsrvttSplit::OneKB));
        outcomes.push(data_outcome(Dataset::load_captions(&config)));
    }
    outcomes
}
