//! Draws the wizard: its steps, the one that is seen, and the command line that does the same.

use std::cmp::Ordering;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::choice::{Place, Row, SWITCHES};
use super::{Planned, Step, Wizard, plan};
use crate::console::action::Action;
use crate::console::screen::{Screen as _, View};
use crate::console::screens::backups::source;
use crate::console::text::{Cut, age, clean, count, fit, time, wrapped};
use crate::console::theme::Role;
use crate::console::widgets::list::ListPane;
use crate::console::widgets::meter;
use crate::console::widgets::sheet::Sheet;

pub(super) fn draw(own: &Wizard, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
    if area.height < 4 || area.width < 12 {
        return;
    }
    frame.render_widget(steps(own, view), Rect { height: 1, ..area });
    let shown = own.command().map(|command| format!("$ {command}"));
    let lines = wrapped(&shown.unwrap_or_default(), usize::from(area.width) - 2);
    let foot = (lines.len() as u16).min(3).min(area.height / 4);
    for (n, line) in lines.iter().take(usize::from(foot)).enumerate() {
        let y = area.bottom() - foot + n as u16;
        let room = usize::from(area.width) - 2;
        let line = clean(line);
        frame
            .buffer_mut()
            .set_stringn(area.x + 1, y, &line, room, view.style(Role::Faint));
    }
    let body = Rect {
        y: area.y + 2,
        height: area.height.saturating_sub(3 + foot),
        ..area
    };
    match own.step {
        Step::What => own.backups.draw(frame, body, view),
        Step::Where => places(own, frame, body, view),
        Step::When => when(own, frame, body, view),
        Step::Objects => objects(own, frame, body, view),
        Step::Plan => planned(own, frame, body, view),
    }
}

fn steps(own: &Wizard, view: &View<'_>) -> Line<'static> {
    let mut spans = vec![Span::raw(" ")];
    for (n, (step, name)) in Step::ALL.iter().enumerate() {
        if n > 0 {
            spans.push(Span::styled(view.glyphs.separator, view.style(Role::Faint)));
        }
        let (text, role) = match step.cmp(&own.step) {
            Ordering::Equal => (format!("[{} {name}]", n + 1), Role::Title),
            Ordering::Less => (format!("{} {} {name}", view.glyphs.ok, n + 1), Role::Good),
            Ordering::Greater => (format!("{} {name}", n + 1), Role::Faint),
        };
        spans.push(Span::styled(text, view.style(role)));
    }
    Line::from(spans)
}

fn inner(area: Rect) -> Rect {
    Rect {
        x: area.x + 1,
        width: area.width.saturating_sub(2),
        ..area
    }
}

fn place(own: &Wizard, place: Place) -> String {
    let source = own.backup.as_ref().map(source).unwrap_or_default();
    match place {
        Place::Beside => format!("a new database beside {source}, which is not touched"),
        Place::Original => format!("into {source} as it is: what is missing there is made"),
        Place::Other => "a database that you name".to_owned(),
        Place::InPlace => {
            format!(
                "in place of {source}: restored beside, proved, then swapped; the old one is kept"
            )
        }
    }
}

fn places(own: &Wizard, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
    let area = inner(area);
    let now = own.choice.row();
    let rows = own.choice.rows();
    let at = rows.iter().position(|row| *row == now).unwrap_or(0);
    // The head goes where there is not room for everything.
    let head = usize::from(usize::from(area.height) > rows.len() + 2) * 2;
    let room = usize::from(area.width);
    if head > 0 {
        let text = "Where does it go? Space chooses, enter goes on.";
        frame
            .buffer_mut()
            .set_stringn(area.x, area.y, text, room, view.style(Role::Faint));
    }
    let height = usize::from(area.height).saturating_sub(head);
    let from = (at + 1).saturating_sub(height);
    for (n, row) in rows.iter().enumerate().skip(from).take(height) {
        let y = area.y + (head + n - from) as u16;
        let label = match row {
            Row::Place(own_place) => {
                let sign = if own.choice.place == *own_place {
                    "(x)"
                } else {
                    "( )"
                };
                format!("{sign} {}", place(own, *own_place))
            }
            Row::Server => {
                let name = own.choice.server.as_deref();
                let name = name.or(own.backup.as_ref().map(|own| own.connection.as_str()));
                format!(
                    "      on connection {} {} {}",
                    view.glyphs.left,
                    clean(name.unwrap_or_default()),
                    view.glyphs.right
                )
            }
            Row::Name => "      named ".to_owned(),
            Row::Switch(n) => {
                let sign = if own.choice.switches[*n] {
                    "[x]"
                } else {
                    "[ ]"
                };
                format!("{sign} {}", SWITCHES[*n])
            }
        };
        let mut style = view.style(Role::Text);
        if n == at {
            style = style.patch(view.style(Role::Selected));
        }
        let text = fit(&clean(&label), room, Cut::End, view.glyphs.ellipsis);
        frame.buffer_mut().set_stringn(area.x, y, text, room, style);
        if *row == Row::Name {
            let skip = 12.min(area.width);
            let line = Rect {
                x: area.x + skip,
                y,
                width: area.width - skip,
                height: 1,
            };
            own.choice.name.draw(frame, line, n == at, view);
            if own.choice.name.is_empty() {
                let text = " (empty: a new name is made up)";
                frame.buffer_mut().set_stringn(
                    line.x + line.width.min(1),
                    y,
                    text,
                    usize::from(line.width.saturating_sub(1)),
                    view.style(Role::Faint),
                );
            }
        }
    }
}

fn when(own: &Wizard, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
    let area = inner(area);
    let mut sheet = Sheet::new(area.width, view);
    if let Some(backup) = &own.backup {
        let moment = backup.point_at.unwrap_or(backup.created_at);
        sheet.text(
            &format!("The state of {} ({})", time(moment), age(moment, view.now)),
            Role::Title,
        );
        sheet.text("", Role::Text);
        sheet.text(
            "What was changed after that moment is not in this backup.",
            Role::Text,
        );
        sheet.text(
            "A moment between two backups cannot be chosen yet: that comes with point-in-time recovery. Another backup can, in the first step.",
            Role::Faint,
        );
        if !backup.is_good() {
            let text = match &backup.failed_rung {
                Some(rung) => format!("A proof of it failed: {}", rung.level),
                None => "It is partial: some objects are not in it".to_owned(),
            };
            sheet.hanging(&format!("{} ", view.glyphs.warning), &text, Role::Warning);
        }
    }
    own.plan_pane.draw(frame, area, &sheet.lines, view);
}

fn objects(own: &Wizard, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
    let head = inner(Rect {
        height: area.height.min(1),
        ..area
    });
    let marked = own.objects.as_ref().map_or(0, |list| list.marks().len());
    let text = match marked {
        0 => "Everything in the backup. Space marks single tables instead, / and * those of a schema.".to_owned(),
        1 => format!("1 table, with what belongs to it{}", renamed(own)),
        more => format!("{} tables, with what belongs to them{}", count(more as u64), renamed(own)),
    };
    let room = usize::from(head.width);
    if let Some((key, field)) = &own.renaming {
        let name = super::named(key).map_or("", |(_, name)| name);
        let asked = fit(
            &format!("Restore {} as: ", clean(name)),
            room / 2,
            Cut::End,
            view.glyphs.ellipsis,
        );
        let used = crate::console::text::width(&asked) as u16;
        frame
            .buffer_mut()
            .set_stringn(head.x, head.y, &asked, room, view.style(Role::Warning));
        let line = Rect {
            x: head.x + used,
            width: head.width.saturating_sub(used),
            ..head
        };
        field.draw(frame, line, true, view);
    } else {
        let role = if marked == 0 {
            Role::Faint
        } else {
            Role::Title
        };
        let text = fit(&text, room, Cut::End, view.glyphs.ellipsis);
        frame
            .buffer_mut()
            .set_stringn(head.x, head.y, text, room, view.style(role));
    }
    let below = Rect {
        y: area.y + area.height.min(1),
        height: area.height.saturating_sub(1),
        ..area
    };
    if let Some(list) = &own.objects {
        ListPane::draw(list, frame, below, view);
    }
}

fn renamed(own: &Wizard) -> String {
    let marks = own.objects.as_ref().map(ListPane::marks);
    let names = own.choice.names.iter();
    let names = names.filter(|(key, _)| marks.is_some_and(|marks| marks.contains(*key)));
    let names: Vec<String> = names
        .filter_map(|(key, new)| Some(format!("{} as {new}", super::named(key)?.1)))
        .collect();
    if names.is_empty() {
        String::new()
    } else {
        clean(&format!("; {}", names.join(", "))).into_owned()
    }
}

fn planned(own: &Wizard, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
    let area = inner(area);
    let mut sheet = Sheet::new(area.width, view);
    match &own.plan {
        Planned::No => {}
        Planned::Asked => sheet.text(
            &format!(
                "{} Looking what is there and what would be done",
                meter::spinner(view)
            ),
            Role::Faint,
        ),
        Planned::Failed(error) => {
            sheet.text(error, Role::Bad);
            sheet.text("Esc goes back to change what was chosen.", Role::Faint);
        }
        Planned::There(plan) => {
            if plan.blockers.is_empty() && !own.started {
                let key = view
                    .key(own.contexts(), Action::Restore)
                    .unwrap_or_default();
                sheet.text(
                    &format!(
                        "Nothing has been done yet. {key} starts it; you are asked once more."
                    ),
                    Role::Title,
                );
            }
            if own.started {
                sheet.text("It was started; g l shows how far it is.", Role::Title);
            }
            plan::describe(plan, &mut sheet, view);
        }
    }
    own.plan_pane.draw(frame, area, &sheet.lines, view);
}
