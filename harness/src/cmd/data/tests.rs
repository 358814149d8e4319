//! The commands on small data sets.

use clap::{Args, Command, FromArgMatches};

use super::*;

fn parse(arguments: &[&str]) -> DataArgs {
    let command = DataArgs::augment_args(Command::new("data"));
    let matches = command.try_get_matches_from(std::iter::once("data").chain(arguments.iter().copied()));
    DataArgs::from_arg_matches(&matches.unwrap()).unwrap()
}

#[test]
fn what_is_written_is_what_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("set");
    let out = out.to_str().unwrap();
    let synth = [
        "synth",
        "--out",
        out,
        "--videos",
        "20",
        "--test-videos",
        "5",
        "--json",
    ];
    run(&parse(&synth)).unwrap();
    let read = Dataset::load(&source_of(out)).unwrap();
    let config = SyntheticConfig {
        videos: 20,
        test_videos: 5,
        ..SyntheticConfig::default()
    };
    let made = Dataset::load(&DataConfig::Synthetic(config)).unwrap();
    assert_eq!(Summary::of(&read), Summary::of(&made));
    assert_eq!(run(&parse(&["inspect", out])).unwrap(), ExitCode::Fine);
    assert_eq!(run(&parse(&["check", out])).unwrap(), ExitCode::Fine);
    assert_eq!(run(&parse(&["cache", out])).unwrap(), ExitCode::Fine);
    let copy = folder.path().join("copy");
    assert_eq!(
        run(&parse(&["convert", out, "--out", copy.to_str().unwrap()])).unwrap(),
        ExitCode::Fine
    );
    let copied = Dataset::load(&source_of(copy.to_str().unwrap())).unwrap();
    assert_eq!(copied.content_hash, made.content_hash);
}

fn source_of(path: &str) -> DataConfig {
    match parse(&["convert", path, "--out", "none"]).command {
        DataCommand::Convert(args) => args.source.config().unwrap(),
        _ => panic!("another command"),
    }
}

#[test]
fn a_section_in_braces_is_a_data_set_and_counts_are_checked() {
    let Some(folder) = hitbench_tests::test_data("coot/annotations/youcook2") else {
        return;
    };
    let section = format!(
        "{{youcook2: {{annotations: [{}], features: none}}}}",
        folder.display()
    );
    assert_eq!(
        run(&parse(&["check", &section, "--captions-only"])).unwrap(),
        ExitCode::Fine
    );
    let failure = run(&parse(&["check", &section])).unwrap_err();
    assert!(
        failure.to_text().contains("no features of youcook2"),
        "{}",
        failure.to_text()
    );
    let small = tempfile::tempdir().unwrap();
    let video = |subset: &str| {
        format!(r#"{{"subset": "{subset}", "annotations": [{{"id": 0, "sentence": "stir"}}]}}"#)
    };
    let text = format!(
        r#"{{"database": {{"a": {}, "b": {}}}}}"#,
        video("training"),
        video("validation")
    );
    std::fs::write(small.path().join("youcookii_annotations_trainval.json"), text).unwrap();
    let section = format!(
        "{{youcook2: {{annotations: [{}], features: none}}}}",
        small.path().display()
    );
    let checked = run(&parse(&["check", &section, "--captions-only", "--json"])).unwrap();
    assert_eq!(checked, ExitCode::CheckFailed);
    let wrong = run(&parse(&["check", "{youcook: {}}"])).unwrap_err();
    assert_eq!(wrong.code, ExitCode::Input);
}

#[test]
fn impossible_settings_are_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("set");
    let args = parse(&["synth", "--out", out.to_str().unwrap(), "--test-videos", "0"]);
    let failure = run(&args).unwrap_err();
    assert_eq!((failure.code, failure.reason), (ExitCode::Input, "data"));
    assert!(failure.to_text().contains("test_videos"), "{}", failure.to_text());
    assert!(!out.exists());
}
