//! Whole reports.

use serde_json::json;

use super::report::report_md;
use crate::fixture;
use crate::markdown::Embedded;

#[test]
fn a_small_report_in_full() {
    let axes = [
        (fixture::QUEUE, vec![json!(0), json!(256)]),
        (fixture::HIERARCHY, vec![json!("semantic")]),
    ];
    let run = fixture::run(&axes, &[0, 1]);
    let mut trials = fixture::trials(&run);
    trials[3].outcome = crate::record::TrialOutcome::Failed {
        error: "loss is NaN\nat step <3>".to_owned(),
    };
    let plots = [Embedded {
        stem: "recall".to_owned(),
        alt: "R@10 against queue_len".to_owned(),
        svg: String::new(),
    }];
    insta::assert_snapshot!(report_md(&run, &trials, Some(&fixture::comparisons(&run)), &plots), @r"
    # queue-by-hierarchy (suite version 1)

    Does a longer queue help each level of the hierarchy?

    ## What was run

    4 trials: 2 cells, each with 2 seeds (0, 1). 3 finished, 1 failed.

    - Axis `momentum.queue_len`: 0, 256
    - Axis `model.hierarchy`: semantic
    - Reference cell, marked `*`: queue_len=0, hierarchy=semantic

    ## Data

    **synthetic.** Generated videos with latent objects, actions and scenes. Nothing in it is real.

    Training: 1000 videos, 2000 captions. Test: 200 videos, 400 captions. Content hash `c0ffee`.

    ## Protocol

    Protocol `custom`: pairs score by `cosine`; greater and equal scores counted by `cpu/avx512/f32`; ties `average`; several captions a video `min-rank`; median `mean-of-middle`.

    ## Results

    R@K in per cent: share of queries with a true item among the K best. Mean over seeds ± standard deviation over seeds. 95 %: bootstrap interval over test videos, mean of the seeds' ends. Brackets below a recall: its range over all orders of tied items. \*: the reference cell.

    **t2v, combined score, protocol custom, queries: 400, gallery: 200, ties: average, tied queries: 2, median: mean-of-middle, pair score: cosine, kernel: cpu/avx512/f32**

    | queue_len | hierarchy | seeds | R@1 | R@1 95 % | R@5 | R@5 95 % | R@10 | R@10 95 % | R@50 | R@50 95 % | MdR | MdR 95 % | MnR | MnR 95 % |
    | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
    | \* 0 | semantic | 2 | 18.2 ±0.3<br>[17.9, 18.4] | [15.2, 21.2] | 36.4 ±0.6<br>[36.1, 36.6] | [33.4, 39.4] | 47.3 ±0.7<br>[47.1, 47.6] | [44.3, 50.3] | 65.5 ±1.0<br>[65.3, 65.8] | [62.5, 68.5] | 9.0 ±0.0 | [8.0, 10.5] | 21.1 ±0.0 | [18.2, 24.5] |
    | 256 | semantic | 1/2 | 19.2<br>[18.9, 19.4] | [16.2, 22.2] | 38.4<br>[38.1, 38.6] | [35.4, 41.4] | 49.9<br>[49.7, 50.2] | [46.9, 52.9] | 69.1<br>[68.9, 69.4] | [66.1, 72.1] | 9.0 | [8.0, 10.5] | 21.1 | [18.2, 24.5] |
    | chance |  |  | 0.5 |  | 2.5 |  | 5.0 |  | 25.0 |  |  |  |  |  |
    | TF-IDF |  |  | 7.1 |  | 35.7 |  | 71.4 |  | 100.0 |  |  |  |  |  |

    **v2t, combined score, protocol custom, queries: 200, gallery: 200, ties: average, tied queries: 2, median: mean-of-middle, pair score: cosine, kernel: cpu/avx512/f32, captions: min-rank**

    | queue_len | hierarchy | seeds | R@1 | R@1 95 % | R@5 | R@5 95 % | R@10 | R@10 95 % | R@50 | R@50 95 % | MdR | MdR 95 % | MnR | MnR 95 % |
    | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
    | \* 0 | semantic | 2 | 19.1 ±0.3<br>[18.9, 19.4] | [16.1, 22.1] | 38.2 ±0.6<br>[38.0, 38.5] | [35.2, 41.2] | 49.7 ±0.8<br>[49.4, 49.9] | [46.7, 52.7] | 68.8 ±1.1<br>[68.5, 69.0] | [65.8, 71.8] | 9.0 ±0.0 | [8.0, 10.5] | 21.1 ±0.0 | [18.2, 24.5] |
    | 256 | semantic | 1/2 | 20.2<br>[19.9, 20.4] | [17.2, 23.2] | 40.3<br>[40.1, 40.6] | [37.3, 43.3] | 52.4<br>[52.2, 52.7] | [49.4, 55.4] | 72.6<br>[72.3, 72.8] | [69.6, 75.6] | 9.0 | [8.0, 10.5] | 21.1 | [18.2, 24.5] |
    | chance |  |  | 0.5 |  | 2.5 |  | 5.0 |  | 25.0 |  |  |  |  |  |
    | TF-IDF |  |  | 6.7 |  | 33.3 |  | 66.7 |  | 100.0 |  |  |  |  |  |

    **t2v, semantic score, protocol custom, queries: 400, gallery: 200, ties: average, tied queries: 2, median: mean-of-middle, pair score: cosine, kernel: cpu/avx512/f32**

    | queue_len | hierarchy | seeds | R@1 | R@1 95 % | R@5 | R@5 95 % | R@10 | R@10 95 % | R@50 | R@50 95 % | MdR | MdR 95 % | MnR | MnR 95 % |
    | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
    | \* 0 | semantic | 2 | 17.3 ±0.3<br>[17.0, 17.5] | [14.3, 20.3] | 34.6 ±0.5<br>[34.3, 34.8] | [31.6, 37.6] | 45.0 ±0.7<br>[44.7, 45.2] | [42.0, 48.0] | 62.2 ±1.0<br>[62.0, 62.5] | [59.2, 65.2] | 9.0 ±0.0 | [8.0, 10.5] | 21.1 ±0.0 | [18.2, 24.5] |
    | 256 | semantic | 1/2 | 18.2<br>[18.0, 18.5] | [15.2, 21.2] | 36.5<br>[36.2, 36.7] | [33.5, 39.5] | 47.4<br>[47.2, 47.7] | [44.4, 50.4] | 65.7<br>[65.4, 65.9] | [62.7, 68.7] | 9.0 | [8.0, 10.5] | 21.1 | [18.2, 24.5] |
    | chance |  |  | 0.5 |  | 2.5 |  | 5.0 |  | 25.0 |  |  |  |  |  |
    | TF-IDF |  |  | 7.1 |  | 35.7 |  | 71.4 |  | 100.0 |  |  |  |  |  |

    **v2t, semantic score, protocol custom, queries: 200, gallery: 200, ties: average, tied queries: 2, median: mean-of-middle, pair score: cosine, kernel: cpu/avx512/f32, captions: min-rank**

    | queue_len | hierarchy | seeds | R@1 | R@1 95 % | R@5 | R@5 95 % | R@10 | R@10 95 % | R@50 | R@50 95 % | MdR | MdR 95 % | MnR | MnR 95 % |
    | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
    | \* 0 | semantic | 2 | 18.2 ±0.3<br>[17.9, 18.4] | [15.2, 21.2] | 36.3 ±0.6<br>[36.1, 36.6] | [33.3, 39.3] | 47.2 ±0.7<br>[47.0, 47.5] | [44.2, 50.2] | 65.4 ±1.0<br>[65.1, 65.6] | [62.4, 68.4] | 9.0 ±0.0 | [8.0, 10.5] | 21.1 ±0.0 | [18.2, 24.5] |
    | 256 | semantic | 1/2 | 19.2<br>[18.9, 19.4] | [16.2, 22.2] | 38.3<br>[38.1, 38.6] | [35.3, 41.3] | 49.8<br>[49.5, 50.0] | [46.8, 52.8] | 68.9<br>[68.7, 69.2] | [65.9, 71.9] | 9.0 | [8.0, 10.5] | 21.1 | [18.2, 24.5] |
    | chance |  |  | 0.5 |  | 2.5 |  | 5.0 |  | 25.0 |  |  |  |  |  |
    | TF-IDF |  |  | 6.7 |  | 33.3 |  | 66.7 |  | 100.0 |  |  |  |  |  |

    `chance` is a random order. `TF-IDF` ranks by the words that the two sides share; no model takes part in it, and it may see what the model is denied (see Data).

    ## What helped

    Differences of cells; positive means higher than what it is compared to. Two-level bootstrap over seeds and test videos, 2000 resamples.

    queue_len, combined score:

    - queue_len 256 instead of 0, at hierarchy=semantic: t2v R@10 changed by -4.9 points, 95 % interval [-8.9, -0.9], 2 seeds: it hurt.

    **t2v R@10, combined score, in points**

    | cells | verdict | difference | interval | level, % | seeds |
    | --- | --- | ---: | ---: | ---: | ---: |
    | queue_len=256, hierarchy=semantic | regressed | -4.9 | [-8.9, -0.9] | 95 | 2 |

    ## Training

    Mean over seeds ± standard deviation. pairs/s counts training steps only, without loading or evaluation. The same-video rate is the share of queue entries of the query's own video, before masking: false negatives unless `momentum.mask_same_video` removes them.

    | cell | steps | batch | pairs/s | training time, s | last loss | same-video rate in queue, % | peak memory, MiB | parameters |
    | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
    | queue_len=0, hierarchy=semantic | 300 | 64 | 890 ±14 | 21.6 ±0.3 | 1.255 ±0.007 | - | 700 | text 900,000<br>total 1,500,000<br>video 600,000 |
    | queue_len=256, hierarchy=semantic | 300 | 64 | 800 | 24.0 | 1.250 | 0.210 | 700 | text 900,000<br>total 1,500,000<br>video 600,000 |

    ## Plots

    ![R@10 against queue_len](plots/recall.svg)

    ## Failed trials

    - `queue-by-hierarchy/momentum.queue_len=256/model.hierarchy=semantic/seed=1`: loss is NaN; at step &lt;3>

    ## Machine and build

    - hitbench 0.1.0, git revision `1f75977`, build `0.1.0+1f75977`
    - libtorch 2.11.0
    - Processor: Example CPU 3000, 2 cores (x86_64), 2.60 GHz as found
    - Instruction sets: avx2, avx512f
    - Memory: 8.0 GiB
    - GPU: Example GPU, 80.0 GiB, driver 580.1, compute capability 9.0
    - System: Linux 6.8

    ## How to reproduce

    At revision `1f75977`:

    ```sh
    hitbench run suites/ablation/queue-by-hierarchy.yaml
    ```

    Every number above follows from `trials.jsonl` and `ranks/` in this folder; `run.json` holds the suite with every default filled in. On the same build and processor, equal work gives equal bytes of `summary.csv`, `ranks/` and `curves/`.
    ");
}

#[test]
fn a_report_of_nothing_yet_names_what_is_missing() {
    let run = fixture::run(&[], &[0]);
    let report = report_md(&run, &[], None, &[]);
    assert!(
        report.contains("1 trial: 1 cell, each with 1 seed (0). 0 finished, 1 not run yet."),
        "{report}"
    );
    assert!(
        !report.contains("## Data") && !report.contains("## What helped"),
        "{report}"
    );
}

#[test]
fn speeds_of_several_kinds_of_machine_do_not_compare() {
    let run = fixture::queue_by_hierarchy(&[0]);
    let mut trials = fixture::trials(&run);
    let note = "Trials ran on 2 kinds of machine, whose pairs/s and times do not compare.";
    assert!(!report_md(&run, &trials, None, &[]).contains(note));
    if let crate::record::TrialOutcome::Ok(result) = &mut trials[2].outcome {
        let training = result.training.as_mut().unwrap();
        training.machines.insert("feedfacecafe".to_owned());
    }
    assert!(report_md(&run, &trials, None, &[]).contains(note));
}
