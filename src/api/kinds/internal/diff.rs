//! The difference of two texts as a unified diff, line by line, as go-difflib finds it: the longest common block first.

use std::collections::HashMap;

/// Lines, and where the second text has each of them.
struct Matcher<'a> {
    old: Vec<&'a str>,
    new: Vec<&'a str>,
    places: HashMap<&'a str, Vec<usize>>,
}

/// `size` lines that are the same from `old` and from `new` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Block {
    old: usize,
    new: usize,
    size: usize,
}

/// A stretch of both texts: the same, or one to be replaced by the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Code {
    same: bool,
    old: (usize, usize),
    new: (usize, usize),
}

/// The hunks, with three lines of context; empty when the texts are equal.
pub(super) fn unified(old: &str, new: &str) -> String {
    let matcher = Matcher::new(old.lines().collect(), new.lines().collect());
    let mut out = String::new();
    for group in groups(matcher.codes()) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        out.push_str(&format!("@@ -{} +{} @@\n", range(first.old.0, last.old.1), range(first.new.0, last.new.1)));
        for code in group {
            let mut put = |mark: char, lines: &[&str]| {
                for line in lines {
                    out.push(mark);
                    out.push_str(line);
                    out.push('\n');
                }
            };
            if code.same {
                put(' ', &matcher.old[code.old.0..code.old.1]);
            } else {
                put('-', &matcher.old[code.old.0..code.old.1]);
                put('+', &matcher.new[code.new.0..code.new.1]);
            }
        }
    }
    out
}

impl<'a> Matcher<'a> {
    fn new(old: Vec<&'a str>, new: Vec<&'a str>) -> Self {
        let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, line) in new.iter().enumerate() {
            places.entry(line).or_default().push(at);
        }
        if new.len() >= POPULAR_FROM {
            // Lines that stand everywhere say nothing about what belongs together.
            let most = new.len() / 100 + 1;
            places.retain(|_, places| places.len() <= most);
        }
        Self { old, new, places }
    }

    /// The blocks that are the same, in order. Huge texts are only compared from both ends.
    fn blocks(&self) -> Vec<Block> {
        if self.old.len().max(self.new.len()) > LARGE {
            return self.ends();
        }
        let mut found = Vec::new();
        let mut waiting = vec![((0, self.old.len()), (0, self.new.len()))];
        while let Some((old, new)) = waiting.pop() {
            let block = self.longest(old, new);
            if block.size > 0 {
                waiting.push(((old.0, block.old), (new.0, block.new)));
                waiting.push(((block.old + block.size, old.1), (block.new + block.size, new.1)));
                found.push(block);
            }
        }
        found.sort_unstable();
        let mut joined: Vec<Block> = Vec::new();
        for block in found {
            match joined.last_mut() {
                Some(last) if last.old + last.size == block.old && last.new + last.size == block.new => last.size += block.size,
                _ => joined.push(block),
            }
        }
        joined
    }

    fn ends(&self) -> Vec<Block> {
        let head = self.old.iter().zip(&self.new).take_while(|(old, new)| old == new).count();
        let rest = self.old.len().min(self.new.len()) - head;
        let tail = self.old.iter().rev().zip(self.new.iter().rev()).take(rest).take_while(|(old, new)| old == new).count();
        let last = Block { old: self.old.len() - tail, new: self.new.len() - tail, size: tail };
        [Block { old: 0, new: 0, size: head }, last].into_iter().filter(|block| block.size > 0).collect()
    }

    /// The longest block within the bounds; the first of several.
    fn longest(&self, old: (usize, usize), new: (usize, usize)) -> Block {
        let mut best = Block { old: old.0, new: new.0, size: 0 };
        let mut lengths: HashMap<usize, usize> = HashMap::new();
        for at in old.0..old.1 {
            let mut next = HashMap::new();
            for &place in self.places.get(self.old[at]).map_or(&[][..], Vec::as_slice) {
                if place < new.0 {
                    continue;
                }
                if place >= new.1 {
                    break;
                }
                let length = place.checked_sub(1).and_then(|before| lengths.get(&before)).copied().unwrap_or(0) + 1;
                next.insert(place, length);
                if length > best.size {
                    best = Block { old: at + 1 - length, new: place + 1 - length, size: length };
                }
            }
            lengths = next;
        }
        while best.old > old.0 && best.new > new.0 && self.old[best.old - 1] == self.new[best.new - 1] {
            best = Block { old: best.old - 1, new: best.new - 1, size: best.size + 1 };
        }
        while best.old + best.size < old.1
            && best.new + best.size < new.1
            && self.old[best.old + best.size] == self.new[best.new + best.size]
        {
            best.size += 1;
        }
        best
    }

    fn codes(&self) -> Vec<Code> {
        let (mut old, mut new) = (0, 0);
        let mut codes = Vec::new();
        let end = Block { old: self.old.len(), new: self.new.len(), size: 0 };
        for block in self.blocks().into_iter().chain([end]) {
            if old < block.old || new < block.new {
                codes.push(Code { same: false, old: (old, block.old), new: (new, block.new) });
            }
            (old, new) = (block.old + block.size, block.new + block.size);
            if block.size > 0 {
                codes.push(Code { same: true, old: (block.old, old), new: (block.new, new) });
            }
        }
        codes
    }
}

/// Cuts long stretches of the same out; what stays together is a hunk.
fn groups(mut codes: Vec<Code>) -> Vec<Vec<Code>> {
    let head = |code: Code| Code {
        old: (code.old.0, code.old.1.min(code.old.0 + CONTEXT)),
        new: (code.new.0, code.new.1.min(code.new.0 + CONTEXT)),
        ..code
    };
    let tail = |code: Code| Code {
        old: (code.old.0.max(code.old.1.saturating_sub(CONTEXT)), code.old.1),
        new: (code.new.0.max(code.new.1.saturating_sub(CONTEXT)), code.new.1),
        ..code
    };
    if let Some(first) = codes.first_mut().filter(|code| code.same) {
        *first = tail(*first);
    }
    if let Some(last) = codes.last_mut().filter(|code| code.same) {
        *last = head(*last);
    }
    let mut groups = vec![Vec::new()];
    for code in codes {
        let mut code = code;
        if code.same && code.old.1 - code.old.0 > 2 * CONTEXT {
            if let Some(group) = groups.last_mut() {
                group.push(head(code));
            }
            groups.push(Vec::new());
            code = tail(code);
        }
        if let Some(group) = groups.last_mut() {
            group.push(code);
        }
    }
    groups.retain(|group| group.iter().any(|code| !code.same));
    groups
}

fn range(from: usize, to: usize) -> String {
    match to - from {
        1 => format!("{}", from + 1),
        0 => format!("{from},0"),
        length => format!("{},{length}", from + 1),
    }
}

const CONTEXT: usize = 3;
const POPULAR_FROM: usize = 200;
/// Lines beyond which the exact search would take too long.
const LARGE: usize = 5000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hunks() {
        for (old, new, expected) in [
            ("a\nb\nc", "a\nb\nc", ""),
            ("a\nb\nc", "a\nx\nc", "@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n"),
            ("a", "a\nb", "@@ -1 +1,2 @@\n a\n+b\n"),
            ("1\n2\n3\n4\n5\n6\n7\n8", "1\n2\n3\n4\n5\n6\n7\nx", "@@ -5,4 +5,4 @@\n 5\n 6\n 7\n-8\n+x\n"),
            (
                "x\n1\n2\n3\n4\n5\n6\n7\ny",
                "a\n1\n2\n3\n4\n5\n6\n7\nb",
                "@@ -1,4 +1,4 @@\n-x\n+a\n 1\n 2\n 3\n@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-y\n+b\n",
            ),
        ] {
            assert_eq!(unified(old, new), expected, "{old} {new}");
        }
    }

    #[test]
    fn the_longest_block_is_found_first() {
        let expected = "@@ -1,4 +1,3 @@\n-q\n a\n b\n-x\n+y\n";
        assert_eq!(unified("q\na\nb\nx", "a\nb\ny"), expected);
    }

    #[test]
    fn huge_texts_are_compared_from_their_ends() {
        let old: String = (0..6000).map(|line| format!("{line}\n")).collect();
        let new = old.replace("3000\n", "x\n");
        assert_eq!(unified(&old, &new), "@@ -2998,7 +2998,7 @@\n 2997\n 2998\n 2999\n-3000\n+x\n 3001\n 3002\n 3003\n");
    }
}
