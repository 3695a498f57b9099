//! From words to the tree: expressions, with the template language's own precedence.

use super::{
    context::Variable,
    fault::{Fault, FaultKind},
    filters::{self, Filter},
    globals::Global,
    lex::Token,
    parse::{MAX_DEPTH, Parser},
    syntax::{Arithmetic, Constant, Expr, Given, Name, Relation},
    trials,
};
use crate::yaml::nearest;

impl Parser {
    /// An expression, or several with commas between, which are a tuple.
    pub(super) fn tuple(&mut self) -> Result<Expr, Fault> {
        self.tuple_of(Self::expression)
    }

    /// As [`Self::tuple`], where an `if` belongs to what is around.
    pub(super) fn tuple_without_if(&mut self) -> Result<Expr, Fault> {
        self.tuple_of(Self::either)
    }

    fn tuple_of(&mut self, part: fn(&mut Self) -> Result<Expr, Fault>) -> Result<Expr, Fault> {
        let first = part(self)?;
        if !self.is_sign(0, ",") {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.sign(",") {
            let ends = matches!(self.peek(), None | Some(Token::End | Token::Sign(")" | "]" | "}" | "=")));
            if ends || self.is_word("if") || self.is_word("recursive") {
                break;
            }
            items.push(part(self)?);
        }
        Ok(Expr::Tuple(items))
    }

    /// `a if b else c` and all that binds tighter.
    pub(super) fn expression(&mut self) -> Result<Expr, Fault> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Fault::syntax("the template is nested too deep"));
        }
        let mut value = self.either()?;
        while self.word("if") {
            let condition = self.either()?;
            let otherwise = if self.word("else") { Some(Box::new(self.expression()?)) } else { None };
            value = Expr::If(Box::new([value, condition]), otherwise);
        }
        self.depth -= 1;
        Ok(value)
    }

    fn either(&mut self) -> Result<Expr, Fault> {
        let mut left = self.both()?;
        while self.word("or") {
            left = Expr::Or(Box::new(left), Box::new(self.both()?));
        }
        Ok(left)
    }

    fn both(&mut self) -> Result<Expr, Fault> {
        let mut left = self.negation()?;
        while self.word("and") {
            left = Expr::And(Box::new(left), Box::new(self.negation()?));
        }
        Ok(left)
    }

    fn negation(&mut self) -> Result<Expr, Fault> {
        let mut times = 0_usize;
        while self.word("not") {
            times += 1;
            if times > MAX_DEPTH {
                return Err(Fault::syntax("the template is nested too deep"));
            }
        }
        let mut value = self.comparison()?;
        for _ in 0..times {
            value = Expr::Not(Box::new(value));
        }
        Ok(value)
    }

    fn relation(&mut self) -> Option<Relation> {
        let signs = [
            ("==", Relation::Equal),
            ("!=", Relation::Unequal),
            ("<=", Relation::AtMost),
            (">=", Relation::AtLeast),
            ("<", Relation::Less),
            (">", Relation::Greater),
        ];
        if let Some((_, relation)) = signs.into_iter().find(|(sign, _)| self.sign(sign)) {
            return Some(relation);
        }
        if self.word("in") {
            return Some(Relation::In);
        }
        let not_in = self.is_word("not") && matches!(self.tokens.get(self.at + 1), Some(Token::Name(n)) if n == "in");
        if not_in {
            self.at += 2;
        }
        not_in.then_some(Relation::NotIn)
    }

    fn comparison(&mut self) -> Result<Expr, Fault> {
        let first = self.sum()?;
        let mut rest = Vec::new();
        while let Some(relation) = self.relation() {
            rest.push((relation, self.sum()?));
        }
        Ok(if rest.is_empty() { first } else { Expr::Compare(Box::new(first), rest) })
    }

    fn binary(
        &mut self,
        part: fn(&mut Self) -> Result<Expr, Fault>,
        signs: &[(&str, Arithmetic)],
    ) -> Result<Expr, Fault> {
        let mut left = part(self)?;
        while let Some((_, operation)) = signs.iter().find(|(sign, _)| self.is_sign(0, sign)) {
            self.at += 1;
            left = Expr::Arithmetic(*operation, Box::new(left), Box::new(part(self)?));
        }
        Ok(left)
    }

    fn sum(&mut self) -> Result<Expr, Fault> {
        self.binary(Self::concat, &[("+", Arithmetic::Add), ("-", Arithmetic::Subtract)])
    }

    fn concat(&mut self) -> Result<Expr, Fault> {
        let first = self.product()?;
        if !self.is_sign(0, "~") {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.sign("~") {
            parts.push(self.product()?);
        }
        Ok(Expr::Concat(parts))
    }

    fn product(&mut self) -> Result<Expr, Fault> {
        let signs = [
            ("*", Arithmetic::Multiply),
            ("/", Arithmetic::Divide),
            ("//", Arithmetic::FloorDivide),
            ("%", Arithmetic::Modulo),
        ];
        self.binary(Self::power, &signs)
    }

    fn power(&mut self) -> Result<Expr, Fault> {
        self.binary(|parser| parser.unary(true), &[("**", Arithmetic::Power)])
    }

    fn unary(&mut self, filtered: bool) -> Result<Expr, Fault> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Fault::syntax("the template is nested too deep"));
        }
        let value = if self.sign("-") {
            Expr::Negative(Box::new(self.unary(false)?))
        } else if self.sign("+") {
            Expr::Positive(Box::new(self.unary(false)?))
        } else {
            self.primary()?
        };
        self.depth -= 1;
        let value = self.postfix(value)?;
        if filtered { self.pipes(value) } else { Ok(value) }
    }

    fn primary(&mut self) -> Result<Expr, Fault> {
        let token = self.tokens.get_mut(self.at).ok_or_else(|| Fault::syntax("an expression is missing"))?;
        match token {
            Token::Name(name) => {
                let name = std::mem::take(name);
                self.at += 1;
                Ok(match name.as_str() {
                    "true" | "True" => Expr::Constant(Constant::Bool(true)),
                    "false" | "False" => Expr::Constant(Constant::Bool(false)),
                    "none" | "None" => Expr::Constant(Constant::None),
                    _ => Expr::Name(Name {
                        variable: Variable::named(&name),
                        global: Global::named(&name),
                        text: name.into(),
                    }),
                })
            }
            Token::Constant(constant) => {
                let constant = std::mem::replace(constant, Constant::None);
                self.at += 1;
                let Constant::Text(text) = constant else { return Ok(Expr::Constant(constant)) };
                let mut text = text.into_string();
                while let Some(Token::Constant(Constant::Text(more))) = self.peek() {
                    text.push_str(more);
                    self.at += 1;
                }
                Ok(Expr::Constant(Constant::Text(text.into())))
            }
            Token::Sign("(") => {
                self.at += 1;
                if self.sign(")") {
                    return Ok(Expr::Tuple(Vec::new()));
                }
                let value = self.tuple()?;
                self.expect(")")?;
                Ok(value)
            }
            Token::Sign("[") => {
                self.at += 1;
                let mut items = Vec::new();
                while !self.sign("]") {
                    if !items.is_empty() {
                        self.expect(",")?;
                        if self.sign("]") {
                            break;
                        }
                    }
                    items.push(self.expression()?);
                }
                Ok(Expr::List(items))
            }
            Token::Sign("{") => {
                self.at += 1;
                let mut items = Vec::new();
                while !self.sign("}") {
                    if !items.is_empty() {
                        self.expect(",")?;
                        if self.sign("}") {
                            break;
                        }
                    }
                    let key = self.expression()?;
                    self.expect(":")?;
                    items.push((key, self.expression()?));
                }
                Ok(Expr::Dict(items))
            }
            _ => Err(Fault::syntax("an expression is missing or starts with a sign")),
        }
    }

    fn postfix(&mut self, mut value: Expr) -> Result<Expr, Fault> {
        loop {
            if self.sign(".") {
                value = match self.tokens.get(self.at) {
                    Some(Token::Constant(Constant::Int(index))) => {
                        let index = Expr::Constant(Constant::Int(*index));
                        self.at += 1;
                        Expr::Item(Box::new(value), Box::new(index))
                    }
                    _ => Expr::Attribute(Box::new(value), self.name()?.into()),
                };
            } else if self.sign("[") {
                value = self.subscript(value)?;
            } else if self.is_sign(0, "(") {
                value = Expr::Call(Box::new(value), self.given()?);
            } else {
                return Ok(value);
            }
        }
    }

    fn subscript(&mut self, value: Expr) -> Result<Expr, Fault> {
        let mut parts: [Option<Box<Expr>>; 3] = [None, None, None];
        let mut colons = 0;
        while !self.sign("]") {
            if self.sign(":") {
                colons += 1;
                if colons > 2 {
                    return Err(Fault::syntax("a slice has more than two ':'"));
                }
            } else {
                let part = if colons == 0 { self.tuple()? } else { self.expression()? };
                parts[colons] = Some(Box::new(part));
                if !self.is_sign(0, ":") && !self.is_sign(0, "]") {
                    return Err(Fault::syntax("']' is missing in an expression"));
                }
            }
        }
        if colons > 0 {
            return Ok(Expr::Slice(Box::new(value), parts));
        }
        let [Some(index), ..] = parts else { return Err(Fault::syntax("the brackets are empty")) };
        Ok(Expr::Item(Box::new(value), index))
    }

    /// What stands in parentheses behind a call.
    fn given(&mut self) -> Result<Given, Fault> {
        self.expect("(")?;
        let mut given = Given::default();
        let mut first = true;
        while !self.sign(")") {
            if !first {
                self.expect(",")?;
                if self.sign(")") {
                    break;
                }
            }
            first = false;
            if self.is_sign(0, "*") || self.is_sign(0, "**") {
                return Err(Fault::unsupported("a call with * or ** is not supported in manifests"));
            }
            if self.is_sign(1, "=") {
                let name = self.name()?;
                self.at += 1;
                given.named.push((name.into(), self.expression()?));
            } else if given.named.is_empty() {
                given.positional.push(self.expression()?);
            } else {
                return Err(Fault::syntax("a call has a value without a name behind one with a name"));
            }
        }
        Ok(given)
    }

    fn pipes(&mut self, mut value: Expr) -> Result<Expr, Fault> {
        loop {
            if self.sign("|") {
                let (filter, given) = self.filter()?;
                value = Expr::Filter(Box::new(value), filter, given);
            } else if self.word("is") {
                value = self.trial(value)?;
            } else if self.is_sign(0, "(") {
                value = Expr::Call(Box::new(value), self.given()?);
            } else {
                return Ok(value);
            }
        }
    }

    fn dotted(&mut self) -> Result<String, Fault> {
        let mut name = self.name()?;
        while self.sign(".") {
            name = format!("{name}.{}", self.name()?);
        }
        Ok(name)
    }

    fn filter(&mut self) -> Result<(Filter, Given), Fault> {
        let name = self.dotted()?;
        let filter = filters::named(&name).ok_or_else(|| absent("filter", &name, filters::names()))?;
        let given = if self.is_sign(0, "(") { self.given()? } else { Given::default() };
        Ok((filter, given))
    }

    /// The filters of a block, the first without its `|`.
    pub(super) fn filters(&mut self) -> Result<Vec<(Filter, Given)>, Fault> {
        let mut all = vec![self.filter()?];
        while self.sign("|") {
            all.push(self.filter()?);
        }
        Ok(all)
    }

    fn trial(&mut self, value: Expr) -> Result<Expr, Fault> {
        let negated = self.word("not");
        let name = self.dotted()?;
        let trial = trials::named(&name).ok_or_else(|| absent("test", &name, trials::names()))?;
        let takes = match self.peek() {
            Some(Token::Name(word)) => !matches!(word.as_str(), "else" | "or" | "and" | "if" | "is" | "not" | "in"),
            Some(Token::Constant(_) | Token::Sign("[" | "{")) => true,
            _ => false,
        };
        let given = if self.is_sign(0, "(") {
            self.given()?
        } else if self.is_word("is") {
            return Err(Fault::syntax("tests with 'is' cannot be chained"));
        } else if takes {
            let argument = self.primary()?;
            Given { positional: vec![self.postfix(argument)?], named: Vec::new() }
        } else {
            Given::default()
        };
        let test = Expr::Test(Box::new(value), trial, given);
        Ok(if negated { Expr::Not(Box::new(test)) } else { test })
    }
}

/// What stands for a filter or a test that does not exist.
fn absent(kind: &str, name: &str, known: impl Iterator<Item = &'static str>) -> Fault {
    let near = nearest(name, known).map(|near| format!("; did you mean '{near}'?"));
    Fault::new(FaultKind::Assertion, format!("there is no {kind} '{name}'{}", near.unwrap_or_default()))
}
