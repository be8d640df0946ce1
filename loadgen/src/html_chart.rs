//! Line charts as SVG: axes with few and round numbers, an area below the line, nothing else.

use std::fmt::Write;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 250.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 34.0;

/// A mark on an axis: where, from 0 to 1, and what is written there.
pub(crate) type Mark = (f64, String);

/// A chart; all places are from 0 to 1, to the right and upwards.
pub(crate) struct Chart<'a> {
    /// What a reader who does not see it is told.
    pub(crate) label: &'a str,
    pub(crate) color_class: &'a str,
    pub(crate) marks_x: Vec<Mark>,
    pub(crate) marks_y: Vec<Mark>,
    /// The line's points, from left to right.
    pub(crate) points: Vec<(f64, f64)>,
    /// Points that are drawn as such, with what is shown when they are pointed at.
    pub(crate) dots: Vec<(f64, f64, String)>,
}

impl Chart<'_> {
    pub(crate) fn svg(&self) -> String {
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\" class=\"{}\">",
            escaped(self.label),
            self.color_class
        );
        for (place, text) in &self.marks_y {
            let y = y_of(*place);
            push(
                &mut svg,
                format_args!(
                    "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>",
                    WIDTH - RIGHT
                ),
            );
            push(
                &mut svg,
                format_args!(
                    "<text class=\"mark\" text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                    LEFT - 8.0,
                    y + 4.0,
                    escaped(text)
                ),
            );
        }
        for (place, text) in &self.marks_x {
            let x = x_of(*place);
            let base = HEIGHT - BOTTOM;
            push(
                &mut svg,
                format_args!(
                    "<line class=\"tick\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{base:.1}\" y2=\"{:.1}\"/>",
                    base + 5.0
                ),
            );
            push(
                &mut svg,
                format_args!(
                    "<text class=\"mark\" text-anchor=\"middle\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
                    base + 20.0,
                    escaped(text)
                ),
            );
        }
        self.push_line(&mut svg);
        for (x, y, text) in &self.dots {
            push(
                &mut svg,
                format_args!(
                    "<circle class=\"dot\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\"><title>{}</title></circle>",
                    x_of(*x),
                    y_of(*y),
                    escaped(text)
                ),
            );
        }
        svg.push_str("</svg>");
        svg
    }

    fn push_line(&self, svg: &mut String) {
        let (Some(first), Some(last)) = (self.points.first(), self.points.last()) else { return };
        let mut line = String::new();
        for (x, y) in &self.points {
            push(&mut line, format_args!(" {:.1},{:.1}", x_of(*x), y_of(*y)));
        }
        let base = y_of(0.0);
        push(
            svg,
            format_args!(
                "<polygon class=\"area\" points=\"{:.1},{base:.1}{line} {:.1},{base:.1}\"/>",
                x_of(first.0),
                x_of(last.0)
            ),
        );
        push(svg, format_args!("<polyline class=\"line\" points=\"{}\"/>", line.trim_start()));
    }
}

fn x_of(place: f64) -> f64 {
    LEFT + place.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
}

fn y_of(place: f64) -> f64 {
    HEIGHT - BOTTOM - place.clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
}

/// Round numbers from 0 to a little beyond `max`, four to six of them.
pub(crate) fn round_marks(max: f64) -> Vec<f64> {
    let max = if max.is_finite() && max > 0.0 { max } else { 1.0 };
    let rough = max / 5.0;
    let magnitude = 10_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0];
    let step = steps.iter().map(|step| step * magnitude).find(|step| *step >= rough * 0.999);
    let step = step.unwrap_or(10.0 * magnitude);
    let count = (max / step).ceil().max(1.0) as u32;
    (0..=count).map(|index| f64::from(index) * step).collect()
}

/// Writes into a string, which cannot fail.
pub(crate) fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("invariant: a string takes everything");
}

/// Text that stands for itself within markup and attributes.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            // No control character is allowed in markup but these.
            letter if letter.is_control() && !matches!(letter, '\n' | '\t') => safe.push(' '),
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_few_and_round_and_reach_beyond_the_largest_value() {
        for max in [1e-9, 0.3, 1.0, 7.0, 99.0, 100.0, 101.0, 2_203_408.0, 1e18] {
            let marks = round_marks(max);
            assert!((4..=7).contains(&marks.len()), "{max}: {marks:?}");
            assert!(marks[marks.len() - 1] >= max * 0.999_999 && marks[0] == 0.0, "{max}");
        }
        for max in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(round_marks(max).iter().all(|mark| mark.is_finite()));
        }
    }

    #[test]
    fn text_cannot_leave_its_place() {
        assert_eq!(escaped("<a b=\"c\">&\u{1}"), "&lt;a b=&quot;c&quot;&gt;&amp; ");
    }
}
