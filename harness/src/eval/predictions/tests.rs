use super::*;
use crate::format::Location;
use crate::format::tests::file;

fn read(text: &str) -> Predictions {
    let (_folder, location) = file("predictions", text.as_bytes());
    Predictions::read(&location).unwrap()
}

fn ids(ids: &[&str]) -> IdList {
    IdList {
        location: Location::file("ids"),
        ids: ids.iter().map(|&id| id.to_owned()).collect(),
    }
}

fn map(pairs: &[(&str, &str)]) -> IdMap {
    IdMap {
        location: Location::file("map"),
        pairs: pairs
            .iter()
            .map(|&(text, video)| (text.to_owned(), video.to_owned()))
            .collect(),
    }
}

fn mask(shape: &[usize], kept: &[u8]) -> Mask {
    Mask {
        location: Location::file("mask"),
        shape: shape.to_vec(),
        kept: kept.iter().map(|&kept| kept == 1).collect(),
    }
}

/// Ranks of the true items, `None` outside a list, and the size of the gallery.
#[track_caller]
fn ranks(found: Result<Lists, EvalError>) -> (Vec<Option<u64>>, Option<u64>) {
    let counts = found.unwrap().counts;
    let rank = |query: &ListedQuery| query.found.first().map(|group| group.greater + 1);
    (counts.queries.iter().map(rank).collect(), counts.n_gallery)
}

const ROWS: &str = "0,2\n0,1\n1,0\n";

#[test]
fn rows_without_ids_belong_to_the_index_of_their_number() {
    let found = join_predictions(read(ROWS), &Names::default());
    assert_eq!(ranks(found), (vec![Some(1), Some(2), None], None));
    let with_videos = |videos: &[&str]| Names {
        videos: Some(ids(videos)),
        ..Names::default()
    };
    let found = join_predictions(read(ROWS), &with_videos(&["a", "b", "c"]));
    assert_eq!(ranks(found), (vec![Some(1), Some(2), None], Some(3)));
    let unequal = join_predictions(read(ROWS), &with_videos(&["a", "b", "c", "d"]));
    assert!(matches!(
        unequal,
        Err(EvalError::MapNeeded {
            n_texts: 3,
            n_videos: 4
        })
    ));
}

#[test]
fn a_mask_gives_rows_their_videos() {
    let names = |shape: &[usize], kept: &[u8]| Names {
        mask: Some(mask(shape, kept)),
        ..Names::default()
    };
    // Row 0 is of video 0, rows 1 and 2 of video 2; video 1 has no caption.
    let found = join_predictions(read(ROWS), &names(&[3, 2], &[0, 1, 0, 0, 1, 1])).unwrap();
    assert_eq!(
        (found.by, found.counts.n_without_caption),
        (JoinedBy::MaskLayout, 1)
    );
    assert_eq!(ranks(Ok(found)), (vec![Some(1), None, None], Some(3)));
    let message = |names: &Names| join_predictions(read(ROWS), names).unwrap_err().to_string();
    assert_eq!(
        message(&names(&[3, 1], &[1, 0, 1])),
        "`mask`: expected as many ones as `predictions` has rows, which are 3, found 2"
    );
    assert_eq!(
        message(&names(&[3], &[1, 1, 1])),
        "`mask`: expected shape (videos, captions), found 1 axes"
    );
    // The gallery of a mask is known, and so is what is outside it.
    assert!(
        message(&names(&[2, 2], &[1, 1, 1, 0]))
            .ends_with("line 1: prediction 2 is 2, expected an index below 2")
    );
    let mut both = names(&[3, 1], &[1, 1, 1]);
    both.videos = Some(ids(&["a", "b"]));
    assert!(message(&both).contains("2 ids for 3 videos"));
}

const VALUE: &str =
    r#"{"VR": [{"desc_id": 7, "predictions": [0, 2]}, {"desc_id": "8", "predictions": [1, 0]}]}"#;

#[test]
fn texts_with_ids_belong_to_videos_by_the_map() {
    let by_number = Names {
        map: Some(map(&[("8", "0"), ("7", "2")])),
        ..Names::default()
    };
    assert_eq!(
        ranks(join_predictions(read(VALUE), &by_number)),
        (vec![Some(2), Some(2)], None)
    );
    let by_name = Names {
        map: Some(map(&[("8", "a"), ("7", "b")])),
        videos: Some(ids(&["b", "a", "c"])),
        allow_missing: true,
        ..Names::default()
    };
    let found = join_predictions(read(VALUE), &by_name).unwrap();
    assert_eq!(
        (
            found.problems[0].to_string().as_str(),
            found.counts.n_without_caption
        ),
        ("1 videos have no text (`c`)", 1)
    );
    assert_eq!(ranks(Ok(found)), (vec![Some(1), Some(1)], Some(3)));
    let same = Names {
        texts: Some(ids(&["x", "y", "z"])),
        videos: Some(ids(&["y", "x", "z"])),
        ..Names::default()
    };
    assert_eq!(
        ranks(join_predictions(read(ROWS), &same)),
        (vec![None, Some(1), None], Some(3))
    );
}

#[test]
fn ids_that_do_not_fit_are_refused_or_left_out() {
    let names = |allow_missing| Names {
        map: Some(map(&[("8", "0"), ("9", "1"), ("7", "seven")])),
        allow_missing,
        ..Names::default()
    };
    let Err(EvalError::Ids { problems, .. }) = join_predictions(read(VALUE), &names(false)) else {
        panic!("ids do not fit");
    };
    let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "1 texts belong to a video without a column (`seven`)",
            "1 entries of the map have no text among the rows (`9`)"
        ]
    );
    let found = join_predictions(read(VALUE), &names(true)).unwrap();
    assert_eq!((found.counts.n_masked, found.problems.len()), (1, 2));
    assert_eq!(ranks(Ok(found)).0, [Some(2)]);
    // A video given twice is one of the gallery, and its second index is no answer.
    let again = Names {
        texts: Some(ids(&["x", "y", "z"])),
        videos: Some(ids(&["x", "x", "y", "z"])),
        allow_missing: true,
        ..Names::default()
    };
    let found = join_predictions(read("1,0\n1,2\n3,2\n"), &again).unwrap();
    assert_eq!(
        found
            .counts
            .queries
            .iter()
            .map(|query| query.depth)
            .collect::<Vec<_>>(),
        [1, 1, 2]
    );
    assert_eq!(ranks(Ok(found)), (vec![Some(1), Some(1), Some(1)], Some(3)));
}

#[test]
fn names_that_say_nothing_are_refused() {
    let texts = || Some(ids(&["7", "8"]));
    let some_mask = || Some(mask(&[2, 1], &[1, 1]));
    let problem = |text: &str, names: Names| match join_predictions(read(text), &names) {
        Err(EvalError::Usage { problem, .. }) => problem,
        other => panic!("expected a usage error, found {other:?}"),
    };
    let none = Names::default;
    assert!(problem(VALUE, none()).contains("which video"));
    assert!(
        problem(
            VALUE,
            Names {
                texts: texts(),
                ..none()
            }
        )
        .contains("desc_id")
    );
    assert!(
        problem(
            VALUE,
            Names {
                mask: some_mask(),
                ..none()
            }
        )
        .contains("--mask")
    );
    let both = Names {
        texts: texts(),
        mask: some_mask(),
        ..none()
    };
    assert!(problem(ROWS, both).contains("--mask"));
    assert!(
        problem(
            "0\n1\n",
            Names {
                texts: texts(),
                ..none()
            }
        )
        .contains("which video")
    );
    let mapped = Names {
        map: Some(map(&[("7", "1")])),
        ..none()
    };
    assert!(problem(ROWS, mapped).contains("--text-ids"));
    let missing = Names {
        allow_missing: true,
        ..none()
    };
    assert!(problem(ROWS, missing).contains("--allow-missing"));
    let short = Names {
        texts: texts(),
        videos: texts(),
        ..none()
    };
    assert!(matches!(
        join_predictions(read(ROWS), &short),
        Err(EvalError::IdCount {
            found: 2,
            expected: 3,
            ..
        })
    ));
}

#[test]
fn an_index_outside_the_gallery_is_named_by_its_entry() {
    let names = Names {
        map: Some(map(&[("8", "a"), ("7", "b")])),
        videos: Some(ids(&["a", "b"])),
        ..Names::default()
    };
    let error = join_predictions(read(VALUE), &names).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("VR[0] (`7`): prediction 2 is 2, expected an index below 2"),
        "{error}"
    );
    assert_eq!((error.reason(), error.line()), ("values", None));
    let names = Names {
        videos: Some(ids(&["a", "b", "c"])),
        ..Names::default()
    };
    let error = join_predictions(read("0,1\n2,1\n1,9\n"), &names).unwrap_err();
    assert_eq!(error.line(), Some(3));
}

#[test]
fn keys_that_are_passed_over_are_said() {
    let text = VALUE.replace("{\"VR\"", "{\"VCMR\": [], \"VR\"");
    let names = Names {
        map: Some(map(&[("8", "0"), ("7", "2")])),
        ..Names::default()
    };
    let found = join_predictions(read(&text), &names).unwrap();
    assert_eq!(
        found.notices,
        [Notice::PassedOver {
            keys: vec!["VCMR".to_owned()]
        }]
    );
    assert_eq!(
        found.notices[0].to_string(),
        "only `VR` is evaluated, and not `VCMR`"
    );
}
