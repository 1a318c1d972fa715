//! Widths and cuts of text, and values as people read them.

use chrono::TimeDelta;

use super::*;

#[test]
fn widths_are_cells() {
    for (text, cells) in [
        ("", 0),
        ("orders", 6),
        ("データ", 6),
        ("été", 3),
        ("e\u{301}te\u{301}", 3),
        ("👩‍👩‍👧", 2),
        ("❤\u{fe0f}", 2),
        ("🇩🇪", 2),
    ] {
        assert_eq!(width(text), cells, "{text}");
    }
}

#[test]
fn what_is_cut_fits_and_stays_whole() {
    let texts = [
        "bck_01JQ8ZK4T0W3M5N7P9R1S2V4X6",
        "データベースのバックアップ",
        "aデbーcタ",
        "e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}",
        "❤\u{fe0f}❤\u{fe0f}❤\u{fe0f}",
        "👩‍👩‍👧👩‍👩‍👧👩‍👩‍👧",
        "x👍🏽y🇩🇪z",
    ];
    for text in texts {
        let letters: Vec<&str> = text.graphemes(true).collect();
        for cut in [Cut::End, Cut::Middle, Cut::Front] {
            for room in 0..=width(text) + 1 {
                let cut_text = fit(text, room, cut, "…");
                assert!(width(&cut_text) <= room, "{text:?} in {room}: {cut_text:?}");
                let rest: Vec<&str> = cut_text.graphemes(true).filter(|own| *own != "…").collect();
                assert!(
                    rest.iter().all(|letter| letters.contains(letter)),
                    "{text:?} in {room}: {cut_text:?}"
                );
                if room >= width(text) {
                    assert_eq!(cut_text, text);
                }
            }
        }
    }
}

#[test]
fn each_kind_of_text_loses_another_part() {
    assert_eq!(fit("orders_of_2026", 8, Cut::End, "…"), "orders_…");
    assert_eq!(fit("orders_of_2026", 8, Cut::Front, "…"), "…of_2026");
    assert_eq!(fit("orders_of_2026", 8, Cut::Middle, "…"), "orde…026");
    // Half a letter is none.
    assert_eq!(fit("データ", 4, Cut::End, "…"), "デ…");
    assert_eq!(fit("データ", 4, Cut::Front, "…"), "…タ");
    assert_eq!(fit("データ", 0, Cut::End, "…"), "");
}

#[test]
fn the_end_begins_with_a_whole_letter() {
    assert_eq!(without_head("orders", 2), ("ders", 2));
    assert_eq!(without_head("データ", 1), ("ータ", 2));
    assert_eq!(without_head("👩‍👩‍👧x", 1), ("x", 2));
    assert_eq!(without_head("é", 9), ("", 1));
}

#[test]
fn ages_are_one_unit() {
    let now = crate::console::tests::noon();
    let before = |seconds| age(now - TimeDelta::seconds(seconds), now);
    assert_eq!(before(0), "now");
    assert_eq!(before(4), "now");
    assert_eq!(before(42), "42s");
    assert_eq!(before(119), "119s");
    assert_eq!(before(120), "2m");
    assert_eq!(before(7_200), "2h");
    assert_eq!(before(172_800), "2d");
    assert_eq!(before(-600), "in 10m");
    assert_eq!(before(800 * 86_400), "2y");
}

#[test]
fn words_are_as_a_shell_takes_them() {
    assert_eq!(shell("shop/orders@latest"), "shop/orders@latest");
    assert_eq!(shell("it's"), r"'it'\''s'");
    assert_eq!(shell(""), "''");
    assert_eq!(shell("$(rm -rf /)"), "'$(rm -rf /)'");
}
