//! Grammatical captions of several kinds. Some name only what can be seen in a single row of an expert
//! (inventories), others say who does what to whom and in which order.

use super::super::draw::Draws;
use super::latent::{Action, Event, Latent};
use super::lexicon::{AGENTS, COLOURS, SCENES, SOUNDS, THINGS, TOPICS, with_article};

/// A kind of caption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `a dog chases a cat in a park`
    Active,
    /// `in a park a cat is chased by a dog`; needs an event with an object.
    Passive,
    /// `a dog is chasing a cat while music plays`; needs a sound.
    Heard,
    /// `someone talks about football as a dog chases a cat`; needs a topic.
    Spoken,
    /// `a video with a cat , a dog and a red ball in a park`
    Inventory,
    /// `a dog chases a cat and then a man lifts a red ball`; needs two events.
    Then,
    /// `before a man lifts a red ball a dog chases a cat`; needs two events.
    Before,
    /// `a man lifts a red ball after a dog chases a cat`; needs two events.
    After,
}

const KINDS: [Kind; 8] = [
    Kind::Active,
    Kind::Passive,
    Kind::Heard,
    Kind::Spoken,
    Kind::Inventory,
    Kind::Then,
    Kind::Before,
    Kind::After,
];

impl Kind {
    fn fits(self, latent: &Latent) -> bool {
        match self {
            Self::Active | Self::Inventory => true,
            Self::Passive => latent.events.iter().any(has_object),
            Self::Heard => latent.sound.is_some(),
            Self::Spoken => latent.topic.is_some(),
            Self::Then | Self::Before | Self::After => latent.events.len() > 1,
        }
    }
}

/// Draws `n` captions, of different kinds as far as the video allows.
pub(super) fn captions(latent: &Latent, n: usize, draws: &mut Draws) -> Vec<String> {
    let mut kinds: Vec<Kind> = KINDS.into_iter().filter(|kind| kind.fits(latent)).collect();
    draws.shuffle(&mut kinds);
    (0..n)
        .map(|index| caption(latent, kinds[index % kinds.len()], draws))
        .collect()
}

fn caption(latent: &Latent, kind: Kind, draws: &mut Draws) -> String {
    let scene = SCENES[latent.scene];
    let event = draws.pick(&latent.events);
    let pair = draws.below(latent.events.len().max(2) - 1);
    let (first, second) = (&latent.events[pair], latent.events.get(pair + 1).unwrap_or(event));
    match kind {
        Kind::Active => format!("{} {scene}", active(event)),
        Kind::Passive => {
            let with_object: Vec<&Event> = latent.events.iter().filter(|event| has_object(event)).collect();
            format!("{scene} {}", passive(with_object[draws.below(with_object.len())]))
        }
        Kind::Heard => {
            let sound = latent.sound.map_or("", |sound| SOUNDS[sound]);
            format!("{} {scene} while {sound}", progressive(event))
        }
        Kind::Spoken => {
            let topic = latent.topic.map_or("", |topic| TOPICS[topic].0);
            format!("someone talks about {topic} as {}", active(event))
        }
        Kind::Inventory => format!("a video with {} {scene}", inventory(latent, draws)),
        Kind::Then => format!("{} and then {}", active(first), active(second)),
        Kind::Before => format!("before {} {}", active(second), active(first)),
        Kind::After => format!("{scene} {} after {}", active(second), active(first)),
    }
}

fn has_object(event: &Event) -> bool {
    !matches!(event.action, Action::Alone { .. })
}

fn object(event: &Event) -> Option<String> {
    match event.action {
        Action::Alone { .. } => None,
        Action::Towards { patient, .. } => Some(with_article(AGENTS[patient])),
        Action::Upon { thing, colour, .. } => {
            Some(with_article(&format!("{} {}", COLOURS[colour], THINGS[thing])))
        }
    }
}

fn active(event: &Event) -> String {
    let agent = with_article(AGENTS[event.agent]);
    let verb = event.action.verb().third;
    match object(event) {
        Some(object) => format!("{agent} {verb} {object}"),
        None => format!("{agent} {verb}"),
    }
}

fn progressive(event: &Event) -> String {
    let agent = with_article(AGENTS[event.agent]);
    let verb = event.action.verb().gerund;
    match object(event) {
        Some(object) => format!("{agent} is {verb} {object}"),
        None => format!("{agent} is {verb}"),
    }
}

fn passive(event: &Event) -> String {
    let agent = with_article(AGENTS[event.agent]);
    let verb = event.action.verb().participle;
    match object(event) {
        Some(object) => format!("{object} is {verb} by {agent}"),
        None => active(event),
    }
}

/// All that is to be seen, in random order.
fn inventory(latent: &Latent, draws: &mut Draws) -> String {
    let mut seen: Vec<String> = latent
        .events
        .iter()
        .flat_map(|event| [Some(with_article(AGENTS[event.agent])), object(event)])
        .flatten()
        .collect();
    draws.shuffle(&mut seen);
    match seen.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(" , ")),
        _ => seen.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a dog chases a cat` (verb 0), then `an elephant lifts an orange umbrella` (verb 0), in a park, with
    /// music and talk of football.
    fn latent() -> Latent {
        let events = vec![
            Event {
                agent: 10,
                action: Action::Towards { verb: 0, patient: 11 },
                duration_s: 3,
            },
            Event {
                agent: 14,
                action: Action::Upon {
                    verb: 0,
                    thing: 13,
                    colour: 5,
                },
                duration_s: 3,
            },
        ];
        Latent {
            scene: 2,
            sound: Some(0),
            topic: Some(0),
            events,
        }
    }

    #[test]
    fn every_kind_is_grammatical() {
        let expected = [
            (Kind::Active, "a dog chases a cat in a park"),
            (Kind::Passive, "in a park a cat is chased by a dog"),
            (Kind::Heard, "a dog is chasing a cat in a park while music plays"),
            (Kind::Spoken, "someone talks about football as a dog chases a cat"),
            (
                Kind::Inventory,
                "a video with a cat , an elephant , a dog and an orange umbrella in a park",
            ),
            (
                Kind::Then,
                "a dog chases a cat and then an elephant lifts an orange umbrella",
            ),
            (
                Kind::Before,
                "before an elephant lifts an orange umbrella a dog chases a cat",
            ),
            (
                Kind::After,
                "in a park an elephant lifts an orange umbrella after a dog chases a cat",
            ),
        ];
        for (kind, text) in expected {
            let found =
                (0..100).any(|seed| caption(&latent(), kind, &mut Draws::new(seed, "caption", &[])) == text);
            assert!(found, "{kind:?} never said: {text}");
        }
    }

    #[test]
    fn captions_are_of_different_kinds_and_fit_the_video() {
        let mut draws = Draws::new(0, "captions", &[]);
        let texts = captions(&latent(), 8, &mut draws);
        let distinct: std::collections::HashSet<&String> = texts.iter().collect();
        assert_eq!(distinct.len(), 8);
        let alone = Event {
            agent: 0,
            action: Action::Alone { verb: 0 },
            duration_s: 3,
        };
        let plain = Latent {
            scene: 0,
            sound: None,
            topic: None,
            events: vec![alone],
        };
        let mut texts = captions(&plain, 2, &mut draws);
        texts.sort();
        assert_eq!(
            texts,
            ["a man jumps in a kitchen", "a video with a man in a kitchen"]
        );
    }
}
