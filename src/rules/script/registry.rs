//! The registry's types: what is known of each function, method and field that rules can use.
//!
//! The engine, the loader's checks, the "did you mean" suggestions, `recado reference` and the definition file for
//! editors all read the same descriptors. [`crate::rules::script::functions::FUNCTIONS`],
//! [`crate::rules::load::builder::METHODS`] and [`crate::rules::script::views::VIEWS`] list them.

use rhai::Engine;

use crate::rules::limits::Limits;
use crate::rules::script::settings::Setting;

/// A function that rules can call, or a method of a value.
pub(in crate::rules) struct Function {
    pub name: &'static str,
    /// The type of the value before the dot; `None` for a function.
    pub receiver: Option<Kind>,
    pub group: Group,
    /// One line: what the function does.
    pub about: &'static str,
    pub signatures: &'static [Signature],
    /// A line of a `then`, or a whole rule. A test runs it.
    pub example: &'static str,
    pub register: fn(&mut Engine, &Limits),
}

/// One way to call a function.
pub(in crate::rules) struct Signature {
    pub parameters: &'static [(&'static str, Kind)],
    pub gives: Kind,
    /// How often the last parameter may be given; usually once.
    pub repeats: usize,
}

impl Signature {
    /// A signature with these parameters.
    pub const fn new(parameters: &'static [(&'static str, Kind)], gives: Kind) -> Self {
        Self { parameters, gives, repeats: 1 }
    }

    /// The last parameter may be given up to `repeats` times.
    pub const fn repeated(parameters: &'static [(&'static str, Kind)], gives: Kind, repeats: usize) -> Self {
        Self { parameters, gives, repeats }
    }
}

impl Function {
    /// The numbers of arguments that the function takes, the value before the dot counted in.
    pub fn arities(&self) -> impl Iterator<Item = usize> {
        let receiver = usize::from(self.receiver.is_some());
        self.signatures.iter().flat_map(move |signature| {
            let least = signature.parameters.len() + receiver;
            least..least + signature.repeats
        })
    }

    /// The kinds that the argument at `index` may have in a call with `count` arguments.
    pub fn kinds_in_call(&self, index: usize, count: usize) -> impl Iterator<Item = Kind> {
        let fitting = self.signatures.iter().filter(move |signature| signature.parameters.len() == count);
        fitting.filter_map(move |signature| Some(signature.parameters.get(index)?.1))
    }

    /// The kind of the argument at `index`, if all signatures that have one there agree. The value before the dot does
    /// not count.
    pub fn kind_at(&self, index: usize) -> Option<Kind> {
        let mut kinds = self.signatures.iter().filter_map(|signature| Some(signature.parameters.get(index)?.1));
        let first = kinds.next()?;
        kinds.all(|kind| kind == first).then_some(first)
    }
}

/// A section of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::VariantArray)]
pub(in crate::rules) enum Group {
    Rule,
    Messages,
    Later,
    Conversation,
    Customer,
    Appointments,
    Calls,
    Text,
    Time,
    View,
}

impl Group {
    /// The heading of the section.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Rule => "A rule",
            Self::Messages => "Messages and requests",
            Self::Later => "Sending later",
            Self::Conversation => "Questions to the customer",
            Self::Customer => "The customer and events",
            Self::Appointments => "Appointments",
            Self::Calls => "In a call",
            Self::Text => "Text and numbers",
            Self::Time => "Time",
            Self::View => "Methods of values",
        }
    }

    /// The places where the functions of the section may be called.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Rule => "These calls declare a rule. They are chained at the top of a file, while it is loaded.",
            Self::Messages => {
                "Call these in `.then`. They plan an action; nothing is sent before the decision is committed."
            }
            Self::Later => "What a send gives back can be postponed.",
            Self::Conversation => {
                "`.on_answer` handles the answer to a question, `.on_silence` its absence, `.on_unsent` that it was never asked."
            }
            Self::Customer => "Call these in `.then`. They change our own data, in the transaction of the decision.",
            Self::Appointments => "Call these in `.then`. An event tells what became of the change.",
            Self::Calls => {
                "Call these while a customer is on the line: on `call_received`, in `.on_input` and in `.on_call`."
            }
            Self::Text => "These can be called anywhere in a closure.",
            Self::Time => "These can be called anywhere in a closure.",
            Self::View => "Methods of `e.contact`, `e.business` and of times.",
        }
    }
}

/// The type of a parameter, a result or a field, as far as rules and the checks tell types apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rules) enum Kind {
    Any,
    Nothing,
    Text,
    /// A whole number or one with a point.
    Number,
    Whole,
    Boolean,
    Array,
    Map,
    Moment,
    /// A text such as `2h`.
    Span,
    /// An event kind by its name.
    EventName,
    Channel,
    /// `e.contact` or a phone number.
    Recipient,
    /// `e.contact` or a phone number that is called.
    Callee,
    /// `e.contact`, `"staff"` or an e-mail address.
    EmailRecipient,
    /// The content SID or name of a WhatsApp template.
    ContentTemplate,
    /// The name of a question with an `.on_answer`.
    Question,
    /// The name of a step with an `.on_input` or `.on_call`.
    Step,
    /// The name of a step with an `.on_call`.
    CallStep,
    /// A map of these settings.
    Settings(&'static [Setting]),
    /// A map of these settings and of choices, each with the step that it leads to.
    Choices(&'static [Setting]),
    /// A text that a caller hears.
    Spoken,
    /// The URL of a sound.
    Sound,
    /// The length of a pause.
    Seconds,
    /// The name of a queue of callers.
    Queue,
    /// One of these words.
    Word(&'static [&'static str]),
    /// The map of an HTTP request.
    Request,
    Closure,
    PlannedAction,
    Rule,
    Event,
    Contact,
    Business,
    Params,
    Appointment,
    Call,
    OpenQuestion,
}

impl Kind {
    /// The type's name in the reference.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Any => "any value",
            Self::Nothing => "()",
            Self::Text => "text",
            Self::Number => "number",
            Self::Whole => "whole number",
            Self::Boolean => "true or false",
            Self::Array => "array",
            Self::Map => "map",
            Self::Moment => "time",
            Self::Span => "span such as \"2h\"",
            Self::EventName => "event kind",
            Self::Channel => "channel",
            Self::Recipient | Self::Callee => "e.contact or number",
            Self::EmailRecipient => "e.contact, \"staff\" or address",
            Self::ContentTemplate => "template",
            Self::Question => "question name",
            Self::Step | Self::CallStep => "step name",
            Self::Settings(_) | Self::Choices(_) => "map",
            Self::Spoken | Self::Sound | Self::Queue | Self::Word(_) => "text",
            Self::Seconds => "whole number",
            Self::Request => "request map",
            Self::Closure => "closure",
            Self::PlannedAction => "planned action",
            Self::Rule => "rule",
            Self::Event => "event",
            Self::Contact => "contact",
            Self::Business => "business",
            Self::Params => "parameters",
            Self::Appointment => "appointment",
            Self::Call => "call",
            Self::OpenQuestion => "open question",
        }
    }

    /// The type's name in a Rhai definition file.
    pub const fn rhai_type(self) -> &'static str {
        match self {
            Self::Any | Self::Recipient | Self::Callee | Self::EmailRecipient => "?",
            Self::Nothing => "()",
            Self::Text
            | Self::Span
            | Self::EventName
            | Self::Channel
            | Self::ContentTemplate
            | Self::Question
            | Self::Step
            | Self::CallStep
            | Self::Spoken
            | Self::Sound
            | Self::Queue
            | Self::Word(_) => "String",
            Self::Number => "float",
            Self::Whole | Self::Seconds => "int",
            Self::Boolean => "bool",
            Self::Array => "Array",
            Self::Map | Self::Settings(_) | Self::Choices(_) | Self::Request | Self::Call | Self::OpenQuestion => "Map",
            Self::Moment => "Moment",
            Self::Closure => "FnPtr",
            Self::PlannedAction => "PlannedAction",
            Self::Rule => "Rule",
            Self::Event => "EventView",
            Self::Contact => "ContactView",
            Self::Business => "TenantView",
            Self::Params => "ParamsView",
            Self::Appointment => "AppointmentView",
        }
    }
}

/// A field that rules can read, with the getter that gives its value.
pub(in crate::rules) struct Field<G: 'static> {
    pub name: &'static str,
    pub kind: Kind,
    pub about: &'static str,
    pub get: G,
}

impl<G> Field<G> {
    /// A field with its getter.
    pub const fn new(name: &'static str, kind: Kind, about: &'static str, get: G) -> Self {
        Self { name, kind, about, get }
    }

    /// The field without its getter.
    pub const fn info(&self) -> FieldInfo {
        FieldInfo { name: self.name, kind: self.kind, about: self.about }
    }
}

/// A field without its getter.
#[derive(Clone, Copy)]
pub(in crate::rules) struct FieldInfo {
    pub name: &'static str,
    pub kind: Kind,
    pub about: &'static str,
}

/// A value with fields and methods, such as `e.contact`.
pub(in crate::rules) struct View {
    /// The paths that lead to the value, from the event on: `contact` for `e.contact`, an empty one for `e`.
    pub paths: &'static [&'static str],
    pub kind: Kind,
    pub about: &'static str,
    pub fields: fn() -> Vec<FieldInfo>,
    pub methods: &'static [&'static Function],
}

impl View {
    /// The names that may follow the value's dot.
    pub fn names(&self) -> Vec<&'static str> {
        let fields = (self.fields)().into_iter().map(|field| field.name);
        fields.chain(self.methods.iter().map(|method| method.name)).collect()
    }
}
