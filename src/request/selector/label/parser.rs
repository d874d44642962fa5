//! The grammar of label selectors, with Kubernetes' messages.

use super::lexer::{Token, scan};
use super::valid;
use super::{Operator, Requirement};
use crate::request::quote::quote;

struct Parser<'a> {
    tokens: Vec<(Token, &'a str)>,
    position: usize,
}

/// Reads all requirements.
pub(super) fn parse(text: &str) -> Result<Vec<Requirement>, String> {
    let mut parser = Parser { tokens: scan(text), position: 0 };
    let mut requirements = Vec::new();
    loop {
        match parser.peek() {
            (Token::Name | Token::Not, _) => {}
            (Token::End, _) => return Ok(requirements),
            (_, found) => return Err(format!("found '{found}', expected: !, identifier, or 'end of string'")),
        }
        requirements.push(parser.requirement().map_err(|fault| format!("unable to parse requirement: {fault}"))?);
        match parser.next() {
            (Token::End, _) => return Ok(requirements),
            (Token::Comma, _) => match parser.peek() {
                (Token::Name | Token::Not, _) => {}
                (_, found) => return Err(format!("found '{found}', expected: identifier after ','")),
            },
            (_, found) => return Err(format!("found '{found}', expected: ',' or 'end of string'")),
        }
    }
}

/// Builds a checked requirement.
pub(super) fn requirement(key: &str, operator: Operator, mut values: Vec<String>) -> Result<Requirement, String> {
    values.sort_unstable();
    values.dedup();
    let mut faults = Vec::new();
    if let Some(fault) = valid::key_fault(key) {
        faults.push(format!("key: {fault}"));
    }
    match operator {
        Operator::In | Operator::NotIn if values.is_empty() => {
            faults.push("values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty".to_owned());
        }
        Operator::Exists | Operator::DoesNotExist if !values.is_empty() => {
            let shown = serde_json::to_string(&values).unwrap_or_default();
            faults.push(format!("values: Invalid value: {shown}: values set must be empty for exists and does not exist"));
        }
        Operator::Above | Operator::Below => faults.extend(number_faults(&values)),
        _ => {}
    }
    for (index, value) in values.iter().enumerate() {
        faults.extend(valid::value_fault(value).map(|fault| format!("values[{index}][{key}]: {fault}")));
    }
    match faults.len() {
        0 => Ok(Requirement { key: key.to_owned(), operator, values }),
        1 => Err(faults.swap_remove(0)),
        _ => Err(format!("[{}]", faults.join(", "))),
    }
}

impl<'a> Parser<'a> {
    /// The next word without taking it; `in` and `notin` are names here.
    fn peek(&self) -> (Token, &'a str) {
        match self.raw() {
            (Token::In | Token::NotIn, text) => (Token::Name, text),
            other => other,
        }
    }

    fn next(&mut self) -> (Token, &'a str) {
        let token = self.peek();
        self.position += 1;
        token
    }

    fn raw(&self) -> (Token, &'a str) {
        self.tokens.get(self.position).copied().unwrap_or((Token::End, ""))
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let (mut token, mut key) = self.next();
        let negated = token == Token::Not;
        if negated {
            (token, key) = self.next();
        }
        if token != Token::Name {
            return Err(format!("found '{key}', expected: identifier"));
        }
        if let Some(fault) = valid::key_fault(key) {
            return Err(format!("<nil>: {fault}"));
        }
        if negated {
            return requirement(key, Operator::DoesNotExist, Vec::new());
        }
        if matches!(self.peek().0, Token::End | Token::Comma) {
            return requirement(key, Operator::Exists, Vec::new());
        }
        self.comparison(key)
    }

    fn comparison(&mut self, key: &str) -> Result<Requirement, String> {
        let (token, found) = self.raw();
        self.position += 1;
        let operator = match token {
            Token::In | Token::Equals | Token::DoubleEquals => Operator::In,
            Token::NotIn | Token::NotEquals => Operator::NotIn,
            Token::Above => Operator::Above,
            Token::Below => Operator::Below,
            _ => return Err(format!("found '{found}', expected: in, notin, =, ==, !=, gt, lt")),
        };
        let values = if matches!(token, Token::In | Token::NotIn) { self.values()? } else { vec![self.exact_value()?] };
        requirement(key, operator, values)
    }

    fn exact_value(&mut self) -> Result<String, String> {
        if matches!(self.peek().0, Token::End | Token::Comma) {
            return Ok(String::new());
        }
        match self.next() {
            (Token::Name, value) => Ok(value.to_owned()),
            (_, found) => Err(format!("found '{found}', expected: identifier")),
        }
    }

    fn values(&mut self) -> Result<Vec<String>, String> {
        let (token, found) = self.next();
        if token != Token::Open {
            return Err(format!("found '{found}' expected: '('"));
        }
        match self.peek() {
            (Token::Name | Token::Comma, first) => {
                let values = self.value_list()?;
                match self.next().0 {
                    Token::Close => Ok(values),
                    // Kubernetes names the first value here, not what was found.
                    _ => Err(format!("found '{first}', expected: ')'")),
                }
            }
            (Token::Close, _) => {
                self.position += 1;
                Ok(Vec::new())
            }
            (_, found) => Err(format!("found '{found}', expected: ',', ')' or identifier")),
        }
    }

    /// Values between commas; nothing between two commas is the empty value.
    fn value_list(&mut self) -> Result<Vec<String>, String> {
        let mut values = Vec::new();
        loop {
            match self.next() {
                (Token::Name, value) => {
                    values.push(value.to_owned());
                    match self.peek() {
                        (Token::Comma, _) => {}
                        (Token::Close, _) => break,
                        (_, found) => return Err(format!("found '{found}', expected: ',' or ')'")),
                    }
                }
                (Token::Comma, _) => {
                    if values.is_empty() {
                        values.push(String::new());
                    }
                    match self.peek().0 {
                        Token::Close => {
                            values.push(String::new());
                            break;
                        }
                        Token::Comma => {
                            self.position += 1;
                            values.push(String::new());
                        }
                        _ => {}
                    }
                }
                (_, found) => return Err(format!("found '{found}', expected: ',', or identifier")),
            }
        }
        Ok(values)
    }
}

fn number_faults(values: &[String]) -> Vec<String> {
    if values.len() != 1 {
        let shown = serde_json::to_string(values).unwrap_or_default();
        return vec![format!("values: Invalid value: {shown}: for 'Gt', 'Lt' operators, exactly one value is required")];
    }
    let odd = values.iter().enumerate().filter(|(_, value)| value.parse::<i64>().is_err());
    let fault = |(index, value): (usize, &String)| {
        format!("values[{index}]: Invalid value: {}: for 'Gt', 'Lt' operators, the value must be an integer", quote(value))
    };
    odd.map(fault).collect()
}
