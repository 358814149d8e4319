//! What happens in a generated video, before anybody sees or describes it.

use super::super::draw::Draws;
use super::lexicon::{AGENTS, ALONE, COLOURS, SCENES, SOUNDS, THINGS, TOPICS, TOWARDS, UPON, Verb};

/// What an agent does. Numbers index the lists of the lexicon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Without an object.
    Alone { verb: usize },
    /// Towards another agent.
    Towards { verb: usize, patient: usize },
    /// Upon a thing of a colour.
    Upon {
        verb: usize,
        thing: usize,
        colour: usize,
    },
}

impl Action {
    pub(super) fn verb(&self) -> &'static Verb {
        match *self {
            Self::Alone { verb } => &ALONE[verb],
            Self::Towards { verb, .. } => &TOWARDS[verb],
            Self::Upon { verb, .. } => &UPON[verb],
        }
    }

    /// Number of the verb among all verbs.
    pub(super) fn verb_number(&self) -> usize {
        match *self {
            Self::Alone { verb } => verb,
            Self::Towards { verb, .. } => ALONE.len() + verb,
            Self::Upon { verb, .. } => ALONE.len() + TOWARDS.len() + verb,
        }
    }
}

/// Verbs of all kinds together.
pub(super) const N_VERBS: usize = ALONE.len() + TOWARDS.len() + UPON.len();

/// Something that an agent does for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) agent: usize,
    pub(super) action: Action,
    /// Whole seconds.
    pub(super) duration_s: usize,
}

/// The latent factors of a video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Latent {
    pub(super) scene: usize,
    pub(super) sound: Option<usize>,
    pub(super) topic: Option<usize>,
    /// One to three events, one after the other; agents and things differ between them.
    pub(super) events: Vec<Event>,
}

impl Latent {
    /// Draws a video.
    pub(super) fn draw(draws: &mut Draws) -> Self {
        let n_events = [1, 2, 2, 3][draws.below(4)];
        let mut agents: Vec<usize> = (0..AGENTS.len()).collect();
        let mut things: Vec<usize> = (0..THINGS.len()).collect();
        draws.shuffle(&mut agents);
        draws.shuffle(&mut things);
        let mut agents = agents.into_iter();
        let mut things = things.into_iter();
        let mut next = || agents.next().expect("three events need six agents at most");
        let events = (0..n_events)
            .map(|_| {
                let agent = next();
                let action = match draws.below(4) {
                    0 => Action::Alone {
                        verb: draws.below(ALONE.len()),
                    },
                    1 | 2 => Action::Towards {
                        verb: draws.below(TOWARDS.len()),
                        patient: next(),
                    },
                    _ => Action::Upon {
                        verb: draws.below(UPON.len()),
                        thing: things.next().expect("three events need three things at most"),
                        colour: draws.below(COLOURS.len()),
                    },
                };
                Event {
                    agent,
                    action,
                    duration_s: 3 + draws.below(3),
                }
            })
            .collect();
        Self {
            scene: draws.below(SCENES.len()),
            sound: draws.chance(0.5).then(|| draws.below(SOUNDS.len())),
            topic: draws.chance(0.4).then(|| draws.below(TOPICS.len())),
            events,
        }
    }

    /// The same video but for one detail: the order of two events, who does it to whom, an agent, a verb, a
    /// colour or the scene. The first two leave every single fact as it was.
    pub(super) fn with_one_change(&self, draws: &mut Draws) -> Self {
        let mut changed = self.clone();
        let n_events = self.events.len();
        loop {
            let event = &mut changed.events[draws.below(n_events)];
            match draws.below(6) {
                0 if n_events > 1 => {
                    let first = draws.below(n_events - 1);
                    changed.events.swap(first, first + 1);
                }
                1 => match &mut event.action {
                    Action::Towards { patient, .. } => std::mem::swap(&mut event.agent, patient),
                    _ => continue,
                },
                2 => {
                    let present: Vec<usize> = self.agents().collect();
                    let absent: Vec<usize> = (0..AGENTS.len()).filter(|a| !present.contains(a)).collect();
                    event.agent = *draws.pick(&absent);
                }
                3 => {
                    let (verb, n) = match &mut event.action {
                        Action::Alone { verb } => (verb, ALONE.len()),
                        Action::Towards { verb, .. } => (verb, TOWARDS.len()),
                        Action::Upon { verb, .. } => (verb, UPON.len()),
                    };
                    *verb = other(draws, *verb, n);
                }
                4 => match &mut event.action {
                    Action::Upon { colour, .. } => *colour = other(draws, *colour, COLOURS.len()),
                    _ => continue,
                },
                5 => changed.scene = other(draws, changed.scene, SCENES.len()),
                _ => continue,
            }
            return changed;
        }
    }

    fn agents(&self) -> impl Iterator<Item = usize> {
        self.events.iter().flat_map(|event| match event.action {
            Action::Towards { patient, .. } => vec![event.agent, patient],
            _ => vec![event.agent],
        })
    }
}

/// One of `0..n` other than `not`.
fn other(draws: &mut Draws, not: usize, n: usize) -> usize {
    (not + 1 + draws.below(n - 1)) % n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_change_always_changes_and_covers_all_kinds() {
        let mut draws = Draws::new(0, "changes", &[]);
        let (mut reordered, mut roles, mut scenes) = (0, 0, 0);
        for _ in 0..2000 {
            let latent = Latent::draw(&mut draws);
            let changed = latent.with_one_change(&mut draws);
            assert_ne!(latent, changed);
            assert_eq!((latent.sound, latent.topic), (changed.sound, changed.topic));
            let sorted = |latent: &Latent| {
                let mut events: Vec<String> =
                    latent.events.iter().map(|event| format!("{event:?}")).collect();
                events.sort();
                events
            };
            let mut agents: [Vec<usize>; 2] = [latent.agents().collect(), changed.agents().collect()];
            agents.iter_mut().for_each(|agents| agents.sort_unstable());
            scenes += usize::from(latent.scene != changed.scene);
            if latent.scene == changed.scene && sorted(&latent) == sorted(&changed) {
                reordered += 1;
            } else if agents[0] == agents[1]
                && latent
                    .events
                    .iter()
                    .zip(&changed.events)
                    .any(|(a, b)| a.agent != b.agent)
            {
                roles += 1;
            }
        }
        assert!(
            reordered > 100 && roles > 100 && scenes > 100,
            "{reordered} {roles} {scenes}"
        );
    }
}
