//! The state of the phone, without a screen or a network: keys and updates go in, commands come out.

use std::collections::VecDeque;

use super::chat_message::{ChatMessage, Mark};
use super::editor::Editor;
use super::net::Update;
use super::wire::{Button, Message, Number, Text};
use crate::domain::opt_out::{self, OptOutWord};
use crate::domain::{Channel, Clock, Phone};

/// The most customers: each has a digit key.
pub const CUSTOMERS_MAX: usize = 9;
/// The most chats of a customer: one per number and channel.
const CHATS_MAX: usize = 100;
/// The most messages that are kept of a customer; the oldest are dropped.
const ENTRIES_MAX: usize = 500;
/// The most sent texts that the user can recall.
const SENT_MAX: usize = 100;
/// The most files of one message, as Twilio accepts them.
pub const MEDIA_MAX: usize = 10;

/// A customer number that this phone uses.
#[derive(Debug)]
pub struct Customer {
    pub number: Phone,
    /// The name of the WhatsApp profile.
    pub name: String,
    pub entries: VecDeque<ChatMessage>,
}

/// A number of the business on a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    pub number: String,
    pub label: String,
    pub channel: Channel,
    /// The number has a webhook for this channel.
    pub has_webhook: bool,
}

/// The current meaning of the keys.
#[derive(Debug)]
pub enum Mode {
    Write,
    /// Choosing from a list: which list, and the selected line.
    Pick(Pick, usize),
    /// Asking for one line, with what was wrong about the last answer.
    Ask {
        what: Ask,
        editor: Editor,
        wrong: Option<String>,
    },
    /// Choosing the message to answer, by its id.
    Select(u64),
    Help,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    Customer,
    Chat,
    Button,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    Number,
    Name,
    Media,
}

/// A command to the carrier or the screen.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    Watch(Phone),
    Send(u64, Text),
    Read(String),
    Numbers,
    /// Clear and draw the whole screen.
    Redraw,
    Quit,
}

/// The result of the last drawing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drawn {
    /// Rows of the conversation on the screen, and in total.
    pub page: usize,
    pub rows: usize,
    /// Rows below the screen.
    pub below: usize,
    /// Ids of the messages that were partly or wholly visible.
    pub visible: Vec<u64>,
}

#[derive(Debug)]
pub struct Handset {
    pub customers: Vec<Customer>,
    pub customer: usize,
    pub chats: Vec<Chat>,
    pub chat: usize,
    pub mode: Mode,
    pub editor: Editor,
    pub media: Vec<String>,
    /// The id of the message being answered.
    pub reply: Option<u64>,
    pub drawn: Drawn,
    pub away: bool,
    /// A notice to the user, until the next key.
    pub notice: Option<String>,
    pub(super) sent: VecDeque<String>,
    /// The recalled text, counted from the newest of `sent`, and the draft that it replaced.
    pub(super) recalled: Option<(usize, String)>,
    clock: Clock,
    last_id: u64,
}

impl Handset {
    /// Creates the phone. `customers` must not be empty.
    pub fn new(customers: Vec<Phone>, clock: Clock) -> Self {
        let customer = |number| Customer { number, name: String::new(), entries: VecDeque::new() };
        Self {
            customers: customers.into_iter().take(CUSTOMERS_MAX).map(customer).collect(),
            customer: 0,
            chats: Vec::new(),
            chat: 0,
            mode: Mode::Write,
            editor: Editor::default(),
            media: Vec::new(),
            reply: None,
            drawn: Drawn::default(),
            away: false,
            notice: None,
            sent: VecDeque::new(),
            recalled: None,
            clock,
            last_id: 0,
        }
    }

    pub fn me(&self) -> &Customer {
        &self.customers[self.customer]
    }

    /// The chat on the screen; `None` while no number is known.
    pub fn now(&self) -> Option<&Chat> {
        self.chats.get(self.chat)
    }

    /// The messages of the chat on the screen, oldest first.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &ChatMessage> {
        let now = self.now();
        self.me().entries.iter().filter(move |entry| now.is_some_and(|chat| chat.is_of(entry)))
    }

    /// The message that `entry` answers, if it is still kept.
    pub fn answered_by(&self, entry: &ChatMessage) -> Option<&ChatMessage> {
        let sid = entry.reply_to.as_ref()?;
        self.me().entries.iter().rev().find(|other| other.sid.as_ref() == Some(sid))
    }

    pub fn entry(&self, id: u64) -> Option<&ChatMessage> {
        self.me().entries.iter().rev().find(|entry| entry.id == id)
    }

    /// The newest message with buttons in this chat.
    pub fn buttons(&self) -> Option<&ChatMessage> {
        self.entries().rev().find(|entry| !entry.buttons.is_empty())
    }

    pub fn unread_of(&self, customer: usize) -> usize {
        self.customers[customer].entries.iter().filter(|entry| !entry.seen).count()
    }

    pub fn unread_in(&self, chat: &Chat) -> usize {
        self.me().entries.iter().filter(|entry| !entry.seen && chat.is_of(entry)).count()
    }

    /// True if the last keyword of the customer in this chat was a STOP.
    pub fn opted_out(&self) -> bool {
        let words = self.entries().rev().filter(|entry| entry.mine);
        words
            .filter_map(|entry| opt_out::recognise(&entry.body))
            .find(|said| said.word != OptOutWord::Help)
            .is_some_and(|said| said.word == OptOutWord::Stop)
    }

    /// Shows the chat with `number` on `channel`; adds it if need be.
    pub fn open(&mut self, number: &str, channel: Channel) {
        let known = self.chats.iter().position(|chat| chat.number == number && chat.channel == channel);
        self.chat = known.unwrap_or_else(|| {
            self.chats.push(Chat { number: number.to_owned(), label: String::new(), channel, has_webhook: true });
            self.chats.len() - 1
        });
        self.reset();
    }

    /// Takes over the carrier's numbers; existing chats stay. At the start, `preferred` is the channel of the first
    /// chat.
    pub fn update_numbers(&mut self, numbers: &[Number], preferred: Channel) {
        let at_start = self.chats.is_empty();
        for number in numbers {
            let hooks = [(Channel::Sms, &number.sms_url), (Channel::WhatsApp, &number.whatsapp_url)];
            let nowhere = hooks.iter().all(|(_, url)| url.is_none());
            for (channel, url) in hooks {
                let known = self.chats.iter().position(|chat| chat.number == number.number && chat.channel == channel);
                let label = number.label.clone().unwrap_or_default();
                match known {
                    Some(at) => (self.chats[at].label, self.chats[at].has_webhook) = (label, url.is_some()),
                    None if (url.is_some() || nowhere) && self.chats.len() < CHATS_MAX => {
                        let number = number.number.clone();
                        self.chats.push(Chat { number, label, channel, has_webhook: url.is_some() });
                    }
                    None => {}
                }
            }
        }
        if at_start {
            self.chat = self.chats.iter().position(|chat| chat.channel == preferred).unwrap_or_default();
        }
    }

    /// Takes over an update from the carrier.
    pub fn update(&mut self, update: Update) -> Vec<Command> {
        if !matches!(update, Update::Away | Update::NotTaken(..)) && std::mem::take(&mut self.away) {
            self.notice = Some("The server is back.".to_owned());
        }
        match update {
            Update::Messages { customer, messages, history } => {
                let at = self.customers.iter().position(|known| known.number == customer);
                for message in messages {
                    self.arrive(at, message, history);
                }
            }
            Update::Numbers(numbers) => self.update_numbers(&numbers, Channel::Sms),
            Update::Taken(id, message) => {
                let owner = self.customers.iter().position(|customer| customer.entries.iter().any(|e| e.id == id));
                if let Some(at) = owner {
                    let entries = &mut self.customers[at].entries;
                    let known = entries.iter().any(|entry| entry.sid.as_deref() == Some(&message.sid));
                    // The feed may have delivered it already.
                    match entries.iter().position(|entry| entry.id == id && entry.sid.is_none()) {
                        Some(waiting) if known => drop(entries.remove(waiting)),
                        Some(waiting) => entries[waiting] = ChatMessage::of(id, *message, true),
                        None => {}
                    }
                }
            }
            Update::NotTaken(id, why) => {
                let mut entries = self.customers.iter_mut().flat_map(|customer| &mut customer.entries);
                if let Some(entry) = entries.find(|entry| entry.id == id) {
                    entry.mark = Mark::Failed(why);
                }
            }
            Update::Away => self.away = true,
            // The carrier may have restarted with other numbers.
            Update::Back => return vec![Command::Numbers],
        }
        Vec::new()
    }

    fn arrive(&mut self, customer: Option<usize>, message: Message, history: bool) {
        let Some(at) = customer else { return };
        let (number, channel) = (message.business().to_owned(), message.channel);
        let known = self.chats.iter().any(|chat| chat.number == number && chat.channel == channel);
        if !known && self.chats.len() < CHATS_MAX {
            self.chats.push(Chat { number, label: String::new(), channel, has_webhook: true });
        }
        let id = self.next_id();
        let entries = &mut self.customers[at].entries;
        if let Some(entry) = entries.iter_mut().rev().find(|entry| entry.sid.as_deref() == Some(&message.sid)) {
            entry.follow(&message);
            return;
        }
        let entry = ChatMessage::of(id, message, history);
        if entry.mine {
            // The feed can deliver a text before the response to its send: then it replaces the one that waits.
            let same = |other: &&mut ChatMessage| {
                other.sid.is_none() && other.mark == Mark::Pending && other.is_same_text(&entry)
            };
            if let Some(waiting) = entries.iter_mut().find(same) {
                *waiting = ChatMessage { id: waiting.id, ..entry };
                return;
            }
        }
        let place = entries.iter().rposition(|other| other.at <= entry.at).map_or(0, |before| before + 1);
        entries.insert(place, entry);
        if entries.len() > ENTRIES_MAX {
            entries.pop_front();
        }
    }

    /// Marks the visible messages as seen, and those above them in the same chat.
    pub fn drawn(&mut self, drawn: Drawn) -> Vec<Command> {
        let mut commands = Vec::new();
        let now = self.now().cloned();
        let entries = &mut self.customers[self.customer].entries;
        let end = entries.iter().rposition(|entry| drawn.visible.contains(&entry.id)).map_or(0, |last| last + 1);
        for entry in entries.iter_mut().take(end) {
            if !drawn.visible.contains(&entry.id) && !now.as_ref().is_some_and(|chat| chat.is_of(entry)) {
                continue;
            }
            entry.seen = true;
            if entry.needs_read_report() {
                entry.read_reported = true;
                commands.extend(entry.sid.clone().map(Command::Read));
            }
        }
        self.drawn = drawn;
        commands
    }

    /// Sends the written text and the attachments; a `button` alone.
    pub(super) fn send(&mut self, button: Option<(String, u64)>) -> Vec<Command> {
        let Some(chat) = self.now().cloned() else {
            self.notice = Some("The carrier has no number to write to: is 'recado serve' running?".to_owned());
            return Vec::new();
        };
        let me = self.me();
        let mut text = Text {
            from: me.number.as_str().to_owned(),
            to: chat.number,
            channel: chat.channel,
            body: String::new(),
            media: Vec::new(),
            button: None,
            profile_name: Some(me.name.clone()).filter(|name| chat.channel == Channel::WhatsApp && !name.is_empty()),
            reply_to: None,
        };
        let sid = |id| self.entry(id).and_then(|entry| entry.sid.clone());
        if let Some((label, of)) = button {
            text.body = label.clone();
            // Only WhatsApp has buttons; on other channels the text of the button is sent.
            if chat.channel == Channel::WhatsApp {
                text.reply_to = sid(of);
                text.button = Some(Button { text: label.clone(), payload: label });
            }
        } else {
            text.reply_to = self.reply.and_then(sid);
            if self.editor.text().trim().is_empty() && self.media.is_empty() {
                return Vec::new();
            }
            text.body = self.editor.take();
            text.media = std::mem::take(&mut self.media);
            self.reply = None;
            self.remember(&text.body);
        }
        self.post(text)
    }

    /// Sends a line without an editor. A line with the text of a button presses the button.
    pub fn say(&mut self, line: &str) -> Vec<Command> {
        let button = self.buttons().filter(|entry| entry.buttons.iter().any(|button| button == line));
        match button.map(|entry| entry.id) {
            Some(of) => self.send(Some((line.to_owned(), of))),
            None => self.send_word(line),
        }
    }

    /// Sends a keyword by itself; the draft stays.
    pub(super) fn send_word(&mut self, word: &str) -> Vec<Command> {
        let written = std::mem::replace(&mut self.editor, Editor::new(word));
        let (media, reply) = (std::mem::take(&mut self.media), self.reply.take());
        let commands = self.send(None);
        (self.editor, self.media, self.reply) = (written, media, reply);
        commands
    }

    fn post(&mut self, text: Text) -> Vec<Command> {
        let (id, now) = (self.next_id(), self.clock.now());
        let entries = &mut self.customers[self.customer].entries;
        entries.push_back(ChatMessage::pending(id, &text, now));
        if entries.len() > ENTRIES_MAX {
            entries.pop_front();
        }
        self.drawn.below = 0;
        vec![Command::Send(id, text)]
    }

    fn remember(&mut self, body: &str) {
        self.recalled = None;
        if body.is_empty() || self.sent.back().is_some_and(|last| last == body) {
            return;
        }
        self.sent.push_back(body.to_owned());
        if self.sent.len() > SENT_MAX {
            self.sent.pop_front();
        }
    }

    /// Resets what belongs to the former chat.
    pub(super) fn reset(&mut self) {
        self.mode = Mode::Write;
        self.reply = None;
        self.drawn = Drawn::default();
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}

impl Chat {
    pub fn is_of(&self, entry: &ChatMessage) -> bool {
        self.channel == entry.channel && self.number == entry.business
    }
}

impl ChatMessage {
    fn is_same_text(&self, other: &Self) -> bool {
        self.channel == other.channel && self.business == other.business && self.body == other.body
    }
}
