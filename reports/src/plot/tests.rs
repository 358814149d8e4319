//! What every plot must hold: texts inside the picture and apart from each other, in SVG and PNG.

use std::path::Path;

use super::drawing::{Anchor, Label, Shape, WIDTH};
use super::figure::Figure;
use super::output::{laid_out, png, svg};
use super::text::width_of;

/// Left, top, right, bottom.
fn extent(label: &Label) -> (i32, i32, i32, i32) {
    let (width, height) = (width_of(&label.text, label.size), label.size);
    let (x, y) = label.at;
    if label.is_upright {
        return (x - height / 2, y - width / 2, x + height / 2, y + width / 2);
    }
    let left = match label.anchor {
        Anchor::Left => x,
        Anchor::Middle => x - width / 2,
        Anchor::Right => x - width,
    };
    (left, y - height / 2, left + width, y + height / 2)
}

fn texts_neither_leave_the_picture_nor_touch(name: &str, figure: &Figure) {
    let drawing = laid_out(figure);
    let labels: Vec<&Label> = drawing
        .shapes
        .iter()
        .filter_map(|shape| match shape {
            Shape::Label(label) => Some(label),
            _ => None,
        })
        .collect();
    for (index, one) in labels.iter().enumerate() {
        let (left, top, right, bottom) = extent(one);
        assert!(
            left >= 0 && right <= WIDTH && top >= 0 && bottom <= drawing.height,
            "{name}: {one:?}"
        );
        for other in &labels[..index] {
            let (l, t, r, b) = extent(other);
            assert!(
                right <= l || r <= left || bottom <= t || b <= top,
                "{name}: {one:?} touches {other:?}"
            );
        }
    }
}

/// Asserts that a figure is readable and that both back ends draw it. Set `HITBENCH_LOOK_AT_PLOTS` to a folder to
/// look at it.
pub(crate) fn check(name: &str, figure: &Figure) {
    texts_neither_leave_the_picture_nor_touch(name, figure);
    let (svg, png) = (svg(figure).unwrap(), png(figure).unwrap());
    assert!(svg.starts_with("<svg") && svg.contains("sans-serif"), "{name}");
    assert!(png.starts_with(b"\x89PNG"), "{name}");
    if let Some(look) = std::env::var_os("HITBENCH_LOOK_AT_PLOTS") {
        let path = Path::new(&look).join(name);
        std::fs::write(path.with_extension("svg"), svg).unwrap();
        std::fs::write(path.with_extension("png"), png).unwrap();
    }
}
