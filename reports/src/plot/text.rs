//! Text in a font that is part of the program: its width, its lines, its pixels.
//!
//! SVG leaves glyphs to its viewer. For pixels we place glyphs ourselves, since plotters' own text drops the
//! space in front of each glyph and lets words run together.

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};

use super::drawing::At;

fn font() -> FontRef<'static> {
    FontRef::try_from_slice(epaint_default_fonts::UBUNTU_LIGHT)
        .expect("the font of epaint_default_fonts is a font")
}

/// The scale at which an em of the font has `em` pixels.
fn scale(font: &FontRef<'_>, em: i32) -> PxScale {
    let units_per_em = font.units_per_em().unwrap_or(1000.0);
    PxScale::from(em as f32 * font.height_unscaled() / units_per_em)
}

/// Width of a line of text in our font, in pixels.
pub(super) fn drawn_width(text: &str, em: i32) -> f32 {
    let font = font();
    let scaled = font.as_scaled(scale(&font, em));
    let ids: Vec<_> = text.chars().map(|c| scaled.glyph_id(c)).collect();
    let kerning: f32 = ids.windows(2).map(|pair| scaled.kern(pair[0], pair[1])).sum();
    ids.iter().map(|&id| scaled.h_advance(id)).sum::<f32>() + kerning
}

/// Calls `pixel` with place and coverage, from 0 to 1, for every pixel of a line of text whose left end on the
/// base line is at the origin; y points down.
pub(super) fn pixels(text: &str, em: i32, mut pixel: impl FnMut(At, f32)) {
    let font = font();
    let scaled = font.as_scaled(scale(&font, em));
    let mut caret = 0.0;
    let mut before = None;
    for c in text.chars() {
        let id = scaled.glyph_id(c);
        caret += before.map_or(0.0, |before| scaled.kern(before, id));
        let glyph = id.with_scale_and_position(scaled.scale(), point(caret, 0.0));
        if let Some(outline) = font.outline_glyph(glyph) {
            let corner = outline.px_bounds().min;
            outline.draw(|x, y, coverage| {
                pixel(
                    (corner.x as i32 + x as i32, corner.y as i32 + y as i32),
                    coverage.min(1.0),
                );
            });
        }
        caret += scaled.h_advance(id);
        before = Some(id);
    }
}

/// Width that a text may take, in pixels: as drawn in our font and a quarter more, since the viewer of an SVG
/// chooses its own; in DejaVu Sans, one of the widest, digits take 22 % more.
pub(super) fn width_of(text: &str, em: i32) -> i32 {
    (drawn_width(text, em) * 1.25).ceil() as i32
}

/// The text, or as much of its two ends as fits, with an ellipsis between.
pub(super) fn shortened(text: &str, em: i32, width: i32) -> String {
    if width_of(text, em) <= width {
        return text.to_owned();
    }
    let chars: Vec<char> = text.chars().collect();
    let keep = |n: usize| {
        let (front, back) = (n.div_ceil(2), n / 2);
        let mut short: String = chars[..front].iter().collect();
        short.push('…');
        short.extend(&chars[chars.len() - back..]);
        short
    };
    let fits = (0..chars.len())
        .rev()
        .map(keep)
        .find(|short| width_of(short, em) <= width);
    fits.unwrap_or_else(|| "…".to_owned())
}

/// The text in lines of at most `width`, broken at blanks; a word that is longer is shortened.
pub(super) fn broken(text: &str, em: i32, width: i32) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        if let Some(line) = lines.last_mut() {
            let longer = format!("{line} {word}");
            if width_of(&longer, em) <= width {
                *line = longer;
                continue;
            }
        }
        lines.push(shortened(word, em, width));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glyphs_keep_the_space_in_front_of_them() {
        let left_of = |text: &str| {
            let mut left = i32::MAX;
            pixels(text, 100, |(x, _), coverage| {
                if coverage > 0.5 {
                    left = left.min(x)
                }
            });
            left
        };
        assert!(left_of("R") > 4, "the stem of R stands right of its origin");
        assert!(left_of(" R") > left_of("R") + 15);
    }

    #[test]
    fn every_sign_that_labels_use_has_a_glyph() {
        let font = font();
        for c in "…±%@=_-+/.,;:()[]·aAzZ09".chars() {
            assert_ne!(font.glyph_id(c).0, 0, "{c}");
        }
    }

    #[test]
    fn long_texts_are_shortened_in_the_middle_and_broken_at_blanks() {
        let short = shortened("a-kernel-with-a-very-long-name/f16", 20, 150);
        assert!(
            short.starts_with("a-ker") && short.ends_with("f16") && short.contains('…'),
            "{short}"
        );
        assert!(width_of(&short, 20) <= 150);
        assert_eq!(shortened("short", 20, 150), "short");
        let lines = broken("one two three four", 20, 100);
        assert!(
            lines.len() > 1 && lines.iter().all(|line| width_of(line, 20) <= 100),
            "{lines:?}"
        );
        assert_eq!(lines.join(" "), "one two three four");
    }
}
