//! What a plot shows, before it is laid out: values in the units of their axes.

/// A figure with its file name and a text for readers who cannot see it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Named {
    /// File name without its extension.
    pub(crate) stem: String,
    /// What the figure shows.
    pub(crate) alt: String,
    pub(crate) figure: Figure,
}

/// A plot.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Figure {
    /// Lines over a shared x axis, in one panel or several above each other.
    Lines(LineFigure),
    /// Horizontal bars with intervals around what nothing would be.
    Bars(BarFigure),
    /// Horizontal bars with intervals, several in a group.
    Groups(GroupFigure),
    /// Kernels below what the machine does at most.
    Roofline(RooflineFigure),
}

/// Lines over a shared x axis.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LineFigure {
    pub(crate) title: String,
    /// What was averaged and what the spread is.
    pub(crate) subtitle: String,
    pub(crate) x: XAxis,
    pub(crate) y_label: String,
    /// Limits that no value can pass, such as 0 to 100 per cent.
    pub(crate) y_limits: (f64, f64),
    /// Whether the axis must start at the lower limit.
    pub(crate) y_from_limit: bool,
    /// Whether every panel has the same y range.
    pub(crate) y_shared: bool,
    /// Names in the order of colours and markers, every line's among them, so that lines look alike in all figures that
    /// have the same names.
    pub(crate) names: Vec<String>,
    pub(crate) panels: Vec<Panel>,
}

/// One panel: lines that share axes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Panel {
    /// What is the same for all its lines, where there are several panels.
    pub(crate) heading: Option<String>,
    pub(crate) series: Vec<Series>,
}

impl Panel {
    /// Names of all lines, in order of first use.
    pub(crate) fn names(panels: &[Self]) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for series in panels.iter().flat_map(|panel| &panel.series) {
            if !names.contains(&series.name) {
                names.push(series.name.clone());
            }
        }
        names
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    pub(crate) name: String,
    /// By ascending x; `None` where there is no value, which interrupts the line.
    pub(crate) points: Vec<Option<Point>>,
}

/// A mean over seeds with the least and the greatest seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    /// Place on the x axis, from 0 to 1.
    pub(crate) x: f64,
    pub(crate) mean: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

/// The x axis.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct XAxis {
    pub(crate) label: String,
    pub(crate) ticks: Vec<Tick>,
    /// Where the axis is interrupted, because 0 stands beside a logarithmic scale.
    pub(crate) gap_at: Option<f64>,
    /// Whether points between two places mean something, so that lines may join them.
    pub(crate) is_continuous: bool,
    /// Whether points are many and close, so that spread is a band rather than whiskers.
    pub(crate) is_dense: bool,
}

/// A labelled place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tick {
    /// From 0 to 1.
    pub(crate) at: f64,
    pub(crate) label: String,
}

/// Differences or ratios to a reference.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BarFigure {
    pub(crate) title: String,
    pub(crate) subtitle: String,
    pub(crate) x_label: String,
    pub(crate) scale: BarScale,
    /// What the colours of improved, regressed and inconclusive bars mean.
    pub(crate) words: [&'static str; 3],
    pub(crate) bars: Vec<Bar>,
}

/// Where bars begin, and how their length follows from a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BarScale {
    /// Differences: from 0, proportional to the value.
    Difference,
    /// Ratios above 0: from 1, proportional to the logarithm.
    Ratio,
}

/// One difference or ratio with its interval.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// The numbers in words, printed beside the bar.
    pub(crate) note: String,
    pub(crate) verdict: crate::record::Verdict,
}

/// Bars in groups: the same names in every group, each with a colour of its own.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GroupFigure {
    pub(crate) title: String,
    pub(crate) subtitle: String,
    pub(crate) x_label: String,
    pub(crate) scale: BarScale,
    /// What the colours mean; a bar has the place of its name.
    pub(crate) names: Vec<String>,
    pub(crate) groups: Vec<Group>,
}

/// The bars of one thing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Group {
    pub(crate) label: String,
    pub(crate) bars: Vec<GroupBar>,
}

/// One bar of a group with its interval.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GroupBar {
    /// Place among the figure's names.
    pub(crate) name: usize,
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// The numbers in words, printed beside the bar.
    pub(crate) note: String,
}

/// Operations a second over operations a byte, both logarithmic, below the roofs of the machines.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RooflineFigure {
    pub(crate) title: String,
    pub(crate) subtitle: String,
    /// Names in the order of colours and markers: every point's look, and every roof's name where there are several.
    pub(crate) names: Vec<String>,
    /// One a machine, at least one.
    pub(crate) roofs: Vec<Roof>,
    pub(crate) points: Vec<RooflinePoint>,
}

/// What one machine does at most.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Roof {
    /// Its name; where there are several, they share colours with the points of the same look.
    pub(crate) name: String,
    /// The flat roof, in GFLOP/s.
    pub(crate) fma_gflops: f64,
    /// The rising roof, in GB/s.
    pub(crate) copy_gbytes: f64,
}

/// One kernel at one shape.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RooflinePoint {
    /// Points of the same look share colour and marker: the kernel with what tells it apart, or where there are several
    /// roofs the machine.
    pub(crate) look: String,
    /// Kernel, shape and rate in words, for the key below the plot.
    pub(crate) label: String,
    /// Floating-point operations a byte.
    pub(crate) intensity: f64,
    pub(crate) gflops: f64,
}
