//! A message as rows of the conversation.

use chrono::NaiveDateTime;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::chat_message::{ChatMessage, Mark};
use super::wrap::{cut, width, wrap};
use crate::domain::Channel;

/// The widest bubble; longer lines are hard to read.
const BUBBLE_MAX_COLUMNS: usize = 70;
/// The part of the width that stays free beside a bubble, on the far side.
const FREE_PART: usize = 5;

pub const DIM: Style = Style::new().fg(Color::Indexed(244));
pub const BAD: Style = Style::new().fg(Color::Indexed(203));
const READ: Color = Color::Indexed(81);
const PAPER: Color = Color::Indexed(237);
const INK: Color = Color::Indexed(255);
const PALE: Color = Color::Indexed(250);

/// The background colour of a channel.
pub const fn colour(channel: Channel) -> Color {
    match channel {
        Channel::WhatsApp => Color::Indexed(23),
        _ => Color::Indexed(25),
    }
}

/// The other messages that a bubble refers to.
pub struct BubbleContext<'a> {
    /// The message that this one answers.
    pub quoted: Option<&'a ChatMessage>,
    /// The user is choosing this message.
    pub chosen: bool,
    pub at: NaiveDateTime,
}

/// The rows of a message in a conversation `columns` wide: its bubble, and its error below.
pub fn rows(entry: &ChatMessage, context: &BubbleContext<'_>, columns: usize) -> Vec<Line<'static>> {
    let inner = (columns - columns / FREE_PART).min(BUBBLE_MAX_COLUMNS).saturating_sub(4).max(4);
    let base = Style::new().fg(INK).bg(if entry.mine { colour(entry.channel) } else { PAPER });
    let mut lines: Vec<Line<'static>> = content(entry, context.quoted, inner, base);
    let stamp = stamp(entry, context.at, base);
    let last = lines.last().map_or(0, Line::width);
    if lines.is_empty() || last + 2 + stamp.width() > inner {
        lines.push(Line::default());
    }
    let last = lines.last().map_or(0, Line::width);
    let gap = if last == 0 { 0 } else { 2 };
    let wide = lines.iter().map(Line::width).max().unwrap_or_default().max(last + gap + stamp.width());
    if let Some(line) = lines.last_mut() {
        line.push_span(Span::styled(" ".repeat(wide - last - stamp.width()), base));
        line.spans.extend(stamp.spans);
    }
    let side = |wide: usize| if entry.mine { columns.saturating_sub(wide + 1) } else { 1 };
    let edge = Style::new().fg(if context.chosen { Color::Indexed(220) } else { base.bg.unwrap_or_default() });
    let edges = match (context.chosen, entry.mine) {
        (true, _) => ("▶", "◀"),
        (false, true) => (" ", "▌"),
        (false, false) => ("▐", " "),
    };
    let bubble = lines.into_iter().map(|line| {
        let mut row = vec![Span::raw(" ".repeat(side(wide + 4))), Span::styled(edges.0, edge), Span::styled(" ", base)];
        let fill = wide - line.width();
        row.extend(line.spans);
        row.extend([Span::styled(" ".repeat(fill + 1), base), Span::styled(edges.1, edge)]);
        Line::from(row)
    });
    let mut rows: Vec<Line<'static>> = bubble.collect();
    if let Mark::Failed(why) = &entry.mark {
        for line in wrap(why, inner) {
            rows.push(Line::from(vec![Span::raw(" ".repeat(side(width(&line) + 2) + 1)), Span::styled(line, BAD)]));
        }
    }
    rows
}

fn content(entry: &ChatMessage, quoted: Option<&ChatMessage>, inner: usize, base: Style) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if entry.reply_to.is_some() {
        let said = quoted.map_or_else(|| "an earlier message".to_owned(), summary);
        let quote = format!("┃ {}", cut(&said, inner.saturating_sub(2)));
        lines.push(Line::styled(quote, base.fg(PALE).add_modifier(Modifier::ITALIC)));
    }
    if !entry.body.is_empty() {
        lines.extend(wrap(&entry.body, inner).into_iter().map(|line| Line::styled(line, base)));
    }
    for url in &entry.media {
        let lines_of = wrap(&format!("📎 {url}"), inner);
        lines.extend(lines_of.into_iter().map(|line| Line::styled(line, base.add_modifier(Modifier::UNDERLINED))));
    }
    for (at, button) in entry.buttons.iter().enumerate() {
        let key = if at < 9 { format!("{}", at + 1) } else { "·".to_owned() };
        let text = format!("[{key}] {}", cut(button, inner.saturating_sub(4)));
        lines.push(Line::styled(text, base.fg(READ).add_modifier(Modifier::BOLD)));
    }
    lines
}

/// A message on one line.
pub fn summary(entry: &ChatMessage) -> String {
    match (entry.body.is_empty(), entry.media.first()) {
        (true, Some(url)) => format!("📎 {url}"),
        _ => entry.body.clone(),
    }
}

fn stamp(entry: &ChatMessage, at: NaiveDateTime, base: Style) -> Line<'static> {
    let ticks = match entry.mark {
        Mark::Read => base.fg(READ).add_modifier(Modifier::BOLD),
        Mark::Failed(_) => base.fg(Color::Indexed(210)).add_modifier(Modifier::BOLD),
        _ => base.fg(PALE),
    };
    Line::from(vec![
        Span::styled(at.format("%H:%M ").to_string(), base.fg(PALE)),
        Span::styled(entry.mark.ticks(), ticks),
    ])
}
