//! What a rule may use, and what a decision may hold. Every limit has a name here.

/// The most actions that one event may lead to, over all rules together.
pub const ACTIONS_PER_EVENT: usize = 32;
/// The longest text of a message, in characters: Twilio refuses more with error 21617.
pub const TEXT_CHARS: usize = 1_600;
/// The longest text that is said in one go, in characters.
pub const SPOKEN_CHARS: usize = 3_000;
/// The longest note, in characters.
pub const NOTE_CHARS: usize = 2_000;
/// The longest name of a rule, tag, field, parameter or template, in characters.
pub const NAME_CHARS: usize = 80;
/// The most data that `set_field` or `emit` may carry, in bytes of JSON.
pub const DATA_BYTES: usize = 8 * 1024;
/// How deep data may be nested on its way into or out of a script.
pub const DATA_DEPTH: usize = 24;
/// The most values that the trace keeps of what one rule read.
pub const READS_PER_RULE: usize = 32;
/// The longest text that the trace keeps of a value read, in characters.
pub const READ_CHARS: usize = 120;
/// The longest error of a script that is kept, in characters.
pub const MESSAGE_CHARS: usize = 500;
/// The longest `local(…, format)` format, in bytes.
pub const FORMAT_BYTES: usize = 64;
/// The most keywords or event kinds of one rule.
pub const WORDS_PER_RULE: usize = 64;
/// How far ahead an action, or the end of a question, may lie, in days.
pub const AHEAD_DAYS: u32 = 366;
/// The most that `.limit(times, span)` counts.
pub const LIMIT_TIMES: u32 = 100;
/// The most questions of one rule.
pub const QUESTIONS_PER_RULE: usize = 32;
/// The most that a question may remember, in bytes of JSON.
pub const STATE_BYTES: usize = 2 * 1024;
/// The stack of a thread on which scripts run, in bytes: deeper than the depth limits can reach in any build.
pub const STACK_BYTES: usize = 16 * 1024 * 1024;

/// What loading and evaluating may use. The defaults suit any rule that a person would write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Steps of the interpreter, for one rule and one event.
    pub operations: u64,
    /// Processor time for one rule and one event: a machine that is busy with other work fails no rule.
    pub rule_ms: u64,
    /// Processor time for all rules of one event.
    pub decision_ms: u64,
    /// Functions calling functions.
    pub call_depth: usize,
    /// Nesting of expressions at the top of a file.
    pub expression_depth: usize,
    /// Nesting of expressions inside functions and closures.
    pub function_expression_depth: usize,
    /// All text in one value.
    pub string_bytes: usize,
    /// Elements of one array, those of arrays within it counted in.
    pub array_len: usize,
    /// Entries of one map, those of maps within it counted in.
    pub map_len: usize,
    /// Variables alive at once in one function.
    pub variables: usize,
    /// Functions and closures in one file.
    pub functions: usize,
    pub file_bytes: u64,
    pub files: usize,
    pub folder_depth: usize,
    pub rules: usize,
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
