use super::*;
use crate::format::tests::{file, message};

fn read(text: &str) -> Result<Predictions, String> {
    let (_folder, location) = file("predictions", text.as_bytes());
    Predictions::read(&location).map_err(|error| message(&error, &location))
}

#[test]
fn rows_of_indices() {
    for text in [
        "0,12,1\n3,2,0\n",
        "0, 12 ,1\r\n3,2,0",
        "\u{feff}0,12,1\n3,2,0\n\n\n",
    ] {
        let found = read(text).unwrap();
        assert_eq!(found.lists, [[0, 12, 1], [3, 2, 0]], "{text:?}");
        assert_eq!((found.text_ids.clone(), found.entry(1)), (None, Entry::Line(2)));
    }
    assert_eq!(read("1\n2,3\n").unwrap().lists, [vec![1], vec![2, 3]]);
}

#[test]
fn value_json_with_either_kind_of_id() {
    let text = r#" {"video2idx": {"a": [1]}, "VR": [
        {"desc_id": "10337", "predictions": [4, 0], "desc": "x"}, {"predictions": [], "desc_id": 12}], "VCMR": []}"#;
    let found = read(text).unwrap();
    assert_eq!(found.text_ids, Some(vec!["10337".to_owned(), "12".to_owned()]));
    assert_eq!(found.lists, [vec![4, 0], vec![]]);
    assert_eq!(found.passed_over, ["video2idx", "VCMR"]);
    assert_eq!(found.entry(1).to_string(), "VR[1] (`12`)");
}

#[test]
fn bad_rows_are_named() {
    for (text, expected) in [
        (
            "video,rank\n1,2\n",
            "`F`, line 1: expected gallery indices from 0, separated by commas and without a header, found `video`",
        ),
        (
            "1,2\n1,-2\n",
            "`F`, line 2: expected gallery indices from 0, separated by commas and without a header, found `-2`",
        ),
        (
            "1,2\n1,2,\n",
            "`F`, line 2: expected gallery indices from 0, separated by commas and without a header, found ``",
        ),
        (
            "1,4294967296\n",
            "`F`, line 1: expected gallery indices from 0, separated by commas and without a header, found `4294967296`",
        ),
        (
            "1,2\n\n2,1\n",
            "`F`, line 2: expected gallery indices, found a blank line",
        ),
        (
            "7,5,6,5,6,7\n",
            "`F`, line 1: expected each index once, found 5 as prediction 2 and 4",
        ),
        (
            "",
            "`F`, line 1: expected gallery indices, found the end of the file",
        ),
        (
            "\n\n",
            "`F`, line 1: expected gallery indices, found a blank line",
        ),
    ] {
        assert_eq!(read(text).unwrap_err(), expected);
    }
}

#[test]
fn bad_json_is_named_with_line_and_column() {
    for (text, expected) in [
        (
            "{\"SVMR\": 1,\n \"VCMR\": {}}",
            "`F`, line 1: expected the key `VR`, found the keys `SVMR`, `VCMR`",
        ),
        (
            "{}",
            "`F`, line 1: expected the key `VR`, found an object without keys",
        ),
        (
            "{\"VR\": []}",
            "`F`, line 1: expected texts with their predictions in `VR`, found none",
        ),
        (
            "{\"VR\": [\n{\"desc_id\": 1.5, \"predictions\": [1]}]}",
            "`F`, line 2: column 16: invalid type: floating point `1.5`, expected a string or an integer as `desc_id`",
        ),
        (
            "{\"VR\": [{\"desc_id\": 1}]}",
            "`F`, line 1: column _: missing field `predictions`",
        ),
        (
            "{\"VR\": [{\"desc_id\": 1, \"predictions\": [1, -1]}]}",
            "`F`, line 1: column _: invalid value: integer `-1`, expected u32",
        ),
        (
            "{\"VR\": [{\"desc_id\": 1, \"predictions\": [[3, 0, 0, 0.5]]}]}",
            "`F`, line 1: column _: invalid type: sequence, expected u32",
        ),
        (
            "{\"VR\": [{\"desc_id\": 1, \"predictions\": [3, 4, 3]}]}",
            "`F`, line 1: column _: expected each index once, found 3 as prediction 1 and 3",
        ),
        (
            "{\"VR\": [{\"desc_id\": 1,",
            "`F`, line 1: column _: EOF while parsing a value",
        ),
        (
            "{\"VR\": [{}], \"VR\": []}",
            "`F`, line 1: column _: missing field `desc_id`",
        ),
        ("{} {}", "`F`, line 1: column _: trailing characters"),
    ] {
        let found = read(text).unwrap_err();
        // One column is held exactly; where the library sees the others is its own affair.
        let column = found
            .split_once(": column ")
            .and_then(|(_, rest)| rest.split_once(':'));
        let found = match column {
            Some((column, _)) if expected.contains("column _") => {
                found.replace(&format!("column {column}"), "column _")
            }
            _ => found,
        };
        assert_eq!(found, expected);
    }
}

#[test]
fn nesting_does_not_fill_the_stack() {
    for key in ["x", "VR"] {
        let text = format!("{{\"{key}\": {}", "[".repeat(1_000_000));
        assert!(
            read(&text).unwrap_err().starts_with("`F`, line 1: column "),
            "{key}"
        );
    }
}

#[test]
fn the_first_repetition_is_found() {
    let found = Repeated::find(&[9, 1, 2, 1, 9, 2]).unwrap();
    assert_eq!((found.index, found.first, found.again), (1, 2, 4));
    assert!(Repeated::find(&[3, 1, 2]).is_none());
}
