use super::*;
use crate::eval::{EvalRequest, F32_KERNEL, IdList, Names};
use crate::format::Location;
use crate::format::tests::matrix_f32;
use crate::metric::{Protocol, Rules};

fn evaluated(given: Given, names: Names, post: Option<&str>) -> (Prepared, Evaluated) {
    let request = EvalRequest {
        given,
        names,
        protocol: Protocol::CUSTOM,
        rules: Rules::default(),
        post: post.map(|post| post.parse().unwrap()),
        bank: None,
        resampling: None,
    };
    let prepared = Prepared::new(request).unwrap();
    let found = prepared.evaluate(&mut |_| ()).unwrap();
    (prepared, found)
}

fn ids(of: &[&str]) -> Option<IdList> {
    Some(IdList {
        location: Location::file("ids"),
        ids: of.iter().map(|&id| id.to_owned()).collect(),
    })
}

fn text(write: impl FnOnce(&mut dyn Write) -> Result<(), ExportError>) -> String {
    let mut bytes = Vec::new();
    write(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Three texts and three videos: ids in other orders, a tie for the first place of `c`.
fn three() -> (Prepared, Evaluated) {
    let (_folder, scores) = matrix_f32(&[&[0.1, 0.9, 0.2], &[1e-7, -0.5, 16777216.0], &[0.3, 0.0, 0.3]]);
    let names = Names {
        texts: ids(&["a", "b", "c"]),
        videos: ids(&["c", "a", "b"]),
        ..Names::default()
    };
    evaluated(Given::Scores(scores), names, None)
}

#[test]
fn a_run_and_its_judgments_to_the_byte() {
    let (prepared, found) = three();
    // Of the equal scores of `c`, that of the first column stands first.
    assert_eq!(
        text(|out| write_trec(&prepared, None, out)),
        "a Q0 a 1 0.9 hitbench\na Q0 b 2 0.2 hitbench\na Q0 c 3 0.1 hitbench\n\
         b Q0 b 1 16777216.0 hitbench\nb Q0 c 2 1e-7 hitbench\nb Q0 a 3 -0.5 hitbench\n\
         c Q0 c 1 0.3 hitbench\nc Q0 b 2 0.3 hitbench\nc Q0 a 3 0.0 hitbench\n"
    );
    assert_eq!(
        text(|out| write_trec(&prepared, Some(1), out)),
        "a Q0 a 1 0.9 hitbench\nb Q0 b 1 16777216.0 hitbench\nc Q0 c 1 0.3 hitbench\n"
    );
    assert_eq!(
        text(|out| write_qrels(&found.joined, out)),
        "a 0 a 1\nb 0 b 1\nc 0 c 1\n"
    );
    assert_eq!(
        text(|out| write_ranks(&found, out)),
        "direction,query_id,true_id,greater,equal,own_equal,score\n\
         t2v,a,a,0,1,1,0.8999999761581421\n\
         t2v,b,b,0,1,1,16777216.0\n\
         t2v,c,c,0,2,1,0.30000001192092896\n\
         v2t,c,c,0,1,1,0.30000001192092896\n\
         v2t,a,a,0,1,1,0.8999999761581421\n\
         v2t,b,b,0,1,1,16777216.0\n"
    );
}

#[test]
fn ids_with_blanks_are_named_and_refused() {
    let (_folder, scores) = matrix_f32(&[&[0.9, 0.1], &[0.2, 0.8]]);
    let names = Names {
        texts: ids(&["a", "b c"]),
        videos: ids(&["a", "b c"]),
        ..Names::default()
    };
    let (prepared, found) = evaluated(Given::Scores(scores), names, None);
    for refused in [
        write_trec(&prepared, None, &mut io::sink()),
        write_qrels(&found.joined, &mut io::sink()),
    ] {
        let error = refused.unwrap_err();
        assert!(
            error.to_string().starts_with("the text id `b c` has a blank"),
            "{error}"
        );
    }
    assert!(write_ranks(&found, &mut io::sink()).is_ok());
    assert!(check_trec_ids("text", &["a\tb".to_owned()]).is_err());
    assert!(check_trec_ids("text", &["a.b:c/d".to_owned()]).is_ok());
}

/// Rows of whole numbers, so that every kernel computes every score exactly and many are equal.
fn embeddings(n: u32, step: u32) -> Vec<[f32; 3]> {
    (0..n)
        .map(|row| [1, 5, 11].map(|factor| (row * factor * step % 7) as f32 - 3.0))
        .collect()
}

#[test]
fn kernels_and_stored_scores_give_the_same_run() {
    const N: u32 = 300;
    let (text_rows, video_rows) = (embeddings(N, 3), embeddings(N, 2));
    let scores: Vec<Vec<f32>> = text_rows
        .iter()
        .map(|text| {
            let dot = |video: &[f32; 3]| text.iter().zip(video).map(|(a, b)| a * b).sum();
            video_rows.iter().map(dot).collect()
        })
        .collect();
    let scores: Vec<&[f32]> = scores.iter().map(Vec::as_slice).collect();
    let (_folder, stored) = matrix_f32(&scores);
    let stored = evaluated(Given::Scores(stored), Names::default(), None);
    let of = |kernel: &str| {
        let rows = |rows: &[[f32; 3]]| {
            let rows: Vec<&[f32]> = rows.iter().map(<[f32; 3]>::as_slice).collect();
            matrix_f32(&rows).1
        };
        let given = Given::Embeddings {
            text: rows(&text_rows),
            video: rows(&video_rows),
            kernel: kernel.parse().unwrap(),
            normalize: false,
        };
        evaluated(given, Names::default(), None)
    };
    // Whole rows of scores, a list of the kernel, and the longest such list.
    for depth in [None, Some(1), Some(TOP_DEPTH), Some(TOP_DEPTH + 1)] {
        let expected = text(|out| write_trec(&stored.0, depth, out));
        assert_eq!(expected.lines().count(), N as usize * depth.unwrap_or(N as usize));
        for kernel in [&F32_KERNEL.to_string(), "cpu/auto/f16", "reference/f64"] {
            let found = text(|out| write_trec(&of(kernel).0, depth, out));
            assert!(found == expected, "{kernel}, depth {depth:?}");
        }
    }
}

#[test]
fn the_order_of_a_run_gives_the_counts_back() {
    let (prepared, found) = three();
    let run = text(|out| write_trec(&prepared, None, out));
    let rows = found
        .t2v
        .counts
        .rank_rows(&found.joined.text_ids, &found.joined.video_ids)
        .unwrap();
    for row in rows {
        let scores: Vec<(&str, f64)> = run
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .filter(|fields| fields[0] == row.query_id)
            .map(|fields| (fields[2], fields[4].parse().unwrap()))
            .collect();
        let own = scores.iter().find(|(id, _)| *id == row.true_id).unwrap().1;
        let count = |of: &dyn Fn(f64) -> bool| scores.iter().filter(|(_, score)| of(*score)).count() as u64;
        assert_eq!(
            (count(&|score| score > own), count(&|score| score == own)),
            (row.greater, row.equal)
        );
    }
}

#[test]
fn scores_after_post_processing_are_written() {
    let rows: [&[f32]; 2] = [&[2.0, 1.0], &[0.0, 1.0]];
    let (_folder, scores) = matrix_f32(&rows);
    let (prepared, _) = evaluated(Given::Scores(scores), Names::default(), Some("dsl:temperature=1"));
    let run = text(|out| write_trec(&prepared, None, out));
    // Times the softmax over the two texts of each video, e^2 / (e^2 + 1) at the largest score and 1/2 each at equal
    // ones, times their number.
    let share = 2.0f64.exp() / (2.0f64.exp() + 1.0);
    let expected = [
        ("0", "0", 4.0 * share),
        ("0", "1", 1.0),
        ("1", "1", 1.0),
        ("1", "0", 0.0),
    ];
    assert_eq!(run.lines().count(), expected.len());
    for (line, (text, video, score)) in run.lines().zip(expected) {
        let fields: Vec<&str> = line.split(' ').collect();
        assert_eq!((fields[0], fields[2]), (text, video), "{line}");
        assert_eq!(fields[5], "hitbench+dsl:temperature=1");
        let found: f64 = fields[4].parse().unwrap();
        assert!((found - score).abs() < 1e-12, "{line}: {score}");
    }
}
