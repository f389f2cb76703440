//! The parts of a page of the manual: blocks, commands in its text, links.

use pulldown_cmark::{CodeBlockKind, Event, LinkType, Options, Parser, Tag};

/// A fenced block.
pub struct Block {
    /// The language, such as `sh`.
    pub language: String,
    /// It shows something and is not run: a word follows its language, or something is left out.
    pub example: bool,
    pub text: String,
}

impl Block {
    /// Remarks behind a `#` may.
    fn leaves_something_out(&self) -> bool {
        self.text.lines().any(|line| line.split(" # ").next().is_some_and(|line| line.contains('…')))
    }

    pub fn is_run(&self) -> bool {
        !self.example && ["sh", "console"].contains(&self.language.as_str())
    }

    /// The file that a rule says it is, such as `rules/demo/parking.rhai`.
    pub fn file(&self) -> Option<&str> {
        self.text.lines().next()?.strip_prefix("// ").filter(|path| path.starts_with("rules/"))
    }
}

/// A page, taken apart.
#[derive(Default)]
pub struct Page {
    pub name: String,
    pub blocks: Vec<Block>,
    /// Code in the running text.
    pub spans: Vec<String>,
    /// The targets of its links.
    pub links: Vec<String>,
    /// References that are defined nowhere, such as `[text][nothing]`.
    pub broken: Vec<String>,
    /// Whether the page contains HTML.
    pub has_html: bool,
}

pub fn parse(name: &str, markdown: &str) -> Page {
    let mut page = Page { name: name.to_owned(), ..Page::default() };
    let mut in_block = false;
    let mut broken = Vec::new();
    let mut on_broken = |link: pulldown_cmark::BrokenLink<'_>| {
        // `[text]` alone may be meant as it stands.
        if link.link_type == LinkType::Reference {
            broken.push(link.reference.to_string());
        }
        None
    };
    for event in Parser::new_with_broken_link_callback(markdown, Options::ENABLE_TABLES, Some(&mut on_broken)) {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                let (language, more) = info.split_once(' ').unwrap_or((&info, ""));
                let (language, example) = (language.to_owned(), !more.is_empty());
                page.blocks.push(Block { language, example, text: String::new() });
                in_block = true;
            }
            Event::Text(text) if in_block => {
                if let Some(block) = page.blocks.last_mut() {
                    block.text += &text;
                }
            }
            Event::End(pulldown_cmark::TagEnd::CodeBlock) => in_block = false,
            Event::Code(text) => page.spans.push(text.into_string()),
            Event::Start(Tag::Link { dest_url, .. }) => page.links.push(dest_url.into_string()),
            Event::Html(_) | Event::InlineHtml(_) => page.has_html = true,
            _ => {}
        }
    }
    page.broken = broken;
    page.blocks.iter_mut().for_each(|block| block.example |= block.leaves_something_out());
    page
}

impl Page {
    /// Every `recado …` that it shows, as words.
    pub fn commands(&self) -> Vec<Vec<String>> {
        let in_blocks = self.blocks.iter().flat_map(|block| match block.language.as_str() {
            "sh" => commands(&block.text),
            "console" => {
                let typed: Vec<_> = block.text.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
                commands(&typed.join("\n"))
            }
            _ => Vec::new(),
        });
        in_blocks.chain(self.spans.iter().flat_map(|span| commands(span))).collect()
    }
}

/// The `recado …` of a script, each as its words: quotes are taken off, variables stand as they are.
pub fn commands(script: &str) -> Vec<Vec<String>> {
    let script = without_documents(&script.replace("\\\n", " "));
    let mut commands = vec![Vec::new()];
    for token in tokens(&script) {
        match token {
            Token::Word(word) => {
                if let Some(command) = commands.last_mut() {
                    command.push(word);
                }
            }
            Token::End => commands.push(Vec::new()),
        }
    }
    let begins = |word: &String| word == "do" || (word.contains('=') && !word.starts_with('-'));
    let bare = commands.into_iter().map(|command| command.into_iter().skip_while(begins).collect::<Vec<_>>());
    bare.filter(|command| command.first().is_some_and(|word| word == "recado")).collect()
}

/// A script without what it writes into files (`<<'WORD'`).
fn without_documents(script: &str) -> String {
    let mut end = None;
    let mut text = String::new();
    for line in script.lines() {
        match &end {
            Some(word) if line == *word => end = None,
            Some(_) => {}
            None => {
                end = line.split_once("<<'").and_then(|(_, rest)| Some(rest.split_once('\'')?.0.to_owned()));
                text += line;
                text += "\n";
            }
        }
    }
    text
}

enum Token {
    Word(String),
    /// A command ends here.
    End,
}

fn tokens(script: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = script.chars().peekable();
    while let Some(c) = chars.next() {
        let end_of_word = matches!(c, ' ' | '\n' | '|' | ';' | '&' | '>' | '<' | '(' | ')');
        if end_of_word {
            // `$(` begins a command of its own.
            if c != '(' || word.as_deref().is_some_and(|word| !word.ends_with('$')) {
                tokens.extend(word.take().map(Token::Word));
            }
            word = None;
            match c {
                ' ' => {}
                '>' | '<' => {
                    // A redirection's file name is no argument.
                    while chars.next_if(|c| matches!(c, '>' | '<' | '&' | ' ')).is_some() {}
                    while chars.next_if(|c| !c.is_whitespace()).is_some() {}
                }
                _ => tokens.push(Token::End),
            }
            continue;
        }
        match c {
            '#' if word.is_none() => while chars.next_if(|c| *c != '\n').is_some() {},
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                while let Some(inner) = chars.next_if(|inner| *inner != c) {
                    word.push(inner);
                }
                chars.next();
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    tokens.extend(word.map(Token::Word));
    tokens
}

#[test]
fn commands_are_found_in_scripts() {
    let found = |script| commands(script).iter().map(|words| words.join("|")).collect::<Vec<_>>();
    assert_eq!(
        found("recado check  # says 'no'\nrecado tenant set sol --name 'Clínica Sol'"),
        ["recado|check", "recado|tenant|set|sol|--name|Clínica Sol"]
    );
    assert_eq!(
        found("A=1 recado send --to \"+34 1\" \\\n  x > file.txt && echo ok; recado test"),
        ["recado|send|--to|+34 1|x", "recado|test"]
    );
    assert_eq!(
        found("cat > a <<'END'\nrecado nonsense\nEND\necho HOLA | recado phone --plain"),
        ["recado|phone|--plain"]
    );
    assert_eq!(
        found("token=$(recado tenant token add demo --json | sed -n 's/a/b/p')"),
        ["recado|tenant|token|add|demo|--json"]
    );
    assert_eq!(
        found("for rule in 'a b' c; do\n  recado tenant set demo --enable \"$rule\"\ndone"),
        ["recado|tenant|set|demo|--enable|$rule"]
    );
}
