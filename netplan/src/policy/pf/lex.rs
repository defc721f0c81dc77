//! The tokens of pf.conf, by the rules of pfctl's own lexer (`yylex` in its parse.y).

use std::iter::Peekable;
use std::str::Chars;

use super::error::{ParseError, Problem};

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A string without quotes, perhaps a keyword.
    Word(String),
    /// A string in quotes, never a keyword.
    Quoted(String),
    /// Digits alone.
    Number(u64),
    /// `->`
    Arrow,
    /// Any other character.
    Mark(char),
    /// The end of a line.
    Newline,
    /// The end of the text.
    End,
}

/// A token and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) line: u32,
    pub(super) column: u32,
}

impl Token {
    pub(super) fn error(&self, problem: Problem) -> ParseError {
        let found = match &self.kind {
            Kind::Word(text) => format!("{text:?}"),
            Kind::Quoted(text) => format!("quoted {text:?}"),
            Kind::Number(number) => number.to_string(),
            Kind::Arrow => "'->'".to_owned(),
            Kind::Mark(mark) => format!("{mark:?}"),
            Kind::Newline => "the end of the line".to_owned(),
            Kind::End => "the end of the text".to_owned(),
        };
        let (line, column) = (self.line, self.column);
        ParseError {
            line,
            column,
            found,
            problem,
        }
    }
}

/// The tokens of a text; the last one is [`Kind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, ParseError> {
    let mut lexer = Lexer {
        rest: text.chars().peekable(),
        line: 1,
        column: 1,
    };
    let mut tokens = Vec::new();
    loop {
        let token = lexer.token()?;
        let is_last = token.kind == Kind::End;
        tokens.push(token);
        if is_last {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    rest: Peekable<Chars<'a>>,
    line: u32,
    column: u32,
}

/// pfctl's `allowed_in_string`.
fn is_in_string(c: char) -> bool {
    c.is_ascii_alphanumeric() || (c.is_ascii_punctuation() && !"(){}<>!=/#,".contains(c))
}

/// pfctl's `allowed_to_end_number`.
fn ends_number(c: char) -> bool {
    c.is_ascii_whitespace() || "),/}=".contains(c)
}

impl Lexer<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        if c == '\n' {
            self.line = self.line.saturating_add(1);
            self.column = 1;
        } else {
            self.column = self.column.saturating_add(1);
        }
        Some(c)
    }

    /// Blanks, comments, and ends of lines that a backslash takes away.
    fn skip(&mut self) {
        loop {
            match self.rest.peek() {
                Some(' ' | '\t') => {
                    self.next();
                }
                Some('#') => {
                    while self.rest.peek().is_some_and(|c| *c != '\n') {
                        self.next();
                    }
                }
                Some('\\') => {
                    let mut ahead = self.rest.clone();
                    ahead.next();
                    if ahead.peek() != Some(&'\n') {
                        return;
                    }
                    self.next();
                    self.next();
                }
                _ => return,
            }
        }
    }

    fn token(&mut self) -> Result<Token, ParseError> {
        self.skip();
        let at = |kind| Token {
            kind,
            line: self.line,
            column: self.column,
        };
        let (here, end) = (at(Kind::Newline), at(Kind::End));
        let Some(first) = self.rest.peek().copied() else {
            return Ok(end);
        };
        let kind = match first {
            '\r' => {
                let mark = Kind::Mark(first);
                return Err(Token { kind: mark, ..here }.error(Problem::CarriageReturn));
            }
            '$' => {
                self.next();
                let name = self.take(|c| c.is_ascii_alphanumeric() || c == '_');
                let kind = Kind::Word(format!("${name}"));
                return Err(Token { kind, ..here }.error(Problem::UnknownMacro(name)));
            }
            '"' | '\'' => self.quoted(first, &here)?,
            c if c.is_ascii_alphanumeric() || c == ':' || c == '_' => self.word(),
            _ => self.mark(first),
        };
        Ok(Token { kind, ..here })
    }

    fn mark(&mut self, first: char) -> Kind {
        self.next();
        if first == '-' && self.rest.peek() == Some(&'>') {
            self.next();
            return Kind::Arrow;
        }
        match first {
            '\n' => Kind::Newline,
            mark => Kind::Mark(mark),
        }
    }

    fn word(&mut self) -> Kind {
        let digits: String = {
            let ahead = self.rest.clone();
            ahead.take_while(char::is_ascii_digit).collect()
        };
        let behind = self.rest.clone().nth(digits.len());
        if let Ok(number) = digits.parse()
            && behind.is_none_or(ends_number)
        {
            self.take(|c| c.is_ascii_digit());
            return Kind::Number(number);
        }
        Kind::Word(self.take(is_in_string))
    }

    fn quoted(&mut self, quote: char, here: &Token) -> Result<Kind, ParseError> {
        self.next();
        let text = self.take(|c| c != quote && c != '\n');
        if self.next() == Some(quote) {
            return Ok(Kind::Quoted(text));
        }
        let kind = Kind::Quoted(text);
        Err(Token { kind, ..*here }.error(Problem::OpenQuote))
    }

    fn take(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let mut text = String::new();
        while self.rest.peek().is_some_and(|c| wanted(*c)) {
            text.extend(self.next());
        }
        text
    }
}
