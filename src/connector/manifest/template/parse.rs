//! From words to the tree: text, marks and statements.
//!
//! Owns which statements there are. Refuses those that load other templates or define functions: no manifest is more
//! than one text.

use super::{
    fault::{Fault, FaultKind},
    lex::{Token, lex},
    syntax::{Body, Loop, Node, Target},
};

/// Statements nested deeper than this are refused, so that no template exhausts the stack.
pub(super) const MAX_DEPTH: usize = 100;

/// Reads a template.
pub(super) fn parse(source: &str) -> Result<Body, Fault> {
    let words = lex(source)?;
    let mut parser = Parser { tokens: words.tokens, at: 0, depth: 0 };
    let read = parser.body(&[]);
    let (body, ended) = read.map_err(|fault| {
        // What has no such filter or test has been read past its name.
        let at = parser.at.saturating_sub(usize::from(fault.kind == FaultKind::Assertion));
        fault.behind(source, words.places.get(at).copied().unwrap_or(source.len()))
    })?;
    debug_assert!(ended.is_none());
    Ok(body)
}

pub(super) struct Parser {
    pub(super) tokens: Vec<Token>,
    pub(super) at: usize,
    pub(super) depth: usize,
}

impl Parser {
    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    pub(super) fn sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(have)) if *have == sign);
        self.at += usize::from(found);
        found
    }

    pub(super) fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Name(have)) if have == word);
        self.at += usize::from(found);
        found
    }

    pub(super) fn is_sign(&self, ahead: usize, sign: &str) -> bool {
        matches!(self.tokens.get(self.at + ahead), Some(Token::Sign(have)) if *have == sign)
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Name(have)) if have == word)
    }

    pub(super) fn expect(&mut self, sign: &str) -> Result<(), Fault> {
        if self.sign(sign) { Ok(()) } else { Err(Fault::syntax(format!("'{sign}' is missing in an expression"))) }
    }

    pub(super) fn name(&mut self) -> Result<String, Fault> {
        match self.tokens.get_mut(self.at) {
            Some(Token::Name(name)) => {
                self.at += 1;
                Ok(std::mem::take(name))
            }
            _ => Err(Fault::syntax("a name is missing in an expression")),
        }
    }

    fn end(&mut self) -> Result<(), Fault> {
        // A colon before the end of a statement is allowed, as people write it.
        if self.is_sign(0, ":") && matches!(self.tokens.get(self.at + 1), Some(Token::End)) {
            self.at += 1;
        }
        if matches!(self.peek(), Some(Token::End)) {
            self.at += 1;
            Ok(())
        } else {
            Err(Fault::syntax("an expression goes on where its end is expected"))
        }
    }

    /// Nodes up to one of the `closers`, and which one it was; the closer's own end mark is left to the caller.
    fn body(&mut self, closers: &[&str]) -> Result<(Body, Option<String>), Fault> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Fault::syntax("the template is nested too deep"));
        }
        let mut nodes = Vec::new();
        let ended = loop {
            match self.tokens.get_mut(self.at) {
                None if closers.is_empty() => break None,
                None => return Err(Fault::syntax(format!("'{}' is missing", closers[closers.len() - 1]))),
                Some(Token::Text(text)) => {
                    nodes.push(Node::Text(std::mem::take(text).into()));
                    self.at += 1;
                }
                Some(Token::PrintBegin) => {
                    self.at += 1;
                    let value = self.tuple()?;
                    self.end()?;
                    nodes.push(Node::Print(value));
                }
                Some(Token::BlockBegin) => {
                    self.at += 1;
                    let word = self.name()?;
                    if closers.contains(&word.as_str()) {
                        break Some(word);
                    }
                    let node = self.statement(&word)?;
                    nodes.push(node);
                }
                Some(_) => return Err(Fault::syntax("the template is torn")),
            }
        };
        self.depth -= 1;
        Ok((nodes, ended))
    }

    fn closed(&mut self, closer: &str) -> Result<Body, Fault> {
        let (body, _) = self.body(&[closer])?;
        self.end()?;
        Ok(body)
    }

    fn statement(&mut self, word: &str) -> Result<Node, Fault> {
        match word {
            "if" => self.condition(),
            "for" => self.repeat(),
            "set" => self.set(),
            "with" => self.with(),
            "filter" => {
                let filters = self.filters()?;
                self.end()?;
                Ok(Node::Filtered(filters, self.closed("endfilter")?))
            }
            "print" => {
                let value = self.tuple()?;
                self.end()?;
                Ok(Node::Print(value))
            }
            "macro" | "call" | "include" | "import" | "from" | "extends" | "block" | "autoescape" => {
                Err(Fault::unsupported(format!("the statement '{word}' is not supported in manifests")))
            }
            other => Err(Fault::syntax(format!("the statement '{other}' is not known or stands in the wrong place"))),
        }
    }

    fn condition(&mut self) -> Result<Node, Fault> {
        let mut branches = Vec::new();
        loop {
            let condition = self.tuple()?;
            self.end()?;
            let (body, ended) = self.body(&["elif", "else", "endif"])?;
            branches.push((condition, body));
            match ended.as_deref() {
                Some("elif") => {}
                Some("else") => {
                    self.end()?;
                    return Ok(Node::If(branches, self.closed("endif")?));
                }
                _ => {
                    self.end()?;
                    return Ok(Node::If(branches, Body::new()));
                }
            }
        }
    }

    fn repeat(&mut self) -> Result<Node, Fault> {
        let target = self.target()?;
        if !self.word("in") {
            return Err(Fault::syntax("a loop has no 'in'"));
        }
        let over = self.tuple_without_if()?;
        let only = if self.word("if") { Some(self.expression()?) } else { None };
        if self.is_word("recursive") {
            return Err(Fault::unsupported("a recursive loop is not supported in manifests"));
        }
        self.end()?;
        let (body, ended) = self.body(&["else", "endfor"])?;
        self.end()?;
        let nothing = if ended.as_deref() == Some("else") { self.closed("endfor")? } else { Body::new() };
        Ok(Node::For(Box::new(Loop { target, over, only, body, nothing })))
    }

    fn set(&mut self) -> Result<Node, Fault> {
        let target = if self.is_sign(1, ".") {
            let (namespace, _) = (self.name()?, self.sign("."));
            Target::Field(namespace.into(), self.name()?.into())
        } else {
            self.target()?
        };
        if self.sign("=") {
            let value = self.tuple()?;
            self.end()?;
            return Ok(Node::Set(target, value));
        }
        let filters = if self.sign("|") { self.filters()? } else { Vec::new() };
        self.end()?;
        Ok(Node::Capture(target, filters, self.closed("endset")?))
    }

    fn with(&mut self) -> Result<Node, Fault> {
        let mut pairs = Vec::new();
        while !matches!(self.peek(), Some(Token::End)) {
            if !pairs.is_empty() {
                self.expect(",")?;
            }
            let target = self.target()?;
            self.expect("=")?;
            pairs.push((target, self.expression()?));
        }
        self.end()?;
        Ok(Node::With(pairs, self.closed("endwith")?))
    }

    /// A name, or several with commas between, in parentheses or not.
    fn target(&mut self) -> Result<Target, Fault> {
        let first = self.target_part()?;
        if !self.is_sign(0, ",") {
            return Ok(first);
        }
        let mut all = vec![first];
        while self.sign(",") {
            if self.is_word("in") || self.is_sign(0, "=") {
                break;
            }
            all.push(self.target_part()?);
        }
        Ok(Target::Several(all))
    }

    fn target_part(&mut self) -> Result<Target, Fault> {
        if self.sign("(") {
            let inner = self.target()?;
            self.expect(")")?;
            return Ok(inner);
        }
        let name = self.name()?;
        if matches!(name.as_str(), "true" | "false" | "none" | "True" | "False" | "None" | "loop") {
            return Err(Fault::new(FaultKind::Syntax, format!("'{name}' cannot be given a value")));
        }
        Ok(Target::Name(name.into()))
    }
}
