//! What the experts record of a generated video.
//!
//! Low level: a row of `object` shows one agent or thing, a row of `scene` the place, a row of `audio` the
//! sound, a row of `speech` a spoken word; a single row is evidence for a single word of a caption. High
//! level: who acts upon whom is only in the rows of `action`, where the verb's direction is multiplied,
//! coordinate by coordinate, by signs that belong to the agent, so that reading it takes the agent from
//! another row; and what comes first is only in the times.

use std::sync::Arc;

use hitbench_models::config::ExpertSpec;

use super::super::dataset::{ExpertFeatures, FeatureRows};
use super::super::draw::Draws;
use super::latent::{Action, Event, Latent, N_VERBS};
use super::lexicon::{AGENTS, COLOURS, FILLERS, SCENES, SOUNDS, THINGS, TOPICS};

/// Length of a row of each expert.
const ACTION_DIM: usize = 64;
const AUDIO_DIM: usize = 24;
const OBJECT_DIM: usize = 48;
const SCENE_DIM: usize = 40;
const SPEECH_DIM: usize = 32;

/// Seconds between rows. Speech has words at irregular times instead.
const ACTION_EVERY_S: f64 = 2.0;
const AUDIO_EVERY_S: f64 = 2.5;
const OBJECT_EVERY_S: f64 = 1.5;
const SCENE_EVERY_S: f64 = 4.0;

/// The experts in alphabetical order, which is the order of [`World::record`].
pub(in crate::data) fn experts() -> Vec<ExpertSpec> {
    let experts = [
        ("action", ACTION_DIM),
        ("audio", AUDIO_DIM),
        ("object", OBJECT_DIM),
        ("scene", SCENE_DIM),
        ("speech", SPEECH_DIM),
    ];
    experts
        .map(|(name, dim)| ExpertSpec {
            name: name.to_owned(),
            dim,
        })
        .into()
}

/// Directions of all concepts in the spaces of the experts that see them.
pub(super) struct World {
    verbs: Vec<Vec<f64>>,
    agent_signs: Vec<Vec<f64>>,
    /// One a sound, then silence.
    sounds: Vec<Vec<f64>>,
    agents: Vec<Vec<f64>>,
    things: Vec<Vec<f64>>,
    colours: Vec<Vec<f64>>,
    scenes: Vec<Vec<f64>>,
    /// Word vectors: the words of all topics, topic by topic, then the fillers.
    words: Arc<Vec<f32>>,
    noise: f64,
}

impl World {
    /// Draws all directions from `seed`; `noise` is the standard deviation added to each feature of the
    /// rows that are not words.
    pub(super) fn new(seed: u64, noise: f64) -> Self {
        let draws = |purpose| Draws::new(seed, purpose, &[]);
        let directions = |purpose, n: usize, dim| {
            let mut draws = draws(purpose);
            (0..n).map(|_| draws.direction(dim)).collect::<Vec<_>>()
        };
        let mut signs = draws("agent signs");
        let n_words = TOPICS.iter().map(|(_, words)| words.len()).sum::<usize>() + FILLERS.len();
        let words = directions("words", n_words, SPEECH_DIM);
        Self {
            verbs: directions("verbs", N_VERBS, ACTION_DIM),
            agent_signs: (0..AGENTS.len())
                .map(|_| {
                    (0..ACTION_DIM)
                        .map(|_| if signs.chance(0.5) { 1.0 } else { -1.0 })
                        .collect()
                })
                .collect(),
            sounds: directions("sounds", SOUNDS.len() + 1, AUDIO_DIM),
            agents: directions("agents", AGENTS.len(), OBJECT_DIM),
            things: directions("things", THINGS.len(), OBJECT_DIM),
            colours: directions("colours", COLOURS.len(), OBJECT_DIM),
            scenes: directions("scenes", SCENES.len(), SCENE_DIM),
            words: Arc::new(words.into_iter().flatten().map(|value| value as f32).collect()),
            noise,
        }
    }

    /// What each expert records, in the order of [`experts`]. An expert is lost with chance `absent_rate`;
    /// speech is also absent where nobody speaks. `object` is never the last to go: a video keeps it when
    /// all others are lost.
    pub(super) fn record(
        &self,
        latent: &Latent,
        absent_rate: f64,
        draws: &mut Draws,
    ) -> Vec<Option<ExpertFeatures>> {
        let recorded = [
            Some(self.actions(latent, draws)),
            Some(self.audio(latent, draws)),
            Some(self.objects(latent, draws)),
            Some(self.scene(latent, draws)),
            latent.topic.map(|topic| self.speech(latent, topic, draws)),
        ];
        let object = recorded[2].clone();
        let mut kept: Vec<_> = recorded
            .into_iter()
            .map(|features| features.filter(|_| !draws.chance(absent_rate)))
            .collect();
        if kept.iter().all(Option::is_none) {
            kept[2] = object;
        }
        kept
    }

    fn actions(&self, latent: &Latent, draws: &mut Draws) -> ExpertFeatures {
        let mut rows = Rows::default();
        for (start_s, event) in timed(latent) {
            let verb = &self.verbs[event.action.verb_number()];
            let signs = &self.agent_signs[event.agent];
            let signal = verb.iter().zip(signs).map(|(v, s)| (v + v * s) * 0.5f64.sqrt());
            let signal: Vec<f64> = signal.collect();
            rows.repeat(
                start_s,
                event.duration_s as f64,
                ACTION_EVERY_S,
                |_| &signal,
                self.noise,
                draws,
            );
        }
        rows.finish()
    }

    fn objects(&self, latent: &Latent, draws: &mut Draws) -> ExpertFeatures {
        let mut rows = Rows::default();
        for (start_s, event) in timed(latent) {
            let agent = &self.agents[event.agent];
            let object = match event.action {
                Action::Alone { .. } => agent.clone(),
                Action::Towards { patient, .. } => self.agents[patient].clone(),
                Action::Upon { thing, colour, .. } => {
                    let parts = self.things[thing].iter().zip(&self.colours[colour]);
                    parts
                        .map(|(thing, colour)| (thing + colour) * 0.5f64.sqrt())
                        .collect()
                }
            };
            // Both are in view at least once, in random order, so that the order says nothing of roles.
            let flip = draws.below(2);
            let view = |row: usize| {
                if (row + flip).is_multiple_of(2) {
                    agent
                } else {
                    &object
                }
            };
            rows.repeat(
                start_s,
                event.duration_s as f64,
                OBJECT_EVERY_S,
                view,
                self.noise,
                draws,
            );
        }
        rows.finish()
    }

    fn audio(&self, latent: &Latent, draws: &mut Draws) -> ExpertFeatures {
        let signal = &self.sounds[latent.sound.unwrap_or(SOUNDS.len())];
        let mut rows = Rows::default();
        rows.repeat(
            0.0,
            duration_s(latent),
            AUDIO_EVERY_S,
            |_| signal,
            self.noise,
            draws,
        );
        rows.finish()
    }

    fn scene(&self, latent: &Latent, draws: &mut Draws) -> ExpertFeatures {
        let mut rows = Rows::default();
        let signal = &self.scenes[latent.scene];
        rows.repeat(
            0.0,
            duration_s(latent),
            SCENE_EVERY_S,
            |_| signal,
            self.noise,
            draws,
        );
        rows.finish()
    }

    /// Three to six words, half of them of the topic.
    fn speech(&self, latent: &Latent, topic: usize, draws: &mut Draws) -> ExpertFeatures {
        let n_topic_words = TOPICS.iter().map(|(_, words)| words.len()).sum::<usize>();
        let per_topic = TOPICS[topic].1.len();
        let n_words = 3 + draws.below(4);
        let about = draws.subset(n_words, n_words.div_ceil(2));
        let rows = (0..n_words)
            .map(|word| match about.contains(&word) {
                true => (topic * per_topic + draws.below(per_topic)) as u32,
                false => (n_topic_words + draws.below(FILLERS.len())) as u32,
            })
            .collect();
        let mut times: Vec<f32> = (0..n_words)
            .map(|_| (draws.unit() * duration_s(latent)) as f32)
            .collect();
        times.sort_by(f32::total_cmp);
        let rows = FeatureRows::Indexed {
            table: Arc::clone(&self.words),
            rows,
        };
        ExpertFeatures {
            rows,
            times_s: Some(times),
        }
    }
}

/// Events with their start in seconds.
fn timed(latent: &Latent) -> impl Iterator<Item = (f64, &Event)> {
    latent.events.iter().scan(0.0, |start_s, event| {
        let start = *start_s;
        *start_s += event.duration_s as f64;
        Some((start, event))
    })
}

fn duration_s(latent: &Latent) -> f64 {
    latent.events.iter().map(|event| event.duration_s).sum::<usize>() as f64
}

/// Rows under construction.
#[derive(Default)]
struct Rows {
    values: Vec<f32>,
    times_s: Vec<f32>,
}

impl Rows {
    /// Adds rows from `start_s` on, the middle of each interval being its time; a last interval that is cut
    /// short counts when at least half of it is left, and there is always one row.
    fn repeat<'a>(
        &mut self,
        start_s: f64,
        duration_s: f64,
        every_s: f64,
        signal: impl Fn(usize) -> &'a Vec<f64>,
        noise: f64,
        draws: &mut Draws,
    ) {
        let n_rows = ((duration_s / every_s + 0.5).floor() as usize).max(1);
        for row in 0..n_rows {
            self.values.extend(
                signal(row)
                    .iter()
                    .map(|value| (value + noise * draws.normal()) as f32),
            );
            self.times_s.push((start_s + (row as f64 + 0.5) * every_s) as f32);
        }
    }

    fn finish(self) -> ExpertFeatures {
        ExpertFeatures {
            rows: FeatureRows::Dense(self.values),
            times_s: Some(self.times_s),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(agent: usize, patient: usize) -> Event {
        Event {
            agent,
            action: Action::Towards { verb: 0, patient },
            duration_s: 3,
        }
    }

    fn latent(events: Vec<Event>) -> Latent {
        Latent {
            scene: 0,
            sound: None,
            topic: None,
            events,
        }
    }

    fn dense(features: &ExpertFeatures) -> &[f32] {
        match &features.rows {
            FeatureRows::Dense(values) => values,
            FeatureRows::Indexed { .. } | FeatureRows::Packed(_) => panic!("dense rows expected"),
        }
    }

    /// Rows of an expert without their order.
    fn bag(features: &ExpertFeatures, dim: usize) -> Vec<Vec<u32>> {
        let rows = dense(features)
            .chunks(dim)
            .map(|row| row.iter().map(|x| x.to_bits()).collect());
        let mut rows: Vec<Vec<u32>> = rows.collect();
        rows.sort();
        rows
    }

    #[test]
    fn without_noise_roles_are_in_the_action_rows_only() {
        let world = World::new(3, 0.0);
        let mut draws = Draws::new(0, "roles", &[]);
        let one = latent(vec![event(0, 1)]);
        let other = latent(vec![event(1, 0)]);
        let object = |latent| {
            bag(
                &world.objects(latent, &mut Draws::new(0, "same", &[])),
                OBJECT_DIM,
            )
        };
        assert_eq!(object(&one), object(&other));
        assert_ne!(
            dense(&world.actions(&one, &mut draws)),
            dense(&world.actions(&other, &mut draws))
        );
    }

    #[test]
    fn without_noise_the_order_of_events_is_in_the_times_only() {
        let world = World::new(3, 0.0);
        let mut draws = Draws::new(0, "order", &[]);
        let one = latent(vec![event(0, 1), event(2, 3)]);
        let other = latent(vec![event(2, 3), event(0, 1)]);
        let (one, other) = (world.actions(&one, &mut draws), world.actions(&other, &mut draws));
        assert_eq!(bag(&one, ACTION_DIM), bag(&other, ACTION_DIM));
        assert_ne!(dense(&one), dense(&other));
        assert_eq!(one.times_s, other.times_s);
    }

    #[test]
    fn agent_and_object_are_both_in_view() {
        let world = World::new(3, 0.0);
        for seed in 0..8 {
            let mut draws = Draws::new(seed, "view", &[]);
            let rows = bag(&world.objects(&latent(vec![event(0, 1)]), &mut draws), OBJECT_DIM);
            assert_eq!(rows.len(), 2);
            assert_ne!(rows[0], rows[1]);
        }
    }

    #[test]
    fn rows_have_the_rate_of_their_expert_and_times_inside_the_video() {
        let world = World::new(3, 0.1);
        let mut draws = Draws::new(0, "rates", &[]);
        let mut video = latent(vec![event(0, 1), event(2, 3), event(4, 5)]);
        video.topic = Some(2);
        let recorded = world.record(&video, 0.0, &mut draws);
        let n_rows: Vec<usize> = recorded
            .iter()
            .flatten()
            .map(|features| features.times_s.as_ref().unwrap().len())
            .collect();
        // 9 s: action 2 rows of each 3 s event, audio and scene over the whole.
        assert_eq!(n_rows[..4], [6, 4, 6, 2]);
        assert!((3..=6).contains(&n_rows[4]));
        for (features, spec) in recorded.iter().flatten().zip(experts()) {
            let times = features.times_s.as_ref().unwrap();
            assert_eq!(features.rows.n_rows(spec.dim), times.len());
            assert!(times.is_sorted() && times.iter().all(|&t| (0.0..10.0).contains(&t)));
        }
    }

    #[test]
    fn a_video_never_loses_everything() {
        let world = World::new(3, 0.1);
        let mut draws = Draws::new(0, "losses", &[]);
        let video = latent(vec![event(0, 1)]);
        let kept = (0..200).map(|_| world.record(&video, 0.9, &mut draws));
        assert!(
            kept.into_iter()
                .all(|experts| experts.iter().any(Option::is_some))
        );
    }
}
