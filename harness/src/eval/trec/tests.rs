use super::*;
use crate::eval::{EvalReport, EvalRequest, Given, Names, Prepared, evaluate, evaluate_lists};
use crate::format::tests::{file, matrix_f32};
use crate::metric::{ListCounts, ListedQuery, Protocol, Resampling, Rules};

fn run(text: &str) -> TrecRun {
    let (_folder, location) = file("run", text.as_bytes());
    TrecRun::read(&location).unwrap()
}

fn qrels(text: &str) -> Qrels {
    let (_folder, location) = file("qrels", text.as_bytes());
    Qrels::read(&location).unwrap()
}

fn ids(ids: &[&str]) -> IdList {
    IdList {
        location: Location::file("videos"),
        ids: ids.iter().map(|&id| id.to_owned()).collect(),
    }
}

/// Lines of one query from items and scores.
fn lines(query: &str, entries: &[(&str, f32)]) -> String {
    let line = |&(item, score): &(&str, f32)| format!("{query} Q0 {item} 0 {score} tag\n");
    entries.iter().map(line).collect()
}

#[track_caller]
fn listed(found: Result<Retrieved, EvalError>) -> Lists {
    match found {
        Ok(Retrieved::Lists(lists)) => lists,
        other => panic!("expected lists, found {other:?}"),
    }
}

#[track_caller]
fn matrix(found: Result<Retrieved, EvalError>) -> (Matrix, Joined) {
    match found {
        Ok(Retrieved::Scores(scores)) => *scores,
        other => panic!("expected scores, found {other:?}"),
    }
}

#[track_caller]
fn problems(found: Result<Retrieved, EvalError>) -> Vec<(&'static str, usize)> {
    match found {
        Err(EvalError::Ids { problems, .. }) => problems.iter().map(|p| (p.kind.name(), p.n)).collect(),
        other => panic!("expected id problems, found {other:?}"),
    }
}

const PLAN: Option<Resampling> = Some(Resampling {
    seed: 3,
    resamples: 200,
});

fn request(given: Given) -> EvalRequest {
    EvalRequest {
        given,
        names: Names::default(),
        protocol: Protocol::CUSTOM,
        rules: Rules::default(),
        post: None,
        bank: None,
        resampling: PLAN,
    }
}

#[test]
fn a_complete_run_is_the_matrix_that_it_was_written_from() {
    let n = 30;
    // Every score a float without a short decimal form, some of them equal.
    let score = |row: usize, column: usize| (((row * 7 + column * 11) % 23) as f32 / 7.0).sin();
    let rows: Vec<Vec<f32>> = (0..n)
        .map(|row| (0..n).map(|column| score(row, column)).collect())
        .collect();
    let mut text = String::new();
    let mut judged = String::new();
    for (query, row) in rows.iter().enumerate() {
        // Best first, as a program writes it.
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
        for (rank, item) in order.into_iter().enumerate() {
            text += &format!("t{query} Q0 v{item} {rank} {} x\n", row[item]);
        }
        judged += &format!("t{query} 0 v{query} 1\n");
    }
    let (found, joined) = matrix(join_trec(run(&text), &qrels(&judged), None, false));
    assert_eq!(
        (
            joined.by,
            joined.text_ids[4].as_str(),
            joined.video_ids[4].as_str()
        ),
        (JoinedBy::Qrels, "t4", "v4")
    );
    let found = Prepared::joined(request(Given::Scores(found)), joined)
        .unwrap()
        .evaluate(&mut |_| ())
        .unwrap();
    let slices: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
    let (_folder, stored) = matrix_f32(&slices);
    let expected = evaluate(request(Given::Scores(stored))).unwrap();
    assert!(expected.t2v.metrics.n_tied > 0, "the case has ties");
    let directions = |found| serde_json::to_value(EvalReport::from(found)).unwrap()["directions"].clone();
    assert_eq!(directions(&found), directions(&expected));
}

#[test]
fn columns_have_the_order_of_the_gallery_given_and_rows_that_of_the_run() {
    let text = lines("b", &[("v1", 1.0), ("v2", 2.0)]) + &lines("a", &[("v2", 3.0), ("v1", 4.0)]);
    let judged = "a 0 v1 1\nb 0 v2 1\na 0 v2 0\n";
    let of = |videos: Option<&IdList>| {
        let (matrix, joined) = matrix(join_trec(run(&text), &qrels(judged), videos, false));
        let rows = matrix.rows();
        let values = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(row, column)| rows.get(row, column));
        (
            values,
            joined.video_ids,
            joined.text_ids,
            joined.pairing.video_of(0),
        )
    };
    let (values, videos, texts, first) = of(None);
    assert_eq!((values, first), ([1.0, 2.0, 4.0, 3.0], 1));
    assert_eq!(
        (videos, texts),
        (
            vec!["v1".to_owned(), "v2".into()],
            vec!["b".to_owned(), "a".into()]
        )
    );
    let (values, videos, _, first) = of(Some(&ids(&["v2", "v1"])));
    assert_eq!((values, first), ([2.0, 1.0, 3.0, 4.0], 0));
    assert_eq!(videos, ["v2", "v1"]);
}

#[test]
fn counts_of_a_list_are_within_it() {
    let text = lines("q", &[("a", 5.0), ("b", 7.0), ("c", 5.0), ("d", 1.0), ("e", 5.0)])
        + &lines("r", &[("z", 0.0)]);
    let judged = "q 0 c 1\nq 0 b 3\nq 0 e 1\nq 0 y 1\nq 0 d 0\nr 0 y 1\n";
    let found = listed(join_trec(run(&text), &qrels(judged), None, false));
    let group = |greater, equal, own_equal| OwnGroup {
        greater,
        equal,
        own_equal,
    };
    let expected = |found: Vec<OwnGroup>, n_true, depth| (found, n_true, depth);
    let queries: Vec<_> = found
        .counts
        .queries
        .iter()
        .map(|q| (q.found.clone(), q.n_true, q.depth))
        .collect();
    assert_eq!(
        queries,
        [
            expected(vec![group(0, 1, 1), group(1, 3, 2)], 4, 5),
            expected(vec![], 1, 1)
        ]
    );
    assert_eq!((found.counts.n_gallery, found.by), (None, JoinedBy::Qrels));
    assert_eq!(found.notices, [Notice::Grades { n: 1 }]);
    // Negative zero is zero.
    let text = lines("q", &[("a", 0.0), ("b", -0.0), ("c", -1.0)]) + &lines("r", &[("a", 1.0)]);
    let found = listed(join_trec(
        run(&text),
        &qrels("q 0 a 1\nq 0 b 1\nr 0 a 1\n"),
        None,
        false,
    ));
    assert_eq!(found.counts.queries[0].found, [group(0, 2, 2)]);
}

#[test]
fn the_gallery_is_known_where_it_is_given_or_all_lists_have_all() {
    let short = lines("q", &[("a", 2.0), ("b", 1.0)]) + &lines("r", &[("a", 2.0)]);
    let judged = qrels("q 0 b 1\nr 0 a 1\n");
    let found = listed(join_trec(
        run(&short),
        &judged,
        Some(&ids(&["a", "b", "c"])),
        false,
    ));
    assert_eq!(
        (found.counts.n_gallery, found.counts.n_without_caption),
        (Some(3), 1)
    );
    let full = lines("q", &[("a", 2.0), ("b", 1.0)]) + &lines("r", &[("b", 2.0), ("a", 1.0)]);
    let several = qrels("q 0 b 1\nq 0 a 1\nr 0 a 1\n");
    let found = listed(join_trec(run(&full), &several, None, false));
    assert_eq!(
        (found.counts.n_gallery, found.counts.is_complete()),
        (Some(2), true)
    );
    // An item that only the qrels have is of the gallery too, and the run lacks it.
    let more = qrels("q 0 b 1\nr 0 a 1\nr 0 z 0\n");
    assert_eq!(
        listed(join_trec(run(&full), &more, None, false)).counts.n_gallery,
        None
    );
}

#[test]
fn what_is_not_in_both_files_is_counted_and_refused_or_left_out() {
    let text =
        lines("q", &[("a", 2.0), ("b", 1.0)]) + &lines("r", &[("a", 1.0)]) + &lines("s", &[("a", 1.0)]);
    let judged = qrels("q 0 b 1\ns 0 a 0\nt 0 a 1\nu 0 a 1\n");
    let join = |allow| join_trec(run(&text), &judged, None, allow);
    assert_eq!(
        problems(join(false)),
        [
            ("queries_without_qrels", 1),
            ("queries_without_run", 2),
            ("queries_without_true_item", 1)
        ]
    );
    // What is left is one complete query.
    let (matrix, joined) = matrix(join(true));
    assert_eq!((matrix.n_rows(), joined.problems.len()), (1, 3));
    // Items outside the gallery go from the lists and from what is true.
    let text = lines("q", &[("x", 3.0), ("a", 2.0), ("b", 1.0)]) + &lines("r", &[("a", 1.0)]);
    let judged = qrels("q 0 b 1\nq 0 y 1\nr 0 a 1\nr 0 z 0\n");
    let videos = ids(&["a", "b", "a"]);
    let join = |allow| join_trec(run(&text), &judged, Some(&videos), allow);
    assert_eq!(
        problems(join(false)),
        [("repeated_videos", 1), ("unknown_items", 2)]
    );
    let found = listed(join(true));
    let query = &found.counts.queries[0];
    assert_eq!((query.found[0].greater, query.n_true, query.depth), (1, 1, 2));
    assert_eq!(found.counts.n_gallery, Some(2));
    // Nothing is left.
    let none = qrels("z 0 a 1\n");
    let refused = join_trec(run(&text), &none, None, true).unwrap_err().to_string();
    assert!(
        refused.starts_with("ids do not fit together, and nothing is left without them: 2 queries"),
        "{refused}"
    );
}

#[test]
fn a_protocol_is_met_where_its_counts_are_known() {
    let text = lines("q", &[("a", 2.0), ("b", 1.0)]) + &lines("r", &[("a", 1.0)]);
    let lists = listed(join_trec(run(&text), &qrels("q 0 b 1\nr 0 a 1\n"), None, false));
    let small = Protocol::find("msrvtt-1ka").unwrap();
    let refused = evaluate_lists(lists.clone(), small, Rules::default(), None).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "protocol `msrvtt-1ka` has 1000 captions, found 2"
    );
    let found = evaluate_lists(lists, Protocol::CUSTOM, Rules::default(), None).unwrap();
    assert_eq!(
        found.notices,
        [Notice::CutOffs {
            cuts: vec![5, 10, 50],
            shortest: 1
        }]
    );
}

#[test]
fn lists_that_name_more_items_than_the_protocol_has_are_refused() {
    let query = ListedQuery {
        found: Vec::new(),
        n_true: 1,
        depth: 1,
        cluster: 0,
    };
    let named = |n_named| Lists {
        counts: ListCounts {
            queries: vec![query.clone(); 1000],
            n_gallery: None,
            n_masked: 0,
            n_without_caption: 0,
        },
        n_named,
        by: JoinedBy::Position,
        problems: Vec::new(),
        notices: Vec::new(),
    };
    let protocol = Protocol::find("msrvtt-1ka").unwrap();
    let evaluated = |n_named| evaluate_lists(named(n_named), protocol, Rules::default(), None);
    assert!(evaluated(1000).is_ok());
    let refused = evaluated(1001).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "protocol `msrvtt-1ka` has 1000 videos, found 1001"
    );
}
