//! The limits of rules and decisions. Every limit has a name here.

/// The most actions that one event may lead to, over all rules together.
pub const ACTIONS_PER_EVENT: usize = 32;
/// The longest text of a message, in characters: Twilio refuses more with error 21617.
pub const TEXT_CHARS: usize = 1_600;
/// The longest text that is spoken at once, in characters.
pub const SPOKEN_CHARS: usize = 3_000;
/// The longest note, in characters.
pub const NOTE_CHARS: usize = 2_000;
/// The longest name of a rule, tag, field, parameter or template, in characters.
pub const NAME_CHARS: usize = 80;
/// The most data that `set_field` or `emit` may carry, in bytes of JSON.
pub const DATA_BYTES: usize = 8 * 1024;
/// The deepest nesting of data that a script reads or writes.
pub const DATA_DEPTH: usize = 24;
/// The most values that the trace keeps of one rule's reads.
pub const READS_PER_RULE: usize = 32;
/// The longest text that the trace keeps of a read value, in characters.
pub const READ_CHARS: usize = 120;
/// The longest script error that is kept, in characters.
pub const MESSAGE_CHARS: usize = 500;
/// The longest `local(…, format)` format, in bytes.
pub const FORMAT_BYTES: usize = 64;
/// The most keywords or event kinds of one rule.
pub const WORDS_PER_RULE: usize = 64;
/// The most days that an action or the end of a question may lie ahead.
pub const AHEAD_DAYS: u32 = 366;
/// The most that `.limit(times, span)` counts.
pub const LIMIT_TIMES: u32 = 100;
/// The most questions of one rule.
pub const QUESTIONS_PER_RULE: usize = 32;
/// The largest state of a question, in bytes of JSON.
pub const STATE_BYTES: usize = 2 * 1024;
/// The stack of a thread on which scripts run, in bytes. The depth limits cannot exhaust it in any build.
pub const STACK_BYTES: usize = 16 * 1024 * 1024;

/// Limits of loading and evaluating. The defaults suit any rule that a person would write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Operations of the interpreter, for one rule and one event.
    pub operations: u64,
    /// Processor time for one rule and one event. A machine that is busy with other work fails no rule.
    pub rule_ms: u64,
    /// Processor time for all rules of one event.
    pub decision_ms: u64,
    /// Nesting of function calls.
    pub call_depth: usize,
    /// Nesting of expressions at the top of a file.
    pub expression_depth: usize,
    /// Nesting of expressions inside functions and closures.
    pub function_expression_depth: usize,
    /// All text in one value, in bytes.
    pub string_bytes: usize,
    /// Elements of one array, nested arrays counted in.
    pub array_len: usize,
    /// Entries of one map, nested maps counted in.
    pub map_len: usize,
    /// Variables that one function has at once.
    pub variables: usize,
    /// Functions and closures in one file.
    pub functions: usize,
    pub file_bytes: u64,
    pub files: usize,
    pub folder_depth: usize,
    pub rules: usize,
}

impl Limits {
    /// The limits of cases, which say what a rule does, not how fast this machine is: ten times the processor time. The
    /// operations stay limited, so an endless loop is found all the same.
    pub fn for_cases() -> Self {
        let limits = Self::default();
        Self { rule_ms: 10 * limits.rule_ms, decision_ms: 10 * limits.decision_ms, ..limits }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            operations: 200_000,
            rule_ms: 30,
            decision_ms: 250,
            call_depth: 16,
            expression_depth: 48,
            function_expression_depth: 32,
            string_bytes: 16 * 1024,
            array_len: 1_000,
            map_len: 500,
            variables: 64,
            functions: 1_000,
            file_bytes: 256 * 1024,
            files: 20_000,
            folder_depth: 8,
            rules: 20_000,
        }
    }
}
