//! Draws the phone on a screen of any size.

use chrono::NaiveDateTime;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Paragraph};

use super::bubble::{self, BAD, BubbleContext, DIM};
use super::editor::Editor;
use super::handset::{Ask, Drawn, Handset, Mode, Pick};
use super::wrap::{cut, fold, width, wrap};
use crate::cli::text;
use crate::domain::{Channel, Timestamp, segments};

/// The narrowest screen that shows anything useful.
const COLUMNS_MIN: u16 = 34;
const ROWS_MIN: u16 = 10;
/// The widest layout, so that both sides of a conversation are seen at once.
const COLUMNS_MAX: u16 = 110;
/// The most rows for the text being written.
const WRITING_ROWS_MAX: usize = 5;
const LIST_ROWS_MAX: usize = 12;

const BAR: Style = Style::new().fg(Color::Indexed(252)).bg(Color::Indexed(236));
const TITLE: Style = Style::new().add_modifier(Modifier::BOLD);
const NOTE: Style = Style::new().fg(Color::Indexed(220));

/// Draws the whole screen and returns which part of the conversation it shows. `local` converts an instant to local
/// time.
pub fn draw(frame: &mut Frame<'_>, phone: &Handset, local: fn(Timestamp) -> NaiveDateTime) -> Drawn {
    let whole = frame.area();
    if whole.width < COLUMNS_MIN || whole.height < ROWS_MIN {
        let text = format!("The phone needs {COLUMNS_MIN} columns and {ROWS_MIN} rows. ^C quits.");
        frame.render_widget(Paragraph::new(text).wrap(Default::default()), whole);
        return phone.drawn.clone();
    }
    let wide = whole.width.min(COLUMNS_MAX);
    let area = Rect { x: whole.x + (whole.width - wide) / 2, width: wide, ..whole };
    let notes = notes(phone, usize::from(wide));
    let writing = fold(phone.editor.text(), usize::from(wide) - 4).len().clamp(1, WRITING_ROWS_MAX) as u16;
    let [top, chats, talk, note, write, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(notes.len() as u16),
        Constraint::Length(writing + 2),
        Constraint::Length(1),
    ])
    .areas(area);
    customers(frame, phone, top);
    businesses(frame, phone, chats);
    let drawn = conversation(frame, phone, talk, local);
    frame.render_widget(Paragraph::new(notes), note);
    composer(frame, phone, write);
    help_line(frame, phone, keys);
    match &phone.mode {
        Mode::Pick(what, at) => list(frame, phone, *what, *at, area),
        Mode::Ask { what, editor, wrong } => question(frame, *what, editor, wrong.as_deref(), area),
        Mode::Help => help(frame, area),
        Mode::Write | Mode::Select(_) => {}
    }
    drawn
}

/// A tab for each customer number.
fn customers(frame: &mut Frame<'_>, phone: &Handset, area: Rect) {
    let label = |at: usize| {
        let customer = &phone.customers[at];
        let name = if customer.name.is_empty() { String::new() } else { format!(" {}", cut(&customer.name, 16)) };
        format!(" {}{name}{} ", customer.number, badge(phone.unread_of(at)))
    };
    let tabs = (0..phone.customers.len()).map(|at| (label(at), at == phone.customer));
    let on = Style::new().fg(Color::Indexed(16)).bg(Color::Indexed(252)).add_modifier(Modifier::BOLD);
    let state = if phone.away { ("○ away ", NOTE) } else { ("● on ", Style::new().fg(Color::Indexed(114))) };
    bar(frame, area, " You are ", tabs, on, Span::styled(state.0, state.1));
}

/// A tab for each number and channel of the business.
fn businesses(frame: &mut Frame<'_>, phone: &Handset, area: Rect) {
    let tabs = phone.chats.iter().enumerate().map(|(at, chat)| {
        let label = if chat.label.is_empty() { String::new() } else { format!(" {}", cut(&chat.label, 20)) };
        let unread = badge(phone.unread_in(chat));
        let text = format!(" {}{label} {}{unread} ", chat.channel.spec().label, cut(&chat.number, 24));
        (text, at == phone.chat)
    });
    let channel = phone.now().map_or(Channel::Sms, |chat| chat.channel);
    let on = Style::new().fg(Color::Indexed(255)).bg(bubble::colour(channel)).add_modifier(Modifier::BOLD);
    bar(frame, area, " Writing to ", tabs, on, Span::raw(""));
}

fn badge(unread: usize) -> String {
    if unread == 0 { String::new() } else { format!(" ●{unread}") }
}

/// A row of tabs. Where they do not fit, the row starts with the active one.
fn bar(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &'static str,
    tabs: impl Iterator<Item = (String, bool)>,
    on: Style,
    end: Span<'static>,
) {
    let tabs: Vec<_> = tabs.collect();
    let room = usize::from(area.width).saturating_sub(width(title) + end.width());
    let all: usize = tabs.iter().map(|(text, _)| width(text)).sum();
    let first = if all <= room { 0 } else { tabs.iter().position(|(_, is_on)| *is_on).unwrap_or_default() };
    let mut spans = vec![Span::raw(title)];
    let mut left = room;
    for (text, is_on) in tabs.iter().skip(first) {
        let text = cut(text, left);
        left -= width(&text).min(left);
        spans.push(Span::styled(text, if *is_on { on } else { Style::new() }));
        if left == 0 {
            break;
        }
    }
    spans.extend([Span::raw(" ".repeat(left)), end]);
    frame.render_widget(Paragraph::new(Line::from(spans)).style(BAR), area);
}

fn conversation(frame: &mut Frame<'_>, phone: &Handset, area: Rect, local: fn(Timestamp) -> NaiveDateTime) -> Drawn {
    let columns = usize::from(area.width);
    let chosen = if let Mode::Select(id) = phone.mode { Some(id) } else { None };
    // Each row with the id of its message.
    let mut rows: Vec<(Option<u64>, Line<'static>)> = Vec::new();
    let mut day = None;
    for entry in phone.entries() {
        let at = local(entry.at);
        if day.replace(at.date()) != Some(at.date()) {
            let text = at.format("─── %a %-d %b %Y ───").to_string();
            rows.push((None, Line::styled(text, DIM).centered()));
        }
        let around = BubbleContext { quoted: phone.answered_by(entry), chosen: chosen == Some(entry.id), at };
        rows.extend(bubble::rows(entry, &around, columns).into_iter().map(|row| (Some(entry.id), row)));
        rows.push((None, Line::default()));
    }
    if rows.is_empty() {
        welcome(frame, phone, area);
        return Drawn { page: usize::from(area.height), ..Drawn::default() };
    }
    let page = usize::from(area.height);
    let below = below(&phone.drawn, &rows, page, chosen);
    let end = rows.len() - below;
    let shown = &rows[end.saturating_sub(page)..end];
    // A short conversation stands at the bottom, beside the text being written.
    let lines: Vec<Line<'static>> = shown.iter().map(|(_, line)| line.clone()).collect();
    let free = area.height - lines.len() as u16;
    let filled = Rect { y: area.y + free, height: area.height - free, ..area };
    frame.render_widget(Paragraph::new(lines), filled);
    if below > 0 {
        let more = format!(" ▼ {below} more rows, PgDn ");
        let wide = (width(&more) as u16).min(area.width);
        let at = Rect { x: area.right() - wide, y: area.bottom() - 1, width: wide, height: 1 };
        frame.render_widget(Paragraph::new(more).style(NOTE.add_modifier(Modifier::REVERSED)), at);
    }
    let mut visible: Vec<u64> = shown.iter().filter_map(|(id, _)| *id).collect();
    visible.dedup();
    Drawn { page, rows: rows.len(), below, visible }
}

/// The number of rows below the screen: as many as before and the new ones, but the chosen message stays visible.
fn below(before: &Drawn, rows: &[(Option<u64>, Line<'_>)], page: usize, chosen: Option<u64>) -> usize {
    let grown = rows.len().saturating_sub(before.rows);
    let mut below = if before.below == 0 { 0 } else { before.below + grown };
    if let Some(last) = rows.iter().rposition(|(id, _)| chosen.is_some() && *id == chosen) {
        let first = rows.iter().position(|(id, _)| *id == chosen).unwrap_or(last);
        let (under_last, under_first) = (rows.len() - 1 - last, rows.len() - first);
        below = below.min(under_last).max(under_first.saturating_sub(page));
    }
    below.min(rows.len().saturating_sub(page))
}

fn welcome(frame: &mut Frame<'_>, phone: &Handset, area: Rect) {
    let me = &phone.me().number;
    let mut lines =
        vec![Line::styled("☎  Your phone", TITLE), Line::default(), Line::raw(format!("You are the customer {me}."))];
    match phone.now() {
        Some(chat) => {
            let whom = if chat.label.is_empty() { "the business".to_owned() } else { cut(&chat.label, 30) };
            lines.push(Line::raw(format!("What you write reaches {whom} by {};", chat.channel.spec().label)));
            lines.push(Line::raw("what its rules answer appears here."));
            lines.push(Line::default());
            lines.push(Line::from(vec![
                Span::raw("Type "),
                Span::styled("HOLA", TITLE),
                Span::raw(" and press "),
                Span::styled("Enter", TITLE),
                Span::raw("."),
            ]));
            lines.push(Line::styled("✓ on its way   ✓✓ arrived   ✗ not, and why", DIM));
            lines.push(Line::styled("Why an answer came, or none: recado explain last", DIM));
            if !chat.has_webhook {
                lines.push(Line::styled("Nobody has told the carrier where to bring messages to this number.", NOTE));
            }
        }
        None => lines.push(Line::styled("The carrier has no number to write to yet.", NOTE)),
    }
    let top = area.height.saturating_sub(lines.len() as u16) / 2;
    let middle = Rect { y: area.y + top, height: area.height - top, ..area };
    frame.render_widget(Paragraph::new(lines).centered(), middle);
}

/// The lines between the conversation and the text being written.
fn notes(phone: &Handset, columns: usize) -> Vec<Line<'static>> {
    let mut notes = Vec::new();
    let room = columns.saturating_sub(2);
    if phone.away {
        let text = "○ The server is away. What you send is kept and goes when it is back.";
        notes.push(Line::styled(format!(" {}", cut(text, room)), NOTE));
    }
    if phone.opted_out() {
        let text = "You said STOP: the business may not write to you. ^S sends START.";
        notes.push(Line::styled(format!(" {}", cut(text, room)), BAD));
    }
    if let Some(notice) = &phone.notice {
        notes.push(Line::styled(format!(" {}", cut(notice, room)), NOTE));
    }
    if let Some(entry) = phone.reply.and_then(|id| phone.entry(id)) {
        let text = format!("↩ replying to: {}", bubble::summary(entry));
        notes.push(Line::styled(format!(" {}", cut(&text, room)), DIM));
    }
    for url in phone.media.iter().take(3) {
        notes.push(Line::styled(format!(" {}", cut(&format!("📎 {url}"), room)), DIM));
    }
    if phone.media.len() > 3 {
        notes.push(Line::styled(format!(" 📎 and {} more", phone.media.len() - 3), DIM));
    }
    notes
}

fn composer(frame: &mut Frame<'_>, phone: &Handset, area: Rect) {
    let text = phone.editor.text();
    let colour = phone.now().map_or(Color::Indexed(244), |chat| bubble::colour(chat.channel));
    let mut block = Block::bordered().border_type(BorderType::Rounded).border_style(Style::new().fg(colour));
    if !text.is_empty() {
        block = block.title_bottom(Line::styled(format!(" {} ", size(phone, text)), DIM).right_aligned());
    }
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    if text.is_empty() {
        let hint =
            if phone.media.is_empty() { "Write a message …" } else { "Write something to it, or press Enter …" };
        frame.render_widget(Paragraph::new(Line::styled(hint, DIM)), inner);
    }
    let writes = matches!(phone.mode, Mode::Write);
    write_in(frame, &phone.editor, inner, writes);
}

/// The text being written, with its cursor.
fn write_in(frame: &mut Frame<'_>, editor: &Editor, area: Rect, cursor: bool) {
    let (columns, rows) = (usize::from(area.width), usize::from(area.height));
    if rows == 0 {
        return;
    }
    let lines = fold(editor.text(), columns);
    let before = fold(editor.before(), columns);
    let (mut row, mut column) = (before.len() - 1, before.last().map_or(0, |line| width(line)));
    if column >= columns {
        (row, column) = (row + 1, 0);
    }
    let first = (row + 1).saturating_sub(rows);
    let shown: Vec<Line<'static>> = lines.into_iter().skip(first).take(rows).map(Line::raw).collect();
    if !editor.is_empty() {
        frame.render_widget(Paragraph::new(shown), area);
    }
    if cursor {
        frame.set_cursor_position((area.x + column as u16, area.y + (row - first) as u16));
    }
}

fn size(phone: &Handset, text: &str) -> String {
    let letters = text.chars().count();
    match phone.now().map(|chat| chat.channel) {
        Some(Channel::Sms) => {
            let count = segments::count(text);
            let alphabet = match count.encoding {
                segments::Encoding::Gsm7 => "GSM-7",
                segments::Encoding::Ucs2 => "UCS-2",
            };
            let plural = if count.segments == 1 { "" } else { "s" };
            format!("{letters} letters, {} segment{plural}, {alphabet}", count.segments)
        }
        _ => format!("{letters} letters"),
    }
}

/// As many key hints as fit; those for help and for quitting always do.
fn help_line(frame: &mut Frame<'_>, phone: &Handset, area: Rect) {
    let always = match phone.mode {
        Mode::Write => vec![("F1", "help"), ("^C", "quit")],
        _ => vec![("^C", "quit")],
    };
    let wide = |(key, does): &(&str, &str)| width(key) + width(does) + 3;
    let mut left = usize::from(area.width).saturating_sub(always.iter().map(wide).sum::<usize>() + 1);
    let mut keys = phone.keys();
    keys.retain(|key| {
        let fits = wide(key) <= left;
        left = if fits { left - wide(key) } else { 0 };
        fits
    });
    let mut spans = vec![Span::raw(" ")];
    for (key, does) in keys.into_iter().chain(always) {
        spans.push(Span::styled(key, TITLE));
        spans.push(Span::raw(format!(" {does}  ")));
    }
    frame.render_widget(Paragraph::new(Line::from(spans)).style(BAR), area);
}

/// A box with so many rows inside, in the middle of the screen.
fn window(frame: &mut Frame<'_>, area: Rect, title: &str, columns: usize, rows: usize) -> Rect {
    let wide = (columns as u16 + 4).min(area.width.saturating_sub(2));
    let high = (rows as u16 + 2).min(area.height.saturating_sub(2));
    let at =
        Rect { x: area.x + (area.width - wide) / 2, y: area.y + (area.height - high) / 2, width: wide, height: high };
    let block = Block::bordered().border_type(BorderType::Rounded).title(Line::styled(format!(" {title} "), TITLE));
    let inner = block.inner(at);
    frame.render_widget(Clear, at);
    frame.render_widget(block, at);
    Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }
}

fn list(frame: &mut Frame<'_>, phone: &Handset, what: Pick, at: usize, area: Rect) {
    let title = match what {
        Pick::Customer => "Be which customer?",
        Pick::Chat => "Write to which number?",
        Pick::Button => "Press which button?",
    };
    let choices = phone.choices(what);
    let line = |(place, (words, unread)): (usize, &(String, usize))| {
        let key = if place < 9 { format!("{} ", place + 1) } else { "  ".to_owned() };
        format!("{key}{}{}", text::one_line(words).trim_end(), badge(*unread))
    };
    let lines: Vec<String> = choices.iter().enumerate().map(line).collect();
    let columns = lines.iter().map(|line| width(line)).max().unwrap_or_default().max(width(title) + 2);
    let inner = window(frame, area, title, columns, lines.len().min(LIST_ROWS_MAX));
    let rows = usize::from(inner.height);
    let first = (at + 1).saturating_sub(rows);
    let shown = lines.iter().enumerate().skip(first).take(rows).map(|(place, text)| {
        let text = cut(text, usize::from(inner.width));
        let fill = " ".repeat(usize::from(inner.width).saturating_sub(width(&text)));
        let style = if place == at { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
        Line::styled(format!("{text}{fill}"), style)
    });
    frame.render_widget(Paragraph::new(shown.collect::<Vec<_>>()), inner);
}

fn question(frame: &mut Frame<'_>, what: Ask, editor: &Editor, wrong: Option<&str>, area: Rect) {
    let (title, hint) = match what {
        Ask::Number => ("Another customer's number", "With its country code, such as +34600111333"),
        Ask::Name => ("The name in your profile", "The business sees it on WhatsApp"),
        Ask::Media => ("Attach what stands at", "The address of a picture or file"),
    };
    let wrong: Vec<String> = wrong.map(|wrong| wrap(wrong, 60)).unwrap_or_default();
    let inner = window(frame, area, title, 60, 2 + wrong.len().max(1) - 1);
    let [answer, below] = Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(inner);
    write_in(frame, editor, answer, true);
    let lines: Vec<Line<'static>> = match wrong.is_empty() {
        true => vec![Line::styled(hint, DIM)],
        false => wrong.into_iter().map(|line| Line::styled(line, BAD)).collect(),
    };
    frame.render_widget(Paragraph::new(lines), below);
}

fn help(frame: &mut Frame<'_>, area: Rect) {
    const KEYS: [(&str, &str); 15] = [
        ("Enter", "send; Alt-Enter or ^J a new line"),
        ("Tab", "the other channel: SMS or WhatsApp"),
        ("^P", "be another customer, or a new one"),
        ("^B", "write to another business"),
        ("^S", "send STOP, or START after it"),
        ("^G, Alt-1…9", "press a button of the newest message that has some"),
        ("^R", "reply to a certain message (WhatsApp)"),
        ("^T", "attach a picture or file by its address"),
        ("^N", "your name on WhatsApp"),
        ("PgUp PgDn", "earlier and later messages"),
        ("↑ ↓", "what you sent before"),
        ("^W ^U ^K", "delete a word, all before, all behind"),
        ("^L ^C", "draw anew, quit"),
        ("✓ ✓✓", "the carrier has it; it has arrived; blue: read"),
        ("◌ ✗", "on its way; it failed, and why"),
    ];
    let keys = KEYS.iter().map(|(_, does)| 13 + width(does)).max().unwrap_or_default();
    let inner = window(frame, area, "Keys", keys, KEYS.len());
    let lines =
        KEYS.iter().map(|(key, does)| Line::from(vec![Span::styled(format!("{key:<13}"), TITLE), Span::raw(*does)]));
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), inner);
}
