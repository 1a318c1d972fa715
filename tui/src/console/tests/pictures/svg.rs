//! A terminal's picture as SVG.

use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

const CELL: (f32, f32) = (8.4, 18.0);
const PAPER: &str = "#16181d";
const INK: &str = "#d7dae0";

/// The picture, with a sentence that says what it shows.
pub(super) fn of(buffer: &Buffer, title: &str) -> String {
    let (width, height) = (
        f32::from(buffer.area.width) * CELL.0 + 24.0,
        f32::from(buffer.area.height) * CELL.1 + 24.0,
    );
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" \
         aria-label=\"{title}\" font-family=\"ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace\" \
         font-size=\"14\">\n<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{PAPER}\"/>\n"
    );
    for y in 0..buffer.area.height {
        let mut x = 0;
        while x < buffer.area.width {
            let from = x;
            let first = &buffer[(x, y)];
            let mut text = String::new();
            while x < buffer.area.width && alike(first, &buffer[(x, y)]) {
                let symbol = buffer[(x, y)].symbol();
                text.push_str(symbol);
                x += (crate::console::text::width(symbol) as u16).max(1);
            }
            piece(
                &mut svg,
                (from, y, x.min(buffer.area.width) - from),
                first,
                &text,
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn alike(a: &Cell, b: &Cell) -> bool {
    (a.fg, a.bg, a.modifier) == (b.fg, b.bg, b.modifier)
}

fn piece(svg: &mut String, (x, y, cells): (u16, u16, u16), style: &Cell, text: &str) {
    let reversed = style.modifier.contains(Modifier::REVERSED);
    let colour = colour(style.fg);
    let (ink, paper) = if reversed {
        (PAPER, Some(colour))
    } else {
        (colour, None)
    };
    let left = f32::from(x) * CELL.0 + 12.0;
    let top = f32::from(y) * CELL.1 + 12.0;
    let wide = f32::from(cells) * CELL.0;
    if let Some(paper) = paper {
        let _ = writeln!(
            svg,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{wide:.1}\" height=\"{:.1}\" fill=\"{paper}\"/>",
            CELL.1
        );
    }
    if text.trim().is_empty() {
        return;
    }
    let mut more = String::new();
    for (modifier, attribute) in [
        (Modifier::BOLD, " font-weight=\"bold\""),
        (Modifier::DIM, " opacity=\"0.6\""),
        (Modifier::UNDERLINED, " text-decoration=\"underline\""),
    ] {
        if style.modifier.contains(modifier) {
            more.push_str(attribute);
        }
    }
    let safe = text
        .trim_end()
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let _ = writeln!(
        svg,
        "<text x=\"{left:.1}\" y=\"{:.1}\" fill=\"{ink}\" xml:space=\"preserve\"{more}>{safe}</text>",
        top + 13.5
    );
}

fn colour(colour: Color) -> &'static str {
    match colour {
        Color::Green | Color::LightGreen => "#7fc77f",
        Color::Cyan | Color::LightCyan => "#63bfd3",
        Color::Yellow | Color::LightYellow => "#e2c162",
        Color::Red | Color::LightRed => "#e8706e",
        Color::Magenta | Color::LightMagenta => "#c48fd8",
        _ => INK,
    }
}
