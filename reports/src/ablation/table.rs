//! The console tables: one row a cell, text to video, then video to text.

use super::recalls::{Detail, recall_grids};
use super::view::{RunView, TrialState, TrialView};
use crate::grid::wrapped;
use crate::record::{Direction, RunRecord, ScoreKind, TrialRecord};

/// The tables of a run under its combined score, with a legend. `width` is the terminal's, in columns; `None`
/// means as wide as it takes, as in a file. What does not fit a narrow terminal is left to `report.md`, and
/// the legend says so.
pub fn console_table(run: &RunRecord, trials: &[TrialRecord], width: Option<u16>) -> String {
    let view = RunView::new(run, trials);
    let grids = |detail| {
        Direction::ALL
            .map(|direction| recall_grids(&view, ScoreKind::Combined, direction, detail))
            .concat()
    };
    let drawn = |detail| {
        grids(detail)
            .iter()
            .map(|grid| grid.drawn(if detail == Detail::Means { 1 } else { 2 }))
            .collect::<Vec<_>>()
    };
    let fits = |tables: &[String]| {
        let widest = tables
            .iter()
            .flat_map(|table| table.lines())
            .map(|line| line.chars().count())
            .max();
        width.is_none_or(|width| widest.unwrap_or(0) <= usize::from(width))
    };
    let mut detail = Detail::Headline;
    let mut tables = drawn(detail);
    if !fits(&tables) {
        detail = Detail::Means;
        tables = drawn(detail);
    }
    if !fits(&tables) {
        detail = Detail::Headline;
        tables = grids(detail).iter().map(|grid| grid.stacked(width)).collect();
    }
    let mut text = String::new();
    for (grid, table) in grids(detail).iter().zip(&tables) {
        text += &format!("{}\n{table}\n\n", wrapped(&grid.caption, width, ""));
    }
    text += &wrapped(&legend(&view, detail), width, "");
    let unfinished: Vec<String> = view
        .unfinished()
        .iter()
        .map(|(n, word)| format!("{n} {word}"))
        .collect();
    if !unfinished.is_empty() {
        let n = view.trials().count();
        text += &format!(
            "\n{}",
            wrapped(&format!("Of {n} trials, {}.", unfinished.join(", ")), width, "")
        );
    }
    for line in problems(&view) {
        text += &format!("\n{}", wrapped(&line, width, "  "));
    }
    text + "\n"
}

/// What the columns mean.
pub(crate) fn legend(view: &RunView<'_>, detail: Detail) -> String {
    let mut text = "R@K in per cent: share of queries with a true item among the K best.".to_owned();
    if detail != Detail::Means {
        if view.run.suite.seeds.len() > 1 {
            text += " Mean over seeds ± standard deviation over seeds.";
        }
        text += " 95 %: bootstrap interval over test videos";
        text += if view.run.suite.seeds.len() > 1 {
            ", mean of the seeds' ends."
        } else {
            "."
        };
    }
    let has_tie_interval = view
        .results()
        .filter_map(|(trial, _)| trial.directions(ScoreKind::Combined))
        .any(|pair| {
            [&pair.t2v, &pair.v2t]
                .iter()
                .any(|record| record.r_at_interval.values().any(|[low, high]| low < high))
        });
    if has_tie_interval {
        text += " Brackets below a recall: its range over all orders of tied items.";
    }
    if view.cells.iter().any(|cell| cell.is_reference) {
        text += " *: the reference cell.";
    }
    if detail == Detail::Means {
        text += " The terminal is narrow: spreads and intervals are in report.md.";
    }
    text
}

/// Failed trials with the first line of their error.
fn problems(view: &RunView<'_>) -> Vec<String> {
    let problem = |trial: &TrialView<'_>| match trial.state {
        TrialState::Failed(error) => Some(format!(
            "failed: {}: {}",
            trial.planned.name,
            error.lines().next().unwrap_or("no reason given")
        )),
        _ => None,
    };
    view.trials().filter_map(problem).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixture;
    use crate::record::{ScoreRecord, TrialOutcome};

    /// Three cells: one whole, one with a failed trial, one without trials.
    fn partial() -> (RunRecord, Vec<TrialRecord>) {
        let run = fixture::run(
            &[
                (fixture::QUEUE, vec![json!(0), json!(256), json!(1024)]),
                (fixture::HIERARCHY, vec![json!("both")]),
            ],
            &[0, 1],
        );
        let mut trials = fixture::trials(&run);
        trials.truncate(4);
        trials[3].outcome = TrialOutcome::Failed {
            error: "loss is NaN at step 3\ncaused by: nothing good".to_owned(),
        };
        trials.reverse();
        (run, trials)
    }

    #[test]
    fn a_partial_run_on_paper() {
        let (run, trials) = partial();
        insta::assert_snapshot!(console_table(&run, &trials, None), @r"
        t2v, combined score, protocol custom, queries: 400, gallery: 200, ties: average, tied queries: 2, median:
        mean-of-middle, pair score: cosine, kernel: cpu/avx512/f32
        queue_len  hierarchy  seeds           R@1           R@5          R@10     R@10 95 %          R@50       MdR        MnR
        ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
        * 0        both           2     18.2 ±0.3     36.4 ±0.6     47.3 ±0.7  [44.3, 50.3]     65.5 ±1.0  9.0 ±0.0  21.1 ±0.0
                                     [17.9, 18.4]  [36.1, 36.6]  [47.1, 47.6]                [65.3, 65.8]
        256        both         1/2          19.2          38.4          49.9  [46.9, 52.9]          69.1       9.0       21.1
                                     [18.9, 19.4]  [38.1, 38.6]  [49.7, 50.2]                [68.9, 69.4]
        1024       both         0/2
        chance                                0.5           2.5           5.0                        25.0
        TF-IDF                                7.1          35.7          71.4                       100.0

        v2t, combined score, protocol custom, queries: 200, gallery: 200, ties: average, tied queries: 2, median:
        mean-of-middle, pair score: cosine, kernel: cpu/avx512/f32, captions: min-rank
        queue_len  hierarchy  seeds           R@1           R@5          R@10     R@10 95 %          R@50       MdR        MnR
        ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
        * 0        both           2     19.1 ±0.3     38.2 ±0.6     49.7 ±0.8  [46.7, 52.7]     68.8 ±1.1  9.0 ±0.0  21.1 ±0.0
                                     [18.9, 19.4]  [38.0, 38.5]  [49.4, 49.9]                [68.5, 69.0]
        256        both         1/2          20.2          40.3          52.4  [49.4, 55.4]          72.6       9.0       21.1
                                     [19.9, 20.4]  [40.1, 40.6]  [52.2, 52.7]                [72.3, 72.8]
        1024       both         0/2
        chance                                0.5           2.5           5.0                        25.0
        TF-IDF                                6.7          33.3          66.7                       100.0

        R@K in per cent: share of queries with a true item among the K best. Mean over seeds ± standard deviation over
        seeds. 95 %: bootstrap interval over test videos, mean of the seeds' ends. Brackets below a recall: its range
        over all orders of tied items. *: the reference cell.
        Of 6 trials, 1 failed, 2 not run yet.
        failed: queue-by-hierarchy/momentum.queue_len=256/model.hierarchy=both/seed=1: loss is NaN at step 3
        ");
    }

    #[test]
    fn a_terminal_of_80_columns_gets_means() {
        let (run, trials) = partial();
        let text = console_table(&run, &trials, Some(80));
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        insta::assert_snapshot!(text, @r"
        t2v, combined score, protocol custom, queries: 400, gallery: 200, ties: average,
        tied queries: 2, median: mean-of-middle, pair score: cosine, kernel:
        cpu/avx512/f32
        queue_len hierarchy seeds       R@1       R@5      R@10      R@50 MdR  MnR
        ───────────────────────────────────────────────────────────────────────────
        * 0       both          2      18.2      36.4      47.3      65.5 9.0 21.1
                                  17.9-18.4 36.1-36.6 47.1-47.6 65.3-65.8
        256       both        1/2      19.2      38.4      49.9      69.1 9.0 21.1
                                  18.9-19.4 38.1-38.6 49.7-50.2 68.9-69.4
        1024      both        0/2
        chance                          0.5       2.5       5.0      25.0
        TF-IDF                          7.1      35.7      71.4     100.0

        v2t, combined score, protocol custom, queries: 200, gallery: 200, ties: average,
        tied queries: 2, median: mean-of-middle, pair score: cosine, kernel:
        cpu/avx512/f32, captions: min-rank
        queue_len hierarchy seeds       R@1       R@5      R@10      R@50 MdR  MnR
        ───────────────────────────────────────────────────────────────────────────
        * 0       both          2      19.1      38.2      49.7      68.8 9.0 21.1
                                  18.9-19.4 38.0-38.5 49.4-49.9 68.5-69.0
        256       both        1/2      20.2      40.3      52.4      72.6 9.0 21.1
                                  19.9-20.4 40.1-40.6 52.2-52.7 72.3-72.8
        1024      both        0/2
        chance                          0.5       2.5       5.0      25.0
        TF-IDF                          6.7      33.3      66.7     100.0

        R@K in per cent: share of queries with a true item among the K best. Brackets
        below a recall: its range over all orders of tied items. *: the reference cell.
        The terminal is narrow: spreads and intervals are in report.md.
        Of 6 trials, 1 failed, 2 not run yet.
        failed: queue-by-hierarchy/momentum.queue_len=256/model.hierarchy=both/seed=1:
          loss is NaN at step 3
        ");
    }

    #[test]
    fn a_terminal_that_fits_no_table_gets_paragraphs() {
        let (run, trials) = partial();
        let text = console_table(&run, &trials, Some(44));
        insta::assert_snapshot!(text, @r"
        t2v, combined score, protocol custom,
        queries: 400, gallery: 200, ties: average,
        tied queries: 2, median: mean-of-middle,
        pair score: cosine, kernel: cpu/avx512/f32
        Rows: queue_len, hierarchy
        * 0, both
          seeds 2  R@1 18.2 ±0.3 [17.9, 18.4]
          R@5 36.4 ±0.6 [36.1, 36.6]
          R@10 47.3 ±0.7 [47.1, 47.6]
          R@10 95 % [44.3, 50.3]
          R@50 65.5 ±1.0 [65.3, 65.8]
          MdR 9.0 ±0.0  MnR 21.1 ±0.0
        256, both
          seeds 1/2  R@1 19.2 [18.9, 19.4]
          R@5 38.4 [38.1, 38.6]
          R@10 49.9 [49.7, 50.2]
          R@10 95 % [46.9, 52.9]
          R@50 69.1 [68.9, 69.4]  MdR 9.0
          MnR 21.1
        1024, both
          seeds 0/2
        chance
          R@1 0.5  R@5 2.5  R@10 5.0  R@50 25.0
        TF-IDF
          R@1 7.1  R@5 35.7  R@10 71.4  R@50 100.0

        v2t, combined score, protocol custom,
        queries: 200, gallery: 200, ties: average,
        tied queries: 2, median: mean-of-middle,
        pair score: cosine, kernel: cpu/avx512/f32,
        captions: min-rank
        Rows: queue_len, hierarchy
        * 0, both
          seeds 2  R@1 19.1 ±0.3 [18.9, 19.4]
          R@5 38.2 ±0.6 [38.0, 38.5]
          R@10 49.7 ±0.8 [49.4, 49.9]
          R@10 95 % [46.7, 52.7]
          R@50 68.8 ±1.1 [68.5, 69.0]
          MdR 9.0 ±0.0  MnR 21.1 ±0.0
        256, both
          seeds 1/2  R@1 20.2 [19.9, 20.4]
          R@5 40.3 [40.1, 40.6]
          R@10 52.4 [52.2, 52.7]
          R@10 95 % [49.4, 55.4]
          R@50 72.6 [72.3, 72.8]  MdR 9.0
          MnR 21.1
        1024, both
          seeds 0/2
        chance
          R@1 0.5  R@5 2.5  R@10 5.0  R@50 25.0
        TF-IDF
          R@1 6.7  R@5 33.3  R@10 66.7  R@50 100.0

        R@K in per cent: share of queries with a
        true item among the K best. Mean over seeds
        ± standard deviation over seeds. 95 %:
        bootstrap interval over test videos, mean of
        the seeds' ends. Brackets below a recall:
        its range over all orders of tied items. *:
        the reference cell.
        Of 6 trials, 1 failed, 2 not run yet.
        failed:
          queue-by-hierarchy/momentum.queue_len=256/model.hierarchy=both/seed=1:
          loss is NaN at step 3
        ");
    }

    #[test]
    fn a_fact_that_differs_between_cells_becomes_a_column_and_protocols_get_their_own_tables() {
        let run = fixture::run(
            &[(
                "eval.ties",
                vec![json!("average"), json!("optimistic"), json!("other")],
            )],
            &[0],
        );
        let mut trials = fixture::trials(&run);
        trials[1].protocol.ties = "optimistic".to_owned();
        trials[2].protocol.protocol = "msrvtt-1ka".to_owned();
        let text = console_table(&run, &trials, None);
        insta::assert_snapshot!(text.split("\n\nv2t").next().unwrap(), @r"
        t2v, combined score, protocol custom, queries: 400, gallery: 200, tied queries: 2, median: mean-of-middle,
        pair score: cosine, kernel: cpu/avx512/f32
        ties        seeds           R@1           R@5          R@10     R@10 95 %          R@50  MdR   MnR
        ────────────────────────────────────────────────────────────────────────────────────────────────────
        * average       1          18.0          36.0          46.8  [43.8, 49.8]          64.8  9.0  21.1
                           [17.8, 18.2]  [35.8, 36.2]  [46.5, 47.0]                [64.6, 65.0]
        optimistic      1          19.2          38.4          49.9  [46.9, 52.9]          69.1  9.0  21.1
                           [18.9, 19.4]  [38.1, 38.6]  [49.7, 50.2]                [68.9, 69.4]
        chance                      0.5           2.5           5.0                        25.0
        TF-IDF                      7.1          35.7          71.4                       100.0

        t2v, combined score, protocol msrvtt-1ka, queries: 400, gallery: 200, ties: average, tied queries: 2, median:
        mean-of-middle, pair score: cosine, kernel: cpu/avx512/f32
        ties    seeds           R@1           R@5          R@10     R@10 95 %          R@50  MdR   MnR
        ────────────────────────────────────────────────────────────────────────────────────────────────
        other       1          20.4          40.8          53.0  [50.0, 56.0]          73.4  9.0  21.1
                       [20.1, 20.6]  [40.5, 41.0]  [52.8, 53.3]                [73.2, 73.7]
        chance                  0.5           2.5           5.0                        25.0
        TF-IDF                  7.1          35.7          71.4                       100.0
        ");
    }

    #[test]
    fn what_clip4clip_divides_by_is_told_where_it_is_not_the_queries() {
        let run = fixture::run(&[], &[0]);
        let mut trials = fixture::trials(&run);
        assert!(!console_table(&run, &trials, None).contains("count as queries"));
        let TrialOutcome::Ok(result) = &mut trials[0].outcome else {
            panic!("the fixture's trials are fine")
        };
        let Some(ScoreRecord::Directions(pair)) = result.metrics.get_mut(&ScoreKind::Combined) else {
            panic!("the fixture has a combined score")
        };
        pair.t2v.denominator = Some(410);
        let text = console_table(&run, &trials, None);
        assert_eq!(
            text.matches("positions that count as queries: 410").count(),
            1,
            "{text}"
        );
    }
}
