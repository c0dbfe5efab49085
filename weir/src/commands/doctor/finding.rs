//! What was found: one line a thing that was looked at, and what to do where it is not well.

use crate::terminal::{Paint, clean};
use serde::Serialize;
use std::fmt::Write as _;

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Health {
    /// As it should be.
    Well,
    /// It works; it will not for ever, or not as well as it could.
    Warning,
    /// Something does not work.
    Wrong,
}

/// What was found of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was looked at.
    pub(super) check: &'static str,
    /// How it is.
    pub(super) health: Health,
    /// In words.
    pub(super) said: String,
    /// What to do.
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    pub(super) todo: Option<String>,
}

impl Finding {
    pub(super) fn well(check: &'static str, said: impl Into<String>) -> Self {
        Self { check, health: Health::Well, said: said.into(), todo: None }
    }

    pub(super) fn warning(check: &'static str, said: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { check, health: Health::Warning, said: said.into(), todo: Some(todo.into()) }
    }

    pub(super) fn wrong(check: &'static str, said: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { check, health: Health::Wrong, said: said.into(), todo: Some(todo.into()) }
    }
}

/// For a person.
pub(super) fn to_text(findings: &[Finding], paint: Paint) -> String {
    let mut text = String::new();
    for Finding { check, health, said, todo } in findings {
        let health = match health {
            Health::Well => paint.green("well   "),
            Health::Warning => paint.yellow("warning"),
            Health::Wrong => paint.red("wrong  "),
        };
        let _ = writeln!(text, "{health}  {check:<9}  {}", clean(said));
        if let Some(todo) = todo {
            let _ = writeln!(text, "                    → {todo}");
        }
    }
    text
}
