//! Reads the part of pf.conf(5) that this crate writes, and nothing else.

mod filter;
mod hosts;
mod translation;

use super::ast::{List, On, Ruleset, Statement, Table};
use super::error::{ParseError, Problem};
use super::lex::{Kind, Token, tokens};
use super::names::{TableName, is_keyword};
use crate::names::InterfaceName;
use crate::net::Family;

impl Ruleset {
    /// Reads an anchor, as strictly as pfctl does, and stricter where pfctl takes what is
    /// probably a mistake. Each refusal is a variant of [`Problem`].
    ///
    /// Comments, empty lines and lines that go on behind a backslash are read, and dropped.
    /// Bits behind a prefix are masked, as pfctl does silently; a table that is used but not
    /// defined is no error, since pf takes it as empty.
    ///
    /// ```
    /// use netplan::pf::{Problem, Ruleset};
    ///
    /// let text = "pass in quick on em0 proto tcp from any to (self) port 22 keep state\n";
    /// let rules = Ruleset::parse(text)?;
    /// assert_eq!(rules.to_string(), text);
    ///
    /// let error = Ruleset::parse("block drop all").unwrap_err();
    /// assert_eq!(error.problem, Problem::NoNewline);
    /// # Ok::<(), netplan::pf::ParseError>(())
    /// ```
    ///
    /// # Errors
    /// At the first token that is wrong.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut parser = Parser {
            tokens: tokens(text)?,
            position: 0,
        };
        let mut statements = Vec::new();
        let mut state = Order::default();
        loop {
            parser.skip_newlines();
            let first = parser.peek().clone();
            if first.kind == Kind::End {
                return Ok(Self { statements });
            }
            let statement = parser.statement()?;
            state.check(&first, &statement)?;
            parser.end_of_statement()?;
            statements.push((first.line, statement));
        }
    }
}

/// What must hold between statements.
#[derive(Default)]
struct Order {
    filtering: bool,
    tables: Vec<TableName>,
}

impl Order {
    fn check(&mut self, first: &Token, statement: &Statement) -> Result<(), ParseError> {
        match statement {
            Statement::Filter(_) => self.filtering = true,
            Statement::Table(table) if self.tables.contains(&table.name) => {
                return Err(first.error(Problem::SecondTable));
            }
            Statement::Table(table) => self.tables.push(table.name.clone()),
            _ if self.filtering => return Err(first.error(Problem::Order)),
            _ => {}
        }
        Ok(())
    }
}

pub(super) struct Parser {
    tokens: Vec<Token>,
    position: usize,
}

type Parsed<T> = Result<T, ParseError>;

impl Parser {
    fn peek(&self) -> &Token {
        let last = self.tokens.last();
        self.tokens
            .get(self.position)
            .or(last)
            .expect("the tokens end with Kind::End")
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.position += 1;
        token
    }

    /// Whether the next token is this keyword; it is taken then.
    fn takes(&mut self, word: &str) -> bool {
        let is_next = matches!(&self.peek().kind, Kind::Word(text) if text == word);
        self.position += usize::from(is_next);
        is_next
    }

    fn takes_mark(&mut self, mark: char) -> bool {
        let is_next = self.peek().kind == Kind::Mark(mark);
        self.position += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, word: &str, expected: &'static str) -> Parsed<()> {
        if self.takes(word) {
            return Ok(());
        }
        Err(self.peek().error(Problem::Expected(expected)))
    }

    fn expect_mark(&mut self, mark: char, expected: &'static str) -> Parsed<()> {
        if self.takes_mark(mark) {
            return Ok(());
        }
        Err(self.peek().error(Problem::Expected(expected)))
    }

    fn skip_newlines(&mut self) {
        while self.peek().kind == Kind::Newline {
            self.position += 1;
        }
    }

    fn end_of_statement(&mut self) -> Parsed<()> {
        let token = self.next();
        match token.kind {
            Kind::Newline => Ok(()),
            Kind::End => Err(token.error(Problem::NoNewline)),
            _ => Err(token.error(Problem::Expected("the end of the statement"))),
        }
    }

    fn statement(&mut self) -> Parsed<Statement> {
        let first = self.next();
        let Kind::Word(word) = &first.kind else {
            return Err(first.error(Problem::Expected("a statement")));
        };
        match word.as_str() {
            "table" => self.table().map(Statement::Table),
            "nat" => self.nat().map(Statement::Nat),
            "binat" => self.binat().map(Statement::Binat),
            "rdr" => self.rdr().map(Statement::Rdr),
            "pass" | "block" => self.filter(&first).map(Statement::Filter),
            "set" => Err(first.error(Problem::NotWritten(
                "options belong to the main pf.conf, not to an anchor",
            ))),
            "antispoof" => Err(first.error(Problem::NotWritten(
                "antispoof expands to nothing where the interface is absent: write block rules",
            ))),
            "ether" => Err(first.error(Problem::NotWritten(
                "ether rules are unknown before FreeBSD 14",
            ))),
            _ => Err(first.error(Problem::Expected("table, nat, binat, rdr, block or pass"))),
        }
    }

    fn table(&mut self) -> Parsed<Table> {
        let name = self.table_name()?;
        let constant = self.takes("const");
        self.expect_mark('{', "const or '{'")?;
        self.skip_newlines();
        let mut members = Vec::new();
        if !self.takes_mark('}') {
            members = self.items(Self::net)?;
        }
        Ok(Table {
            name,
            constant,
            members,
        })
    }

    /// `<NAME>`
    fn table_name(&mut self) -> Parsed<TableName> {
        self.expect_mark('<', "'<' and the name of a table")?;
        let token = self.next();
        let name = match &token.kind {
            Kind::Word(word) if is_keyword(word) => {
                return Err(token.error(Problem::Keyword("table name")));
            }
            Kind::Word(text) | Kind::Quoted(text) => TableName::new(text.as_str()),
            _ => return Err(token.error(Problem::Expected("the name of a table"))),
        };
        let name = name.map_err(|error| token.error(error.into()))?;
        self.expect_mark('>', "'>'")?;
        Ok(name)
    }

    /// One item, or several in braces.
    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Parsed<T>) -> Parsed<List<T>> {
        if !self.takes_mark('{') {
            return item(self).map(List::one);
        }
        self.skip_newlines();
        let here = self.peek().clone();
        let items = self.items(item)?;
        List::new(items).ok_or_else(|| here.error(Problem::Expected("a list")))
    }

    /// Items up to the closing brace, one at least. Between them newlines, or a comma.
    fn items<T>(&mut self, item: impl Fn(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = vec![item(self)?];
        loop {
            self.skip_newlines();
            if self.takes_mark('}') {
                return Ok(items);
            }
            if self.takes_mark(',') && self.peek().kind == Kind::Newline {
                return Err(self.peek().error(Problem::CommaNewline));
            }
            items.push(item(self)?);
        }
    }

    fn on(&mut self) -> Parsed<On> {
        if self.takes_mark('!') {
            return self.interface().map(On::Not);
        }
        self.list(Self::interface).map(On::OneOf)
    }

    fn interface(&mut self) -> Parsed<InterfaceName> {
        let token = self.next();
        let text = match &token.kind {
            Kind::Word(word) if is_keyword(word) => {
                return Err(token.error(Problem::Keyword("interface")));
            }
            Kind::Word(text) | Kind::Quoted(text) => text,
            Kind::Mark('!') => {
                return Err(token.error(Problem::NotWritten(
                    "in a list '!' means any other interface, so any at all",
                )));
            }
            _ => return Err(token.error(Problem::Expected("an interface"))),
        };
        InterfaceName::new(text.as_str()).map_err(|error| token.error(error.into()))
    }

    fn family(&mut self) -> Option<Family> {
        if self.takes("inet") {
            return Some(Family::V4);
        }
        self.takes("inet6").then_some(Family::V6)
    }

    fn port(&mut self) -> Parsed<u16> {
        self.number("a port as a number from 0 to 65535")
    }

    fn number<T: TryFrom<u64>>(&mut self, expected: &'static str) -> Parsed<T> {
        let token = self.next();
        let Kind::Number(number) = token.kind else {
            return Err(token.error(Problem::Expected(expected)));
        };
        T::try_from(number).map_err(|_| token.error(Problem::Expected(expected)))
    }
}
