//! Where values lie on an axis, and which of them get a label.

use serde_json::Value;

use super::figure::Tick;
use crate::record::value_text;

/// Share of the axis that is left free at either end.
const MARGIN: f64 = 0.06;

/// Places of an axis' values, from 0 to 1, in ascending order of place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Places {
    /// Value, as text, with its place.
    pub(crate) ticks: Vec<Tick>,
    pub(crate) kind: PlaceKind,
    /// Middle between 0 and the first value of a logarithmic scale.
    pub(crate) gap_at: Option<f64>,
}

/// How places follow from values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlaceKind {
    /// Proportional to the logarithm; 0 has a place of its own on the left.
    Log,
    /// Proportional to the value.
    Linear,
    /// Equally spaced numbers, because they differ too little to be told apart otherwise.
    OrdinalNumbers,
    /// Equally spaced, in file order.
    Categories,
}

impl Places {
    /// Chooses places for the values of a suite's axis.
    pub(crate) fn of(values: &[Value]) -> Self {
        let numbers: Option<Vec<f64>> = values.iter().map(Value::as_f64).collect();
        let mut labelled: Vec<(Option<f64>, String)> = values
            .iter()
            .enumerate()
            .map(|(index, value)| (numbers.as_ref().map(|numbers| numbers[index]), value_text(value)))
            .collect();
        labelled.sort_by(|(one, _), (other, _)| one.partial_cmp(other).unwrap_or(std::cmp::Ordering::Equal));
        labelled.dedup_by(|(_, one), (_, other)| one == other);
        let texts: Vec<String> = labelled.iter().map(|(_, text)| text.clone()).collect();
        let sorted: Option<Vec<f64>> = labelled.iter().map(|(number, _)| *number).collect();
        let (kind, raw) = match sorted {
            Some(sorted) => places_of_numbers(&sorted),
            None => (PlaceKind::Categories, ordinal(texts.len())),
        };
        let (low, high) = (
            raw.first().copied().unwrap_or(0.0),
            raw.last().copied().unwrap_or(1.0),
        );
        let place = |raw: f64| {
            if high > low {
                MARGIN + (1.0 - 2.0 * MARGIN) * (raw - low) / (high - low)
            } else {
                0.5
            }
        };
        let ticks: Vec<Tick> = raw
            .iter()
            .zip(texts)
            .map(|(&raw, label)| Tick {
                at: place(raw),
                label,
            })
            .collect();
        let has_zero =
            kind == PlaceKind::Log && ticks.first().is_some_and(|tick| tick.label.parse() == Ok(0.0));
        let gap_at = has_zero.then(|| (ticks[0].at + ticks[1].at) / 2.0);
        Self { ticks, kind, gap_at }
    }

    /// Place of a value of the axis.
    pub(crate) fn place(&self, value: &Value) -> Option<f64> {
        let text = value_text(value);
        self.ticks
            .iter()
            .find(|tick| tick.label == text)
            .map(|tick| tick.at)
    }
}

fn ordinal(n: usize) -> Vec<f64> {
    (0..n).map(|index| index as f64).collect()
}

fn places_of_numbers(sorted: &[f64]) -> (PlaceKind, Vec<f64>) {
    let positive: Vec<f64> = sorted.iter().copied().filter(|&value| value > 0.0).collect();
    let (least, greatest) = (positive.first(), positive.last());
    if let (Some(least), Some(greatest)) = (least, greatest)
        && positive.len() >= 2
        && sorted[0] >= 0.0
        && greatest / least >= 4.0
    {
        let octaves = (greatest / least).log2();
        let zero = -(octaves / 4.0).max(octaves / (positive.len() as f64 - 1.0));
        let place = |&value: &f64| if value > 0.0 { (value / least).log2() } else { zero };
        return (PlaceKind::Log, sorted.iter().map(place).collect());
    }
    let range = sorted.last().unwrap_or(&0.0) - sorted.first().unwrap_or(&0.0);
    let closest = sorted
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .fold(f64::INFINITY, f64::min);
    if closest >= range / 10.0 {
        (PlaceKind::Linear, sorted.to_vec())
    } else {
        (PlaceKind::OrdinalNumbers, ordinal(sorted.len()))
    }
}

/// Round values that cover `low..=high` in about `n` steps: 1, 2, 2.5 or 5 times a power of ten apart.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RoundTicks {
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) values: Vec<f64>,
    decimals: usize,
}

impl RoundTicks {
    /// Widens `low..high` to round values. Equal ends are widened by one unit of the last place shown.
    pub(crate) fn covering(low: f64, high: f64, n: usize) -> Self {
        let span = if high > low {
            high - low
        } else {
            (low.abs() * 0.1).max(1e-3)
        };
        let rough = span / n as f64;
        let magnitude = 10f64.powf(rough.log10().floor());
        let factor = [1.0, 2.0, 2.5, 5.0, 10.0]
            .into_iter()
            .find(|factor| factor * magnitude >= rough * 0.999);
        let step = factor.unwrap_or(10.0) * magnitude;
        let first = (low / step + 1e-9).floor();
        let last = ((low + span) / step - 1e-9).ceil();
        let values: Vec<f64> = (0..=(last - first) as u32)
            .map(|at| (first + f64::from(at)) * step)
            .collect();
        let decimals = (0..9).find(|&decimals| {
            let shift = 10f64.powi(decimals);
            ((step * shift).round() - step * shift).abs() < 1e-6 * step * shift
        });
        Self {
            low: first * step,
            high: last * step,
            values,
            decimals: decimals.unwrap_or(9) as usize,
        }
    }

    /// A tick's label, all with the same decimals.
    pub(crate) fn label(&self, value: f64) -> String {
        let text = format!("{value:.*}", self.decimals);
        if text.trim_start_matches('-').chars().all(|c| c == '0' || c == '.') {
            text.trim_start_matches('-').to_owned()
        } else {
            text
        }
    }

    /// Ticks of a linear x axis that starts at 0 and ends at `end`.
    pub(crate) fn up_to(end: f64) -> Vec<Tick> {
        let ticks = Self::covering(0.0, end, 6);
        let inside = ticks.values.iter().copied().filter(|&value| value <= end);
        inside
            .map(|value| Tick {
                at: value / end,
                label: ticks.label(value),
            })
            .collect()
    }
}

/// Labelled values of a logarithmic axis: 1, 1.5, 2, 3, 5 and 7 times powers of ten, or fewer of them where that would
/// be too many.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LogTicks {
    /// Ascending; the first and the last are the ends of the axis.
    pub(crate) values: Vec<f64>,
}

impl LogTicks {
    /// Widens `low..high`, both above 0, to labelled values; at most about `most` of them.
    pub(crate) fn covering(low: f64, high: f64, most: usize) -> Self {
        let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        let inside = |mantissas: &[f64]| {
            let all: Vec<f64> = (first..=last)
                .flat_map(|decade| {
                    mantissas
                        .iter()
                        .map(move |mantissa| mantissa * 10f64.powi(decade))
                })
                .collect();
            let below = all
                .iter()
                .rposition(|value| *value <= low * (1.0 + 1e-9))
                .unwrap_or(0);
            let above = all
                .iter()
                .position(|value| *value >= high * (1.0 - 1e-9))
                .unwrap_or(all.len() - 1);
            all[below..=above.max(below + 1).min(all.len() - 1)].to_vec()
        };
        let grades = [&[1.0, 1.5, 2.0, 3.0, 5.0, 7.0][..], &[1.0, 2.0, 5.0]];
        let fine = grades.into_iter().map(inside).find(|values| values.len() <= most);
        Self {
            values: fine.unwrap_or_else(|| inside(&[1.0])),
        }
    }

    /// Place of a value on the axis, from 0 to 1.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let (low, high) = (self.values[0], self.values[self.values.len() - 1]);
        (value / low).ln() / (high / low).ln()
    }

    /// `0.05`, `1.5`, `2000`.
    pub(crate) fn label(value: f64) -> String {
        let decimals = (-(value.log10() + 1e-9).floor()).max(0.0) as i32;
        let shifted = value * 10f64.powi(decimals);
        let more = (shifted - shifted.round()).abs() > 1e-6 * shifted;
        format!("{value:.*}", decimals as usize + usize::from(more))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn places(values: &[Value]) -> (PlaceKind, Vec<(String, i64)>) {
        let places = Places::of(values);
        let percent = |tick: &Tick| (tick.label.clone(), (tick.at * 100.0).round() as i64);
        (places.kind, places.ticks.iter().map(percent).collect())
    }

    #[test]
    fn zero_has_a_place_beside_a_logarithmic_scale() {
        let (kind, ticks) = places(&[json!(4096), json!(0), json!(256), json!(1024)]);
        assert_eq!(kind, PlaceKind::Log);
        let expected = [("0", 6), ("256", 35), ("1024", 65), ("4096", 94)];
        assert_eq!(ticks, expected.map(|(label, at)| (label.to_owned(), at)));
        assert!(Places::of(&[json!(0), json!(256), json!(1024)]).gap_at.is_some());
        assert!(Places::of(&[json!(64), json!(256), json!(1024)]).gap_at.is_none());
    }

    #[test]
    fn other_axes() {
        assert_eq!(places(&[json!(0), json!(256)]).0, PlaceKind::Linear);
        assert_eq!(
            places(&[json!(0.9), json!(0.99), json!(0.999)]).0,
            PlaceKind::OrdinalNumbers
        );
        assert_eq!(places(&[json!(-1), json!(0), json!(8)]).0, PlaceKind::Linear);
        let (kind, ticks) = places(&[json!("b"), json!("a")]);
        assert_eq!((kind, ticks[0].0.as_str()), (PlaceKind::Categories, "b"));
        assert_eq!(places(&[json!(7)]).1, [("7".to_owned(), 50)]);
    }

    #[test]
    fn round_ticks_cover_their_range() {
        let ticks = RoundTicks::covering(26.2, 31.9, 5);
        assert_eq!(ticks.values, [26.0, 28.0, 30.0, 32.0]);
        assert_eq!(
            (ticks.low, ticks.high, ticks.label(26.0)),
            (26.0, 32.0, "26".to_owned())
        );
        let ticks = RoundTicks::covering(-0.012, 0.03, 5);
        assert_eq!(ticks.label(ticks.values[1]), "-0.01");
        assert_eq!(ticks.label(-0.0), "0.00");
        for (low, high) in [(0.0, 0.0), (100.0, 100.0), (0.0, 1e-7), (-5.0, 1e6), (0.1, 0.3)] {
            let ticks = RoundTicks::covering(low, high, 5);
            assert!(
                ticks.low <= low && ticks.high >= high && ticks.values.len() >= 2,
                "{low} {high}: {ticks:?}"
            );
            assert!(ticks.values.len() <= 8, "{low} {high}: {ticks:?}");
        }
    }

    #[test]
    fn logarithmic_ticks_cover_their_range() {
        let ticks = LogTicks::covering(0.3, 3.0, 6);
        assert_eq!(
            ticks
                .values
                .iter()
                .map(|value| LogTicks::label(*value))
                .collect::<Vec<_>>(),
            ["0.2", "0.5", "1", "2", "5"]
        );
        assert!((ticks.place(1.0) - (5f64).ln() / (25f64).ln()).abs() < 1e-12);
        assert_eq!(LogTicks::covering(0.02, 900.0, 8).values.len(), 6);
        let near = LogTicks::covering(0.95, 2.1, 6).values;
        assert_eq!(
            near.iter()
                .map(|value| LogTicks::label(*value))
                .collect::<Vec<_>>(),
            ["0.7", "1", "1.5", "2", "3"]
        );
        assert_eq!(
            [0.15, 0.07, 1000.0].map(LogTicks::label),
            ["0.15", "0.07", "1000"]
        );
        for (low, high) in [(1.0, 1.0), (0.99, 1.01), (1e-3, 1e6), (5.0, 5.0), (9.9, 10.1)] {
            let values = LogTicks::covering(low, high, 8).values;
            assert!(
                values.len() > 1 && values[0] <= low && values[values.len() - 1] >= high,
                "{low} {high}: {values:?}"
            );
        }
    }

    #[test]
    fn steps_end_where_training_ended() {
        let ticks = RoundTicks::up_to(300.0);
        assert_eq!(ticks.first().map(|tick| tick.at), Some(0.0));
        assert_eq!(
            ticks.last().map(|tick| (tick.at, tick.label.as_str())),
            Some((1.0, "300"))
        );
    }
}
