//! Numbers with their units, at the precision that a measurement carries.

use super::ratio::Ratio;

/// A unit and how many of the base unit it holds.
pub(crate) type Unit = (&'static str, f64);

/// `12.34` for four digits of 12.3412; never fewer digits than stand before the point.
pub(crate) fn significant(value: f64, digits: i32) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let decimals = (digits - 1 - value.abs().log10().floor() as i32).max(0) as usize;
    format!("{value:.decimals$}")
}

/// The unit of time in which the least of some times, in nanoseconds, is at least 1.
pub(crate) fn time_unit(least_ns: f64) -> Unit {
    let units = [("s", 1e9), ("ms", 1e6), ("µs", 1e3)];
    units
        .into_iter()
        .find(|(_, ns)| least_ns >= *ns)
        .unwrap_or(("ns", 1.0))
}

/// The prefix with which the greatest of some numbers is at least 1: `G `, `M `, `k ` or none.
pub(crate) fn prefix(greatest: f64) -> Unit {
    let prefixes = [("G ", 1e9), ("M ", 1e6), ("k ", 1e3)];
    prefixes
        .into_iter()
        .find(|(_, scale)| greatest >= *scale)
        .unwrap_or(("", 1.0))
}

/// `12.34 ±0.05`: a median and its deviation with the decimals of four digits of the median.
pub(crate) fn with_deviation(median: f64, deviation: f64) -> String {
    let median = significant(median, 4);
    let decimals = median.split_once('.').map_or(0, |(_, digits)| digits.len());
    format!("{median} ±{deviation:.decimals$}")
}

/// `3.21x [3.10, 3.35]`.
pub(crate) fn ratio_text(ratio: Ratio) -> String {
    let value = significant(ratio.value, 3);
    match ratio.range {
        Some([low, high]) => format!("{value}x [{}, {}]", significant(low, 3), significant(high, 3)),
        None => format!("{value}x"),
    }
}

/// `50.0` for a share of 0.5.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1}", share * 100.0)
}

/// `1.2e-7`, and `0` for exactly nothing.
pub(crate) fn error_text(error: f64) -> String {
    if error == 0.0 {
        "0".to_owned()
    } else {
        format!("{error:.1e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_follow_the_size() {
        let texts = [0.012_345, 1.234_5, 12.345_1, 123.45, 12_345.6, 0.0].map(|value| significant(value, 4));
        assert_eq!(texts, ["0.01235", "1.234", "12.35", "123.5", "12346", "0"]);
        assert_eq!(with_deviation(12.341, 0.057), "12.34 ±0.06");
        assert_eq!(with_deviation(12_340.0, 3.7), "12340 ±4");
        assert_eq!(
            [1.2e-7, 0.0, 0.031].map(error_text),
            ["1.2e-7", "0", "3.1e-2"].map(str::to_owned)
        );
    }

    #[test]
    fn units_keep_the_number_above_one() {
        let names = [999.0, 1e3, 2e7, 3e9].map(|ns| time_unit(ns).0);
        assert_eq!(names, ["ns", "µs", "ms", "s"]);
        assert_eq!(
            [999.0, 1e3, 2e7, 3e9].map(|n| prefix(n).0),
            ["", "k ", "M ", "G "]
        );
    }

    #[test]
    fn ratios_show_their_range() {
        let ratio = |range| Ratio { value: 3.2149, range };
        assert_eq!(ratio_text(ratio(Some([0.987, 12.34]))), "3.21x [0.987, 12.3]");
        assert_eq!(ratio_text(ratio(None)), "3.21x");
    }
}
