//! The difference of two values as a unified diff of their indented JSON, three lines of context.

use serde_json::Value;

/// The hunks; empty when the values are equal. Lines are compared, so the sides must not be huge.
pub(super) fn unified(old: &Value, new: &Value) -> String {
    let text = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default();
    let (old, new) = (text(old), text(new));
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    if head == old.len() && head == new.len() {
        return String::new();
    }
    let first = head.saturating_sub(CONTEXT);
    let (old_end, new_end) = (old.len() - tail, new.len() - tail);
    let after = tail.min(CONTEXT);
    let mut out = format!("@@ -{},{} +{},{} @@\n", first + 1, old_end + after - first, first + 1, new_end + after - first);
    let mut put = |mark: char, lines: &[&str]| {
        for line in lines {
            out.push(mark);
            out.push_str(line);
            out.push('\n');
        }
    };
    put(' ', &old[first..head]);
    put('-', &old[head..old_end]);
    put('+', &new[head..new_end]);
    put(' ', &old[old_end..old_end + after]);
    out
}

const CONTEXT: usize = 3;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_hunk() {
        assert_eq!(unified(&json!({"a": 1}), &json!({"a": 1})), "");
        let expected = "@@ -1,4 +1,4 @@\n {\n   \"a\": 1,\n-  \"b\": 2\n+  \"b\": 3\n }\n";
        assert_eq!(unified(&json!({"a": 1, "b": 2}), &json!({"a": 1, "b": 3})), expected);
        let expected = "@@ -1,3 +1,4 @@\n {\n-  \"a\": 1\n+  \"a\": 1,\n+  \"b\": 2\n }\n";
        assert_eq!(unified(&json!({"a": 1}), &json!({"a": 1, "b": 2})), expected);
    }
}
