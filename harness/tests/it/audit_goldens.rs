//! The audit of a real test set: the captions of MSR-VTT 1k-A and a published matrix of scores for them.

use hitbench::audit::{Audit, AuditRequest, CaptionTable, NEAR, audit};
use hitbench::eval::{Given, Names};
use hitbench::format::{Location, Matrix};
use hitbench::metric::Protocol;

use crate::metric_goldens::data;

const GROUPS: [(&[&str], &str); 4] = [
    (&["98", "582"], "a woman giving a photoshop tutorial"),
    (&["323", "803", "945"], "a man playing video games"),
    (&["527", "666"], "someone is playing a game"),
    (&["554", "839"], "a group of people are dancing in a room"),
];

fn captions() -> Option<CaptionTable> {
    let location = Location {
        path: data()?.join("drl/data/MSR-VTT/anns/MSRVTT_JSFUSION_test.csv"),
        member: Some("sentence".to_owned()),
    };
    Some(CaptionTable::read(&location).unwrap())
}

fn scores() -> Option<Given> {
    let path = data()?.join("cap4video/sim_matrix/msrvtt_video_matrix.npy");
    Some(Given::Scores(Matrix::read(&Location::file(path)).unwrap()))
}

fn audited(given: Option<Given>, captions: Option<CaptionTable>) -> Audit {
    audit(AuditRequest {
        given,
        names: Names::default(),
        captions,
        protocol: Protocol::find("msrvtt-1ka").unwrap(),
        near: NEAR,
    })
    .unwrap()
}

#[test]
fn four_sentences_of_1ka_belong_to_several_videos() {
    let Some(captions) = captions() else { return };
    let found = audited(None, Some(captions)).captions.unwrap();
    let groups: Vec<(Vec<&str>, &str)> = (found.across_videos.first.iter())
        .map(|group| {
            let ids = group.ids.iter().map(String::as_str).collect();
            (ids, group.caption.as_deref().unwrap())
        })
        .collect();
    assert_eq!(groups, GROUPS.map(|(ids, caption)| (ids.to_vec(), caption)));
    assert_eq!(
        (found.across_videos.n, found.across_videos.n_groups, found.n),
        (9, 4, 1000)
    );
    assert_eq!((found.within_a_video.n, found.empty.n), (0, 0));
}

#[test]
fn nine_videos_tie_in_the_published_matrix_and_captions_say_why() {
    let (Some(given), Some(captions)) = (scores(), captions()) else {
        return;
    };
    let found = audited(Some(given), Some(captions));
    let ties = found.ties.unwrap();
    assert_eq!((ties.t2v.n, ties.v2t.n), (0, 9));
    let cost = found.cost.unwrap();
    // R@1 of the matrix under `average`; in v2t that of `optimistic` once equal captions do not tie, and in t2v two
    // texts find another video of their caption.
    assert_eq!(
        (cost.t2v.as_given.r_at[&1], cost.v2t.as_given.r_at[&1]),
        (0.48, 0.456)
    );
    assert_eq!((cost.t2v.n_with_more, cost.v2t.n_with_more), (9, 9));
    assert_eq!(cost.v2t.duplicates_true.r_at[&1], 0.46);
    assert_eq!(cost.t2v.duplicates_true.r_at[&1], 0.482);

    // Without captions the equal rows of scores say the same.
    let by_rows = audited(scores(), None);
    let rows = by_rows.scores.unwrap().duplicate_rows;
    assert_eq!((rows.n, rows.n_groups), (9, 4));
    let cost_by_rows = by_rows.cost.unwrap();
    assert_eq!((cost_by_rows.texts_by, cost.texts_by), ("rows", "captions"));
    assert_eq!((cost_by_rows.t2v, cost_by_rows.v2t), (cost.t2v, cost.v2t));
}
