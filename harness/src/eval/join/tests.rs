use std::path::Path;

use super::*;

fn ids(name: &str, of: &[&str]) -> Option<IdList> {
    Some(IdList {
        location: Location::file(name),
        ids: of.iter().map(|&id| id.to_owned()).collect(),
    })
}

fn map(of: &[(&str, &str)]) -> Option<IdMap> {
    let pairs = of
        .iter()
        .map(|&(text, video)| (text.to_owned(), video.to_owned()));
    Some(IdMap {
        location: Location::file("map.csv"),
        pairs: pairs.collect(),
    })
}

fn mask(shape: &[usize], kept: &[u8]) -> Option<Mask> {
    Some(Mask {
        location: Location::file("mask.npy"),
        shape: shape.to_vec(),
        kept: kept.iter().map(|&kept| kept == 1).collect(),
    })
}

fn joined(names: &Names, n_texts: usize, n_videos: usize) -> Result<Joined, EvalError> {
    let matrix = Location::file("sims.npy");
    join(names, (n_texts, &matrix), (n_videos, &matrix))
}

/// The video of each text that takes part.
fn pairs(joined: &Joined) -> Vec<(u32, u32)> {
    let kept = joined.pairing.kept_captions().into_iter();
    kept.map(|text| (text, joined.pairing.video_of(text))).collect()
}

#[test]
fn without_ids_equal_numbers_pair_by_position() {
    let found = joined(&Names::default(), 3, 3).unwrap();
    assert_eq!(
        (pairs(&found), found.by),
        (vec![(0, 0), (1, 1), (2, 2)], JoinedBy::Position)
    );
    assert_eq!(found.text_ids, ["0", "1", "2"]);
    let error = joined(&Names::default(), 4, 2).unwrap_err();
    assert!(matches!(
        error,
        EvalError::MapNeeded {
            n_texts: 4,
            n_videos: 2
        }
    ));
}

#[test]
fn a_mask_leaves_texts_out_and_its_shape_may_say_whose_they_are() {
    let flat = Names {
        mask: mask(&[3], &[1, 0, 1]),
        ..Names::default()
    };
    assert_eq!(pairs(&joined(&flat, 3, 3).unwrap()), [(0, 0), (2, 2)]);
    let slots = Names {
        mask: mask(&[2, 3], &[1, 1, 0, 0, 1, 0]),
        ..Names::default()
    };
    let found = joined(&slots, 6, 2).unwrap();
    assert_eq!(
        (pairs(&found), found.by),
        (vec![(0, 0), (1, 0), (4, 1)], JoinedBy::MaskLayout)
    );
    // Two videos' worth of slots do not say how six texts belong to three videos.
    assert!(matches!(joined(&slots, 6, 3), Err(EvalError::MapNeeded { .. })));
    let short = joined(&flat, 4, 4).unwrap_err().to_string();
    assert_eq!(short, "`mask.npy`: expected 4 entries, one a text, found 3");
}

#[test]
fn ids_in_any_order_join() {
    let same = Names {
        texts: ids("t", &["a", "b", "c"]),
        videos: ids("v", &["a", "b", "c"]),
        ..Names::default()
    };
    assert_eq!(joined(&same, 3, 3).unwrap().by, JoinedBy::Ids);
    let reordered = Names {
        texts: ids("t", &["c", "a", "b"]),
        ..same
    };
    let found = joined(&reordered, 3, 3).unwrap();
    assert_eq!(
        (pairs(&found), found.by),
        (vec![(0, 2), (1, 0), (2, 1)], JoinedBy::ReorderedIds)
    );
    let mapped = Names {
        texts: ids("t", &["t3", "t1", "t2"]),
        videos: ids("v", &["v2", "v1"]),
        map: map(&[("t1", "v1"), ("t2", "v2"), ("t3", "v1")]),
        ..Names::default()
    };
    let found = joined(&mapped, 3, 2).unwrap();
    assert_eq!(
        (pairs(&found), found.by),
        (vec![(0, 1), (1, 1), (2, 0)], JoinedBy::Ids)
    );
    assert_eq!(
        (found.text_ids[0].as_str(), found.video_ids[0].as_str()),
        ("t3", "v2")
    );
}

#[test]
fn everything_that_does_not_fit_is_counted_and_named() {
    let mut names = Names {
        texts: ids("t", &["t1", "t2", "t2", "t4", "t5"]),
        videos: ids("v", &["v1", "v1", "v2", "v3"]),
        map: map(&[
            ("t1", "v2"),
            ("t1", "v1"),
            ("t2", "v1"),
            ("t5", "v9"),
            ("t7", "v1"),
        ]),
        ..Names::default()
    };
    let EvalError::Ids { problems, map } = joined(&names, 5, 4).unwrap_err() else {
        panic!("ids do not fit")
    };
    assert_eq!(map.as_deref(), Some(Path::new("map.csv")));
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "1 rows repeat the id of an earlier text (`t2`)",
            "1 columns repeat the id of an earlier video (`v1`)",
            "1 entries of the map repeat a text (`t1`)",
            "1 texts belong to no known video (`t4`)",
            "1 texts belong to a video without a column (`v9`)",
            "1 entries of the map have no text among the rows (`t7`)",
            "1 videos have no text (`v3`)",
        ]
    );
    names.allow_missing = true;
    let found = joined(&names, 5, 4).unwrap();
    // The second column of v1 is left out; v3 stays in the gallery.
    assert_eq!(found.kept_videos, Some(vec![0, 2, 3]));
    assert_eq!(found.video_ids, ["v1", "v2", "v3"]);
    assert_eq!(pairs(&found), [(0, 1), (1, 0)]);
    assert_eq!(
        (
            found.pairing.n_videos(),
            found.pairing.n_masked(),
            found.problems.len()
        ),
        (3, 3, 7)
    );
    assert_eq!(found.pairing.n_without_caption(), 1);
}

#[test]
fn a_mask_and_missing_ids_both_leave_out() {
    let names = Names {
        texts: ids("t", &["a", "x", "b"]),
        videos: ids("v", &["b", "a", "c"]),
        mask: mask(&[3], &[1, 1, 0]),
        allow_missing: true,
        ..Names::default()
    };
    let found = joined(&names, 3, 3).unwrap();
    assert_eq!(pairs(&found), [(0, 1)]);
    // Left out are `x`, and video `c` without a text; the mask's choice is no problem.
    let kinds: Vec<_> = found.problems.iter().map(|problem| problem.kind).collect();
    assert_eq!(
        kinds,
        [IdProblemKind::UnknownText, IdProblemKind::VideoWithoutText]
    );
}

#[test]
fn ids_that_join_nothing_are_refused_whatever_is_allowed() {
    let names = Names {
        texts: ids("t", &["a", "b"]),
        videos: ids("v", &["c", "d"]),
        allow_missing: true,
        ..Names::default()
    };
    let error = joined(&names, 2, 2).unwrap_err();
    assert!(matches!(error, EvalError::NothingLeft { .. }));
    assert_eq!(error.file(), None, "no map is at fault");
    let mapped = Names {
        map: map(&[("a", "x"), ("b", "y")]),
        ..names
    };
    let error = joined(&mapped, 2, 2).unwrap_err();
    assert!(matches!(error, EvalError::NothingLeft { .. }));
    assert_eq!(error.file().as_deref(), Some(Path::new("map.csv")));
}

#[test]
fn a_sound_map_is_not_at_fault() {
    let names = Names {
        texts: ids("t", &["a", "b"]),
        videos: ids("v", &["x", "y", "z"]),
        map: map(&[("a", "x"), ("b", "y")]),
        ..Names::default()
    };
    let error = joined(&names, 2, 3).unwrap_err();
    assert!(error.to_string().contains("1 videos have no text (`z`)"));
    assert_eq!(error.file(), None);
}

#[test]
fn ids_come_in_pairs_and_in_the_right_number() {
    let one = Names {
        texts: ids("t", &["a"]),
        ..Names::default()
    };
    assert!(matches!(joined(&one, 1, 1), Err(EvalError::Usage { .. })));
    let only_map = Names {
        map: map(&[("a", "b")]),
        ..Names::default()
    };
    assert!(matches!(joined(&only_map, 1, 1), Err(EvalError::Usage { .. })));
    let header = Names {
        texts: ids("t", &["0", "a", "b"]),
        videos: ids("v", &["a", "b"]),
        ..Names::default()
    };
    let error = joined(&header, 2, 2).unwrap_err();
    assert_eq!(error.to_string(), "`t` has 3 ids for 2 rows of `sims.npy`");
    assert!(miette::Diagnostic::help(&error).is_some_and(|help| help.to_string().contains("header")));
}
