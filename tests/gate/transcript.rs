//! Transcripts: what a person types, what comes back, and with which exit code.
//!
//! `$ ` begins a command for bash, `> ` goes on with it; what follows is its output (both streams) up to the next command, and
//! `? 1` at its end the exit code. `[..]` stands for anything within a line, a line `...` for any lines. Comments begin with `## `.
//! Runs of blanks inside a line count as one: how wide a column is depends on addresses and ages.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::Shell;

/// One command and what it must answer.
struct Step {
    line: usize,
    command: String,
    output: Vec<String>,
    code: i32,
}

impl Shell {
    /// Runs the transcript.
    ///
    /// # Panics
    /// At its end, with everything that was otherwise.
    pub fn play(&self, file: &Path) {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let steps = parse(&text);
        assert!(steps.len() > 3, "{}: hardly anything is in it", file.display());
        let faults: Vec<String> = steps.iter().filter_map(|step| self.fault(step)).collect();
        assert!(
            faults.is_empty(),
            "{}: {} of {} commands answered otherwise\n\n{}",
            file.display(),
            faults.len(),
            steps.len(),
            faults.join("\n\n")
        );
    }

    fn fault(&self, step: &Step) -> Option<String> {
        let mut command = Command::new("timeout");
        command.args(["60", "bash", "-c"]).arg(format!("exec 2>&1\n{}", step.command)).current_dir(&self.folder);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).envs(self.environment.iter().cloned());
        let output = command.stdin(Stdio::null()).output().expect("bash and timeout are there");
        let text = String::from_utf8_lossy(&output.stdout);
        let answered: Vec<String> = trimmed(text.lines().map(plain).collect());
        let code = output.status.code().unwrap_or(-1);
        let same = code == step.code && agrees(&step.output, &answered);
        (!same).then(|| {
            let expected = step.output.join("\n");
            format!("line {}: $ {}\nexpected ({}):\n{expected}\nanswered ({code}):\n{text}", step.line, step.command, step.code)
        })
    }
}

fn parse(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { line: index + 1, command: command.to_owned(), output: Vec::new(), code: 0 });
        } else if let Some(step) = steps.last_mut().filter(|_| !line.starts_with("## ")) {
            match (line.strip_prefix('>'), line.strip_prefix("? ")) {
                (Some(more), _) if step.output.is_empty() => {
                    step.command += "\n";
                    step.command += more.strip_prefix(' ').unwrap_or(more);
                }
                (_, Some(code)) => step.code = code.parse().expect("an exit code"),
                _ => step.output.push(plain(line)),
            }
        }
    }
    for step in &mut steps {
        step.output = trimmed(std::mem::take(&mut step.output));
    }
    steps
}

/// The line with single blanks behind its indentation and none at its end.
fn plain(line: &str) -> String {
    let line = line.trim_end();
    let inner = line.trim_start_matches(' ');
    let words: Vec<&str> = inner.split(' ').filter(|word| !word.is_empty()).collect();
    format!("{}{}", &line[..line.len() - inner.len()], words.join(" "))
}

fn trimmed(mut lines: Vec<String>) -> Vec<String> {
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

fn agrees(pattern: &[String], lines: &[String]) -> bool {
    let Some((first, rest)) = pattern.split_first() else { return lines.is_empty() };
    if first == "..." {
        return (0..=lines.len()).any(|skipped| agrees(rest, &lines[skipped..]));
    }
    lines.split_first().is_some_and(|(line, others)| like(first, line) && agrees(rest, others))
}

fn like(pattern: &str, line: &str) -> bool {
    let Some((head, tail)) = pattern.split_once("[..]") else { return pattern == line };
    line.strip_prefix(head).is_some_and(|rest| (0..=rest.len()).any(|at| rest.is_char_boundary(at) && like(tail, &rest[at..])))
}

#[test]
fn a_transcript_that_differs_is_seen() {
    let lines = |text: &[&str]| text.iter().map(|line| plain(line)).collect::<Vec<_>>();
    assert!(agrees(&lines(&["NAME  AGE", "a   [..]s"]), &lines(&["NAME AGE", "a 10s"])));
    assert!(agrees(&lines(&["a", "...", "z"]), &lines(&["a", "b", "c", "z"])));
    assert!(agrees(&lines(&["a", "..."]), &lines(&["a"])));
    assert!(!agrees(&lines(&["a", "..."]), &lines(&["b", "a"])));
    assert!(!agrees(&lines(&["a[..]b"]), &lines(&["a, c"])));
    assert!(!agrees(&lines(&["  a"]), &lines(&["a"])));
    assert!(!agrees(&[], &lines(&["a"])));
    let steps = parse("## why\n$ one\n> two\nout\n\n? 3\n$ four\n");
    assert_eq!((steps.len(), steps[0].command.as_str(), steps[0].code, steps[0].output.len()), (2, "one\ntwo", 3, 1));
}
