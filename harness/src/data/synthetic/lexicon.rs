//! The words of the generated world. Every concept has a noun or verb of its own, so that a word can be
//! learnt, and the grammar needs no exceptions.

/// Who acts.
#[rustfmt::skip]
pub(super) const AGENTS: [&str; 16] = [
    "man", "woman", "boy", "girl", "chef", "dancer", "farmer", "nurse", "soldier", "teacher", "dog", "cat",
    "horse", "monkey", "elephant", "robot",
];

/// What is acted on.
#[rustfmt::skip]
pub(super) const THINGS: [&str; 16] = [
    "ball", "box", "cup", "guitar", "ladder", "bicycle", "book", "chair", "drum", "hat", "kite", "lamp",
    "basket", "umbrella", "apple", "blanket",
];

/// Colours of things.
pub(super) const COLOURS: [&str; 6] = ["red", "blue", "green", "yellow", "black", "orange"];

/// Where it happens, as a phrase.
#[rustfmt::skip]
pub(super) const SCENES: [&str; 10] = [
    "in a kitchen", "on a beach", "in a park", "on a street", "in a forest", "in a gym", "on a stage",
    "in an office", "in a garden", "at a market",
];

/// What is heard, as a clause.
pub(super) const SOUNDS: [&str; 6] = [
    "music plays",
    "rain falls",
    "a crowd cheers",
    "traffic roars",
    "bells ring",
    "thunder rolls",
];

/// What is spoken of: the topic as captions name it, and the words that speakers use.
pub(super) const TOPICS: [(&str, [&str; 3]); 8] = [
    ("football", ["goal", "team", "match"]),
    ("cooking", ["recipe", "salt", "oven"]),
    ("travel", ["ticket", "hotel", "train"]),
    ("school", ["lesson", "exam", "pupil"]),
    ("money", ["price", "bank", "coin"]),
    ("health", ["doctor", "sleep", "vitamin"]),
    ("history", ["king", "war", "castle"]),
    ("farming", ["harvest", "tractor", "seed"]),
];

/// Words of every speech, whatever its topic.
pub(super) const FILLERS: [&str; 6] = ["well", "so", "really", "today", "people", "thing"];

/// A verb in the forms that captions need.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verb {
    /// `chases`
    pub(super) third: &'static str,
    /// `chasing`
    pub(super) gerund: &'static str,
    /// `chased`
    pub(super) participle: &'static str,
}

const fn verb(third: &'static str, gerund: &'static str, participle: &'static str) -> Verb {
    Verb {
        third,
        gerund,
        participle,
    }
}

/// Verbs without an object: their participle is not used.
pub(super) const ALONE: [Verb; 8] = [
    verb("jumps", "jumping", "jumped"),
    verb("sleeps", "sleeping", "slept"),
    verb("runs", "running", "run"),
    verb("waves", "waving", "waved"),
    verb("falls", "falling", "fallen"),
    verb("spins", "spinning", "spun"),
    verb("laughs", "laughing", "laughed"),
    verb("kneels", "kneeling", "knelt"),
];

/// Verbs between two agents.
pub(super) const TOWARDS: [Verb; 8] = [
    verb("chases", "chasing", "chased"),
    verb("follows", "following", "followed"),
    verb("pushes", "pushing", "pushed"),
    verb("greets", "greeting", "greeted"),
    verb("feeds", "feeding", "fed"),
    verb("hugs", "hugging", "hugged"),
    verb("films", "filming", "filmed"),
    verb("carries", "carrying", "carried"),
];

/// Verbs that act on a thing.
pub(super) const UPON: [Verb; 8] = [
    verb("lifts", "lifting", "lifted"),
    verb("drops", "dropping", "dropped"),
    verb("throws", "throwing", "thrown"),
    verb("paints", "painting", "painted"),
    verb("washes", "washing", "washed"),
    verb("kicks", "kicking", "kicked"),
    verb("hides", "hiding", "hidden"),
    verb("repairs", "repairing", "repaired"),
];

/// Words that start with a vowel sound take `an`.
pub(super) fn with_article(noun: &str) -> String {
    match noun.starts_with(['a', 'e', 'i', 'o', 'u']) {
        true => format!("an {noun}"),
        false => format!("a {noun}"),
    }
}
