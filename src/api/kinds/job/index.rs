//! Lists of indexes: `0,2-4,7`.

/// How many indexes a list names, all of them below `completions`.
///
/// # Errors
/// The fault, in kube-apiserver's words.
pub(super) fn count(text: &str, completions: i64) -> Result<i64, String> {
    let mut total = 0;
    each(text, completions, |first, last| total += last - first + 1)?;
    Ok(total)
}

/// The first index that both lists name; `None` when there is none or one cannot be read.
pub(super) fn shared(failed: &str, completed: &str, completions: i64) -> Option<i64> {
    let mut spans = Vec::new();
    each(failed, completions, |first, last| spans.push((first, last))).ok()?;
    let mut others = Vec::new();
    each(completed, completions, |first, last| others.push((first, last))).ok()?;
    let (mut own, mut other) = (0, 0);
    while own < spans.len() && other < others.len() {
        let (a, b) = (spans[own], others[other]);
        if a.0.max(b.0) <= a.1.min(b.1) {
            return Some(a.0.max(b.0));
        }
        if a.1 < b.1 { own += 1 } else { other += 1 }
    }
    None
}

fn each(text: &str, completions: i64, mut visit: impl FnMut(i64, i64)) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let mut last: Option<i64> = None;
    for interval in text.split(',') {
        let limits: Vec<&str> = interval.splitn(3, '-').collect();
        if limits.len() > 2 {
            let quoted = crate::api::error::quoted(interval);
            return Err(format!(
                "the fragment {quoted} violates the requirement that an index interval can have at most two parts separated by '-'"
            ));
        }
        let read = |text: &str| {
            text.parse::<i32>().map(i64::from).map_err(|_| {
                let quoted = crate::api::error::quoted(text);
                format!("cannot convert string to integer for index: {quoted}")
            })
        };
        let bounds = |index: i64, text: &str| {
            if index < completions { Ok(index) } else { Err(format!("too large index: {}", crate::api::error::quoted(text))) }
        };
        let first = bounds(read(limits[0])?, limits[0])?;
        if let Some(last) = last.filter(|last| first <= *last) {
            return Err(format!("non-increasing order, previous: {last}, current: {first}"));
        }
        let end = match limits.get(1) {
            None => first,
            Some(text) => {
                let end = bounds(read(text)?, text)?;
                if end <= first {
                    return Err(format!("non-increasing order, previous: {first}, current: {end}"));
                }
                end
            }
        };
        visit(first, end);
        last = Some(end);
    }
    Ok(())
}
