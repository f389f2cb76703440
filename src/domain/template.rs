//! The variables of message templates, as Meta and Twilio take them.
//!
//! A variable is one line of text: not empty, without line breaks, tabs and more than four blanks in a row (Meta's error
//! 132018; Twilio refuses the same with <https://www.twilio.com/docs/api/errors/21656>), and of at most 1,600 characters
//! (<https://www.twilio.com/docs/api/errors/21658>).

use super::action::Template;

/// The longest value of a variable, in characters.
pub const VARIABLE_MAX_CHARS: usize = 1_600;
/// The most blanks in a row.
pub const BLANKS_MAX: usize = 4;

/// Why a template cannot be sent with its variables.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnfitVariable {
    #[error("the variable {0} of the template is empty, which WhatsApp refuses: give it a text")]
    Empty(String),
    #[error("the variable {0} of the template has more than {VARIABLE_MAX_CHARS} characters: shorten it")]
    Long(String),
}

impl Template {
    /// Makes the variables ones that are taken: line breaks, tabs and wide gaps become a blank.
    pub fn fit_variables(&mut self) -> Result<(), UnfitVariable> {
        for (name, value) in &mut self.variables {
            *value = one_line(value);
            if value.is_empty() {
                return Err(UnfitVariable::Empty(name.clone()));
            }
            if value.chars().count() > VARIABLE_MAX_CHARS {
                return Err(UnfitVariable::Long(name.clone()));
            }
        }
        Ok(())
    }
}

/// The text in one line, without gaps, blanks around it and placeholders of the template's own kind.
fn one_line(text: &str) -> String {
    let (mut line, mut gap) = (String::with_capacity(text.len()), String::new());
    // A zero-width character alone would look empty and pass.
    for c in text.chars().filter(|c| !matches!(c, '\u{200b}' | '\u{2060}' | '\u{feff}')) {
        if c.is_whitespace() || c.is_control() {
            gap.push(c);
            continue;
        }
        if !gap.is_empty() && !line.is_empty() {
            let wide = gap.chars().count() > BLANKS_MAX || gap.chars().any(|c| c.is_control() || is_line_end(c));
            line.push_str(if wide { " " } else { &gap });
        }
        gap.clear();
        // Twilio would read {{1}} in a value as a placeholder.
        if line.ends_with(c) && matches!(c, '{' | '}') {
            line.push(' ');
        }
        line.push(c);
    }
    line
}

const fn is_line_end(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(value: &str) -> Result<String, UnfitVariable> {
        let mut template =
            Template { content: "HX1".to_owned(), variables: [("1".to_owned(), value.to_owned())].into() };
        template.fit_variables()?;
        Ok(template.variables["1"].clone())
    }

    #[test]
    fn a_variable_is_one_line() {
        for (given, expected) in [
            ("Ana", "Ana"),
            (" Ana\nPérez ", "Ana Pérez"),
            ("uno\r\n\r\ndos\ttres", "uno dos tres"),
            ("a    b     c", "a    b c"),
            ("a\u{2028}b\u{85}c", "a b c"),
            ("a \u{a0}b", "a \u{a0}b"),
            ("{{2}}", "{ {2} }"),
            ("{x}", "{x}"),
        ] {
            assert_eq!(fitted(given).as_deref(), Ok(expected), "{given:?}");
        }
    }

    #[test]
    fn an_empty_or_endless_variable_is_refused() {
        for empty in ["", " ", "\n\t ", "\u{200b}", "\u{a0}"] {
            assert_eq!(fitted(empty), Err(UnfitVariable::Empty("1".to_owned())), "{empty:?}");
        }
        assert_eq!(fitted(&"x".repeat(1_601)), Err(UnfitVariable::Long("1".to_owned())));
        assert!(fitted(&"ñ".repeat(1_600)).is_ok());
    }
}
