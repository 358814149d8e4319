use proptest::prelude::*;

use super::*;
use crate::format::tests::{file, message};

fn entries<T>(items: &[u32], values: Vec<T>) -> TrecEntries<T> {
    TrecEntries {
        items: items.to_vec(),
        values,
    }
}

#[test]
fn a_run_is_read_whatever_separates_its_fields_and_queries() {
    let text = "\u{feff}q1 Q0 v2 1 1.5e1 tag\n# a comment\r\nq2\tQ0\tv1\t7\t-.5\ttag\r\n\n  q1  0 v1  0  +3. x \nq2 Q0 v3 0 1E-3 x";
    let (_folder, location) = file("run.txt", text.as_bytes());
    let run = TrecRun::read(&location).unwrap();
    assert_eq!(
        (run.queries, run.items),
        (
            vec!["q1".into(), "q2".into()],
            vec!["v2".into(), "v1".into(), "v3".into()]
        )
    );
    assert_eq!(
        run.lists,
        [
            entries(&[0, 1], vec![15.0, 3.0]),
            entries(&[1, 2], vec![-0.5, 0.001])
        ]
    );
}

#[test]
fn judgements_keep_their_sign() {
    let (_folder, location) = file("qrels", b"#c\nq 0 v1 1\nq 0 v2 0\nq 0 v3 -1\nr 0 v1 2\n");
    let qrels = Qrels::read(&location).unwrap();
    assert_eq!(
        qrels.judgements,
        [entries(&[0, 1, 2], vec![1, 0, -1]), entries(&[0], vec![2])]
    );
}

#[test]
fn bad_lines_of_a_run_are_named() {
    for (text, expected) in [
        (
            "q Q0 v 1 0.5 t\nq Q0 v 1 0.5\n",
            "`F`, line 2: expected the 6 fields of `qid Q0 docid rank score tag`, found 5",
        ),
        (
            "q Q0 v w 1 0.5 t\n",
            "`F`, line 1: expected the 6 fields of `qid Q0 docid rank score tag`, found 7",
        ),
        (
            "q Q0 v 1 NaN t\n",
            "`F`, line 1: expected a finite score, found `NaN`",
        ),
        (
            "\nq Q0 v 1 -inf t\n",
            "`F`, line 2: expected a finite score, found `-inf`",
        ),
        (
            "q Q0 v 1 1e999 t\n",
            "`F`, line 1: expected a finite score, found `1e999`",
        ),
        (
            "q Q0 v 1 0,5 t\n",
            "`F`, line 1: expected a finite score, found `0,5`",
        ),
        (
            "q Q0 v 1 1 t\nr Q0 v 1 1 t\nr Q0 w 1 1 t\n\nq Q0 w 1 1 t\nq Q0 x 1 1 t\nq Q0 w 2 2 t\n",
            "`F`, line 7: expected each item once a query, found one of `q` as on line 5",
        ),
        (
            "\n# nothing\n",
            "`F`, line 3: expected a line of the form `qid Q0 docid rank score tag`, found the end of the file",
        ),
    ] {
        let (_folder, location) = file("run", text.as_bytes());
        assert_eq!(
            message(&TrecRun::read(&location).unwrap_err(), &location),
            expected
        );
    }
}

#[test]
fn bad_lines_of_judgements_are_named() {
    for (text, expected) in [
        (
            "q 0 v\n",
            "`F`, line 1: expected the 4 fields of `qid 0 docid rel`, found 3",
        ),
        (
            "q 0 v 1.0\n",
            "`F`, line 1: expected an integer relevance, found `1.0`",
        ),
        (
            "q 0 v 1\nr 0 v 1\nq 0 v 0\n",
            "`F`, line 3: expected each item once a query, found one of `q` as on line 1",
        ),
    ] {
        let (_folder, location) = file("qrels", text.as_bytes());
        assert_eq!(message(&Qrels::read(&location).unwrap_err(), &location), expected);
    }
    let absent = Qrels::read(&Location::file("no such file")).unwrap_err();
    assert_eq!(absent.to_string(), "cannot read `no such file`");
}

proptest! {
    /// Lines of queries and items in any order come back, and the line of every entry with them.
    #[test]
    fn every_entry_keeps_its_query_and_line(pairs in proptest::collection::hash_set((0u8..5, 0u8..30), 1..60), blank in 0usize..7) {
        let pairs: Vec<(u8, u8)> = pairs.into_iter().collect();
        let mut text = String::new();
        let mut lines = Vec::new();
        for (place, (query, item)) in pairs.iter().enumerate() {
            if place % 7 == blank {
                text += "\n";
            }
            text += &format!("q{query} Q0 v{item} 0 {place} t\n");
            lines.push(text.lines().count() as u64);
        }
        // The last line again.
        let (query, item) = pairs[pairs.len() - 1];
        let (_folder, location) = file("run", text.as_bytes());
        let run = TrecRun::read(&location).unwrap();
        let mut found: Vec<(usize, String, String)> = Vec::new();
        for (query, list) in run.queries.iter().zip(&run.lists) {
            for (&item, &score) in list.items.iter().zip(&list.values) {
                found.push((score as usize, query.clone(), run.items[item as usize].clone()));
            }
        }
        found.sort();
        let expected = pairs.iter().enumerate();
        let expected: Vec<_> = expected.map(|(place, (query, item))| (place, format!("q{query}"), format!("v{item}"))).collect();
        prop_assert_eq!(found, expected);

        text += &format!("q{query} Q0 v{item} 0 0 t\n");
        let (_folder, location) = file("run", text.as_bytes());
        let error = TrecRun::read(&location).unwrap_err();
        let (first, line) = (lines[lines.len() - 1], text.lines().count());
        prop_assert_eq!(
            message(&error, &location),
            format!("`F`, line {line}: expected each item once a query, found one of `q{query}` as on line {first}")
        );
    }
}
