//! The actions of the keys.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use reqwest::Url;

use super::editor::Editor;
use super::handset::{Ask, CUSTOMERS_MAX, Command, Customer, Handset, MEDIA_MAX, Mode, Pick};
use crate::domain::{Channel, Phone};

/// The first number that is suggested for another customer, and the step to the next suggestion.
const ANOTHER: u64 = 34_600_111_333;
const ANOTHER_STEP: u64 = 111;
/// The longest profile name.
const NAME_MAX_CHARS: usize = 60;

impl Handset {
    /// Handles a key, a paste or a resize.
    pub fn event(&mut self, event: Event) -> Vec<Command> {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.key(key),
            Event::Paste(text) => {
                self.paste(&text);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn paste(&mut self, text: &str) {
        match &mut self.mode {
            Mode::Ask { editor, .. } => drop(editor.insert(text.trim().lines().next().unwrap_or_default())),
            Mode::Write => self.write(text),
            Mode::Pick(..) | Mode::Select(_) | Mode::Help => {}
        }
    }

    fn write(&mut self, text: &str) {
        if !self.editor.insert(text) {
            self.notice = Some("A text holds 1,600 characters: the rest was left out.".to_owned());
        }
    }

    fn key(&mut self, key: KeyEvent) -> Vec<Command> {
        self.notice = None;
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'q') if ctrl => return vec![Command::Quit],
            KeyCode::Char('l') if ctrl => return vec![Command::Redraw],
            _ => {}
        }
        match self.mode {
            Mode::Write => self.key_writing(key, ctrl),
            Mode::Pick(what, at) => self.key_picking(key, what, at),
            Mode::Ask { .. } => self.key_asked(key, ctrl),
            Mode::Select(id) => self.key_selecting(key, id),
            Mode::Help => {
                self.mode = Mode::Write;
                Vec::new()
            }
        }
    }

    fn key_writing(&mut self, key: KeyEvent, ctrl: bool) -> Vec<Command> {
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Enter if alt || key.modifiers.contains(KeyModifiers::SHIFT) => self.write("\n"),
            KeyCode::Char('j') if ctrl => self.write("\n"),
            KeyCode::Enter => return self.send(None),
            KeyCode::Tab => self.other_channel(),
            KeyCode::Char('p') if ctrl => self.mode = Mode::Pick(Pick::Customer, self.customer),
            KeyCode::Char('b') if ctrl => {
                self.mode = Mode::Pick(Pick::Chat, self.chat);
                return vec![Command::Numbers];
            }
            KeyCode::Char('g') if ctrl => match self.buttons() {
                Some(_) => self.mode = Mode::Pick(Pick::Button, 0),
                None => self.notice = Some("No message here has buttons.".to_owned()),
            },
            KeyCode::Char('r') if ctrl => self.start_selecting(),
            KeyCode::Char('t') if ctrl && self.media.len() < MEDIA_MAX => self.ask(Ask::Media, "https://"),
            KeyCode::Char('t') if ctrl => self.notice = Some("A message holds ten media.".to_owned()),
            KeyCode::Char('n') if ctrl => {
                let name = self.me().name.clone();
                self.ask(Ask::Name, &name);
            }
            KeyCode::Char('s') if ctrl => {
                return self.send_word(if self.opted_out() { "START" } else { "STOP" });
            }
            KeyCode::Char(digit @ '1'..='9') if alt => return self.press(usize::from(digit as u8 - b'1')),
            KeyCode::F(1) => self.mode = Mode::Help,
            KeyCode::Esc => (self.reply, self.media) = (None, Vec::new()),
            KeyCode::PageUp => self.scroll(true, self.drawn.page.saturating_sub(2).max(1)),
            KeyCode::PageDown => self.scroll(false, self.drawn.page.saturating_sub(2).max(1)),
            KeyCode::Up => self.up(),
            KeyCode::Down => self.down(),
            _ => edit(&mut self.editor, key, ctrl),
        }
        if let KeyCode::Char(typed) = key.code
            && !ctrl
            && !alt
        {
            self.write(typed.encode_utf8(&mut [0; 4]));
        }
        Vec::new()
    }

    fn scroll(&mut self, up: bool, rows: usize) {
        let most = self.drawn.rows.saturating_sub(self.drawn.page);
        let below = self.drawn.below;
        self.drawn.below = if up { (below + rows).min(most) } else { below.saturating_sub(rows) };
    }

    /// Moves a line up, or recalls an earlier text.
    fn up(&mut self) {
        if self.editor.up() {
            return;
        }
        let (at, draft) = match self.recalled.take() {
            Some((at, draft)) => ((at + 1).min(self.sent.len().saturating_sub(1)), draft),
            None => (0, self.editor.text().to_owned()),
        };
        if let Some(text) = self.sent.iter().rev().nth(at) {
            self.editor = Editor::new(text);
            self.recalled = Some((at, draft));
        }
    }

    fn down(&mut self) {
        if self.editor.down() {
            return;
        }
        match self.recalled.take() {
            Some((0, draft)) => self.editor = Editor::new(draft),
            Some((at, draft)) => {
                self.editor = Editor::new(self.sent.iter().rev().nth(at - 1).map_or("", String::as_str));
                self.recalled = Some((at - 1, draft));
            }
            None => {}
        }
    }

    /// Shows the same business on the other channel, else the next chat there.
    fn other_channel(&mut self) {
        let Some(now) = self.now().cloned() else { return };
        let there: Vec<usize> = (0..self.chats.len()).filter(|&at| self.chats[at].channel != now.channel).collect();
        let same = |by: &dyn Fn(usize) -> bool| there.iter().copied().find(|&at| by(at));
        let found = same(&|at| self.chats[at].number == now.number)
            .or_else(|| same(&|at| !now.label.is_empty() && self.chats[at].label == now.label))
            .or_else(|| there.first().copied());
        let Some(at) = found else {
            self.notice = Some(format!("No number here takes {}.", other(now.channel).spec().label));
            return;
        };
        self.chat = at;
        self.reset();
    }

    fn key_picking(&mut self, key: KeyEvent, what: Pick, at: usize) -> Vec<Command> {
        let count = self.choices(what).len().max(1);
        match key.code {
            KeyCode::Esc => self.mode = Mode::Write,
            KeyCode::Up | KeyCode::BackTab => self.mode = Mode::Pick(what, (at + count - 1) % count),
            KeyCode::Down | KeyCode::Tab => self.mode = Mode::Pick(what, (at + 1) % count),
            KeyCode::Char('n' | '+') if what == Pick::Customer => return self.pick(what, self.customers.len()),
            KeyCode::Char(digit @ '1'..='9') => return self.pick(what, usize::from(digit as u8 - b'1')),
            KeyCode::Enter => return self.pick(what, at),
            _ => {}
        }
        Vec::new()
    }

    /// The lines of a list, each with its number of unread messages.
    pub fn choices(&self, what: Pick) -> Vec<(String, usize)> {
        match what {
            Pick::Customer => {
                let line = |(at, customer): (usize, &Customer)| {
                    (format!("{} {}", customer.number, customer.name), self.unread_of(at))
                };
                let mut lines: Vec<_> = self.customers.iter().enumerate().map(line).collect();
                if lines.len() < CUSTOMERS_MAX {
                    lines.push(("another number …".to_owned(), 0));
                }
                lines
            }
            Pick::Chat => {
                let chats = self.chats.iter();
                let line = |chat: &super::handset::Chat| {
                    let nobody = if chat.has_webhook { "" } else { "  (nobody answers there)" };
                    let words = format!("{:<9} {} {}{nobody}", chat.channel.spec().label, chat.number, chat.label);
                    (words, self.unread_in(chat))
                };
                chats.map(line).collect()
            }
            Pick::Button => self
                .buttons()
                .map_or_else(Vec::new, |entry| entry.buttons.iter().map(|button| (button.clone(), 0)).collect()),
        }
    }

    fn pick(&mut self, what: Pick, at: usize) -> Vec<Command> {
        if at >= self.choices(what).len() {
            return Vec::new();
        }
        match what {
            Pick::Customer if at == self.customers.len() => {
                let taken = |number: &String| self.customers.iter().any(|known| known.number.as_str() == number);
                let mut offers = (0u64..).map(|step| format!("+{}", ANOTHER + step * ANOTHER_STEP));
                let offer = offers.find(|number| !taken(number)).unwrap_or_default();
                self.ask(Ask::Number, &offer);
            }
            Pick::Customer => {
                self.customer = at;
                self.media.clear();
                self.reset();
            }
            Pick::Chat => {
                self.chat = at;
                self.reset();
            }
            Pick::Button => {
                self.mode = Mode::Write;
                return self.press(at);
            }
        }
        Vec::new()
    }

    /// Answers with the button at this position of the newest message that has buttons.
    fn press(&mut self, at: usize) -> Vec<Command> {
        let found = self.buttons().and_then(|entry| Some((entry.buttons.get(at)?.clone(), entry.id)));
        match found {
            Some(button) => self.send(Some(button)),
            None => Vec::new(),
        }
    }

    fn ask(&mut self, what: Ask, offer: &str) {
        self.mode = Mode::Ask { what, editor: Editor::new(offer), wrong: None };
    }

    fn key_asked(&mut self, key: KeyEvent, ctrl: bool) -> Vec<Command> {
        let Mode::Ask { what, editor, wrong } = &mut self.mode else { return Vec::new() };
        match key.code {
            KeyCode::Esc => self.mode = Mode::Write,
            KeyCode::Enter => {
                let (what, answer) = (*what, editor.text().trim().to_owned());
                return self.handle_answer(what, &answer);
            }
            KeyCode::Char(typed) if !ctrl => {
                *wrong = None;
                editor.insert(typed.encode_utf8(&mut [0; 4]));
            }
            _ => edit(editor, key, ctrl),
        }
        Vec::new()
    }

    fn handle_answer(&mut self, what: Ask, answer: &str) -> Vec<Command> {
        let mut commands = Vec::new();
        let taken = match what {
            Ask::Number => Phone::parse_human(answer, None).map_err(|error| error.to_string()).map(|number| {
                let known = self.customers.iter().position(|customer| customer.number == number);
                self.customer = known.unwrap_or_else(|| {
                    commands.push(Command::Watch(number.clone()));
                    self.customers.push(Customer { number, name: String::new(), entries: Default::default() });
                    self.customers.len() - 1
                });
                self.reset();
            }),
            Ask::Name if answer.chars().count() > NAME_MAX_CHARS => Err("a name has 60 characters at most".to_owned()),
            Ask::Name => {
                answer.clone_into(&mut self.customers[self.customer].name);
                Ok(())
            }
            Ask::Media => match Url::parse(answer) {
                Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
                    self.media.push(url.into());
                    Ok(())
                }
                _ => Err("write the address of a picture or file, such as https://example.com/cat.jpg".to_owned()),
            },
        };
        match (taken, &mut self.mode) {
            (Ok(()), _) => self.mode = Mode::Write,
            (Err(said), Mode::Ask { wrong, .. }) => *wrong = Some(said),
            (Err(_), _) => {}
        }
        commands
    }

    fn start_selecting(&mut self) {
        match self.now().map(|chat| chat.channel) {
            Some(Channel::WhatsApp) => match self.selectable().last() {
                Some(&id) => self.mode = Mode::Select(id),
                None => self.notice = Some("There is no message to reply to yet.".to_owned()),
            },
            _ => self.notice = Some("A text message cannot reply to a certain other: WhatsApp's can (Tab).".to_owned()),
        }
    }

    fn selectable(&self) -> Vec<u64> {
        self.entries().filter(|entry| entry.sid.is_some()).map(|entry| entry.id).collect()
    }

    fn key_selecting(&mut self, key: KeyEvent, id: u64) -> Vec<Command> {
        let ids = self.selectable();
        let at = ids.iter().position(|&other| other == id).unwrap_or_default();
        let step = |at: usize| ids.get(at).map_or(Mode::Write, |&id| Mode::Select(id));
        match key.code {
            KeyCode::Esc => self.mode = Mode::Write,
            KeyCode::Up => self.mode = step(at.saturating_sub(1)),
            KeyCode::Down => self.mode = step((at + 1).min(ids.len().saturating_sub(1))),
            KeyCode::Enter => (self.reply, self.mode) = (Some(id), Mode::Write),
            _ => {}
        }
        Vec::new()
    }

    /// The keys that do something now, most useful first.
    pub fn keys(&self) -> Vec<(&'static str, &'static str)> {
        match &self.mode {
            Mode::Write => {
                let elsewhere = self.now().map(|chat| other(chat.channel));
                let switch = elsewhere.filter(|channel| self.chats.iter().any(|chat| chat.channel == *channel));
                let mut keys = vec![("Enter", "send")];
                keys.extend(self.buttons().map(|_| ("^G", "buttons")));
                keys.extend((self.reply.is_some() || !self.media.is_empty()).then_some(("Esc", "drop")));
                keys.extend(switch.map(|channel| ("Tab", channel.spec().label)));
                keys.push(("^S", if self.opted_out() { "START" } else { "STOP" }));
                keys.push(("^P", "phones"));
                keys.extend((self.chats.len() > 1).then_some(("^B", "business")));
                keys.push(("^T", "attach"));
                if self.now().is_some_and(|chat| chat.channel == Channel::WhatsApp) {
                    keys.extend([("^R", "reply"), ("^N", "name")]);
                }
                keys
            }
            Mode::Pick(Pick::Customer, _) => {
                vec![("↑↓", "choose"), ("1-9", "take"), ("Enter", "take"), ("n", "another number"), ("Esc", "back")]
            }
            Mode::Pick(..) => vec![("↑↓", "choose"), ("1-9", "take"), ("Enter", "take"), ("Esc", "back")],
            Mode::Ask { .. } => vec![("Enter", "done"), ("Esc", "back")],
            Mode::Select(_) => vec![("↑↓", "choose a message"), ("Enter", "reply to it"), ("Esc", "back")],
            Mode::Help => vec![("any key", "back")],
        }
    }
}

/// Keys that mean the same in every text field.
fn edit(editor: &mut Editor, key: KeyEvent, ctrl: bool) {
    let word = ctrl || key.modifiers.contains(KeyModifiers::ALT);
    match key.code {
        KeyCode::Backspace if word => editor.delete_word(),
        KeyCode::Char('w') if ctrl => editor.delete_word(),
        // Terminals send either for the backspace key, some with Ctrl.
        KeyCode::Backspace => editor.backspace(),
        KeyCode::Char('h') if ctrl => editor.backspace(),
        KeyCode::Delete => editor.delete(),
        KeyCode::Char('d') if ctrl => editor.delete(),
        KeyCode::Left if word => editor.word_left(),
        KeyCode::Right if word => editor.word_right(),
        KeyCode::Left => editor.left(),
        KeyCode::Right => editor.right(),
        KeyCode::Home => editor.home(),
        KeyCode::Char('a') if ctrl => editor.home(),
        KeyCode::End => editor.end(),
        KeyCode::Char('e') if ctrl => editor.end(),
        KeyCode::Char('u') if ctrl => editor.delete_before(),
        KeyCode::Char('k') if ctrl => editor.delete_after(),
        _ => {}
    }
}

const fn other(channel: Channel) -> Channel {
    match channel {
        Channel::Sms => Channel::WhatsApp,
        _ => Channel::Sms,
    }
}
