//! How every screen looks, at every size that matters, and that none breaks at any other.

use std::fmt::Write as _;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};

use super::answers::filled;
use super::{Answers, Bench, settings, text_of};
use crate::console::glyph::ASCII;
use crate::console::theme::Theme;
use crate::console::{Named, Settings};

/// Each by the keys that lead there. A new screen is a line here.
const SCREENS: &[(&str, &str)] = &[
    ("overview", "1"),
    ("backups", "3"),
    ("backups_marked", "3 j space space j"),
    ("backups_filtered", "3 / \"crm !partial\""),
    ("backups_delete", "3 j space space D"),
    ("backup", "3 enter"),
    ("objects", "3 o"),
    ("compare", "3 space space ="),
    ("restore", "3 R"),
    ("runs", "4"),
    ("run", "4 enter"),
    ("log", "4 l"),
    ("runs_cancel", "4 x"),
    ("contexts", "0"),
    ("help", "3 ?"),
    ("keys", "K"),
    ("palette", "3 : \"re\""),
    ("messages", "3 v m"),
];

const SIZES: &[(u16, u16)] = &[(60, 16), (80, 24), (120, 36), (200, 50)];

fn contexts() -> Settings {
    let named = |name: &str| Named {
        name: name.to_owned(),
        flags: String::new(),
        read_only: false,
    };
    Settings {
        contexts: vec![named("lab"), named("prod-db1")],
        ..settings()
    }
}

fn at(way: &str, settings: Settings) -> Bench {
    let mut bench = Bench::with(settings, filled(450, 60));
    bench.drawn(80, 24);
    bench.press(way);
    bench
}

/// Which cells are drawn how: R reversed, B bold, U underlined, D dim.
fn shapes(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in 0..buffer.area.height {
        let line: String = (0..buffer.area.width)
            .map(|x| {
                let own = buffer[(x, y)].modifier;
                let all = [
                    (Modifier::REVERSED, 'R'),
                    (Modifier::BOLD, 'B'),
                    (Modifier::UNDERLINED, 'U'),
                    (Modifier::DIM, 'D'),
                ];
                let sign = all.iter().find(|(modifier, _)| own.contains(*modifier));
                sign.map_or(' ', |(_, sign)| *sign)
            })
            .collect();
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

#[test]
fn every_screen_looks_as_it_did() {
    for (name, way) in SCREENS {
        let mut all = String::new();
        for (width, height) in SIZES {
            let picture = at(way, contexts()).text(*width, *height);
            let _ = write!(all, "--- {width}x{height}\n{picture}");
        }
        let ascii = Settings {
            glyphs: ASCII,
            theme: Theme::Mono,
            ..contexts()
        };
        let drawn = at(way, ascii).drawn(80, 24);
        let _ = write!(all, "--- ascii 80x24\n{}", text_of(&drawn));
        let _ = write!(all, "--- mono 80x24\n{}", shapes(&drawn));
        insta::assert_snapshot!(*name, all);
    }
}

#[test]
fn plain_terminals_get_plain_signs_and_no_colour() {
    let plain = Settings {
        glyphs: ASCII,
        theme: Theme::Mono,
        ..contexts()
    };
    for (name, way) in SCREENS {
        let bench = at(way, plain.clone());
        for (width, height) in SIZES {
            for cell in bench.drawn(*width, *height).content() {
                // Names are as they are; what the console puts around them is not.
                let sign = cell.symbol();
                let ours = sign.is_ascii() || "データベースété".contains(sign);
                assert!(ours, "{name}: {sign:?}");
                assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset), "{name}");
            }
        }
    }
}

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u16) -> u16 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        ((self.0 >> 33) % u64::from(sides)) as u16
    }
}

#[test]
fn no_size_breaks_a_screen() {
    let mut dice = Dice(7);
    for (name, way) in SCREENS {
        for answers in [filled(450, 60), filled(0, 0), Answers::examples(), broken()] {
            let mut bench = Bench::with(contexts(), answers);
            bench.press(way);
            // The screen and its layers by themselves, as small as a terminal can be.
            for width in 0..=12 {
                for height in 0..=8 {
                    draw_in(&bench, Rect::new(1, 1, width, height));
                }
            }
            for _ in 0..5 {
                let (width, height) = (dice.roll(260), dice.roll(90));
                let text = bench.text(width.max(1), height.max(1));
                assert!(!text.is_empty(), "{name}");
                draw_in(&bench, Rect::new(0, 0, width, height));
            }
        }
    }
}

/// Draws only the screen and what lies over it, in that part of a terminal.
fn draw_in(bench: &Bench, area: Rect) {
    let backend = TestBackend::new(area.right().max(1), area.bottom().max(1));
    let mut terminal = Terminal::new(backend).unwrap();
    terminal
        .draw(|frame| {
            let view = bench.app.view();
            bench.app.trail.now().screen.draw(frame, area, &view);
            for layer in &bench.app.layers {
                layer.screen.draw(frame, area, &view);
            }
        })
        .unwrap();
}

fn broken() -> Answers {
    Answers::examples().failing(
        "/api/v1",
        backstay_engine::Code::Internal,
        "It broke, and says so at length, in more words than fit into one line of a small terminal",
    )
}

/// A picture as SVG: what README shows.
mod svg;

#[test]
fn the_pictures_in_the_documents_are_as_it_looks() {
    for (name, way, title) in PICTURES {
        let drawn = at(way, contexts()).drawn(100, 26);
        super::is_generated(
            &format!("assets/docs/console-{name}.svg"),
            &svg::of(&drawn, title),
        );
    }
}

/// What README shows.
const PICTURES: &[(&str, &str, &str)] = &[
    (
        "backups",
        "3 j space space j",
        "The console: backups, two of them marked",
    ),
    ("runs", "4", "The console: runs, two of them going on"),
];

#[test]
fn what_holds_together_is_checked_together() {
    let more = ["2", "5", "6", "6 u", "7", "8", "9"];
    let ways = SCREENS.iter().map(|(_, way)| *way);
    for way in ways.chain(more) {
        let held = at(way, contexts()).app.contexts();
        for (n, near) in held.iter().enumerate() {
            for far in &held[n + 1..] {
                assert!(near.over().contains(far), "{way}: {near:?}, {far:?}");
            }
        }
    }
}
